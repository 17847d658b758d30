/** The page's half of chromium.mjs. `bench.boot` prepares one side, and each page is one side and lives through the whole run;
 *  the other functions measure on it, in nanoseconds. */

/** The side that was booted. */
let side

async function ours({ platform, guest, nothing, pread }) {
  const { Sandbox } = await import('/lib/index.js')
  const sandbox = await Sandbox.boot({ platform })
  const file = async (path, name) => {
    const content = new Uint8Array(await (await fetch(path)).arrayBuffer())
    return { path: name, kind: 'file', content, mode: 0o755 }
  }
  await sandbox.provide('guest', {
    entries: [await file(guest, 'bench.wasm'), await file(nothing, 'nothing.wasm'), await file(pread, 'pread.wasm')],
  })
  let containers = 0
  /** A container whose root is an empty tmpfs, which is where programs work. */
  const create = async (mounts = []) => {
    const container = await sandbox.create(`run-${++containers}`, {
      ociVersion: '1.2.0',
      mounts: [{ destination: '/guest', type: 'bind', source: 'guest', options: ['ro'] }, ...mounts],
    })
    await container.start()
    return container
  }
  const end = async (process) => {
    const [stdout, stderr, { exitCode }] = await Promise.all([
      new Response(process.stdout).text(),
      new Response(process.stderr).text(),
      process.wait(),
    ])
    return { stdout, stderr, exitCode }
  }
  const destroy = async (container) => {
    await container.kill().catch(() => {})
    await container.delete({ force: true })
  }

  let idle
  let compiling
  let served
  return {
    async run(args) {
      const container = await create()
      try {
        return await end(await container.exec({ args: ['/guest/bench.wasm', ...args], cwd: '/' }))
      } finally {
        await destroy(container)
      }
    },

    /** A process from `exec` to its end, its program being compiled already. */
    async start() {
      idle ??= await create()
      const from = performance.now()
      const process = await idle.exec({ args: ['/guest/nothing.wasm'] })
      const { exitCode } = await process.wait()
      const ns = (performance.now() - from) * 1e6
      if (exitCode !== 0) throw new Error(`the program that does nothing exited with ${exitCode}`)
      return { ns }
    },

    /** A read of so many bytes of a file that this page serves. */
    async fuse({ bytes, ms }) {
      served ??= await serve()
      const args = ['/guest/pread.wasm', '/served/file', String(bytes), String(ms)]
      const { stdout, stderr, exitCode } = await end(await served.exec({ args }))
      if (exitCode !== 0) throw new Error(`pread: exit code ${exitCode}: ${stderr}`)
      return { ns: Number(stdout) }

      async function serve() {
        const content = new Uint8Array(bytes).fill(98)
        await sandbox.fuse('bench', {
          getattr: (path) => (path === '/' ? { kind: 'directory' } : { size: bytes }),
          read: (_, offset, length) => content.subarray(offset, offset + length),
        })
        const container = await create()
        await container.mount({ type: 'fuse', source: 'fuse:bench', destination: '/served' })
        return container
      }
    },

    /** The compiler on a small C file: not the download and compiling of the compiler itself. */
    async compile({ llvm, sysroot, source }) {
      compiling ??= await prepare()
      const from = performance.now()
      const { stderr, exitCode } = await end(
        await compiling.container.exec({ args: compiling.args, cwd: '/work', env: [] }),
      )
      const ns = (performance.now() - from) * 1e6
      if (exitCode !== 0) throw new Error(`clang: exit code ${exitCode}: ${stderr}`)
      return { ns }

      async function prepare() {
        const archive = await (await fetch(sysroot.url)).blob()
        const files = sysroot.index.map(({ path, directory, offset, size, mtime }) => [
          path,
          directory ? { directory, mtime } : { data: archive.slice(offset, offset + size), mtime },
        ])
        await sandbox.provide('sysroot', files)
        await sandbox.provide('llvm', [['llvm', { data: new URL(llvm, location.href), mode: 0o755 }]])
        const container = await create([
          { destination: '/usr', type: 'bind', source: 'sysroot', options: ['ro'] },
          { destination: '/bin', type: 'bind', source: 'llvm', options: ['ro'] },
        ])
        await container.fs.mkdir('/work')
        await container.fs.writeFile('/work/a.c', source)
        const plan = await end(
          await container.exec({ args: ['/bin/llvm', 'clang', '-###', '-O2', '-c', 'a.c', '-o', 'a.o'], cwd: '/work' }),
        )
        const step = plan.stderr.split('\n').find((line) => line.startsWith(' "'))
        return { container, args: JSON.parse(`[${step.trim().replaceAll('" "', '","')}]`) }
      }
    },
  }
}

const ask = (worker, message, transferred = []) =>
  new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data))
    worker.onerror = (event) => reject(new Error(event.message))
    worker.postMessage(message, transferred)
  })

async function shim({ guest }) {
  const worker = new Worker('/built/shim.worker.js', { type: 'module' })
  await ask(worker, { address: guest })
  return { run: (args) => ask(worker, { args }).catch((error) => ({ error: error.message })) }
}

/** What is bare of either. */
async function floor({ floor, nothing }) {
  const [copyModule, nothingModule] = await Promise.all(
    [floor, nothing].map((path) => WebAssembly.compileStreaming(fetch(path))),
  )
  const worker = () => new Worker('/floor.worker.mjs', { type: 'module' })
  return {
    async roundTrip() {
      const shared = { channel: new SharedArrayBuffer(64), doorbell: new SharedArrayBuffer(4) }
      const [kernel, guest] = [worker(), worker()]
      const served = ask(kernel, { part: 'kernel', ...shared })
      const measured = await ask(guest, { part: 'guest', ...shared })
      await served
      kernel.terminate()
      guest.terminate()
      return measured
    },

    async copy() {
      const one = worker()
      const measured = await ask(one, { part: 'copy', module: copyModule, calls: 1000 })
      one.terminate()
      return measured
    },

    /** A Worker asks the page by comlink for so many bytes. They are handed over, not copied. */
    async comlink(asked) {
      const { expose, transfer } = await import('/comlink/comlink.mjs')
      const { port1, port2 } = new MessageChannel()
      const content = new Uint8Array(asked.bytes).fill(98)
      expose((bytes) => {
        const copy = content.slice(0, bytes)
        return transfer(copy, [copy.buffer])
      }, port1)
      const one = worker()
      const measured = await ask(one, { part: 'comlink', port: port2, ...asked }, [port2])
      one.terminate()
      port1.close()
      return measured
    },

    async start() {
      const from = performance.now()
      const one = worker()
      await ask(one, { part: 'start', module: nothingModule })
      const ns = (performance.now() - from) * 1e6
      one.terminate()
      return { ns }
    },
  }
}

window.bench = {
  async boot({ side: name, ...options }) {
    side = await { ours, shim, floor }[name](options)
  },
  measure: (what, argument) => side[what](argument),
}
