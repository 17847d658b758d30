import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { overlayVerdict } from './overlay-report.mjs'

const good = {
  ns: {
    ...{ 'read tmpfs': 100, 'read overlay': 119, 'write tmpfs': 100, 'write overlay': 120 },
    ...{ 'lookup 1': 100, 'lookup 10': 299, 'readdir tmpfs': 10, 'readdir spread': 149, 'readdir same': 400 },
    ...{ 'first tmpfs': 100, 'first overlay': 9000 },
  },
  first: { read: 262_144, blocks: 16 },
}

test('the bars are held where every ratio is within its own', () => {
  expect(overlayVerdict(good)).toMatchObject({ held: true })
})

test.each([
  ['reads', { ...good, ns: { ...good.ns, 'read overlay': 121 } }],
  ['writes', { ...good, ns: { ...good.ns, 'write overlay': 121 } }],
  ['lookups', { ...good, ns: { ...good.ns, 'lookup 10': 301 } }],
  ['listings', { ...good, ns: { ...good.ns, 'readdir spread': 151 } }],
  ['a missing figure', { ...good, ns: { ...good.ns, 'readdir spread': Number.NaN } }],
  ['a first write that reads more than a window', { ...good, first: { read: 262_145, blocks: 16 } }],
  ['a first write that takes more than a page', { ...good, first: { read: 262_144, blocks: 17 } }],
])('the bar is missed by %s', (_, report) => {
  const { held, lines } = overlayVerdict(report)
  expect(held).toBe(false)
  expect(lines.filter((line) => line.startsWith('MISSED'))).toHaveLength(1)
})

test('every work of the benchmark runs, and the first write to a file of 1 GiB costs a page', () => {
  const script = fileURLToPath(new URL('overlay.mjs', import.meta.url))
  const out = execFileSync(process.execPath, [script, '--quick'], { encoding: 'utf8' })
  expect(out).toMatch(/held {3}the first write .* reads \d+ bytes of it and takes 16 blocks/)
  expect(out).toMatch(/every work runs/)
})
