/**
 * From the files of a layer to an archive, in either form of build-layer.ts. It works on any filesystem's inodes.
 *
 * Invariants: nothing awaits, so what is written is one state of the files. Equal files give equal bytes: names are in
 * order, and nothing is written that a reader would not make anew.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { isWhiteout, type Marks } from '../../fs/overlay/marks.ts'
import type { DirectoryInode, FileInode, Inode } from '../../vfs/inode.ts'
import { majorOf, minorOf } from '../../vfs/kinds.ts'
import { type Attempt, WouldBlock } from '../../vfs/waiting.ts'
import type { ArchiveForm } from './build-layer.ts'
import { type Extent, paddingOf, type TarHeader } from './tar.ts'
import { END, headerOf, storedSize } from './write-tar.ts'

/** Takes the next bytes, which it does not hold on to. */
export type ByteSink = (bytes: Uint8Array) => void

export interface ArchiveOptions {
  readonly form: ArchiveForm
  readonly marks: Marks
  readonly attempt: Attempt
}

const PIECE = 256 * 1024
/** More pieces than that and the smallest holes are written as zeros: readers bound the map. */
const MOST_EXTENTS = 20_000

/**
 * Writes what is in a directory. Gives the paths that were left out: sockets, whose names mean nothing elsewhere.
 * Throws WouldBlock where data must be waited for; the same attempt, writing anew, keeps what came meanwhile.
 * Errors: EIO and so on of reading, with the path; EINVAL for a name that would mean a deletion in a layer.
 */
export function writeLayer(root: DirectoryInode, sink: ByteSink, options: ArchiveOptions): string[] {
  const writer = new LayerWriter(sink, options)
  writer.writeDirectory(root, '')
  sink(END)
  return writer.skipped
}

/** The key of what an attempt keeps for us. */
const HELD = {}

class LayerWriter {
  readonly skipped: string[] = []
  readonly #sink: ByteSink
  readonly #options: ArchiveOptions
  readonly #buffer = new Uint8Array(PIECE)
  /** The names of inodes that have several. */
  readonly #linked = new Map<Inode, string>()

  readonly #held: Map<FileInode, HeldPieces>

  constructor(sink: ByteSink, options: ArchiveOptions) {
    this.#sink = sink
    this.#options = options
    this.#held = options.attempt.note(HELD, () => new Map())
  }

