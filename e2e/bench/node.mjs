/** The sides of the benchmark in Node: ours and the shim in a process each, node:wasi in a fresh one per run over an empty
 *  directory on tmpfs. @typedef {import('./sides.mjs').Side} Side */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runNodeWasi, temporaryDirectory } from '../reference/node-wasi.mjs'
import { answer } from './sides.mjs'

/** @param {string} wasm path of the benchmark guest @returns {Promise<Side[]>} */
export async function nodeSides(wasm) {
  return [
    await inProcess('ours', 'inline', wasm),
    await inProcess('shim', '', wasm),
    {
      where: 'node',
      side: 'node_wasi',
      platform: '',
      atTenfold: true,
      async run(args) {
        const directory = temporaryDirectory()
        try {
          const { stdout, stderr, exitCode } = await runNodeWasi(wasm, { dir: directory.path, args })
          return answer(args, { stdout: stdout.toString(), stderr: stderr.toString(), exitCode })
        } finally {
          directory.remove()
        }
      },
      async close() {},
    },
  ]
}

/** @param {'ours' | 'shim'} side @param {string} platform @param {string} wasm @returns {Promise<Side>} */
async function inProcess(side, platform, wasm) {
  const child = fork(fileURLToPath(new URL('node-side.mjs', import.meta.url)), [side, wasm], {
    serialization: 'advanced',
    // The shim makes garbage by the gigabyte; a roomy young generation keeps the collector out of the figures of both.
    execArgv: ['--max-semi-space-size=64'],
  })
  /** @type {{ resolve(value: any): void, reject(error: Error): void }[]} */
  const asked = []
  const message = () => new Promise((resolve, reject) => asked.push({ resolve, reject }))
  child.on('message', (value) => asked.shift()?.resolve(value))
  child.on('exit', (code, signal) => {
    for (const { reject } of asked.splice(0)) reject(new Error(`the process of ${side} ended: ${signal ?? code}`))
  })
  await message()
  return {
    where: 'node',
    side,
    platform,
    atTenfold: side === 'ours',
    async run(args) {
      const outcome = message()
      child.send(args, (error) => error && asked.shift()?.reject(error))
      return answer(args, await outcome)
    },
    async close() {
      child.disconnect()
    },
  }
}
