/** Where changes go: the layers over roots and binds. */

import { describe, expect, test } from 'vitest'
import { bind, create, eachInAWorld, failure, IMAGE, tmpfs, world } from './test-world.ts'

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

  test('C012 C046 C047 C049 D006 a list is dealt in the order of the spec, before the mounts are sorted', async () => {
    const mounts = [bind('/longer', 'image'), tmpfs('/t'), bind('/b', 'image')]
    const { at } = await create({ root: IMAGE, mounts }, ['none', 'memory', 'none'])
    expect(['/', '/longer', '/b'].map((place) => at(place)[0]!.type)).toEqual(['gofer', 'overlay', 'gofer'])
    for (const list of [['none'], ['none', 'none', 'none', 'none']]) {
      const error = await failure(create({ root: IMAGE, mounts }, list, 'bad'))
      expect(error.message).toBe(`overlay: a list of ${list.length} for a spec with 3: its root, and 2 binds`)
    }
  })

  test('C041 a snapshot restores a layer in memory, and without one it is refused', async () => {
    const creation = world.runtime.create('c', { root: IMAGE }, { overlay: 'none', upper: new Blob([]) as never })
    await expect(creation).rejects.toThrow()
  })
})
