/** The conformance suite on Linux, where this machine lets us, and on all arrangements of this kernel. */

import { afterAll, describe, expect, test } from 'vitest'
import { linux } from '../linux/linux.ts'
import { specs } from './all.ts'
import { conforms } from './conforms.ts'
import { kernelSubjects } from './subjects.ts'

const oracle = linux()
if (typeof oracle === 'string') console.log(`the specs are not asked of Linux: ${oracle}`)
else {
  afterAll(() => oracle.stop())
  conforms(oracle, { describe, test })
}

for (const subject of kernelSubjects) conforms(subject, { describe, test })

test('no two specs have one name', () => {
  const names = specs.map(({ name }) => name)
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})
