/** For tests of the mounter: a kernel with a few trees, what a spec becomes in it, and that nothing is left of it. */

import { afterEach, beforeEach, expect } from 'vitest'
import type { ErrnoError } from '../../abi/errno.ts'
import type { Tree } from '../../abi/tree.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { HostCalls } from '../../kernel/host-calls.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { Task } from '../../kernel/task.ts'
import { checkMountTree } from '../../testing/check-mounts.ts'
import { MemorySite } from '../../testing/memory-site.ts'
import { credentialsOf } from '../../vfs/context.ts'
import type { VirtualDentry } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import type { MountSpec, SpecInput } from '../spec.ts'

export let world: World
/** Where volumes are kept. */
export let site: MemorySite
export let vfs: Vfs
/** What the kernel holds before a test, and after it. */
export let before: unknown

/** What a kernel holds: equal where nothing was left behind. */
export const held = () => ({
  superblocks: vfs.superblocks.size,
  mounts: [...vfs.superblocks].reduce((sum, { views }) => sum + views.size, 0),
  opens: [...vfs.superblocks].reduce((sum, { opens }) => sum + opens, 0),
  devices: vfs.anonymousDevices.inUse,
  groups: vfs.numbers.groups.inUse,
  volumes: site.locks.size,
  shared: world.runtime.shared.masters.size,
  tasks: vfs.tasks.size,
  faults: checkMountTree(vfs),
})

/** Each test of a file gets a kernel of its own. */
export function eachInAWorld(): void {
  beforeEach(() => {
    site = new MemorySite()
    world = bootWorld({ volumes: site.host })
    vfs = world.runtime.vfs
    world.runtime.provide('image', {
      entries: [
        { path: 'etc/name', kind: 'file', content: encodeUtf8('image') },
        { path: 'empty', kind: 'directory' },
        { path: 'to/dir', kind: 'symlink', target: '../empty' },
        { path: 'to/nothing', kind: 'symlink', target: '/made/behind/link' },
        { path: 'to/loop', kind: 'symlink', target: 'loop' },
        { path: 'to/outside', kind: 'symlink', target: '../../../../out' },
      ],
    })
    world.runtime.provide('file', treeOf({ f: 'content of f' }))
    before = held()
  })

  afterEach(async () => {
    for (const { id } of world.runtime.containers()) await world.runtime.delete(id, true)
    expect(held()).toEqual(before)
    await world.close()
  })
}

export const tmpfs = (destination: string, ...options: string[]): MountSpec => ({ destination, type: 'tmpfs', options })
export const bind = (destination: string, source: string, ...options: string[]): MountSpec => ({
  destination,
  type: 'bind',
  source,
  options,
})
export const over = (destination: string, ...lowers: string[]): MountSpec => ({
  destination,
  type: 'overlay',
  options: [`lowerdir=${lowers.join(':')}`],
})
export const IMAGE = { path: 'image' }
export const READONLY = { path: 'image', readonly: true }

export function provide(name: string, tree: Tree): void {
  world.runtime.provide(name, tree)
  before = held()
}

export async function create(spec: SpecInput, overlay?: unknown, id = 'c') {
  const { warnings } = await world.runtime.create(id, spec, { overlay })
  const files = world.runtime.files(id)
  // The page's own hand in its files is the last thing that a container makes.
  const { namespace } = [...vfs.tasks].at(-1)!
  return {
    files,
    namespace: namespace!,
    warnings,
    mounts: world.runtime.mounts(id),
    at: (place: string) => world.runtime.mounts(id).filter(({ destination }) => destination === place),
    names: async (path: string) => (await files.readdir(path, false)).map(({ name }) => name).sort(),
    read: async (path: string) => decodeUtf8(await files.readFile(path)),
    write: (path: string) => files.writeFile(path, encodeUtf8('x'), 0o1101, 0o644),
  }
}

export const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )

/** Does something as a superuser in a namespace: with its files, and as mount(8) does. */
export function asRoot<T>(root: VirtualDentry, work: (task: Task, mounts: MountCalls, host: HostCalls) => T): T {
  const task = new Task({ vfs, credentials: credentialsOf(0, 0), root, umask: 0 })
  try {
    return work(task, new MountCalls(vfs, task), new HostCalls(task))
  } finally {
    task.release()
  }
}
