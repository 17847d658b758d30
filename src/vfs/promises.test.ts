/** Mount promises: spec A069, D042-D044. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AT_FDCWD, O_CREAT, O_WRONLY } from '../abi/linux.ts'
import { MountWorld } from '../testing/mount-script.ts'
import { VirtualDentry } from './mount.ts'
import { resolve } from './path-walk.ts'
import { promiseMount } from './promises.ts'
import { WouldBlock } from './waiting.ts'

let w: MountWorld
/** The place that is promised, as it was before. */
let place: VirtualDentry

beforeEach(() => {
  w = new MountWorld()
  w.ok(['mkdir', '/a'], ['mkdir', '/a/in'], ['mkdir', '/b'])
  place = resolve(w.actors[0]!.task, w.actors[0]!.task.root, '/a', true)
})

afterEach(() => w.end())

const task = () => w.actors[0]!.task

/** What a call answers, or the waiting that it asks for. Its attempt goes on until `settle`. */
function answer(call: () => unknown): unknown {
  try {
    return call() ?? 'ok'
  } catch (error) {
    return error instanceof WouldBlock ? error : ((error as { code?: string }).code ?? (error as Error).message)
  }
}

function keep(): void {
  const { vfs } = w
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }), { source: 'kept' })
  vfs.attach(mount, place)
}

test('A069 what reaches a promised place waits, goes on in the mount once there is one, and does nothing before', () => {
  const promise = promiseMount(place)
  const make = () => task().openat(AT_FDCWD, '/a/new', O_CREAT | O_WRONLY, 0o644)
  const waits = [
    () => task().fstatat(AT_FDCWD, '/a', 0),
    () => task().fstatat(AT_FDCWD, '/b/../a/in', 0),
    make,
    () => task().mkdirat(AT_FDCWD, '/a/x', 0o755),
    () => task().renameat2(AT_FDCWD, '/b', AT_FDCWD, '/a/b', 0),
  ]
  for (const call of waits) expect(answer(call)).toEqual(new WouldBlock([promise.queue]))
  expect(answer(() => task().fstatat(AT_FDCWD, '/b', 0))).not.toBeInstanceOf(WouldBlock)
  const woken = vi.fn()
  promise.queue.add({ wake: woken })
  keep()
  expect(woken).toHaveBeenCalledTimes(1)
  task().close(make())
  expect(resolve(task(), task().root, '/a', true).mount.source).toBe('kept')
  expect([w.try('stat', '/a/new'), w.try('stat', '/a/in'), w.try('stat', '/a/x')]).toEqual(['ok', 'ENOENT', 'ENOENT'])
})

test('D042 D044 what starts at a promised place waits, and ever after starts in the mount that is there', () => {
  w.ok(['chdir', '/a'])
  const promise = promiseMount(place)
  const stat = (path: string) => answer(() => task().fstatat(AT_FDCWD, path, 0) && 'ok')
  expect(stat('in')).toEqual(new WouldBlock([promise.queue]))
  expect(stat('.')).toEqual(new WouldBlock([promise.queue]))
  keep()
  expect(promise.state).toBe('kept')
  expect(stat('in')).toBe('ENOENT')
  w.ok(['mkdir', 'made'], ['mkdir', '/a/too'])
  expect([stat('too'), stat('made')]).toEqual(['ok', 'ok'])
  w.ok(['umount', '/a', 0])
  expect([stat('in'), stat('made')]).toEqual(['ok', 'ENOENT'])
})

test('D042 a mount without a promise does not move what starts at its point', () => {
  w.ok(['chdir', '/a'], ['mount', '/a', 'one', 'tmpfs', ''])
  expect(w.try('stat', 'in')).toBe('ok')
})

const SECOND = 1_000_000_000n

test.each([
  ['error', 'ETIMEDOUT', 0],
  ['warn-error', 'ETIMEDOUT', 2],
  ['warn-wait', 'waits', 1],
  ['fatal', expect.stringContaining('nothing was mounted on /a in 1000 ms'), 0],
] as const)('A069 D043 after the timeout: %s', (action, expected, warnings) => {
  const warn = vi.fn()
  const now = vi.spyOn(task().clock, 'monotonic').mockReturnValue(5n)
  const promise = promiseMount(place, { timeout: SECOND, action, warn })
  const stat = () => answer(() => task().fstatat(AT_FDCWD, '/a', 0))
  expect(stat()).toEqual(new WouldBlock([promise.queue], 5n + SECOND))
  // A further try of the same call has waited since the first; another call waits from its own start on.
  now.mockReturnValue(4n + SECOND)
  expect(stat()).toEqual(new WouldBlock([promise.queue], 5n + SECOND))
  now.mockReturnValue(5n + SECOND)
  const answers = () => {
    const last = stat()
    return last instanceof WouldBlock && last.deadline === undefined ? 'waits' : last
  }
  expect(answers()).toEqual(expected)
  expect(answers()).toEqual(expected)
  expect(warn).toHaveBeenCalledTimes(warnings)
  task().settle()
  expect(stat()).toEqual(new WouldBlock([promise.queue], 5n + 2n * SECOND))
  task().settle()
  keep()
  expect(stat()).not.toBeInstanceOf(WouldBlock)
})

test('D043 a place is promised once', () => {
  promiseMount(place)
  expect(() => promiseMount(place)).toThrow('promised there already')
  keep()
  expect(() => promiseMount(new VirtualDentry(place.mount, place.mount.root))).not.toThrow()
})

test('A069 a promise is broken when its place goes: who waits finds nothing there', () => {
  w.ok(['rmdir', '/a/in'])
  const promise = promiseMount(place)
  const woken = vi.fn()
  promise.queue.add({ wake: woken })
  w.ok(['rmdir', '/a'])
  expect([promise.state, woken.mock.calls.length, w.try('stat', '/a')]).toEqual(['broken', 1, 'ENOENT'])
  expect(place.dentry.mounts).toBe(0)
})

test('A069 a promise is kept by a bind, a move or a replica as well', () => {
  w.ok(['mkdir', '/c'], ['mount', '/b', '/b', '', 'bind'], ['mount', '/b', '', '', 'shared'], ['mkdir', '/b/x'])
  w.ok(['mount', '/c', '/b', '', 'bind'])
  const { mount } = resolve(task(), task().root, '/c', true)
  const replica = new VirtualDentry(mount, mount.root.child('x', task().attempt)!)
  const promise = promiseMount(replica)
  w.ok(['mount', '/b/x', '/a', '', 'bind'])
  expect(promise.state).toBe('kept')
})
