/** What Linux 6.18 did with the same lists on its tmpfs is what is expected here; it was measured by Python's os.setxattr. */

import { describe, expect, test } from 'vitest'
import { CAP_DAC_OVERRIDE, O_CREAT, O_RDWR, O_TMPFILE, O_WRONLY, R_OK, W_OK, X_OK } from '../abi/linux.ts'
import { type Actor, inWorld, outcome } from '../testing/host-world.ts'
import {
  ACCESS_ACL,
  ACL_GROUP,
  ACL_GROUP_OBJ,
  ACL_MASK,
  ACL_OTHER,
  ACL_USER,
  ACL_USER_OBJ,
  DEFAULT_ACL,
  formatAcl,
  NO_ID,
  parseAcl,
} from './acl.ts'

type Entry = readonly [tag: number, permissions: number, id?: number]

const aclOf = (...entries: Entry[]) =>
  formatAcl(entries.map(([tag, permissions, id = NO_ID]) => ({ tag, permissions, id })))

const set = (by: Actor, path: string, value: Uint8Array, name = ACCESS_ACL) => by.host.setxattr(path, name, value, 0)

function get(by: Actor, path: string, name = ACCESS_ACL): Entry[] {
  const buffer = new Uint8Array(1000)
  const acl = parseAcl(buffer.subarray(0, by.host.getxattr(path, name, buffer)))!
  return acl.map(({ tag, permissions, id }) => (id === NO_ID ? [tag, permissions] : [tag, permissions, id]))
}

const NAMED: Entry[] = [
  [ACL_USER_OBJ, 6],
  [ACL_USER, 7, 1000],
  [ACL_GROUP_OBJ, 0],
  [ACL_MASK, 5],
  [ACL_OTHER, 4],
]

test('a list is written as linux/posix_acl_xattr.h lays it out', () => {
  expect(Buffer.from(aclOf(...NAMED)).toString('hex')).toBe(
    '0200000001000600ffffffff02000700e803000004000000ffffffff10000500ffffffff20000400ffffffff',
  )
})

describe('A358 D094 who a list lets in', () => {
  const may = (by: Actor, path: string, wanted: number) => outcome(() => by.task.faccessat(-100, path, wanted, 0x200))

  test('A358 D094 the owner by the owner entry, a named user by its entry under the mask, others by the last one', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.chown('/f', 500, 500)
      set(root, '/f', aclOf(...NAMED))
      expect(may(root.as(500), '/f', R_OK | W_OK)).toBe('ok')
      expect(may(root.as(500), '/f', X_OK)).toBe('EACCES')
      expect(may(root.as(1000), '/f', R_OK | X_OK)).toBe('ok')
      // The mask takes away what the entry grants.
      expect(may(root.as(1000), '/f', W_OK)).toBe('EACCES')
      expect(may(root.as(1001), '/f', R_OK)).toBe('ok')
      expect(may(root.as(1001), '/f', X_OK)).toBe('EACCES')
      // A group that matches and grants nothing shuts out, though others may read.
      expect(may(root.as(1001, { groups: [500] }), '/f', R_OK)).toBe('EACCES')
    }))

  test('A358 D094 one matching group that grants all of it is enough; a named user is not asked for its groups', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.chown('/f', 500, 500)
      set(
        root,
        '/f',
        aclOf(
          [ACL_USER_OBJ, 7],
          [ACL_USER, 0, 1000],
          [ACL_GROUP_OBJ, 4],
          [ACL_GROUP, 6, 600],
          [ACL_GROUP, 1, 601],
          [ACL_MASK, 7],
          [ACL_OTHER, 7],
        ),
      )
      expect(may(root.as(1001, { groups: [500, 600] }), '/f', R_OK | W_OK)).toBe('ok')
      expect(may(root.as(1001, { groups: [600, 601] }), '/f', W_OK | X_OK)).toBe('EACCES')
      expect(may(root.as(1000, { groups: [600] }), '/f', R_OK)).toBe('EACCES')
      expect(may(root.as(1001), '/f', R_OK | W_OK | X_OK)).toBe('ok')
      expect(may(root.as(1000, { capabilities: CAP_DAC_OVERRIDE }), '/f', R_OK | W_OK)).toBe('ok')
    }))

  test('A358 D094 a walk, an open and a creation ask the list as well', () =>
    inWorld({}, (root) => {
      root.mkdir('/d', 0o700)
      root.write('/d/f', 'text')
      const user = root.as(1000)
      expect(outcome(() => user.read('/d/f'))).toBe('EACCES')
      set(root, '/d', aclOf([ACL_USER_OBJ, 7], [ACL_USER, 7, 1000], [ACL_GROUP_OBJ, 0], [ACL_MASK, 7], [ACL_OTHER, 0]))
      expect(user.read('/d/f')).toBe('text')
      user.write('/d/mine')
      expect(outcome(() => root.as(1001).read('/d/f'))).toBe('EACCES')
      // No group bits: Linux does not look at the list.
      root.chmod('/d', 0o700)
      expect(outcome(() => user.read('/d/f'))).toBe('EACCES')
    }))
})

