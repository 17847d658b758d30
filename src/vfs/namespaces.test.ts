/** Copies of namespaces, locked mounts, pivot_root and chroot: spec A24, A265, A269, A275, D048. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AT_FDCWD, O_RDONLY } from '../abi/linux.ts'
import { MNT_DETACH } from '../abi/mount-flags.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { credentialsOf } from './context.ts'
import { VirtualDentry } from './mount.ts'
import { changeRoot, cloneNamespace, pivotRoot } from './namespaces.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'], ['mkdir', '/c'])
})

afterEach(() => w.end())

const task = (i = 0) => w.actors[i]!.task
const code = (call: () => unknown): unknown => {
  try {
    call()
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code
  }
}

test('A275 a copied namespace has all mounts, peers as the old ones are; the caller’s root and directory are in the copy', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a', '', '', 'shared'], ['fork'])
  w.okAs(1, ['chdir', '/a/in'], ['unshare'])
  expect(w.seen(1)).toEqual(['/ base:/', '/a one:/ shared:g1'])
  expect(task(1).namespace).not.toBe(task().namespace)
  for (const place of [task(1).root, task(1).cwd]) expect(place.mount.namespace).toBe(task(1).namespace)
  expect(task().root.mount.namespace).toBe(task().namespace)
  w.okAs(1, ['mount', '/b', 'two', 'tmpfs', ''])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/ shared:g1'])
  expect(w.run([1, 'getcwd'])).toBe('/a/in')
  const namespace = task().namespace!
  expect(code(() => cloneNamespace(w.vfs, namespace, [], { limit: 2 }))).toBe('ENOSPC')
})

test('A275 A265 A269 A273 D048 under a new owner what is shared is a slave, and all below the root is locked, as are its flags', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a', '', '', 'shared'])
  w.ok(['mount', '/a/in', 'two', 'tmpfs', 'nosuid,nodev,noexec,noatime,rdonly'], ['fork'])
  w.okAs(1, ['unshareuser'])
  expect(w.seen(1)).toEqual(['/ base:/', '/a one:/ master:g1', '/a/in two:/ master:g2'])
  const as = (...step: [string, ...(string | number)[]]) => w.run([1, ...step])
  expect(as('umount', '/a/in', 0)).toBe('EINVAL')
  expect(as('umount', '/a', MNT_DETACH)).toBe('EINVAL')
  expect(as('mount', '/b', '/a/in', '', 'move')).toBe('EINVAL')
  expect(as('mount', '/b', '/a', '', 'bind')).toBe('EINVAL')
  expect(as('mount', '/b', '/a', '', 'bind,rec')).toBe('ok')
  expect(as('umount', '/b', 0)).toBe('EBUSY')
  expect(as('umount', '/b/in', 0)).toBe('EINVAL')
  expect(as('umount', '/b', MNT_DETACH)).toBe('ok')
  const all = 'remount,bind,nosuid,nodev,noexec,noatime,rdonly'
  expect(as('mount', '/a/in', '', '', all)).toBe('ok')
  for (const flag of ['nosuid', 'nodev', 'noexec', 'rdonly']) {
    expect(as('mount', '/a/in', '', '', all.replace(`,${flag}`, '')), flag).toBe('EPERM')
  }
  expect(as('mount', '/a/in', '', '', all.replace('noatime', 'relatime'))).toBe('EPERM')
  expect(as('mount', '/a', '', '', 'remount,bind,nosuid')).toBe('ok')
  expect(as('mount', '/c', '/a/in', '', 'bind')).toBe('ok')
  expect(as('mount', '/c', '', '', 'remount,bind')).toBe('EPERM')
  expect(as('umount', '/c', 0)).toBe('ok')
  // The old owner is free to do all that, and may see what it mounts arrive.
  w.ok(['mount', '/a/in', '', '', 'remount,bind'], ['umount', '/a/in', 0])
  expect(w.seen(1)).toEqual(['/ base:/', '/a one:/ master:g1'])
})

test('A275 what arrives from another owner is locked below its root', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a', '', '', 'shared'], ['fork'])
  w.okAs(1, ['unshareuser'])
  w.ok(['mount', '/b', 'two', 'tmpfs', ''], ['mkdir', '/b/x'], ['mount', '/b/x', 'three', 'tmpfs', 'rdonly'])
  w.ok(['mount', '/a/in', '/b', '', 'bind,rec'])
  expect(w.run([1, 'umount', '/a/in/x', 0])).toBe('EINVAL')
  expect(w.run([1, 'mount', '/a/in/x', '', '', 'remount,bind'])).toBe('EPERM')
  expect(w.run([1, 'umount', '/a/in', MNT_DETACH])).toBe('ok')
})

test('A254 D048 a lazy unmount leaves a locked mount where it hides something from those that are inside', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['create', '/a/in/secret'])
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['fork'])
  w.okAs(1, ['unshareuser'], ['mount', '/b', '/a', '', 'bind,rec'], ['chdir', '/b'], ['umount', '/b', MNT_DETACH])
  expect(w.run([1, 'stat', 'in/secret'])).toBe('ENOENT')
  expect(w.run([1, 'stat', 'in'])).toBe('ok')
})

test('A038 a namespace ends with its last task: lazily, what is open goes on', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['fork'])
  w.okAs(1, ['unshare'])
  const { task: other } = w.actors.pop()!
  const namespace = other.namespace!
  const fd = other.openat(AT_FDCWD, '/a/in', O_RDONLY, 0)
  const file = other.descriptors.get(fd)
  file.refs++
  other.release()
  expect([namespace.mounts, file.mount.namespace, file.mount.unmounted]).toEqual([0, undefined, true])
  expect(file.mount.superblock.views.has(file.mount)).toBe(true)
  file.release()
  expect(file.mount.superblock.views.has(file.mount)).toBe(false)
})

/** /a: a mount with a directory `old`, in it another `old`. */
const pivotable = () => w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/old'], ['mkdir', '/a/old/old'])