  /** `path` is empty, or ends with a slash. */
  writeDirectory(directory: DirectoryInode, path: string): void {
    const { form, marks, attempt } = this.#options
    const name = form === 'snapshot' || path === '' ? `./${path}` : path
    this.#header({ ...this.#attributes(directory), name, kind: 'directory', size: 0 })
    if (form === 'layer' && marks.isOpaque(directory)) this.#whiteout(`${path}.wh..wh..opq`)
    const entries = [...directory.entries(0, attempt)].sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of entries) {
      const inode = directory.lookup(entry.name, attempt)
      if (!inode) throw new ErrnoError('EIO', path + entry.name, 'a name that is listed is not there')
      if (inode.kind === 'directory') this.writeDirectory(inode, `${path}${entry.name}/`)
      else if (form === 'layer' && isWhiteout(inode)) this.#whiteout(`${path}.wh.${entry.name}`)
      else this.#writeFile(inode, path, entry.name)
    }
  }

  #writeFile(inode: Exclude<Inode, DirectoryInode>, directory: string, lastName: string): void {
    const { form, attempt } = this.#options
    const path = directory + lastName
    if (form === 'layer' && lastName.startsWith('.wh.')) {
      throw new ErrnoError(
        'EINVAL',
        path,
        "in a layer a name that begins with '.wh.' means a deletion; a snapshot can have it",
      )
    }
    const name = form === 'snapshot' ? `./${path}` : path
    const { kind } = inode
    if (kind === 'socket') {
      this.skipped.push(path)
      return
    }
    const first = this.#linked.get(inode)
    const common = { ...this.#attributes(inode), name, size: 0 }
    if (first !== undefined) {
      this.#header({ ...common, kind: 'link', target: first, xattrs: undefined })
      return
    }
    if (inode.nlink > 1 && !isWhiteout(inode)) this.#linked.set(inode, name)
    if (kind === 'symlink') this.#header({ ...common, kind, target: inode.readlink(attempt) })
    else if (kind === 'file') this.#writeData(inode, { ...common, kind }, path)
    else this.#header({ ...common, kind, major: majorOf(inode.rdev), minor: minorOf(inode.rdev) })
  }

  #writeData(file: FileInode, common: TarHeader, path: string): void {
    const { size } = file
    const extents = extentsOf(file, this.#options.attempt)
    const header = { ...common, size, ...(extents && { extents }) }
    this.#header(header)
    try {
      const held = this.#held.get(file)
      held?.requireUnchanged(file)
      for (const { offset, length } of extents ?? [{ offset: 0, length: size }]) {
        for (let done = 0; done < length; done += PIECE) {
          const count = Math.min(PIECE, length - done)
          this.#sink(held?.get(offset + done) ?? this.#read(file, offset + done, count))
        }
      }
    } catch (failure) {
      if (failure instanceof ErrnoError && failure.path === undefined) failure.path = path
      throw failure
    }
    this.#fill(storedSize(header))
  }

  /** A read that had to wait is kept: its data may be gone again when everything is written anew. */
  #read(file: FileInode, offset: number, count: number): Uint8Array {
    const bytes = this.#buffer.subarray(0, count)
    try {
      for (let done = 0; done < count; ) {
        const read = file.read(bytes, done, count - done, offset + done, this.#options.attempt)
        if (read === 0) throw new ErrnoError('EIO', undefined, 'the file is shorter than its size')
        done += read
      }
    } catch (cause) {
      if (cause instanceof WouldBlock && !this.#held.has(file)) this.#held.set(file, new HeldPieces(file))
      throw cause
    }
    this.#held.get(file)?.set(offset, bytes.slice())
    return bytes
  }

  #whiteout(path: string): void {
    this.#header({ name: path, kind: 'file', mode: 0, uid: 0, gid: 0, mtime: 0n, size: 0 })
  }

  #header(header: TarHeader): void {
    this.#sink(headerOf(header, this.#options.form === 'layer' ? 'raw' : 'text'))
  }

  #fill(size: number): void {
    const padding = paddingOf(size)
    if (padding > 0) this.#sink(END.subarray(0, padding))
  }

  #attributes(inode: Inode): Pick<TarHeader, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'> {
    const { mode, uid, gid, mtime } = inode
    return { mode: mode & 0o7777, uid, gid, mtime, xattrs: this.#xattrs(inode) }
  }

  /** Without the overlay's own, but for what a snapshot needs of them: that a directory hides the lower layers'. */
  #xattrs(inode: Inode): Map<string, Uint8Array> | undefined {
    if (inode.hasXattrs === false || !inode.xattrs) return undefined
    const { form, marks } = this.#options
    const kept = new Map<string, Uint8Array>()
    for (const name of inode.xattrs.keys()) {
      if (marks.isPrivate(name)) continue
      kept.set(name, inode.xattrs.get(name)!)
    }
    if (form === 'snapshot' && inode.kind === 'directory' && marks.isOpaque(inode)) {
      kept.set('trusted.overlay.opaque', new Uint8Array([0x79]))
    }
    return kept.size > 0 ? kept : undefined
  }
}

/** Pieces of a file that had to be waited for, for as long as the file stays as it is. */
class HeldPieces {
  readonly #pieces = new Map<number, Uint8Array>()
  #version: string

  constructor(file: FileInode) {
    this.#version = versionOf(file)
  }

  requireUnchanged(file: FileInode): void {
    const version = versionOf(file)
    if (version !== this.#version) this.#pieces.clear()
    this.#version = version
  }

  get(offset: number): Uint8Array | undefined {
    return this.#pieces.get(offset)
  }

  set(offset: number, bytes: Uint8Array): void {
    this.#pieces.set(offset, bytes)
  }
}

const versionOf = ({ size, mtime, ctime }: FileInode) => `${size} ${mtime} ${ctime}`

/** Where a file has data, or undefined if it has no holes. */
function extentsOf(file: FileInode, attempt: Attempt): readonly Extent[] | undefined {
  const { size } = file
  if (!file.nextData || !file.nextHole || size === 0 || file.nextHole(0, attempt) === size) return undefined
  let extents: Extent[] = []
  for (let at = 0; at < size; ) {
    const offset = file.nextData(at, attempt)
    if (offset === undefined) break
    at = Math.min(size, file.nextHole(offset, attempt) ?? size)
    extents.push({ offset, length: at - offset })
  }
  for (let gap = 8192; extents.length > MOST_EXTENTS; gap *= 2) extents = joined(extents, gap)
  return extents
}

/** Pieces with holes of at most `gap` bytes between them become one. */
function joined(extents: readonly Extent[], gap: number): Extent[] {
  const result: Extent[] = []
  for (const extent of extents) {
    const last = result.at(-1)
    if (last && extent.offset - last.offset - last.length <= gap) {
      result[result.length - 1] = { offset: last.offset, length: extent.offset + extent.length - last.offset }
    } else result.push(extent)
  }
  return result
}
