/**
 * A task: the kernel's side of one thread of a guest, and the host's own hand in a container's files.
 * It implements the system calls against the virtual filesystem, on behalf of its credentials, root and working directory.
 *
 * Invariant: the mounts of the root and of the working directory count the task as a user, each, and the namespace counts
 * it, until the task is released.
 */

import { ErrnoError } from '../abi/errno.ts'
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  R_OK,
  UTIME_OMIT,
  W_OK,
  X_OK,
} from '../abi/linux.ts'
import type { Clock } from '../abi/platform.ts'
import type { DirectoryEntry, FileKind, PollRequest, Stat, Syscalls } from '../abi/syscalls.ts'
import { changeMode, changeOwner, changeTimes, checkAccess, readLink, statOf, truncateAt } from '../vfs/attributes.ts'
import type { Context, Credentials, DeviceTable, Session } from '../vfs/context.ts'
import type { FileDescription } from '../vfs/description.ts'
import { allocate, listDirectory, read, seek, truncateFile, write } from '../vfs/io.ts'
import { type MountNamespace, VirtualDentry } from '../vfs/mount.ts'
import { releaseNamespace } from '../vfs/mount-tree.ts'
import { linkTo, makeDirectory, makeNode, makeSymlink, removeDirectory, rename, unlink } from '../vfs/names.ts'
import { openAt } from '../vfs/open.ts'
import { PathWalk, requirePath, resolve } from '../vfs/path-walk.ts'
import { searchableAt } from '../vfs/places.ts'
import { setStatusFlags } from '../vfs/status-flags.ts'
import type { TaskPlaces, Vfs } from '../vfs/vfs.ts'
import { Attempt, after, type Caller, type WaitQueue, WouldBlock } from '../vfs/waiting.ts'
import { endIfGone, notify } from '../vfs/watches.ts'
import { DescriptorTable } from './descriptors.ts'

const SLASH = 47
/** The flags of calls that take a file by its path or by descriptor. */
const OF_A_FILE = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH

export interface TaskOptions {
  readonly vfs: Vfs
  readonly credentials: Credentials
  readonly root: VirtualDentry
  readonly cwd?: VirtualDentry
  /** That of the root if left out. */
  readonly namespace?: MountNamespace | undefined
  readonly umask?: number
  /** Paths must stay below the directory they start from: so for guests, not for the host. */
  readonly confined?: boolean
  readonly openFiles?: number | undefined
  /** RLIMIT_FSIZE, in bytes. */
  readonly fileSize?: number | undefined
  /** What it works at, if it is a process. */
  readonly session?: Session | undefined
}

export class Task implements Syscalls, Context, TaskPlaces, Caller {
  readonly clock: Clock
  readonly devices: DeviceTable
  readonly credentials: Credentials
  attempt: Attempt
  readonly descriptors: DescriptorTable
  umask: number
  readonly fileSizeLimit: number | undefined
  /** What SIGXFSZ does; the process that the task belongs to says. */
  fileSizeExceeded: () => void = () => {}
  readonly session: Session | undefined
  readonly #vfs: Vfs
  #confined: boolean
  #root: VirtualDentry
  #cwd: VirtualDentry
  #namespace: MountNamespace | undefined

