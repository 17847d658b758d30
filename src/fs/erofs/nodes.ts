/**
 * The files of an image. An inode is read, with its attributes, when it is first looked up; what it holds stays in the image.
 *
 * Invariant: a directory has one name in one directory, however the image links them, so that what is reached from the root is a tree.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { PATH_MAX } from '../../abi/linux.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import type {
  DirectoryInode,
  ExtendedAttributes,
  FileInode,
  Filesystem,
  Inode,
  InodeAttributes,
  ListedEntry,
  PageSource,
  SpecialInode,
  SymlinkInode,
} from '../../vfs/inode.ts'
import { FIRST_COOKIE } from '../../vfs/inode.ts'
import { kindOf, unpackDevice } from '../../vfs/kinds.ts'
import { UnchangingInode, unchangingXattrs } from '../../vfs/unchanging-inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { attributeBytes, readAttributes } from './attributes.ts'
import { type Data, dataOf } from './data.ts'
import { compare, DirectoryBlock, type Entry } from './directory-block.ts'
import { damaged, type Image, u64, unsupported } from './image.ts'

/** What the inodes of an image share. */
export interface ErofsInodes extends Filesystem {
  readonly image: Image
  /** The inode of a number: the same each time. Errors: EUCLEAN, EOPNOTSUPP, EIO. */
  inode(nid: number, attempt: Attempt): ErofsInode
}

/** An inode as the image has it. */
interface Fields extends Pick<InodeAttributes, 'ino' | 'mode' | 'uid' | 'gid' | 'nlink' | 'size' | 'mtime'> {
  readonly where: string
  readonly data: Data
  /** The field `i_u`. */
  readonly address: number
  readonly xattrs: ReadonlyMap<string, Uint8Array>
}

const SLOT = 32
const NONE: ReadonlyMap<string, Uint8Array> = new Map()

function readFields(image: Image, nid: number, attempt: Attempt): Fields {
  const where = `inode ${nid}`
  const position = image.inodesAt + nid * SLOT
  const format = image.view(position, SLOT, where, attempt).getUint16(0, true)
  if (format > 0xf) throw unsupported(where, `its format ${format} is not supported`)
  const extended = (format & 1) === 1
  const length = extended ? 2 * SLOT : SLOT
  const view = image.view(position, length, where, attempt)
  const u16 = (at: number) => view.getUint16(at, true)
  const u32 = (at: number) => view.getUint32(at, true)
  const attributes = attributeBytes(u16(2))
  const size = extended ? u64(view, 8, where) : u32(8)
  const address = u32(16)
  const end = position + length + attributes
  const kind = kindOf(u16(4))
  // What has no data may say anything of where it is.
  const layout = kind === 'file' || kind === 'directory' || kind === 'symlink' ? format >> 1 : 0
  const data = dataOf(image, { where, layout, size, address, end })
  const xattrs = attributes > 0 ? readAttributes(image, position + length, attributes, where, attempt) : NONE
  const common = { where, ino: nid, mode: u16(4), size, data, address, xattrs }
  if (!extended) return { ...common, nlink: u16(6), uid: u16(24), gid: u16(26), mtime: image.built }
  const mtime = view.getBigInt64(32, true) * 1_000_000_000n + BigInt(u32(40))
  return { ...common, nlink: u32(44), uid: u32(24), gid: u32(28), mtime }
}

export type ErofsInode = ErofsDirectory | ErofsFile | ErofsSymlink | ErofsSpecial

/** Errors: EUCLEAN, EOPNOTSUPP, EIO. */
export function readInode(filesystem: ErofsInodes, nid: number, attempt: Attempt): ErofsInode {
  const record = readFields(filesystem.image, nid, attempt)
  const kind = kindOf(record.mode)
  switch (kind) {
    case 'file':
      return new ErofsFile(filesystem, record)
    case 'directory':
      return new ErofsDirectory(filesystem, record)
    case 'symlink':
      return new ErofsSymlink(filesystem, record)
    case undefined:
      throw damaged(record.where, `its mode ${record.mode.toString(8)} is that of no kind of file`)
    default:
      return new ErofsSpecial(filesystem, record, kind)
  }
}

abstract class ErofsNode extends UnchangingInode implements InodeAttributes {
  readonly filesystem: ErofsInodes
  readonly record: Fields

  constructor(filesystem: ErofsInodes, record: Fields) {
    super()
    this.filesystem = filesystem
    this.record = record
  }

  get ino(): number {
    return this.record.ino
  }
  get mode(): number {
    return this.record.mode
  }
  get uid(): number {
    return this.record.uid
  }
  get gid(): number {
    return this.record.gid
  }
  get nlink(): number {
    return this.record.nlink
  }
  get size(): number {
    return this.record.size
  }
  get mtime(): bigint {
    return this.record.mtime
  }
  /** As Linux counts them: whole blocks, also those that are holes. */
  get blocks(): number {
    const { blockSize } = this.filesystem.image
    return (Math.ceil(this.size / blockSize) * blockSize) / 512
  }
  get hasXattrs(): boolean {
    return this.record.xattrs.size > 0
  }
  get xattrs(): ExtendedAttributes {
    return unchangingXattrs(this.record.xattrs)
  }
}

/** What entries of directories call kinds, by number. */
const kinds: readonly (FileKind | undefined)[] = [
  undefined,
  'file',
  'directory',
  'char',
  'block',
  'fifo',
  'socket',
  'symlink',
]

