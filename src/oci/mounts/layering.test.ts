/** Where changes go: the layers over roots and binds, and what they are kept in. */

import { describe, expect, test, vi } from 'vitest'
import { O_WRONLY } from '../../abi/linux.ts'
import type { DirectoryInode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import type { SpecInput } from '../spec.ts'
import { hintKey } from './hints.ts'
import { bind, create, eachInAWorld, failure, IMAGE, provide, READONLY, tmpfs, vfs, world } from './test-world.ts'

eachInAWorld()

describe('where changes go', () => {
  test('C070 C071 D001 D016 all: each writable bind of a tree has a layer, tmpfs and read-only ones have not', async () => {
    const mounts = [bind('/rw', 'image'), bind('/ro', 'image', 'ro'), bind('/lastro', 'image', 'rw', 'ro'), tmpfs('/t')]
    const spec = { root: IMAGE, mounts: [...mounts, bind('/place', '/t')] }
    const all = await create(spec, 'all:memory', 'all')
    const types = (created: typeof all) =>
      Object.fromEntries(created.mounts.map(({ destination, type }) => [destination, type]))
    expect(types(all)).toMatchObject({
      '/': 'overlay',
      '/rw': 'overlay',
      '/ro': 'gofer',
      '/lastro': 'gofer',
      '/t': 'tmpfs',
    })
    await all.write('/rw/etc/name')
    await all.write('/place/shared')
    expect(await all.names('/t')).toEqual(['shared'])
    const root = await create(spec, 'root:memory', 'root')
    expect(types(root)).toMatchObject({ '/': 'overlay', '/rw': 'gofer' })
    expect(await root.read('/rw/etc/name')).toBe('image')
    expect(types(await create(spec, 'none', 'none'))).toMatchObject({ '/': 'gofer', '/rw': 'gofer' })
  })

  test('C030 the layer of a file has its content from the start, and takes changes', async () => {
    const { read, write } = await create({ mounts: [bind('/f', 'file/f')] }, 'all:memory')
    expect(await read('/f')).toBe('content of f')
    await write('/f')
    expect(await read('/f')).toBe('x')
  })

  test('D009 the layer of a file is in memory, with a warning, where a volume was asked for', async () => {
    const { read, warnings } = await create({ mounts: [bind('/f', 'file/f')] }, ['none', 'volume:v'])
    expect(await read('/f')).toBe('content of f')
    expect(warnings).toEqual([expect.stringContaining('mounts[0]: a file has its changes in memory')])
  })

  test('C038 D014 a size limits what a layer takes; without one there is no limit', async () => {
    const { files, write } = await create({ root: IMAGE }, 'root:memory,size=8k')
    await write('/small')
    const big = files.writeFile('/big', new Uint8Array(20_000), 0o1101, 0o644)
    expect((await failure(big)).code).toBe('ENOSPC')
    const error = await failure(create({ root: IMAGE }, 'root:memory,size=much', 'bad'))
    expect(error).toMatchObject({ code: 'EINVAL', path: '/', message: expect.stringContaining('size=much') })
  })

  test('C017 C042 C186 D017 kept in volumes, root and binds find theirs again, whatever the order', async () => {
    const spec = (...order: string[]) => ({
      root: IMAGE,
      mounts: order.map((name) => bind(`/data/${name}`, 'image')),
    })
    const first = await create(spec('a', 'b b'), 'all:volume:app')
    await first.write('/kept')
    await first.write('/data/a/in-a')
    await first.write('/data/b b/in-b')
    await first.files.unlink('/etc/name')
    await world.runtime.delete('c', false)
    const volumes = (await world.runtime.volumes.calls.list()).map(({ name }) => name)
    expect(volumes.sort()).toEqual(['app', 'app+data+a', 'app+data+b-20b'])
    const second = await create(spec('b b', 'a'), 'all:volume:app')
    expect(await second.names('/')).toContain('kept')
    expect(await second.names('/etc')).toEqual([])
    expect(await second.names('/data/a')).toContain('in-a')
    expect(await second.names('/data/b b')).toContain('in-b')
    // An upper layer is nobody else's.
    expect(await failure(create(spec(), 'root:volume:app', 'other'))).toMatchObject({ code: 'EBUSY', path: '/' })
  })

  test('without a tree the root is the volume itself', async () => {
    await (await create({}, 'root:volume:home')).write('/kept')
    await world.runtime.delete('c', false)
    const { names, at } = await create({}, 'root:volume:home')
    expect(await names('/')).toContain('kept')
    expect(at('/')).toMatchObject([{ type: 'tmpfs' }])
  })

  test('C012 C046 C047 C049 C214 D006 a list is dealt in the order of the spec, before the mounts are sorted, and a wrong length is told before anything is mounted', async () => {
    const mounts = [bind('/longer', 'image'), tmpfs('/t'), bind('/b', 'image')]
    const { at } = await create({ root: IMAGE, mounts }, ['none', 'memory', 'none'])
    expect(['/', '/longer', '/b'].map((place) => at(place)[0]!.type)).toEqual(['gofer', 'overlay', 'gofer'])
    const newFilesystem = vi.spyOn(vfs, 'newFilesystem')
    for (const list of [['none'], ['none', 'none', 'none', 'none']]) {
      const error = await failure(create({ root: IMAGE, mounts }, list, 'bad'))
      expect(error.message).toBe(`overlay: a list of ${list.length} for a spec with 3: its root, and 2 binds`)
    }
    expect(newFilesystem).not.toHaveBeenCalled()
  })

  test('C050 a bind that shares a volume is dealt nothing', async () => {
    const fields = { source: '/pod', type: 'tmpfs', share: 'pod' }
    const annotations = Object.fromEntries(
      Object.entries(fields).map(([field, value]) => [`${hintKey('h')}.${field}`, value]),
    )
    const mounts = [bind('/shared', '/pod'), bind('/own', 'image')]
    const { at } = await create({ root: IMAGE, mounts, annotations }, ['none', 'memory'])
    expect(['/shared', '/own'].map((place) => at(place)[0]!.type)).toEqual(['tmpfs', 'overlay'])
    const error = await failure(create({ root: IMAGE, mounts, annotations }, ['none', 'memory', 'memory'], 'bad'))
    expect(error.message).toBe('overlay: a list of 3 for a spec with 2: its root, and 1 binds')
    world.runtime.shared.release()
  })

  test('C208 the layer of a file takes the content of the tree over, page by page as it is changed, and never reads it through', async () => {
    const content = new Uint8Array(300_000).fill(7)
    provide('large', { entries: [{ path: 'f', kind: 'file', content }] })
    const tree = [...vfs.superblocks].at(-1)!.root.inode as DirectoryInode
    const read = vi.spyOn(Object.getPrototypeOf(tree.lookup('f', new Attempt())), 'read')
    const { files, at } = await create({ mounts: [bind('/f', 'large/f')] }, 'all:memory')
    expect(at('/f')).toMatchObject([{ type: 'overlay' }])
    await files.writeFile('/f', new Uint8Array(1), O_WRONLY, 0o644)
    const changed = await files.readFile('/f')
    expect([changed.length, changed[0], changed[1], changed.at(-1)]).toEqual([content.length, 0, 7, 7])
    expect(read).not.toHaveBeenCalled()
    read.mockRestore()
  })

  test('C278 two binds on one place each have a layer of their own in memory; in one volume both are refused before it is opened', async () => {
    const mounts = [bind('/d', 'image'), bind('/d', 'file')]
    const { at, write, names } = await create({ mounts }, 'all:memory')
    expect(at('/d').map(({ type, source }) => `${type} of ${source}`)).toEqual(['overlay of image', 'overlay of file'])
    await write('/d/x')
    expect(await names('/d')).toEqual(['f', 'x'])
    const both = 'cannot both go to the volume'
    for (const [overlay, rule] of [
      ['all:volume:v', `mounts[1] and of mounts[0] ${both} "v+d"`],
      [['volume:v', 'none', 'volume:v'], `mounts[1] and of root ${both} "v"`],
    ] as const) {
      const error = await failure(create({ root: IMAGE, mounts }, overlay, 'kept'))
      expect(error.message).toBe(`overlay: the changes of ${rule}`)
    }
    expect(await world.runtime.volumes.calls.list()).toEqual([])
  })

  test('D015 ours: instead of a directory of the machine, a volume, one for each layer: it need not exist, and a path is no name of one', async () => {
    const spec = { root: IMAGE, mounts: [bind('/b', 'image')] }
    for (const medium of ['/var/lib', 'dir=/var/lib', 'volume:/var/lib']) {
      expect((await failure(create(spec, `all:${medium}`))).message).toContain('/var/lib')
    }
    await create(spec, 'all:volume:new')
    expect((await world.runtime.volumes.calls.list()).map(({ name }) => name).sort()).toEqual(['new', 'new+b'])
  })

  describe('C041 a snapshot', () => {
    const snapshotOf = async (id: string) => {
      const images = await world.runtime.images()
      const { parts } = await images.exportLayer(id, { form: 'snapshot' })
      return new Blob(parts as BlobPart[])
    }
    const restored = (spec: SpecInput, upper: Blob, overlay?: unknown) =>
      world.runtime.create('restored', spec, { overlay, upper: upper as never })

    test('fills the layer of a root before anything is mounted on it', async () => {
      const { write, files } = await create({ root: IMAGE })
      await write('/etc/new')
      await files.unlink('/etc/name')
      await files.mkdir('/deep/down', 0o700, true)
      const upper = await snapshotOf('c')
      const mounts = [tmpfs('/deep/down')]
      await restored({ root: IMAGE, mounts }, upper)
      const there = world.runtime.files('restored')
      expect((await there.readdir('/etc', false)).map(({ name }) => name)).toEqual(['new'])
      expect((await there.stat('/deep')).mode).toBe(0o40700)
      expect(world.runtime.mounts('restored').map(({ destination }) => destination)).toContain('/deep/down')
    })

    test.each<[what: string, spec: SpecInput, overlay: unknown, rule: RegExp]>([
      [
        'no layer',
        { root: IMAGE },
        'none',
        /restores an upper layer in memory, and the root of this container has none/,
      ],
      ['a layer in a volume', { root: IMAGE }, 'root:volume:v', /restores an upper layer in memory/],
      ['a read-only root', { root: READONLY }, undefined, /"restored": its upper can only be restored/],
      ['no root', {}, undefined, /"restored": its upper can only be restored/],
    ])('is refused where there is %s, and nothing is left', async (_, spec, overlay, rule) => {
      await create({ root: IMAGE })
      const upper = await snapshotOf('c')
      await expect(restored(spec, upper, overlay)).rejects.toThrow(rule)
      expect(await world.runtime.volumes.calls.list()).toEqual([])
    })
  })
})