describe('A358 D094 setting a list', () => {
  test('A358 D094 the mode shows the owner, the mask and the others of a list', () =>
    inWorld({}, (root) => {
      root.write('/f', '', 0o777)
      set(root, '/f', aclOf(...NAMED))
      expect(root.mode('/f')).toBe(0o654)
      expect(get(root, '/f')).toEqual(NAMED)
    }))

  test('A358 D094 a list that mode bits can say is kept as mode bits', () =>
    inWorld({}, (root) => {
      root.write('/f')
      set(root, '/f', aclOf(...NAMED))
      set(root, '/f', aclOf([ACL_USER_OBJ, 6], [ACL_GROUP_OBJ, 0], [ACL_OTHER, 4]))
      expect(root.mode('/f')).toBe(0o604)
      expect(outcome(() => get(root, '/f'))).toBe('ENODATA')
      expect(root.host.listxattr('/f', new Uint8Array())).toBe(0)
    }))

  test('A358 D094 an empty value, a list without entries and removal take it away; the mode stays', () =>
    inWorld({}, (root) => {
      root.write('/f')
      const takeAway = [
        () => set(root, '/f', new Uint8Array()),
        () => set(root, '/f', aclOf()),
        () => root.host.removexattr('/f', ACCESS_ACL),
      ]
      for (const act of takeAway) {
        set(root, '/f', aclOf(...NAMED))
        act()
        expect(outcome(() => get(root, '/f'))).toBe('ENODATA')
        expect(root.mode('/f')).toBe(0o654)
        expect(outcome(act)).toBe('ok')
      }
    }))

  test('A358 D094 chmod changes the mask', () =>
    inWorld({}, (root) => {
      root.write('/f')
      set(root, '/f', aclOf(...NAMED))
      root.chmod('/f', 0o641)
      expect(get(root, '/f')).toEqual([
        [ACL_USER_OBJ, 6],
        [ACL_USER, 7, 1000],
        [ACL_GROUP_OBJ, 0],
        [ACL_MASK, 4],
        [ACL_OTHER, 1],
      ])
      root.host.setAttributes('/f', { mode: 0o700 })
      expect(get(root, '/f')[3]).toEqual([ACL_MASK, 0])
    }))

  test('A358 D094 malformed lists are EINVAL, another version EOPNOTSUPP', () =>
    inWorld({}, (root) => {
      root.write('/f')
      const owner: Entry = [ACL_USER_OBJ, 6]
      const group: Entry = [ACL_GROUP_OBJ, 0]
      const other: Entry = [ACL_OTHER, 4]
      const mask: Entry = [ACL_MASK, 5]
      const bad = {
        'a named user without a mask': aclOf(owner, [ACL_USER, 7, 1000], group, other),
        'out of order': aclOf(group, owner, other),
        'two owners': aclOf(owner, owner, group, other),
        'two masks': aclOf(owner, group, mask, mask, other),
        'no other': aclOf(owner, group),
        'a permission of 8': aclOf([ACL_USER_OBJ, 8], group, other),
        'an unknown tag': aclOf(owner, [3, 1], group, other),
        'a named user of no id': aclOf(owner, [ACL_USER, 7], group, mask, other),
        'half an entry': aclOf(owner, group, other).subarray(0, 20),
        'half a header': new Uint8Array(2),
      }
      for (const [why, value] of Object.entries(bad))
        expect(
          outcome(() => set(root, '/f', value)),
          why,
        ).toBe('EINVAL')
      const old = aclOf(owner, group, other)
      old[0] = 1
      expect(outcome(() => set(root, '/f', old))).toBe('EOPNOTSUPP')
      // Repeated and unsorted names are fine.
      const repeated = aclOf(owner, [ACL_USER, 7, 1001], [ACL_USER, 7, 1000], [ACL_USER, 7, 1000], group, mask, other)
      expect(outcome(() => set(root, '/f', repeated))).toBe('ok')
    }))

  test('A358 D094 only the owner sets one; a symlink has none; a default is for directories', () =>
    inWorld({}, (root) => {
      root.write('/f', '', 0o666)
      root.task.symlinkat('f', -100, '/l')
      expect(outcome(() => set(root.as(1000), '/f', aclOf(...NAMED)))).toBe('EPERM')
      expect(outcome(() => root.host.lsetxattr('/l', ACCESS_ACL, aclOf(...NAMED), 0))).toBe('EOPNOTSUPP')
      expect(outcome(() => root.host.lgetxattr('/l', ACCESS_ACL, new Uint8Array()))).toBe('EOPNOTSUPP')
      expect(outcome(() => set(root, '/f', aclOf(...NAMED), DEFAULT_ACL))).toBe('EACCES')
      expect(outcome(() => root.host.removexattr('/f', DEFAULT_ACL))).toBe('ok')
      expect(outcome(() => get(root, '/f', DEFAULT_ACL))).toBe('ENODATA')
    }))

  test('A358 D094 who is not in the group loses set-group-id with the list', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.chown('/f', 1000, 500)
      root.chmod('/f', 0o2755)
      set(root.as(1000), '/f', aclOf(...NAMED))
      expect(root.mode('/f')).toBe(0o654)
    }))
})

