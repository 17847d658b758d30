/**
 * Each operation on each kind of file at each place in the layers: what it answers, what is shown afterwards, what the upper then
 * holds, and whose inode number changed. What is expected was recorded from Linux's overlayfs (e2e/fuzz/unions.mjs --record).
 */

import { describe, expect, test } from 'vitest'
import recorded from '../../testing/linux/unions.json' with { type: 'json' }
import { unionCases } from '../../testing/union-cases.ts'
import { runUnion, tell } from '../../testing/unions.ts'

/** A rename that fails leaves nothing behind here; Linux has copied the directory up. */
const VAIN = new Set(
  ['in the upper', 'in an opaque directory'].map((place) => `rename of a lower directory over it: a full ${place}`),
)

const expected: ReadonlyMap<string, string> = new Map(Object.entries(recorded))
const cases = unionCases()

const doings = new Set([...cases.keys()].map((name) => name.slice(0, name.indexOf(':'))))

describe('B084 B085 B086 B100 B101 B114 B115 B117 B118 B119 B121 B123 B124 B125 B126 as on Linux, over warm and cold layers', () => {
  test.each([...doings])('%s', (doing) => {
    const differing: string[] = []
    for (const [name, given] of cases) {
      if (!name.startsWith(`${doing}:`)) continue
      const outcome = tell(runUnion(given))
      const onLinux = expected.get(name)
      if (VAIN.has(name)) expect(outcome, name).not.toBe(onLinux)
      else if (outcome !== onLinux) differing.push(`${name}\n  Linux: ${onLinux}\n  ours:  ${outcome}`)
      if (tell(runUnion(given, { cold: true, coldPages: true })) !== outcome)
        differing.push(`${name}: not so when cold`)
    }
    expect(differing).toEqual([])
  })

  test('every recorded case is run', () => {
    expect([...cases.keys()]).toEqual([...expected.keys()])
    expect(cases.size).toBeGreaterThan(2000)
  })
})
