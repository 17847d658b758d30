/**
 * What a filesystem type implements: a Filesystem, and inodes that can do what their kind can do.
 *
 * The core (this folder) decides everything that is the same for all types: path meaning, mounts, permissions, read-only
 * mounts, ENOTDIR and EISDIR, sticky bits, link limits, timestamps. So a method here is called only when it may happen:
 * names are single components, valid and not `.` or `..`; a target exists or does not, as the method says.
 * An optional method that is missing means that the type cannot do it; the core answers for it (EPERM, EROFS, EOPNOTSUPP).
 *
 * A method with an `attempt` may throw WouldBlock or InFlight (waiting.ts) before it has changed anything;
 * every other method must not. Any method may throw ErrnoError('EIO'), and ENOSPC where it says so.
 */

import type { FileKind } from '../abi/syscalls.ts'
import type { Context } from './context.ts'
import type { Attempt, WaitQueue } from './waiting.ts'

/** Bits of `touch`: which timestamps to set. */
export const ATIME = 1
export const MTIME = 2
export const CTIME = 4

export interface AttributeChanges {
  /** Permission, set-id and sticky bits (07777), without the type. */
  mode?: number
  uid?: number
  gid?: number
  /** Nanoseconds since the epoch. */
  atime?: bigint
  mtime?: bigint
  ctime?: bigint
}

export interface InodeAttributes {
  readonly filesystem: Filesystem
  /** Unique in the filesystem for its life, never reused; equal after a reload where the filesystem persists. */
  readonly ino: number
  /** Type and permission bits: inode(7). */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  readonly size: number
  /** 512-byte blocks in use. */
  readonly blocks: number
  readonly rdev: number
  /** Nanoseconds since the epoch. */
  readonly atime: bigint
  readonly mtime: bigint
  readonly ctime: bigint
  readonly btime: bigint
  /** Overrides the filesystem's device number where files of one filesystem differ in it (overlay). */
  readonly dev?: number

  /** Extended attributes (xattr(7)), whole names such as `user.note`; absent where the type has none. */
  readonly xattrs?: ExtendedAttributes
  /** False, or left out, while there are certainly none: what permission checks and writes ask before they look for one. */
  readonly hasXattrs?: boolean

  /**
   * Where attributes change by themselves (FUSE), and times and set-id bits follow what is done without being told to: makes those
   * that can be read here the current ones. Errors: EACCES for who may not look; EIO, ENOTCONN.
   */
  refresh?(attempt: Attempt): void
  /** access(2) where the server decides. Errors: EACCES; those of the server. */
  access?(mask: number, attempt: Attempt): void
  /** Never called on a filesystem that is `readonly`. */
  setAttributes(changes: AttributeChanges, attempt: Attempt): void
  /** Sets the timestamps named by the bits. May be ignored on a readonly filesystem. */
  touch(which: number, now: bigint): void
  /**
   * FS_IOC_ENABLE_VERITY of ioctl(2), for what is below a directory as well; left out by types that measure nothing.
   * Errors: EEXIST for what is measured already; EROFS, ENOSPC, ENAMETOOLONG, EOPNOTSUPP.
   */
  enableVerity?(attempt: Attempt): void
  /** FS_IOC_MEASURE_VERITY: the digest; undefined for what was not measured. */
  measureVerity?(): Uint8Array | undefined
  /** A description of this inode was made; a last one went. Space of an unlinked file returns when both are gone. */
  opened?(): void
  closed?(): void
}

/** The part of a Map that extended attributes need. */
export interface ExtendedAttributes {
  get(name: string): Uint8Array | undefined
  set(name: string, value: Uint8Array): unknown
  delete(name: string): boolean
  keys(): Iterable<string>
}

/** What a new inode is to be. `mode` holds permission, set-id and sticky bits only. */
export interface NewInode {
  readonly kind: FileKind
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** For 'symlink'. */
  readonly target?: string
  /** For 'char' and 'block'. */
  readonly rdev?: number
  /** Flags of open(2), for a file that is made to be opened: `open` of the new inode follows. */
  readonly opening?: number
  /** For 'socket'. */
  readonly endpoint?: Endpoint
  /** An overlay's whiteout, which nobody changes: all of a filesystem may be one inode with many names. */
  readonly whiteout?: boolean
  /** The time to stamp the inode and its directory with. */
  readonly now: bigint
}

/** Of entries: 0 is the start of a listing, 1 and 2 are `.` and `..`. */
export const FIRST_COOKIE = 3

