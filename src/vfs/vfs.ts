/**
 * The virtual filesystem as a whole: its types, its live filesystems, and the making of mounts.
 *
 * Invariant: `superblocks` are the filesystems that have a mount or an open file, and the enduring ones; mount ids only grow; device numbers of
 * filesystems that are gone are given out again.
 */

import type { Clock } from '../abi/platform.ts'
import { AnonymousFiles } from './anonymous.ts'
import type { DeviceTable } from './context.ts'
import type { Dentry } from './dentry.ts'
import { FilesystemTypes, type Held, type MountRequest } from './filesystem.ts'
import { FreeNumbers } from './free-numbers.ts'
import type { Filesystem } from './inode.ts'
import { RangeWaiters } from './locks.ts'
import {
  type Mount,
  type MountFlags,
  MountNamespace,
  type NamespaceOptions,
  Superblock,
  type VirtualDentry,
} from './mount.ts'
import { attachTree, MountNumbers, releaseTree, requireBindable } from './mount-tree.ts'
import type { Attempt } from './waiting.ts'
import { Watching } from './watches.ts'

export interface NewFilesystem extends Partial<Omit<MountRequest, 'clock' | 'dev'>> {
  readonly type: string
  /** The kernel itself asks, not a guest: hidden types are allowed. */
  readonly byKernel?: boolean
}

/** Linux's fs_struct, and the namespace that belongs to it. */
export interface TaskPlaces {
  readonly root: VirtualDentry
  readonly cwd: VirtualDentry
  readonly namespace: MountNamespace | undefined
  setRoot(place: VirtualDentry): void
  setCwd(place: VirtualDentry): void
}

export class Vfs {
  readonly clock: Clock
  readonly devices: DeviceTable
  readonly types = new FilesystemTypes()
  readonly superblocks = new Set<Superblock>()
  readonly #bySystem = new Map<Filesystem, Superblock>()
  /** Minor numbers for filesystems without a device (major 0): the lowest free one. EMFILE when all are in use. */
  readonly anonymousDevices = new FreeNumbers(2 ** 20 - 1, 'EMFILE')
  /** Tasks: what has a root and a working directory, and must learn when they are moved. */
  readonly tasks = new Set<TaskPlaces>()
  /** The kernel's own; it has the first device number. */
  readonly anonymousFiles: AnonymousFiles
  /** What all watches share, and who waits for a lock. */
  readonly watching = new Watching()
  readonly rangeWaiters = new RangeWaiters()
  readonly numbers = new MountNumbers()

  constructor(clock: Clock, devices: DeviceTable) {
    this.clock = clock
    this.devices = devices
    this.anonymousFiles = new AnonymousFiles(this.anonymousDevices.take(), clock.coarse())
  }

  /** An instance of a type, not mounted yet: a new one, or the one that the type has for all. Errors: ENODEV, and what the type says of its options. */
  newFilesystem(request: NewFilesystem): Superblock {
    const { type: name, byKernel = true, ...asked } = request
    const type = this.types.require(name, { internal: byKernel })
    const dev = this.anonymousDevices.take()
    try {
      const filesystem = type.mount({
        ...{ source: 'none', data: '', uid: 0, gid: 0 },
        ...asked,
        ...{ clock: this.clock, dev },
      })
      const there = this.#bySystem.get(filesystem)
      if (there) this.anonymousDevices.give(dev)
      return there ?? this.#enter(filesystem)
    } catch (error) {
      this.anonymousDevices.give(dev)
      throw error
    }
  }

  #enter(filesystem: Filesystem): Superblock {
    const superblock = new Superblock(filesystem, () => {
      this.superblocks.delete(superblock)
      this.#bySystem.delete(filesystem)
      this.anonymousDevices.give(filesystem.dev)
    })
    this.superblocks.add(superblock)
    this.#bySystem.set(filesystem, superblock)
    return superblock
  }

  /** A mount that is not attached anywhere: of a whole filesystem, or of a part of it (`root`). */
  newMount(superblock: Superblock, options: { root?: Dentry; source?: string; flags?: MountFlags } = {}): Mount {
    const { root = superblock.root, source = 'none', flags = {} } = options
    return this.numbers.newMount(superblock, root, source, flags)
  }

  /** Keeps a place alive that is not, or not only, mounted where it was found. */
  hold({ mount, dentry }: VirtualDentry): Held {
    const held = this.newMount(mount.superblock, { root: dentry })
    return { inode: dentry.inode, release: () => this.discard(held) }
  }

  /** A namespace with one mount. The root mount has no parent. `refs` is 1: the caller's. */
  newNamespace(root: Mount, options?: NamespaceOptions): MountNamespace {
    return new MountNamespace(root, options)
  }

  /**
   * A further view of a place that is mounted already, not attached yet: a peer or slave where what it shows is one;
   * `recursive` takes along what is mounted below it, but for what is unbindable.
   * Errors: EINVAL for a place that is in no namespace, that is unbindable, or that without `recursive` would show what a locked
   * mount covers; EPERM for a mount that is both unbindable and locked.
   */
  bind(place: VirtualDentry, options: { recursive: boolean; flags?: MountFlags; source?: string }): Mount {
    const { mount, dentry } = place
    const { recursive, flags, source } = options
    requireBindable(place, recursive)
    return this.numbers.copy(mount, dentry, { recursive, kinship: 'same', flags, source })
  }

  /** Attaches a mount; if that fails, the mount and its copies below are let go. Errors: as attachTree. */
  attach(mount: Mount, at: VirtualDentry): void {
    try {
      attachTree(this.numbers, mount, at)
    } catch (error) {
      this.discard(mount)
      throw error
    }
  }

  /** Lets go of a mount that was never attached, with all below it. */
  discard(mount: Mount): void {
    releaseTree(mount)
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
