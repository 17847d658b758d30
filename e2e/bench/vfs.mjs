/** `npm run bench:vfs`: our file system against memfs, ZenFS in memory and node:fs on a tmpfs, called directly in one process.
 *
 *     node e2e/bench/vfs.mjs [--json FILE] [--rows a,b] [--quick]
 *
 * Each pass measures every row on every side in turn, so that a machine that is busy for a while is busy for all of them; of
 * all samples the least counts. Prints ratios and whether the bars are held; exits 1 if not. `--quick` judges nothing. */
import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { root } from '../tools/run.mjs'
import { vfsTable, vfsVerdict } from './vfs-report.mjs'
import { rows as allRows, deep, sizes } from './vfs-rows.mjs'
import { loadOurs, memfsSide, nodeSide, oursSide, zenfsSide } from './vfs-sides.mjs'

const { values: options } = parseArgs({
  options: { json: { type: 'string' }, rows: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const names = options.rows?.split(',')
const rows = allRows.filter(({ name }) => names?.includes(name) ?? true)
if (rows.length === 0) throw new Error(`no such row; there are ${allRows.map(({ name }) => name).join(', ')}`)

/** Milliseconds that one row of one side takes in one pass, at least. */
const effort = options.quick ? { passes: 1, time: 1 } : { passes: 5, time: 60 }

const { makeOurs } = await loadOurs()
const ours = makeOurs()
const sides = [oursSide(ours), memfsSide(), await zenfsSide(), nodeSide()]

/** Nanoseconds per operation: of several samples the least. @param {import('./vfs-rows.mjs').Work} work @param {number} time */
function sample(work, time) {
  let least = Number.POSITIVE_INFINITY
  const end = performance.now() + time
  do {
    const start = performance.now()
    work.run()
    least = Math.min(least, performance.now() - start)
    work.undo?.()
  } while (performance.now() < end)
  return (least / work.operations) * 1e6
}

/** @param {import('./vfs-rows.mjs').VfsRow} row @param {import('./vfs-sides.mjs').VfsSide} side @param {number} present */
function measure(row, side, present) {
  const work = row.prepare(side, present)
  try {
    return sample(work, effort.time)
  } finally {
    work.end()
  }
}

/** @type {Map<string, number>} */
const least = new Map()
/** @param {string} key @param {() => number} take */
function keep(key, take) {
  const ns = take()
  if (ns < (least.get(key) ?? Number.POSITIVE_INFINITY)) least.set(key, ns)
}

/** Ours goes first in one pass and last in the next. */
const inTurn = (/** @type {number} */ pass) => (pass % 2 ? sides : sides.toReversed())

for (let pass = 1; pass <= effort.passes; pass++)
  for (const row of rows) {
    progress(`pass ${pass} of ${effort.passes}: ${row.title}`)
    const { at, from, to } = sizes[row.grows ?? 'files']
    for (const side of inTurn(pass)) {
      // Its directories cost milliseconds per operation, which no noise hides.
      if (side.name === 'zenfs' && pass > 2) continue
      keep(`${row.name} ${side.name}`, () => measure(row, side, at))
      const judged = side.name === 'ours' || side.name === 'node'
      if (!row.grows || !judged || options.quick || pass % 2 === 0) continue
      // One after the other: what is measured is the difference.
      keep(`${row.name} ${side.name} small`, () => measure(row, side, from))
      keep(`${row.name} ${side.name} large`, () => measure(row, side, to))
    }
  }

/** Depths are all measured on one side of ours: on it, then with many mounts beside. @param {string} label */
function depths(label) {
  const side = sides[0]
  if (!side) return
  for (const depth of [8, 64]) {
    const { path, end } = deep(depth, side)
    const run = () => {
      for (let i = 0; i < 1000; i++) side.stat(path)
    }
    for (let i = 0; i < effort.passes; i++)
      keep(`${label} ${depth}`, () => sample({ operations: 1000, run, end }, effort.time))
    end()
  }
}
progress('paths of many directories')
depths('depth')
ours.mountMany(1000)
depths('mounted')
const perLevel = (/** @type {string} */ label) =>
  ((least.get(`${label} 64`) ?? 0) - (least.get(`${label} 8`) ?? 0)) / 56

progress('memory')
const memory = await new Promise((resolve, reject) => {
  const script = fileURLToPath(new URL('vfs-memory.mjs', import.meta.url))
  const bundle = pathToFileURL(join(root, '.cache/bench/vfs/ours.mjs')).href
  const child = fork(script, [bundle], { execArgv: ['--expose-gc'], cwd: root })
  child.once('message', resolve)
  child.once('exit', (code) => reject(new Error(`measuring memory ended with ${code}`)))
})
for (const side of sides) side.end()
progress('')

/** @param {string} key */
const figure = (key) => least.get(key) ?? Number.NaN
/** @type {import('./vfs-report.mjs').VfsReport} */
const report = {
  rows: rows.map(({ name, title, metadata, grows }) => ({
    name,
    title,
    metadata,
    ns: {
      ours: figure(`${name} ours`),
      memfs: figure(`${name} memfs`),
      zenfs: figure(`${name} zenfs`),
      node: figure(`${name} node`),
    },
    ...(grows && {
      growth: figure(`${name} ours large`) / figure(`${name} ours small`),
      node_growth: figure(`${name} node large`) / figure(`${name} node small`),
    }),
  })),
  depth: { per_level: perLevel('depth'), with_mounts: perLevel('mounted') },
  memory,
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
console.log(vfsTable(report))
if (options.quick) console.log('\nevery row runs; --quick judges no times')
else {
  const { held, lines } = vfsVerdict(report)
  console.log(`\n${lines.join('\n')}\n\nthe bar is ${held ? 'held' : 'missed'}`)
  if (!held) process.exitCode = 1
}

/** One line that is written over; nothing where nobody watches. @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}
