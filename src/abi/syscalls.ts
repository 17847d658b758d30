/**
 * The system calls that a guest's edge is written against: Linux-shaped calls on strings, plain numbers, bigint times
 * and byte ranges. A kernel Task implements them; the guest's end of a channel implements them remotely.
 *
 * Invariant: a call either does all it says and returns, or throws ErrnoError and has done nothing but its Attempt's
 * bookkeeping, or throws WouldBlock (kernel side only) and will be made again with the same arguments.
 *
 * Paths are strings that decoded from valid UTF-8. `dirfd` is a directory's descriptor or AT_FDCWD. Offsets and sizes
 * are non-negative integers up to 2^53-1. Data moves between the file and ranges of one byte array `memory`: `ranges`
 * is start, length, start, length, …, checked by the caller to lie inside `memory`; it is the iovec of readv(2),
 * without an object for each.
 */

/** stat(2) as the kernel tells it. Times are nanoseconds since the epoch. */
export interface Stat {
  readonly dev: number
  readonly ino: number
  /** Type and permission bits (S_IFMT included). */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
  readonly size: number
  readonly blksize: number
  /** In units of 512 bytes. */
  readonly blocks: number
  readonly atime: bigint
  readonly mtime: bigint
  readonly ctime: bigint
  readonly btime: bigint
}

/** What a directory listing says of a file's kind, as inode(7) names the types. */
export type FileKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'char' | 'block'

export interface DirectoryEntry {
  readonly name: string
  readonly ino: number
  readonly kind: FileKind
  /** Where a listing goes on behind this entry. */
  readonly cookie: number
}

/** A descriptor to wait for, and what for: POLLIN, POLLOUT (poll(2)). */
export interface PollRequest {
  readonly fd: number
  readonly events: number
}

export interface Syscalls {
  /** openat(2). Returns the smallest free descriptor. */
  openat(dirfd: number, path: string, flags: number, mode: number): number
  close(fd: number): void
  readv(fd: number, memory: Uint8Array, ranges: readonly number[]): number
  preadv(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number
  writev(fd: number, memory: Uint8Array, ranges: readonly number[]): number
  pwritev(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number
  /** lseek(2); the offset may be negative for SEEK_CUR and SEEK_END. */
  lseek(fd: number, offset: number, whence: number): number
  fstat(fd: number): Stat
  /** Flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_NO_AUTOMOUNT (nothing is mounted by itself: no effect). */
  fstatat(dirfd: number, path: string, flags: number): Stat
  /**
   * fstatat(2), but undefined where a name of the path is missing: the one failure that programs provoke by the thousand,
   * and a throw costs more than the walk. Where it is left out, fstatat says it all.
   */
  statIfThere?(dirfd: number, path: string, flags: number): Stat | undefined
  /**
   * Entries behind `cookie` (0: from the start, `.` and `..` first), until 24 bytes and the UTF-8 name of each together
   * reach `bytes` or the directory ends. Neither uses nor moves the descriptor's own position.
   */
  getdents(fd: number, cookie: number, bytes: number): readonly DirectoryEntry[]
  mkdirat(dirfd: number, path: string, mode: number): void
  /** Flags: AT_REMOVEDIR. */
  unlinkat(dirfd: number, path: string, flags: number): void
  /** Flags: RENAME_NOREPLACE, RENAME_EXCHANGE. */
  renameat2(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void
  /** Flags: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
  linkat(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void
  symlinkat(target: string, dirfd: number, path: string): void
  readlinkat(dirfd: number, path: string): string
  ftruncate(fd: number, size: number): void
  /** Mode: FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, or 0. */
  fallocate(fd: number, mode: number, offset: number, length: number): void
  fsync(fd: number): void
  fdatasync(fd: number): void
  /** Times in nanoseconds since the epoch, or UTIME_NOW, UTIME_OMIT. Flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
  utimensat(dirfd: number, path: string, atime: bigint, mtime: bigint, flags: number): void
  fchmodat(dirfd: number, path: string, mode: number, flags: number): void
  /** An id of -1 stays as it is. */
  fchownat(dirfd: number, path: string, uid: number, gid: number, flags: number): void
  /** Mode: 0 or R_OK, W_OK, X_OK. Flags: AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
  faccessat(dirfd: number, path: string, mode: number, flags: number): void
  /** F_GETFL of fcntl(2): access mode and status flags. */
  getfl(fd: number): number
  /** F_SETFL: O_APPEND, O_NONBLOCK, O_NOATIME, O_DIRECT may change, other bits are ignored. O_DSYNC and O_SYNC are kept, as WASI has them settable. */
  setfl(fd: number, flags: number): void
  /** Moves a descriptor onto another open one, which is closed. */
  renumber(from: number, to: number): void
  /**
   * poll(2). Gives the events of each request that are ready, or 0; waits until one is or `deadline` (nanoseconds
   * of the monotonic clock; undefined: for ever) has passed. An unknown descriptor is POLLNVAL.
   */
  poll(requests: readonly PollRequest[], deadline: bigint | undefined): readonly number[]
  /**
   * Kernel side only: a call that threw WouldBlock before has now returned, failed, or been given up, and what was held
   * for it is let go. Whoever catches WouldBlock calls it, once, after the last try.
   */
  settle?(): void
}
