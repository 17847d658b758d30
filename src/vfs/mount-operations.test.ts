/** Mounting, unmounting, flags, binds and moves: spec A19-A22. What Linux answers to the same calls was compared by script. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import {
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_BIND,
  MS_MGC_VAL,
  MS_MOVE,
  MS_PRIVATE,
  MS_REMOUNT,
  UMOUNT_NOFOLLOW,
} from '../abi/mount-flags.ts'
import { checkMountTree } from '../testing/check-mounts.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { type Context, credentialsOf } from './context.ts'
import { VirtualDentry } from './mount.ts'
import { connectMountAt, setMountReadOnly, unmount, unmountAt } from './mount-operations.ts'
import { resolve } from './path-walk.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'], ['mkdir', '/a/in'], ['create', '/f'])
})

afterEach(() => w.end())

const task = () => w.actors[0]!.task
const calls = () => w.actors[0]!.calls
const at = (path: string) => resolve(task(), task().root, path, true)
/** The first task, without any capability. */
const stranger = (): Context => {
  const { clock, devices, root, namespace, attempt } = task()
  return { clock, devices, root, namespace, attempt, confined: false, credentials: credentialsOf(7, 7) }
}
const code = (call: () => unknown): unknown => {
  try {
    call()
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code
  } finally {
    task().settle()
  }
}

test('A236 A029 a namespace is a filesystem and a root mount without a parent, one reference; numbers of mounts only grow', () => {
  const { vfs } = w
  expect(code(() => vfs.newFilesystem({ type: 'none such' }))).toBe('ENODEV')
  const first = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  const namespace = vfs.newNamespace(first, { owner: { name: 'someone' } })
  expect(namespace.refs).toBe(1)
  expect(namespace.owner.name).toBe('someone')
  expect(namespace.root).toBe(first)
  expect(first.parent).toBeUndefined()
  expect(first.superblock.points.size).toBe(0)
  vfs.discard(first)
  const second = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  expect(second.id).toBe(first.id + 1)
  vfs.discard(second)
})

test('A237 A238 a mount can be made of any part of a filesystem, new or old, and be nowhere', () => {
  const { vfs } = w
  const { mount, dentry } = at('/a')
  const disconnected = vfs.newMount(mount.superblock, { root: dentry })
  expect([disconnected.namespace, disconnected.parent]).toEqual([undefined, undefined])
  expect(code(() => connectMountAt(vfs, task(), disconnected, at('/b')))).toBe('ok')
  expect(w.try('stat', '/b/in')).toBe('ok')
})

test('A239 a mount lands on top of a stack that is there; a final link is followed by mount(2)', () => {
  task().symlinkat('/a', AT_FDCWD, '/link')
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/link', 'two', 'tmpfs', ''])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/', '/a two:/'])
})

test('A240 a place that was found before others were mounted there is the top of them all when its turn comes', () => {
  const { vfs } = w
  const found = at('/a')
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/a', 'two', 'tmpfs', ''])
  vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }), { source: 'three' }), found)
  expect(w.seen()).toEqual(['/ base:/', '/a one:/', '/a two:/', '/a three:/'])
  expect(at('/a').mount.parent!.source).toBe('two')
})

test('A239 A242 nothing is mounted on a removed name, in a mount that was unmounted, or in one that never was in a namespace', () => {
  const { vfs } = w
  w.ok(['mkdir', '/gone'], ['mount', '/b', 'lost', 'tmpfs', ''], ['mkdir', '/b/in'])
  const places = [at('/gone'), at('/b/in')]
  const fd = task().openat(AT_FDCWD, '/b', O_RDONLY, 0)
  w.ok(['rmdir', '/gone'], ['umount', '/b', MNT_DETACH])
  const loose = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  const mount = () => vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  expect(code(() => connectMountAt(vfs, task(), mount(), places[0]!))).toBe('ENOENT')
  // gVisor says EINVAL for one that was unmounted; Linux 6.18 ENOENT.
  expect(code(() => connectMountAt(vfs, task(), mount(), places[1]!))).toBe('ENOENT')
  expect(code(() => vfs.attach(mount(), new VirtualDentry(loose, loose.root)))).toBe('EINVAL')
  vfs.discard(loose)
  task().close(fd)
})

test('A242 a filesystem is not mounted on its own root, but bound there', () => {
  const { vfs } = w
  const { superblock } = at('/').mount
  expect(code(() => connectMountAt(vfs, task(), vfs.newMount(superblock), at('/')))).toBe('EBUSY')
  expect(code(() => connectMountAt(vfs, task(), vfs.newMount(superblock), at('/a')))).toBe('ok')
  expect(w.try('mount', '/', '/', '', 'bind')).toBe('ok')
})

