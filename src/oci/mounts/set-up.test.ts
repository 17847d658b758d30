/** A step of the set-up that fails leaves nothing behind; one that must wait is made again. */

import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { Task } from '../../kernel/task.ts'
import { Mount } from '../../vfs/mount.ts'
import { WaitQueue, WouldBlock } from '../../vfs/waiting.ts'
import { Bundle } from '../bundle.ts'
import type { SpecInput } from '../spec.ts'
import { hintKey } from './hints.ts'
import { before, bind, eachInAWorld, held, IMAGE, over, READONLY, tmpfs, vfs, world } from './test-world.ts'

eachInAWorld()

type Method = (...args: unknown[]) => unknown

/** The methods by which steps do what may fail or wait; all others of the VFS only make objects. */
const steps = (): [object: object, method: string][] => [
  ...['newFilesystem', 'attach', 'bind'].map((method): [object, string] => [vfs, method]),
  ...['openat', 'getdents', 'mknodat', 'fchownat', 'fchmodat', 'mkdirat'].map((method): [object, string] => [
    Task.prototype,
    method,
  ]),
  [Bundle.prototype, 'find'],
  [Bundle.prototype, 'layers'],
  [Mount.prototype, 'setFlags'],
  [world.runtime.volumes, 'acquire'],
  [world.runtime.shared, 'replica'],
]

/** Lets the nth of some steps go wrong, as `wrong` says. Gives what ends that, and tells how the step was called, if it came to it. */
function injecting(
  n: number,
  among: ReturnType<typeof steps>,
  wrong: (method: string) => Error | WouldBlock,
): () => string | undefined {
  let left = n
  let hit: string | undefined
  const restored = among.map(([object, method]) => {
    const owned = Object.hasOwn(object, method)
    const original = (object as Record<string, Method>)[method]!
    Object.assign(object, {
      [method](this: object, ...args: unknown[]) {
        if (left-- !== 0) return original.apply(this, args)
        hit = method
        // What the step was given is let go by it, as attach does.
        if (method === 'attach') vfs.discard(args[0] as Mount)
        throw wrong(method)
      },
    })
    return () => (owned ? Object.assign(object, { [method]: original }) : Reflect.deleteProperty(object, method))
  })
  return () => {
    for (const restore of restored) restore()
    return hit
  }
}

describe('the nth step', () => {
  const annotations = Object.fromEntries(
    Object.entries({ source: '/pod', type: 'tmpfs', share: 'pod' }).map(([field, value]) => [
      `${hintKey('h')}.${field}`,
      value,
    ]),
  )
  const mounts = [
    tmpfs('/t', 'ro'),
    tmpfs('/t/in', 'shared'),
    bind('/b', 'image'),
    bind('/f', 'file/f'),
    bind('/t-again', '/t', 'rbind'),
    bind('/shared', '/pod'),
    bind('/kept', 'volume:kept'),
    { ...over('/of/layers', 'image'), options: ['lowerdir=image', 'upperdir=/t/in'] },
  ]
  const linux = {
    devices: [{ path: '/run/null', type: 'c', major: 1, minor: 3 }],
    readonlyPaths: ['/etc'],
    maskedPaths: ['/etc/name', '/empty'],
  }
  const process = { args: ['x'], cwd: '/not/there' }
  const cases: [what: string, spec: SpecInput, overlay: string, least: number][] = [
    ['with layers in memory', { root: IMAGE, mounts, linux, process, annotations }, 'all:memory', 40],
    ['with layers in volumes', { root: IMAGE, mounts, annotations }, 'all:volume:layers', 30],
    ['of a read-only root', { root: READONLY, mounts, linux, process, annotations }, 'none', 40],
    ['without a root', { mounts: [tmpfs('/t'), tmpfs('/t/in/side')], linux }, 'root:memory', 12],
  ]
  // Opening a volume is no step: it waits by itself.
  const waiting = cases.flatMap(([what, spec, overlay, least]): typeof cases => {
    const mounts = spec.mounts!.filter(({ source }) => source !== 'volume:kept')
    return overlay.includes('volume') ? [] : [[what, { ...spec, mounts }, overlay, least]]
  })
  const create = (spec: SpecInput, overlay: string) =>
    world.runtime.create('c', spec, { overlay }).then(
      () => undefined,
      (error: ErrnoError) => error,
    )

  test.each(cases)(
    'C005 C006 C035 C036 C037 that fails leaves nothing behind and is told by its place, %s',
    async (_, spec, overlay, least) => {
      let n = 0
      for (; ; n++) {
        const ended = injecting(n, steps(), (method) => new ErrnoError('EIO', undefined, `injected into ${method}`))
        const outcome = await create(spec, overlay)
        const hit = ended()
        if (!hit) {
          expect(outcome).toBeUndefined()
          break
        }
        expect({ hit, ...outcome }).toMatchObject({ hit, code: 'EIO', syscall: 'mount', path: expect.any(String) })
        expect(outcome!.message).toMatch(/root|mounts\[\d\]|mandatory mount|internal \/tmp|process\.cwd|linux\.\w+/)
        expect({ n, hit, ...held() }).toEqual({ n, hit, ...(before as object) })
      }
      expect(n).toBeGreaterThan(least)
      await world.runtime.delete('c', false)
      world.runtime.shared.release()
    },
  )

  test.each(waiting)(
    'that must wait is made again, and in the end all is as without it, %s',
    async (_, spec, overlay, least) => {
      const table = () =>
        world.runtime
          .mounts('c')
          .map(({ destination, type, source, options }) => ({ destination, type, source, options }))
      expect(await create(spec, overlay)).toBeUndefined()
      const undisturbed = table()
      let n = 0
      for (let hit: string | undefined = ''; hit !== undefined; n++) {
        await world.runtime.delete('c', false)
        world.runtime.shared.release()
        const queue = new WaitQueue()
        // What a mount may do is changed at once, or not at all.
        const among = steps().filter(([, method]) => method !== 'setFlags')
        const ended = injecting(n, among, () => {
          queueMicrotask(() => queue.wake())
          return new WouldBlock([queue])
        })
        const outcome = await create(spec, overlay)
        hit = ended()
        expect({ n, hit, outcome }).toEqual({ n, hit, outcome: undefined })
        expect(table()).toEqual(undisturbed)
      }
      expect(n).toBeGreaterThan(least)
      await world.runtime.delete('c', false)
      world.runtime.shared.release()
      expect(held()).toEqual(before)
    },
  )
})

test('a type whose code cannot be loaded is named with its mount, before anything is made; the next container tries again', async () => {
  const type = vfs.types.lookup('fuse')!
  const { load } = type
  type.load = () => Promise.reject(new TypeError('Failed to fetch dynamically imported module'))
  const spec: SpecInput = { mounts: [tmpfs('/t'), { destination: '/served', type: 'fuse', source: 'fuse:pages' }] }
  await expect(world.runtime.create('c', spec)).rejects.toMatchObject({
    code: 'EIO',
    path: '/served',
    message: expect.stringMatching(/mounts\[1\].*"fuse".*Failed to fetch/),
  })
  expect(held()).toEqual(before)
  Object.assign(type, { load })
  // Now it is loaded, and misses its server.
  await expect(world.runtime.create('c', spec)).rejects.toMatchObject({ code: 'ENOENT', path: '/served' })
})
