/**
 * What all inodes of a FUSE filesystem share: a number that the server gave, attributes with a time until which they hold, and
 * counts that say when the server may forget it.
 *
 * Invariant: a node is in the filesystem's table from its first reply on until no name and no description leads to it any more;
 * then the server is told how often it had named it.
 */

import {
  FATTR_ATIME,
  FATTR_GID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_SIZE,
  FATTR_UID,
  Op,
  setattrIn,
} from '../../abi/fuse.ts'
import type { AttributeChanges, InodeAttributes } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { type Attributes, splitTime } from './attributes.ts'
import type { FuseFilesystem } from './filesystem.ts'

export abstract class FuseNode implements InodeAttributes {
  readonly filesystem: FuseFilesystem
  readonly nodeid: bigint
  readonly generation: bigint
  /** How often the server named it. */
  lookups = 0n
  /** Names in directories that lead to it, as far as the kernel knows. */
  names = 0
  opens = 0
  /** Until when (monotonic) the attributes hold. */
  until = 0n
  #attributes: Attributes

  constructor(filesystem: FuseFilesystem, nodeid: bigint, generation: bigint, attributes: Attributes) {
    this.filesystem = filesystem
    this.nodeid = nodeid
    this.generation = generation
    this.#attributes = attributes
  }

  get attributes(): Attributes {
    return this.#attributes
  }

  /** The server said so. */
  learn(attributes: Attributes, until: bigint): void {
    this.#attributes = attributes
    this.until = until
  }

  /** They may have changed: whoever wants to know asks. */
  expire(): void {
    this.until = 0n
  }

  get ino(): number {
    return this.#attributes.ino
  }
  get mode(): number {
    return this.#attributes.mode
  }
  get uid(): number {
    return this.#attributes.uid
  }
  get gid(): number {
    return this.#attributes.gid
  }
  get nlink(): number {
    return this.#attributes.nlink
  }
  get size(): number {
    return this.#attributes.size
  }
  get blocks(): number {
    return this.#attributes.blocks
  }
  get rdev(): number {
    return this.#attributes.rdev
  }
  get atime(): bigint {
    return this.#attributes.atime
  }
  get mtime(): bigint {
    return this.#attributes.mtime
  }
  get ctime(): bigint {
    return this.#attributes.ctime
  }
  /** Nobody says it: as Linux has it then. */
  get btime(): bigint {
    return 0n
  }

  refresh(attempt: Attempt): void {
    this.filesystem.refresh(this, attempt)
  }

  /** FUSE_ACCESS, where the server decides. */
  access(mask: number, attempt: Attempt): void {
    this.filesystem.access(this, mask, attempt)
  }

  setAttributes(changes: AttributeChanges, attempt: Attempt): void {
    const { mode, uid, gid, atime, mtime } = changes
    const accessed = splitTime(atime ?? 0n)
    const modified = splitTime(mtime ?? 0n)
    const valid =
      (mode === undefined ? 0 : FATTR_MODE) |
      (uid === undefined ? 0 : FATTR_UID) |
      (gid === undefined ? 0 : FATTR_GID) |
      (atime === undefined ? 0 : FATTR_ATIME) |
      (mtime === undefined ? 0 : FATTR_MTIME)
    if (valid === 0) return
    this.setattr(attempt, {
      valid,
      ...(mode !== undefined && { mode: (this.mode & ~0o7777) | mode }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
      atime: accessed.seconds,
      atimensec: accessed.nanoseconds,
      mtime: modified.seconds,
      mtimensec: modified.nanoseconds,
    })
  }

  protected setSize(size: number, attempt: Attempt): void {
    this.setattr(attempt, { valid: FATTR_SIZE, size: BigInt(size) })
  }

  private setattr(attempt: Attempt, values: Parameters<typeof setattrIn.bytes>[0]): void {
    const { filesystem, nodeid } = this
    filesystem.change(attempt, {
      op: Op.SETATTR,
      nodeid,
      body: setattrIn.bytes(values),
      ...filesystem.attributesReply(this),
      unwanted: () => this.expire(),
    })
  }

  /** The server keeps the times. */
  touch(): void {}

  opened(): void {
    this.opens++
  }

  closed(): void {
    this.opens--
    this.filesystem.forgetIfUnused(this)
  }
}
