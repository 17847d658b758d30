/** Overlays that a spec asks for: their layers are places of the container or trees of the bundle. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ErrnoError } from '../../abi/errno.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { none } from '../../testing/trees.ts'
import type { DirectoryInode } from '../../vfs/inode.ts'
import type { MountSpec } from '../spec.ts'

let world: World

beforeEach(() => {
  world = bootWorld()
  world.runtime.provide('image', treeOf({ 'etc/name': 'image', 'only/below': 'x' }))
})

afterEach(() => world.close())

const tmpfs = (destination: string): MountSpec => ({ destination, type: 'tmpfs' })
const overlay = (...options: string[]): MountSpec => ({ destination: '/merged/of/layers', type: 'overlay', options })

async function create(...mounts: MountSpec[]) {
  await world.runtime.create('c', { mounts })
  return world.runtime.files('c')
}

const failure = async (mounts: readonly MountSpec[]): Promise<ErrnoError> =>
  create(...mounts).then(
    () => {
      throw new Error('it was mounted')
    },
    (error: ErrnoError) => error,
  )

describe('B070 B071 layers by path', () => {
  test.each<[string, string, readonly MountSpec[], RegExp]>([
    ['a lower that is not there', 'ENOENT', [overlay('lowerdir=/no/such')], /mounts\[0\]/],
    ['a tree that was not provided', 'ENOENT', [overlay('lowerdir=nothing')], /mounts\[0\]/],
    ['a lower that is a file', 'ENOTDIR', [overlay('lowerdir=image/etc/name')], /lowerdir "image\/etc\/name"/],
    ['an upper that is a relative path', 'EINVAL', [overlay('lowerdir=image', 'upperdir=up')], /absolute/],
    ['an upper that is not there', 'ENOENT', [overlay('lowerdir=image', 'upperdir=/up')], /\/up/],
    [
      'an upper that cannot be written',
      'EROFS',
      [{ destination: '/up', type: 'bind', source: 'image' }, overlay('lowerdir=image', 'upperdir=/up')],
      /upperdir "\/up" is read-only/,
    ],
    [
      'B075 an upper that is an overlay',
      'EINVAL',
      [{ destination: '/up', type: 'overlay', options: ['lowerdir=image'] }, overlay('lowerdir=image', 'upperdir=/up')],
      /cannot be the upper/,
    ],
    [
      'B072 a workdir that is a relative path',
      'EINVAL',
      [tmpfs('/up'), overlay('lowerdir=image', 'upperdir=/up', 'workdir=work')],
      /absolute/,
    ],
  ])('%s: %s', async (_, code, mounts, message) => {
    const before = world.runtime.vfs.superblocks.size
    const error = await failure(mounts)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
    expect(world.runtime.vfs.superblocks.size).toBe(before)
  })
})

test('B071 a link at the end of a layer’s path is followed', async () => {
  world.runtime.provide('linked', {
    entries: [
      { path: 'real/f', kind: 'file', content: encodeUtf8('x') },
      { path: 'link', kind: 'symlink', target: 'real' },
    ],
  })
  const bind: MountSpec = { destination: '/b', type: 'bind', source: 'linked' }
  const files = await create(bind, overlay('lowerdir=/b/link'))
  expect((await files.readdir('/merged/of/layers', false)).map(({ name }) => name)).toEqual(['f'])
})

test('B076 what is mounted inside a layer is not seen, and a lower layer is not written', async () => {
  const files = await create(tmpfs('/l'), tmpfs('/l/sub'), overlay('lowerdir=/l'))
  const write = async (path: string) => files.writeFile(path, encodeUtf8('x'), 0o1101, 0o644)
  await write('/l/sub/inside')
  const names = async (path: string) => (await files.readdir(path, false)).map(({ name }) => name)
  expect(await names('/merged/of/layers')).toEqual(['sub'])
  expect(await names('/merged/of/layers/sub')).toEqual([])
  await write('/merged/of/layers/sub/new')
  expect(await names('/l')).toEqual(['sub'])
  expect(await names('/l/sub')).toEqual(['inside'])
})

test('B072 a workdir gets a directory `work` that only root may enter, if it can be made', async () => {
  const files = await create(tmpfs('/up'), overlay('lowerdir=image', 'upperdir=/up', 'workdir=/up'))
  expect((await files.stat('/up/work')).mode & 0o7777).toBe(0o700)
  await world.runtime.create('other', {
    mounts: [tmpfs('/up'), overlay('lowerdir=image', 'upperdir=/up', 'workdir=/missing')],
  })
})

test('B079 userxattr is for the overlay that is mounted, not for its layers', async () => {
  world.runtime.provide('low', treeOf({ 'd/below': 'x' }))
  const files = await create(tmpfs('/up'), overlay('lowerdir=low', 'upperdir=/up', 'userxattr'))
  await files.rm('/merged/of/layers/d', true, false)
  await files.mkdir('/merged/of/layers/d', 0o755, false)
  expect((await files.readdir('/merged/of/layers/d', false)).length).toBe(0)
  const upper = [...world.runtime.vfs.superblocks].find(({ filesystem }) => {
    const { root } = filesystem
    return (
      filesystem.type === 'tmpfs' && root.kind === 'directory' && [...root.entries(0, none)].some((e) => e.name === 'd')
    )
  })
  const d = (upper!.root.inode as DirectoryInode).lookup('d', none)
  expect([...d!.xattrs!.keys()]).toEqual(['user.overlay.opaque'])
})
