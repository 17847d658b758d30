/**
 * The calls of `container.fs`, made of system calls. What node:fs does in several calls (readFile, a recursive mkdir, rm)
 * is done here, so that the page asks once.
 *
 * Always true: each system call is an operation of its own, which may wait and be made again; between two of them the
 * files may change under us, as they may for a program. A descriptor opened here is closed here, whatever fails.
 * An error carries the `syscall`, `path` and `dest` that node:fs (v20) would report.
 */

import { ErrnoError, type ErrorPlace } from '../abi/errno.ts'
import { toHex } from '../abi/hex.ts'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from '../abi/linux.ts'
import type { DirectoryEntry, FileKind, Stat, Syscalls } from '../abi/syscalls.ts'
import type { Answers, FileCalls, WireDirent } from '../abi/wire.ts'

/** Runs one system call to its end, over as many restarts as it takes. */
export type Run = <T>(operation: (syscalls: HostSyscalls) => T) => Promise<T>

/** With the calls that a guest has not. */
export interface HostSyscalls extends Syscalls {
  /** sync(2), of all filesystems. */
  sync(): void
  mknodat(dirfd: number, path: string, kind: FileKind, mode: number): void
  enableVerity(fd: number): void
  measureVerity(fd: number, digest: Uint8Array): number
}

/** The most that one read or write moves. */
const PIECE = 1 << 20
/** Bytes of directory entries asked for at a time. */
const LISTING = 1 << 16
/** How many symbolic links one path may lead through: path_resolution(7). */
const MAX_LINKS = 40
const PERMISSIONS = 0o7777

export class Files implements Answers<FileCalls> {
  readonly #run: Run

  /** `run` works in the container's own view of files, its working directory being `/`. */
  constructor(run: Run) {
    this.#run = run
  }

  open(path: string, flags: number, mode: number): Promise<number> {
    return this.#open({ syscall: 'open', path }, path, flags, mode)
  }

  close(fd: number): Promise<void> {
    return this.#call({ syscall: 'close' }, (syscalls) => syscalls.close(fd))
  }

  async read(fd: number, length: number, position: number | null): Promise<Uint8Array> {
    const place = { syscall: 'read' }
    const bytes = buffer(checkSize(length, place), place)
    let filled = 0
    for (;;) {
      const asked = Math.min(length - filled, PIECE)
      const at = position === null ? null : position + filled
      const count = await this.#readInto(place, fd, bytes, filled, asked, at)
      filled += count
      // Less than was asked for: the end, or all that is there now.
      if (count < asked || filled === length) return filled === length ? bytes : bytes.slice(0, filled)
    }
  }

  async write(fd: number, bytes: Uint8Array, position: number | null): Promise<number> {
    const place = { syscall: 'write' }
    if (position !== null) checkSize(position, place)
    await this.#writeAll(place, fd, bytes, bytes.length, position)
    return bytes.length
  }

  fstat(fd: number): Promise<Stat> {
    return this.#call({ syscall: 'fstat' }, (syscalls) => syscalls.fstat(fd))
  }

  ftruncate(fd: number, size: number): Promise<void> {
    const place = { syscall: 'ftruncate' }
    return this.#call(place, (syscalls) => syscalls.ftruncate(fd, checkSize(size, place)))
  }

  fsync(fd: number): Promise<void> {
    return this.#call({ syscall: 'fsync' }, (syscalls) => syscalls.fsync(fd))
  }

  fdatasync(fd: number): Promise<void> {
    return this.#call({ syscall: 'fdatasync' }, (syscalls) => syscalls.fdatasync(fd))
  }

  sync(): Promise<void> {
    return this.#call({ syscall: 'sync' }, (syscalls) => syscalls.sync())
  }

  futimes(fd: number, atime: bigint, mtime: bigint): Promise<void> {
    return this.#call({ syscall: 'futime' }, (syscalls) => syscalls.utimensat(fd, '', atime, mtime, AT_EMPTY_PATH))
  }

