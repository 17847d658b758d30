/**
 * The files of a layer: what an archive holds, for reading only. Data stays where it is, in one source for all of the layer, and
 * a file knows its place in it.
 *
 * Invariant: once the layer is sealed nothing changes. An inode may have several names; `nlink` counts them.
 */

import type { FileKind } from '../../abi/syscalls.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type {
  DirectoryInode,
  ExtendedAttributes,
  FileInode,
  InodeAttributes,
  ListedEntry,
  PageSource,
  SpecialInode,
  SymlinkInode,
} from '../../vfs/inode.ts'
import { FIRST_COOKIE } from '../../vfs/inode.ts'
import { typeBits } from '../../vfs/kinds.ts'
import { UnchangingInode, unchangingXattrs } from '../../vfs/unchanging-inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { LayerFilesystem } from './layer.ts'

/** What every file has. */
export interface LayerAttributes {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined
}

abstract class LayerNode extends UnchangingInode implements InodeAttributes {
  readonly filesystem: LayerFilesystem
  readonly ino: number
  mode: number
  uid: number
  gid: number
  mtime: bigint
  nlink = 1
  #xattrs: Map<string, Uint8Array> | undefined

  constructor(filesystem: LayerFilesystem, ino: number, kind: FileKind, attributes: LayerAttributes) {
    super()
    this.filesystem = filesystem
    filesystem.files++
    this.ino = ino
    this.mode = typeBits(kind) | attributes.mode
    this.uid = attributes.uid
    this.gid = attributes.gid
    this.mtime = attributes.mtime
    this.#xattrs = attributes.xattrs && new Map(attributes.xattrs)
  }

  get size(): number {
    return 0
  }
  get blocks(): number {
    return 0
  }
  get hasXattrs(): boolean {
    return this.#xattrs !== undefined
  }
  get xattrs(): ExtendedAttributes {
    return unchangingXattrs(this.#xattrs)
  }

  /** While the layer is built. */
  setXattr(name: string, value: Uint8Array): void {
    this.#xattrs ??= new Map()
    this.#xattrs.set(name, value)
  }

  /** While the layer is built: an entry names a directory again, or after what lies in it. */
  become({ mode, uid, gid, mtime, xattrs }: LayerAttributes): void {
    this.mode = typeBits('directory') | mode
    this.uid = uid
    this.gid = gid
    this.mtime = mtime
    for (const [name, value] of xattrs ?? []) this.setXattr(name, value)
  }
}

export type LayerInode = LayerDirectory | LayerFile | LayerSymlink | LayerSpecial

export class LayerDirectory extends LayerNode implements DirectoryInode {
  readonly kind = 'directory'
  readonly #children = new Map<string, LayerInode>()
  #list: ListedEntry[] | undefined

  constructor(filesystem: LayerFilesystem, ino: number, attributes: LayerAttributes) {
    super(filesystem, ino, 'directory', attributes)
    this.nlink = 2
  }

  override get size(): number {
    return 4096
  }
  override get blocks(): number {
    return 8
  }

  lookup(name: string): LayerInode | undefined {
    return this.#children.get(name)
  }

  *entries(after: number): Iterable<ListedEntry> {
    this.#list ??= Array.from(this.#children, ([name, { ino, kind }], i) => ({
      name,
      ino,
      kind,
      cookie: i + FIRST_COOKIE,
    }))
    for (let i = Math.max(0, after + 1 - FIRST_COOKIE); i < this.#list.length; i++) yield this.#list[i]!
  }

  isEmpty(): boolean {
    return this.#children.size === 0
  }

  /** While the layer is built: a name that is free. */
  add(name: string, inode: LayerInode): void {
    this.#children.set(name, inode)
    if (inode.kind === 'directory') this.nlink++
  }
}

/** Where a file's bytes lie in the layer's source, one piece behind the other; between pieces there are zeros. */
export interface LayerPlace {
  readonly start: number
  readonly size: number
  /** Left out: one piece, from the file's first byte to its last. */
  readonly extents?: readonly { readonly offset: number; readonly length: number }[] | undefined
}

export class LayerFile extends LayerNode implements FileInode {
  readonly kind = 'file'
  readonly #place: LayerPlace

  constructor(filesystem: LayerFilesystem, ino: number, attributes: LayerAttributes, place: LayerPlace) {
    super(filesystem, ino, 'file', attributes)
    this.#place = place
  }

  override get size(): number {
    return this.#place.size
  }
  override get blocks(): number {
    const { extents, size } = this.#place
    return Math.ceil((extents ? extents.reduce((sum, { length }) => sum + length, 0) : size) / 512)
  }

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    const count = Math.min(length, this.#place.size - offset)
    if (count <= 0) return 0
    readPlace(this.filesystem.source, this.#place, memory, at, count, offset, attempt)
    return count
  }

  nextData(offset: number): number | undefined {
    const { extents, size } = this.#place
    if (!extents) return offset < size ? offset : undefined
    const next = extents.find((each) => each.offset + each.length > offset)
    return next && Math.max(offset, next.offset)
  }

  nextHole(offset: number): number | undefined {
    const { extents, size } = this.#place
    if (offset >= size) return undefined
    let hole = offset
    for (const each of extents ?? [{ offset: 0, length: size }]) {
      if (each.offset > hole) break
      hole = Math.max(hole, each.offset + each.length)
    }
    return hole
  }

  immutableSource(): PageSource {
    const { source } = this.filesystem
    const place = this.#place
    return {
      size: place.size,
      read: (memory, at, length, offset, attempt) => readPlace(source, place, memory, at, length, offset, attempt),
    }
  }
}

function readPlace(
  source: PageSource,
  { start, extents }: LayerPlace,
  memory: Uint8Array,
  at: number,
  length: number,
  offset: number,
  attempt: Attempt,
): void {
  if (!extents) {
    source.read(memory, at, length, start + offset, attempt)
    return
  }
  memory.fill(0, at, at + length)
  let position = start
  for (const extent of extents) {
    const from = Math.max(offset, extent.offset)
    const to = Math.min(offset + length, extent.offset + extent.length)
    if (from < to) source.read(memory, at + from - offset, to - from, position + from - extent.offset, attempt)
    position += extent.length
  }
}

export class LayerSymlink extends LayerNode implements SymlinkInode {
  readonly kind = 'symlink'
  readonly #target: string

  constructor(filesystem: LayerFilesystem, ino: number, attributes: LayerAttributes, target: string) {
    super(filesystem, ino, 'symlink', attributes)
    this.#target = target
  }

  override get size(): number {
    return utf8Length(this.#target)
  }

  readlink(): string {
    return this.#target
  }
}

export class LayerSpecial extends LayerNode implements SpecialInode {
  readonly kind: 'fifo' | 'char' | 'block'
  readonly #rdev: number

  constructor(
    filesystem: LayerFilesystem,
    ino: number,
    attributes: LayerAttributes,
    kind: LayerSpecial['kind'],
    rdev: number,
  ) {
    super(filesystem, ino, kind, attributes)
    this.kind = kind
    this.#rdev = rdev
  }

  override get rdev(): number {
    return this.#rdev
  }
}
