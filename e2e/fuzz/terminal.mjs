/** `node e2e/fuzz/terminal.mjs [--sequences N] [--seed S]`, on Linux: random scripts of what happens at a terminal on ours and on a
 *  pseudo-terminal of Linux, compared. On a divergence prints the shortest script found that shows it, and exits with 1.
 *  With `--record FILE` writes the scripts and Linux's answers instead: src/testing/linux/terminal.json is made so. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'

const { values } = parseArgs({
  options: {
    sequences: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    record: { type: 'string' },
  },
})
const [sequences, seed] = [values.sequences, values.seed].map(Number)
const { fuzzTerminal, recordTerminal } = await importSource('e2e/fuzz/terminal.ts')
const linux = fileURLToPath(new URL('../../src/testing/linux/terminal.py', import.meta.url))
if (values.record !== undefined) {
  const recorded = await recordTerminal(linux, sequences, seed)
  const lines = recorded.map((/** @type {unknown} */ each) => JSON.stringify(each)).join(',\n')
  writeFileSync(values.record, `[\n${lines}\n]\n`)
} else {
  const found = await fuzzTerminal(linux, sequences, seed)
  if (found) {
    console.log(`the sides differ\n${found}`)
    process.exitCode = 1
  } else console.log(`${sequences} scripts agree`)
}
