/** Mounts by descriptor: spec D037-D041, A274. What Linux answers to open_tree and move_mount was compared by script. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CREAT, O_RDWR } from '../abi/linux.ts'
import {
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  MNT_DETACH,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NOEXEC,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  OPEN_TREE_CLONE,
} from '../abi/mount-flags.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { credentialsOf } from '../vfs/context.ts'
import { MountCalls } from './mount-calls.ts'
import { Task } from './task.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'])
})

afterEach(() => w.end())

const task = () => w.actors[0]!.task
const calls = () => w.actors[0]!.calls
const code = (call: () => unknown): unknown => {
  try {
    call()
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code
  }
}
/** Attaches what a descriptor holds. */
const attach = (fd: number, path: string) => calls().moveMount(fd, '', AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH)
const tmpfs = () => {
  const fd = calls().fsopen('tmpfs', 0)
  calls().fsconfig(fd, FSCONFIG_CMD_CREATE)
  return fd
}

test('D037 a filesystem is opened, given its parameters, made, mounted nowhere, and attached', () => {
  const fd = calls().fsopen('tmpfs', 0)
  calls().fsconfig(fd, FSCONFIG_SET_STRING, 'source', 'mine')
  calls().fsconfig(fd, FSCONFIG_SET_STRING, 'size', '1m')
  calls().fsconfig(fd, FSCONFIG_CMD_CREATE)
  const mount = calls().fsmount(fd, 0, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME)
  expect(w.seen()).toEqual(['/ base:/'])
  task().close(task().openat(mount, 'early', O_CREAT | O_RDWR, 0o644))
  attach(mount, '/a')
  task().close(mount)
  expect(calls().mounts.split('\n')[1]).toBe('mine /a tmpfs rw,noexec,noatime,size=1024k 0 0')
  expect(w.try('stat', '/a/early')).toBe('ok')
  task().close(fd)
})

test('D037 unknown types, flags, commands and parameters', () => {
  expect(code(() => calls().fsopen('none such', 0))).toBe('ENODEV')
  expect(code(() => calls().fsopen('tmpfs', 2))).toBe('EINVAL')
  const fd = calls().fsopen('tmpfs', 0)
  expect(code(() => calls().fsconfig(fd, 99))).toBe('EOPNOTSUPP')
  expect(code(() => calls().fsconfig(77, FSCONFIG_CMD_CREATE))).toBe('EBADF')
  calls().fsconfig(fd, FSCONFIG_SET_FLAG, 'nonsense')
  expect(code(() => calls().fsconfig(fd, FSCONFIG_CMD_CREATE))).toBe('EINVAL')
  const good = tmpfs()
  expect(code(() => calls().fsmount(good, 2, 0))).toBe('EINVAL')
  expect(code(() => calls().fsmount(good, 0, 0x100000))).toBe('EINVAL')
  expect(code(() => calls().fsmount(good, 0, MOUNT_ATTR__ATIME))).toBe('EINVAL')
  const file = task().openat(AT_FDCWD, '/f', O_CREAT | O_RDWR, 0o644)
  expect(code(() => calls().fsmount(file, 0, 0))).toBe('EINVAL')
  expect(code(() => calls().fsconfig(file, FSCONFIG_CMD_CREATE))).toBe('EINVAL')
  for (const each of [fd, good, file]) task().close(each)
})

test('D037 each needs privilege', () => {
  const { vfs, actors } = w
  const stranger = new Task({ vfs, credentials: credentialsOf(7, 7), root: actors[0]!.task.root })
  const theirs = new MountCalls(vfs, stranger)
  expect(
    [
      () => theirs.fsopen('none such', 0),
      () => theirs.fsmount(0, 0, 0),
      () => theirs.openTree(AT_FDCWD, '/a', OPEN_TREE_CLONE),
      () => theirs.moveMount(0, '', 0, '', 0),
      () => theirs.mount('/a', { flags: 0, type: 'tmpfs' }),
      () => theirs.unshare(),
    ].map(code),
  ).toEqual(Array(6).fill('EPERM'))
  stranger.close(theirs.openTree(AT_FDCWD, '/a', 0))
  stranger.release()
})

test('D038 a source may be left out, but not said twice; a filesystem is made once', () => {
  const fd = calls().fsopen('tmpfs', 0)
  calls().fsconfig(fd, FSCONFIG_SET_STRING, 'source', 'one')
  expect(code(() => calls().fsconfig(fd, FSCONFIG_SET_STRING, 'source', 'two'))).toBe('EINVAL')
  calls().fsconfig(fd, FSCONFIG_CMD_CREATE)
  expect(code(() => calls().fsconfig(fd, FSCONFIG_CMD_CREATE))).toBe('EBUSY')
  expect(code(() => calls().fsconfig(fd, FSCONFIG_SET_FLAG, 'ro'))).toBe('EBUSY')
  expect(code(() => calls().fsconfig(fd, FSCONFIG_SET_STRING, 'size', '1m'))).toBe('EBUSY')
  const without = tmpfs()
  const mount = calls().fsmount(without, 0, 0)
  attach(mount, '/a')
  expect(w.seen()).toEqual(['/ base:/', '/a none:/'])
  for (const each of [fd, without, mount]) task().close(each)
})

