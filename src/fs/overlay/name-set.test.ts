import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NameSet } from './name-set.ts'

test('a set of names is a set, whatever the names', () => {
  const name = fc.oneof(fc.string({ unit: 'binary', maxLength: 6 }), fc.constantFrom('', 'a', 'ä', '\0', '__proto__'))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 300 }), (names) => {
      const [ours, theirs] = [new NameSet(), new Set<string>()]
      for (const each of names) {
        expect(ours.has(each)).toBe(theirs.has(each))
        expect(ours.add(each)).toBe(!theirs.has(each))
        theirs.add(each)
        expect([ours.has(each), ours.size]).toEqual([true, theirs.size])
      }
    }),
    { numRuns: 200 },
  )
})

test('it grows', () => {
  const set = new NameSet()
  for (let i = 0; i < 100_000; i++) expect(set.add(`file-${i}`)).toBe(true)
  for (let i = 0; i < 100_000; i++) if (!set.has(`file-${i}`)) throw new Error(`file-${i} is lost`)
  expect([set.size, set.add('file-7'), set.has('file-100000')]).toEqual([100_000, false, false])
})
