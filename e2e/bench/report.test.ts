import { describe, expect, test } from 'vitest'
import { collect, type Measurement, table, verdict } from './report.mjs'

const rows = [
  { name: 'stat', title: 'stat', n: 100 },
  { name: 'readdir', title: 'readdir', n: 1000, from: 10 },
]
const at = (side: 'ours' | 'shim' | 'node_wasi', row: string, n: number, ns: number): Measurement => {
  return { where: 'node', side, platform: side === 'ours' ? 'inline' : '', row, n, ns }
}
/** Of `stat`: ours, at ten times the size, the shim, node:wasi. */
const stat = (ours: number, tenfold: number, shim: number, node: number) => [
  at('ours', 'stat', 100, ours),
  at('ours', 'stat', 1000, tenfold),
  at('shim', 'stat', 100, shim),
  at('node_wasi', 'stat', 100, node),
]

const judged = (measurements: Measurement[]) => verdict(collect(rows, measurements), measurements)

test('a row has microseconds of ours and of its peers, and growth from n to 10 n', () => {
  expect(collect(rows, stat(2000, 2200, 3000, 2500))).toEqual([
    {
      name: 'stat',
      where: 'node',
      platform: 'inline',
      n: 100,
      ours_us: 2,
      peers: { shim: 3, node_wasi: 2.5 },
      growth: 1.1,
      peer_growth: {},
    },
  ])
})

test('of several passes the least counts, at each size for itself', () => {
  const [row] = collect(rows, [...stat(2000, 9000, 3000, 2500), ...stat(4000, 4000, 2900, 9900)])
  expect(row).toMatchObject({ ours_us: 2, growth: 2, peers: { shim: 2.9, node_wasi: 2.5 } })
})

test('a row may grow between other sizes than the one at which it is compared', () => {
  const sizes = [10, 100, 1000].map((n) => at('ours', 'readdir', n, n === 100 ? 1200 : 1000))
  expect(collect(rows, [...sizes, at('shim', 'readdir', 1000, 8000)])).toMatchObject([
    { n: 1000, ours_us: 1, growth: 1.2, peers: { shim: 8 } },
  ])
})

test('a row of which a size could not be measured is left out', () => {
  expect(collect(rows, [at('ours', 'stat', 100, 1000), at('shim', 'stat', 100, 1000)])).toEqual([])
})

test('the table has a line per row, with the ratio of each peer to ours', () => {
  const text = table(rows, collect(rows, stat(2000, 2200, 3000, 1000)))
  expect(text).toContain('ours on node, inline')
  expect(text).toMatch(/^stat +100 +2\.00 +3\.00 +1\.50 +1\.00 +0\.50 +1\.10$/m)
})

test('the bar is held by rows that are as fast as the peers and do not grow', () => {
  const { held, lines } = judged(stat(2000, 3000, 2000, 4000))
  expect(held).toBe(true)
  expect(lines).toHaveLength(4)
})

test.each([
  ['slower than the shim', stat(2001, 2001, 2000, 9000), 'browser_wasi_shim'],
  ['growing by more than 1.5', stat(2000, 3010, 9000, 9000), 'grows'],
  ['slower than node:wasi', stat(2000, 2000, 9000, 1900), 'at least as fast as node:wasi'],
  ['not twice as fast as node:wasi', stat(2000, 2000, 9000, 3900), 'geometric mean'],
  ['without a figure of the shim', [at('ours', 'stat', 100, 1), at('ours', 'stat', 1000, 1)], 'browser_wasi_shim'],
])('the bar is missed by a row that is %s', (_, measurements, rule) => {
  const { held, lines } = judged(measurements)
  expect(held).toBe(false)
  expect(lines.filter((line) => line.startsWith('MISSED')).join()).toContain(rule)
})

test.each([
  [2390, true],
  [2410, false],
])('a call of %d ns with /proc and /sys, 2000 without them: %s', (ns, held) => {
  const without: Measurement = { where: 'node', side: 'without_proc', platform: '', row: 'stat', n: 1000, ns: 2000 }
  const { lines } = judged([...stat(ns, ns, 9000, 9000), without])
  expect(lines.find((line) => line.includes('/proc'))).toMatch(held ? /^held/ : /^MISSED/)
})

test('the bar is missed where nothing was measured', () => {
  expect(judged([]).held).toBe(false)
})

describe('platforms', () => {
  const chromium = (platform: string, row: string, us: number): Measurement[] =>
    [100, 1000].map((n) => ({ where: 'chromium', side: 'ours', platform, row, n, ns: us * 1000 }))
  const single = (side: 'ours' | 'floor', platform: string, row: string, ns: number): Measurement => {
    return { where: 'chromium', side, platform, row, n: 0, ns }
  }
  const rows = ['fstat', 'read-4k', 'read-1m', 'pwrite-1m'].map((name) => ({ name, title: name, n: 100 }))
  const judge = (...more: Measurement[]) => {
    const measurements = [
      ...['fstat', 'read-4k'].flatMap((row) => [...chromium('inline', row, 0.2), ...chromium('worker', row, 8)]),
      ...['read-1m', 'pwrite-1m'].flatMap((row) => [...chromium('inline', row, 25), ...chromium('worker', row, 50)]),
      single('floor', '', 'copy', 70),
      single('floor', '', 'roundTrip', 4000),
      single('floor', '', 'start', 2e6),
      single('ours', 'worker', 'start', 3e6),
      single('ours', 'inline', 'compile', 1e9),
      single('ours', 'worker', 'compile', 1.3e9),
      ...[9e5, 2e5, 1e6].map((ns) => single('floor', '', 'comlink', ns)),
      ...['worker', 'jspi'].flatMap((platform) => [4e5, 2e6].map((ns) => single('ours', platform, 'fuse', ns))),
    ]
    const kept = measurements.filter(
      (m) => !more.some((o) => o.side === m.side && o.platform === m.platform && o.row === m.row),
    )
    const all = [...kept, ...more]
    return verdict(collect(rows, all), all).lines.filter((line) => line.startsWith('MISSED') && !line.includes('shim'))
  }

  test('hold the bar where each costs what its bare parts allow', () => {
    expect(judge()).toEqual([])
  })

  test.each([
    ['a read that is dearer than a copy', 'import that copies', chromium('inline', 'read-4k', 0.29)],
    ['a call that is dearer than two round trips', '2 bare round trips', chromium('worker', 'fstat', 8.3)],
    ['slow reads of 1 MiB', 'half of the throughput', chromium('worker', 'read-1m', 51)],
    ['slow writes of 1 MiB', 'half of the throughput', chromium('worker', 'pwrite-1m', 51)],
    ['a slow compiler', 'clang', [single('ours', 'worker', 'compile', 1.31e9)]],
    ['slow reads of what the page serves', 'comlink round trip', [single('ours', 'jspi', 'fuse', 4.1e5)]],
    ['a slow start', 'starts', [single('ours', 'worker', 'start', 3.1e6)]],
  ])('miss it with %s', (_, rule, measurements) => {
    const missed = judge(...measurements)
    expect(missed.length).toBeGreaterThan(0)
    expect(missed.join()).toContain(rule)
  })
})
