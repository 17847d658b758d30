/**
 * The inodes of a tmpfs: all in memory, all attributes plain fields.
 *
 * Invariants: an inode's space is charged while it has a name or an open description (`nlink + opens > 0`) and given back
 * once, when both are gone. A directory's entries carry cookies that only grow and stay with the entry.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, S_IFMT } from '../../abi/linux.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type {
  AttributeChanges,
  DirectoryInode,
  Endpoint,
  ExtendedAttributes,
  FileInode,
  Inode,
  ListedEntry,
  NewInode,
  PageSource,
  SpecialInode,
  SymlinkInode,
} from '../../vfs/inode.ts'
import { ATIME, CTIME, MTIME } from '../../vfs/inode.ts'
import { typeBits } from '../../vfs/kinds.ts'
import { NameMap } from '../../vfs/name-map.ts'
import { BLOCK_SIZE, PagedData } from '../../vfs/pages.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { TmpfsAttributes } from './attributes.ts'
import type { Tmpfs } from './tmpfs.ts'

abstract class TmpfsInode {
  abstract readonly kind: FileKind
  readonly filesystem: Tmpfs
  readonly ino: number
  mode: number
  uid: number
  gid: number
  nlink = 1
  opens = 0
  atime: bigint
  mtime: bigint
  ctime: bigint
  /** Does not change, but for an inode that is made again as it was. */
  btime: bigint
  #xattrs: TmpfsAttributes | undefined

  constructor(filesystem: Tmpfs, what: NewInode) {
    this.filesystem = filesystem
    this.ino = filesystem.takeInode()
    this.mode = typeBits(what.kind) | what.mode
    this.uid = what.uid
    this.gid = what.gid
    this.atime = what.now
    this.mtime = what.now
    this.ctime = what.now
    this.btime = what.now
  }

  get size(): number {
    return 0
  }

  get blocks(): number {
    return 0
  }

  get rdev(): number {
    return 0
  }

  get xattrs(): ExtendedAttributes {
    return this.#xattrs ?? new FirstAttribute(this)
  }

  get hasXattrs(): boolean {
    return this.#xattrs !== undefined
  }

  /** Keeps its own from the first attribute on. */
  keepXattrs(): TmpfsAttributes {
    this.#xattrs ??= new TmpfsAttributes(this.filesystem, () => this.changed())
    return this.#xattrs
  }

  /** Tells who keeps the files that it is not what it was. */
  changed(): void {
    this.filesystem.journal?.changed(this as unknown as TmpfsNode)
  }

  setAttributes(changes: AttributeChanges): void {
    this.changed()
    if (changes.mode !== undefined) this.mode = (this.mode & S_IFMT) | changes.mode
    if (changes.uid !== undefined) this.uid = changes.uid
    if (changes.gid !== undefined) this.gid = changes.gid
    if (changes.atime !== undefined) this.atime = changes.atime
    if (changes.mtime !== undefined) this.mtime = changes.mtime
    if (changes.ctime !== undefined) this.ctime = changes.ctime
  }

  touch(which: number, now: bigint): void {
    this.changed()
    if (which & ATIME) this.atime = now
    if (which & MTIME) this.mtime = now
    if (which & CTIME) this.ctime = now
  }

  opened(): void {
    this.opens++
  }

  closed(): void {
    this.opens--
    this.dropIfUnused()
  }

  /** One name more, or for a directory another one in it. */
  linked(count = 1): void {
    this.nlink += count
    this.changed()
  }

  /** A name went, or with `count` 2 a directory with its `.`. */
  unlinked(count = 1): void {
    this.linked(-count)
    this.dropIfUnused()
  }

  protected dropIfUnused(): void {
    if (this.nlink > 0 || this.opens > 0) return
    this.freeSpace()
    this.#xattrs?.release()
    this.filesystem.giveInode()
  }

  protected freeSpace(): void {}
}

/** The extended attributes of an inode that has none: most never get one. */
class FirstAttribute implements ExtendedAttributes {
  readonly #inode: TmpfsInode
  constructor(inode: TmpfsInode) {
    this.#inode = inode
  }
  get(): undefined {}
  set(name: string, value: Uint8Array): unknown {
    return this.#inode.keepXattrs().set(name, value)
  }
  delete(): boolean {
    return false
  }
  keys(): Iterable<string> {
    return []
  }
}

export interface Entry extends ListedEntry {
  /** Undefined while it is only in the store. */
  inode: TmpfsNode | undefined
  /** The name is; the entry stays in the order, with its cookie, until the next clean-up. */
  removed: boolean
}

