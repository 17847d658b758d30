/** A step of the set-up that fails leaves nothing behind. */

import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import type { Mount } from '../../vfs/mount.ts'
import type { SpecInput } from '../spec.ts'
import { before, bind, eachInAWorld, held, IMAGE, tmpfs, vfs, world } from './test-world.ts'

eachInAWorld()

describe('a step that fails', () => {
  test('C005 C006 C035 C036 C037 leaves nothing behind, whichever it is', async () => {
    const spec: SpecInput = {
      root: IMAGE,
      mounts: [
        tmpfs('/t', 'ro'),
        tmpfs('/t/in', 'shared'),
        bind('/b', 'image'),
        bind('/f', 'file/f'),
        bind('/t-again', '/t', 'rbind'),
        { destination: '/of/layers', type: 'overlay', options: ['lowerdir=image', 'upperdir=/t/in'] },
      ],
    }
    // The others of the VFS only make objects.
    const steps = ['newFilesystem', 'attach', 'bind'] as const
    let failed = 0
    for (let n = 0; ; n++) {
      let left = n
      const originals = steps.map((step) => vfs[step])
      for (const step of steps) {
        const original = vfs[step].bind(vfs) as (...args: unknown[]) => unknown
        Object.assign(vfs, {
          [step]: (...args: unknown[]) => {
            if (left-- === 0) {
              // What the step was given is let go by it, as attach does.
              if (step === 'attach') vfs.discard(args[0] as Mount)
              throw new ErrnoError('EIO', undefined, `injected into ${step}`)
            }
            return original(...args)
          },
        })
      }
      const outcome = await world.runtime.create('c', spec, { overlay: 'all:memory' }).then(
        () => undefined,
        (error: ErrnoError) => error,
      )
      for (const [i, step] of steps.entries()) Object.assign(vfs, { [step]: originals[i] })
      if (!outcome) break
      failed++
      expect(outcome.code).toBe('EIO')
      expect(held()).toEqual(before)
    }
    expect(failed).toBeGreaterThan(12)
    await world.runtime.delete('c', false)
    expect(held()).toEqual(before)
  })
})

test('C006 a type whose code cannot be loaded is named with its mount, before anything is made; the next container tries again', async () => {
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
