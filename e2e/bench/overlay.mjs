/** `npm run bench:overlay [-- --quick --json FILE]`: an overlay against a tmpfs, and over ten layers against one, in one process.
 *
 * Each pass measures every work in turn, so that a machine that is busy for a while is busy for all of them; of all samples the
 * least counts. Prints ratios and whether the bars are held; exits 1 if not. `--quick` judges no times. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'
import { measureInTurn } from './in-turn.mjs'
import { overlayVerdict } from './overlay-report.mjs'

const { values: options } = parseArgs({
  options: { json: { type: 'string' }, quick: { type: 'boolean', default: false } },
})

/** @type {typeof import('./overlay-ours.ts')} */
const { overlayBench } = await importSource('e2e/bench/overlay-ours.ts')

const effort = options.quick ? { passes: 1, time: 1 } : { passes: 6, time: 150 }
const { works, first } = overlayBench()
const ns = measureInTurn(works, effort)
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ ns, first }, null, 2)}\n`)
const { held, lines } = overlayVerdict({ ns, first })
console.log(lines.join('\n'))
if (options.quick) console.log('\nevery work runs; --quick judges no times')
else {
  console.log(`\nthe bar is ${held ? 'held' : 'missed'}`)
  if (!held) process.exitCode = 1
}
