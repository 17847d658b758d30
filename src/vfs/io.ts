/** Reading, writing, seeking, listing and resizing through a description. */

import { ErrnoError } from '../abi/errno.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_APPEND,
  O_NOATIME,
  O_NONBLOCK,
  S_ISGID,
  S_ISUID,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from '../abi/linux.ts'
import { IN_ACCESS, IN_ATTRIB, IN_MODIFY } from '../abi/linux-waiting.ts'
import type { DirectoryEntry } from '../abi/syscalls.ts'
import { utf8Length } from '../abi/utf8.ts'
import type { Context } from './context.ts'
import type { FileDescription } from './description.ts'

import {
  CTIME,
  type FileInode,
  type Inode,
  type ListedEntry,
  MTIME,
  type OpenDirectory,
  type OpenFile,
} from './inode.ts'

import { withoutSetId } from './permissions.ts'
import { touchAccessTime } from './times.ts'
import { after } from './waiting.ts'
import { notify, notifyFile } from './watches.ts'

/**
 * readv(2), or preadv(2) with an `offset`. Gives the bytes read, 0 at the end.
 * Errors: ESPIPE for an offset in a stream; EBADF if not open for reading; EISDIR; EINVAL for a file that can't be read.
 */
export function read(
  context: Context,
  file: FileDescription,
  memory: Uint8Array,
  ranges: readonly number[],
  offset?: number,
): number {
  const { inode, stream } = file
  if (stream) {
    if (offset !== undefined && !stream.unpositioned) throw new ErrnoError('ESPIPE')
    if (!file.readable) throw new ErrnoError('EBADF')
    return readStream(context, file, memory, ranges)
  }
  if (!file.readable) throw new ErrnoError('EBADF')
  if (inode.kind === 'directory') {
    // readv(2) of no bytes at all does not get as far as the directory.
    if (areEmpty(ranges)) return 0
    throw new ErrnoError('EISDIR')
  }
  if (inode.kind !== 'file') throw new ErrnoError('EINVAL')
  const content = contentOf(file, inode)
  const from = offset ?? file.offset
  let done = 0
  let asked = 0
  for (let i = 0; i < ranges.length; i += 2) {
    const length = ranges[i + 1]!
    asked += length
    const count = content.read(memory, ranges[i]!, length, from + done, context.attempt)
    done += count
    if (count < length) break
  }
  if (offset === undefined) file.offset = from + done
  if (asked > 0 && (file.flags & O_NOATIME) === 0) touchAccessTime(context, file.mount, inode)
  if (done > 0) notifyFile(file, IN_ACCESS)
  return done
}

type Content = Pick<FileInode, 'read' | 'write'>

/** What the description of a regular file reads and writes. */
const contentOf = (file: FileDescription, inode: FileInode): Content =>
  file.content ?? (file.handle as OpenFile | undefined) ?? inode

function areEmpty(ranges: readonly number[]): boolean {
  for (let i = 1; i < ranges.length; i += 2) if (ranges[i]! > 0) return false
  return true
}

function readStream(context: Context, file: FileDescription, memory: Uint8Array, ranges: readonly number[]): number {
  const stream = file.stream!
  if (!stream.read) throw new ErrnoError('EINVAL')
  const nonblocking = (file.flags & O_NONBLOCK) !== 0
  for (let i = 0; i < ranges.length; i += 2) {
    // A stream gives what it has: one range's worth, as read(2) may be short.
    if (ranges[i + 1]! === 0) continue
    const count = stream.read(memory, ranges[i]!, ranges[i + 1]!, nonblocking, context.attempt)
    if (count > 0 && file.inode.kind === 'fifo') touchAccessTime(context, file.mount, file.inode)
    return count
  }
  return 0
}

/**
 * writev(2), or pwritev(2) with an `offset`. Gives the bytes written: fewer where space ended, and of ranges that overlap at most
 * as many as the memory has.
 * Errors: as read; ENOSPC, EFBIG, EPIPE.
 */
export function write(
  context: Context,
  file: FileDescription,
  memory: Uint8Array,
  ranges: readonly number[],
  offset?: number,
): number {
  const { inode, stream } = file
  if (stream) {
    if (offset !== undefined && !stream.unpositioned) throw new ErrnoError('ESPIPE')
    if (!file.writable) throw new ErrnoError('EBADF')
    return writeStream(context, file, memory, ranges)
  }
  if (!file.writable) throw new ErrnoError('EBADF')
  if (inode.kind !== 'file') throw new ErrnoError('EINVAL')
  const content = contentOf(file, inode)
  if (!content.write) throw new ErrnoError('EINVAL')
  let bytes = memory
  let at = 0
  let length = 0
  let parts = 0
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i + 1] === 0) continue
    at = ranges[i]!
    length += ranges[i + 1]!
    parts++
  }
  if (length === 0) return 0
  if (parts > 1) {
    length = Math.min(length, memory.length)
    bytes = gathered(memory, ranges, length)
    at = 0
  }
  // O_APPEND wins over an offset: pwrite(2), BUGS.
  if (file.flags & O_APPEND) inode.refresh?.(context.attempt)
  const from = file.flags & O_APPEND ? inode.size : (offset ?? file.offset)
  return after(
    () => writeBytes(context, content, bytes, at, length, from),
    (done) => {
      if (done > 0) notifyWritten(file, written(context, inode))
      if (offset === undefined) file.offset = from + done
      return done
    },
  )
}

