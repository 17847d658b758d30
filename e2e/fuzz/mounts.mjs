/** `node e2e/fuzz/mounts.mjs [--sequences N] [--seed S] [--steps N]`, as root on Linux: random scripts of mount operations on ours and
 *  on Linux, compared. On a divergence prints the shortest script found that shows it, and exits with 1.
 *  With `--record FILE` writes the scripts and Linux's answers instead: src/testing/linux/mounts.json is made so. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'

const { values } = parseArgs({
  options: {
    sequences: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '60' },
    record: { type: 'string' },
  },
})
const [sequences, seed, steps] = [values.sequences, values.seed, values.steps].map(Number)

const { fuzzMounts, Linux, record } = await importSource('e2e/fuzz/mounts.ts')
const linux = new Linux(fileURLToPath(new URL('../../src/testing/linux/mounts.py', import.meta.url)))
if (values.record !== undefined) {
  const recorded = await record(seed, sequences, steps, linux)
  const lines = recorded.map((/** @type {unknown} */ each) => JSON.stringify(each)).join(',\n')
  writeFileSync(values.record, `[\n${lines}\n]\n`)
} else {
  const found = await fuzzMounts({ seed, sequences, steps, linux })
  if (found) {
    console.log(`seed ${found.seed}: the sides differ\n${JSON.stringify(found.script)}\n${found.text}`)
    process.exitCode = 1
  } else console.log(`seeds ${seed} to ${seed + sequences - 1}: all agree`)
}
linux.close()
