/**
 * The virtual filesystem as a whole: its types, its live filesystems, and the making of mounts.
 *
 * Invariant: `superblocks` are the filesystems that have a mount or an open file; mount ids only grow; device numbers of
 * filesystems that are gone are given out again.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Clock } from '../abi/platform.ts'
import { AnonymousFiles } from './anonymous.ts'
import type { DeviceTable } from './context.ts'
import type { Dentry } from './dentry.ts'
import { FilesystemTypes, type MountRequest } from './filesystem.ts'
import type { Filesystem } from './inode.ts'
import { RangeWaiters } from './locks.ts'
import {
  connectMount,
  Mount,
  type MountFlags,
  MountNamespace,
  Superblock,
  subtree,
  type VirtualDentry,
} from './mount.ts'
import type { Attempt } from './waiting.ts'
import { Watching } from './watches.ts'

/** Minor numbers for filesystems without a device (major 0): the lowest free one at or above a hint. */
export class AnonymousDevices {
  readonly #used = new Set<number>()
  #hint = 1

  /** Errors: EMFILE when all 2^20-2 are in use. */
  take(): number {
    let minor = this.#hint
    while (this.#used.has(minor)) minor++
    if (minor >= 2 ** 20 - 1) throw new ErrnoError('EMFILE', undefined, 'no device number is free')
    this.#used.add(minor)
    this.#hint = minor + 1
    return minor
  }

  give(minor: number): void {
    this.#used.delete(minor)
    if (minor < this.#hint) this.#hint = minor
  }

  get inUse(): number {
    return this.#used.size
  }
}

export interface NewFilesystem extends Partial<Omit<MountRequest, 'clock' | 'dev'>> {
  readonly type: string
  /** The kernel itself asks, not a guest: hidden types are allowed. */
  readonly byKernel?: boolean
}

export class Vfs {
  readonly clock: Clock
  readonly devices: DeviceTable
  readonly types = new FilesystemTypes()
  readonly superblocks = new Set<Superblock>()
  readonly anonymousDevices = new AnonymousDevices()
  /** The kernel's own; it has the first device number. */
  readonly anonymousFiles: AnonymousFiles
  /** What all watches share, and who waits for a lock. */
  readonly watching = new Watching()
  readonly rangeWaiters = new RangeWaiters()
  #lastMountId = 0

  constructor(clock: Clock, devices: DeviceTable) {
    this.clock = clock
    this.devices = devices
    this.anonymousFiles = new AnonymousFiles(this.anonymousDevices.take(), clock.coarse())
  }

  /** A new instance of a type, not mounted yet. Errors: ENODEV, and what the type says of its options. */
  newFilesystem(request: NewFilesystem): Superblock {
    const type = this.types.require(request.type, { internal: request.byKernel ?? true })
    const dev = this.anonymousDevices.take()
    try {
      const filesystem = type.mount({
        source: request.source ?? 'none',
        data: request.data ?? '',
        uid: request.uid ?? 0,
        gid: request.gid ?? 0,
        internal: request.internal,
        clock: this.clock,
        dev,
      })
      return this.#enter(filesystem)
    } catch (error) {
      this.anonymousDevices.give(dev)
      throw error
    }
  }

  #enter(filesystem: Filesystem): Superblock {
    const superblock = new Superblock(filesystem, () => {
      this.superblocks.delete(superblock)
      this.anonymousDevices.give(filesystem.dev)
    })
    this.superblocks.add(superblock)
    return superblock
  }

  /** A mount that is not attached anywhere: of a whole filesystem, or of a part of it (`root`). */
  newMount(superblock: Superblock, options: { root?: Dentry; source?: string; flags?: MountFlags } = {}): Mount {
    const { root = superblock.root, source = 'none', flags = {} } = options
    return new Mount(++this.#lastMountId, superblock, root, source, flags)
  }

  newNamespace(root: Mount): MountNamespace {
    return new MountNamespace(root)
  }

  /**
   * A further view of a place that is mounted already, not attached yet; `recursive` takes along what is mounted below it.
   * Errors: EINVAL for a place that is in no namespace.
   */
  bind(place: VirtualDentry, options: { recursive: boolean; flags?: MountFlags; source?: string }): Mount {
    const { mount, dentry } = place
    if (!mount.namespace) throw new ErrnoError('EINVAL', undefined, 'the source is not in a mount namespace')
    const copy = this.#copy(mount, dentry, options.flags ?? mount.flags, options.source ?? mount.source)
    if (options.recursive) this.#copyChildren(mount, dentry, copy)
    return copy
  }

  #copy(mount: Mount, root: Dentry, flags: MountFlags, source: string): Mount {
    return this.newMount(mount.superblock, { root, flags, source })
  }

  #copyChildren(from: Mount, under: Dentry, to: Mount): void {
    for (const [point, child] of from.children) {
      if (!point.isUnder(under)) continue
      const copy = this.#copy(child, child.root, child.flags, child.source)
      copy.parent = to
      copy.point = point
      to.children.set(point, copy)
      point.mounts++
      this.#copyChildren(child, child.root, copy)
    }
  }

  /** Attaches a mount; if that fails, the mount and its copies below are let go. Errors: as connectMount. */
  attach(mount: Mount, at: VirtualDentry): void {
    try {
      connectMount(mount, at)
    } catch (error) {
      this.discard(mount)
      throw error
    }
  }

  /** Lets go of a mount that was never attached, with all below it. */
  discard(mount: Mount): void {
    for (const each of [...subtree(mount)].reverse()) {
      if (each.parent && each.point) {
        each.parent.children.delete(each.point)
        each.point.mounts--
      }
      each.superblock.dropView(each)
    }
  }

  /** Syncs every live filesystem, all of them even if one fails. Errors: the first one's. */
  syncAll(attempt: Attempt): void {
    let first: unknown
    let failed = false
    for (const { filesystem } of this.superblocks) {
      try {
        filesystem.sync?.(attempt)
      } catch (error) {
        if (!failed) first = error
        failed = true
      }
    }
    if (failed) throw first
  }
}