/**
 * The bytes of all ranges in one: a write that has to wait for a page must not have written an earlier range by then.
 * As many as there is room for: ranges may overlap, and so come to more than there is memory.
 */
function gathered(memory: Uint8Array, ranges: readonly number[], room: number): Uint8Array {
  const bytes = new Uint8Array(room)
  let done = 0
  for (let i = 0; i < ranges.length && done < room; i += 2) {
    const count = Math.min(ranges[i + 1]!, room - done)
    bytes.set(memory.subarray(ranges[i], ranges[i]! + count), done)
    done += count
  }
  return bytes
}

/** Errors: EFBIG at the limit of file sizes; the content's. */
function writeBytes(
  context: Context,
  content: Content,
  memory: Uint8Array,
  at: number,
  length: number,
  offset: number,
): number {
  const { fileSizeLimit } = context
  let room = length
  if (fileSizeLimit !== undefined && offset + length > fileSizeLimit) {
    if (offset >= fileSizeLimit) pastFileSize(context)
    room = fileSizeLimit - offset
  }
  return content.write!(memory, at, room, offset, context.attempt)
}

/** RLIMIT_FSIZE of getrlimit(2). Errors: EFBIG, always. */
function pastFileSize(context: Context): never {
  context.fileSizeExceeded?.()
  throw new ErrnoError('EFBIG')
}

function requireFileSize(context: Context, inode: FileInode, size: number): void {
  const { fileSizeLimit } = context
  if (fileSizeLimit !== undefined && size > fileSizeLimit && size > inode.size) pastFileSize(context)
}

function writeStream(context: Context, file: FileDescription, memory: Uint8Array, ranges: readonly number[]): number {
  const stream = file.stream!
  if (!stream.write) throw new ErrnoError('EINVAL')
  const nonblocking = (file.flags & O_NONBLOCK) !== 0
  if (stream.writeRanges) {
    const count = stream.writeRanges(memory, ranges, nonblocking, context.attempt)
    if (count > 0 && file.inode.kind === 'fifo') file.inode.touch(MTIME | CTIME, context.clock.coarse())
    return count
  }
  let done = 0
  for (let i = 0; i < ranges.length; i += 2) {
    const length = ranges[i + 1]!
    if (length === 0) continue
    if (done > 0 && (stream.poll() & 4) === 0) break
    const count = stream.write(memory, ranges[i]!, length, nonblocking, context.attempt)
    done += count
    if (count < length) break
  }
  return done
}

/**
 * After a change of content: mtime and ctime move, set-id bits go, whoever wrote (Linux's file_remove_privs spares root).
 * Gives the events that it is.
 */
function written(context: Context, inode: Inode): number {
  if (inode.refresh) return IN_MODIFY
  const { mode } = inode
  inode.touch(MTIME | CTIME, context.clock.coarse())
  if (inode.mode & (S_ISUID | S_ISGID)) dropSetId(context, inode)
  dropFileCapability(inode)
  return inode.mode === mode ? IN_MODIFY : IN_MODIFY | IN_ATTRIB
}

/** What a file may do goes when its content or its owner changes (security_inode_killpriv). */
export function dropFileCapability(inode: Inode): void {
  if (inode.hasXattrs && inode.kind !== 'directory') inode.xattrs!.delete('security.capability')
}

function notifyWritten(file: FileDescription, events: number): void {
  notify(file, events & IN_ATTRIB)
  notifyFile(file, IN_MODIFY)
}

function dropSetId(context: Context, inode: Inode): void {
  const kept = withoutSetId(context.credentials, inode)
  if (kept !== (inode.mode & 0o7777)) inode.setAttributes({ mode: kept }, context.attempt)
}

/**
 * Sets a regular file's size, by path or descriptor: the timestamps move even if the size stays. Gives the events that it is.
 * Errors: EISDIR, EINVAL for other kinds, EFBIG.
 */
export function truncateFile(context: Context, inode: Inode, size: number): number {
  if (inode.kind === 'directory') throw new ErrnoError('EISDIR')
  if (inode.kind !== 'file' || !inode.truncate) throw new ErrnoError('EINVAL')
  if (size < 0) throw new ErrnoError('EINVAL')
  requireFileSize(context, inode, size)
  const { truncate } = inode
  return after(
    () => truncate.call(inode, size, context.attempt),
    () => written(context, inode),
  )
}

/** The modes that Linux knows, each with FALLOC_FL_KEEP_SIZE where it may; of others it says so before it looks at the file. */
const ALLOCATIONS = new Set([0, 1, 3, 8, 16, 17, 32, 64, 65, 128])