const DOT = 0x2e

const isDots = (name: Uint8Array) => name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))

export class ErofsDirectory extends ErofsNode implements DirectoryInode {
  readonly kind = 'directory'
  /** The directory and the name in which it was found; of the root itself. */
  #place: { readonly parent: ErofsDirectory; readonly name: string } | undefined

  lookup(name: string, attempt: Attempt): Inode | undefined {
    const entry = this.#find(encodeUtf8(name), attempt)
    if (!entry) return undefined
    const inode = this.filesystem.inode(entry.nid, attempt)
    if ((kinds[entry.type] ?? inode.kind) !== inode.kind) {
      throw damaged(this.record.where, `"${name}" is said to be a ${kinds[entry.type]}, and is a ${inode.kind}`)
    }
    if (inode.kind === 'directory') inode.claim(this, name)
    return inode
  }

  /** Says where it is. Errors: EUCLEAN for a second place. */
  claim(parent: ErofsDirectory, name: string): void {
    this.#place ??= { parent, name }
    const { parent: known, name: first } = this.#place
    if (known === parent && first === name) return
    const places = `"${first}" of ${known.record.where} and "${name}" of ${parent.record.where}`
    throw damaged(this.record.where, `the directory is in two places, ${places}`)
  }

  /** Binary search: for the last block that does not begin behind the name, and in it. */
  #find(name: Uint8Array, attempt: Attempt): Entry | undefined {
    let from = 0
    let to = this.#blockCount
    let found: DirectoryBlock | undefined
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      const block = this.#block(middle, attempt)
      if (compare(block.name(0), name) <= 0) {
        found = block
        from = middle + 1
      } else to = middle
    }
    const index = found?.last(name)
    if (index === undefined || compare(found!.name(index), name) !== 0) return undefined
    return found!.entry(index)
  }

  /** A name that is not UTF-8 is left out: no program of this world could ask for it. */
  *entries(after: number, attempt: Attempt): Iterable<ListedEntry> {
    const { blockSize } = this.filesystem.image
    const start = Math.max(0, after + 1 - FIRST_COOKIE)
    let before: Uint8Array | undefined
    for (let b = Math.floor(start / blockSize); b < this.#blockCount; b++) {
      const block = this.#block(b, attempt)
      const first = DirectoryBlock.indexFrom(Math.max(0, start - b * blockSize))
      for (let i = first; i < block.count; i++) {
        const { name, nid, type } = block.entry(i)
        if (before && compare(before, name) >= 0) {
          throw damaged(this.record.where, `names are not in order at entry ${i} of block ${b}`)
        }
        before = name
        const text = isDots(name) ? undefined : decodeUtf8(name)
        if (text === undefined) continue
        const kind = kinds[type] ?? this.filesystem.inode(nid, attempt).kind
        yield { name: text, ino: nid, kind, cookie: b * blockSize + DirectoryBlock.positionOf(i) + FIRST_COOKIE }
      }
    }
  }

  isEmpty(attempt: Attempt): boolean {
    for (const _ of this.entries(0, attempt)) return false
    return true
  }

  get #blockCount(): number {
    return Math.ceil(this.size / this.filesystem.image.blockSize)
  }

  #block(index: number, attempt: Attempt): DirectoryBlock {
    const { blockSize } = this.filesystem.image
    const start = index * blockSize
    const bytes = new Uint8Array(Math.min(blockSize, this.size - start))
    this.record.data.read(bytes, 0, bytes.length, start, attempt)
    return new DirectoryBlock(new DataView(bytes.buffer), `block ${index} of directory ${this.record.where}`)
  }
}

export class ErofsFile extends ErofsNode implements FileInode {
  readonly kind = 'file'

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    const count = Math.min(length, this.size - offset)
    if (count <= 0) return 0
    this.record.data.read(memory, at, count, offset, attempt)
    return count
  }

  immutableSource(): PageSource {
    const { size, data } = this.record
    return { size, read: (memory, at, length, offset, attempt) => data.read(memory, at, length, offset, attempt) }
  }
}

export class ErofsSymlink extends ErofsNode implements SymlinkInode {
  readonly kind = 'symlink'
  #target: string | undefined

  /** Errors: EUCLEAN for what is no target; EILSEQ for one that is not UTF-8; EIO. */
  readlink(attempt: Attempt): string {
    this.#target ??= this.#read(attempt)
    return this.#target
  }

  #read(attempt: Attempt): string {
    const { size, record } = this
    if (size === 0 || size >= PATH_MAX) throw damaged(record.where, `a link has a target of ${size} bytes`)
    const bytes = new Uint8Array(size)
    record.data.read(bytes, 0, size, 0, attempt)
    if (bytes.includes(0)) throw damaged(record.where, 'the target of a link has a NUL in it')
    const target = decodeUtf8(bytes)
    if (target !== undefined) return target
    throw new ErrnoError('EILSEQ', undefined, `erofs: ${record.where}: the target of a link is not UTF-8`)
  }
}

export class ErofsSpecial extends ErofsNode implements SpecialInode {
  readonly kind: SpecialInode['kind']

  constructor(filesystem: ErofsInodes, record: Fields, kind: SpecialInode['kind']) {
    super(filesystem, record)
    this.kind = kind
  }

  override get size(): number {
    return 0
  }

  override get rdev(): number {
    if (this.kind === 'fifo' || this.kind === 'socket') return 0
    return unpackDevice(this.record.address)
  }
}
