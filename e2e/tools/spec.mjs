/**
 * `npm run spec [-- --json FILE]`: which rows of docs/spec.md the tests that ran hold. The rules are in spec-rows.mjs.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { readResults } from './results.mjs'
import { judge, outOfScopeOf, rowsOf } from './spec-rows.mjs'

/** @param {string} name */
const doc = (name) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')

const at = process.argv.indexOf('--json')
const file = at < 0 ? undefined : process.argv[at + 1]
if (at >= 0 && !file) {
  console.error('usage: npm run spec [-- --json FILE]')
  process.exit(2)
}

const results = readResults()
const { groups, excluded } = rowsOf(doc('spec.md'))
const { reasons, unknown: strays } = outOfScopeOf(doc('out-of-scope.md'), groups)
const tests = Object.values(results).flatMap(({ tests }) => tests)
const { verdicts, unknown } = judge(groups, reasons, tests, excluded)

for (const runner of ['vitest', 'playwright']) {
  const ran = results[runner]
  console.log(ran ? `${runner}: ${ran.tests.length} tests` : `${runner}: no results (it has not run)`)
}
console.log('')

const columns = /** @type {const} */ (['held', 'failing', 'unchecked', 'outOfScope'])
const title = Math.max(...groups.map(({ id, title }) => `${id} ${title}`.length))
/** @type {(name: string, ...cells: (string | number)[]) => void} */
const line = (name, ...cells) =>
  console.log(`${name.padEnd(title)}  ${cells.map((cell) => String(cell).padStart(9)).join(' ')}`)
line('group', 'rows', 'held', 'failing', 'unchecked', 'out')
const total = { rows: 0, held: 0, failing: 0, unchecked: 0, outOfScope: 0 }
for (const { id, title, rows } of groups) {
  const verdict = verdicts[id]
  line(`${id} ${title}`, rows.length, ...columns.map((column) => verdict[column].length))
  total.rows += rows.length
  for (const column of columns) total[column] += verdict[column].length
}
line('all', total.rows, ...columns.map((column) => total[column]))

const failing = groups.flatMap(({ id }) => verdicts[id].failing)
if (failing.length > 0) console.log(`\nfailing: ${failing.join(' ')}`)
/** @type {Map<string, string[]>} */
const byReason = new Map()
for (const [row, reason] of reasons) byReason.set(reason, [...(byReason.get(reason) ?? []), row])
console.log('\nout of scope:')
for (const [reason, rows] of byReason) console.log(`  ${rows.join(' ')}: ${reason}`)
for (const row of strays) console.log(`docs/out-of-scope.md names a row that docs/spec.md does not have: ${row}`)
for (const { row, test } of unknown) console.log(`unknown row ${row}, cited by "${test}"`)

if (file) {
  const groupsOut = Object.fromEntries(groups.map(({ id, rows }) => [id, { rows, ...verdicts[id] }]))
  writeFileSync(file, `${JSON.stringify({ groups: groupsOut }, null, 2)}\n`)
}
if (unknown.length > 0 || strays.length > 0) process.exitCode = 1