test('A241 the newest mount on a place hides the older; unmounting shows it again', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/1'], ['mount', '/a', 'two', 'tmpfs', ''], ['mkdir', '/a/2'])
  expect([w.try('stat', '/a/1'), w.try('stat', '/a/2')]).toEqual(['ENOENT', 'ok'])
  w.ok(['umount', '/a', 0])
  expect([w.try('stat', '/a/1'), w.try('stat', '/a/2')]).toEqual(['ok', 'ENOENT'])
  w.ok(['umount', '/a', 0])
  expect(w.try('stat', '/a/in')).toBe('ok')
})

test('A243 A392 A266 a directory is mounted on a directory, a file on a file', () => {
  expect(w.try('mount', '/f', 'one', 'tmpfs', '')).toBe('ENOTDIR')
  expect(w.try('mount', '/f', '/a', '', 'bind')).toBe('ENOTDIR')
  expect(w.try('mount', '/a', '/f', '', 'bind')).toBe('ENOTDIR')
  w.ok(['create', '/g'], ['mount', '/g', '/f', '', 'bind'])
  expect(w.seen()).toEqual(['/ base:/', '/g base:/f'])
})

test('A244 A279 past the limit nothing is mounted, copies for others counted', () => {
  const small = new MountWorld({ limit: 7 })
  small.ok(['mkdir', '/a'], ['mkdir', '/b'], ['mount', '/', '', '', 'shared'], ['mount', '/b', '/', '', 'bind'])
  small.ok(['mkdir', '/a/in'], ['mount', '/a', 'one', 'tmpfs', ''])
  // Five mounts in all: the first root, the root, its bind, and one that came twice.
  const before = small.tables
  expect(before[0]).toHaveLength(4)
  small.ok(['mkdir', '/c'], ['mkdir', '/a/in'], ['mount', '/a/in', 'two', 'tmpfs', ''], ['umount', '/a/in', 0])
  expect(small.try('mount', '/a', '/', '', 'bind,rec')).toBe('ENOSPC')
  small.ok(['mount', '/c', 'two', 'tmpfs', ''])
  const full = small.tables
  expect(full[0]).toHaveLength(6)
  expect(small.try('mount', '/c', 'three', 'tmpfs', '')).toBe('ENOSPC')
  expect(small.try('mount', '/b', '/a', '', 'bind')).toBe('ENOSPC')
  expect(small.tables).toEqual(full)
  expect(checkMountTree(small.vfs)).toEqual([])
  small.end()
})

test('A245 mount(2): privilege; the old magic value is ignored; what is wanted, by precedence; a type is needed', () => {
  const { vfs } = w
  const as = (path: string) => code(() => unmountAt(stranger(), task().root, path, 0))
  expect(as('/missing')).toBe('ENOENT')
  expect(as('/a')).toBe('EPERM')
  const mount = (flags: number, more: object = {}) => code(() => calls().mount('/a', { source: '/b', flags, ...more }))
  expect(mount(0)).toBe('EINVAL')
  expect(mount(0, { type: 'none such' })).toBe('ENODEV')
  expect(mount((MS_MGC_VAL | MS_BIND) >>> 0)).toBe('ok')
  // Remount before bind: /b is not looked for. Bind before propagation: nothing is said of a wrong one. Propagation before move.
  expect(mount(MS_REMOUNT | MS_BIND, { source: '/none' })).toBe('ok')
  expect(mount(MS_BIND | MS_PRIVATE, { source: '/none' })).toBe('ENOENT')
  expect(mount(MS_PRIVATE | MS_MOVE)).toBe('EINVAL')
  expect(mount(MS_PRIVATE)).toBe('ok')
  expect(vfs.superblocks.size).toBe(2)
  expect(w.try('mount', '/a', '', '', 'unbindable')).toBe('ok')
  expect(w.try('mount', '/a', '', '', 'remount,bind,nodiratime')).toBe('ok')
  expect(w.tables[0]!.at(-1)).toContain('nodiratime')
})

test('A246 strictatime cancels noatime', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', 'noatime,strictatime'], ['mount', '/b', 'two', 'tmpfs', 'noatime'])
  expect(at('/a').mount.flags).toMatchObject({ noatime: false, strictatime: true })
  expect(at('/b').mount.flags).toMatchObject({ noatime: true, strictatime: false })
})

