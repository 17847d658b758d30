/** Paths from places, and the texts of the mount table: spec A6, A25, D045-D047. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AT_FDCWD, O_RDWR, O_TMPFILE } from '../abi/linux.ts'
import { MNT_DETACH } from '../abi/mount-flags.ts'
import { mountInfo } from '../oci/mount-info.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { Dentry } from './dentry.ts'
import { VirtualDentry } from './mount.ts'
import { filesystemPath, pathOf, reachablePath, workingDirectory } from './path-print.ts'
import { resolve } from './path-walk.ts'
import { promiseMount } from './promises.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'], ['mkdir', '/a/in'])
})

afterEach(() => w.end())

const task = (i = 0) => w.actors[i]!.task
const at = (path: string, i = 0) => resolve(task(i), task(i).root, path, true)
const mounts = (i = 0) => w.actors[i]!.calls.mounts.split('\n').slice(0, -1)

test('A071 a removed file’s path ends in (deleted); a file without a name has its label and nothing else', () => {
  w.ok(['create', '/a/f'])
  const place = at('/a/f')
  expect(pathOf(place, task().root)).toBe('/a/f')
  w.ok(['unlink', '/a/f'])
  expect(pathOf(place, task().root)).toBe('/a/f (deleted)')
  const fd = task().openat(AT_FDCWD, '/a', O_TMPFILE | O_RDWR, 0o600)
  const { mount, dentry } = task().descriptors.get(fd)
  expect(pathOf(new VirtualDentry(mount, dentry), task().root)).toMatch(/^\/a\/#\d+ \(deleted\)$/)
  task().close(fd)
  for (const label of ['pipe:[7]', '/memfd:x (deleted)']) {
    expect(pathOf(new VirtualDentry(mount, new Dentry(label, undefined, dentry.inode)), task().root)).toBe(label)
  }
})

test('A072 what is not below a root has no path from there', () => {
  const { root } = task()
  expect([reachablePath(at('/a/in'), root), reachablePath(root, root)]).toEqual(['/a/in', '/'])
  expect([reachablePath(at('/a/in'), at('/a')), reachablePath(at('/b'), at('/a'))]).toEqual(['/in', undefined])
})

test('B206 whether a name is below another is found by its parents; a path ends at the root it is asked for, at that of the mounts, or at one of no mount', () => {
  w.ok(['mount', '/b', 'one', 'tmpfs', ''], ['mkdir', '/b/x'], ['mkdir', '/b/x/y'], ['mkdir', '/b/xy'])
  const [b, x, y, xy] = ['/b', '/b/x', '/b/x/y', '/b/xy'].map((path) => at(path).dentry) as [
    Dentry,
    Dentry,
    Dentry,
    Dentry,
  ]
  expect([y.isUnder(x), y.isUnder(b), x.isUnder(x), x.isUnder(y), xy.isUnder(x)]).toEqual([
    true,
    true,
    true,
    false,
    false,
  ])
  // Names count, not mounts: what is mounted on a directory is not below it.
  expect(b.isUnder(task().root.dentry)).toBe(false)
  const place = at('/b/x/y')
  expect(reachablePath(place, at('/b/x'))).toBe('/y')
  expect([reachablePath(place, at('/a')), workingDirectory(place, at('/a'), 99)]).toEqual([
    undefined,
    '(unreachable)/b/x/y',
  ])
  const detached = new Dentry('', undefined, y.inode)
  const foreign = new VirtualDentry(place.mount, detached.add('z', y.inode))
  expect([reachablePath(foreign, task().root), workingDirectory(foreign, task().root, 99)]).toEqual([
    undefined,
    '(unreachable)/z',
  ])
})

test('A073 the path in the filesystem itself, with //deleted for what is gone', () => {
  w.ok(['mount', '/b', 'one', 'tmpfs', ''], ['mkdir', '/b/x'], ['mkdir', '/b/x/y'], ['mount', '/a', '/b/x', '', 'bind'])
  const { dentry } = at('/a/y')
  expect([filesystemPath(dentry), filesystemPath(at('/b').dentry)]).toEqual(['/x/y', '/'])
  w.ok(['rmdir', '/b/x/y'])
  expect(filesystemPath(dentry)).toBe('/x/y//deleted')
})

test('A074 A075 getcwd: ENOENT for a removed directory, (unreachable) before what is outside, ERANGE without room for the NUL', () => {
  const { calls } = w.actors[0]!
  w.ok(['mkdir', '/a/ö'], ['chdir', '/a/ö'])
  expect(w.try('getcwd')).toBe('/a/ö')
  expect(calls.getcwd(6)).toBe('/a/ö')
  expect(() => calls.getcwd(5)).toThrow(expect.objectContaining({ code: 'ERANGE' }))
  w.ok(['fork'])
  w.okAs(1, ['chroot', '/b'])
  expect(w.run([1, 'getcwd'])).toBe('(unreachable)/a/ö')
  expect(workingDirectory(at('/b'), at('/b'), 2)).toBe('/')
  w.ok(['rmdir', '/a/ö'])
  expect([w.try('getcwd'), w.run([1, 'getcwd'])]).toEqual(['ENOENT', 'ENOENT'])
})

test('A292 A295 A294 A246 D046 mounts: source, path, type, options (nosuid among them: no program here gets an id by being run), in the order of mount numbers', () => {
  w.ok(['mount', '/b', 'two', 'tmpfs', 'noatime,noexec,nosuid,nodev', 'size=1m'])
  w.ok(['mount', '/a', '', 'tmpfs', 'strictatime'], ['mount', '/b', '/b', '', 'bind'])
  w.ok(['mount', '/b', '', '', 'remount,bind,rdonly,noatime,nodiratime'])
  expect(mounts()).toEqual([
    'base / tmpfs rw,relatime 0 0',
    'two /b tmpfs rw,nosuid,nodev,noexec,noatime,size=1024k 0 0',
    'none /a tmpfs rw 0 0',
    'two /b tmpfs ro,noatime,nodiratime,size=1024k 0 0',
  ])
})

test('A293 A298 only what the root reaches is shown, as it sees it, whatever comes in between', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/b', 'two', 'tmpfs', ''], ['mkdir', '/b/x'])
  w.ok(['mount', '/b/x', 'three', 'tmpfs', ''], ['fork'])
  w.okAs(1, ['chroot', '/b'])
  expect(mounts(1)).toEqual(['two / tmpfs rw,relatime 0 0', 'three /x tmpfs rw,relatime 0 0'])
  w.okAs(1, ['chroot', '/x'])
  expect(mounts(1)).toEqual(['three / tmpfs rw,relatime 0 0'])
  w.ok(['mkdir', '/a/d'], ['fork'])
  w.okAs(2, ['chroot', '/a/d'])
  expect(mounts(2)).toEqual([])
})

test('A296 A284 mountinfo: numbers, device, roots, tags, and the filesystem’s own', () => {
  w.ok(['mount', '/b', 'two', 'tmpfs', 'noatime'], ['mkdir', '/b/x'], ['mount', '/b', '', '', 'shared'])
  w.ok(['mount', '/a', '/b/x', '', 'bind'], ['mount', '/a', '', '', 'slave'], ['mount', '/a', '', '', 'shared'])
  const lines = w.tables[0]!
  const [root, b, a] = [at('/'), at('/b'), at('/a')].map(({ mount }) => mount)
  expect(lines).toEqual([
    `${root!.id} ${root!.parent!.id} 0:${root!.superblock.filesystem.dev} / / rw,relatime - tmpfs base rw`,
    `${b!.id} ${root!.id} 0:${b!.superblock.filesystem.dev} / /b rw,noatime shared:1 - tmpfs two rw`,
    `${a!.id} ${root!.id} 0:${b!.superblock.filesystem.dev} /x /a rw,noatime shared:2 master:1 - tmpfs two rw`,
  ])
  w.ok(['mount', '/b', '', '', 'private'])
  expect(w.tables[0]![2]).toContain(' shared:2 - ')
})

test('A296 the first mount is its own parent; a root whose directory was removed says so', () => {
  const first = task().namespace!.root
  w.ok(['mkdir', '/a/gone'], ['mount', '/b', '/a/gone', '', 'bind'], ['rmdir', '/a/gone'])
  expect(w.tables[0]!.at(-1)).toContain(' /a/gone//deleted /b ')
  w.ok(['fork'])
  task(1).setRoot(new VirtualDentry(first, first.root))
  expect(w.tables[1]![0]!.startsWith(`${first.id} ${first.id} 0:`)).toBe(true)
})

test('A284 propagate_from names the nearest group above that the root can see, where that is not the master', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mount', '/a', '', '', 'shared'], ['mkdir', '/a/in'])
  // one (g1) ← /b (g2), later out of sight ← /c
  w.ok(['mount', '/b', '/a', '', 'bind'], ['mount', '/b', '', '', 'slave'], ['mount', '/b', '', '', 'shared'])
  w.ok(['mkdir', '/jail'], ['mount', '/jail', 'jail', 'tmpfs', ''], ['mkdir', '/jail/c'], ['mkdir', '/jail/a'])
  w.ok(['mount', '/jail/c', '/b', '', 'bind'], ['mount', '/jail/c', '', '', 'slave'])
  const c = () =>
    w.actors
      .at(-1)!
      .calls.mountinfo.split('\n')
      .find((line) => line.includes('/c '))
  expect(c()).toContain(' master:2 - ')
  w.ok(['mount', '/jail/a', '/a', '', 'bind'], ['fork'])
  w.okAs(1, ['chroot', '/jail'])
  expect(c()).toContain(' master:2 propagate_from:1 - ')
  w.ok(['umount', '/jail/a', 0])
  expect(c()).toContain(' master:2 - ')
})

test('A297 space, tab, newline and backslash are octal in paths and sources, in both texts', () => {
  w.ok(['mkdir', '/a b\tc\nd\\e#'], ['mount', '/a b\tc\nd\\e#', 's #', 'tmpfs', ''])
  expect(mounts().at(-1)).toBe('s\\040\\043 /a\\040b\\011c\\012d\\134e# tmpfs rw,relatime 0 0')
  expect(w.tables[0]!.at(-1)).toMatch(/ \/ \/a\\040b\\011c\\012d\\134e# rw,relatime - tmpfs s\\040\\043 rw$/)
})

test('A300 an open promise shows as a mount of type promise, until it is kept', () => {
  promiseMount(at('/a'))
  expect(mounts().at(-1)).toBe('none /a promise rw 0 0')
  expect(w.tables[0]!.at(-1)).toMatch(/ \/a rw - promise none rw$/)
  w.vfs.attach(w.vfs.newMount(w.vfs.newFilesystem({ type: 'tmpfs' }), { source: 'kept' }), at('/b'))
  const place = task().root.dentry.child('a', task().attempt)!
  w.vfs.attach(
    w.vfs.newMount(w.vfs.newFilesystem({ type: 'tmpfs' }), { source: 'kept' }),
    new VirtualDentry(task().root.mount, place),
  )
  expect(mounts()).toEqual([
    'base / tmpfs rw,relatime 0 0',
    'kept /b tmpfs rw,relatime 0 0',
    'kept /a tmpfs rw,relatime 0 0',
  ])
})

test('A299 removed mounts are gone from the text; detached ones have no path', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/x'], ['chdir', '/a/x'], ['umount', '/a', MNT_DETACH])
  expect(mounts()).toEqual(['base / tmpfs rw,relatime 0 0'])
  expect(w.try('getcwd')).toBe('(unreachable)/x')
})

test('D045 binds of one directory are one inode, and mounts of their own', () => {
  w.ok(['mount', '/b', '/a', '', 'bind'])
  const [one, other] = [task().fstatat(AT_FDCWD, '/a', 0), task().fstatat(AT_FDCWD, '/b', 0)]
  expect([one.dev, one.ino]).toEqual([other.dev, other.ino])
  expect(at('/a').mount.id).not.toBe(at('/b').mount.id)
})

test('the page’s table has the same mounts in the same order', () => {
  w.ok(['mount', '/b', 'two', 'tmpfs', 'noatime', 'size=1m'], ['mount', '/a', 'one', 'tmpfs', 'strictatime'])
  const table = mountInfo(task().namespace!)
  expect(table.map(({ destination, source, options }) => [source, destination, ...options])).toEqual([
    ['base', '/', 'rw'],
    ['two', '/b', 'rw', 'noatime', 'size=1024k'],
    ['one', '/a', 'rw', 'strictatime'],
  ])
  expect(table[1]!.parent).toBe(table[0]!.id)
})
