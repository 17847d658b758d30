/**
 * The files of a tmpfs in memory on their way out, as items (items.ts) and pages, and a tmpfs that is made of them again: with the
 * numbers of its inodes, its hard links, times, attributes and holes as they were.
 *
 * Invariant: nothing awaits, so what is dumped is one state of the files.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { NAME_MAX } from '../../abi/linux.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type { Inode } from '../../vfs/inode.ts'
import { blockBits, PAGE_SIZE } from '../../vfs/pages.ts'
import type { Attempt, Missing } from '../../vfs/waiting.ts'
import type { ByteWriter } from './bytes.ts'
import type { TmpfsDirectory, TmpfsFile, TmpfsNode } from './inodes.ts'
import { type StoredInode, writeItem } from './items.ts'
import { restoreFiles } from './restore.ts'
import { Tmpfs } from './tmpfs.ts'

/** 64 KiB of a file, at `index` times as much. */
export interface SavedPage {
  readonly index: number
  /** A bit for each of its blocks of 4 KiB that is charged. */
  readonly present: number
  /** Behind them the page is zeros. */
  readonly bytes: Uint8Array
}

/** Takes what is dumped, and holds on to none of it. */
export interface DumpSink {
  /** `write` writes an item. */
  item(write: (writer: ByteWriter) => void): void
  page(ino: number, page: SavedPage): void
}

export interface DumpOptions {
  readonly attempt: Attempt
  /** Gathers what must be waited for: if there is any, what was dumped is not all, and the dump is to be made again. */
  readonly missing: Missing
}

/** Names in one item, so that no item is large. */
const NAMES_AT_ONCE = 2048

/** The filesystem of an inode that has all of its files in memory. */
export function memoryOf(inode: Inode): Tmpfs | undefined {
  const { filesystem } = inode
  return filesystem instanceof Tmpfs && !filesystem.journal ? filesystem : undefined
}

export function dumpFiles(filesystem: Tmpfs, sink: DumpSink, options: DumpOptions): void {
  const linked = new Set<TmpfsNode>()
  const left = [filesystem.root as TmpfsNode]
  for (let node = left.pop(); node; node = left.pop()) {
    const inode = node
    if (inode.kind === 'directory') {
      const names: string[] = []
      for (const { name } of inode.entries(0)) {
        names.push(name)
        const child = inode.lookup(name) as TmpfsNode
        if (child.kind !== 'directory' && child.nlink > 1) {
          if (linked.has(child)) continue
          linked.add(child)
        }
        left.push(child)
      }
      dumpDirectory(inode, names, sink)
      continue
    }
    sink.item((writer) => writeItem(writer, inode, { attributes: true }))
    if (inode.kind === 'file') for (const page of pagesOf(inode, options)) sink.page(inode.ino, page)
  }
}

function dumpDirectory(directory: TmpfsDirectory, names: readonly string[], sink: DumpSink): void {
  for (let at = 0; at === 0 || at < names.length; at += NAMES_AT_ONCE) {
    const some = names.slice(at, at + NAMES_AT_ONCE)
    sink.item((writer) => writeItem(writer, directory, { attributes: at === 0, names: some }))
  }
}

/** What is not all zeros of a file, or is charged. What it has of a file that it was copied from counts as if it were written. */
function* pagesOf({ data }: TmpfsFile, { attempt, missing }: DumpOptions): Generator<SavedPage> {
  if (!data) return
  for (const index of data.pages()) {
    const { bytes, start, end, present } = data.page(index)!
    yield { index, present, bytes: bytes.subarray(start, start + end) }
  }
  if (data.borrowed === 0) return
  for (let index = 0; index * PAGE_SIZE < data.size; index++) {
    if (data.page(index)) continue
    const start = index * PAGE_SIZE
    // The base is one piece from the start on.
    if (data.nextData(start) !== start) return
    const end = Math.min(data.nextHole(start)!, start + PAGE_SIZE)
    const bytes = new Uint8Array(end - start)
    const read = missing.try(() => data.read(bytes, 0, bytes.length, start, attempt))
    if (read !== undefined) yield { index, present: blockBits(0, bytes.length), bytes }
  }
}

/** What was dumped of one filesystem. */
export interface SavedFiles {
  readonly lastIno: number
  readonly inodes: ReadonlyMap<number, StoredInode>
  /** By the number of the file's inode. Its bytes belong to the files from then on. */
  readonly pages: ReadonlyMap<number, readonly SavedPage[]>
}

/**
 * Makes the files below the root of a tmpfs in memory, instead of those that it has. Sizes count, whatever the limits say.
 * `what` is what errors call where they come from. Errors: EIO for what does not hold together.
 */
export function loadFiles(root: Inode, { lastIno, inodes, pages }: SavedFiles, what: string): void {
  const fault = (rule: string) => new ErrnoError('EIO', undefined, `${what} is damaged: ${rule}`)
  const filesystem = memoryOf(root)
  if (!filesystem) throw new Error('files are loaded into a tmpfs in memory')
  if (!inodes.has(root.ino)) throw fault('a filesystem has no root')
  for (const [ino, { names }] of inodes) {
    for (const name of names?.keys() ?? [])
      if (!isName(name)) throw fault(`inode ${ino} has an entry ${JSON.stringify(name)}, which is no name`)
  }
  empty(root as TmpfsNode)
  const nodes = restoreFiles(filesystem, inodes, { what, lastIno })
  for (const [ino, saved] of pages) {
    const node = nodes.get(ino)
    if (node?.kind !== 'file') throw fault(`inode ${ino} is no file, and has pages`)
    for (const { index, present, bytes } of saved) {
      if (bytes.length > PAGE_SIZE || (bytes.length > 0 && index * PAGE_SIZE + bytes.length > node.size))
        throw fault(`page ${index} of inode ${ino} goes beyond its end`)
      node.makeData().put(index, present & 0xffff, bytes)
    }
  }
}

const isName = (name: string) => !/^\.{0,2}$|[/\0]/.test(name) && utf8Length(name) <= NAME_MAX

function empty(node: TmpfsNode): void {
  if (node.kind === 'file') node.truncate(0)
  if (node.kind !== 'directory') return
  for (const { name } of [...node.entries(0)]) {
    const child = node.lookup(name) as TmpfsNode
    empty(child)
    node.unlink(name, child)
  }
}
