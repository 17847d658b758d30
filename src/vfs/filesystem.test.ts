import { beforeEach, expect, test } from 'vitest'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { Tmpfs, tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { createClock } from '../host/clock.ts'
import { type FilesystemType, FilesystemTypes, onDemand } from './filesystem.ts'
import type { Filesystem } from './inode.ts'
import { Vfs } from './vfs.ts'
import { Attempt } from './waiting.ts'

let vfs: Vfs
beforeEach(() => {
  vfs = new Vfs(createClock(), new DeviceRegistry())
})

const typeOf = (name: string, more: Partial<FilesystemType> = {}): FilesystemType => ({
  ...tmpfsType,
  name,
  ...more,
})

test('A001 A003 a type is found by its name, and what stands behind a dot in the name does not count', () => {
  const scratch = typeOf('scratch', { userMountable: false, userListable: false, requiresDevice: true })
  vfs.types.register(scratch)
  expect(vfs.types.lookup('scratch')).toBe(scratch)
  expect(vfs.types.lookup('scratch.fast.v2')).toBe(scratch)
  expect(vfs.types.lookup('scratchy')).toBeUndefined()
  expect(vfs.types.lookup('.scratch')).toBeUndefined()
})

test('A002 a second type of one name is refused, and the first stays', () => {
  const types = new FilesystemTypes()
  const first = typeOf('x')
  types.register(first)
  expect(() => types.register(typeOf('x'))).toThrow(/x is registered already/)
  expect(types.lookup('x')).toBe(first)
})

test('A004 A007 a filesystem of an unknown type is ENODEV, also as the root of a namespace', () => {
  const inUse = vfs.anonymousDevices.inUse
  expect(() => vfs.newFilesystem({ type: 'nope' })).toThrow(expect.objectContaining({ code: 'ENODEV' }))
  expect(() => vfs.newNamespace(vfs.newMount(vfs.newFilesystem({ type: 'nope' })))).toThrow(/ENODEV.*"nope"/)
  expect(vfs.anonymousDevices.inUse).toBe(inUse)
})

test('A005 A006 A007 a guest cannot tell a type that it may not mount from one that there is not; the kernel may mount it', () => {
  vfs.types.register(typeOf('hidden', { userMountable: false }))
  const asGuest = (type: string) => {
    try {
      vfs.newFilesystem({ type, byKernel: false })
    } catch (error) {
      return String(error).replaceAll(type, 'TYPE')
    }
    return 'made'
  }
  expect(asGuest('hidden')).toBe(asGuest('absent'))
  expect(asGuest('hidden')).toContain('ENODEV')
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'hidden' }))
  expect(vfs.newNamespace(mount).root).toBe(mount)
})

test('A008 the text of /proc/filesystems has a line for each type that is listed, with nodev unless it needs a device', () => {
  vfs.types.register(typeOf('plain'))
  vfs.types.register(typeOf('secret', { userListable: false }))
  vfs.types.register(typeOf('disk', { requiresDevice: true }))
  expect(new Set(vfs.types.list().split('\n'))).toEqual(new Set(['nodev\tplain', '\tdisk', '']))
})

test('A009 when the registry goes, each type is told once', () => {
  const told: string[] = []
  for (const name of ['a', 'b']) vfs.types.register(typeOf(name, { release: () => void told.push(name) }))
  vfs.types.release()
  vfs.types.release()
  expect(told).toEqual(['a', 'b'])
  expect(vfs.types.lookup('a')).toBeUndefined()
})

test('A018 A019 the first filesystem has the minor 2, each its own, and one that is gone gives its number back', () => {
  vfs.types.register(tmpfsType)
  const make = () => vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  const [a, b] = [make(), make()]
  expect([a, b].map(({ superblock }) => superblock.filesystem.dev)).toEqual([2, 3])
  vfs.discard(a)
  expect(make().superblock.filesystem.dev).toBe(2)
})

test('A029 mount ids are never used twice', () => {
  vfs.types.register(tmpfsType)
  const superblock = vfs.newFilesystem({ type: 'tmpfs' })
  const kept = vfs.newMount(superblock)
  const ids = [kept.id]
  for (let i = 0; i < 5; i++) {
    const mount = vfs.newMount(superblock)
    ids.push(mount.id)
    vfs.discard(mount)
  }
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
})

test('A030 A223 sync goes to every live filesystem, past one that fails, and gives the first error', () => {
  const synced: string[] = []
  const syncing = (name: string, failure?: string) =>
    typeOf(name, {
      mount({ dev, clock }): Filesystem {
        const filesystem: Filesystem = new Tmpfs({ dev, now: clock.coarse() })
        return Object.assign(filesystem, {
          sync() {
            synced.push(name)
            if (failure) throw new Error(failure)
          },
        })
      },
    })
  for (const type of [syncing('a'), syncing('b', 'first'), syncing('c', 'second'), syncing('gone')])
    vfs.types.register(type)
  for (const type of ['a', 'b', 'c']) vfs.newMount(vfs.newFilesystem({ type }))
  vfs.discard(vfs.newMount(vfs.newFilesystem({ type: 'gone' })))
  expect(() => vfs.syncAll(new Attempt())).toThrow('first')
  expect(synced).toEqual(['a', 'b', 'c'])
})

test('a type on demand is listed at once, is mounted once it was loaded, and is released with the others', async () => {
  let loads = 0
  let released = 0
  const late = onDemand('late', async () => {
    loads++
    return typeOf('late', { release: () => released++ })
  })
  vfs.types.register(late)
  expect(vfs.types.list()).toContain('nodev\tlate\n')
  const inUse = vfs.anonymousDevices.inUse
  expect(() => vfs.newFilesystem({ type: 'late' })).toThrow(expect.objectContaining({ code: 'ENODEV' }))
  expect(vfs.anonymousDevices.inUse).toBe(inUse)

  await late.load?.()
  await late.load?.()
  expect(loads).toBe(1)
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'late' }))
  expect(mount.superblock.filesystem).toBeInstanceOf(Tmpfs)
  vfs.discard(mount)
  vfs.types.release()
  expect(released).toBe(1)
})