  fchmod(fd: number, mode: number): Promise<void> {
    return this.#call({ syscall: 'fchmod' }, (syscalls) => syscalls.fchmodat(fd, '', mode & PERMISSIONS, AT_EMPTY_PATH))
  }

  async readFile(path: string): Promise<Uint8Array> {
    return this.#opened({ syscall: 'open', path }, path, O_RDONLY, 0, (fd) => this.#readAll(fd))
  }

  async writeFile(path: string, bytes: Uint8Array, flags: number, mode: number): Promise<void> {
    await this.#opened({ syscall: 'open', path }, path, flags, mode, (fd) =>
      this.#writeAll({ syscall: 'write' }, fd, bytes, bytes.length, null),
    )
  }

  /** Recursive: gives the first directory that had to be made; a directory that is there already is no error. */
  async mkdir(path: string, mode: number, recursive: boolean): Promise<string | undefined> {
    const make = (directory: string) =>
      this.#call({ syscall: 'mkdir', path: directory }, (syscalls) =>
        syscalls.mkdirat(AT_FDCWD, wellFormed(directory), mode & PERMISSIONS),
      )
    if (!recursive) {
      await make(path)
      return undefined
    }
    let first: string | undefined
    let downward = false
    const missing = [path === '' ? '' : withoutSlash(path) || '/']
    while (missing.length > 0) {
      const directory = missing.at(-1)!
      try {
        await make(directory)
        first ??= directory
      } catch (error) {
        const parent = parentOf(directory)
        // ENOENT below a directory that is there means that nothing can be made in it, as in /proc.
        if (codeOf(error) === 'ENOENT' && parent !== undefined && !downward) {
          missing.push(parent)
          continue
        }
        if (codeOf(error) !== 'EEXIST' || !(await this.#isDirectory(directory, missing.length > 1))) throw error
      }
      downward = true
      missing.pop()
    }
    return first
  }

  rmdir(path: string): Promise<void> {
    return this.#remove('rmdir', path, AT_REMOVEDIR)
  }

  /** In the directory's own order, without `.` and `..`; recursive: level by level, not through symbolic links. */
  async readdir(path: string, recursive: boolean): Promise<WireDirent[]> {
    const found: WireDirent[] = []
    const parents = ['']
    for (const parent of parents) {
      const at = parent === '' ? path : `${withoutSlash(path)}/${parent}`
      for (const { name, kind } of await this.#list(at)) {
        found.push({ name, kind, parent })
        if (recursive && kind === 'directory') parents.push(parent === '' ? name : `${parent}/${name}`)
      }
    }
    return found
  }

  stat(path: string): Promise<Stat> {
    return this.#stat({ syscall: 'stat', path }, path, 0)
  }

  lstat(path: string): Promise<Stat> {
    return this.#stat({ syscall: 'lstat', path }, path, AT_SYMLINK_NOFOLLOW)
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call({ syscall: 'rename', path: from, dest: to }, (syscalls) =>
      syscalls.renameat2(AT_FDCWD, wellFormed(from), AT_FDCWD, wellFormed(to), 0),
    )
  }

  async copyFile(from: string, to: string, exclusive: boolean): Promise<void> {
    const place = { syscall: 'copyfile', path: from, dest: to }
    await this.#opened(place, from, O_RDONLY, 0, async (source) => {
      const stat = await this.#call(place, (syscalls) => syscalls.fstat(source))
      if (isDirectory(stat)) throw at(new ErrnoError('EISDIR'), place)
      const flags = O_WRONLY | O_CREAT | (exclusive ? O_EXCL : 0)
      await this.#opened(place, to, flags, stat.mode & PERMISSIONS, async (target) => {
        const old = await this.#call(place, (syscalls) => syscalls.fstat(target))
        if (old.dev === stat.dev && old.ino === stat.ino) return
        await this.#call(place, (syscalls) => syscalls.ftruncate(target, 0))
        await this.#call(place, (syscalls) => syscalls.fchmodat(target, '', stat.mode & PERMISSIONS, AT_EMPTY_PATH))
        const piece = new Uint8Array(Math.min(PIECE, Math.max(stat.size, 4096)))
        for (;;) {
          const count = await this.#readInto(place, source, piece, 0, piece.length, null)
          if (count === 0) return
          await this.#writeAll(place, target, piece, count, null)
        }
      })
    })
  }

  unlink(path: string): Promise<void> {
    return this.#remove('unlink', path, 0)
  }

  /** Does not follow symbolic links; what someone else removes meanwhile is no error. */
  async rm(path: string, recursive: boolean, force: boolean): Promise<void> {
    let stat: Stat
    try {
      stat = await this.lstat(path)
    } catch (error) {
      if (force && codeOf(error) === 'ENOENT') return
      throw error
    }
    if (!isDirectory(stat)) return this.unlink(path)
    if (!recursive) throw isDirectoryError(path)

    const stack = [{ path, listed: false }]
    while (stack.length > 0) {
      const top = stack.at(-1)!
      if (top.listed) {
        await unlessGone(this.rmdir(top.path))
        stack.pop()
        continue
      }
      top.listed = true
      for (const { name, kind } of (await unlessGone(this.#list(top.path))) ?? []) {
        const entry = `${withoutSlash(top.path)}/${name}`
        if (kind === 'directory') stack.push({ path: entry, listed: false })
        else await unlessGone(this.unlink(entry))
      }
    }
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#call({ syscall: 'symlink', path: target, dest: path }, (syscalls) =>
      syscalls.symlinkat(wellFormed(target), AT_FDCWD, wellFormed(path)),
    )
  }

  mkfifo(path: string, mode: number): Promise<void> {
    return this.#call({ syscall: 'mkfifo', path }, (syscalls) =>
      syscalls.mknodat(AT_FDCWD, wellFormed(path), 'fifo', mode & PERMISSIONS),
    )
  }

  enableVerity(path: string): Promise<string> {
    const place = { syscall: 'ioctl', path }
    return this.#opened(place, path, O_RDONLY, 0, async (fd) => {
      await this.#call(place, (syscalls) => syscalls.enableVerity(fd))
      const digest = new Uint8Array(32)
      await this.#call(place, (syscalls) => syscalls.measureVerity(fd, digest))
      return toHex(digest)
    })
  }

  readlink(path: string): Promise<string> {
    return this.#readlink({ syscall: 'readlink', path }, path)
  }

  link(from: string, to: string): Promise<void> {
    return this.#call({ syscall: 'link', path: from, dest: to }, (syscalls) =>
      syscalls.linkat(AT_FDCWD, wellFormed(from), AT_FDCWD, wellFormed(to), 0),
    )
  }

  utimes(path: string, atime: bigint, mtime: bigint, follow: boolean): Promise<void> {
    return this.#call({ syscall: follow ? 'utime' : 'lutime', path }, (syscalls) =>
      syscalls.utimensat(AT_FDCWD, wellFormed(path), atime, mtime, follow ? 0 : AT_SYMLINK_NOFOLLOW),
    )
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#call({ syscall: 'chmod', path }, (syscalls) =>
      syscalls.fchmodat(AT_FDCWD, wellFormed(path), mode & PERMISSIONS, 0),
    )
  }

  chown(path: string, uid: number, gid: number, follow: boolean): Promise<void> {
    return this.#call({ syscall: follow ? 'chown' : 'lchown', path }, (syscalls) =>
      syscalls.fchownat(AT_FDCWD, wellFormed(path), uid, gid, follow ? 0 : AT_SYMLINK_NOFOLLOW),
    )
  }

  async truncate(path: string, size: number): Promise<void> {
    await this.#opened({ syscall: 'open', path }, path, O_WRONLY, 0, (fd) => this.ftruncate(fd, size))
  }

  access(path: string, mode: number): Promise<void> {
    return this.#call({ syscall: 'access', path }, (syscalls) =>
      syscalls.faccessat(AT_FDCWD, wellFormed(path), mode, 0),
    )
  }

  async realpath(path: string): Promise<string> {
    const place = { syscall: 'realpath', path }
    if (path === '') throw at(new ErrnoError('ENOENT'), place)
    const ahead = path.split('/').reverse()
    let names: string[] = []
    let links = 0
    while (ahead.length > 0) {
      const name = ahead.pop()!
      if (name === '..') names.pop()
      if (name === '' || name === '.' || name === '..') continue
      const here = `/${[...names, name].join('/')}`
      const stat = await this.#stat(place, here, AT_SYMLINK_NOFOLLOW)
      if ((stat.mode & S_IFMT) === S_IFLNK) {
        if (++links > MAX_LINKS) throw at(new ErrnoError('ELOOP'), place)
        const target = await this.#readlink(place, here)
        if (target.startsWith('/')) names = []
        ahead.push(...target.split('/').reverse())
      } else if (ahead.length > 0 && !isDirectory(stat)) {
        throw at(new ErrnoError('ENOTDIR'), place)
      } else {
        names.push(name)
      }
    }
    return `/${names.join('/')}`
  }

  /** One system call; its error says what it was for. */
  async #call<T>(place: ErrorPlace, operation: (syscalls: HostSyscalls) => T): Promise<T> {
    try {
      return await this.#run(operation)
    } catch (error) {
      throw error instanceof ErrnoError ? at(error, place) : error
    }
  }

  #open(place: ErrorPlace, path: string, flags: number, mode: number): Promise<number> {
    return this.#call(place, (syscalls) => syscalls.openat(AT_FDCWD, wellFormed(path), flags, mode & PERMISSIONS))
  }

  /** Opens for as long as `use` takes. The error of `use` goes before that of close. */
  async #opened<T>(
    place: ErrorPlace,
    path: string,
    flags: number,
    mode: number,
    use: (fd: number) => Promise<T>,
  ): Promise<T> {
    const fd = await this.#open(place, path, flags, mode)
    let result: T
    try {
      result = await use(fd)
    } catch (error) {
      await this.close(fd).catch(() => {})
      throw error
    }
    await this.close(fd)
    return result
  }

  #stat(place: ErrorPlace, path: string, flags: number): Promise<Stat> {
    return this.#call(place, (syscalls) => syscalls.fstatat(AT_FDCWD, wellFormed(path), flags))
  }

  #readlink(place: ErrorPlace, path: string): Promise<string> {
    return this.#call(place, (syscalls) => syscalls.readlinkat(AT_FDCWD, wellFormed(path)))
  }

  #remove(syscall: string, path: string, flags: number): Promise<void> {
    return this.#call({ syscall, path }, (syscalls) => syscalls.unlinkat(AT_FDCWD, wellFormed(path), flags))
  }

  /** Whether a path that cannot be made is a directory already; one on the way to another must be one. */
  async #isDirectory(path: string, onTheWay: boolean): Promise<boolean> {
    const place = { syscall: 'mkdir', path }
    let is = false
    try {
      is = isDirectory(await this.#stat(place, path, 0))
    } catch (error) {
      if (!onTheWay) throw error
    }
    if (!is && onTheWay) throw at(new ErrnoError('ENOTDIR'), place)
    return is
  }

  async #list(path: string): Promise<DirectoryEntry[]> {
    const place = { syscall: 'scandir', path }
    return this.#opened(place, path, O_RDONLY | O_DIRECTORY, 0, async (fd) => {
      const all: DirectoryEntry[] = []
      for (let cookie = 0; ; ) {
        const batch = await this.#call(place, (syscalls) => syscalls.getdents(fd, cookie, LISTING))
        if (batch.length === 0) return all
        for (const entry of batch) if (entry.name !== '.' && entry.name !== '..') all.push(entry)
        cookie = batch.at(-1)!.cookie
      }
    })
  }

  /** From where the descriptor stands to the end, in a buffer of exactly that size, even if the file changes meanwhile. */
  async #readAll(fd: number): Promise<Uint8Array> {
    const place = { syscall: 'read' }
    const { size } = await this.fstat(fd)
    let bytes = buffer(size, place)
    let filled = 0
    for (;;) {
      if (filled < bytes.length) {
        const count = await this.#readInto(place, fd, bytes, filled, bytes.length - filled, null)
        if (count === 0) return bytes.slice(0, filled)
        filled += count
        continue
      }
      // All that was promised is here: the end, unless the file has grown or (as in /proc) does not tell its size.
      const more = new Uint8Array(4096)
      const count = await this.#readInto(place, fd, more, 0, more.length, null)
      if (count === 0) return bytes
      const larger = buffer(Math.max(filled * 2, 1 << 16), place)
      larger.set(bytes)
      larger.set(more.subarray(0, count), filled)
      bytes = larger
      filled += count
    }
  }

  #readInto(
    place: ErrorPlace,
    fd: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    position: number | null,
  ): Promise<number> {
    const ranges = [start, Math.min(length, PIECE)]
    return this.#call(place, (syscalls) =>
      position === null
        ? syscalls.readv(fd, bytes, ranges)
        : syscalls.preadv(fd, bytes, ranges, checkSize(position, place)),
    )
  }

  async #writeAll(
    place: ErrorPlace,
    fd: number,
    bytes: Uint8Array,
    length: number,
    position: number | null,
  ): Promise<void> {
    let done = 0
    // Even nothing is written once: the descriptor is checked.
    do {
      const ranges = [done, Math.min(length - done, PIECE)]
      const count = await this.#call(place, (syscalls) =>
        position === null ? syscalls.writev(fd, bytes, ranges) : syscalls.pwritev(fd, bytes, ranges, position + done),
      )
      if (count === 0 && length > 0) throw at(new ErrnoError('EIO'), place)
      done += count
    } while (done < length)
  }
}

