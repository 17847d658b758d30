/** From measurements to rows, a table and a verdict. Pure: what was measured comes in, text and data go out.
 *
 * Invariant: of several measurements of one thing the least counts, for noise only ever adds.
 *
 * @typedef {'node' | 'chromium'} Where
 * @typedef {'ours' | 'without_proc' | 'shim' | 'node_wasi' | 'floor'} SideName
 * @typedef {{ where: Where, side: SideName, platform: string, row: string, n: number, ns: number }} Measurement
 *   `platform` of a peer is ''; `ns` is nanoseconds per operation
 *
 * @typedef {object} ReportRow
 * @property {string} name
 * @property {Where} where
 * @property {string} platform
 * @property {number} n            at which ours and the peers were measured
 * @property {number} ours_us      microseconds per operation
 * @property {Record<string, number>} peers  the same, by peer
 * @property {number} growth       cost of ours at ten times the size over cost of ours
 * @property {Record<string, number>} peer_growth  the same, of the peers that were measured at both sizes
 */
import { judgePlatforms } from './platforms.mjs'
import { sizes } from './rows.mjs'

/** No row may cost more than this at ten times the size. */
export const GROWTH_LIMIT = 1.5

/**
 * @param {readonly import('./rows.mjs').Row[]} rows
 * @param {readonly Measurement[]} measurements
 * @returns {ReportRow[]} for each row that was measured somewhere, one per place and platform of ours
 */
export function collect(rows, measurements) {
  /** @type {(where: Where, side: SideName, platform: string, row: string, n: number) => number | undefined} */
  const least = (where, side, platform, row, n) => {
    const found = measurements.filter(
      (m) => m.where === where && m.side === side && m.platform === platform && m.row === row && m.n === n,
    )
    return found.length > 0 ? Math.min(...found.map((m) => m.ns)) : undefined
  }
  const places = new Map(
    measurements
      .filter((m) => m.side === 'ours')
      .map((m) => [`${m.where} ${m.platform}`, { where: m.where, platform: m.platform }]),
  )
  const result = []
  for (const { where, platform } of places.values())
    for (const row of rows) {
      const { n, from, to } = sizes(row)
      const ours = least(where, 'ours', platform, row.name, n)
      const [small, large] = [from, to].map((size) => least(where, 'ours', platform, row.name, size))
      if (ours === undefined || small === undefined || large === undefined) continue
      /** @type {Record<string, number>} */
      const peers = {}
      /** @type {Record<string, number>} */
      const peerGrowth = {}
      for (const side of /** @type {const} */ (['shim', 'node_wasi'])) {
        const at = least(where, side, '', row.name, n)
        if (at !== undefined) peers[side] = round(at / 1000)
        const [s, l] = [from, to].map((size) => least(where, side, '', row.name, size))
        if (s !== undefined && l !== undefined) peerGrowth[side] = round(l / s)
      }
      result.push({
        name: row.name,
        where,
        platform,
        n,
        ours_us: round(ours / 1000),
        peers,
        growth: round(large / small),
        peer_growth: peerGrowth,
      })
    }
  return result
}

/** @param {number} value */
const round = (value) => Number(value.toPrecision(4))

/**
 * @param {readonly import('./rows.mjs').Row[]} rows
 * @param {readonly ReportRow[]} report
 * @returns {string} a table per place and platform; a ratio is the peer's time over ours, so that more is better for us
 */
export function table(rows, report) {
  const titles = new Map(rows.map(({ name, title }) => [name, title]))
  const lines = []
  for (const [place, group] of places(report)) {
    const peers = Object.keys(group[0]?.peers ?? {})
    const heads = ['µs per operation', 'n', 'ours', ...peers.flatMap((peer) => [peer, '× ours']), 'growth']
    const cells = group.map((r) => [
      titles.get(r.name) ?? r.name,
      String(r.n),
      micros(r.ours_us),
      ...peers.flatMap((peer) => [
        micros(r.peers[peer] ?? Number.NaN),
        ratio((r.peers[peer] ?? Number.NaN) / r.ours_us),
      ]),
      r.growth.toFixed(2) + (r.peer_growth.node_wasi === undefined ? '' : ` (${r.peer_growth.node_wasi.toFixed(2)})`),
    ])
    const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i]?.length ?? 0)))
    const line = (/** @type {string[]} */ row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
    lines.push(`ours on ${place}`, line(heads), ...cells.map(line), '')
  }
  lines.push(
    'growth: cost at ten times the size over cost; in brackets that of node:wasi, where nothing but memory grows',
  )
  return lines.join('\n')
}