test('A290 pivot_root swaps the roots of all tasks that had the old one, and leaves others', () => {
  pivotable()
  w.ok(['fork'], ['fork'], ['fork'])
  w.okAs(1, ['chdir', '/b'])
  w.okAs(2, ['chroot', '/b'])
  w.okAs(3, ['unshare'])
  w.ok(['pivot', '/a', '/a/old'])
  for (const i of [0, 1]) expect(w.seen(i), `task ${i}`).toEqual(['/ one:/', '/old base:/'])
  expect(w.run([0, 'getcwd'])).toBe('/')
  expect(w.run([1, 'getcwd'])).toBe('/old/b')
  expect(task(2).root.dentry.name).toBe('b')
  expect(w.seen(3)).toEqual(['/ base:/', '/a one:/'])
})

test('A290 a pivot of `.` onto `.`, then a lazy unmount, leaves nothing of the old root', () => {
  pivotable()
  w.ok(['chdir', '/a'], ['pivot', '.', '.'])
  expect(w.seen()).toEqual(['/ one:/', '/ base:/'])
  w.ok(['umount', '.', MNT_DETACH])
  expect(w.seen()).toEqual(['/ one:/'])
  expect(w.try('stat', '/old/old')).toBe('ok')
})

test('A287 neither end of a pivot is on the mount of the current root', () => {
  pivotable()
  expect(w.try('pivot', '/b', '/a/old')).toBe('EBUSY')
  expect(w.try('pivot', '/a', '/b')).toBe('EBUSY')
  expect(w.try('pivot', '/', '/a/old')).toBe('EBUSY')
})