test('A247 files that are open below do not keep a directory from being mounted over', () => {
  w.ok(['open', 'held', '/a/in', 'r'])
  expect(w.try('mount', '/a', 'one', 'tmpfs', '')).toBe('ok')
  w.ok(['umount', '/a', 0], ['close', 'held'])
})

test('A248 A249 umount: flags that are not, and privilege for force', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''])
  const flags = (bits: number) => code(() => unmountAt(task(), task().root, '/a', bits))
  expect([MNT_EXPIRE, 16, 1 << 30].map(flags)).toEqual(['EINVAL', 'EINVAL', 'EINVAL'])
  expect([MNT_FORCE, MNT_EXPIRE].map((bits) => code(() => calls().umount2('/a', bits)))).toEqual(['EINVAL', 'EINVAL'])
  expect(code(() => unmountAt(stranger(), task().root, '/a', MNT_FORCE))).toBe('EPERM')
  expect(flags(MNT_FORCE)).toBe('ok')
})

test('A248 umount follows a final link, unless told not to', () => {
  task().symlinkat('/a', AT_FDCWD, '/link')
  w.ok(['mount', '/a', 'one', 'tmpfs', ''])
  expect(w.try('umount', '/link', UMOUNT_NOFOLLOW)).toBe('EINVAL')
  expect(w.try('umount', '/link', 0)).toBe('ok')
})

test('A250 A251 A252 only what is mounted is unmounted: the top of the stack, in this namespace, not its root', () => {
  expect(w.try('umount', '/a', 0)).toBe('EINVAL')
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['chdir', '/a'], ['mount', '/a', 'two', 'tmpfs', ''])
  expect(w.try('umount', '.', 0)).toBe('ok')
  expect(w.seen()).toEqual(['/ base:/', '/a one:/'])
  expect(w.try('umount', '.', 0)).toBe('EBUSY')
  w.ok(['fork'])
  w.okAs(1, ['unshare'], ['chdir', '/'])
  const theirs = resolve(w.actors[1]!.task, w.actors[1]!.task.root, '/a', true)
  expect(code(() => unmountAt(task(), theirs, '.', MNT_DETACH))).toBe('EINVAL')
  expect(code(() => unmount(task().namespace!.root, { lazy: true }))).toBe('EINVAL')
  expect(w.seen(1)).toEqual(['/ base:/', '/a one:/'])
})

test('A253 A032 A033 a mount is busy while something is mounted on it, open in it, or works in it', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['create', '/a/f'])
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''])
  expect(w.try('umount', '/a', 0)).toBe('EBUSY')
  w.ok(['umount', '/a/in', 0])
  for (const how of ['r', 'w', 'p']) {
    w.ok(['open', 'held', '/a/f', how])
    expect(w.try('umount', '/a', 0), how).toBe('EBUSY')
    w.ok(['close', 'held'])
  }
  w.ok(['chdir', '/a/in'])
  expect(w.try('umount', '/a', 0)).toBe('EBUSY')
  w.ok(['chdir', '/'], ['fork'])
  w.okAs(1, ['chroot', '/a'])
  expect(w.try('umount', '/a', 0)).toBe('EBUSY')
  w.okAs(1, ['chroot', '.'])
  expect(w.try('umount', '/a', 0)).toBe('ok')
})

test('A254 A038 what is in use works on after a lazy unmount; below it is what was covered, above it nothing', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a/in', 'two', 'tmpfs', ''])
  w.ok(['create', '/a/in/f'], ['create', '/a/f'])
  const fd = task().openat(AT_FDCWD, '/a/in/f', O_WRONLY, 0)
  const dir = task().openat(AT_FDCWD, '/a', O_RDONLY, 0)
  const below = task().openat(AT_FDCWD, '/a/in', O_RDONLY, 0)
  w.ok(['umount', '/a', MNT_DETACH])
  expect(w.seen()).toEqual(['/ base:/'])
  expect(task().writev(fd, new Uint8Array([1, 2]), [0, 2])).toBe(2)
  expect(code(() => task().openat(dir, 'new', O_CREAT | O_WRONLY, 0o644))).toBe('ok')
  const same = (a: number, path: string, b: number) => {
    const [one, other] = [task().fstatat(a, path, 0), task().fstat(b)]
    return one.dev === other.dev && one.ino === other.ino
  }
  expect([same(dir, '..', dir), same(below, '..', below)]).toEqual([true, true])
  expect(code(() => task().fstatat(dir, 'in/f', 0))).toBe('ENOENT')
})

