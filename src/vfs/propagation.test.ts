/** Shared subtrees: spec A23, A256, A257, A271. What Linux answers to the same calls was compared by script. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { MNT_DETACH } from '../abi/mount-flags.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { FreeNumbers } from './free-numbers.ts'
import { resolve } from './path-walk.ts'
import { setPropagation } from './propagation.ts'

let w: MountWorld

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/b'], ['mkdir', '/c'], ['mkdir', '/d'])
})

afterEach(() => w.end())

/** /a: a shared mount of `one`, with a directory `in`; /b and whatever else is named: its peers. */
const peers = (...others: string[]) => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a', '', '', 'shared'])
  for (const other of others) w.ok(['mount', other, '/a', '', 'bind'])
}
const below = (path: string) => w.seen().filter((line) => line.startsWith(`${path}/`))
const mountAt = (path: string) => resolve(w.actors[0]!.task, w.actors[0]!.task.root, path, true).mount

test('A276 A277 A285 one type of propagation, of a mount, and with `rec` of all below', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mount', '/a/in', 'two', 'tmpfs', ''])
  expect(w.try('mount', '/a', '', '', 'shared,private')).toBe('EINVAL')
  expect(w.try('mount', '/a', '', '', 'shared,noexec')).toBe('EINVAL')
  expect(w.try('mount', '/b', '', '', 'shared')).toBe('EINVAL')
  w.ok(['mount', '/a', '', '', 'shared'])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/ shared:g1', '/a/in two:/'])
  w.ok(['mount', '/', '', '', 'rec,shared'])
  expect(w.seen()).toEqual(['/ base:/ shared:g1', '/a one:/ shared:g2', '/a/in two:/ shared:g3'])
  w.ok(['mount', '/a', '', '', 'rec,private'])
  expect(w.seen()).toEqual(['/ base:/ shared:g1', '/a one:/', '/a/in two:/'])
})

test('A278 groups have the lowest free number, again when the last member has left', () => {
  const { groups } = w.vfs.numbers
  const number = (path: string) => mountAt(path).peers?.id
  for (const path of ['/a', '/b', '/c']) w.ok(['mount', path, path, '', 'bind'], ['mount', path, '', '', 'shared'])
  expect(['/a', '/b', '/c'].map(number)).toEqual([1, 2, 3])
  w.ok(['mount', '/d', '/b', '', 'bind'], ['mount', '/b', '', '', 'private'])
  expect([number('/b'), number('/d'), groups.inUse]).toEqual([undefined, 2, 3])
  w.ok(['umount', '/d', 0])
  expect(groups.inUse).toBe(2)
  w.ok(['mount', '/b', '', '', 'shared'])
  expect(number('/b')).toBe(2)
  w.ok(['umount', '/a', MNT_DETACH])
  expect(groups.inUse).toBe(2)
})

