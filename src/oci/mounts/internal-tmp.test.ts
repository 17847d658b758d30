/** The /tmp of a container whose spec has none: a test for each sentence of group C9. */

import { describe, expect, test } from 'vitest'
import { treeOf } from '../../host/world.ts'
import { create, eachInAWorld, failure, IMAGE, provide, READONLY, tmpfs } from './test-world.ts'

eachInAWorld()

describe('/tmp', () => {
  const isTmpfs = (mounts: { type: string; options: readonly string[] }[]) =>
    expect(mounts).toMatchObject([{ type: 'tmpfs', options: expect.arrayContaining(['rw', 'mode=1777']) }])

  test('C117 C125 missing: a tmpfs of mode 1777, and no name in what it covers', async () => {
    const { at, files } = await create({ root: IMAGE })
    isTmpfs(at('/tmp'))
    expect((await files.stat('/tmp')).mode).toBe(0o41777)
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

  test('C123 C124 that cannot be opened or listed: an error that names it', async () => {
    provide('with', { entries: [{ path: 'tmp', kind: 'symlink', target: 'tmp' }] })
    const error = await failure(create({ root: { path: 'with' } }))
    expect(error).toMatchObject({ code: 'ELOOP', path: '/tmp', message: expect.stringContaining('internal /tmp') })
  })

  test('C126 C128 C287 is writable on a read-only root, without a layer, and holds nothing of what was there', async () => {
    const { at, write } = await create({ root: READONLY }, 'all:memory')
    isTmpfs(at('/tmp'))
    await write('/tmp/x')
  })
})
