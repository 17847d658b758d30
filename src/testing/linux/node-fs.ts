/**
 * Real Linux through synchronous node:fs, on a fresh directory of a tmpfs of the machine: what needs neither root nor python3.
 * It is the smaller oracle: what node:fs cannot say faithfully throws Inexpressible instead of saying something else.
 *
 * Always true: errors are the kernel's (node's own validation is Inexpressible), descriptors are the process's. Paths are put
 * behind the directory's own, so absolute ones and the longest ones are beyond it.
 */

import fs from 'node:fs'
import { join } from 'node:path'
import { ErrnoError } from '../../abi/errno.ts'
import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, PATH_MAX, UTIME_NOW, UTIME_OMIT } from '../../abi/linux.ts'
import type { DirectoryEntry, FileKind, Stat } from '../../abi/syscalls.ts'
import type { Arena, FilesystemStat, SpecTask, Subject } from '../conformance/spec.ts'

/** node:fs has no call, argument or precision for it. */
export class Inexpressible extends Error {
  override readonly name = 'Inexpressible'
}

const no = (what: string): never => {
  throw new Inexpressible(what)
}

export class NodeFsSyscalls implements SpecTask {
  readonly #base: string
  readonly #open = new Set<number>()

  /** All paths are below `base`, an empty directory. */
  constructor(base: string) {
    this.#base = base
  }

