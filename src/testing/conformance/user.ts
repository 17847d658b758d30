/** A task's hands, for specs: its system calls with text for bytes, paths from the working directory, and usual arguments left out. */

import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFMT,
} from '../../abi/linux.ts'
import type { DirectoryEntry, FileKind, Stat } from '../../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { kindOf } from '../../vfs/kinds.ts'
import type { SpecTask } from './spec.ts'

const ENOUGH = 1 << 16

export class User {
  readonly sys: SpecTask

  constructor(sys: SpecTask) {
    this.sys = sys
  }

  open(path: string, flags = O_RDONLY, mode = 0o666): number {
    return this.sys.openat(AT_FDCWD, path, flags, mode)
  }

  close(fd: number): void {
    this.sys.close(fd)
  }

  /** Opens, closes, and says what failed in between. */
  touch(path: string, flags = O_RDONLY, mode = 0o666): void {
    this.close(this.open(path, flags, mode))
  }

  /** What is done with the open file is given back; it is closed in any case. */
  with<T>(path: string, flags: number, use: (fd: number) => T): T {
    const fd = this.open(path, flags)
    try {
      return use(fd)
    } finally {
      this.close(fd)
    }
  }

  read(fd: number, length = ENOUGH): string {
    const memory = new Uint8Array(length)
    return text(memory, this.sys.readv(fd, memory, [0, length]))
  }

  pread(fd: number, length: number, offset: number): string {
    const memory = new Uint8Array(length)
    return text(memory, this.sys.preadv(fd, memory, [0, length], offset))
  }

  write(fd: number, content: string): number {
    const memory = encodeUtf8(content)
    return this.sys.writev(fd, memory, [0, memory.length])
  }

  pwrite(fd: number, content: string, offset: number): number {
    const memory = encodeUtf8(content)
    return this.sys.pwritev(fd, memory, [0, memory.length], offset)
  }

  /** A file of this content, made or emptied first. */
  file(path: string, content = 'text', mode = 0o644): void {
    this.with(path, O_WRONLY | O_CREAT | O_TRUNC, (fd) => this.write(fd, content))
    if (mode !== 0o644) this.chmod(path, mode)
  }

  /** A file's whole content. */
  text(path: string): string {
    return this.with(path, O_RDONLY, (fd) => this.read(fd))
  }

  seek(fd: number, offset: number, whence: number): number {
    return this.sys.lseek(fd, offset, whence)
  }

  stat(path: string): Stat {
    return this.sys.fstatat(AT_FDCWD, path, 0)
  }

  lstat(path: string): Stat {
    return this.sys.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
  }

  /** The permission, set-id and sticky bits. */
  mode(path: string): number {
    return this.lstat(path).mode & 0o7777
  }

  /** The kind of what has the name, a link being one; undefined for nothing. */
  kind(path: string): FileKind | undefined {
    try {
      return kindOf(this.lstat(path).mode & S_IFMT)
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return undefined
      throw error
    }
  }

  mkdir(path: string, mode = 0o755): void {
    this.sys.mkdirat(AT_FDCWD, path, mode)
  }

  mknod(path: string, kind: FileKind, mode = 0o644, rdev = 0): void {
    this.sys.mknodat(AT_FDCWD, path, kind, mode, rdev)
  }

  unlink(path: string): void {
    this.sys.unlinkat(AT_FDCWD, path, 0)
  }

  rmdir(path: string): void {
    this.sys.unlinkat(AT_FDCWD, path, AT_REMOVEDIR)
  }

  rename(from: string, to: string, flags = 0): void {
    this.sys.renameat2(AT_FDCWD, from, AT_FDCWD, to, flags)
  }

  link(from: string, to: string, flags = 0): void {
    this.sys.linkat(AT_FDCWD, from, AT_FDCWD, to, flags)
  }

  symlink(target: string, path: string): void {
    this.sys.symlinkat(target, AT_FDCWD, path)
  }

  readlink(path: string): string {
    return this.sys.readlinkat(AT_FDCWD, path)
  }

  chmod(path: string, mode: number): void {
    this.sys.fchmodat(AT_FDCWD, path, mode, 0)
  }

  chown(path: string, uid: number, gid = -1): void {
    this.sys.fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW)
  }

  utimes(path: string, atime: bigint, mtime: bigint): void {
    this.sys.utimensat(AT_FDCWD, path, atime, mtime, AT_SYMLINK_NOFOLLOW)
  }

  access(path: string, mode: number, flags = 0): void {
    this.sys.faccessat(AT_FDCWD, path, mode, flags)
  }

  truncate(path: string, size: number): void {
    this.sys.truncate(path, size)
  }

  /** Entries of an open directory from its start, or from behind a cookie. */
  entries(fd: number, cookie = 0, bytes = ENOUGH): readonly DirectoryEntry[] {
    return this.sys.getdents(fd, cookie, bytes)
  }

  /** The names in a directory, sorted, without `.` and `..`. */
  list(path: string): string[] {
    return this.with(path, O_RDONLY, (fd) => this.names(fd))
  }

  names(fd: number): string[] {
    const names: string[] = []
    for (let cookie = 0; ; ) {
      const entries = this.entries(fd, cookie)
      const last = entries.at(-1)
      if (!last) break
      cookie = last.cookie
      names.push(...entries.map(({ name }) => name))
    }
    return names.filter((name) => name !== '.' && name !== '..').sort()
  }

  /** Reads and writes, and leaves the file open. */
  edit(path: string): number {
    return this.open(path, O_RDWR | O_CREAT)
  }
}

const text = (memory: Uint8Array, count: number) => decodeUtf8(memory, 0, count) ?? '(not UTF-8)'
