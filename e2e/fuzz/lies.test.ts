/** A short run of the fuzz of FUSE servers that lie, the same lies each time; `npm run fuzz:lies` makes new ones, and many. */
import { expect, test } from 'vitest'
import { fuzzLies } from './lies.ts'

test('thousands of changed answers of a FUSE server are errors of the calls that they answer, and harm nothing', () => {
  const { calls, lies, outcomes } = fuzzLies({ calls: 7000, seed: 20_261_130 })
  expect(calls).toBe(7000)
  expect(lies).toBeGreaterThan(2000)
  // The calls get far enough to mean something.
  for (const outcome of ['ok', 'EIO', 'ENOENT', 'ENOTCONN', 'given up'])
    expect([outcome, outcomes.get(outcome) ?? 0]).toEqual([outcome, expect.toSatisfy((count) => count > 20)])
})