  /** Closes what is still open. */
  release(): void {
    for (const fd of this.#open) fs.closeSync(fd)
    this.#open.clear()
  }

  #path(dirfd: number, path: string): string {
    if (path.startsWith('/')) no('an absolute path')
    if (path === '') return ''
    // Which of several errors comes first, only a call with that descriptor would tell.
    if (dirfd !== AT_FDCWD && !this.#open.has(dirfd)) no('a directory that is not open')
    const from = dirfd === AT_FDCWD ? this.#base : `/proc/self/fd/${dirfd}`
    const whole = `${from}/${path}`
    if (path.length < PATH_MAX && whole.length >= PATH_MAX) no('a path of nearly 4,096 bytes')
    return whole
  }

  /** Node's own streams and files are not the spec's. */
  #known(fd: number): number {
    if (!this.#open.has(fd)) throw new ErrnoError('EBADF')
    return fd
  }

  openat(dirfd: number, path: string, flags: number, mode: number): number {
    const fd = call(() => fs.openSync(this.#path(dirfd, path), flags, mode))
    this.#open.add(fd)
    return fd
  }

  close(fd: number): void {
    this.#open.delete(this.#known(fd))
    call(() => fs.closeSync(fd))
  }

  readv(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return call(() => fs.readvSync(this.#known(fd), views(memory, ranges)))
  }

  preadv(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    const at = position(offset)
    return call(() => fs.readvSync(this.#known(fd), views(memory, ranges), at))
  }

  writev(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return call(() => fs.writevSync(this.#known(fd), views(memory, ranges)))
  }

  pwritev(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    const at = position(offset)
    return call(() => fs.writevSync(this.#known(fd), views(memory, ranges), at))
  }

  fstat(fd: number): Stat {
    return statOf(call(() => fs.fstatSync(this.#known(fd), { bigint: true })))
  }

  fstatat(dirfd: number, path: string, flags: number): Stat {
    const at = this.#path(dirfd, path)
    if (flags & ~AT_SYMLINK_NOFOLLOW) no('flags of fstatat')
    return statOf(call(() => (flags ? fs.lstatSync : fs.statSync)(at, { bigint: true })))
  }

  /** A cookie is a position in the listing: good for one that nothing changes meanwhile. */
  getdents(fd: number, cookie: number, bytes: number): readonly DirectoryEntry[] {
    const at = `/proc/self/fd/${this.#known(fd)}`
    const listed = call(() => fs.readdirSync(at, { withFileTypes: true }))
    const numberOf = (name: string) => Number(fs.lstatSync(`${at}/${name}`, { bigint: true }).ino)
    const entries: DirectoryEntry[] = []
    let room = bytes
    for (const [i, name] of ['.', '..', ...listed.map(({ name }) => name)].entries()) {
      if (i < cookie) continue
      if (room <= 0) break
      const dirent = listed[i - 2]
      entries.push({ name, ino: numberOf(name), kind: dirent ? kindOfEntry(dirent) : 'directory', cookie: i + 1 })
      room -= 24 + Buffer.byteLength(name)
    }
    return entries
  }

  mkdirat(dirfd: number, path: string, mode: number): void {
    call(() => fs.mkdirSync(this.#path(dirfd, path), mode))
  }

  unlinkat(dirfd: number, path: string, flags: number): void {
    if (flags & ~AT_REMOVEDIR) no('flags of unlinkat')
    call(() => (flags ? fs.rmdirSync : fs.unlinkSync)(this.#path(dirfd, path)))
  }

  renameat2(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void {
    if (flags) no('flags of rename')
    call(() => fs.renameSync(this.#path(olddirfd, oldpath), this.#path(newdirfd, newpath)))
  }

  linkat(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void {
    if (flags) no('flags of link')
    call(() => fs.linkSync(this.#path(olddirfd, oldpath), this.#path(newdirfd, newpath)))
  }

  symlinkat(target: string, dirfd: number, path: string): void {
    call(() => fs.symlinkSync(target, this.#path(dirfd, path)))
  }

  readlinkat(dirfd: number, path: string): string {
    return call(() => fs.readlinkSync(this.#path(dirfd, path)))
  }

  ftruncate(fd: number, size: number): void {
    if (size < 0) no('a negative size')
    call(() => fs.ftruncateSync(this.#known(fd), size))
  }

  fsync(fd: number): void {
    call(() => fs.fsyncSync(this.#known(fd)))
  }

  fdatasync(fd: number): void {
    call(() => fs.fdatasyncSync(this.#known(fd)))
  }

  utimensat(dirfd: number, path: string, atime: bigint, mtime: bigint, flags: number): void {
    const [a, m] = [seconds(atime), seconds(mtime)]
    call(() => (flags & AT_SYMLINK_NOFOLLOW ? fs.lutimesSync : fs.utimesSync)(this.#path(dirfd, path), a, m))
  }

  fchmodat(dirfd: number, path: string, mode: number, flags: number): void {
    if (flags) no('flags of chmod')
    call(() => fs.chmodSync(this.#path(dirfd, path), mode))
  }

  fchownat(dirfd: number, path: string, uid: number, gid: number, flags: number): void {
    if (flags & ~AT_SYMLINK_NOFOLLOW) no('flags of chown')
    call(() => (flags ? fs.lchownSync : fs.chownSync)(this.#path(dirfd, path), uid, gid))
  }

  faccessat(dirfd: number, path: string, mode: number, flags: number): void {
    if (flags || mode > 7) no('flags and other bits of access')
    call(() => fs.accessSync(this.#path(dirfd, path), mode))
  }

  umask(mask: number): void {
    no(`umask ${mask}: it is the process's`)
  }

  lseek = (): number => no('lseek: node keeps no positions')
  fallocate = (): void => no('fallocate')
  getfl = (): number => no('fcntl')
  setfl = (): void => no('fcntl')
  renumber = (): void => no('dup2')
  dup = (): number => no('dup')
  poll = (): readonly number[] => no('poll')
  truncate = (): void => no('truncate: node opens the file for it')
  chdir = (): void => no('chdir: it is the process')
  chroot = (): void => no('chroot')
  mknodat = (): void => no('mknod')
  statfs = (): FilesystemStat => no('statfs, its flags')
  execute = (): void => no('execve')
}

/** Errors: an ErrnoError for the kernel's, Inexpressible for an argument that node refuses. */
function call<T>(operation: () => T): T {
  try {
    return operation()
  } catch (error) {
    if (String((error as { code?: string }).code).startsWith('ERR_')) throw new Inexpressible(String(error))
    throw error
  }
}

function views(memory: Uint8Array, ranges: readonly number[]): Uint8Array[] {
  const found: Uint8Array[] = []
  for (let i = 0; i < ranges.length; i += 2) found.push(memory.subarray(ranges[i], ranges[i]! + ranges[i + 1]!))
  return found.length > 0 ? found : no('no range')
}

const position = (offset: number): number => (offset < 0 ? no('a negative position') : offset)

/** Node takes seconds as a double: whole milliseconds after 1970 survive. */
function seconds(time: bigint): number {
  if (time === UTIME_NOW || time === UTIME_OMIT || time < 0n || time % 1_000_000n !== 0n) no('a time')
  return Number(time) / 1e9
}

const statOf = (stat: fs.BigIntStats): Stat => ({
  dev: Number(stat.dev),
  ino: Number(stat.ino),
  mode: Number(stat.mode),
  nlink: Number(stat.nlink),
  uid: Number(stat.uid),
  gid: Number(stat.gid),
  rdev: Number(stat.rdev),
  size: Number(stat.size),
  blksize: Number(stat.blksize),
  blocks: Number(stat.blocks),
  atime: stat.atimeNs,
  mtime: stat.mtimeNs,
  ctime: stat.ctimeNs,
  btime: stat.birthtimeNs,
})

function kindOfEntry(entry: fs.Dirent): FileKind {
  const is: readonly [FileKind, boolean][] = [
    ['directory', entry.isDirectory()],
    ['symlink', entry.isSymbolicLink()],
    ['fifo', entry.isFIFO()],
    ['socket', entry.isSocket()],
    ['char', entry.isCharacterDevice()],
    ['block', entry.isBlockDevice()],
  ]
  return is.find(([, holds]) => holds)?.[0] ?? 'file'
}

/** Where Linux has a tmpfs for everybody. */
const TMPFS = '/dev/shm'

/** The subject, or undefined on a machine that has no tmpfs for everybody. It can do what any filesystem of Linux can. */
export function nodeFs(): Subject | undefined {
  if (!fs.existsSync(TMPFS)) return undefined
  return {
    name: 'node:fs',
    abilities: new Set(['times', 'tmpfs', 'calls'] as const),
    arena: () => new NodeFsArena(),
    omitted: {
      'A136 the smallest': 'node has descriptors of its own',
      'A184 a removed directory cannot': 'node opens a directory anew to list it',
      'A311 B054 a listing': 'node lists a directory at once, so there are no cookies that stay',
      'B024 reading nothing': 'node asks read(2), not readv(2), which is the one that leaves the time',
      'B036 looking for data and holes': 'node has no lseek, and the spec takes every error',
    },
  }
}

class NodeFsArena implements Arena {
  readonly #base = fs.mkdtempSync(join(TMPFS, 'runtab-conformance-'))
  readonly #tasks: NodeFsSyscalls[] = []

  constructor() {
    fs.chmodSync(this.#base, 0o755)
  }

  task(): SpecTask {
    const task = new NodeFsSyscalls(this.#base)
    this.#tasks.push(task)
    return task
  }

  tick(): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 21)
  }

  end(): void {
    for (const task of this.#tasks) task.release()
    fs.rmSync(this.#base, { recursive: true, force: true })
  }
}
