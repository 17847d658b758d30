/**
 * Mounts and mount namespaces: what they are and where they hang. How they come, go and spread is in mount-tree.ts.
 *
 * A Mount shows a filesystem, from one of its dentries on, at a point in another mount. Mounts are found by (parent mount,
 * point dentry), so a directory seen through a bind mount does not show what is mounted on it elsewhere. A second mount
 * on the same place has the first one's root as its point: a stack is a chain.
 *
 * Counted here (see docs/rationale.md, "What is counted?"): `Superblock.views` and `opens` (the filesystem is released
 * when there is neither), `Mount.users` (open descriptions, working directories, roots: unmount is EBUSY), `Mount.writers`
 * (turning read-only is EBUSY).
 *
 * Invariants (checkMountTree in src/testing checks them): `mount.parent.children.get(mount.point) === mount` while it has a
 * parent; `superblock.points` holds the mounts by their point, and `point.mounts` counts them and the promises made of it.
 * A namespace's root mount has no parent. A mount that was unmounted is in no namespace and no peer group; it stays a view
 * of its filesystem until its last user goes.
 */

import { ErrnoError } from '../abi/errno.ts'
import { NAME_MAX } from '../abi/linux.ts'
import { Dentry } from './dentry.ts'
import type { Filesystem, Inode } from './inode.ts'
import type { InodeLocks } from './locks.ts'
import type { Pipe } from './pipe.ts'
import type { MountPromise } from './promises.ts'
import type { PeerGroup } from './propagation.ts'
import type { SyntheticEntries } from './synthetic.ts'
import { WaitQueue } from './waiting.ts'
import type { Watches } from './watches.ts'

/** Linux's super block: one filesystem instance and the root of its dentries, shared by all its mounts. */
export class Superblock {
  readonly filesystem: Filesystem
  readonly root: Dentry
  /** Longest name in bytes of UTF-8. */
  readonly nameMax: number
  /** The mounts that show it, in any namespace or none. */
  readonly views = new Set<Mount>()
  /** The mounts on its dentries, by the dentry that is their point, in any namespace or none. */
  readonly points = new Map<Dentry, Set<Mount>>()
  /** Names that are being removed or moved by a call that waits for a reply: nothing is mounted on them meanwhile. */
  readonly pinned = new Map<Dentry, WaitQueue>()
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
    if (this.views.size > 0 || this.opens > 0 || this.filesystem.enduring) return
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
  readonly nodiratime?: boolean
  readonly strictatime?: boolean
}

/** Flags that stay as they are for who is not privileged over the mount: mount_namespaces(7), "Restrictions". */
export type LockedFlags = Partial<Record<'readonly' | 'noexec' | 'nosuid' | 'nodev' | 'atime', true>>

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
  /** Whom mount events are shared with; undefined unless the mount is shared. */
  peers: PeerGroup | undefined
  /** Whom mount events come from, for a slave that is not shared itself; a shared one's group has its master. */
  master: PeerGroup | undefined
  /** Binds leave it out. */
  unbindable = false
  /** What it covers must not be seen: it can't be unmounted or moved by itself. */
  locked = false
  lockedFlags: LockedFlags = {}
  /** It was unmounted, and lives for its last users only. */
  unmounted = false
  /** Places in it that something will be mounted on: promises.ts. */
  promises: Map<Dentry, MountPromise> | undefined
  /** Places to mount on that its filesystem does not have; its copies share them. */
  synthetic: SyntheticEntries | undefined
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

  /** Errors: EBUSY for turning read-only while a description is open for writing. */
  setFlags(flags: MountFlags): void {
    if (flags.readonly && !this.flags.readonly && this.writers > 0) {
      throw new ErrnoError('EBUSY', undefined, 'files are open for writing')
    }
    this.flags = flags
    this.namespace?.notify()
  }

  /** A user more: an open description, a working directory, a root. */
  hold(): void {
    this.users++
  }

  /** A user fewer. The last one of a mount that was unmounted ends it. */
  drop(): void {
    this.users--
    if (this.unmounted) endIfUnused([this])
  }

  /** Hangs it at a place, where nothing is mounted. */
  link(parent: Mount, point: Dentry): void {
    this.parent = parent
    this.point = point
    parent.children.set(point, this)
    point.mounts++
    const { points } = parent.superblock
    const there = points.get(point)
    if (there) there.add(this)
    else points.set(point, new Set([this]))
  }

  /** Takes it from where it hangs. */
  unlink(): void {
    const { parent, point } = this
    if (!parent || !point) return
    this.parent = undefined
    this.point = undefined
    parent.children.delete(point)
    point.mounts--
    const { points } = parent.superblock
    const there = points.get(point)!
    there.delete(this)
    if (there.size === 0) points.delete(point)
  }
}

