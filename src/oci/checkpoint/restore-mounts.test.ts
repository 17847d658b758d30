/** Which mount finds which files at a restore: what they are found by, whatever their order and number. */

import { expect, test } from 'vitest'
import { failure, manifestOf, Site } from './test-world.ts'

const trees = { image: { 'etc/name': 'image' }, other: { f: 'other' } }
const bind = (destination: string, source: string) => ({ destination, type: 'bind', source })
const tmpfs = (destination: string) => ({ destination, type: 'tmpfs' })

test('C057 each mount finds its own again when the spec has them in another order, the layers of binds as well', async () => {
  const mounts = [bind('/b', 'image'), tmpfs('/longer'), bind('/a', 'other'), tmpfs('/t')]
  const site = new Site()
  const first = site.tab(trees)
  await first.create('c', { root: { path: 'image' }, mounts }, { overlay: 'all:memory' })
  const places = ['/b', '/longer', '/a', '/t', '/etc']
  for (const place of places) await first.write('c', `${place}/x`, `in ${place}`)
  const checkpoint = await first.save()
  const second = site.tab(trees)
  const spec = { root: { path: 'image' }, mounts: [...mounts].reverse() }
  await second.restore(checkpoint, { specs: { c: spec } })
  for (const place of places) expect(await second.read('c', `${place}/x`)).toBe(`in ${place}`)
  expect(second.mounts('c').sort()).toEqual(first.mounts('c').sort())
})

test('C278 two binds on one place are two entries, and each comes back', async () => {
  const mounts = [bind('/d', 'image'), bind('/d', 'other')]
  const site = new Site()
  const first = site.tab(trees)
  await first.create('c', { mounts }, { overlay: 'all:memory' })
  await first.write('c', '/d/f', 'changed')
  const checkpoint = await first.save()
  const { containers } = await manifestOf(checkpoint)
  expect(containers[0]!.sources.map(({ unique, source }) => `${unique} ${source}`)).toEqual(['/d image', '/d#2 other'])
  const second = site.tab(trees)
  await second.restore(checkpoint, { validation: 'ignore' })
  expect(await second.read('c', '/d/f')).toBe('changed')
  expect(second.mounts('c')).toEqual(first.mounts('c'))
})

test('C284 layers are restored as layers, nothing that was saved is left over unheard, and every container has its own /tmp', async () => {
  const site = new Site()
  const first = site.tab(trees)
  const spec = { root: { path: 'image' }, mounts: [bind('/b', 'other')] }
  for (const id of ['one', 'child']) {
    await first.create(id, spec, { overlay: 'all:memory' })
    for (const path of ['/etc/name', '/b/f', '/tmp/x']) await first.write(id, path, `${path} of ${id}`)
  }
  const checkpoint = await first.save()
  const second = site.tab(trees)
  await second.restore(checkpoint)
  for (const id of ['one', 'child']) {
    for (const path of ['/etc/name', '/b/f', '/tmp/x']) expect(await second.read(id, path)).toBe(`${path} of ${id}`)
    const types = second.runtime.mounts(id).map(({ destination, type }) => `${destination} ${type}`)
    expect(types).toEqual(expect.arrayContaining(['/ overlay', '/b overlay', '/tmp tmpfs']))
  }
  const third = site.tab(trees)
  const lost = { root: { path: 'image' }, mounts: [] }
  expect(await failure(third.restore(checkpoint, { validation: 'ignore', specs: { child: lost } }))).toMatch(
    /^EINVAL.*container "child": nothing is mounted there now/,
  )
  expect(third.runtime.containers()).toEqual([])
})
