/**
 * tmpfs(5): a filesystem in memory, with limits on its bytes and inodes.
 *
 * Invariant: `usedBlocks` and `usedInodes` are the sum of what its inodes are charged with, and back at 0 and 1 (the root)
 * when all files are removed and closed.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import type { Filesystem, FilesystemUsage, Inode, NewInode } from '../../vfs/inode.ts'
import { PagePool } from '../../vfs/page-pool.ts'
import { BLOCK_SIZE, type BlockQuota } from '../../vfs/pages.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { makeTmpfsInode, type TmpfsNode } from './inodes.ts'
import type { Journal } from './journal.ts'
import { formatTmpfsOptions, parseTmpfsOptions, type TmpfsOptions } from './options.ts'

/** What statfs tells where there is no limit: so large that programs see a disk, and finite. */
const UNLIMITED_BLOCKS = 2 ** 38
const TMPFS_MAGIC = 0x01021994
/** Linux's BOGO_INODE_SIZE: the bytes of attributes that count as an inode. */
const INODE_SIZE = 1024

export interface TmpfsSetup extends TmpfsOptions {
  readonly dev: number
  /** The options as they were written, for /proc/mounts, if there is more in the setup. */
  readonly given?: TmpfsOptions
  /** Time of the root's creation, nanoseconds. */
  readonly now: bigint
  /** A root that is no directory is for binding a file over a file. */
  readonly rootKind?: 'directory' | 'file' | 'symlink'
  readonly rootTarget?: string
  /** Name shown as the type; `tmpfs` if left out. */
  readonly type?: string
  readonly nameMax?: number
  /** Nothing in it can change. */
  readonly readonly?: boolean
  /** What keeps the files beyond the life of the kernel; it is told of every change. */
  readonly journal?: Journal
}

/** What inodes take that are in a store. */
export interface StoredCounts {
  readonly inodes: number
  readonly blocks: number
  readonly attributeBytes: number
  readonly lastIno: number
}

export class Tmpfs implements Filesystem, BlockQuota {
  readonly type: string
  readonly dev: number
  readonly readonly: boolean
  readonly pool = new PagePool()
  readonly root: Inode
  readonly options: string
  readonly nameMax: number
  readonly journal: Journal | undefined
  readonly cacheBytes: number | undefined
  /** The pages of files that are kept have one each. */
  readonly keeper = undefined
  readonly #maxBlocks: number | undefined
  readonly #maxInodes: number | undefined
  #usedBlocks = 0
  #usedInodes = 0
  #attributeBytes = 0
  #whiteout: TmpfsNode | undefined
  #lastIno = 0
  #restoring = false

  constructor(setup: TmpfsSetup) {
    this.type = setup.type ?? 'tmpfs'
    this.dev = setup.dev
    this.readonly = setup.readonly ?? false
    this.nameMax = setup.nameMax ?? 255
    this.options = formatTmpfsOptions(setup.given ?? setup)
    this.#maxBlocks = setup.size ? Math.ceil(setup.size / BLOCK_SIZE) : undefined
    this.#maxInodes = setup.inodes || undefined
    this.journal = setup.journal
    this.cacheBytes = setup.cacheBytes
    const kind = setup.rootKind ?? 'directory'
    const root: NewInode = {
      kind,
      mode: setup.mode ?? (kind === 'directory' ? 0o1777 : 0o777),
      uid: setup.uid ?? 0,
      gid: setup.gid ?? 0,
      now: setup.now,
      ...(setup.rootTarget === undefined ? {} : { target: setup.rootTarget }),
    }
    this.root = makeTmpfsInode(this, root)
  }