/**
 * Ends those of the unmounted mounts that nobody uses and that hang nowhere; what still hangs on one is cut from it.
 * Filesystems are released last, when the tree has changed.
 */
export function endIfUnused(mounts: readonly Mount[]): void {
  const ended: Mount[] = []
  const left = [...mounts]
  for (let mount = left.pop(); mount; mount = left.pop()) {
    if (mount.users > 0 || mount.parent || !mount.superblock.views.has(mount)) continue
    ended.push(mount)
    for (const child of [...mount.children.values()]) {
      child.unlink()
      left.push(child)
    }
  }
  for (const mount of ended) {
    for (const promise of mount.promises?.values() ?? []) promise.break()
    mount.superblock.dropView(mount)
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

  /** It is where a mount begins. */
  get isMountRoot(): boolean {
    return this.dentry === this.mount.root
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

/** Linux's sysctl fs.mount-max is 100,000; gVisor allows 10,000 per namespace. */
export const MOUNT_MAX = 10_000

/**
 * Stands for a user namespace, that is for who may administer mounts: compared by identity, and that is all there is to it.
 * What is mounted or copied across two of them comes locked.
 */
export interface MountOwner {
  readonly name: string
}

/** The owner of what the kernel itself makes. */
export const KERNEL: MountOwner = { name: 'kernel' }

export interface NamespaceOptions {
  readonly owner?: MountOwner
  /** It holds a tree that is attached nowhere and belongs to a descriptor of a task of this one: open_tree(2), fsmount(2). */
  readonly origin?: MountNamespace
  /** Most mounts in it. */
  readonly limit?: number
}

export class MountNamespace {
  readonly root: Mount
  readonly owner: MountOwner
  readonly origin: MountNamespace | undefined
  readonly limit: number
  mounts = 0
  /** Who uses it: who made it, and the tasks in it. */
  refs = 1
  /** Woken after each change of its mounts or their flags; `event` counts the changes, for who polls mountinfo. */
  readonly changed = new WaitQueue()
  event = 0

  constructor(root: Mount, options: NamespaceOptions = {}) {
    this.root = root
    this.owner = options.owner ?? options.origin?.owner ?? KERNEL
    this.origin = options.origin
    this.limit = options.limit ?? MOUNT_MAX
    for (const mount of subtree(root)) this.take(mount)
  }

  get anonymous(): boolean {
    return this.origin !== undefined
  }

  /** Where a task that enters it has its root: the top of what is mounted on the root. */
  get rootPlace(): VirtualDentry {
    return topmost(new VirtualDentry(this.root, this.root.root))
  }

  /** All mounts of the tree, a parent before its children. */
  all(): readonly Mount[] {
    return this.mounts === 0 ? [] : subtree(this.root)
  }

  /** The mount is in this namespace from now on, and in no other. */
  take(mount: Mount): void {
    leaveNamespace(mount)
    mount.namespace = this
    this.mounts++
  }

  notify(): void {
    this.event++
    this.changed.wake()
  }
}

export function leaveNamespace(mount: Mount): void {
  if (!mount.namespace) return
  mount.namespace.mounts--
  mount.namespace = undefined
}

/** A mount and all that hangs on it, a parent before its children. `skip` leaves out a mount with all on it. */
export function subtree(top: Mount, skip?: (mount: Mount) => boolean): Mount[] {
  const found: Mount[] = []
  const left = [top]
  for (let mount = left.pop(); mount; mount = left.pop()) {
    if (skip?.(mount)) continue
    found.push(mount)
    if (mount.children.size > 0) left.push(...[...mount.children.values()].reverse())
  }
  return found
}