test('A255 nothing is bound from a mount that was unmounted', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['chdir', '/a'], ['umount', '/a', MNT_DETACH])
  expect(w.try('mount', '/b', 'in', '', 'bind')).toBe('EINVAL')
  expect(w.try('mount', '/b', '.', '', 'bind,rec')).toBe('EINVAL')
})

test('A258 A259 A260 a mount turns read-only when nobody writes, and back at any time', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['create', '/a/f'])
  const { mount } = at('/a')
  w.ok(['open', 'read', '/a/f', 'r'], ['open', 'write', '/a/f', 'w'])
  expect(mount.writers).toBe(1)
  expect(code(() => setMountReadOnly(mount, true))).toBe('EBUSY')
  expect(w.try('mount', '/a', '', '', 'remount,rdonly')).toBe('EBUSY')
  expect(code(() => setMountReadOnly(mount, false))).toBe('ok')
  w.ok(['close', 'write'])
  expect(code(() => setMountReadOnly(mount, true))).toBe('ok')
  expect(mount.readonly).toBe(true)
  expect(code(() => setMountReadOnly(mount, true))).toBe('ok')
  expect(w.try('open', 'write', '/a/f', 'w')).toBe('EROFS')
  expect(code(() => setMountReadOnly(mount, false))).toBe('ok')
  w.ok(['open', 'write', '/a/f', 'w'], ['close', 'write'], ['close', 'read'])
})

test('A261 A262 read-only is a mount’s own: through another the filesystem is written', () => {
  w.ok(['mount', '/b', '/a', '', 'bind'], ['mount', '/b', '', '', 'remount,bind,rdonly'])
  const refused = [
    w.try('mkdir', '/b/x'),
    w.try('create', '/b/x'),
    w.try('rmdir', '/b/in'),
    w.try('rename', '/b/in', '/b/out'),
    code(() => task().fchmodat(AT_FDCWD, '/b/in', 0o700, 0)),
    code(() => task().fchownat(AT_FDCWD, '/b/in', 1, 1, 0)),
    code(() => task().utimensat(AT_FDCWD, '/b/in', 0n, 0n, 0)),
    code(() => task().symlinkat('x', AT_FDCWD, '/b/x')),
  ]
  expect(new Set(refused)).toEqual(new Set(['EROFS']))
  expect(w.try('mkdir', '/a/x')).toBe('ok')
  expect(w.try('stat', '/b/x')).toBe('ok')
})

test('A264 remount sets all flags anew, but leaves the access time’s where none is given, as Linux does; data is ignored', () => {
  w.ok(
    ['mount', '/a', 'one', 'tmpfs', 'nosuid,noexec,noatime'],
    ['mount', '/a', '', '', 'remount,nodev', 'size=nonsense'],
  )
  expect(w.tables[0]!.at(-1)!.split(' ')[5]).toBe('rw,nodev,noatime')
  w.ok(['mount', '/a', '', '', 'remount,relatime'])
  expect(w.tables[0]!.at(-1)!.split(' ')[5]).toBe('rw,relatime')
  expect(w.try('mount', '/a/..', '', '', 'remount,nodev')).toBe('ok')
  expect(w.try('mount', '/b', '', '', 'remount,nodev')).toBe('EINVAL')
  w.ok(['fork'])
  w.okAs(1, ['unshare'])
  const [theirs] = w.actors[1]!.task.namespace!.all().slice(-1)
  const there = new VirtualDentry(theirs!, theirs!.root)
  task().setCwd(there)
  expect(w.try('mount', '.', '', '', 'remount,nodev')).toBe('EINVAL')
})

test('A267 A255 both ends of a bind are in the caller’s namespace', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['fork'])
  w.okAs(1, ['unshare'], ['chdir', '/a'])
  task().setCwd(w.actors[1]!.task.cwd)
  expect(w.try('mount', '/b', '.', '', 'bind')).toBe('EINVAL')
  expect(w.try('mount', '.', '/b', '', 'bind')).toBe('EINVAL')
  expect(w.try('mount', 'in', 'two', 'tmpfs', '')).toBe('EINVAL')
})

