/** `npm run bench`: ours, browser_wasi_shim and node:wasi side by side, in one run, row by row.
 *
 *     node e2e/bench/run.mjs [--json FILE] [--rows a,b] [--where node|chromium] [--quick]
 *
 * Each pass measures every row on every side, one after the other, so that a machine that is busy for a while is busy for all
 * of them; of the passes the least counts. Prints ratios and, at the end, whether the bar is held; exits 1 if it is not.
 * `--quick` runs every row once, small, and judges nothing: it tells whether they run. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { buildGuest } from '../guests/build.mjs'
import { chromiumSides } from './chromium.mjs'
import { nodeSides } from './node.mjs'
import { collect, table, verdict } from './report.mjs'
import { rows as allRows, sizes } from './rows.mjs'

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    rows: { type: 'string' },
    where: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
})
if (options.where !== undefined && options.where !== 'node' && options.where !== 'chromium')
  throw new Error('--where is node or chromium')

const names = options.rows?.split(',')
const unknown = names?.filter((name) => !allRows.some((row) => row.name === name)) ?? []
if (unknown.length > 0)
  throw new Error(`no such row: ${unknown.join(', ')}; there are ${allRows.map((row) => row.name).join(', ')}`)
const chosen = allRows.filter((row) => names?.includes(row.name) ?? true)
const rows = options.quick ? chosen.map(({ name, title }) => ({ name, title, n: 20 })) : chosen

/** Passes, and what bench.c is told of time: milliseconds per sample, samples, milliseconds in all. */
const effort = options.quick ? { passes: 1, time: ['0', '1', '1'] } : { passes: 5, time: ['15', '4', '600'] }

const guest = await buildGuest('bench.c')
/** @type {import('./report.mjs').Measurement[]} */
const measurements = []
/** @type {string[]} */
const failures = []

for (const [where, sidesOf] of /** @type {const} */ ([
  ['node', nodeSides],
  ['chromium', chromiumSides],
])) {
  if (options.where !== undefined && options.where !== where) continue
  const sides = await sidesOf(guest)
  try {
    for (let pass = 1; pass <= effort.passes; pass++)
      for (const row of rows) {
        progress(`${where}, pass ${pass} of ${effort.passes}: ${row.title}`)
        for (const side of sides) await measure(row, side)
      }
  } finally {
    for (const side of sides) await side.close()
    progress('')
  }
}

/** @param {import('./rows.mjs').Row} row @param {import('./sides.mjs').Side} side */
async function measure(row, side) {
  const { n, from, to } = sizes(row)
  for (const size of new Set(side.atTenfold ? [n, from, to] : [n])) {
    const { where, platform } = side
    try {
      const ns = await side.run([row.name, String(size), ...effort.time])
      measurements.push({ where, side: side.side, platform, row: row.name, n: size, ns })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      failures.push(`${where}, ${[side.side, platform].filter(Boolean).join(' ')}: ${message}`)
    }
  }
}

/** One line that is written over; nothing where nobody watches. @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

const report = collect(rows, measurements)
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ rows: report }, null, 2)}\n`)
console.log(table(rows, report))
for (const failure of new Set(failures)) console.error(`FAILED  ${failure}`)
if (options.quick) {
  console.log(`\n${failures.length > 0 ? 'some rows failed' : 'every row runs'}; --quick judges no times`)
} else {
  const { held, lines } = verdict(report)
  console.log(`\n${lines.join('\n')}\n\nthe bar is ${held && failures.length === 0 ? 'held' : 'missed'}`)
  if (!held) process.exitCode = 1
}
if (failures.length > 0) process.exitCode = 1
