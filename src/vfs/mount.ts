/**
 * Mounts and mount namespaces.
 *
 * A Mount shows a filesystem, from one of its dentries on, at a point in another mount. Mounts are found by (parent mount,
 * point dentry), so a directory seen through a bind mount does not show what is mounted on it elsewhere. A second mount
 * on the same place has the first one's root as its point: a stack is a chain.
 *
 * Counted here (see docs/rationale.md, "What is counted?"): `Superblock.views` and `opens` (the filesystem is released
 * when there is neither), `Mount.users` (open descriptions, working directories: unmount is EBUSY), `Mount.writers` (turning read-only
 * is EBUSY).
 *
 * Invariants: `mount.parent.children.get(mount.point) === mount` while it is connected; `point.mounts` counts the mounts
 * whose point the dentry is. A namespace's root mount has no parent and is in no table.
 */

import { ErrnoError } from '../abi/errno.ts'
import { NAME_MAX } from '../abi/linux.ts'
import { Dentry } from './dentry.ts'
import type { Filesystem, Inode } from './inode.ts'
import type { InodeLocks } from './locks.ts'
import type { Pipe } from './pipe.ts'
import type { Watches } from './watches.ts'

/** Linux's super block: one filesystem instance and the root of its dentries, shared by all its mounts. */
export class Superblock {
  readonly filesystem: Filesystem
  readonly root: Dentry
  /** Longest name in bytes of UTF-8. */
  readonly nameMax: number
  /** The mounts that show it, in any namespace or none. */
  readonly views = new Set<Mount>()
  opens = 0
  /** What hangs on its inodes, while anything does: watches, locks, the pipes of FIFOs that are open. */
  watches: Watches | undefined
  locks: Map<Inode, InodeLocks> | undefined
  fifos: Map<Inode, Pipe> | undefined
  readonly #released: () => void

  /** `released` is called once, when the last mount and the last open file are gone. */
  constructor(filesystem: Filesystem, released: () => void) {
    this.filesystem = filesystem
    this.root = new Dentry('', undefined, filesystem.root)
    this.nameMax = filesystem.nameMax ?? NAME_MAX
    this.#released = released
  }

  /** An open file of it was closed. */
  closed(): void {
    this.opens--
    this.#releaseIfUnused()
  }

  /** A mount of it is gone for good. */
  dropView(mount: Mount): void {
    if (this.views.delete(mount)) this.#releaseIfUnused()
  }

  #releaseIfUnused(): void {
    if (this.views.size > 0 || this.opens > 0) return
    this.watches?.endEverything()
    this.filesystem.release?.()
    this.#released()
  }
}

/** The options of a mount itself, apart from its filesystem's: mount(8), "filesystem-independent mount options". */
export interface MountFlags {
  readonly readonly?: boolean
  readonly noexec?: boolean
  readonly nosuid?: boolean
  readonly nodev?: boolean
  readonly noatime?: boolean
  readonly strictatime?: boolean
}

export class Mount {
  readonly id: number
  readonly superblock: Superblock
  readonly root: Dentry
  /** What mountinfo shows as the source. */
  readonly source: string
  flags: MountFlags
  parent: Mount | undefined
  point: Dentry | undefined
  readonly children = new Map<Dentry, Mount>()
  namespace: MountNamespace | undefined
  writers = 0
  users = 0

  constructor(id: number, superblock: Superblock, root: Dentry, source: string, flags: MountFlags) {
    this.id = id
    this.superblock = superblock
    this.root = root
    this.source = source
    this.flags = flags
    superblock.views.add(this)
  }

  /** Nothing can be changed through this mount. */
  get readonly(): boolean {
    return this.flags.readonly === true || this.superblock.filesystem.readonly
  }

  /** Errors: EBUSY while a description is open for writing. */
  setFlags(flags: MountFlags): void {
    if (flags.readonly && !this.flags.readonly && this.writers > 0) {
      throw new ErrnoError('EBUSY', undefined, 'files are open for writing')
    }
    this.flags = flags
  }
}

/** A place in the tree of files: a dentry seen through a mount. A value; the empty one is `undefined`. */
export class VirtualDentry {
  readonly mount: Mount
  readonly dentry: Dentry
  constructor(mount: Mount, dentry: Dentry) {
    this.mount = mount
    this.dentry = dentry
  }

