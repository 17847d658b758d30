/** The records that WASI lays out in a guest's memory: filestat, dirent, times; and in what its two versions differ. */
import { wasi } from '@bjorn3/browser_wasi_shim'
import { SEEK_CUR, SEEK_END, SEEK_SET, UTIME_NOW, UTIME_OMIT } from '../abi/linux.ts'
import type { DirectoryEntry, FileKind, Stat } from '../abi/syscalls.ts'
import { utf8Length } from '../abi/utf8.ts'
import type { GuestMemory } from './memory.ts'
import { filetypeOf } from './rights.ts'

/** What a version of WASI lays out, or numbers, in a way of its own; all else is the same in both. */
export interface Layout {
  /** Where programs import its functions from. */
  readonly module: string
  /** Of lseek(2), by fd_seek's number; and what the table calls that parameter. */
  readonly whences: readonly number[]
  readonly whence: 'whence' | 'draft_whence'
  readonly filestatSize: number
  /** Preconditions: `filestatSize` bytes fit. */
  writeFilestat(memory: GuestMemory, at: number, stat: Stat): void
  readonly subscriptionSize: number
  /** Where in a subscription a clock's id lies, the record's first; timeout, precision and flags follow. */
  readonly clockAt: number
}

/** wasi_snapshot_preview1.witx. */
export const PREVIEW1: Layout = {
  module: 'wasi_snapshot_preview1',
  whences: [SEEK_SET, SEEK_CUR, SEEK_END],
  whence: 'whence',
  filestatSize: 64,
  writeFilestat(memory, at, stat) {
    writeFileId(memory, at, stat)
    memory.view.setUint32(at + 20, 0, true)
    memory.setU64(at + 24, stat.nlink)
    writeSizeAndTimes(memory, at + 32, stat)
  },
  subscriptionSize: 48,
  clockAt: 16,
}

/** wasi_unstable.witx, snapshot 0 of WASI: its links have 32 bits, and before a clock's id stands one more word for the program. */
export const UNSTABLE: Layout = {
  module: 'wasi_unstable',
  whences: [SEEK_CUR, SEEK_END, SEEK_SET],
  whence: 'draft_whence',
  filestatSize: 56,
  writeFilestat(memory, at, stat) {
    writeFileId(memory, at, stat)
    memory.view.setUint32(at + 20, stat.nlink, true)
    writeSizeAndTimes(memory, at + 24, stat)
  },
  subscriptionSize: 56,
  clockAt: 24,
}

/** Both, by the module that they are imported from. */
export const LAYOUTS: ReadonlyMap<string, Layout> = new Map(
  [PREVIEW1, UNSTABLE].map((layout) => [layout.module, layout]),
)

export const DIRENT_SIZE = 24
export const FDSTAT_SIZE = 24

const MASK = 0xffff_ffff_ffff_ffffn

function writeFileId(memory: GuestMemory, at: number, stat: Stat): void {
  memory.setU64(at, stat.dev)
  memory.setU64(at + 8, stat.ino)
  memory.view.setUint32(at + 16, filetypeOf(stat.mode), true)
}

function writeSizeAndTimes(memory: GuestMemory, at: number, stat: Stat): void {
  const { view } = memory
  memory.setU64(at, stat.size)
  view.setBigUint64(at + 8, stat.atime & MASK, true)
  view.setBigUint64(at + 16, stat.mtime & MASK, true)
  view.setBigUint64(at + 24, stat.ctime & MASK, true)
}

const filetypes: Readonly<Record<FileKind, number>> = {
  file: wasi.FILETYPE_REGULAR_FILE,
  directory: wasi.FILETYPE_DIRECTORY,
  symlink: wasi.FILETYPE_SYMBOLIC_LINK,
  char: wasi.FILETYPE_CHARACTER_DEVICE,
  block: wasi.FILETYPE_BLOCK_DEVICE,
  socket: wasi.FILETYPE_SOCKET_STREAM,
  fifo: wasi.FILETYPE_UNKNOWN,
}

export const filetypeOfKind = (kind: FileKind): number => filetypes[kind]

/**
 * Writes entries behind each other into `length` bytes, the last one cut where they end; gives the bytes used.
 * Preconditions: `length` bytes fit.
 */
export function writeDirents(
  memory: GuestMemory,
  at: number,
  length: number,
  entries: readonly DirectoryEntry[],
): number {
  const { view } = memory
  const end = at + length
  for (const { name, ino, kind, cookie } of entries) {
    const room = end - at
    if (room < DIRENT_SIZE) {
      writeCutHead(memory, at, room, name, ino, kind, cookie)
      return length
    }
    memory.setU64(at, cookie)
    memory.setU64(at + 8, ino)
    const written = memory.setText(at + DIRENT_SIZE, room - DIRENT_SIZE, name)
    const whole = written < room - DIRENT_SIZE ? written : utf8Length(name)
    view.setUint32(at + 16, whole, true)
    view.setUint32(at + 20, filetypes[kind], true)
    at += DIRENT_SIZE + written
    if (at === end) return length
  }
  return length - (end - at)
}

function writeCutHead(
  memory: GuestMemory,
  at: number,
  room: number,
  name: string,
  ino: number,
  kind: FileKind,
  cookie: number,
): void {
  const head = new DataView(new ArrayBuffer(DIRENT_SIZE))
  head.setBigUint64(0, BigInt(cookie), true)
  head.setBigUint64(8, BigInt(ino), true)
  head.setUint32(16, utf8Length(name), true)
  head.setUint32(20, filetypes[kind], true)
  memory.setBytes(at, room, new Uint8Array(head.buffer))
}

const ALL_FSTFLAGS = wasi.FSTFLAGS_ATIM | wasi.FSTFLAGS_ATIM_NOW | wasi.FSTFLAGS_MTIM | wasi.FSTFLAGS_MTIM_NOW

/** Time arguments as utimensat takes them; undefined for unknown flags and for a time both given and "now" (row A374). */
export function timesOf(atim: bigint, mtim: bigint, flags: number): { atime: bigint; mtime: bigint } | undefined {
  if ((flags & ~ALL_FSTFLAGS) !== 0) return undefined
  const atime = timeOf(atim, flags & wasi.FSTFLAGS_ATIM, flags & wasi.FSTFLAGS_ATIM_NOW)
  const mtime = timeOf(mtim, flags & wasi.FSTFLAGS_MTIM, flags & wasi.FSTFLAGS_MTIM_NOW)
  return atime === undefined || mtime === undefined ? undefined : { atime, mtime }
}

function timeOf(time: bigint, given: number, now: number): bigint | undefined {
  if (given) return now ? undefined : BigInt.asUintN(64, time)
  return now ? UTIME_NOW : UTIME_OMIT
}
