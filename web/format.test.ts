import { expect, test } from 'vitest'
import { formatBytes, formatCount, formatDuration, formatProgress } from './format.ts'

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [102_400, '100 KiB'],
  [1_048_575, '1 MiB'],
  [75 * 1024 * 1024, '75 MiB'],
  [3.25 * 1024 ** 3, '3.3 GiB'],
  [5000 * 1024 ** 4, '5000 TiB'],
])('%d bytes are %s', (bytes, shown) => {
  expect(formatBytes(bytes)).toBe(shown)
})

test.each([
  [0, '0 ms'],
  [0.36, '0.4 ms'],
  [9.94, '9.9 ms'],
  [9.96, '10 ms'],
  [999.4, '999 ms'],
  [999.6, '1.00 s'],
  [1250, '1.25 s'],
  [59_990, '59.99 s'],
  [59_996, '1 min 0 s'],
  [125_000, '2 min 5 s'],
])('%d milliseconds are %s', (ms, shown) => {
  expect(formatDuration(ms)).toBe(shown)
})

test('counts have separators, and a progress says how much of what', () => {
  expect(formatCount(1234567)).toBe('1,234,567')
  expect(formatProgress(512, 1024)).toBe('512 B of 1 KiB')
  expect(formatProgress(512, undefined)).toBe('512 B')
})
