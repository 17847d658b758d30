import { expect, test } from 'vitest'
import { type VfsReport, vfsTable, vfsVerdict } from './vfs-report.mjs'

const good: VfsReport = {
  rows: [
    {
      ...{ name: 'stat', title: 'stat', metadata: true, growth: 1.2, node_growth: 1 },
      ns: { ours: 100, memfs: 300, zenfs: 4000, node: 700 },
    },
    { name: 'read', title: 'read 4 KiB', metadata: false, ns: { ours: 200, memfs: 600, zenfs: 900, node: 150 } },
  ],
  depth: { per_level: 20, with_mounts: 25 },
  memory: { empty: 430, hundred: 710 },
}
const [stat, read] = good.rows as [VfsReport['rows'][0], VfsReport['rows'][0]]
const missed = (report: VfsReport) => vfsVerdict(report).lines.filter((line) => line.startsWith('MISSED'))

test('the bars are held where every figure is within its own; data rows may be slower than node:fs', () => {
  expect(missed(good)).toEqual([])
  expect(vfsVerdict(good).held).toBe(true)
})

test.each<[string, VfsReport, RegExp]>([
  [
    'slower than memfs',
    { ...good, rows: [{ ...stat, ns: { ...stat.ns, memfs: 99 } }, read, read] },
    /as memfs\n +stat/,
  ],
  ['slower than ZenFS', { ...good, rows: [stat, { ...read, ns: { ...read.ns, zenfs: 199 } }] }, /ZenFS\n +read/],
  ['slower than node:fs', { ...good, rows: [{ ...stat, ns: { ...stat.ns, node: 99 } }, read] }, /node:fs on.*\n +stat/],
  ['under three times memfs', { ...good, rows: [{ ...stat, ns: { ...stat.ns, memfs: 290 } }, read] }, /median row/],
  ['growing', { ...good, rows: [{ ...stat, growth: 1.51 }, read] }, /grows.*\n +stat: 1.51/],
  ['without a figure', { ...good, rows: [{ ...stat, growth: Number.NaN }, read] }, /grows/],
  ['slower with many mounts', { ...good, depth: { per_level: 20, with_mounts: 31 } }, /number of mounts/],
  ['heavy when empty', { ...good, memory: { empty: 600, hundred: 710 } }, /empty file/],
  ['heavy with 100 bytes', { ...good, memory: { empty: 430, hundred: 800 } }, /100 bytes/],
])('the bar is missed by what is %s', (_, report, line) => {
  expect(vfsVerdict(report).held).toBe(false)
  expect(missed(report)).toHaveLength(1)
  expect(missed(report)[0]).toMatch(line)
})

test('what grows more on node:fs than on ours is the machine', () => {
  expect(missed({ ...good, rows: [{ ...stat, growth: 1.7, node_growth: 2.3 }, read] })).toEqual([])
})

test('the table has a line per row with the ratio of each peer, and growth in brackets that of node:fs', () => {
  expect(vfsTable(good)).toMatch(/^stat +100 +300 +3\.0 +4000 +40\.0 +700 +7\.0 +1\.20 \(1\.00\)$/m)
})