describe('A358 D094 a default list', () => {
  const MODEL: Entry[] = [
    [ACL_USER_OBJ, 7],
    [ACL_USER, 7, 1000],
    [ACL_GROUP_OBJ, 5],
    [ACL_MASK, 7],
    [ACL_OTHER, 4],
  ]

  test('A358 D094 takes the place of the umask: files start with it, as far as the mode asked for goes', () =>
    inWorld({}, (root) => {
      root.mkdir('/d')
      set(root, '/d', aclOf(...MODEL), DEFAULT_ACL)
      const masked = root.as(0, {}, { umask: 0o077 })
      masked.task.close(masked.open('/d/f', O_CREAT | O_WRONLY, 0o666))
      expect(root.mode('/d/f')).toBe(0o664)
      expect(get(root, '/d/f')).toEqual([
        [ACL_USER_OBJ, 6],
        [ACL_USER, 7, 1000],
        [ACL_GROUP_OBJ, 5],
        [ACL_MASK, 6],
        [ACL_OTHER, 4],
      ])
      const unnamed = masked.open('/d', O_TMPFILE | O_RDWR, 0o600)
      expect(masked.task.fstat(unnamed).mode & 0o777).toBe(0o600)
      expect(masked.host.fgetxattr(unnamed, ACCESS_ACL, new Uint8Array())).toBe(44)
      masked.task.close(unnamed)
      masked.mknod('/d/p', 'fifo', 0o666)
      expect(root.mode('/d/p')).toBe(0o664)
    }))

  test('A358 D094 directories take it along, symlinks take nothing', () =>
    inWorld({}, (root) => {
      root.mkdir('/d')
      set(root, '/d', aclOf(...MODEL), DEFAULT_ACL)
      root.mkdir('/d/sub', 0o777)
      expect(root.mode('/d/sub')).toBe(0o774)
      expect(get(root, '/d/sub', DEFAULT_ACL)).toEqual(MODEL)
      expect(get(root, '/d/sub')).toEqual(MODEL)
      root.task.symlinkat('x', -100, '/d/l')
      expect(root.host.llistxattr('/d/l', new Uint8Array())).toBe(0)
      expect(root.mode('/d')).toBe(0o755)
    }))

  test('A358 D094 one without names leaves nothing but mode bits', () =>
    inWorld({}, (root) => {
      root.mkdir('/d')
      set(root, '/d', aclOf([ACL_USER_OBJ, 7], [ACL_GROUP_OBJ, 5], [ACL_OTHER, 0]), DEFAULT_ACL)
      root.as(0, {}, { umask: 0o077 }).write('/d/f', '', 0o666)
      expect(root.mode('/d/f')).toBe(0o640)
      expect(root.host.listxattr('/d/f', new Uint8Array())).toBe(0)
    }))
})