  take(blocks: number): boolean {
    if (this.#maxBlocks !== undefined && this.#usedBlocks + blocks > this.#maxBlocks && !this.#restoring) return false
    this.#usedBlocks += blocks
    return true
  }

  give(blocks: number): void {
    this.#usedBlocks -= blocks
  }

  /** A number for a new inode, charged. Errors: ENOSPC. */
  takeInode(): number {
    if (this.#inodesFree < 1 && !this.#restoring) throw new ErrnoError('ENOSPC')
    this.#usedInodes++
    return ++this.#lastIno
  }

  get lastIno(): number {
    return this.#lastIno
  }

  /**
   * Makes the files that were here before, whatever the limits say now. `make` is given what makes an inode of a number; the
   * next new inode has a number above `lastIno`.
   */
  restore(lastIno: number, make: (inode: (ino: number, what: NewInode) => TmpfsNode) => void): void {
    this.#restoring = true
    try {
      make((ino, what) => {
        this.#lastIno = ino - 1
        return makeTmpfsInode(this, what)
      })
    } finally {
      this.#restoring = false
      this.#lastIno = lastIno
    }
  }

  /** Counts what is in a store, whatever the limits say. The next new inode has a number above `lastIno`. */
  count({ inodes, blocks, attributeBytes, lastIno }: StoredCounts): void {
    this.#usedInodes += inodes
    this.#usedBlocks += blocks
    this.#attributeBytes += attributeBytes
    this.#lastIno = lastIno
  }

  /** As `restore`, for what counts already. */
  restoreCounted(make: Parameters<Tmpfs['restore']>[1]): void {
    const counts = [this.#usedInodes, this.#usedBlocks, this.#attributeBytes] as const
    try {
      this.restore(this.#lastIno, make)
    } finally {
      ;[this.#usedInodes, this.#usedBlocks, this.#attributeBytes] = counts
    }
  }

  giveInode(): void {
    this.#usedInodes--
  }

  /** Charges extended attributes to the inodes, or gives back what is below 0; false if there is no room. */
  takeAttributeBytes(bytes: number): boolean {
    if (bytes > this.#inodesFree * INODE_SIZE && !this.#restoring) return false
    this.#attributeBytes += bytes
    return true
  }

  get #inodesFree(): number {
    if (this.#maxInodes === undefined) return Number.POSITIVE_INFINITY
    return this.#maxInodes - this.#usedInodes - this.#attributeBytes / INODE_SIZE
  }

  /** The one inode of all whiteouts, with one more name. Errors: ENOSPC. */
  sharedWhiteout(what: NewInode): TmpfsNode {
    const shared = this.#whiteout
    if (shared !== undefined && shared.nlink > 0) {
      shared.linked()
      return shared
    }
    this.#whiteout = makeTmpfsInode(this, what)
    return this.#whiteout
  }

  sync(attempt: Attempt): void {
    this.journal?.sync(attempt)
  }

  release(): void {
    this.journal?.release()
  }

  usage(): FilesystemUsage {
    const blocks = this.#maxBlocks ?? UNLIMITED_BLOCKS
    const files = this.#maxInodes ?? 0
    return {
      type: TMPFS_MAGIC,
      blockSize: BLOCK_SIZE,
      blocks,
      blocksFree: blocks - this.#usedBlocks,
      files,
      filesFree: files && Math.floor(this.#inodesFree),
    }
  }
}

/** What the kernel may ask of a tmpfs that its options can't say. */
export interface TmpfsInternal
  extends Pick<TmpfsSetup, 'rootKind' | 'rootTarget' | 'type' | 'nameMax' | 'journal' | 'readonly'> {
  /** Limits that are not given are those of the machine's memory, unless this is false. */
  readonly defaultLimits?: boolean
  /** Fills the root before the filesystem is mounted; what it throws fails the mount, and nothing is left of it. */
  readonly contents?: ((root: Inode) => void) | undefined
}

/**
 * The type, on a machine with so many bytes of memory: what percentages are of, and twice what may be used by default. Where
 * that is unknown there are no percentages and no limits by default.
 */
export function tmpfsTypeOf(memory?: number): FilesystemType {
  return {
    name: 'tmpfs',
    userMountable: true,
    userListable: true,
    /** Errors: EINVAL for options; a plain Error for a root of another kind: that is a bug of the caller. */
    mount({ data, uid, gid, internal, dev, clock }: MountRequest): Filesystem {
      const { defaultLimits = true, contents, ...asked } = (internal ?? {}) as TmpfsInternal
      const given = parseTmpfsOptions(data, memory, asked.journal !== undefined)
      if (!ROOT_KINDS.includes(asked.rootKind ?? 'directory'))
        throw new Error(`a tmpfs has no ${asked.rootKind} as root`)
      const half = memory !== undefined && defaultLimits ? Math.floor(memory / 2 / BLOCK_SIZE) : undefined
      const made = new Tmpfs({
        uid,
        gid,
        ...(half !== undefined && { size: half * BLOCK_SIZE, inodes: half }),
        ...given,
        ...asked,
        given,
        dev,
        now: clock.coarse(),
      })
      made.journal?.attach(made)
      contents?.(made.root)
      return made
    },
  }
}

const ROOT_KINDS: readonly string[] = ['directory', 'file', 'symlink']

export const tmpfsType = tmpfsTypeOf()
