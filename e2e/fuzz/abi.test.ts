/** A short run of the fuzz of the guest ABI, the same calls each time; `npm run fuzz:abi` makes new ones, and many. */
import { expect, test } from 'vitest'
import { fuzzAbi } from './abi.ts'

const CALLS = 10_000

test.each(['direct', 'channel'] as const)(
  'every import answers random calls with an error or success, and harms neither memory nor kernel (%s)',
  (way) => {
    const { calls, answers } = fuzzAbi({ calls: CALLS, seed: 20_261_125, way })
    expect(calls).toBe(CALLS)
    // The calls get far enough to mean something: each import has succeeded and failed, but those that can't.
    const only: Record<string, string> = { sched_yield: 'success', proc_exit: 'end' }
    for (const [name, counts] of answers) {
      if (name in only || name.startsWith('sock_')) continue
      expect([name, counts.has(0), [...counts.keys()].some((answer) => answer > 0)]).toEqual([name, true, true])
    }
    expect(answers.size).toBe(46)
  },
)
