/** Mounts of a spec: their propagation, D036. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { bootWorld, treeOf, type World } from '../../host/world.ts'

let world: World

beforeEach(() => {
  world = bootWorld()
  world.runtime.provide('image', treeOf({ 'etc/name': 'image' }))
})

afterEach(() => world.close())

const mount = (destination: string, options: string[]) => ({ destination, type: 'tmpfs', options })
/** Without what every container gets. */
const places = (id: string) =>
  world.runtime.mounts(id).flatMap(({ destination }) => (BY_ITSELF.test(destination) ? [] : destination))
const BY_ITSELF = /^\/(proc|sys|dev|dev\/pts|tmp)$/

test('D036 a mount of the spec is shared once it is mounted: what is mounted below it is below its binds, too', async () => {
  const bind = { destination: '/other', type: 'bind', source: '/s', options: ['bind'] }
  const inner = mount('/s/inside', [])
  const spec = (options: string[]) => ({ root: { path: 'image' }, mounts: [mount('/s', options), bind, inner] })
  await world.runtime.create('one', spec(['rshared', 'noexec']))
  await world.runtime.create('two', spec([]))
  expect(places('one')).toEqual(['/', '/s', '/other', '/s/inside', '/other/inside'])
  expect(places('two')).toEqual(['/', '/s', '/other', '/s/inside'])
})

test.each([
  [{ mounts: [mount('/s', ['shared', 'ro', 'rprivate'])] }, 'mounts[0].options[2]: "rprivate" contradicts "shared"'],
  [
    { linux: { rootfsPropagation: 'shared' } },
    'linux.rootfsPropagation: must be one of private, rprivate, slave, rslave',
  ],
])('D036 a spec that asks for what cannot be says so: %#', async (spec, message) => {
  await expect(world.runtime.create('one', spec)).rejects.toThrow(message)
  await expect(world.runtime.create('one', { linux: { rootfsPropagation: 'rslave' } })).resolves.toBeDefined()
})
