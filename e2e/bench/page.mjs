/** The page's half of chromium.mjs: `bench.boot` prepares one side, `bench.run` runs the guest on it once. Each page is one
 *  side, and lives through the whole run. */

/** @type {(args: string[]) => Promise<object>} */
let run

async function ours({ platform, address }) {
  const { Sandbox } = await import('/lib/index.js')
  const bytes = new Uint8Array(await (await fetch(address)).arrayBuffer())
  const sandbox = await Sandbox.boot({ platform })
  await sandbox.provide('guest', { entries: [{ path: 'bench.wasm', kind: 'file', content: bytes, mode: 0o755 }] })
  let runs = 0
  return async (args) => {
    // A container of its own for each run; its root is an empty tmpfs, which is where the guest works.
    const container = await sandbox.create(`run-${++runs}`, {
      ociVersion: '1.2.0',
      mounts: [{ destination: '/guest', type: 'bind', source: 'guest', options: ['ro'] }],
    })
    await container.start()
    const process = await container.exec({ args: ['/guest/bench.wasm', ...args], cwd: '/' })
    const [stdout, stderr, { exitCode }] = await Promise.all([
      new Response(process.stdout).text(),
      new Response(process.stderr).text(),
      process.wait(),
    ])
    await container.kill().catch(() => {})
    await container.delete({ force: true })
    return { stdout, stderr, exitCode }
  }
}

async function shim({ address }) {
  const worker = new Worker('/built/shim.worker.js', { type: 'module' })
  const ask = (message) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = (event) => reject(new Error(event.message))
      worker.postMessage(message)
    })
  await ask({ address })
  return (args) => ask({ args })
}

window.bench = {
  async boot(options) {
    run = await { ours, shim }[options.side](options)
  },
  run: (args) => run(args),
}
