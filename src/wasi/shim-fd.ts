/**
 * The sandbox's files as descriptors of @bjorn3/browser_wasi_shim 0.4.2, for a program that says
 * `new WASI(args, env, fds)` with the plain shim.
 *
 * The shim numbers descriptors itself, by their place in `fds`; here `fd` is the kernel's number behind one.
 * It renames by `path_unlink` on one directory and `path_link(…, true)` on the other, with the inode that the first
 * gave: here that inode is a place, nothing is removed before the second call, and the second call renames. If it
 * fails, the shim links the inode back to where it was, which renames a file to itself: nothing happens.
 * A rename or link from a directory of the shim's own into one of ours is EXDEV. The other way the shim asks nobody: its
 * directory then has a name that leads to the place in ours, where nothing was moved.
 * Imports that the shim itself does not pass on (path_symlink, poll_oneoff) stay as they are; Preview1 has them.
 */
import { Fd, Inode, wasi } from '@bjorn3/browser_wasi_shim'
import { ErrnoError } from '../abi/errno.ts'
import { AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, SEEK_CUR } from '../abi/linux.ts'
import type { DirectoryEntry, Stat, Syscalls } from '../abi/syscalls.ts'
import { WouldBlock } from '../vfs/waiting.ts'
import { E, SUCCESS } from './errno.ts'
import { fdflagsOf, offsetOf, openFlagsOf } from './io-functions.ts'
import { filetypeOfKind, PREVIEW1, timesOf } from './layout.ts'
import { LOOKUPFLAGS_SYMLINK_FOLLOW, openFlags } from './path-functions.ts'
import { Descriptors, filetypeOf, rightsOf } from './rights.ts'

/** One buffer of the shim's size at most: a guest may ask for 4 GiB, and a short read is legal. */
const LARGEST_READ = 1 << 20
/** What one look at a directory fetches, in bytes of dirents. */
const LISTING = 4096

/** The shim's Filestat writes its times 2 to 4 bytes too low, over the size; this one writes them where they belong. */
class Filestat extends wasi.Filestat {
  constructor(stat: Stat) {
    super(BigInt(stat.ino), filetypeOf(stat.mode), BigInt(stat.size))
    this.dev = BigInt(stat.dev)
    this.nlink = BigInt(stat.nlink)
    this.atim = stat.atime
    this.mtim = stat.mtime
    this.ctim = stat.ctime
  }

  override write_bytes(view: DataView, ptr: number): void {
    const words = [this.dev, this.ino, BigInt(this.filetype), this.nlink, this.size, this.atim, this.mtim, this.ctim]
    for (const [i, word] of words.entries()) view.setBigUint64(ptr + i * 8, word, true)
  }
}

/** A name in a directory of the sandbox, on its way from one shim call to the next. */
class Place extends Inode {
  readonly syscalls: Syscalls
  readonly directory: KernelFd
  readonly path: string
  readonly lookupflags: number

  constructor(syscalls: Syscalls, directory: KernelFd, path: string, lookupflags: number) {
    super()
    this.syscalls = syscalls
    this.directory = directory
    this.path = path
    this.lookupflags = lookupflags
  }

  override path_open(oflags: number, rights: bigint, fdflags: number) {
    return this.directory.path_open(this.lookupflags, this.path, oflags, rights, rights, fdflags)
  }

  /** Of nothing that is known if nothing is there any more: the shim takes no error here. */
  override stat(): wasi.Filestat {
    const { filestat } = this.directory.path_filestat_get(0, this.path)
    return filestat ?? new wasi.Filestat(this.ino, wasi.FILETYPE_UNKNOWN, 0n)
  }
}

/** Runs a system call; a failure becomes its WASI number, a call that would have to wait EAGAIN. */
function attempt(syscalls: Syscalls, call: () => number | undefined): number {
  try {
    return call() ?? SUCCESS
  } catch (error) {
    if (error instanceof ErrnoError) return E[error.code]
    if (!(error instanceof WouldBlock)) throw error
    syscalls.settle?.()
    return E.EAGAIN
  }
}

export class KernelFd extends Fd {
  readonly syscalls: Syscalls
  /** The path that a guest knows it by, if it is a preopened directory. */
  readonly name: string | undefined
  /** Whether that is the root of the container. */
  readonly isRoot: boolean
  readonly #descriptors: Descriptors
  #fd: number
  #listing: readonly DirectoryEntry[] = []

  constructor(syscalls: Syscalls, fd: number, name?: string, isRoot = false) {
    super()
    this.syscalls = syscalls
    this.#fd = fd
    this.name = name
    this.isRoot = isRoot
    this.#descriptors = new Descriptors(syscalls, name === undefined ? [] : [{ fd, name }])
  }

  /** The kernel's number; -1 once it was closed, for the kernel gives it to another file. */
  get fd(): number {
    return this.#fd
  }