/** @param {readonly ReportRow[]} report @returns {Map<string, ReportRow[]>} by place and platform */
function places(report) {
  const groups = new Map()
  for (const row of report) {
    const place = `${row.where}, ${row.platform}`
    groups.set(place, [...(groups.get(place) ?? []), row])
  }
  return groups
}

/** @param {number} us */
const micros = (us) => (us >= 100 ? us.toFixed(0) : us >= 10 ? us.toFixed(1) : us.toFixed(2))
/** @param {number} value */
const ratio = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))

/** @typedef {(place: string, what: string, faults: string[]) => void} Say */

/**
 * The bar. Where guests run in the kernel's Worker, or without any: every row at least as fast as the shim and, in Node, as
 * node:wasi, and twice as fast as node:wasi in the geometric mean. On `worker`: no more above `inline` than the bare parts of a
 * call between threads cost (platforms.mjs). With /proc and /sys as without them. Everywhere: no growth above the limit, but where node:wasi grows as much.
 *
 * @param {readonly ReportRow[]} report
 * @param {readonly Measurement[]} measurements
 * @returns {{ held: boolean, lines: string[] }} a line per rule and place
 */
export function verdict(report, measurements) {
  /** @type {string[]} */
  const lines = []
  let held = true
  /** @type {Say} */
  const say = (place, what, faults) => {
    if (faults.length > 0) held = false
    lines.push(
      `${faults.length > 0 ? 'MISSED' : 'held  '}  ${place}: ${what}${faults.map((f) => `\n          ${f}`).join('')}`,
    )
  }
  for (const [place, group] of places(report)) {
    if (group[0]?.platform !== 'worker') judgePeers(place, group, say)
    say(
      place,
      `no row grows by more than ${GROWTH_LIMIT} from n to 10 n, or than node:wasi does`,
      group
        .filter((r) => !(r.growth <= Math.max(GROWTH_LIMIT, r.peer_growth.node_wasi ?? 0)))
        .map((r) => `${r.name}: ${r.growth.toFixed(2)}`),
    )
  }
  judgeProc(measurements, say)
  judgePlatforms(report, measurements, say)
  if (report.length === 0) return { held: false, lines: ['MISSED  nothing was measured'] }
  return { held, lines }
}

/** What is made when it is read costs nothing who does not read it: seen at the larger size, where least else is measured.
 * @param {readonly Measurement[]} measurements @param {Say} say */
function judgeProc(measurements, say) {
  const without = measurements.filter(({ side }) => side === 'without_proc')
  const logs = [...new Set(without.map(({ row }) => row))].map((row) => {
    const n = Math.max(...without.filter((m) => m.row === row).map((m) => m.n))
    /** @type {(side: SideName) => number} */
    const least = (side) =>
      Math.min(
        ...measurements
          .filter((m) => m.side === side && m.where === 'node' && m.row === row && m.n === n)
          .map(({ ns }) => ns),
      )
    return Math.log(least('ours') / least('without_proc'))
  })
  if (logs.length === 0) return
  const times = Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length)
  const what = `/proc and /sys cost nothing to a guest that reads neither: ${times.toFixed(2)} times a call without them`
  say('node, inline', what, times <= 1.2 ? [] : ['no more than 1.2 times, by which two runs of one thing may differ'])
}

/** @param {string} place @param {ReportRow[]} group @param {Say} say */
function judgePeers(place, group, say) {
  /** @param {string} peer @param {string} title */
  const atLeastAsFastAs = (peer, title) =>
    say(
      place,
      `every row at least as fast as ${title}`,
      group
        .filter((r) => !(r.ours_us <= (r.peers[peer] ?? Number.NaN)))
        .map((r) => `${r.name}: ${micros(r.ours_us)} µs, ${title} ${micros(r.peers[peer] ?? Number.NaN)} µs`),
    )
  atLeastAsFastAs('shim', 'browser_wasi_shim')
  if (!group.some((r) => r.peers.node_wasi !== undefined)) return
  atLeastAsFastAs('node_wasi', 'node:wasi')
  const logs = group.map((r) => Math.log((r.peers.node_wasi ?? Number.NaN) / r.ours_us))
  const mean = Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length)
  say(
    place,
    'at least 2 times as fast as node:wasi in the geometric mean',
    mean >= 2 ? [] : [`it is ${mean.toFixed(2)} times as fast`],
  )
}
