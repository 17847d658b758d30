/**
 * Inodes of an overlay that are no directories. Each stands for one inode of a layer, `real`, and passes everything on;
 * the first change copies a lower inode up and goes to the copy.
 *
 * Invariants: a node is made once and found again, so that what hangs on it (descriptions, locks, watches) follows a
 * copy-up. `upper` is undefined or `real`. A node without an upper has exactly one name, `name` of `parent`; `parent` and
 * `name` are not kept up to date once it has one.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type {
  AttributeChanges,
  Endpoint,
  ExtendedAttributes,
  FileInode,
  Inode,
  InodeAttributes,
  PageSource,
  SpecialInode,
  SymlinkInode,
} from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { copyUp } from './copy-up.ts'
import type { OverlayDirectory } from './directory.ts'
import type { OverlayFilesystem } from './overlay.ts'

/** What a node is made with. */
export interface NodePlace<R extends Inode> {
  readonly filesystem: OverlayFilesystem
  readonly parent: OverlayDirectory | undefined
  readonly name: string
  readonly ino: number
  readonly upper: R | undefined
  /** The topmost inode of all layers. */
  readonly real: R
}

export type OverlayInode = OverlayDirectory | OverlayFile | OverlaySymlink | OverlaySpecial

export abstract class OverlayNode<R extends Inode = Inode> implements InodeAttributes {
  readonly filesystem: OverlayFilesystem
  parent: OverlayDirectory | undefined
  name: string
  ino: number
  real: R
  upper: R | undefined
  /** The only name of a directory, or of a node without an upper, was removed. */
  dead = false
  /** Descriptions, which `real` was told of. */
  opens = 0

  constructor(place: NodePlace<R>) {
    this.filesystem = place.filesystem
    this.parent = place.parent
    this.name = place.name
    this.ino = place.ino
    this.real = place.real
    this.upper = place.upper
  }

  get mode(): number {
    return this.real.mode
  }
  get uid(): number {
    return this.real.uid
  }
  get gid(): number {
    return this.real.gid
  }
  /** A lower file counts the names of its layer, as on Linux. */
  get nlink(): number {
    return this.dead ? 0 : this.real.nlink
  }
  get size(): number {
    return this.real.size
  }
  get blocks(): number {
    return this.real.blocks
  }
  get rdev(): number {
    return this.real.rdev
  }
  get atime(): bigint {
    return this.real.atime
  }
  get mtime(): bigint {
    return this.real.mtime
  }
  get ctime(): bigint {
    return this.real.ctime
  }
  get btime(): bigint {
    return this.real.btime
  }

  /** Copied up by an empty change as well. */
  setAttributes(changes: AttributeChanges, attempt: Attempt): void {
    this.inUpper(attempt).setAttributes(changes, attempt)
  }

  /** A lower layer's times stay as they are. */
  touch(which: number, now: bigint): void {
    const { upper } = this
    if (upper !== undefined && !this.filesystem.readonly) upper.touch(which, now)
  }

  opened(): void {
    this.opens++
    this.real.opened?.()
  }

  closed(): void {
    this.opens--
    this.real.closed?.()
  }

  get hasXattrs(): boolean {
    return this.real.hasXattrs ?? this.real.xattrs !== undefined
  }

  get xattrs(): ExtendedAttributes {
    return new NodeAttributes(this)
  }

  /** A name was removed. One of an upper file may have been one of several, which the upper counts. */
  lostName(): void {
    if (this.upper === undefined) this.dead = true
  }

  /** The inode in the upper layer; a lower one is copied there first. Errors: ENOSPC, and then nothing has changed. */
  inUpper(attempt: Attempt): R {
    if (this.upper === undefined) copyUp(this, attempt)
    return this.upper!
  }
}

export class OverlayFile extends OverlayNode<FileInode> implements FileInode {
  readonly kind = 'file'

  /** As if all were copied: programs take a file of few blocks for one with holes. */
  override get blocks(): number {
    return this.real.blocks + (this.real.borrowed ?? 0)
  }

  /** Copied up, as on Linux; what is referred to is not moved by that. */
  openForWriting(attempt: Attempt): void {
    if (this.upper === undefined) copyUp(this, attempt)
  }

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    return this.real.read(memory, at, length, offset, attempt)
  }

  write(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    const file = this.upper ?? this.inUpper(attempt)
    if (file.write === undefined) throw new ErrnoError('EROFS')
    return file.write(memory, at, length, offset, attempt)
  }

  truncate(size: number, attempt: Attempt): void {
    if (this.upper === undefined) copyUp(this, attempt, size)
    else if (this.upper.truncate === undefined) throw new ErrnoError('EROFS')
    else this.upper.truncate(size, attempt)
  }

  allocate(mode: number, offset: number, length: number, attempt: Attempt): void {
    const file = this.inUpper(attempt)
    if (file.allocate === undefined) throw new ErrnoError('EOPNOTSUPP')
    file.allocate(mode, offset, length, attempt)
  }

  nextData(offset: number, attempt: Attempt): number | undefined {
    const { real } = this
    if (real.nextData) return real.nextData(offset, attempt)
    return offset < real.size ? offset : undefined
  }

  nextHole(offset: number, attempt: Attempt): number | undefined {
    const { real } = this
    if (real.nextHole) return real.nextHole(offset, attempt)
    return offset < real.size ? real.size : undefined
  }

  immutableSource(attempt: Attempt): PageSource | undefined {
    return this.real.immutableSource?.(attempt)
  }
}

export class OverlaySymlink extends OverlayNode<SymlinkInode> implements SymlinkInode {
  readonly kind = 'symlink'

  readlink(attempt: Attempt): string {
    return this.real.readlink(attempt)
  }
}

export class OverlaySpecial extends OverlayNode<SpecialInode> implements SpecialInode {
  readonly kind: SpecialInode['kind']

  constructor(place: NodePlace<SpecialInode>) {
    super(place)
    this.kind = place.real.kind
  }

  get endpoint(): Endpoint | undefined {
    return this.real.endpoint
  }
}

/**
 * The attributes of the topmost layer without the overlay's own. A change copies up first; since it has no attempt to wait
 * with, a caller whose layers may be cold asks for `setAttributes({}, attempt)` before.
 */
class NodeAttributes implements ExtendedAttributes {
  readonly #node: OverlayNode
  constructor(node: OverlayNode) {
    this.#node = node
  }

  get(name: string): Uint8Array | undefined {
    this.#check(name)
    return this.#node.real.xattrs?.get(name)
  }

  /** Errors: EOPNOTSUPP for the overlay's own, or if the upper has none; EROFS; ENOSPC. */
  set(name: string, value: Uint8Array): void {
    this.#change(name).set(name, value)
  }

  delete(name: string): boolean {
    return this.#change(name).delete(name)
  }

  *keys(): Generator<string, void> {
    const { filesystem, real } = this.#node
    if (real.xattrs) for (const name of real.xattrs.keys()) if (!filesystem.marks.isPrivate(name)) yield name
  }

  #check(name: string): void {
    if (this.#node.filesystem.marks.isPrivate(name)) throw new ErrnoError('EOPNOTSUPP')
  }

  #change(name: string): ExtendedAttributes {
    this.#check(name)
    if (this.#node.filesystem.readonly) throw new ErrnoError('EROFS')
    if (this.#node.upper === undefined) {
      const attempt = new Attempt()
      try {
        this.#node.inUpper(attempt)
      } finally {
        attempt.end()
      }
    }
    const { xattrs } = this.#node.real
    if (!xattrs) throw new ErrnoError('EOPNOTSUPP')
    return xattrs
  }
}