/** fallocate(2). Errors: EINVAL, EOPNOTSUPP, EBADF, ESPIPE, ENODEV, EFBIG, ENOSPC. */
export function allocate(context: Context, file: FileDescription, mode: number, offset: number, length: number): void {
  const { inode } = file
  if (offset < 0 || length <= 0) throw new ErrnoError('EINVAL')
  if (!ALLOCATIONS.has(mode)) throw new ErrnoError('EOPNOTSUPP')
  if (!file.writable) throw new ErrnoError('EBADF')
  if (inode.kind === 'fifo') throw new ErrnoError('ESPIPE')
  if (inode.kind !== 'file') throw new ErrnoError('ENODEV')
  const more = mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)
  if (more || !inode.allocate) throw new ErrnoError('EOPNOTSUPP')
  if ((mode & FALLOC_FL_PUNCH_HOLE) === 0) requireFileSize(context, inode, offset + length)
  const { allocate } = inode
  after(
    () => allocate.call(inode, mode, offset, length, context.attempt),
    () => notifyWritten(file, written(context, inode)),
  )
}

/** lseek(2). Errors: ESPIPE for a stream, EINVAL for a result below 0, ENXIO for no data or hole, EOVERFLOW past 2^53-1. */
export function seek(context: Context, file: FileDescription, offset: number, whence: number): number {
  const { inode } = file
  if (file.isPath) throw new ErrnoError('EBADF')
  if (whence < SEEK_SET || whence > SEEK_HOLE) throw new ErrnoError('EINVAL')
  if (file.stream?.unpositioned) return 0
  if (file.stream) throw new ErrnoError('ESPIPE')
  if (whence === SEEK_END || whence === SEEK_DATA || whence === SEEK_HOLE) inode.refresh?.(context.attempt)
  let target: number
  if (whence === SEEK_SET) target = offset
  else if (whence === SEEK_CUR) target = file.offset + offset
  else if (file.content) throw new ErrnoError('EINVAL')
  else if (inode.kind === 'file' && whence === SEEK_END) target = inode.size + offset
  else if (inode.kind === 'file' && (whence === SEEK_DATA || whence === SEEK_HOLE)) {
    target = seekContent(context, inode, offset, whence === SEEK_DATA)
  } else if (inode.kind === 'directory' && whence === SEEK_END && inode.end !== undefined) target = inode.end + offset
  else throw new ErrnoError('EINVAL')
  if (target < 0) throw new ErrnoError('EINVAL')
  if (target > Number.MAX_SAFE_INTEGER) throw new ErrnoError('EOVERFLOW')
  file.offset = target
  file.content?.seeked(target)
  return target
}

function seekContent(context: Context, inode: FileInode, offset: number, data: boolean): number {
  if (offset < 0 || offset >= inode.size) throw new ErrnoError('ENXIO')
  const next = data ? inode.nextData : inode.nextHole
  // A type that knows no holes is all data, with the hole at its end: lseek(2).
  if (!next) return data ? offset : inode.size
  const found = next.call(inode, offset, context.attempt)
  if (found === undefined) throw new ErrnoError('ENXIO')
  return found
}

/** Bytes that an entry takes in a listing besides its name: the size of WASI's dirent, near to that of getdents64. */
const ENTRY_BYTES = 24

/**
 * Entries behind `cookie`, until they fill `bytes` or the directory ends: getdents(2) with the position as an argument.
 * `.` has cookie 1 and `..` cookie 2; others keep theirs for life.
 * Errors: EBADF, ENOTDIR; ENOENT in a directory that was removed.
 */
export function listDirectory(
  context: Context,
  file: FileDescription,
  cookie: number,
  bytes: number,
): DirectoryEntry[] {
  const { inode, dentry, mount } = file
  if (!file.readable) throw new ErrnoError('EBADF')
  if (inode.kind !== 'directory') throw new ErrnoError('ENOTDIR')
  if (dentry.dead) throw new ErrnoError('ENOENT')
  const found: DirectoryEntry[] = []
  let room = bytes
  const take = (entry: DirectoryEntry) => {
    found.push(entry)
    room -= ENTRY_BYTES + utf8Length(entry.name)
  }
  if (cookie < 1) take({ name: '.', ino: inode.ino, kind: 'directory', cookie: 1 })
  if (cookie < 2 && room > 0) {
    const parent = dentry.parent?.inode ?? inode
    take({ name: '..', ino: parent.ino, kind: 'directory', cookie: 2 })
  }
  const listed = (file.handle as OpenDirectory | undefined) ?? inode
  if (room > 0) listEntries(listed.entries(Math.max(cookie, 2), context.attempt), () => room > 0, take)
  if (room > 0 && mount.synthetic) listEntries(mount.synthetic.entries(dentry, cookie), () => room > 0, take)
  touchAccessTime(context, mount, inode)
  notifyFile(file, IN_ACCESS)
  return found
}

function listEntries(
  entries: Iterable<ListedEntry>,
  hasRoom: () => boolean,
  take: (entry: DirectoryEntry) => void,
): void {
  for (const entry of entries) {
    take(entry)
    if (!hasRoom()) return
  }
}
