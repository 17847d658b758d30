import { expect, test } from 'vitest'
import { mountsVerdict } from './mounts-report.mjs'

const good = {
  boot: 80,
  empty: 40,
  comment: 30,
  create: 0.8,
  delete: 0.2,
  roundTrip: 0.04,
  through10: 100,
  through1000: 119,
}

test('the bars are held where every ratio is within its own', () => {
  expect(mountsVerdict(good)).toMatchObject({ held: true })
})

test.each([
  ['a slow boot', { ...good, boot: 81 }],
  ['a slow create', { ...good, create: 0.81 }],
  ['a slow delete', { ...good, delete: 0.81 }],
  ['a walk that mounts make slow', { ...good, through1000: 121 }],
  ['a missing figure', { ...good, through1000: Number.NaN }],
])('the bar is missed by %s', (_, report) => {
  const { held, lines } = mountsVerdict(report)
  expect(held).toBe(false)
  expect(lines.filter((line) => line.startsWith('MISSED'))).toHaveLength(1)
})
