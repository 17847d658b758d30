/** What the linux section of a spec says of files: devices, readonlyPaths, maskedPaths. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ErrnoError } from '../../abi/errno.ts'
import { O_CREAT, O_WRONLY } from '../../abi/linux.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { endClean } from '../test-world.ts'

let world: World
beforeEach(() => {
  world = bootWorld()
  world.runtime.provide(
    'rootfs',
    treeOf({ 'etc/secret/key': 'k', 'etc/motd': 'hello', 'usr/lib/a': 'a', 'nodes/x': '' }),
  )
})
afterEach(() => endClean(world))

const create = async (linux: object, more: object = {}, id = 'a') => {
  await world.runtime.create(id, { root: { path: 'rootfs' }, linux, ...more })
  return world.runtime.files(id)
}
const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )
type Files = Awaited<ReturnType<typeof create>>
const write = (files: Files, path: string) => files.writeFile(path, new Uint8Array(1), O_WRONLY | O_CREAT, 0o644)
const read = async (files: Files, path: string) => new TextDecoder().decode(await files.readFile(path))
const names = async (files: Files, path: string) => (await files.readdir(path, false)).map(({ name }) => name)
const code = async (promise: Promise<unknown>) => (await failure(promise)).code

test('B165 D083 devices become nodes with their type, numbers, mode and owner; a read-only root is none the wiser', async () => {
  const linux = {
    devices: [
      { path: '/nodes/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o620, uid: 5, gid: 6 },
      { path: '/nodes/disk/sda', type: 'b', major: 8, minor: 0 },
      { path: '/nodes/nothing', type: 'u', major: 1, minor: 3 },
      { path: '/dev/net/tun', type: 'c', major: 10, minor: 200, fileMode: 0o600 },
      { path: '/run/pipe', type: 'p', fileMode: 0o600 },
    ],
  }
  const files = await create(linux, { root: { path: 'rootfs', readonly: true } })
  expect(await files.stat('/nodes/fuse')).toMatchObject({ mode: 0o20620, uid: 5, gid: 6, rdev: makeDevice(10, 229) })
  expect(await files.stat('/nodes/disk/sda')).toMatchObject({ mode: 0o60666, uid: 0, rdev: makeDevice(8, 0) })
  expect(await files.stat('/run/pipe')).toMatchObject({ mode: 0o10600 })
  expect(await files.stat('/dev/net/tun')).toMatchObject({ mode: 0o20600, rdev: makeDevice(10, 200) })
  await write(files, '/nodes/nothing')
  expect(await read(files, '/nodes/nothing')).toBe('')
  expect(await code(files.readFile('/nodes/fuse'))).toBe('EPERM')
  expect(await code(write(files, '/nodes/new'))).toBe('EROFS')
})

test('B165 D083 a device that is there already is kept, and may be the same one; something else of its name is told, and nothing is left', async () => {
  const twice = { path: '/nodes/zero', type: 'c', major: 1, minor: 5 }
  const there = { path: '/dev/zero', type: 'c', major: 1, minor: 5, fileMode: 0o600 }
  const files = await create({ devices: [twice, twice, there] })
  expect(await files.stat('/dev/zero')).toMatchObject({ mode: 0o20666, rdev: makeDevice(1, 5) })
  await expect(create({ devices: [{ ...twice, type: 'x' }] }, {}, 'b')).rejects.toThrow('linux.devices[0].type')
  const before = world.runtime.vfs.superblocks.size
  for (const [path, other] of [
    ['/nodes/zero', { ...twice, minor: 7 }],
    ['/nodes/zero', { ...twice, type: 'b' }],
    ['/nodes/x', { ...twice, path: '/nodes/x' }],
    ['/dev/pts', { ...twice, path: '/dev/pts' }],
  ] as const) {
    const error = await failure(create({ devices: [twice, other] }, {}, 'b'))
    expect(error).toMatchObject({ code: 'EEXIST', path })
    expect(error.message).toContain('linux.devices[1]: something else has this name')
    expect(world.runtime.vfs.superblocks.size).toBe(before)
  }
  const below = await failure(create({ devices: [{ ...twice, path: '/etc/motd/zero' }] }, {}, 'b'))
  expect(below).toMatchObject({ code: 'ENOTDIR', path: '/etc/motd/zero' })
})

test('readonlyPaths show what is there and refuse changes, also to what is mounted on them; beside them all goes on', async () => {
  const files = await create(
    { readonlyPaths: ['/usr', '/etc/motd', '/not/there', '/data'] },
    { mounts: [{ destination: '/data', type: 'tmpfs' }] },
  )
  expect(await read(files, '/usr/lib/a')).toBe('a')
  for (const path of ['/usr/lib/a', '/usr/new', '/etc/motd', '/data/x']) {
    expect([path, await code(write(files, path))]).toEqual([path, 'EROFS'])
  }
  expect(await code(files.unlink('/etc/motd'))).toBe('EBUSY')
  await write(files, '/etc/other')
  expect(await names(files, '/')).not.toContain('not')
})

test('maskedPaths cannot be read: a directory is empty and read-only, anything else is /dev/null', async () => {
  const files = await create({ maskedPaths: ['/etc/secret', '/etc/motd', '/not/there'], readonlyPaths: ['/etc'] })
  expect(await names(files, '/etc/secret')).toEqual([])
  expect(await code(files.readFile('/etc/secret/key'))).toBe('ENOENT')
  expect(await code(write(files, '/etc/secret/key'))).toBe('EROFS')
  expect(await read(files, '/etc/motd')).toBe('')
  expect((await files.stat('/etc/motd')).rdev).toBe(makeDevice(1, 3))
  await write(files, '/etc/motd')
  const shown = world.runtime
    .mounts('a')
    .flatMap(({ destination }) => (destination.startsWith('/etc') ? [destination] : []))
  expect(shown).toEqual(['/etc', '/etc/secret', '/etc/motd'])
})

test('C005 C272 a path that cannot be walked is an error that names its place in the spec, and nothing is left of the container', async () => {
  const before = world.runtime.vfs.superblocks.size
  const error = await failure(create({ maskedPaths: ['/usr', '/etc/motd/x'] }))
  expect(error).toMatchObject({ code: 'ENOTDIR', path: '/etc/motd/x', syscall: 'mount' })
  expect(error.message).toContain('linux.maskedPaths[1]')
  expect(world.runtime.vfs.superblocks.size).toBe(before)
})
