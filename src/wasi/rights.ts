/**
 * WASI's rights, and what a guest's edge remembers of each descriptor: rights, file type, preopened name.
 * The kernel knows none of it.
 *
 * Invariant: rights only ever shrink. `granted[fd]` holds no right that the guest lacks; a descriptor that has not
 * been looked at yet may have more, so a missing bit is looked up before it is refused.
 * Rights fit 30 bits and are plain numbers here.
 */
import { wasi } from '@bjorn3/browser_wasi_shim'
import {
  O_ACCMODE,
  O_RDONLY,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../abi/linux.ts'
import type { Stat, Syscalls } from '../abi/syscalls.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import { majorOf } from '../vfs/kinds.ts'
import { E } from './errno.ts'

/** Every right that preview1 names; bit 29 is sock_accept. */
export const ALL_RIGHTS = 0x3fff_ffff

const CHANGE_DATA =
  wasi.RIGHTS_FD_WRITE | wasi.RIGHTS_FD_ALLOCATE | wasi.RIGHTS_FD_FILESTAT_SET_SIZE | wasi.RIGHTS_FD_DATASYNC
const SEEKING = wasi.RIGHTS_FD_SEEK | wasi.RIGHTS_FD_TELL
const ANY_KIND =
  wasi.RIGHTS_FD_DATASYNC |
  wasi.RIGHTS_FD_READ |
  wasi.RIGHTS_FD_FDSTAT_SET_FLAGS |
  wasi.RIGHTS_FD_SYNC |
  wasi.RIGHTS_FD_ADVISE |
  wasi.RIGHTS_FD_FILESTAT_GET |
  wasi.RIGHTS_FD_FILESTAT_SET_TIMES |
  wasi.RIGHTS_POLL_FD_READWRITE
const CHANGE_TREE =
  wasi.RIGHTS_PATH_CREATE_DIRECTORY |
  wasi.RIGHTS_PATH_CREATE_FILE |
  wasi.RIGHTS_PATH_LINK_SOURCE |
  wasi.RIGHTS_PATH_LINK_TARGET |
  wasi.RIGHTS_PATH_RENAME_SOURCE |
  wasi.RIGHTS_PATH_RENAME_TARGET |
  wasi.RIGHTS_PATH_FILESTAT_SET_SIZE |
  wasi.RIGHTS_PATH_FILESTAT_SET_TIMES |
  wasi.RIGHTS_PATH_SYMLINK |
  wasi.RIGHTS_PATH_REMOVE_DIRECTORY |
  wasi.RIGHTS_PATH_UNLINK_FILE

/** What a directory's descriptor can be good for. Reading is among it: the kernel answers EISDIR, as Linux does. */
export const DIRECTORY_RIGHTS =
  ANY_KIND |
  CHANGE_TREE |
  wasi.RIGHTS_PATH_OPEN |
  wasi.RIGHTS_FD_READDIR |
  wasi.RIGHTS_PATH_READLINK |
  wasi.RIGHTS_PATH_FILESTAT_GET
/** What a seekable file's descriptor can be good for. */
export const FILE_RIGHTS = ANY_KIND | CHANGE_DATA | SEEKING
/** Pipes and terminals: libc takes a character device without the right to seek for a terminal (isatty(3)). */
export const STREAM_RIGHTS = FILE_RIGHTS & ~SEEKING
/** What the kernel may be asked of a descriptor whose kind is not known yet: it answers for the kinds that cannot. */
const UNKNOWN_KIND = FILE_RIGHTS & ~(wasi.RIGHTS_FD_ALLOCATE | wasi.RIGHTS_FD_FILESTAT_SET_SIZE)
const CHANGES = CHANGE_DATA | CHANGE_TREE | wasi.RIGHTS_FD_FILESTAT_SET_TIMES

/** Rights from a guest's u64; bits that name nothing count for nothing. */
export const rightsOf = (bits: bigint): number => Number(BigInt.asUintN(32, bits)) & ALL_RIGHTS

/** A directory that a guest is started with. */
export interface Preopen {
  readonly fd: number
  /** The path that the guest knows it by. */
  readonly name: string
  /** It is the container's own root: absolute symlink targets mean something there. */
  readonly root?: boolean
  /** The guest lacks the rights to change anything below; EROFS, in contrast, is what a read-only mount answers. */
  readonly readOnly?: boolean
}

/** The WASI file type of a mode. A FIFO has none of its own (row A380). */
export function filetypeOf(mode: number): number {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return wasi.FILETYPE_REGULAR_FILE
    case S_IFDIR:
      return wasi.FILETYPE_DIRECTORY
    case S_IFLNK:
      return wasi.FILETYPE_SYMBOLIC_LINK
    case S_IFCHR:
      return wasi.FILETYPE_CHARACTER_DEVICE
    case S_IFBLK:
      return wasi.FILETYPE_BLOCK_DEVICE
    case S_IFSOCK:
      return wasi.FILETYPE_SOCKET_STREAM
    default:
      return wasi.FILETYPE_UNKNOWN
  }
}