export interface ListedEntry {
  readonly name: string
  readonly ino: number
  readonly kind: FileKind
  /** FIRST_COOKIE or more; larger than the cookie of every entry listed before; an entry keeps its cookie for life. */
  readonly cookie: number
}

export interface DirectoryInode extends InodeAttributes {
  readonly kind: 'directory'
  lookup(name: string, attempt: Attempt): Inode | undefined
  /** Entries with a cookie greater than `after`, in the order of cookies, without `.` and `..`. */
  entries(after: number, attempt: Attempt): Iterable<ListedEntry>
  isEmpty(attempt: Attempt): boolean

  /** Whether a name that was looked up still is that inode's: for directories that change by themselves (proc). */
  isCurrent?(name: string, inode: Inode, attempt: Attempt): boolean
  /** What has no name in it can't get one: who asks for a new name hears ENOENT, before all else (proc). */
  readonly fixed?: boolean
  /** The one kind that `create` makes; any if left out. */
  readonly makes?: FileKind
  /** Where SEEK_END is: lseek(2). Left out, a directory has none. */
  readonly end?: number
  /** What an open description lists by. */
  open?(flags: number, attempt: Attempt): OpenDirectory

  /** Makes an inode under a name that is free. ENOSPC. The type updates nlink of this directory; the core its times. */
  create?(name: string, what: NewInode, attempt: Attempt): Inode
  /** A file without a name (O_TMPFILE): nlink 0 until it is linked. */
  createUnnamed?(what: NewInode, attempt: Attempt): Inode
  /** A further name, that is free, for an inode of this filesystem that is no directory. */
  link?(name: string, inode: Inode, attempt: Attempt): void
  /** Removes the name of `inode`, which is there; a directory is known to be empty. */
  unlink?(name: string, inode: Inode, attempt: Attempt): void
  /**
   * Moves `name` of this directory to `newName` of `to` (the same filesystem), in one step. `replaced` is what has that
   * name now, or undefined; it is replaced, and if it is a directory it is empty. All checks are made.
   */
  rename?(
    name: string,
    inode: Inode,
    to: DirectoryInode,
    newName: string,
    replaced: Inode | undefined,
    attempt: Attempt,
  ): void
  /** Swaps two names of this filesystem in one step. */
  exchange?(name: string, inode: Inode, to: DirectoryInode, newName: string, other: Inode, attempt: Attempt): void
}

/**
 * Bytes that can be read by position, whatever they are made of: memory, a lower layer, a Blob. Immutable unless it says otherwise.
 */
export interface PageSource {
  readonly size: number
  /** Copies exactly `length` bytes from `offset` to `memory[at…]`; the range lies inside `size`. */
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): void
}