function at(error: ErrnoError, place: ErrorPlace): ErrnoError {
  error.syscall = place.syscall
  error.path = place.path
  error.dest = place.dest
  return error
}

/** What rm of node:fs says where `recursive` was forgotten. */
function isDirectoryError(path: string): Error {
  const message = `Path is a directory: rm returned EISDIR (is a directory) ${path}`
  return Object.assign(new Error(message), {
    name: 'SystemError',
    code: 'ERR_FS_EISDIR',
    errno: 21,
    syscall: 'rm',
    path,
  })
}

function buffer(size: number, place: ErrorPlace): Uint8Array {
  try {
    return new Uint8Array(size)
  } catch {
    const message = `${size} bytes are more than this browser holds in one buffer; read the file in pieces`
    throw Object.assign(new RangeError(message), { code: 'ERR_FS_FILE_TOO_LARGE', ...place })
  }
}

function checkSize(size: number, place: ErrorPlace): number {
  if (!Number.isSafeInteger(size) || size < 0) throw at(new ErrnoError('EINVAL'), place)
  return size
}

async function unlessGone<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Text from the page may hold halves of surrogate pairs, which no file name does: they become U+FFFD, as in node. */
const wellFormed = (path: string) => path.toWellFormed()

const isDirectory = (stat: Stat) => (stat.mode & S_IFMT) === S_IFDIR

const codeOf = (error: unknown) => (error instanceof ErrnoError ? error.code : undefined)

function withoutSlash(path: string): string {
  let end = path.length
  while (end > 0 && path[end - 1] === '/') end--
  return path.slice(0, end)
}

/** The path without its last name, by its text; undefined where there is nothing left to make. */
function parentOf(path: string): string | undefined {
  return withoutSlash(path.slice(0, path.lastIndexOf('/') + 1)) || undefined
}