test('A268 A270 A057 a bind takes one mount, from the source on, with its flags; a recursive one all that hangs below, nested alike', () => {
  w.ok(['mkdir', '/a/in/deep'], ['mkdir', '/a/out'], ['mkdir', '/c'])
  w.ok(['mount', '/a/in', 'one', 'tmpfs', 'nosuid'], ['mkdir', '/a/in/x'], ['mount', '/a/in/x', 'two', 'tmpfs', ''])
  w.ok(['mount', '/b', '/a', '', 'bind'], ['mount', '/c', '/a', '', 'bind,rec'])
  expect(w.seen()).toEqual([
    '/ base:/',
    ...['/a/in one:/', '/a/in/x two:/', '/b base:/a'],
    ...['/c base:/a', '/c/in one:/', '/c/in/x two:/'],
  ])
  expect([w.try('stat', '/b/in/deep'), w.try('stat', '/b/in/x'), w.try('stat', '/c/in/x')]).toEqual([
    'ok',
    'ENOENT',
    'ok',
  ])
  expect(w.tables[0]!.filter((line) => line.includes('nosuid'))).toHaveLength(2)
  w.ok(['mkdir', '/d'], ['mount', '/d', '/a/out', '', 'bind,rec'])
  expect(w.seen().filter((line) => line.startsWith('/d'))).toEqual(['/d base:/a/out'])
})

test('A272 a directory bound to itself is a mount point', () => {
  expect(w.try('umount', '/a', 0)).toBe('EINVAL')
  w.ok(['mount', '/a', '/a', '', 'bind'])
  expect(w.try('stat', '/a/in')).toBe('ok')
  expect(w.try('mount', '/a', '', '', 'private')).toBe('ok')
})

test('A273 a mount is moved with all on it, if it is one, has a parent that is private, and does not go into itself', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a/in', 'two', 'tmpfs', ''])
  expect(w.try('mount', '/b', '/a/in/none', '', 'move')).toBe('ENOENT')
  expect(w.try('mount', '/b', '/', '', 'move')).toBe('ELOOP')
  expect(w.try('mount', '/a/in', '/a', '', 'move')).toBe('ELOOP')
  expect(w.try('mount', '/f', '/a', '', 'move')).toBe('EINVAL')
  w.ok(['mkdir', '/a/in/no'])
  expect(w.try('mount', '/b', '/a/in/no', '', 'move')).toBe('EINVAL')
  const first = task().namespace!.root
  const place = new VirtualDentry(first, first.root)
  task().setCwd(place)
  expect(w.try('mount', '/b', '.', '', 'move')).toBe('EINVAL')
  w.ok(['mount', '/b', '/a', '', 'move'])
  expect(w.seen()).toEqual(['/ base:/', '/b one:/', '/b/in two:/'])
  w.ok(['mount', '/', '', '', 'shared'])
  expect(w.try('mount', '/a', '/b', '', 'move')).toBe('EINVAL')
  expect(w.try('mount', '/a', '/b/in', '', 'move')).toBe('ok')
})

test('A273 a tree with an unbindable mount is not moved to where others would get it', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/c'], ['mount', '/c', 'two', 'tmpfs', ''], ['mkdir', '/c/in'])
  w.ok(['mount', '/a', '', '', 'unbindable'], ['mount', '/c', '', '', 'shared'])
  expect(w.try('mount', '/c/in', '/a', '', 'move')).toBe('EINVAL')
  expect(w.try('mount', '/b', '/a', '', 'move')).toBe('ok')
})

test('A299 A039 who watches a namespace hears of each mount, unmount, move, change of flags, once the tree has changed', () => {
  const namespace = task().namespace!
  const heard: string[][] = []
  const step = (...args: [string, ...(string | number)[]]) => {
    const before = heard.length
    namespace.changed.add({ wake: () => heard.push(w.seen()) })
    w.ok(args)
    expect(heard.length, args.join(' ')).toBe(before + 1)
    expect(heard.at(-1), args.join(' ')).toEqual(w.seen())
  }
  step('mount', '/a', 'one', 'tmpfs', '')
  step('mount', '/a', '', '', 'remount,nodev')
  step('mount', '/a', '', '', 'shared')
  step('mount', '/b', '/a', '', 'move')
  step('umount', '/b', 0)
  expect(namespace.event).toBeGreaterThanOrEqual(5)
})

test('A039 a filesystem is released when the tree has changed, and may use it', () => {
  const { vfs } = w
  const seen: string[][] = []
  const superblock = vfs.newFilesystem({ type: 'tmpfs' })
  Object.assign(superblock.filesystem, { release: () => seen.push(w.seen()) })
  vfs.attach(vfs.newMount(superblock), at('/a'))
  w.ok(['mount', '/b', '/a', '', 'bind'], ['umount', '/a', 0])
  expect(seen).toEqual([])
  w.ok(['umount', '/b', MNT_DETACH])
  expect(seen).toEqual([['/ base:/']])
})
