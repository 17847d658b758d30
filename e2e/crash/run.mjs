/**
 * `npm run crash [-- --kills N --browser chromium|firefox --seed N --sqlite]`: kills a browser at random while files in volumes change,
 * and checks what is there afterwards (crash.mjs); with `--sqlite`, while the sqlite3 shell inserts rows (database.mjs). The last line
 * is `N kills, V violations`; it exits 1 if there are any.
 */
import { parseArgs } from 'node:util'
import { crash } from './crash.mjs'
import { crashDatabase } from './database.mjs'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    browser: { type: 'string', default: 'chromium' },
    seed: { type: 'string' },
    sqlite: { type: 'boolean', default: false },
  },
})
const kills = Number(values.kills)
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed)
const { browser } = values
if (
  !Number.isInteger(kills) ||
  kills < 1 ||
  !Number.isInteger(seed) ||
  (browser !== 'chromium' && browser !== 'firefox')
) {
  console.error('usage: npm run crash -- [--kills N] [--browser chromium|firefox] [--seed N] [--sqlite]')
  process.exit(2)
}
console.log(`seed ${seed}`)
const options = /** @type {const} */ ({ kills, browser, seed, say: console.log })
const { violations, ...report } = values.sqlite ? await crashDatabase(options) : await crash(options)
const what = values.sqlite ? 'inserts had returned' : 'fsyncs had been acknowledged'
console.log(`${report.acks} ${what}`)
const { phases = [] } = /** @type {Partial<import('./crash.mjs').CrashReport>} */ (report)
for (const [phase, times] of phases) console.log(`${times} ${times === 1 ? 'kill' : 'kills'} fell in: ${phase}`)
if ('terminations' in report) console.log(`the kernel's Worker was terminated ${report.terminations} times, too`)
console.log(`${report.kills} kills, ${violations.length} violations`)
if (violations.length > 0) process.exitCode = 1