test('D039 it is mounted once, and only when it was made', () => {
  const fd = calls().fsopen('tmpfs', 0)
  expect(code(() => calls().fsmount(fd, 0, 0))).toBe('EINVAL')
  calls().fsconfig(fd, FSCONFIG_SET_FLAG, 'ro')
  calls().fsconfig(fd, FSCONFIG_CMD_CREATE)
  const mount = calls().fsmount(fd, 0, 0)
  expect(code(() => calls().fsmount(fd, 0, 0))).toBe('EBUSY')
  expect(code(() => task().mkdirat(mount, 'x', 0o755))).toBe('EROFS')
  task().close(fd)
  task().close(mount)
})

test('D040 A274 open_tree copies a tree, with `recursive` all of it, attached or not; closed without being attached it is gone', () => {
  w.ok(
    ['mount', '/a', 'one', 'tmpfs', ''],
    ['mkdir', '/a/in'],
    ['mount', '/a/in', 'two', 'tmpfs', ''],
    ['create', '/a/in/f'],
  )
  const all = calls().openTree(AT_FDCWD, '/a', OPEN_TREE_CLONE | AT_RECURSIVE)
  const single = calls().openTree(all, '', OPEN_TREE_CLONE | AT_EMPTY_PATH)
  expect([code(() => task().fstatat(all, 'in/f', 0)), code(() => task().fstatat(single, 'in/f', 0))]).toEqual([
    'ok',
    'ENOENT',
  ])
  expect(w.seen()).toHaveLength(3)
  attach(all, '/b')
  expect(w.seen().slice(3)).toEqual(['/b one:/', '/b/in two:/'])
  task().close(all)
  task().close(single)
  expect(w.seen()).toHaveLength(5)
})

test('D040 open_tree: `recursive` only with a copy; no copy of what was unmounted, is unbindable, or is another namespace’s', () => {
  expect(code(() => calls().openTree(AT_FDCWD, '/a', AT_RECURSIVE))).toBe('EINVAL')
  expect(code(() => calls().openTree(AT_FDCWD, '/a', 1 << 30))).toBe('EINVAL')
  expect(code(() => calls().openTree(AT_FDCWD, '', OPEN_TREE_CLONE))).toBe('ENOENT')
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/a', '', '', 'unbindable'])
  expect(code(() => calls().openTree(AT_FDCWD, '/a', OPEN_TREE_CLONE))).toBe('EINVAL')
  const fd = calls().openTree(AT_FDCWD, '/a', 0)
  w.ok(['umount', '/a', MNT_DETACH])
  expect(code(() => calls().openTree(fd, '', OPEN_TREE_CLONE | AT_EMPTY_PATH))).toBe('EINVAL')
  task().close(fd)
  task().symlinkat('/a', AT_FDCWD, '/link')
  const link = calls().openTree(AT_FDCWD, '/link', AT_SYMLINK_NOFOLLOW)
  expect(task().fstat(link).mode & 0o170000).toBe(0o120000)
  task().close(link)
  w.ok(['fork'])
  w.okAs(1, ['unshare'])
  task().setCwd(w.actors[1]!.task.root)
  expect(code(() => calls().openTree(AT_FDCWD, '.', OPEN_TREE_CLONE))).toBe('EINVAL')
})

test('D041 A274 a detached tree is attached to the namespace, or to another detached one; never into itself', () => {
  const [one, two] = [tmpfs(), tmpfs()].map((fd) => {
    const mount = calls().fsmount(fd, 0, 0)
    task().close(fd)
    return mount
  }) as [number, number]
  task().mkdirat(one, 'in', 0o755)
  const both = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
  expect(code(() => calls().moveMount(one, '', AT_FDCWD, '/a', 0))).toBe('ENOENT')
  expect(code(() => calls().moveMount(one, '', AT_FDCWD, '/a', MOVE_MOUNT_F_EMPTY_PATH | 0x200))).toBe('EINVAL')
  // Linux looks at the namespace first, since 6.15; before, this was ELOOP.
  expect(code(() => calls().moveMount(one, '', one, 'in', MOVE_MOUNT_F_EMPTY_PATH))).toBe('EINVAL')
  calls().moveMount(two, '', one, 'in', MOVE_MOUNT_F_EMPTY_PATH)
  expect(code(() => calls().moveMount(two, '', one, '', both))).toBe('EINVAL')
  attach(one, '/a')
  expect(w.seen()).toEqual(['/ base:/', '/a none:/', '/a/in none:/'])
  expect(code(() => calls().moveMount(AT_FDCWD, '/a', AT_FDCWD, '/a/in', 0))).toBe('ELOOP')
  task().close(one)
  task().close(two)
  expect(w.seen()).toHaveLength(3)
})

test('A274 A279 a tree that is attached nowhere receives no mounts from its peers, until it is attached', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a', '', '', 'shared'])
  const fd = calls().openTree(AT_FDCWD, '/a', OPEN_TREE_CLONE)
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['create', '/a/in/f'])
  expect(code(() => task().fstatat(fd, 'in/f', 0))).toBe('ENOENT')
  attach(fd, '/b')
  w.ok(['umount', '/a/in', 0], ['mount', '/a/in', 'three', 'tmpfs', ''])
  expect(w.seen().slice(3)).toEqual(['/b one:/ shared:g1', '/b/in three:/ shared:g2'])
  task().close(fd)
})

test('D041 a place is no mount, and a file no place for a directory', () => {
  const fd = calls().openTree(AT_FDCWD, '/a', OPEN_TREE_CLONE)
  w.ok(['create', '/f'])
  expect(code(() => attach(fd, '/f'))).toBe('EINVAL')
  expect(code(() => calls().moveMount(AT_FDCWD, '/a', AT_FDCWD, '/b', 0))).toBe('EINVAL')
  task().close(fd)
})
