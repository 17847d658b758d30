/** The conformance suite on Linux, where this machine lets us, and on all arrangements of this kernel. */

import { afterAll, describe, expect, test } from 'vitest'
import { tmpfsType } from '../../fs/tmpfs/tmpfs.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import { conforms as conformsAs } from '../index.ts'
import { linux } from '../linux/linux.ts'
import { Inexpressible, nodeFs } from '../linux/node-fs.ts'
import { veiled } from '../trees.ts'
import { specs } from './all.ts'
import { canRun, conforms, runSpec } from './conforms.ts'
import { readingSpecs } from './reading.ts'
import { erofs, kernelSubjects, tmpfs, verity } from './subjects.ts'

const oracle = linux()
if (typeof oracle === 'string') console.log(`the specs are not asked of Linux: ${oracle}`)
else {
  afterAll(() => oracle.stop())
  conforms(oracle, { describe, test })
}

for (const subject of kernelSubjects) conforms(subject, { describe, test })

const reading = readingSpecs(tmpfs, specs)
for (const subject of [verity, erofs]) conforms(subject, { describe, test }, reading)

test('there are specs that only read', () => {
  expect(reading.length).toBeGreaterThan(30)
})

test('node:fs agrees with every spec that it can express', ({ annotate }) => {
  const subject = nodeFs()
  const failures: string[] = []
  let agreed = 0
  for (const spec of subject ? specs : []) {
    if (!canRun(subject!, spec)) continue
    try {
      runSpec(subject!, spec)
      agreed++
    } catch (error) {
      if (!(error instanceof Inexpressible)) failures.push(`${spec.name}: ${(error as Error).message}`)
    }
  }
  annotate(subject ? `${agreed} of ${specs.length} specs` : 'there is no tmpfs at /dev/shm')
  expect(failures).toEqual([])
  expect(agreed).toBeGreaterThan(subject ? 300 : -1)
})

/** As in the example of testing/index.ts: a type made by others, here a tmpfs under another name. */
conformsAs("a type of one's own", { ...tmpfsType, name: 'ownfs' }, { describe, test }, { data: 'mode=755' })

test('a filesystem that does not conform fails, and says why', () => {
  const broken: FilesystemType = {
    ...tmpfsType,
    name: 'brokenfs',
    mount: (request) => {
      const filesystem = tmpfsType.mount(request)
      return {
        ...filesystem,
        ...request,
        root: veiled(filesystem.root, { without: ['link'] }),
        usage: () => filesystem.usage(),
      }
    },
  }
  const failed: string[] = []
  conformsAs('broken', broken, {
    describe: (_, body) => body(),
    test: (name, body) => {
      try {
        body()
      } catch {
        failed.push(name)
      }
    },
  })
  expect(failed).toContain('A093 B057 names of one file share its data, attributes and count')
  expect(failed).not.toContain('A098 mkdir takes slashes behind the name')
})

test('no two specs have one name', () => {
  const names = specs.map(({ name }) => name)
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})