  constructor(options: TaskOptions) {
    this.#vfs = options.vfs
    this.clock = options.vfs.clock
    this.devices = options.vfs.devices
    this.credentials = options.credentials
    this.#root = options.root
    this.#cwd = options.cwd ?? options.root
    hold(this.#root)
    hold(this.#cwd)
    this.#namespace = options.namespace ?? options.root.mount.namespace
    if (this.#namespace) this.#namespace.refs++
    this.umask = options.umask ?? 0o022
    this.fileSizeLimit = options.fileSize
    this.#confined = options.confined ?? false
    this.session = options.session
    this.descriptors = new DescriptorTable(options.openFiles)
    this.attempt = this.#attempted(new Attempt())
    this.#vfs.tasks.add(this)
  }

  /** 0 for the host's own hand. */
  get pid(): number {
    return this.descriptors.pid
  }

  get vfs(): Vfs {
    return this.#vfs
  }

  get confined(): boolean {
    return this.#confined
  }

  /** Does something on the kernel's own behalf, with the task's credentials, whose paths may go anywhere below the root. */
  unconfined<T>(operation: () => T): T {
    const confined = this.#confined
    this.#confined = false
    try {
      return operation()
    } finally {
      this.#confined = confined
    }
  }

  get root(): VirtualDentry {
    return this.#root
  }

  get cwd(): VirtualDentry {
    return this.#cwd
  }

  get namespace(): MountNamespace | undefined {
    return this.#namespace
  }

  setRoot(place: VirtualDentry): void {
    const old = this.#root
    hold(place)
    this.#root = place
    leave(old)
  }

  setCwd(place: VirtualDentry): void {
    const old = this.#cwd
    hold(place)
    this.#cwd = place
    leave(old)
  }

  /** Enters a namespace; the caller's reference to it becomes the task's. Its places are set by themselves. */
  setNamespace(namespace: MountNamespace): void {
    if (this.#namespace) releaseNamespace(this.#namespace)
    this.#namespace = namespace
  }

  /** Closes all descriptors and lets go of the terminal, the root, the working directory and the namespace. */
  release(): void {
    this.settle()
    this.descriptors.closeAll()
    this.session?.terminal?.leave()
    this.#vfs.tasks.delete(this)
    leave(this.#cwd)
    leave(this.#root)
    if (this.#namespace) releaseNamespace(this.#namespace)
  }

  settle(): void {
    this.attempt.end()
  }

  #attempted(attempt: Attempt): Attempt {
    attempt.caller = this
    return attempt
  }

  openFile(fd: number): FileDescription | undefined {
    return this.descriptors.has(fd) ? this.descriptors.get(fd) : undefined
  }

  /** Makes a call as part of an attempt of its own, so that several calls of one task can wait at a time. */
  trying<T>(attempt: Attempt, call: () => T): T {
    const own = this.attempt
    this.attempt = this.#attempted(attempt)
    try {
      return call()
    } finally {
      this.attempt = own
    }
  }

  /**
   * Where a path starts if it is relative; otherwise nobody asks for the descriptor.
   * Errors: those of the path's text; EBADF; ENOTDIR comes from the walk.
   */
  #start(dirfd: number, path: string): VirtualDentry {
    if (dirfd === AT_FDCWD || path.charCodeAt(0) === SLASH) return this.#cwd
    if (!this.descriptors.has(dirfd)) requirePath(path)
    return this.#placeOf(dirfd)
  }

  /** Errors: EBADF. */
  #placeOf(fd: number): VirtualDentry {
    if (fd === AT_FDCWD) return this.#cwd
    const { mount, dentry } = this.descriptors.get(fd)
    return new VirtualDentry(mount, dentry)
  }

  /** The file that a path, or with AT_EMPTY_PATH the descriptor itself, denotes. */
  #find(dirfd: number, path: string, flags: number): VirtualDentry {
    if (path === '' && flags & AT_EMPTY_PATH) return this.#placeOf(dirfd)
    const place = resolve(this, this.#start(dirfd, path), path, (flags & AT_SYMLINK_NOFOLLOW) === 0)
    if (place.dentry.refreshes) place.dentry.inode.refresh!(this.attempt)
    return place
  }

  /** For positional I/O. Errors: EINVAL for a negative offset, whatever the descriptor; EBADF. */
  #at(fd: number, offset: number): FileDescription {
    if (offset < 0) throw new ErrnoError('EINVAL')
    return this.descriptors.get(fd)
  }

  /** Errors: EBADF, also for a descriptor that only names a file (O_PATH). */
  #file(fd: number): FileDescription {
    const file = this.descriptors.get(fd)
    if (file.isPath) throw new ErrnoError('EBADF')
    return file
  }

  /** chdir(2). Errors: those of the walk, ENOTDIR, EACCES. */
  chdir(path: string): void {
    this.setCwd(searchableAt(this, this.#cwd, path))
  }

  openat(dirfd: number, path: string, flags: number, mode: number): number {
    const start = () => {
      this.descriptors.requireRoom()
      return this.#start(dirfd, path)
    }
    const open = () => openAt(this, start, path, flags, mode)
    return this.attempt.carry(['open', dirfd, path], () => after(open, (file) => this.#numbered(file)))
  }

  /** Errors: EMFILE, where others took what was free while this was being opened. */
  #numbered(file: FileDescription): number {
    try {
      return this.descriptors.add(file)
    } catch (full) {
      file.release()
      throw full
    }
  }

  close(fd: number): void {
    this.#flush(fd)
    this.descriptors.close(fd)
  }

  /** What close(2) waits for. Errors: the handle's, the descriptor being closed all the same. */
  #flush(fd: number): void {
    const { handle } = this.descriptors.get(fd)
    if (!handle) return
    try {
      this.attempt.carry(['flush', fd], () => handle.flush(this.attempt))
    } catch (failure) {
      if (failure instanceof ErrnoError) this.descriptors.close(fd)
      throw failure
    }
  }

  readv(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return read(this, this.descriptors.get(fd), memory, ranges)
  }

  preadv(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return read(this, this.#at(fd, offset), memory, ranges, offset)
  }

  writev(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.attempt.carry(['write', fd], () => write(this, this.descriptors.get(fd), memory, ranges))
  }

  pwritev(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.attempt.carry(['write', fd, offset], () => write(this, this.#at(fd, offset), memory, ranges, offset))
  }

  lseek(fd: number, offset: number, whence: number): number {
    return seek(this, this.descriptors.get(fd), offset, whence)
  }

  fstat(fd: number): Stat {
    return this.#stat(this.descriptors.get(fd))
  }

  fstatat(dirfd: number, path: string, flags: number): Stat {
    requireFlags(flags, OF_A_FILE | AT_NO_AUTOMOUNT, path)
    return this.#stat(this.#find(dirfd, path, flags))
  }

  statIfThere(dirfd: number, path: string, flags: number): Stat | undefined {
    requireFlags(flags, OF_A_FILE | AT_NO_AUTOMOUNT, path)
    if (path === '' && flags & AT_EMPTY_PATH) return this.#stat(this.#placeOf(dirfd))
    const walk = new PathWalk(this, this.#start(dirfd, path), path)
    return walk.tryToEnd((flags & AT_SYMLINK_NOFOLLOW) === 0) ? this.#stat(walk) : undefined
  }

  #stat({ dentry }: Pick<VirtualDentry, 'dentry'>): Stat {
    if (dentry.refreshes) dentry.inode.refresh!(this.attempt)
    return statOf(dentry.inode)
  }

  getdents(fd: number, cookie: number, bytes: number): readonly DirectoryEntry[] {
    return listDirectory(this, this.#file(fd), cookie, bytes)
  }

  mkdirat(dirfd: number, path: string, mode: number): void {
    this.attempt.carry(['mkdir', dirfd, path], () => makeDirectory(this, this.#start(dirfd, path), path, mode))
  }

  /** mknod(2), for the host: no guest's call. */
  mknodat(dirfd: number, path: string, kind: FileKind, mode: number, rdev = 0): void {
    this.attempt.carry(['mknod', dirfd, path], () => makeNode(this, this.#start(dirfd, path), path, kind, mode, rdev))
  }

  unlinkat(dirfd: number, path: string, flags: number): void {
    requireFlags(flags, AT_REMOVEDIR, path)
    const remove = flags & AT_REMOVEDIR ? removeDirectory : unlink
    this.attempt.carry(['unlink', dirfd, path, flags], () => remove(this, this.#start(dirfd, path), path))
  }

  renameat2(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void {
    const oldStart = () => this.#start(olddirfd, oldpath)
    const newStart = () => this.#start(newdirfd, newpath)
    this.attempt.carry(['rename', olddirfd, oldpath, newdirfd, newpath], () =>
      rename(this, oldStart, oldpath, newStart, newpath, flags),
    )
  }

  linkat(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void {
    requireFlags(flags, AT_SYMLINK_FOLLOW | AT_EMPTY_PATH, oldpath)
    const nofollow = flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW
    this.attempt.carry(['link', olddirfd, oldpath, newdirfd, newpath], () => {
      const source = this.#find(olddirfd, oldpath, (flags & AT_EMPTY_PATH) | nofollow)
      linkTo(this, source, this.#start(newdirfd, newpath), newpath)
    })
  }

  symlinkat(target: string, dirfd: number, path: string): void {
    this.attempt.carry(['symlink', dirfd, path], () => makeSymlink(this, target, () => this.#start(dirfd, path), path))
  }

  readlinkat(dirfd: number, path: string): string {
    const place = this.#find(dirfd, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    if (path === '' && place.dentry.kind !== 'symlink') throw new ErrnoError('ENOENT', path)
    return readLink(this, place)
  }

  ftruncate(fd: number, size: number): void {
    if (size < 0) throw new ErrnoError('EINVAL')
    const file = this.#file(fd)
    if (!file.writable || file.stream) throw new ErrnoError('EINVAL')
    this.attempt.carry(['ftruncate', fd, size], () =>
      after(
        () => truncateFile(this, file.inode, size),
        (events) => notify(file, events),
      ),
    )
  }

  /** truncate(2), for the host. */
  truncate(path: string, size: number): void {
    if (size < 0) throw new ErrnoError('EINVAL', path)
    this.attempt.carry(['truncate', path, size], () => truncateAt(this, this.#find(AT_FDCWD, path, 0), size))
  }

  fallocate(fd: number, mode: number, offset: number, length: number): void {
    this.attempt.carry(['fallocate', fd, mode, offset, length], () =>
      allocate(this, this.#file(fd), mode, offset, length),
    )
  }

  fsync(fd: number): void {
    this.#sync(fd, false)
  }

  fdatasync(fd: number): void {
    this.#sync(fd, true)
  }

  #sync(fd: number, dataOnly: boolean): void {
    const { inode, stream, handle } = this.#file(fd)
    if (stream || inode.kind === 'fifo') throw new ErrnoError('EINVAL')
    if (handle) handle.sync(dataOnly, this.attempt)
    else inode.filesystem.sync?.(this.attempt)
  }

  utimensat(dirfd: number, path: string, atime: bigint, mtime: bigint, flags: number): void {
    // Linux does not even look for the file.
    if (atime === UTIME_OMIT && mtime === UTIME_OMIT) return
    requireFlags(flags, OF_A_FILE, path)
    this.attempt.carry(['utimens', dirfd, path], () => changeTimes(this, this.#find(dirfd, path, flags), atime, mtime))
  }

  fchmodat(dirfd: number, path: string, mode: number, flags: number): void {
    requireFlags(flags, OF_A_FILE, path)
    this.attempt.carry(['chmod', dirfd, path], () => changeMode(this, this.#find(dirfd, path, flags), mode & 0o7777))
  }

  fchownat(dirfd: number, path: string, uid: number, gid: number, flags: number): void {
    requireFlags(flags, OF_A_FILE, path)
    this.attempt.carry(['chown', dirfd, path], () => changeOwner(this, this.#find(dirfd, path, flags), uid, gid))
  }

  faccessat(dirfd: number, path: string, mode: number, flags: number): void {
    requireFlags(flags, AT_EACCESS | OF_A_FILE, path)
    requireFlags(mode, R_OK | W_OK | X_OK, path)
    checkAccess(this, this.#find(dirfd, path, flags), mode, (flags & AT_EACCESS) !== 0)
  }

  getfl(fd: number): number {
    return this.descriptors.get(fd).flags
  }

  setfl(fd: number, flags: number): void {
    setStatusFlags(this, this.#file(fd), flags)
  }

  renumber(from: number, to: number): void {
    this.descriptors.renumber(from, to)
  }

  poll(requests: readonly PollRequest[], deadline: bigint | undefined): readonly number[] {
    const queues: WaitQueue[] = []
    let ready = false
    const answers = requests.map(({ fd, events }) => {
      const answer = this.#readiness(fd, events, queues)
      if (answer !== 0) ready = true
      return answer
    })
    if (ready || (deadline !== undefined && this.clock.monotonic() >= deadline)) return answers
    throw new WouldBlock(queues, deadline)
  }

  #readiness(fd: number, events: number, queues: WaitQueue[]): number {
    let file: FileDescription
    try {
      file = this.descriptors.get(fd)
    } catch {
      return POLLNVAL
    }
    if (!file.stream) return events & (POLLIN | POLLOUT)
    queues.push(file.stream.queue)
    return file.stream.poll() & (events | POLLERR | POLLHUP)
  }

  /** FS_IOC_ENABLE_VERITY of ioctl(2), of a directory with all below. Errors: ENOTTY where nothing is measured; as enableVerity. */
  enableVerity(fd: number): void {
    const { inode } = this.#file(fd)
    if (!inode.enableVerity) throw new ErrnoError('ENOTTY')
    this.attempt.carry(['FS_IOC_ENABLE_VERITY', fd], () => inode.enableVerity!(this.attempt))
  }

  /** FS_IOC_MEASURE_VERITY: a SHA-256; its length. Errors: ENOTTY; ENODATA for what is not measured; EOVERFLOW for too little room. */
  measureVerity(fd: number, digest: Uint8Array): number {
    const { inode } = this.#file(fd)
    if (!inode.measureVerity) throw new ErrnoError('ENOTTY')
    const measured = inode.measureVerity()
    if (!measured) throw new ErrnoError('ENODATA')
    if (digest.length < measured.length) throw new ErrnoError('EOVERFLOW')
    digest.set(measured)
    return measured.length
  }

  /** Makes everything on every live filesystem durable: sync(2). */
  sync(): void {
    this.#vfs.syncAll(this.attempt)
  }
}

/** A place is a root or working directory now, which keeps a removed directory as an open file would be kept. */
function hold({ mount, dentry }: VirtualDentry): void {
  mount.hold()
  dentry.users++
  dentry.inode.opened?.()
}

/** It no longer is: if it was removed, that is its end. */
function leave({ mount, dentry }: VirtualDentry): void {
  dentry.inode.closed?.()
  dentry.users--
  endIfGone(mount.superblock, dentry)
  mount.drop()
}

/** Errors: EINVAL for a bit that the call does not know, before it looks at anything else. */
function requireFlags(flags: number, known: number, path: string): void {
  if (flags & ~known) throw new ErrnoError('EINVAL', path)
}
