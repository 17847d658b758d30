/** One side of the benchmark in Node, in a process of its own that lives through the whole run, so that its code is warm
 *  and nobody else's garbage is on its heap. Forked by node.mjs with the side's name, and told by messages what to run. */
import { readFileSync } from 'node:fs'
import { runShim } from '../reference/shim.mjs'
import { runOurs } from './ours.mjs'

const [, , side = '', wasm = ''] = process.argv
const bytes = new Uint8Array(readFileSync(wasm))

/** @type {Record<string, () => Promise<(args: string[], system: boolean) => Promise<{ stdout: string, exitCode: number }>>>} */
const sides = {
  ours: async () => (args, system) => runOurs(bytes, args, { platform: 'inline', system }),
  shim: async () => {
    const module = await WebAssembly.compile(bytes)
    return (args) => runShim(module, { args })
  },
}
const run = await /** @type {() => Promise<(args: string[], system: boolean) => Promise<object>>} */ (sides[side])()

process.on('message', async (/** @type {{ args: string[], system: boolean }} */ { args, system }) => {
  try {
    process.send?.(await run(args, system))
  } catch (error) {
    process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