test('A288 what pivot_root refuses', () => {
  pivotable()
  w.ok(['mount', '/b', 'two', 'tmpfs', ''], ['mkdir', '/b/old'])
  // The new root is no mount root; put-old is not below it.
  expect(w.try('pivot', '/a/old', '/a/old/old')).toBe('EINVAL')
  expect(w.try('pivot', '/a', '/b/old')).toBe('EINVAL')
  // Shared: the new root's parent, put-old's mount. A shared new root is one whose mount put-old is on.
  w.ok(['mount', '/', '', '', 'shared'])
  expect(w.try('pivot', '/a', '/a/old')).toBe('EINVAL')
  w.ok(['mount', '/', '', '', 'private'], ['mount', '/a', '', '', 'shared'])
  expect(w.try('pivot', '/a', '/a/old')).toBe('EINVAL')
  w.ok(['mount', '/a', '', '', 'private'], ['fork'])
  // The current root is no mount root.
  w.okAs(1, ['chroot', '/c'])
  task(1).setCwd(task().root)
  expect(w.run([1, 'pivot', 'a', 'a/old'])).toBe('EINVAL')
  // The new root is not below the current one.
  w.okAs(1, ['chroot', 'b'])
  expect(w.run([1, 'pivot', 'a', 'a/old'])).toBe('EINVAL')
  // Another namespace.
  w.okAs(1, ['chroot', '.'], ['unshare'])
  task(1).setCwd(task().root)
  expect(w.run([1, 'pivot', 'a', 'a/old'])).toBe('EINVAL')
  // A root without a parent.
  const first = task().namespace!.root
  task(1).setRoot(new VirtualDentry(first, first.root))
  expect(
    code(() =>
      pivotRoot(w.vfs, { ...contextOf(1), root: task(1).root, namespace: task().namespace }, task().root, 'a', 'a/old'),
    ),
  ).toBe('EINVAL')
  expect(w.seen()).toEqual(['/ base:/', '/a one:/', '/b two:/'])
})

test('A288 D048 a locked new root is refused', () => {
  pivotable()
  w.ok(['fork'])
  w.okAs(1, ['unshareuser'])
  expect(w.run([1, 'pivot', '/a', '/a/old'])).toBe('EINVAL')
  w.okAs(1, ['mount', '/b', '/a', '', 'bind'], ['pivot', '/b', '/b/old'])
  // The old root hid the first: so does the new one now.
  expect(task(1).root.mount.locked).toBe(true)
})

test('A289 pivot_root needs privilege, and directories', () => {
  pivotable()
  w.ok(['create', '/a/file'])
  const stranger = { ...contextOf(0), credentials: credentialsOf(7, 7) }
  expect(code(() => pivotRoot(w.vfs, stranger, task().root, '/a', '/a/old'))).toBe('EPERM')
  expect(w.try('pivot', '/a', '/a/file')).toBe('ENOTDIR')
  expect(w.try('pivot', '/a/file', '/a/old')).toBe('ENOTDIR')
  expect(w.try('pivot', '/none', '/a/old')).toBe('ENOENT')
  expect(w.try('pivot', '/a', '/a/none')).toBe('ENOENT')
})

function contextOf(i: number) {
  const { clock, devices, credentials, root, namespace, attempt } = task(i)
  return { clock, devices, credentials, root, namespace, attempt, confined: false }
}

test('A291 chroot needs privilege and a directory to search; then absolute paths and links stay inside, but not `..` from outside', () => {
  w.ok(['mkdir', '/a/sub'], ['create', '/a/file'], ['create', '/secret'])
  task().symlinkat('/sub', AT_FDCWD, '/a/link')
  const stranger = (uid: number) => {
    const { setRoot, setCwd } = { setRoot() {}, setCwd() {} }
    return { ...contextOf(0), cwd: task().cwd, credentials: credentialsOf(uid, uid), setRoot, setCwd }
  }
  expect(code(() => changeRoot(stranger(7), '/a'))).toBe('EPERM')
  task().fchmodat(AT_FDCWD, '/a', 0o700, 0)
  expect(code(() => changeRoot(stranger(7), '/a'))).toBe('EACCES')
  expect(w.try('chroot', '/a/file')).toBe('ENOTDIR')
  expect(w.try('chroot', '/none')).toBe('ENOENT')
  const outside = task().openat(AT_FDCWD, '/b', O_RDONLY, 0)
  w.ok(['chroot', '/a'])
  expect([w.try('stat', '/link'), w.try('stat', '/../file'), w.try('stat', '/secret')]).toEqual(['ok', 'ok', 'ENOENT'])
  expect(code(() => task().fstatat(outside, '../secret', 0))).toBe('ok')
})