export class TmpfsDirectory extends TmpfsInode implements DirectoryInode {
  readonly kind = 'directory'
  readonly #entries = new NameMap<Entry>()
  /** The entries by cookie, removed ones among them until they are the larger half. */
  #order: Entry[] = []
  #nextCookie = 3
  /** Why more names may be in it than are known, if that is so. */
  #lost: string | undefined

  constructor(filesystem: Tmpfs, what: NewInode) {
    super(filesystem, what)
    this.nlink = 2
  }

  /** As Linux's tmpfs counts: 20 for each entry, `.` and `..` included. */
  override get size(): number {
    return 20 * (this.#entries.size + 2)
  }

  /** Errors: EIO for what is damaged in the store. */
  lookup(name: string): Inode | undefined {
    const entry = this.#entries.get(name)
    if (entry) entry.inode ??= this.filesystem.journal!.owner.inode(entry.ino)
    else this.#requireWhole()
    return entry?.inode
  }

  #requireWhole(): void {
    if (this.#lost !== undefined) throw new ErrnoError('EIO', undefined, this.#lost)
  }

  /** Errors: EIO. */
  isEmpty(): boolean {
    if (this.#entries.size > 0) return false
    this.#requireWhole()
    return true
  }

  /** Errors: EIO behind the last one, if there may have been more. */
  *entries(after: number): Generator<ListedEntry> {
    for (let i = this.#indexBehind(after); i < this.#order.length; i++) {
      const entry = this.#order[i]!
      if (!entry.removed) yield entry
    }
    this.#requireWhole()
  }

  create(name: string, what: NewInode): Inode {
    const inode = this.#make(what)
    this.#add(name, inode)
    if (inode.kind === 'directory') this.linked()
    return inode
  }

  createUnnamed(what: NewInode): Inode {
    const inode = this.#make(what)
    inode.nlink = 0
    return inode
  }

  link(name: string, inode: Inode): void {
    const node = inode as TmpfsNode
    node.linked()
    this.#add(name, node)
  }

  unlink(name: string, inode: Inode): void {
    const node = inode as TmpfsNode
    this.#remove(name)
    if (node.kind === 'directory') {
      this.linked(-1)
      node.unlinked(2)
    } else node.unlinked()
  }

  rename(name: string, inode: Inode, to: DirectoryInode, newName: string, replaced: Inode | undefined): void {
    const target = to as TmpfsDirectory
    const node = inode as TmpfsNode
    if (replaced) target.unlink(newName, replaced)
    this.#remove(name)
    target.#add(newName, node)
    if (node.kind === 'directory' && target !== this) {
      this.linked(-1)
      target.linked()
    }
  }

  exchange(name: string, inode: Inode, to: DirectoryInode, newName: string, other: Inode): void {
    const target = to as TmpfsDirectory
    this.#remove(name)
    target.#remove(newName)
    this.#add(name, other as TmpfsNode)
    target.#add(newName, inode as TmpfsNode)
    const moved = Number(inode.kind === 'directory') - Number(other.kind === 'directory')
    this.linked(-moved)
    target.linked(moved)
  }

  #make(what: NewInode): TmpfsNode {
    return what.whiteout ? this.filesystem.sharedWhiteout(what) : makeTmpfsInode(this.filesystem, what)
  }

  #add(name: string, inode: TmpfsNode): void {
    const entry: Entry = { name, ino: inode.ino, kind: inode.kind, cookie: this.#nextCookie++, inode, removed: false }
    this.#entries.add(name, entry)
    this.#order.push(entry)
    this.filesystem.journal?.entered(this, entry, inode)
  }

  get nextCookie(): number {
    return this.#nextCookie
  }

  entryOf(name: string): ListedEntry | undefined {
    return this.#entries.get(name)
  }

  /** Entries as they were stored, in the order of their cookies; `lost` is why these may not be all. */
  restore(entries: Entry[], nextCookie: number, lost?: string): void {
    this.#order = entries
    for (const entry of entries) this.#entries.add(entry.name, entry)
    this.#nextCookie = nextCookie
    this.#lost = lost
  }

  #remove(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    this.#entries.delete(name)
    entry.inode = undefined
    entry.removed = true
    this.filesystem.journal?.left(this, entry)
    if (this.#order.length > 32 && this.#order.length > 2 * this.#entries.size) {
      this.#order = this.#order.filter((each) => !each.removed)
    }
  }

  /** The first index whose entry has a cookie greater than `after`. */
  #indexBehind(after: number): number {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#order[middle]!.cookie > after) high = middle
      else low = middle + 1
    }
    return low
  }
}

