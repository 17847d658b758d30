import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'

const { values: options } = parseArgs({
  options: {
    sequences: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    on: { type: 'string', default: 'tmpfs' },
    ours: { type: 'boolean' },
  },
})
const sequences = Number(options.sequences)
const firstSeed = options.seed === undefined ? Date.now() & 0x7fffffff : Number(options.seed)
if (!(sequences > 0) || !Number.isInteger(firstSeed)) throw new Error('--sequences and --seed are whole numbers')

const { fuzz, names } = await importSource('e2e/fuzz/fuzz.ts')

/** A seed serves this many sequences, so that a failure is found again soon. */
const PER_SEED = 2000
const linux = options.ours ? undefined : fileURLToPath(new URL('linux.mjs', import.meta.url))
for (const on of options.on === 'all' ? names : [options.on]) {
  let ran = 0
  for (let seed = firstSeed; ran < sequences; seed++) {
    const { ran: more, divergence } = await fuzz({ sequences: Math.min(PER_SEED, sequences - ran), seed, linux, on })
    ran += more
    if (divergence) {
      console.log(
        `${on}, seed ${seed}: after ${ran} sequences the sides differ\n\n${divergence.text}\n\n${JSON.stringify(divergence.sequence)}`,
      )
      process.exitCode = 1
      break
    }
    if (process.stdout.isTTY || ran >= sequences || (ran / PER_SEED) % 10 === 0)
      console.log(`${on}, seed ${seed}: ${ran} sequences agree`)
  }
}