test('A278 without a free number nothing is shared', () => {
  const full = new FreeNumbers(1, 'ENOSPC')
  const mount = mountAt('/')
  expect(() => setPropagation(mount, 'shared', full)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
  expect(mount.peers).toBeUndefined()
})

test('A279 A280 a mount comes to every peer and every slave, at the same directory, where they show it', () => {
  peers('/b', '/c')
  w.ok(['mount', '/c', '', '', 'slave'], ['mount', '/d', '/a/in', '', 'bind'], ['mkdir', '/a/in/x'])
  w.ok(['mount', '/a/in/x', 'two', 'tmpfs', ''])
  expect(w.seen()).toEqual([
    '/ base:/',
    ...['/a one:/ shared:g1', '/a/in/x two:/ shared:g2'],
    ...['/b one:/ shared:g1', '/b/in/x two:/ shared:g2'],
    ...['/c one:/ master:g1', '/c/in/x two:/ master:g2'],
    ...['/d one:/in shared:g1', '/d/x two:/ shared:g2'],
  ])
  // /d shows only what is in `in`: what is mounted on another directory does not come there.
  w.ok(['mkdir', '/a/out'], ['mount', '/a/out', 'three', 'tmpfs', ''])
  expect(w.seen().filter((line) => line.includes('three'))).toEqual([
    '/a/out three:/ shared:g3',
    '/b/out three:/ shared:g3',
    '/c/out three:/ master:g3',
  ])
})

test('A280 what is mounted on a slave stays there; a slave that is shared passes on to its own peers', () => {
  peers('/b')
  w.ok(['mount', '/b', '', '', 'slave'], ['mount', '/b/in', 'two', 'tmpfs', ''])
  expect([below('/a'), below('/b')]).toEqual([[], ['/b/in two:/']])
  w.ok(['umount', '/b/in', 0], ['mount', '/b', '', '', 'shared'], ['mount', '/c', '/b', '', 'bind'])
  w.ok(['mount', '/a/in', 'three', 'tmpfs', ''])
  expect(w.seen()).toEqual([
    '/ base:/',
    ...['/a one:/ shared:g1', '/a/in three:/ shared:g2'],
    ...['/b one:/ shared:g3 master:g1', '/b/in three:/ shared:g4 master:g2'],
    ...['/c one:/ shared:g3 master:g1', '/c/in three:/ shared:g4 master:g2'],
  ])
  w.ok(['mount', '/c/in', 'four', 'tmpfs', ''])
  expect(
    w
      .seen()
      .filter((line) => line.includes('four'))
      .map((line) => line.split(' ')[0]),
  ).toEqual(['/b/in', '/c/in'])
})

test('A281 a shared mount made a slave is a slave of its peers, alone it is private, and what it passed on to has its master', () => {
  peers('/b', '/c')
  w.ok(['mount', '/b', '', '', 'slave'])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/ shared:g1', '/b one:/ master:g1', '/c one:/ shared:g1'])
  w.ok(['mount', '/c', '', '', 'private'], ['mount', '/a', '', '', 'slave'])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/', '/b one:/', '/c one:/'])
})

test('A282 when a master turns private its slaves go to a peer, or to its own master, or become private', () => {
  peers('/b', '/c', '/d')
  w.ok(['mount', '/c', '', '', 'slave'], ['mount', '/c', '', '', 'shared'], ['mount', '/d', '', '', 'private'])
  w.ok(['umount', '/d', 0], ['mount', '/d', '/c', '', 'bind'], ['mount', '/d', '', '', 'slave'])
  expect(w.seen().slice(3)).toEqual(['/c one:/ shared:g2 master:g1', '/d one:/ master:g2'])
  w.ok(['mount', '/a', '', '', 'private'])
  expect(w.seen()).toEqual([
    '/ base:/',
    '/a one:/',
    '/b one:/ shared:g1',
    '/c one:/ shared:g2 master:g1',
    '/d one:/ master:g2',
  ])
  w.ok(['mount', '/c', '', '', 'private'])
  expect(w.seen().slice(2)).toEqual(['/b one:/ shared:g1', '/c one:/', '/d one:/ master:g1'])
  w.ok(['mount', '/b', '', '', 'private'])
  expect(w.seen().slice(2)).toEqual(['/b one:/', '/c one:/', '/d one:/'])
})

test('A283 a replica goes beneath what is mounted on its place', () => {
  peers('/b')
  w.ok(['mount', '/b', '', '', 'slave'], ['mount', '/b/in', 'own', 'tmpfs', ''], ['mount', '/a/in', 'two', 'tmpfs', ''])
  expect(w.seen()).toEqual([
    '/ base:/',
    ...['/a one:/ shared:g1', '/a/in two:/ shared:g2'],
    ...['/b one:/ master:g1', '/b/in two:/ master:g2', '/b/in own:/'],
  ])
  w.ok(['umount', '/b/in', 0])
  expect(mountAt('/b/in').source).toBe('two')
})

test('A283 what covers the place goes on top of all that a replica brings', () => {
  peers('/b')
  w.ok(['mount', '/b', '', '', 'slave'], ['mount', '/b/in', 'own', 'tmpfs', ''])
  w.ok(['mount', '/c', 'lower', 'tmpfs', ''], ['chdir', '/c'], ['mount', '/c', 'upper', 'tmpfs', ''])
  w.ok(['mount', '/a/in', '.', '', 'bind,rec'])
  expect(below('/b').map((line) => line.split(' ')[1])).toEqual(['lower:/', 'upper:/', 'own:/'])
})

test('A271 a bind of a shared mount is its peer, of a slave a slave of the same, of a private one private', () => {
  peers('/b')
  w.ok(
    ['mount', '/b', '', '', 'slave'],
    ['mkdir', '/e'],
    ['mount', '/c', '/a', '', 'bind'],
    ['mount', '/d', '/b', '', 'bind'],
  )
  w.ok(['mount', '/e', '/', '', 'bind'])
  expect(w.seen()).toEqual([
    '/ base:/',
    ...['/a one:/ shared:g1', '/b one:/ master:g1', '/c one:/ shared:g1', '/d one:/ master:g1', '/e base:/'],
  ])
})

test('A286 an unbindable mount is not bound, and left out of recursive binds; as on Linux mount(2) may ask for it', () => {
  w.ok(['mount', '/a', 'one', 'tmpfs', ''], ['mkdir', '/a/in'], ['mkdir', '/a/out'])
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['mount', '/a/out', 'three', 'tmpfs', ''])
  expect(w.try('mount', '/a/in', '', '', 'unbindable')).toBe('ok')
  expect(w.try('mount', '/b', '/a/in', '', 'bind')).toBe('EINVAL')
  w.ok(['mount', '/b', '/a', '', 'bind,rec'])
  expect(below('/b')).toEqual(['/b/out three:/'])
  w.ok(['mount', '/a/in', '', '', 'slave'])
  expect(w.try('mount', '/c', '/a/in', '', 'bind')).toBe('EINVAL')
  w.ok(['mount', '/a/in', '', '', 'private'], ['mount', '/c', '/a/in', '', 'bind'])
})

