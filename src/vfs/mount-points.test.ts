/** Removing and moving names that are mount points: spec A18, A031, A164, A165, A181. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AT_FDCWD, RENAME_EXCHANGE } from '../abi/linux.ts'
import { MNT_DETACH } from '../abi/mount-flags.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { Dentry } from './dentry.ts'
import { VirtualDentry } from './mount.ts'
import { invalidate, NameChange } from './mount-points.ts'
import { resolve } from './path-walk.ts'
import { WouldBlock } from './waiting.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'], ['mkdir', '/c'], ['fork'])
  w.okAs(1, ['unshare'])
})

afterEach(() => w.end())

const task = (i = 0) => w.actors[i]!.task
const dentry = (path: string) => resolve(task(), task().root, path, true).dentry
const superblock = () => task().root.mount.superblock
const mount = (at: VirtualDentry) => {
  const { vfs } = w
  vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }), { source: 'late' }), at)
}

test('A230 A231 a mount point of the caller’s namespace is not removed, renamed or replaced', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''])
  expect([w.try('rmdir', '/a'), w.try('rename', '/a', '/x'), w.try('rename', '/b', '/a')]).toEqual([
    'EBUSY',
    'EBUSY',
    'EBUSY',
  ])
  w.ok(['create', '/f'], ['create', '/g'], ['mount', '/f', '/g', '', 'bind'])
  expect([w.try('unlink', '/f'), w.try('rename', '/g', '/f')]).toEqual(['EBUSY', 'EBUSY'])
  const exchange = () => task().renameat2(AT_FDCWD, '/b', AT_FDCWD, '/a', RENAME_EXCHANGE)
  expect(exchange).toThrow(expect.objectContaining({ code: 'EBUSY' }))
})

test('A230 it is busy also where the caller cannot see the mount: below a chroot, or under another one', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a/in', 'two', 'tmpfs', ''])
  w.ok(['mount', '/b', '/a', '', 'bind'], ['chroot', '/b'])
  expect(w.try('rmdir', '/in')).toBe('EBUSY')
})

test('A181 A232 A031 in other namespaces it may go: what is mounted there goes with it, as it hangs together', () => {
  w.okAs(1, ['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a/in', 'two', 'tmpfs', ''])
  w.okAs(1, ['create', '/a/in/f'], ['chdir', '/a'])
  const gone = dentry('/a')
  w.ok(['rmdir', '/a'])
  expect(w.seen(1)).toEqual(['/ base:/'])
  expect([gone.dead, gone.mounts, superblock().points.size]).toEqual([true, 0, 0])
  // Cut from the tree as a whole: below it the second mount is still there.
  expect(w.run([1, 'stat', 'in/f'])).toBe('ok')
  expect(w.run([1, 'getcwd'])).toBe('(unreachable)/')
  expect(() => mount(new VirtualDentry(task().root.mount, gone))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
})

test('A165 A232 a rename takes along what other namespaces have mounted on the source, and removes what is on the target', () => {
  w.okAs(1, ['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/b', 'two', 'tmpfs', ''])
  w.ok(['rename', '/a', '/b'])
  expect(w.seen(1)).toEqual(['/ base:/', '/b one:/'])
})

test('A234 an exchange takes both along, and neither is dead', () => {
  w.okAs(1, ['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/b', 'two', 'tmpfs', ''])
  const both = [dentry('/a'), dentry('/b')]
  task().renameat2(AT_FDCWD, '/a', AT_FDCWD, '/b', RENAME_EXCHANGE)
  expect(w.seen(1)).toEqual(['/ base:/', '/a two:/', '/b one:/'])
  expect(both.map(({ dead }) => dead)).toEqual([false, false])
})

test('A233 a name that a backend lost takes its mounts along in every namespace, the caller’s too', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''])
  w.okAs(1, ['mount', '/a', 'two', 'tmpfs', ''])
  const gone = new VirtualDentry(task().root.mount, task().root.dentry.child('a', task().attempt)!)
  ;(gone.dentry.parent!.inode as { unlink?: (...args: unknown[]) => void }).unlink!(
    'a',
    gone.dentry.inode,
    task().attempt,
  )
  invalidate(superblock(), gone.dentry)
  expect([w.seen(0), w.seen(1), w.try('stat', '/a')]).toEqual([['/ base:/'], ['/ base:/'], 'ENOENT'])
})

test('A230 A235 while a removal waits for its reply nothing is mounted on the name; once it is gone who waited finds nothing', () => {
  const place = resolve(task(), task().root, '/a', true)
  const change = new NameChange(task().namespace, superblock(), place.dentry)
  const woken = vi.fn()
  const attempt = () => {
    try {
      mount(place)
      return 'ok'
    } catch (error) {
      if (error instanceof WouldBlock) error.queues[0]!.add({ wake: woken })
      return error instanceof WouldBlock ? 'waits' : (error as { code: string }).code
    }
  }
  expect(attempt()).toBe('waits')
  ;(place.dentry.parent!.inode as { unlink?: (...args: unknown[]) => void }).unlink!(
    'a',
    place.dentry.inode,
    task().attempt,
  )
  change.commitDelete()
  expect([woken.mock.calls.length, attempt(), place.dentry.dead]).toEqual([1, 'ENOENT', true])
})

test('A230 an aborted change lets who waited mount', () => {
  const place = resolve(task(), task().root, '/a', true)
  const change = new NameChange(task().namespace, superblock(), place.dentry)
  expect(() => mount(place)).toThrow(WouldBlock as never)
  change.abort()
  mount(place)
  expect(w.seen()).toEqual(['/ base:/', '/a late:/'])
})

test('A231 A232 A234 a rename in two steps checks both names, and its end is like that of one in one step', () => {
  w.ok(['mount', '/c', 'one', 'tmpfs', ''])
  const [a, b, root] = [dentry('/a'), dentry('/b'), task().root.dentry]
  const c = root.child('c', task().attempt)!
  const prepare = (...entries: Dentry[]) => new NameChange(task().namespace, superblock(), ...entries)
  for (const entries of [[c], [a, c], [c, a]]) {
    expect(() => prepare(...entries)).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  }
  expect(superblock().pinned.size).toBe(0)
  w.okAs(1, ['mount', '/b', 'two', 'tmpfs', ''])
  prepare(a, b).commitExchange(Dentry.exchange)
  expect([a.name, b.name, a.dead, b.dead, w.seen(1)[1]]).toEqual(['b', 'a', false, false, '/a two:/'])
  prepare(a, b).commitRename(root, 'a')
  expect([a.name, a.dead, b.dead]).toEqual(['a', false, true])
  expect([w.seen(1), superblock().pinned.size]).toEqual([['/ base:/'], 0])
})

test('A230 what a namespace has unmounted lazily does not keep the name', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['open', 'held', '/a', 'r'], ['umount', '/a', MNT_DETACH])
  expect(w.try('rmdir', '/a')).toBe('ok')
  w.ok(['close', 'held'])
})

test('what is renamed out of what a bind shows has no way up from there, as on Linux', () => {
  w.ok(['mkdir', '/a/deep'], ['mkdir', '/a/deep/er'], ['mount', '/b', '/a', '', 'bind'], ['chdir', '/b/deep'])
  expect(w.try('stat', '../deep')).toBe('ok')
  w.ok(['rename', '/a/deep', '/out'])
  expect([w.try('stat', 'er/..'), w.try('stat', '..'), w.try('stat', '../c')]).toEqual(['ENOENT', 'ENOENT', 'ENOENT'])
})
