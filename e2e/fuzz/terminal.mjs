/** `node e2e/fuzz/terminal.mjs [--sequences N] [--seed S]`, on Linux: random scripts of what happens at a terminal on ours and on a
 *  pseudo-terminal of Linux, compared. On a divergence prints the shortest script found that shows it, and exits with 1.
 *  With `--record FILE` writes the scripts and Linux's answers instead: src/testing/linux/terminal.json is made so. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'vite'
import { root } from '../tools/run.mjs'

const { values } = parseArgs({
  options: {
    sequences: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    record: { type: 'string' },
  },
})
const [sequences, seed] = [values.sequences, values.seed].map(Number)
const outDir = join(root, `.cache/fuzz-terminal-${process.pid}`)
await build({
  configFile: false,
  root,
  logLevel: 'warn',
  build: {
    ssr: join(root, 'e2e/fuzz/terminal.ts'),
    outDir,
    target: 'es2023',
    rolldownOptions: { output: { entryFileNames: 'terminal.mjs' } },
  },
})
const { fuzzTerminal, recordTerminal } = await import(pathToFileURL(join(outDir, 'terminal.mjs')).href)
rmSync(outDir, { recursive: true })
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