  override fd_allocate(offset: bigint, length: bigint): number {
    const from = offsetOf(offset)
    const bytes = offsetOf(length)
    if (from < 0 || bytes <= 0) return E.EINVAL
    if (from + bytes > Number.MAX_SAFE_INTEGER) return E.EFBIG
    return attempt(this.syscalls, () => void this.syscalls.fallocate(this.fd, 0, from, bytes))
  }

  override fd_close(): number {
    const ret = attempt(this.syscalls, () => void this.syscalls.close(this.fd))
    if (ret !== E.EAGAIN) this.#fd = -1
    return ret
  }

  override fd_fdstat_get() {
    let fdstat = null as wasi.Fdstat | null
    const ret = attempt(this.syscalls, () => {
      const filetype = this.#descriptors.filetype(this.fd)
      fdstat = new wasi.Fdstat(filetype, fdflagsOf(this.syscalls.getfl(this.fd)))
      fdstat.fs_rights_base = BigInt(this.#descriptors.granted[this.fd]!)
      fdstat.fs_rights_inherited = BigInt(this.#descriptors.inheriting(this.fd))
      return SUCCESS
    })
    return { ret, fdstat }
  }

  override fd_fdstat_set_flags(fdflags: number): number {
    const flags = openFlagsOf(fdflags)
    return flags === undefined ? E.EINVAL : attempt(this.syscalls, () => void this.syscalls.setfl(this.fd, flags))
  }

  override fd_fdstat_set_rights(base: bigint, inheriting: bigint): number {
    return attempt(this.syscalls, () => this.#descriptors.shrink(this.fd, rightsOf(base), rightsOf(inheriting)))
  }

  override fd_filestat_get() {
    let filestat = null as wasi.Filestat | null
    const ret = attempt(this.syscalls, () => {
      filestat = new Filestat(this.syscalls.fstat(this.fd))
      return SUCCESS
    })
    return { ret, filestat }
  }

  override fd_filestat_set_size(size: bigint): number {
    const bytes = offsetOf(size)
    if (bytes < 0) return E.EINVAL
    if (bytes === Number.POSITIVE_INFINITY) return E.EFBIG
    return attempt(this.syscalls, () => void this.syscalls.ftruncate(this.fd, bytes))
  }

  override fd_filestat_set_times(atim: bigint, mtim: bigint, flags: number): number {
    const times = timesOf(atim, mtim, flags)
    if (times === undefined) return E.EINVAL
    return attempt(
      this.syscalls,
      () => void this.syscalls.utimensat(this.fd, '', times.atime, times.mtime, AT_EMPTY_PATH),
    )
  }

  override fd_read(size: number) {
    return this.#read(size, (data) => this.syscalls.readv(this.fd, data, [0, data.length]))
  }

  override fd_pread(size: number, offset: bigint) {
    const from = Math.min(offsetOf(offset), Number.MAX_SAFE_INTEGER)
    if (from < 0) return { ret: E.EINVAL, data: new Uint8Array(0) }
    return this.#read(size, (data) => this.syscalls.preadv(this.fd, data, [0, data.length], from))
  }

  #read(size: number, read: (data: Uint8Array) => number) {
    let data = new Uint8Array(Math.min(size >>> 0, LARGEST_READ))
    const ret = attempt(this.syscalls, () => {
      data = data.subarray(0, read(data))
      return SUCCESS
    })
    return { ret, data: ret === SUCCESS ? data : data.subarray(0, 0) }
  }

  override fd_write(data: Uint8Array) {
    return this.#write(() => this.syscalls.writev(this.fd, data, [0, data.length]))
  }

  override fd_pwrite(data: Uint8Array, offset: bigint) {
    const from = offsetOf(offset)
    if (from < 0) return { ret: E.EINVAL, nwritten: 0 }
    if (from === Number.POSITIVE_INFINITY) return { ret: E.EFBIG, nwritten: 0 }
    return this.#write(() => this.syscalls.pwritev(this.fd, data, [0, data.length], from))
  }

  #write(write: () => number) {
    let nwritten = 0
    const ret = attempt(this.syscalls, () => {
      nwritten = write()
      return SUCCESS
    })
    return { ret, nwritten }
  }

  override fd_seek(offset: bigint, whence: number) {
    const linux = PREVIEW1.whences[whence]
    const by = Number(offset)
    if (linux === undefined || !Number.isSafeInteger(by)) return { ret: E.EINVAL, offset: 0n }
    return this.#seek(by, linux)
  }

  override fd_tell() {
    return this.#seek(0, SEEK_CUR)
  }

  #seek(by: number, whence: number) {
    let offset = 0n
    const ret = attempt(this.syscalls, () => {
      offset = BigInt(this.syscalls.lseek(this.fd, by, whence))
      return SUCCESS
    })
    return { ret, offset }
  }

