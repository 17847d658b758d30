/**
 * Inodes in the log and in chunks: what is said of one is how it is then, not what was done to it, so that saying it twice
 * does no harm. An item may say all of an inode, or of its names and pages only some.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { FileKind } from '../../abi/syscalls.ts'
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
export const partOfCookie = (cookie: number) => Math.floor(cookie / 1024)
export const partOfPage = (index: number) => Math.floor(index / 4096)

export interface ItemParts {
  readonly attributes: boolean
  /** Those that are there, and those that are not any more. */
  readonly names?: Iterable<string> | undefined
  readonly pages?: Iterable<number> | undefined
}

/** Preconditions: every page that is named is kept, or is a hole. */
export function writeItem(writer: ByteWriter, node: TmpfsNode, { attributes, names, pages }: ItemParts): void {
  const times = [node.atime, node.mtime, node.ctime, node.btime]
  const wide = attributes && times.some((time) => BigInt.asIntN(64, time) !== time)
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
    for (const value of [node.mode, node.uid, node.gid, node.nlink]) writer.number(value)
    for (const time of times) {
      if (wide) writer.text(String(time))
      else writer.i64(time)
    }
    if (node.kind === 'file') writer.number(node.size)
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
  if (names) writeNames(writer, node as TmpfsDirectory, [...names])
  if (pages) writePages(writer, node as TmpfsFile, [...pages])
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

type Touched = (ino: number, part: number) => void

/** Reads the items that are left in a record; `touched` hears of the parts that they are about. */
export function readItems(reader: ByteReader, inodes: Map<number, StoredInode>, touched: Touched = () => {}): void {
  while (!reader.done) {
    const ino = reader.number()
    const flags = reader.byte()
    touched(ino, 0)
    if (flags === 0) {
      const gone = inodes.get(ino)
      for (const { cookie } of gone?.names?.values() ?? []) touched(ino, partOfCookie(cookie))
      gone?.pages?.forEach((index) => {
        touched(ino, partOfPage(index))
      })
      inodes.delete(ino)
      continue
    }
    let inode = inodes.get(ino)
    if (!inode) {
      inode = new StoredInode()
      inodes.set(ino, inode)
    }
    if (flags & ATTRIBUTES) readAttributes(reader, inode, flags)
    if (flags & NAMES) readNames(reader, inode, ino, touched)
    if (flags & PAGES) readPages(reader, inode, ino, touched)
  }
}

function readAttributes(reader: ByteReader, inode: StoredInode, flags: number): void {
  inode.kind = KINDS[reader.byte()]
  if (!inode.kind) throw new ErrnoError('EIO', undefined, 'a stored file is of an unknown kind')
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
