/** `npm run bench`: ours, browser_wasi_shim and node:wasi side by side, in one run, row by row; and reads through verity beside the same without it.
 *
 *     node e2e/bench/run.mjs [--json FILE] [--rows a,b] [--where node|chromium] [--quick]
 *
 * Each pass measures every row on every side, one after the other, so that a machine that is busy for a while is busy for all
 * of them; of the passes the least counts. Prints ratios and, at the end, whether the bar is held; exits 1 if it is not.
 * `--quick` runs every row once, small, and judges nothing: it tells whether they run. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { buildGuest } from '../guests/build.mjs'
import { importSource } from '../tools/import-source.mjs'
import { chromiumPlace } from './chromium.mjs'
import { measureInTurn } from './in-turn.mjs'
import { nodeSides } from './node.mjs'
import { collect, table, verdict } from './report.mjs'
import { rows as allRows, sizes } from './rows.mjs'
import { verityVerdict } from './verity-report.mjs'

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
const effort = options.quick
  ? { passes: 1, time: ['0', '1', '1'], starts: 1, reads: 1, compiles: 0, warmUps: 0, verity: { passes: 1, time: 1 } }
  : {
      passes: 5,
      time: ['15', '4', '600'],
      starts: 10,
      reads: 8,
      compiles: 2,
      warmUps: 12,
      verity: { passes: 6, time: 120 },
    }

const guest = await buildGuest('bench.c')
/** @type {import('./report.mjs').Measurement[]} */
const measurements = []
/** @type {string[]} */
const failures = []

for (const where of /** @type {const} */ (['node', 'chromium'])) {
  if (options.where !== undefined && options.where !== where) continue
  const place = where === 'node' ? undefined : await chromiumPlace(guest)
  const sides = place?.sides ?? (await nodeSides(guest))
  try {
    if (place) await warmUp(place)
    for (let pass = 1; pass <= effort.passes; pass++) {
      for (const row of rows) {
        progress(`${where}, pass ${pass} of ${effort.passes}: ${row.title}`)
        for (const side of sides) await measure(row, side)
      }
      progress(`${where}, pass ${pass} of ${effort.passes}: platforms`)
      if (place) await measurePlatforms(place)
    }
  } finally {
    for (const side of sides) await side.close()
    progress('')
  }
}

/**
 * Compiles that do not count: V8 makes the compiler's own code fast in the background, while it runs, which takes six compiles
 * or so. Until then the platforms differ by how far it has come, 1.3 to 2 times; what is judged is what they cost.
 *
 * @param {import('./chromium.mjs').Place} place
 */
async function warmUp(place) {
  for (let i = 1; i <= effort.warmUps; i++) {
    progress(`chromium, compile ${i} of ${effort.warmUps} that do not count`)
    for (const platform of ['inline', 'worker']) await place.ours('compile', platform).catch(() => {})
  }
}

/** @param {import('./rows.mjs').Row} row @param {import('./sides.mjs').Side} side */
async function measure(row, side) {
  if (side.rows?.includes(row.name) === false) return
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

/** What platforms.mjs judges. @param {import('./chromium.mjs').Place} place */
async function measurePlatforms(place) {
  /** @type {(side: 'ours' | 'floor', platform: string, row: string, measured: () => Promise<number>) => Promise<void>} */
  const add = async (side, platform, row, measured) => {
    try {
      measurements.push({ where: 'chromium', side, platform, row, n: 0, ns: await measured() })
    } catch (error) {
      failures.push(`chromium, ${side} ${platform}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  for (const row of /** @type {const} */ (['copy', 'roundTrip'])) await add('floor', '', row, () => place.floor(row))
  for (let i = 0; i < effort.starts; i++) {
    await add('floor', '', 'start', () => place.floor('start'))
    await add('ours', 'worker', 'start', () => place.ours('start', 'worker'))
  }
  for (let i = 0; i < effort.reads; i++) {
    await add('floor', '', 'comlink', () => place.floor('comlink'))
    for (const platform of ['jspi', 'worker']) await add('ours', platform, 'fuse', () => place.ours('fuse', platform))
  }
  for (const platform of ['inline', 'worker'])
    for (let i = 0; i < effort.compiles; i++)
      await add('ours', platform, 'compile', () => place.ours('compile', platform))
}

/** One line that is written over; nothing where nobody watches. @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

/** Nanoseconds per read; none where only some rows were asked for. */
async function measureVerity() {
  if (names || options.where === 'chromium') return undefined
  progress('node: verity')
  /** @type {typeof import('./verity-ours.ts')} */
  const { verityBench } = await importSource('e2e/bench/verity-ours.ts')
  const ns = measureInTurn(verityBench(), effort.verity)
  progress('')
  return ns
}

const verity = await measureVerity()
const report = collect(rows, measurements)
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ rows: report, verity }, null, 2)}\n`)
console.log(table(rows, report))
for (const failure of new Set(failures)) console.error(`FAILED  ${failure}`)
if (options.quick) {
  console.log(`\n${failures.length > 0 ? 'some rows failed' : 'every row runs'}; --quick judges no times`)
} else {
  const verdicts = [verdict(report, measurements), ...(verity ? [verityVerdict(verity)] : [])]
  const held = verdicts.every((each) => each.held)
  const lines = verdicts.flatMap((each) => each.lines)
  console.log(`\n${lines.join('\n')}\n\nthe bar is ${held && failures.length === 0 ? 'held' : 'missed'}`)
  if (!held) process.exitCode = 1
}
if (failures.length > 0) process.exitCode = 1
