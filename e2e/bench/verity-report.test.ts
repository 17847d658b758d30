import { expect, test } from 'vitest'
import { verityVerdict } from './verity-report.mjs'

const rows = (unhashed: number) =>
  Object.fromEntries(
    ['4k', '64k', '1m', '16'].flatMap((size) => [
      [`${size} tmpfs`, 100],
      [`${size} unhashed`, unhashed],
      [`${size} verity`, 9000],
    ]),
  )

test('the bar is held where a read costs at most twice as much, hashing aside, which is told apart', () => {
  const { held, lines } = verityVerdict(rows(200))
  expect(held).toBe(true)
  expect(lines[0]).toBe(
    'held    verity, a read of 4 KiB, hashing aside: 200 / 100 ns = 2.00, at most 2; hashing: 8800 ns',
  )
})

test.each([
  ['one row', { ...rows(200), '16 unhashed': 201 }],
  ['a missing figure', { ...rows(200), '16 unhashed': Number.NaN }],
])('it is missed by %s', (_, ns) => {
  const { held, lines } = verityVerdict(ns)
  expect(held).toBe(false)
  expect(lines.filter((line) => line.startsWith('MISSED'))).toHaveLength(1)
})
