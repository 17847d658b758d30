/** The mounts of a spec, one by one: what each becomes, what the mount table says of it, and what it leaves when it fails. */

import { describe, expect, test } from 'vitest'
import type { Task } from '../../kernel/task.ts'
import { resolve } from '../../vfs/path-walk.ts'
import type { MountSpec } from '../spec.ts'
import { hintKey } from './hints.ts'
import { asRoot, bind, create, eachInAWorld, failure, IMAGE, over, READONLY, tmpfs, vfs, world } from './test-world.ts'

eachInAWorld()

const hint = (fields: Record<string, string>) =>
  Object.fromEntries(Object.entries(fields).map(([field, value]) => [`${hintKey('h')}.${field}`, value]))

const isThere = (task: Task, path: string) => {
  try {
    return resolve(task, task.root, path, true) !== undefined
  } catch {
    return false
  }
}

describe('which volume a mount shows', () => {
  test.each<[type: string, share: string, source: string, shared: boolean]>([
    ['tmpfs', 'pod', '/pod', true],
    ['tmpfs', 'container', '/pod', true],
    ['tmpfs', 'shared', '/pod', false],
    ['bind', 'pod', '/pod', false],
    ['bind', 'container', '/pod', false],
    ['tmpfs', 'pod', '/pod/', false],
    ['tmpfs', 'pod', 'pod', false],
  ])(
    'C058 a hint of type %s, share %s is for a source of /pod, not for others: %s',
    async (type, share, source, shared) => {
      const annotations = hint({ source: '/pod', type, share })
      const mounts = ['/a', '/b'].map((destination) => ({ ...tmpfs(destination), source }))
      const { write, names } = await create({ mounts, annotations })
      await write('/a/x')
      expect(await names('/b')).toEqual(shared ? ['x'] : [])
      world.runtime.shared.release()
    },
  )

  test('C159 options that are none, of a mount that shares a volume, are an error all the same', async () => {
    const annotations = hint({ source: '/pod', type: 'tmpfs', share: 'pod' })
    const mounts = [{ ...tmpfs('/made/for/it', 'mode=7=5'), source: '/pod' }]
    const error = await failure(create({ mounts, annotations }))
    expect(error).toMatchObject({ code: 'EINVAL', path: '/made/for/it' })
    expect(error.message).toContain('mounts[0]: options[0]: "mode=7=5"')
    expect(world.runtime.shared.masters.size).toBe(0)
  })
})

test('C059 C212 a type that is not there is skipped: no place is made for it, nothing is mounted, and no error is thrown', async () => {
  const { lookup } = vfs.types
  // C212 ours: also one that is known, where the kernel lacks it; a spec for any machine boots.
  vfs.types.lookup = (name) => (name === 'fuse' ? undefined : lookup.call(vfs.types, name))
  const skipped = (destination: string, type: string) => ({ destination, type })
  const mounts = [skipped('/made/nfs', 'nfs'), skipped('/made/fuse', 'fuse'), skipped('/made/none', ''), tmpfs('/t')]
  const { names, mounts: table, warnings } = await create({ root: IMAGE, mounts })
  expect(await names('/')).not.toContain('made')
  expect(table.map(({ destination }) => destination).filter((path) => path.startsWith('/made'))).toEqual([])
  expect(warnings).toEqual(['"nfs"', '"fuse"', 'no type'].map((type) => expect.stringContaining(type)))
})

test('C060 C061 what is mounted is there before its place is made. C060 ours: so one that cannot be leaves no place behind', async () => {
  const { newFilesystem } = vfs
  const seen: boolean[] = []
  vfs.newFilesystem = (request) => {
    if (request.source === 'probe') seen.push(asRoot([...vfs.tasks].at(-1)!.root, (task) => isThere(task, '/made')))
    return newFilesystem.call(vfs, request)
  }
  const probe = { ...tmpfs('/made/for'), source: 'probe' }
  const { files } = await create({ mounts: [probe, bind('/made/file', 'file/f')] })
  expect(seen).toEqual([false])
  expect([(await files.stat('/made/for')).mode, (await files.stat('/made/file')).mode]).toEqual([0o41777, 0o100644])
  for (const [id, mount] of Object.entries<MountSpec>({
    options: tmpfs('/other/place', 'mode=x'),
    layers: over('/other/place', 'no/such'),
    source: bind('/other/place', 'no/such'),
  })) {
    const kept = 'root:volume:kept'
    expect(await failure(create({ mounts: [mount] }, kept, id))).toMatchObject({ path: '/other/place' })
    const { names } = await create({}, kept, id)
    expect(await names('/')).not.toContain('other')
    await world.runtime.delete(id, false)
  }
})

test('C068 C209 mounts shows the source. C068 C209 ours: the spec’s, as Linux shows mount(2)’s, not "none" or the destination', async () => {
  const mounts = [
    { ...tmpfs('/given'), source: 'my scratch' },
    tmpfs('/left-out'),
    { ...tmpfs('/empty'), source: '' },
    bind('/tree', 'image/etc'),
    bind('/place', '/given'),
    over('/merged', 'image'),
  ]
  const { namespace } = await create({ root: IMAGE, mounts }, 'none')
  const text = asRoot(namespace.rootPlace, (_, calls) => calls.mounts)
  const sources = new Map(text.split('\n').map((line) => line.split(' ').slice(0, 2).reverse() as [string, string]))
  expect(Object.fromEntries(sources)).toMatchObject({
    '/': 'image',
    '/given': 'my\\040scratch',
    '/left-out': 'tmpfs',
    '/empty': 'none',
    '/tree': 'image/etc',
    '/place': '/given',
    '/merged': 'overlay',
    '/proc': 'proc',
    '/tmp': 'tmpfs',
  })
})

test('C069 nobody but the tree holds a mount that was made: each can be unmounted at once', async () => {
  const mounts = [tmpfs('/a'), tmpfs('/a/b', 'ro'), bind('/c', '/a'), bind('/d', 'image'), over('/e', 'image')]
  const { namespace, mounts: table } = await create({ root: READONLY, mounts }, 'none')
  const paths = table.map(({ destination }) => destination).filter((path) => path !== '/')
  expect(paths).toEqual(expect.arrayContaining(['/a', '/a/b', '/c', '/d', '/e', '/tmp', '/proc']))
  asRoot(namespace.rootPlace, (_, calls) => {
    for (const path of paths.sort((a, b) => b.length - a.length)) calls.umount2(path)
    expect(calls.mounts.trim().split('\n')).toHaveLength(1)
  })
})

test('C210 C211 two binds of one place are in step with it and with each other, byte by byte. C211 ours: noexec is more than a warning', async () => {
  const mounts = [tmpfs('/t'), bind('/a', '/t'), bind('/b', '/t', 'noexec')]
  const { files, read, warnings, at } = await create({ mounts })
  for (const text of ['one', 'three', '']) {
    await files.writeFile('/a/x', new TextEncoder().encode(text), 0o1101, 0o644)
    for (const place of ['/a', '/b', '/t']) {
      expect(await read(`${place}/x`)).toBe(text)
      expect((await files.stat(`${place}/x`)).size).toBe(text.length)
    }
  }
  expect(warnings).toEqual([])
  expect(['/a', '/b'].map((place) => at(place)[0]!.options.includes('noexec'))).toEqual([false, true])
})