/** The content of one open file. Its end is unknown, so it has no SEEK_END. */
export interface FileContent {
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number
  write(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number
  /** lseek(2) set the position. */
  seeked(offset: number): void
}

/**
 * What an open description has of its own where whoever serves the inode knows each of them: FUSE's file handle. What it can do is
 * asked of it instead of the inode. It ends with `release` once it was `opened`, else with the attempt that made it.
 */
export interface Handle {
  opened(): void
  release(): void
  /** close(2) of one of its descriptors, whose error it tells. */
  flush(attempt: Attempt): void
  /** fsync(2), fdatasync(2). */
  sync(dataOnly: boolean, attempt: Attempt): void
}

export interface OpenFile extends Handle {
  read: FileInode['read']
  write: NonNullable<FileInode['write']>
}

export interface OpenDirectory extends Handle {
  entries: DirectoryInode['entries']
}

export interface FileInode extends InodeAttributes {
  readonly kind: 'file'
  /** 512-byte blocks that are read from a source which was adopted, and not among `blocks`. */
  readonly borrowed?: number
  /** open(2) has found that the mode allows it. Errors: EACCES for what more there is to ask. */
  checkOpen?(context: Context, flags: number): void
  /** The file is about to be opened for writing, and may make itself ready: an overlay's is copied up. ENOSPC. */
  openForWriting?(attempt: Attempt): void
  /** Copies up to `length` bytes from `offset`; 0 at or past the end. Short only at the end of the file. */
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number
  /** Writes at `offset`, growing the file; short where space ends, ENOSPC where none is left. */
  write?(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number
  truncate?(size: number, attempt: Attempt): void
  /** fallocate(2): FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE or 0. All or nothing; ENOSPC. */
  allocate?(mode: number, offset: number, length: number, attempt: Attempt): void
  /** The first offset from `offset` on that holds data (or is a hole), or undefined for none before the end. */
  nextData?(offset: number, attempt: Attempt): number | undefined
  nextHole?(offset: number, attempt: Attempt): number | undefined
  /** Before the file is cut by O_TRUNC. */
  open?(flags: number, attempt: Attempt): OpenFile
  /** What a description reads and writes instead of the inode, where each has a content of its own (generated-file.ts). */
  content?(): FileContent
  /** Becomes the content of an immutable source without copying it. Only for a file that is empty. */
  adopt?: ((source: PageSource) => void) | undefined
  /** The whole content as an immutable source, where the type has one: an overlay refers to it instead of copying. */
  immutableSource?(attempt: Attempt): PageSource | undefined
}

export interface SymlinkInode extends InodeAttributes {
  readonly kind: 'symlink'
  /** Who reads it is left out where a link is not read by a call: its target then depends on nobody, or is ENOENT. */
  readlink(attempt: Attempt, context?: Context): string
}

/** What a socket's name leads to, bound by bind(2) (endpoints.ts). */
export interface Endpoint {
  /** The socket was closed, and what is left of it is its name. */
  readonly closed: boolean
}

/** A name for something that lives elsewhere: a device number, a pipe, an endpoint. */
export interface SpecialInode extends InodeAttributes {
  readonly kind: 'fifo' | 'socket' | 'char' | 'block'
  /** The stream of a further open file, of what is no name but what a descriptor refers to. Errors: ENXIO. */
  readonly reopen?: (flags: number) => Stream
  /** Of a socket that was bound here. */
  readonly endpoint?: Endpoint | undefined
}

export type Inode = DirectoryInode | FileInode | SymlinkInode | SpecialInode

/** What is behind a descriptor that has no position: a pipe, a terminal, a device. */
export interface Stream {
  /** Reads up to `length` bytes; 0 at the end. Throws WouldBlock, or EAGAIN if `nonblocking`, when there is nothing yet. */
  read?(memory: Uint8Array, at: number, length: number, nonblocking: boolean, attempt: Attempt): number
  write?(memory: Uint8Array, at: number, length: number, nonblocking: boolean, attempt: Attempt): number
  /** Writes several ranges as one, where it matters that they are one: see `Syscalls` on ranges. */
  writeRanges?(memory: Uint8Array, ranges: readonly number[], nonblocking: boolean, attempt: Attempt): number
  /** Which of POLLIN, POLLOUT, POLLERR, POLLHUP hold now. */
  poll(): number
  /** Woken when the answer of `poll` may have changed. */
  readonly queue: WaitQueue
  readonly isTerminal?: boolean
  /** Bytes that can be read without waiting (FIONREAD of ioctl_tty(2)); left out where nobody can tell. */
  readonly available?: number
  /** What /proc/PID/fdinfo says of it besides: whole lines. */
  readonly information?: string
  /** It takes offsets, which mean nothing to it: lseek(2) ends at 0 wherever it is sent, as for null(4). */
  readonly unpositioned?: boolean
  /** Takes locks of flock(2) and fcntl(2). */
  readonly lockable?: boolean
  /** A descriptor was closed, maybe not the last one. An error is what close(2) tells; the descriptor is gone all the same. */
  flush?(): void
  /** The last descriptor went. */
  release?(): void
}

/** statfs(2), in units of `blockSize` bytes. */
export interface FilesystemUsage {
  readonly type: number
  readonly blockSize: number
  readonly blocks: number
  readonly blocksFree: number
  readonly files: number
  readonly filesFree: number
}

/** A mounted (or mountable) filesystem instance: Linux's super block. */
export interface Filesystem {
  /** As in /proc/mounts. */
  readonly type: string
  /** The device number of its files (an anonymous minor, major 0). */
  readonly dev: number
  readonly root: Inode
  /** Nothing in it can change through any mount. */
  readonly readonly: boolean
  /** It is there though nothing shows it: the type answers every mount with it. It is never released. */
  readonly enduring?: boolean
  /** Its files take no locks: flock(2) and fcntl(2) answer ENOLCK. */
  readonly lockless?: boolean
  /** Whoever serves it decides who may do what: permission bits forbid nothing here (FUSE without default_permissions). */
  readonly decides?: boolean
  /** Longest name in bytes of UTF-8; 255 if left out. */
  readonly nameMax?: number
  /** Most hard links to one file; 2^31-1 if left out. */
  readonly linkMax?: number
  /** The options as /proc/mounts shows them behind ro/rw, such as `size=1024k,mode=755`. */
  readonly options?: string
  usage(attempt?: Attempt): FilesystemUsage
  /** Makes everything durable; throws WouldBlock until it is. Nothing to do if left out. */
  sync?(attempt: Attempt): void
  /** The last mount and the last open file are gone. */
  release?(): void
}
