/**
 * What the `linux` section of a spec says of files, done when all mounts are there: device nodes, then readonlyPaths, then
 * maskedPaths, as runc goes about them (runtime-spec config-linux.md).
 *
 * Invariant: the covers are the last mounts to be made, so nothing of the spec lies on top of them. A path that is to be covered
 * and is not there is left alone.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { AT_FDCWD } from '../../abi/linux.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { Task } from '../../kernel/task.ts'
import { credentialsOf } from '../../vfs/context.ts'
import { makeDevice as deviceNumber } from '../../vfs/kinds.ts'
import { VirtualDentry } from '../../vfs/mount.ts'
import { resolve } from '../../vfs/path-walk.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import type { DeviceSpec, LinuxSpec } from '../linux-spec.ts'
import { makeMountPoint } from './mount-point.ts'
import type { SetUp } from './set-up.ts'
import { attach } from './submount.ts'

/** Preconditions: no process runs in the namespace yet. Errors: as SetUp.at has them, with the place in the spec. */
export async function applyLinux(
  setUp: SetUp,
  { devices = [], readonlyPaths = [], maskedPaths = [] }: LinuxSpec,
): Promise<void> {
  const { vfs, task } = setUp
  const each = async <T>(field: string, list: readonly T[], pathOf: (item: T) => string, work: (item: T) => void) => {
    for (const [i, item] of list.entries()) await setUp.at(`linux.${field}[${i}]`, pathOf(item), () => work(item))
  }
  const makeNull = () => nodeApart(vfs, 'char', deviceNumber(1, 3), {})
  const nulls = maskedPaths.length > 0 ? await setUp.at('linux.maskedPaths', '/dev/null', makeNull) : undefined
  try {
    await each(
      'devices',
      devices,
      ({ path }) => path,
      (device) => makeNode(setUp, device),
    )
    await each('readonlyPaths', readonlyPaths, String, (path) => makeReadonly(task, path))
    await each('maskedPaths', maskedPaths, String, (path) => mask(task, path, nulls!))
  } finally {
    if (nulls) vfs.discard(nulls.mount)
  }
}

const KINDS: Readonly<Record<string, FileKind>> = { c: 'char', u: 'char', b: 'block', p: 'fifo' }

/**
 * A node with its mode and owner; one that is there already may be the same. Where no node can be made, one is mounted.
 * Errors: EEXIST for another; as mknod(2).
 */
function makeNode(setUp: SetUp, device: DeviceSpec): void {
  const { vfs, task } = setUp
  const { path, type, major = 0, minor = 0 } = device
  const kind = KINDS[type]!
  const rdev = kind === 'fifo' ? 0 : deviceNumber(major, minor)
  const there = find(task, path)?.dentry.inode
  if (there) {
    const same = there.kind === kind && (kind === 'fifo' || ('rdev' in there && there.rdev === rdev))
    if (!same) throw new ErrnoError('EEXIST', path, 'something else has this name')
    return
  }
  const directory = path.slice(0, path.replace(/\/+$/, '').lastIndexOf('/'))
  const { place } = makeMountPoint(task, directory, 'directory')
  try {
    if (place.mount.readonly) throw new ErrnoError('EROFS')
    makeDevice(task, path, kind, rdev, device)
  } catch (error) {
    if (!(error instanceof ErrnoError && REFUSALS.has(error.code))) throw error
    const node = nodeApart(vfs, kind, rdev, device)
    try {
      attach(setUp, vfs.newMount(node.mount.superblock, { root: node.dentry, source: 'device' }), path, {})
    } finally {
      vfs.discard(node.mount)
    }
  }
}

/** How a filesystem says that no device can be made in it. */
const REFUSALS: ReadonlySet<string> = new Set(['EPERM', 'EROFS', 'EACCES', 'EOPNOTSUPP'])

function makeDevice(
  task: Task,
  path: string,
  kind: FileKind,
  rdev: number,
  { fileMode = 0o666, uid = 0, gid = 0 }: Partial<DeviceSpec>,
): void {
  task.mknodat(AT_FDCWD, path, kind, fileMode, rdev)
  task.fchownat(AT_FDCWD, path, uid, gid, 0)
  task.fchmodat(AT_FDCWD, path, fileMode, 0)
}

/** Makes a path, with all below it, read-only: itself, mounted on itself. */
function makeReadonly(task: Task, path: string): void {
  const place = find(task, path)
  if (!place) return
  const { flags, source } = place.mount
  const mount = task.vfs.bind(place, { recursive: true, flags: { ...flags, readonly: true }, source })
  task.vfs.attach(mount, place)
}

/** Covers a path so that nothing of it can be read: a directory by an empty one that is read-only, anything else by /dev/null. */
function mask(task: Task, path: string, nulls: VirtualDentry): void {
  const place = find(task, path)
  if (!place) return
  const { vfs } = task
  const mount =
    place.dentry.kind === 'directory'
      ? vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755', source: 'tmpfs' }), {
          source: 'tmpfs',
          flags: { readonly: true },
        })
      : vfs.newMount(nulls.mount.superblock, { root: nulls.dentry, source: 'null' })
  vfs.attach(mount, place)
}

/** A node in a tree of its own, whose mount is for the caller to discard. */
function nodeApart(vfs: Vfs, kind: FileKind, rdev: number, device: Partial<DeviceSpec>): VirtualDentry {
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' }))
  const root = new VirtualDentry(mount, mount.root)
  const task = new Task({ vfs, credentials: credentialsOf(0, 0), root, umask: 0 })
  try {
    makeDevice(task, '/node', kind, rdev, device)
    return resolve(task, root, '/node', true)
  } catch (error) {
    vfs.discard(mount)
    throw error
  } finally {
    task.release()
  }
}

function find(task: Task, path: string): VirtualDentry | undefined {
  try {
    return resolve(task, task.root, path, true)
  } catch (error) {
    if (error instanceof ErrnoError && error.code === 'ENOENT') return undefined
    throw error
  }
}