/** Majors of terminals (Linux, admin-guide/devices.txt): 4 and 5 consoles, 136 to 143 pseudo-terminals; 0 has no driver but ours. */
function isTerminal(stat: Stat): boolean {
  const major = majorOf(stat.rdev)
  return major === 0 || major === 4 || major === 5 || (major >= 136 && major <= 143)
}

function rightsOfKind(stat: Stat, filetype: number): number {
  if (filetype === wasi.FILETYPE_DIRECTORY) return DIRECTORY_RIGHTS
  if (filetype === wasi.FILETYPE_REGULAR_FILE || filetype === wasi.FILETYPE_BLOCK_DEVICE) return FILE_RIGHTS
  return filetype === wasi.FILETYPE_CHARACTER_DEVICE && !isTerminal(stat) ? FILE_RIGHTS : STREAM_RIGHTS
}

/** What is remembered of one descriptor. */
interface Note {
  /** Rights that path_open was asked for; undefined for a descriptor that the guest was started with. */
  readonly requested: number | undefined
  inheriting: number
  /** Absolute symlink targets may be made below it. */
  readonly root: boolean
  /** Known once it was looked at. */
  filetype: number | undefined
  preopen: Uint8Array | undefined
}

export class Descriptors {
  /** Rights known to be held, by descriptor; the hot path's table. */
  readonly granted: number[] = []
  readonly #notes: (Note | undefined)[] = []
  readonly #syscalls: Syscalls

  constructor(syscalls: Syscalls, preopens: readonly Preopen[]) {
    this.#syscalls = syscalls
    for (const { fd, name, root = false, readOnly = false } of preopens) {
      const inheriting = readOnly ? ALL_RIGHTS & ~CHANGES : ALL_RIGHTS
      this.granted[fd] = DIRECTORY_RIGHTS & inheriting
      const filetype = wasi.FILETYPE_DIRECTORY
      this.#notes[fd] = { requested: undefined, inheriting, root, filetype, preopen: encodeUtf8(name) }
    }
  }

  /** 0 if the descriptor has these rights; else EBADF (thrown by the kernel) or ENOTCAPABLE. */
  check(fd: number, rights: number): number {
    if ((this.granted[fd]! & rights) === rights) return 0
    this.#look(fd)
    return (this.granted[fd]! & rights) === rights ? 0 : E.ENOTCAPABLE
  }

  /** Whether anything is remembered of a descriptor: not before it is first asked about, nor once it is closed. */
  has(fd: number): boolean {
    return this.#notes[fd] !== undefined
  }

  /** Errors: EBADF. */
  filetype(fd: number): number {
    return this.#look(fd).filetype!
  }

  inheriting(fd: number): number {
    return this.#look(fd).inheriting
  }

  /** The name that a preopened directory was given, in UTF-8. */
  preopen(fd: number): Uint8Array | undefined {
    return this.#notes[fd]?.preopen
  }

  /** Whether the descriptor was reached from the container's root. */
  root(fd: number): boolean {
    return this.#notes[fd]?.root ?? false
  }

  opened(fd: number, from: number, rights: number, inheriting: number, isDirectory: boolean): void {
    this.granted[fd] = rights & (isDirectory ? DIRECTORY_RIGHTS : UNKNOWN_KIND)
    const filetype = isDirectory ? wasi.FILETYPE_DIRECTORY : undefined
    this.#notes[fd] = { requested: rights, inheriting, root: this.root(from), filetype, preopen: undefined }
  }

  forget(fd: number): void {
    if (this.#notes[fd] === undefined) return
    this.granted[fd] = 0
    this.#notes[fd] = undefined
  }

  renumbered(from: number, to: number): void {
    if (from === to) return
    this.granted[to] = this.granted[from] ?? 0
    this.#notes[to] = this.#notes[from]
    this.forget(from)
  }

  /** Errors: EBADF, ENOTCAPABLE where a right would be gained. */
  shrink(fd: number, rights: number, inheriting: number): number {
    const note = this.#look(fd)
    if ((rights & ~this.granted[fd]!) !== 0 || (inheriting & ~note.inheriting) !== 0) return E.ENOTCAPABLE
    this.granted[fd] = rights
    note.inheriting = inheriting
    return 0
  }

  /** Learns a descriptor's kind, which narrows what it was asked for to what it can be good for. */
  #look(fd: number): Note {
    let note = this.#notes[fd]
    if (note?.filetype !== undefined) return note
    const stat = this.#syscalls.fstat(fd)
    const filetype = filetypeOf(stat.mode)
    const kind = rightsOfKind(stat, filetype)
    if (note === undefined) {
      const access = filetype === wasi.FILETYPE_DIRECTORY ? O_RDONLY : this.#syscalls.getfl(fd) & O_ACCMODE
      let granted = kind
      if (access === O_RDONLY) granted &= ~CHANGE_DATA
      if (access === O_WRONLY) granted &= ~wasi.RIGHTS_FD_READ
      const inheriting = filetype === wasi.FILETYPE_DIRECTORY ? ALL_RIGHTS : 0
      note = { requested: undefined, inheriting, root: false, filetype, preopen: undefined }
      this.granted[fd] = granted
      this.#notes[fd] = note
    } else {
      note.filetype = filetype
      this.granted[fd] = note.requested! & kind
    }
    return note
  }
}
