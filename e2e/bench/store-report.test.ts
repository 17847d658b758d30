import { expect, test } from 'vitest'
import { storeVerdict } from './store-report.mjs'

const good = {
  large: { large: 100, barePuts: 75 },
  files: { manyFiles: 10, bareFiles: 100 },
  each: { syncEach: 150, bareEach: 100 },
  mount: { ours: 10, bare: 50 },
  peers: { ours: 10, zenfs: 50, jco: 50 },
  firstByte: { ms: 10, read: 1 << 20, bytes: 64 << 20 },
  rewritten: {
    before: { mount: 10, sync: 10 },
    after: { mount: 15, sync: 15 },
    stored: (2 << 20) - 1,
    live: 1 << 20,
    longestStep: 10,
  },
}
const { rewritten, peers } = good

test('the bars are held where every figure is within its own', () => {
  expect(storeVerdict(good)).toMatchObject({ held: true })
})

test.each([
  ['large writes', { ...good, large: { large: 101, barePuts: 75 } }],
  ['many files', { ...good, files: { manyFiles: 10.1, bareFiles: 100 } }],
  ['small commits', { ...good, each: { syncEach: 151, bareEach: 100 } }],
  ['mounts', { ...good, mount: { ours: 10.1, bare: 50 } }],
  ['a first byte that reads the rest', { ...good, firstByte: { ms: 1, read: (1 << 20) + 1, bytes: 64 << 20 } }],
  ['a long step', { ...good, rewritten: { ...rewritten, longestStep: 10.1 } }],
  ['garbage', { ...good, rewritten: { ...rewritten, stored: 2 << 20 } }],
  ['mounts after much was rewritten', { ...good, rewritten: { ...rewritten, after: { mount: 15.1, sync: 10 } } }],
  ['fsyncs after much was rewritten', { ...good, rewritten: { ...rewritten, after: { mount: 10, sync: 15.1 } } }],
  ['a peer', { ...good, peers: { ...peers, jco: 49 } }],
  ['a missing figure', { ...good, peers: { ...peers, zenfs: Number.NaN } }],
])('the bar is missed by %s', (_, report) => {
  const { held, lines } = storeVerdict(report)
  expect(held).toBe(false)
  expect(lines.filter((line) => line.startsWith('! '))).toHaveLength(1)
})
