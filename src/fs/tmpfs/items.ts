/**
 * Inodes in the log and in chunks: what is said of one is how it is then, not what was done to it, so that saying it twice
 * does no harm. An item may say all of an inode, or of its names and pages only some.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import type { TmpfsDirectory, TmpfsFile, TmpfsNode } from './inodes.ts'
import type { Kept } from './segments.ts'

const ATTRIBUTES = 1
const NAMES = 2
const PAGES = 4
const WIDE_TIMES = 8
const XATTRS = 16

const KINDS: readonly FileKind[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'char', 'block']

/** Names of a directory and pages of a file are in parts, by cookie and by index: part 0 goes with the inode. */
export const COOKIES_OF_PART = 1024
export const PAGES_OF_PART = 4096
export const partOfCookie = (cookie: number) => Math.floor(cookie / COOKIES_OF_PART)
export const partOfPage = (index: number) => Math.floor(index / PAGES_OF_PART)

export interface ItemParts {
  readonly attributes: boolean
  /** Of a file; its own if left out. */
  readonly size?: number | undefined
  /** Those that are there, and those that are not any more. */
  readonly names?: readonly string[] | undefined
  readonly pages?: readonly number[] | undefined
}

/** Preconditions: every page that is named is kept, or is a hole. */
export function writeItem(writer: ByteWriter, node: TmpfsNode, { attributes, size, names, pages }: ItemParts): void {
  const { atime, mtime, ctime, btime } = node
  const wide = attributes && !(isI64(atime) && isI64(mtime) && isI64(ctime) && isI64(btime))
  const xattrs = attributes && node.hasXattrs
  writer.number(node.ino)
  writer.byte(
    (attributes ? ATTRIBUTES : 0) |
      (names ? NAMES : 0) |
      (pages ? PAGES : 0) |
      (wide ? WIDE_TIMES : 0) |
      (xattrs ? XATTRS : 0),
  )
  if (attributes) {
    writer.byte(KINDS.indexOf(node.kind))
    writer.number(node.mode)
    writer.number(node.uid)
    writer.number(node.gid)
    writer.number(node.nlink)
    writeTime(writer, atime, wide)
    writeTime(writer, mtime, wide)
    writeTime(writer, ctime, wide)
    writeTime(writer, btime, wide)
    if (node.kind === 'file') writer.number(size ?? node.size)
    else if (node.kind === 'directory') writer.number(node.nextCookie)
    else if (node.kind === 'symlink') writer.text(node.readlink())
    else writer.number(node.rdev)
    if (xattrs) {
      const keys = [...node.xattrs.keys()]
      writer.number(keys.length)
      for (const key of keys) {
        writer.text(key)
        writer.bytes(node.xattrs.get(key)!)
      }
    }
  }
  if (names) writeNames(writer, node as TmpfsDirectory, names)
  if (pages) writePages(writer, node as TmpfsFile, pages)
}

const LAST_I64 = (1n << 63n) - 1n
const isI64 = (time: bigint) => time >= -LAST_I64 && time <= LAST_I64

function writeTime(writer: ByteWriter, time: bigint, wide: boolean): void {
  if (wide) writer.text(String(time))
  else writer.i64(time)
}

function writeNames(writer: ByteWriter, directory: TmpfsDirectory, names: readonly string[]): void {
  writer.number(names.length)
  for (const name of names) {
    const entry = directory.entryOf(name)
    writer.text(name)
    writer.number(entry ? entry.ino : 0)
    if (entry) writer.number(entry.cookie)
  }
}

function writePages(writer: ByteWriter, file: TmpfsFile, pages: readonly number[]): void {
  writer.number(pages.length)
  for (const index of pages) {
    const page = file.data?.page(index)
    writer.number(index)
    writer.number(page ? page.present + 1 : 0)
    if (!page) continue
    const { segment, offset, length, hash } = page.kept as Kept
    writer.number(page.end)
    writer.number(length)
    if (length === 0) continue
    writer.number(segment!.id)
    writer.number(offset)
    writer.u32(hash)
  }
}

