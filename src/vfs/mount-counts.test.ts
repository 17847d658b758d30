/** What is counted, and when it ends: spec A3. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../abi/linux.ts'
import { MNT_DETACH } from '../abi/mount-flags.ts'
import { liveCounts } from '../testing/check-mounts.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { FileDescription } from './description.ts'
import { VirtualDentry } from './mount.ts'
import { resolve } from './path-walk.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'])
})

afterEach(() => w.end())

const task = () => w.actors[0]!.task
const at = (path: string) => resolve(task(), task().root, path, true)
const counts = () => liveCounts(w.vfs)

test('A024 a place is a value: two with the same mount and dentry are equal, and holding one counts nothing', () => {
  w.ok(['mount', '/b', '/a', '', 'bind'])
  const before = counts()
  const [a, again, b] = [at('/a'), at('/a'), at('/b')]
  expect([a.equals(again), a.equals(b), a.dentry === b.dentry]).toEqual([true, false, true])
  expect(counts()).toEqual(before)
})

test('A025 A030 a mount keeps its filesystem, which is among the live ones from its making until nothing shows it or has it open', () => {
  const { vfs } = w
  const superblock = vfs.newFilesystem({ type: 'tmpfs' })
  const release = vi.fn()
  Object.assign(superblock.filesystem, { release })
  expect(vfs.superblocks.has(superblock)).toBe(true)
  const devices = vfs.anonymousDevices.inUse
  vfs.attach(vfs.newMount(superblock), at('/a'))
  w.ok(['mount', '/b', '/a', '', 'bind'], ['create', '/a/f'], ['open', 'held', '/a/f', 'r'], ['umount', '/b', 0])
  w.ok(['umount', '/a', MNT_DETACH])
  expect([release.mock.calls.length, vfs.superblocks.has(superblock)]).toEqual([0, true])
  w.ok(['close', 'held'])
  expect([release.mock.calls.length, vfs.superblocks.has(superblock)]).toEqual([1, false])
  expect(vfs.anonymousDevices.inUse).toBe(devices - 1)
})

test('A030 sync goes to each live filesystem once, and to none that is gone', () => {
  const synced: string[] = []
  for (const [path, name] of [
    ['/a', 'one'],
    ['/b', 'two'],
  ] as const) {
    const superblock = w.vfs.newFilesystem({ type: 'tmpfs' })
    Object.assign(superblock.filesystem, { sync: () => synced.push(name) })
    w.vfs.attach(w.vfs.newMount(superblock), at(path))
  }
  w.ok(['mkdir', '/c'], ['mount', '/c', '/a', '', 'bind'], ['umount', '/b', 0])
  task().sync()
  expect(synced).toEqual(['one'])
})

test('A027 attaching and unmounting leave no count behind; the tree alone keeps a mount', () => {
  const before = counts()
  w.ok(['mount', '/a', 'one', 'tmpfs', ''])
  expect(counts()).toEqual({
    ...before,
    superblocks: before.superblocks + 1,
    views: before.views + 1,
    devices: before.devices + 1,
    points: before.points + 1,
  })
  expect(at('/a').mount.users).toBe(0)
  w.ok(['umount', '/a', 0])
  expect(counts()).toEqual(before)
})

test('A028 what was unmounted is found by no path any more, while those that have it go on', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['fork'])
  w.okAs(1, ['chdir', '/a'])
  const { mount } = w.actors[1]!.task.cwd
  w.ok(['umount', '/a', MNT_DETACH])
  expect(at('/a').mount).not.toBe(mount)
  w.okAs(1, ['mkdir', 'in/more'], ['chdir', 'in'])
  expect([mount.unmounted, mount.users, mount.superblock.views.has(mount)]).toEqual([true, 1, true])
  w.okAs(1, ['chdir', '/'])
  expect([mount.users, mount.superblock.views.has(mount)]).toEqual([0, false])
})

test('A026 files that are mounted nowhere, such as pipes, keep a mount of the kernel’s own in use while they are open', () => {
  const { anonymousFiles } = w.vfs
  const stream = { poll: () => 0, queue: { add() {}, remove() {}, wake() {}, size: 0 } as never }
  const file = anonymousFiles.open(stream, 'fifo', O_RDONLY, 'pipe:[1]', 0n)
  expect([file.mount.namespace, file.mount.users, file.mount.superblock.opens]).toEqual([undefined, 1, 1])
  file.release()
  expect([file.mount.users, file.mount.superblock.opens]).toEqual([0, 0])
})

test('A032 A258 an open file counts as a user, and as a writer if it may write; a read-only mount refuses', () => {
  w.ok(['create', '/f'])
  const { mount } = task().root
  const [users, writers] = [mount.users, mount.writers]
  const opened = [O_RDONLY, O_WRONLY, O_RDWR].map((flags) => task().openat(AT_FDCWD, '/f', flags, 0))
  expect([mount.users - users, mount.writers - writers]).toEqual([3, 2])
  for (const fd of opened) task().close(fd)
  expect([mount.users, mount.writers]).toEqual([users, writers])
  w.ok(['mount', '/', '', '', 'remount,rdonly'])
  const open = (flags: number) => () => task().openat(AT_FDCWD, '/f', flags, 0o644)
  for (const flags of [O_WRONLY, O_RDWR, O_WRONLY | O_CREAT]) {
    expect(open(flags)).toThrow(expect.objectContaining({ code: 'EROFS' }))
  }
  expect([mount.users, mount.writers]).toEqual([users, writers])
})

test('A033 a device counts as no writer', () => {
  task().mknodat(AT_FDCWD, '/null', 'char', 0o666, 0x103)
  const stream = { poll: () => 0, queue: { add() {}, remove() {}, wake() {}, size: 0 } as never }
  const place = at('/null')
  const file = new FileDescription(place, O_WRONLY, stream)
  expect([place.mount.writers, place.mount.users]).toEqual([0, 3])
  w.ok(['mount', '/', '', '', 'remount,rdonly'])
  file.release()
})

test('A031 a dentry knows how many mounts are on it, and a dead one gets none', () => {
  const place = new VirtualDentry(task().root.mount, at('/a').dentry)
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['fork'])
  w.okAs(1, ['unshare'])
  expect(place.dentry.mounts).toBe(2)
  w.ok(['umount', '/a', 0], ['rmdir', '/a'])
  expect([place.dentry.mounts, place.dentry.dead]).toEqual([0, true])
  const mount = w.vfs.newMount(w.vfs.newFilesystem({ type: 'tmpfs' }))
  expect(() => w.vfs.attach(mount, place)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
})

test('a mount that fails is let go with all that was made for it', () => {
  w.ok(
    ['create', '/f'],
    ['mount', '/a', 'one', 'tmpfs', ''],
    ['mkdir', '/a/in'],
    ['mount', '/a/in', 'two', 'tmpfs', ''],
  )
  w.ok(['mount', '/a', '', '', 'rec,shared'])
  const before = counts()
  expect(w.try('mount', '/f', 'three', 'tmpfs', '')).toBe('ENOTDIR')
  expect(w.try('mount', '/f', '/a', '', 'bind,rec')).toBe('ENOTDIR')
  expect(w.try('mount', '/b', 'three', 'tmpfs', '', 'size=nonsense')).toBe('EINVAL')
  expect(counts()).toEqual(before)
})

test('the walk to a file costs the same with ten mounts or ten thousand beside it', () => {
  const big = new MountWorld({ limit: 10_000 })
  big.ok(['mkdir', '/m'], ['mkdir', '/m/x'], ['mkdir', '/deep'], ['mkdir', '/deep/er'])
  const { vfs } = big
  const { task: own } = big.actors[0]!
  const superblock = own.root.mount.superblock
  const point = resolve(own, own.root, '/m', true)
  for (let i = 0; i < 5000; i++) {
    own.mkdirat(AT_FDCWD, `/m/${i}`, 0o755)
    vfs.attach(vfs.newMount(superblock), new VirtualDentry(point.mount, point.dentry.child(String(i), own.attempt)!))
  }
  // Neither a walk nor the removal of a name looks at the other mounts: it would ask each for its children or its point.
  const { namespace } = own
  const all = vi.spyOn(namespace!, 'all')
  own.fstatat(AT_FDCWD, '/deep/er', 0)
  own.unlinkat(AT_FDCWD, '/deep/er', 0x200)
  expect(() => own.unlinkat(AT_FDCWD, '/m/7', 0x200)).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  expect(all).not.toHaveBeenCalled()
  expect(namespace!.mounts).toBe(5002)
  big.end()
})