test('A256 an unmount is passed on, but leaves a replica that something else hangs on, and slides what covers one', () => {
  peers('/b', '/c', '/d')
  for (const path of ['/b', '/c', '/d']) w.ok(['mount', path, '', '', 'slave'])
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['mkdir', '/a/in/x'])
  w.ok(['mount', '/c/in/x', 'own', 'tmpfs', ''], ['mount', '/d/in', 'cover', 'tmpfs', ''])
  w.ok(['umount', '/a/in', 0])
  expect(w.seen()).toEqual([
    '/ base:/',
    '/a one:/ shared:g1',
    '/b one:/ master:g1',
    ...['/c one:/ master:g1', '/c/in two:/', '/c/in/x own:/'],
    ...['/d one:/ master:g1', '/d/in cover:/'],
  ])
})

test('A256 A265 a lazy unmount takes the replicas along with all on them, but shows nothing that a locked one hides', () => {
  peers()
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['mkdir', '/a/in/x'], ['mount', '/a/in/x', 'three', 'tmpfs', ''])
  w.ok(['mount', '/b', '/a', '', 'bind,rec'], ['fork'])
  w.okAs(1, ['unshareuser'])
  w.ok(['umount', '/a/in', MNT_DETACH])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/ shared:g1', '/b one:/ shared:g1'])
  expect(w.seen(1)).toEqual(['/ base:/', '/a one:/ master:g1', '/b one:/ master:g1'])
})

test('A256 a locked replica stays where only what covers it went', () => {
  peers()
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['mkdir', '/a/in/x'], ['mount', '/a/in', '', '', 'private'])
  w.ok(['mount', '/a/in/x', 'three', 'tmpfs', ''], ['mount', '/a/in', '', '', 'shared'], ['fork'])
  w.okAs(1, ['unshareuser'])
  w.ok(['mount', '/a/in/x', 'four', 'tmpfs', ''], ['umount', '/a/in/x', 0])
  expect(w.seen(1).map((line) => line.split(' ')[1])).toEqual(['base:/', 'one:/', 'two:/', 'three:/'])
  expect(w.run([1, 'umount', '/a/in/x', 0])).toBe('EINVAL')
})

test('A256 a locked replica stays with the one that it hangs on', () => {
  peers()
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['mkdir', '/a/in/x'], ['mkdir', '/a/in/y'])
  w.ok(['mount', '/a/in/x', 'three', 'tmpfs', ''], ['fork'])
  w.okAs(1, ['unshareuser'], ['mount', '/a/in/y', 'own', 'tmpfs', ''])
  w.ok(['umount', '/a/in', MNT_DETACH])
  expect(w.seen(1)).toEqual([
    ...['/ base:/', '/a one:/ master:g1'],
    ...['/a/in two:/', '/a/in/x three:/', '/a/in/y own:/'],
  ])
})

test('A257 a replica in use keeps a mount from being unmounted, but not lazily', () => {
  peers('/b')
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''], ['open', 'held', '/b/in', 'r'])
  expect(w.try('umount', '/a/in', 0)).toBe('EBUSY')
  expect(w.seen()).toHaveLength(5)
  w.ok(['umount', '/a/in', MNT_DETACH], ['close', 'held'])
  expect(w.seen()).toHaveLength(3)
})

test('A279 mounts of other namespaces receive, too', () => {
  peers()
  w.ok(['fork'])
  w.okAs(1, ['unshare'])
  w.ok(['mount', '/a/in', 'two', 'tmpfs', ''])
  expect(w.seen(1)).toEqual(['/ base:/', '/a one:/ shared:g1', '/a/in two:/ shared:g2'])
  w.okAs(1, ['umount', '/a/in', 0])
  expect(w.seen()).toEqual(['/ base:/', '/a one:/ shared:g1'])
})