  equals(other: VirtualDentry): boolean {
    return this.mount === other.mount && this.dentry === other.dentry
  }
}

/** The top of the stack of mounts on a place; the place itself if nothing is mounted there. */
export function topmost(place: VirtualDentry): VirtualDentry {
  let { mount, dentry } = place
  while (dentry.mounts > 0) {
    const covering = mount.children.get(dentry)
    if (!covering) break
    mount = covering
    dentry = covering.root
  }
  return mount === place.mount && dentry === place.dentry ? place : new VirtualDentry(mount, dentry)
}

/** Mount ids, which are never used twice, and what a mount or namespace takes to be made. */
export class MountNamespace {
  readonly root: Mount
  mounts = 0

  constructor(root: Mount) {
    this.root = root
    root.namespace = this
    this.mounts = 1
  }

  get rootPlace(): VirtualDentry {
    return new VirtualDentry(this.root, this.root.root)
  }

  /** All mounts of the tree, a parent before its children. */
  *all(): Generator<Mount> {
    yield* subtree(this.root)
  }
}

/** A mount and all that is mounted below it, a parent before its children. */
export function* subtree(mount: Mount): Generator<Mount> {
  yield mount
  for (const child of mount.children.values()) yield* subtree(child)
}

/** Linux's sysctl fs.mount-max is 100,000; gVisor allows 10,000 per namespace. */
export const MOUNT_MAX = 10_000

/**
 * Attaches a mount that is not attached, on top of whatever is at the place.
 * Errors: ENOENT for a place whose name was removed, ENOTDIR for a directory over a file or the reverse, EINVAL for a place
 * that is no longer in a namespace, ENOSPC past MOUNT_MAX.
 */
export function connectMount(mount: Mount, at: VirtualDentry): void {
  const place = topmost(at)
  const namespace = place.mount.namespace
  if (place.dentry.dead) throw new ErrnoError('ENOENT')
  if (!namespace) throw new ErrnoError('EINVAL', undefined, 'the place is not in a mount namespace')
  const rootIsDirectory = mount.root.inode.kind === 'directory'
  if (rootIsDirectory !== (place.dentry.inode.kind === 'directory')) {
    const detail = rootIsDirectory
      ? 'a directory cannot be mounted on a file'
      : 'a file cannot be mounted on a directory'
    throw new ErrnoError('ENOTDIR', undefined, detail)
  }
  const added = [...subtree(mount)]
  if (namespace.mounts + added.length > MOUNT_MAX) throw new ErrnoError('ENOSPC', undefined, 'too many mounts')
  namespace.mounts += added.length
  for (const each of added) each.namespace = namespace
  mount.parent = place.mount
  mount.point = place.dentry
  place.mount.children.set(place.dentry, mount)
  place.dentry.mounts++
}

/** Takes a mount, with what is mounted below it, out of its place in the tree. */
export function disconnectMount(mount: Mount): void {
  const { parent, point } = mount
  if (parent && point) {
    parent.children.delete(point)
    point.mounts--
  }
  mount.parent = undefined
  mount.point = undefined
  for (const each of subtree(mount)) {
    if (each.namespace) each.namespace.mounts--
    each.namespace = undefined
  }
}

/**
 * umount2(2) of a mount. Lazily (MNT_DETACH) it goes at once with all below, each cut from the others; open files keep
 * working. Errors: EBUSY without `lazy` if something is mounted below or in use; EINVAL for a namespace's root.
 */
export function unmount(mount: Mount, options: { lazy: boolean }): void {
  if (!mount.parent) throw new ErrnoError('EINVAL', undefined, 'not mounted on anything')
  if (!options.lazy && (mount.children.size > 0 || mount.users > 0)) throw new ErrnoError('EBUSY')
  releaseTree(mount)
}

/** Takes a mount and all below it apart; filesystems that nobody uses any more are released, after the tree has changed. */
export function releaseTree(mount: Mount): void {
  const gone = [...subtree(mount)]
  disconnectMount(mount)
  for (const each of gone) if (each.parent) disconnectMount(each)
  for (const each of gone) each.superblock.dropView(each)
}
