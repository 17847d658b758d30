/** From the VFS benchmark's measurements to a table and a verdict. Pure.
 *
 * @typedef {'ours' | 'memfs' | 'zenfs' | 'node'} SideName
 * @typedef {object} VfsReportRow
 * @property {string} name
 * @property {string} title
 * @property {boolean} metadata
 * @property {Record<SideName, number>} ns  nanoseconds per operation, the least of the passes
 * @property {number} [growth]       of ours: at the large size over at the small one
 * @property {number} [node_growth]  the same of node:fs, whose kernel's algorithms do not grow
 *
 * @typedef {object} VfsReport
 * @property {readonly VfsReportRow[]} rows
 * @property {{ per_level: number, with_mounts: number }} depth  ns of each further directory of a path; the same over a table of 1,000 mounts
 * @property {{ empty: number, hundred: number }} memory  bytes per file
 */
import { GROWTH_LIMIT } from './report.mjs'

export const MEMORY_LIMIT = { empty: 600, hundred: 800 }
const MEDIAN_OVER_MEMFS = 3
/** @type {readonly SideName[]} */
const peers = ['memfs', 'zenfs', 'node']

/** @param {VfsReport} report @returns {string} a ratio is the peer's time over ours, so that more is better for us */
export function vfsTable({ rows, depth, memory }) {
  const heads = ['ns per operation', 'ours', ...peers.flatMap((peer) => [peer, '× ours']), 'growth']
  const cells = rows.map(({ title, ns, growth, node_growth }) => [
    title,
    ns.ours.toFixed(0),
    ...peers.flatMap((peer) => [ns[peer].toFixed(0), (ns[peer] / ns.ours).toFixed(1)]),
    growth === undefined ? '' : `${growth.toFixed(2)} (${(node_growth ?? Number.NaN).toFixed(2)})`,
  ])
  const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i]?.length ?? 0)))
  const line = (/** @type {string[]} */ row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
  return [
    ...[heads, ...cells].map(line),
    '',
    'growth: cost with 100,000 files over cost with 1,000, or at 256 MiB over at 1 MiB; in brackets that of node:fs',
    `each further directory of a path: ${depth.per_level.toFixed(0)} ns, with 1,000 mounts ${depth.with_mounts.toFixed(0)} ns`,
    `heap of a file: ${memory.empty.toFixed(0)} bytes empty, ${memory.hundred.toFixed(0)} bytes with 100 (of 100,000)`,
  ].join('\n')
}

/** @param {VfsReport} report @returns {{ held: boolean, lines: string[] }} a line per rule */
export function vfsVerdict({ rows, depth, memory }) {
  /** @type {string[]} */
  const lines = []
  let held = rows.length > 0
  /** @type {(what: string, faults: string[]) => void} */
  const say = (what, faults) => {
    if (faults.length > 0) held = false
    lines.push(
      `${faults.length > 0 ? 'MISSED' : 'held  '}  ${what}${faults.map((fault) => `\n          ${fault}`).join('')}`,
    )
  }
  /** @param {SideName} peer @param {readonly VfsReportRow[]} among */
  const slower = (peer, among) =>
    among
      .filter(({ ns }) => !(ns.ours <= ns[peer]))
      .map(({ name, ns }) => `${name}: ${ns.ours.toFixed(0)} ns, ${peer} ${ns[peer].toFixed(0)} ns`)
  say('every row at least as fast as memfs', slower('memfs', rows))
  say('every row at least as fast as ZenFS', slower('zenfs', rows))
  const middle = median(rows.map(({ ns }) => ns.memfs / ns.ours))
  say(
    `the median row at least ${MEDIAN_OVER_MEMFS} times as fast as memfs`,
    middle >= MEDIAN_OVER_MEMFS ? [] : [`${middle.toFixed(2)} times`],
  )
  say(
    'faster than node:fs on every metadata row',
    slower(
      'node',
      rows.filter(({ metadata }) => metadata),
    ),
  )
  // What grows more on node:fs, whose kernel's algorithms do not grow, is the machine's memory: 100,000 entries fit no cache.
  const growing = rows.filter(
    ({ growth, node_growth = 0 }) => growth !== undefined && !(growth <= Math.max(GROWTH_LIMIT, node_growth)),
  )
  say(
    `no row grows by more than ${GROWTH_LIMIT}, or than node:fs does in the same run`,
    growing.map(
      ({ name, growth, node_growth }) => `${name}: ${growth?.toFixed(2)}, node:fs ${node_growth?.toFixed(2)}`,
    ),
  )
  const ratio = depth.with_mounts / depth.per_level
  say('a path costs the same whatever the number of mounts', ratio <= GROWTH_LIMIT ? [] : [`${ratio.toFixed(2)} times`])
  for (const kind of /** @type {const} */ (['empty', 'hundred'])) {
    const limit = MEMORY_LIMIT[kind]
    const what = kind === 'empty' ? 'an empty file' : 'a file of 100 bytes'
    say(
      `${what} takes less than ${limit} bytes of heap`,
      memory[kind] < limit ? [] : [`${memory[kind].toFixed(0)} bytes`],
    )
  }
  return { held, lines }
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2
    ? (sorted[half] ?? Number.NaN)
    : ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2
}
