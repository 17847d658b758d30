/** The /tmp of a container whose spec has none: a test for each sentence of group C9. */

import { describe, expect, test, vi } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { treeOf } from '../../host/world.ts'
import { Task } from '../../kernel/task.ts'
import { before, create, eachInAWorld, failure, held, IMAGE, provide, READONLY, tmpfs, world } from './test-world.ts'

eachInAWorld()

describe('/tmp', () => {
  const isTmpfs = (mounts: { type: string; options: readonly string[] }[]) =>
    expect(mounts).toMatchObject([{ type: 'tmpfs', options: expect.arrayContaining(['rw', 'mode=1777']) }])

  test('C117 C125 missing: a tmpfs of mode 1777, and no name in what it covers', async () => {
    const { at, files } = await create({ root: IMAGE }, 'root:volume:kept')
    isTmpfs(at('/tmp'))
    expect((await files.stat('/tmp')).mode).toBe(0o41777)
    await world.runtime.delete('c', false)
    const { names } = await create({ mounts: [{ ...tmpfs('/layer'), source: 'volume:kept' }] })
    expect(await names('/layer')).toEqual([])
  })

  test('C118 empty: the same', async () => {
    provide('with', { entries: [{ path: 'tmp', kind: 'directory' }] })
    isTmpfs((await create({ root: { path: 'with' } })).at('/tmp'))
  })

  test('C119 with anything in it: left alone', async () => {
    provide('with', treeOf({ 'tmp/f': 'x' }))
    const { at, read } = await create({ root: { path: 'with' } })
    expect(at('/tmp')).toEqual([])
    expect(await read('/tmp/f')).toBe('x')
  })

  test('C120 C127 with a mount below it, which was made before: left alone', async () => {
    const { at } = await create({ root: IMAGE, mounts: [tmpfs('/tmp/x')] })
    expect([at('/tmp').length, at('/tmp/x').length]).toEqual([0, 1])
  })

  test('C122 C129 a file: left alone', async () => {
    provide('with', treeOf({ tmp: 'file' }))
    const { at, read } = await create({ root: { path: 'with' } })
    expect(at('/tmp')).toEqual([])
    expect(await read('/tmp')).toBe('file')
  })

  test.each(['/tmp', '/tmp/', '/x/../tmp'])(
    'C115 C281 mounted by the spec, as %s: nothing more',
    async (destination) => {
      const { at } = await create({ root: IMAGE, mounts: [tmpfs(destination, 'mode=700')] })
      expect(at('/tmp')).toMatchObject([{ options: expect.arrayContaining(['mode=700']) }])
    },
  )

  test('C116 spoken of by a mount that is skipped: nothing', async () => {
    const { at } = await create({ root: IMAGE, mounts: [{ destination: '/tmp', type: 'nfs' }] })
    expect(at('/tmp')).toEqual([])
  })

  test('C121 ours: a link to an empty directory, or to none, has the tmpfs at its end', async () => {
    const targets = { there: 'real', missing: '/not/there' }
    for (const [id, target] of Object.entries(targets)) {
      provide(id, {
        entries: [
          { path: 'tmp', kind: 'symlink', target },
          { path: 'real', kind: 'directory' },
        ],
      })
    }
    isTmpfs((await create({ root: { path: 'there' } }, undefined, 'there')).at('/real'))
    isTmpfs((await create({ root: { path: 'missing' } }, undefined, 'missing')).at('/not/there'))
  })

  test('C123 that cannot be found: an error that names it', async () => {
    provide('with', { entries: [{ path: 'tmp', kind: 'symlink', target: 'tmp' }] })
    const error = await failure(create({ root: { path: 'with' } }))
    expect(error).toMatchObject({ code: 'ELOOP', path: '/tmp', message: expect.stringContaining('internal /tmp') })
  })

  test.each([
    ['C123 opened', 'openat', 'EIO'],
    ['C123 opened', 'openat', 'EACCES'],
    ['C124 C128 listed', 'getdents', 'EIO'],
  ] as const)('%s fails, by %s: the %s is told with its path, and nothing stays open', async (_, method, code) => {
    const call = vi.spyOn(Task.prototype, method).mockImplementation(() => {
      throw new ErrnoError(code, undefined, 'injected')
    })
    provide('with', { entries: [{ path: 'tmp', kind: 'directory' }] })
    const error = await failure(create({ root: { path: 'with' } }))
    call.mockRestore()
    expect(error).toMatchObject({ code, path: '/tmp', syscall: 'mount' })
    expect(error.message).toContain('internal /tmp: injected')
    expect(held()).toEqual(before)
  })

  test('C128 the directory that was looked at is closed again', async () => {
    provide('with', treeOf({ 'tmp/f': 'x' }))
    for (const path of ['with', 'image']) {
      await create({ root: { path } })
      expect(held().opens).toBe(0)
      await world.runtime.delete('c', false)
    }
  })

  test('C126 C287 is writable on a read-only root, without a layer, and holds nothing of what was there', async () => {
    const { at, write } = await create({ root: READONLY }, 'all:memory')
    isTmpfs(at('/tmp'))
    await write('/tmp/x')
  })
})
