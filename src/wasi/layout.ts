/** The records that preview1 lays out in a guest's memory (wasi_snapshot_preview1.witx): filestat, dirent, times. */
import { wasi } from '@bjorn3/browser_wasi_shim'
import { UTIME_NOW, UTIME_OMIT } from '../abi/linux.ts'
import type { DirectoryEntry, FileKind, Stat } from '../abi/syscalls.ts'
import { utf8Length } from '../abi/utf8.ts'
import type { GuestMemory } from './memory.ts'
import { filetypeOf } from './rights.ts'

export const FILESTAT_SIZE = 64
export const DIRENT_SIZE = 24
export const FDSTAT_SIZE = 24

const MASK = 0xffff_ffff_ffff_ffffn

/** Preconditions: FILESTAT_SIZE bytes fit. */
export function writeFilestat(memory: GuestMemory, at: number, stat: Stat): void {
  const { view } = memory
  memory.setU64(at, stat.dev)
  memory.setU64(at + 8, stat.ino)
  view.setUint32(at + 16, filetypeOf(stat.mode), true)
  view.setUint32(at + 20, 0, true)
  memory.setU64(at + 24, stat.nlink)
  memory.setU64(at + 32, stat.size)
  view.setBigUint64(at + 40, stat.atime & MASK, true)
  view.setBigUint64(at + 48, stat.mtime & MASK, true)
  view.setBigUint64(at + 56, stat.ctime & MASK, true)
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