export class TmpfsFile extends TmpfsInode implements FileInode {
  readonly kind = 'file'
  /** Made with the first byte or the first other size: many files stay empty. */
  #data: PagedData | undefined

  constructor(filesystem: Tmpfs, what: NewInode) {
    super(filesystem, what)
    this.#data = undefined
  }

  #content(): PagedData {
    this.#data ??= new PagedData(this.filesystem.journal?.quotaFor(this) ?? this.filesystem)
    return this.#data
  }

  /** Its bytes; undefined while it has none. */
  get data(): PagedData | undefined {
    return this.#data
  }

  /** Its data, to be restored. */
  makeData(): PagedData {
    return this.#content()
  }

  override get size(): number {
    return this.#data === undefined ? 0 : this.#data.size
  }

  override get blocks(): number {
    return this.#data === undefined ? 0 : this.#data.blocks * (BLOCK_SIZE / 512)
  }

  get borrowed(): number {
    return this.#data === undefined ? 0 : this.#data.borrowed * (BLOCK_SIZE / 512)
  }

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    return this.#data === undefined ? 0 : this.#data.read(memory, at, length, offset, attempt)
  }

  write(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    this.filesystem.journal?.writing(this, length, attempt)
    return this.#content().write(memory, at, length, offset, attempt)
  }

  truncate(size: number): void {
    this.changed()
    if (this.#data !== undefined || size > 0) this.#content().truncate(size)
  }

  allocate(mode: number, offset: number, length: number, attempt: Attempt): void {
    const end = offset + length
    if (end > Number.MAX_SAFE_INTEGER) throw new ErrnoError('EFBIG')
    this.changed()
    const data = this.#content()
    if (mode === (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) data.punch(offset, end, attempt)
    else if (mode === 0 || mode === FALLOC_FL_KEEP_SIZE) {
      data.allocate(offset, end, attempt)
      if (mode === 0 && end > data.size) data.size = end
    } else throw new ErrnoError('EOPNOTSUPP')
  }

  nextData(offset: number): number | undefined {
    return this.#data?.nextData(offset)
  }

  nextHole(offset: number): number | undefined {
    return this.#data?.nextHole(offset)
  }

  /** Not where files are kept: they must not depend on what may not be there the next time. */
  get adopt(): ((source: PageSource) => void) | undefined {
    return this.filesystem.journal ? undefined : adoptSource
  }

  protected override freeSpace(): void {
    this.#data?.clear()
  }
}

function adoptSource(this: TmpfsFile, source: PageSource): void {
  this.makeData().adopt(source)
}

/** Linux keeps a target of fewer than 128 bytes in the inode; a longer one takes a page. */
export const SHORT_SYMLINK = 128

class TmpfsSymlink extends TmpfsInode implements SymlinkInode {
  readonly kind = 'symlink'
  readonly #target: string
  readonly #size: number

  constructor(filesystem: Tmpfs, what: NewInode) {
    const target = what.target ?? ''
    const size = utf8Length(target)
    if (size >= SHORT_SYMLINK && !filesystem.take(1)) throw new ErrnoError('ENOSPC')
    super(filesystem, what)
    this.#target = target
    this.#size = size
  }

  override get size(): number {
    return this.#size
  }

  override get blocks(): number {
    return this.#size >= SHORT_SYMLINK ? BLOCK_SIZE / 512 : 0
  }

  readlink(): string {
    return this.#target
  }

  protected override freeSpace(): void {
    if (this.#size >= SHORT_SYMLINK) this.filesystem.give(1)
  }
}

class TmpfsSpecial extends TmpfsInode implements SpecialInode {
  readonly kind: SpecialInode['kind']
  readonly #rdev: number
  readonly endpoint: Endpoint | undefined

  constructor(filesystem: Tmpfs, what: NewInode & { readonly kind: SpecialInode['kind'] }) {
    super(filesystem, what)
    this.kind = what.kind
    this.#rdev = what.rdev ?? 0
    this.endpoint = what.endpoint
  }

  override get rdev(): number {
    return this.#rdev
  }
}

export type TmpfsNode = TmpfsDirectory | TmpfsFile | TmpfsSymlink | TmpfsSpecial

/** A new inode, charged for. Errors: ENOSPC. */
export function makeTmpfsInode(filesystem: Tmpfs, what: NewInode): TmpfsNode {
  const { kind } = what
  switch (kind) {
    case 'directory':
      return new TmpfsDirectory(filesystem, what)
    case 'file':
      return new TmpfsFile(filesystem, what)
    case 'symlink':
      return new TmpfsSymlink(filesystem, what)
    default:
      return new TmpfsSpecial(filesystem, { ...what, kind })
  }
}