/** That there is no inode of this number any more. */
export function writeGone(writer: ByteWriter, ino: number): void {
  writer.number(ino)
  writer.byte(0)
}

/** Whether the item behind a number says so. */
export function isGone(reader: ByteReader): boolean {
  const { at } = reader
  const flags = reader.byte()
  reader.seek(at)
  return flags === 0
}

export interface StoredName {
  readonly ino: number
  readonly cookie: number
}

export interface StoredPage {
  readonly present: number
  readonly end: number
  readonly length: number
  readonly segment: number
  readonly offset: number
  readonly hash: number
}

/** The pages of a file by their indexes. Most files have one, for which a Map would be most of what they take. */
export class StoredPages {
  #first: StoredPage | undefined
  #others: Map<number, StoredPage> | undefined

  set(index: number, page: StoredPage): void {
    if (index === 0) this.#first = page
    else {
      this.#others ??= new Map()
      this.#others.set(index, page)
    }
  }

  delete(index: number): void {
    if (index === 0) this.#first = undefined
    else this.#others?.delete(index)
  }

  forEach(use: (index: number, page: StoredPage) => void): void {
    if (this.#first) use(0, this.#first)
    if (this.#others) for (const [index, page] of this.#others) use(index, page)
  }
}

/** An inode as the records tell it. */
export class StoredInode {
  kind: FileKind | undefined
  mode = 0
  uid = 0
  gid = 0
  nlink = 0
  times: bigint[] = []
  /** Of a file its size, of a directory the next cookie, of a device its number. */
  value = 0
  target = ''
  xattrs: [string, Uint8Array][] | undefined
  names: Map<string, StoredName> | undefined
  pages: StoredPages | undefined
}

/** Hears of the parts that items are about. */
export type Touched = (ino: number, part: number) => void
const NOBODY: Touched = () => {}

/** Reads the items that are left in a record. */
export function readItems(reader: ByteReader, inodes: Map<number, StoredInode>): void {
  while (!reader.done) {
    const ino = reader.number()
    const inode = readItem(reader, ino, inodes.get(ino))
    if (inode) inodes.set(ino, inode)
    else inodes.delete(ino)
  }
}

/** Reads an item, behind its number: the inode as it is then, if there is one. `known` is what was known of it. */
export function readItem(
  reader: ByteReader,
  ino: number,
  known: StoredInode | undefined,
  touched: Touched = NOBODY,
): StoredInode | undefined {
  const flags = reader.byte()
  touched(ino, 0)
  if (flags === 0) {
    for (const { cookie } of known?.names?.values() ?? []) touched(ino, partOfCookie(cookie))
    known?.pages?.forEach((index) => {
      touched(ino, partOfPage(index))
    })
    return undefined
  }
  const inode = known ?? new StoredInode()
  if (flags & ATTRIBUTES) readAttributes(reader, inode, flags)
  if (flags & NAMES) readNames(reader, inode, ino, touched)
  if (flags & PAGES) readPages(reader, inode, ino, touched)
  return inode
}

/** Counts what inodes take and refer to, without making any. */
export interface Measure {
  inode(ino: number, kind: FileKind, nlink: number): void
  /** A symbolic link's target has so many bytes. */
  target(length: number): void
  attribute(name: string, length: number): void
  name(ino: number, cookie: number): void
  /** One that is no hole; its `length` bytes lie in the segment, if there are any. */
  page(index: number, present: number, length: number, segment: number): void
}

/** Goes over an item, behind its number. */
export function measureItem(reader: ByteReader, ino: number, measure: Measure): void {
  const flags = reader.byte()
  if (flags & ATTRIBUTES) {
    const kind = kindOf(reader.byte())
    for (let i = 0; i < 3; i++) reader.number()
    measure.inode(ino, kind, reader.number())
    if (flags & WIDE_TIMES) for (let i = 0; i < 4; i++) reader.skipBytes()
    else reader.skip(32)
    if (kind === 'symlink') measure.target(reader.skipBytes())
    else reader.number()
    if (flags & XATTRS)
      for (let count = reader.number(); count > 0; count--) measure.attribute(reader.text(), reader.skipBytes())
  }
  if (flags & NAMES)
    for (let count = reader.number(); count > 0; count--) {
      reader.skipBytes()
      const child = reader.number()
      if (child > 0) measure.name(child, reader.number())
    }
  if (flags & PAGES)
    for (let count = reader.number(); count > 0; count--) {
      const index = reader.number()
      const present = reader.number()
      if (present === 0) continue
      reader.number()
      const length = reader.number()
      const segment = length === 0 ? 0 : reader.number()
      if (length > 0) {
        reader.number()
        reader.u32()
      }
      measure.page(index, present - 1, length, segment)
    }
}

/** The same of an inode that was read. */
export function measureInode(ino: number, inode: StoredInode, measure: Measure): void {
  const { kind, nlink, target, xattrs, names, pages } = inode
  if (kind) measure.inode(ino, kind, nlink)
  if (kind === 'symlink') measure.target(utf8Length(target))
  for (const [name, value] of xattrs ?? []) measure.attribute(name, value.length)
  for (const name of names?.values() ?? []) measure.name(name.ino, name.cookie)
  pages?.forEach((index, { present, length, segment }) => {
    measure.page(index, present, length, segment)
  })
}

function kindOf(number: number): FileKind {
  const kind = KINDS[number]
  if (!kind) throw new ErrnoError('EIO', undefined, 'a stored file is of an unknown kind')
  return kind
}

function readAttributes(reader: ByteReader, inode: StoredInode, flags: number): void {
  inode.kind = kindOf(reader.byte())
  inode.mode = reader.number()
  inode.uid = reader.number()
  inode.gid = reader.number()
  inode.nlink = reader.number()
  const times: bigint[] = []
  for (let i = 0; i < 4; i++) {
    const time = flags & WIDE_TIMES ? BigInt(reader.text()) : reader.i64()
    // Times that are the same share one value.
    times.push(time === times[0] ? times[0] : time === times[1] ? times[1] : time)
  }
  inode.times = times
  if (inode.kind === 'symlink') inode.target = reader.text()
  else inode.value = reader.number()
  inode.xattrs = undefined
  if (!(flags & XATTRS)) return
  inode.xattrs = []
  for (let count = reader.number(); count > 0; count--) inode.xattrs.push([reader.text(), reader.bytes()])
}

function readNames(reader: ByteReader, inode: StoredInode, number: number, touched: Touched): void {
  inode.names ??= new Map()
  for (let count = reader.number(); count > 0; count--) {
    const name = reader.text()
    const ino = reader.number()
    const old = inode.names.get(name)
    if (old) touched(number, partOfCookie(old.cookie))
    if (ino === 0) inode.names.delete(name)
    else {
      const cookie = reader.number()
      touched(number, partOfCookie(cookie))
      inode.names.set(name, { ino, cookie })
    }
  }
}

function readPages(reader: ByteReader, inode: StoredInode, number: number, touched: Touched): void {
  inode.pages ??= new StoredPages()
  for (let count = reader.number(); count > 0; count--) {
    const index = reader.number()
    const present = reader.number()
    touched(number, partOfPage(index))
    if (present === 0) {
      inode.pages.delete(index)
      continue
    }
    const end = reader.number()
    const length = reader.number()
    const [segment, offset, hash] = length === 0 ? [0, 0, 0] : [reader.number(), reader.number(), reader.u32()]
    inode.pages.set(index, { present: present - 1, end, length, segment, offset, hash })
  }
}