  override fd_sync(): number {
    return attempt(this.syscalls, () => void this.syscalls.fsync(this.fd))
  }

  override fd_prestat_get() {
    if (this.name === undefined) return { ret: E.EBADF, prestat: null }
    return { ret: SUCCESS, prestat: wasi.Prestat.dir(this.name) }
  }

  /** One entry; the ones behind it are kept, as readdir(3) keeps a buffer of them. A listing from the start looks anew. */
  override fd_readdir_single(cookie: bigint) {
    let dirent = null as wasi.Dirent | null
    const ret = attempt(this.syscalls, () => {
      const from = offsetOf(cookie)
      if (from < 0 || from === Number.POSITIVE_INFINITY) return E.EINVAL
      const known = from === 0 ? -1 : this.#listing.findIndex((entry) => entry.cookie === from)
      this.#listing = known < 0 ? [] : this.#listing.slice(known + 1)
      if (this.#listing.length === 0) this.#listing = this.syscalls.getdents(this.fd, from, LISTING)
      const next = this.#listing[0]
      if (next === undefined) return SUCCESS
      dirent = new wasi.Dirent(BigInt(next.cookie), BigInt(next.ino), next.name, filetypeOfKind(next.kind))
      return SUCCESS
    })
    return { ret, dirent }
  }

  override path_create_directory(path: string): number {
    return attempt(this.syscalls, () => void this.syscalls.mkdirat(this.fd, path, 0o777))
  }

  override path_filestat_get(flags: number, path: string) {
    let filestat = null as wasi.Filestat | null
    const ret = attempt(this.syscalls, () => {
      const follow = flags & LOOKUPFLAGS_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW
      filestat = new Filestat(this.syscalls.fstatat(this.fd, path, follow))
      return SUCCESS
    })
    return { ret, filestat }
  }

  override path_filestat_set_times(flags: number, path: string, atim: bigint, mtim: bigint, fstFlags: number): number {
    const times = timesOf(atim, mtim, fstFlags)
    if (times === undefined) return E.EINVAL
    const follow = flags & LOOKUPFLAGS_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW
    return attempt(this.syscalls, () => void this.syscalls.utimensat(this.fd, path, times.atime, times.mtime, follow))
  }

  override path_lookup(path: string, lookupflags: number) {
    return this.#place(path, lookupflags)
  }

  /** The shim's first half of a rename: the place is found, not emptied. */
  override path_unlink(path: string) {
    return this.#place(path, 0)
  }

  #place(path: string, lookupflags: number) {
    let inode = null as Place | null
    const ret = attempt(this.syscalls, () => {
      this.syscalls.fstatat(this.fd, path, lookupflags & LOOKUPFLAGS_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW)
      inode = new Place(this.syscalls, this, path, lookupflags)
      return SUCCESS
    })
    return { ret, inode_obj: inode }
  }

  /** `allow_dir` tells a rename's second half from path_link. */
  override path_link(path: string, inode: Inode, allowDir: boolean): number {
    if (!(inode instanceof Place) || inode.syscalls !== this.syscalls) return E.EXDEV
    const { directory, path: from, lookupflags } = inode
    if (allowDir) {
      return attempt(this.syscalls, () => void this.syscalls.renameat2(directory.fd, from, this.fd, path, 0))
    }
    const flags = lookupflags & LOOKUPFLAGS_SYMLINK_FOLLOW ? AT_SYMLINK_FOLLOW : 0
    return attempt(this.syscalls, () => void this.syscalls.linkat(directory.fd, from, this.fd, path, flags))
  }

  override path_open(
    lookupflags: number,
    path: string,
    oflags: number,
    base: bigint,
    inheriting: bigint,
    fdflags: number,
  ) {
    let opened = null as KernelFd | null
    const ret = attempt(this.syscalls, () => {
      const rights = rightsOf(base)
      const flags = openFlags(lookupflags, oflags, rights, fdflags)
      if (flags === undefined) return E.EINVAL
      const fd = this.syscalls.openat(this.fd, path, flags, 0o666)
      opened = new KernelFd(this.syscalls, fd)
      opened.#descriptors.opened(fd, this.fd, rights, rightsOf(inheriting), false)
      return SUCCESS
    })
    return { ret, fd_obj: opened }
  }

  override path_readlink(path: string) {
    let data = null as string | null
    const ret = attempt(this.syscalls, () => {
      data = this.syscalls.readlinkat(this.fd, path)
      return SUCCESS
    })
    return { ret, data }
  }

  override path_remove_directory(path: string): number {
    return attempt(this.syscalls, () => void this.syscalls.unlinkat(this.fd, path, AT_REMOVEDIR))
  }

  override path_unlink_file(path: string): number {
    return attempt(this.syscalls, () => void this.syscalls.unlinkat(this.fd, path, 0))
  }
}
