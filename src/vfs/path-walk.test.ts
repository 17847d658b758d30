/** What no system call can set up: a link that only a filesystem type makes. The rest of the walk is in testing/conformance. */

import { expect, test } from 'vitest'
import { AT_FDCWD } from '../abi/linux.ts'
import { inWorld, outcome } from '../testing/host-world.ts'
import { plant } from '../testing/trees.ts'

test('A061 a link without a target leads nowhere', () =>
  inWorld({}, (root) => {
    plant(root.inode('/'), { empty: { kind: 'symlink', target: '' } })
    expect(outcome(() => root.stat('/empty'))).toBe('ENOENT')
    expect(outcome(() => root.stat('/empty/x'))).toBe('ENOENT')
    expect(outcome(() => root.write('/empty'))).toBe('ENOENT')
    expect(root.task.readlinkat(AT_FDCWD, '/empty')).toBe('')
  }))
