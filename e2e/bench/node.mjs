/** The sides of the benchmark in Node: ours and the shim in a process each, node:wasi in a fresh one per run over an empty
 *  directory on tmpfs. @typedef {import('./sides.mjs').Side} Side */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runNodeWasi, temporaryDirectory } from '../reference/node-wasi.mjs'
import { UNREAD } from './rows.mjs'
import { answer } from './sides.mjs'

/** @param {string} wasm path of the benchmark guest @returns {Promise<Side[]>} */
export async function nodeSides(wasm) {
  const ours = await inProcess('ours', 'inline', wasm)
  return [
    ours,
    // In the same process, so that it is the same compiled code.
    {
      ...ours,
      side: 'without_proc',
      platform: '',
      rows: UNREAD,
      run: (args) => ours.run(args, false),
      async close() {},
    },
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

/** @param {'ours' | 'shim'} side @param {string} platform @param {string} wasm */
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
    where: /** @type {const} */ ('node'),
    side,
    platform,
    atTenfold: side === 'ours',
    /** @param {string[]} args @returns {Promise<number>} */
    async run(args, system = true) {
      const outcome = message()
      child.send({ args, system }, (error) => error && asked.shift()?.reject(error))
      return answer(args, await outcome)
    },
    async close() {
      child.disconnect()
    },
  }
}
