/**
 * Linux's calls for pipes, watches, readiness and locks, on behalf of a task. No WASI guest can make them; the host can, and
 * tests do.
 *
 * Always true: descriptors are the task's; a call that must wait throws WouldBlock as those of Task do.
 */

import { ErrnoError } from '../abi/errno.ts'
import { O_ACCMODE, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR, R_OK, SEEK_CUR, SEEK_END, SEEK_SET } from '../abi/linux.ts'
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  F_GETLK,
  F_GETPIPE_SZ,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_RDLCK,
  F_SETLK,
  F_SETLKW,
  F_SETPIPE_SZ,
  F_UNLCK,
  F_WRLCK,
  IN_ALL_EVENTS,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_ONLYDIR,
} from '../abi/linux-waiting.ts'
import type { FileDescription } from '../vfs/description.ts'
import { Epoll, type EpollEvent } from '../vfs/epoll.ts'
import type { Stream } from '../vfs/inode.ts'
import { Inotify } from '../vfs/inotify.ts'
import {
  conflictingRange,
  type LockOwner,
  lockRange,
  lockWhole,
  type RangeLock,
  requireLockable,
  unlockRange,
} from '../vfs/locks.ts'
import { resolve } from '../vfs/path-walk.ts'
import { requireAccess } from '../vfs/permissions.ts'
import { type Pipe, PipeEnd } from '../vfs/pipe.ts'
import { WouldBlock } from '../vfs/waiting.ts'
import type { Task } from './task.ts'

/** struct flock of fcntl(2). */
export interface FileLock {
  /** F_RDLCK, F_WRLCK or F_UNLCK. */
  readonly type: number
  /** SEEK_SET, SEEK_CUR or SEEK_END. */
  readonly whence: number
  readonly start: number
  /** 0: to the end, however the file grows; negative: so many bytes before `start`. */
  readonly length: number
  readonly pid?: number
}

const INOTIFY_BITS = IN_ALL_EVENTS | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE

export class EventCalls {
  readonly #task: Task

  constructor(task: Task) {
    this.#task = task
  }

  /** dup(2). Errors: EBADF, EMFILE. */
  dup(fd: number): number {
    const file = this.#get(fd)
    this.#task.descriptors.requireRoom()
    return this.#task.descriptors.add(file.again())
  }

  /** pipe2(2): the reading and the writing end. Flags: O_NONBLOCK, O_CLOEXEC. Errors: EINVAL, EMFILE. */
  pipe2(flags = 0): [reads: number, writes: number] {
    if (flags & ~(O_NONBLOCK | O_CLOEXEC)) throw new ErrnoError('EINVAL')
    const { descriptors, vfs, credentials, clock } = this.#task
    const { reads, writes } = vfs.anonymousFiles.openPipe(credentials, flags & O_NONBLOCK, clock.coarse())
    let fd: number | undefined
    try {
      fd = descriptors.add(reads)
      return [fd, descriptors.add(writes)]
    } catch (error) {
      if (fd === undefined) reads.release()
      else descriptors.close(fd)
      writes.release()
      throw error
    }
  }

  /** FIONREAD: bytes that a read would give now. Errors: EBADF; ENOTTY for what can't tell. */
  available(fd: number): number {
    const file = this.#get(fd)
    if (file.isPath) throw new ErrnoError('EBADF')
    if (file.inode.kind === 'file') return Math.max(0, file.inode.size - file.offset)
    const available = file.stream?.available
    if (available === undefined) throw new ErrnoError('ENOTTY')
    return available
  }

  /** inotify_init1(2). Flags: O_NONBLOCK, O_CLOEXEC. Errors: EINVAL, EMFILE. */
  inotifyInit1(flags = 0): number {
    return this.#openStream(() => new Inotify(this.#task.vfs.watching), flags, 'anon_inode:inotify', O_RDONLY)
  }

  /**
   * inotify_add_watch(2): the watch descriptor. Errors, in order: EINVAL for a mask without an event, with bits that nobody
   * knows, or with IN_MASK_ADD and IN_MASK_CREATE; EBADF; EINVAL for no inotify instance; those of the walk; ENOTDIR with
   * IN_ONLYDIR; EACCES without read permission; EEXIST.
   */
  inotifyAddWatch(fd: number, path: string, mask: number): number {
    // Linux takes a mask of flags only, and watches for nothing.
    if ((mask & IN_ALL_EVENTS) === 0 || mask & ~(INOTIFY_BITS | IN_ONESHOT)) throw new ErrnoError('EINVAL')
    const file = this.#get(fd)
    if (mask & IN_MASK_ADD && mask & IN_MASK_CREATE) throw new ErrnoError('EINVAL')
    const instance = instanceOf(file, Inotify)
    const place = resolve(this.#task, this.#task.cwd, path, (mask & IN_DONT_FOLLOW) === 0)
    const { inode } = place.dentry
    if (mask & IN_ONLYDIR && inode.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
    requireAccess(this.#task.credentials, inode, R_OK)
    return instance.add(place.mount.superblock, inode, mask)
  }

  /** inotify_rm_watch(2). Errors: EBADF; EINVAL for no inotify instance, or none of its watch descriptors. */
  inotifyRmWatch(fd: number, wd: number): void {
    instanceOf(this.#get(fd), Inotify).remove(wd)
  }

  /** epoll_create1(2). Flags: O_CLOEXEC. Errors: EINVAL, EMFILE. */
  epollCreate1(flags = 0): number {
    return this.#openStream(
      () => new Epoll(),
      flags & ~O_NONBLOCK,
      'anon_inode:[eventpoll]',
      O_RDWR,
      flags & O_NONBLOCK,
    )
  }

  /**
   * epoll_ctl(2). Errors, in order: EBADF; EPERM for a file that is always ready; EINVAL for no epoll instance, the instance
   * itself, or another operation; ELOOP; EEXIST; ENOENT.
   */
  epollCtl(epfd: number, operation: number, fd: number, event: EpollEvent = { events: 0, data: fd }): void {
    const instance = this.#get(epfd)
    const file = this.#get(fd)
    if (file.isPath) throw new ErrnoError('EBADF')
    if (!file.stream) throw new ErrnoError('EPERM')
    if (file === instance) throw new ErrnoError('EINVAL')
    const epoll = instanceOf(instance, Epoll)
    if (operation === EPOLL_CTL_ADD) epoll.add(file, fd, event)
    else if (operation === EPOLL_CTL_MOD) epoll.modify(file, fd, event)
    else if (operation === EPOLL_CTL_DEL) epoll.delete(file, fd)
    else throw new ErrnoError('EINVAL')
  }

  /** epoll_wait(2), until `deadline` (monotonic nanoseconds; undefined: for ever). Errors: EINVAL for a limit below 1; EBADF. */
  epollWait(epfd: number, limit: number, deadline: bigint | undefined): readonly EpollEvent[] {
    if (limit <= 0) throw new ErrnoError('EINVAL')
    const epoll = instanceOf(this.#get(epfd), Epoll)
    const ready = epoll.collect(limit)
    if (ready.length > 0 || (deadline !== undefined && this.#task.clock.monotonic() >= deadline)) return ready
    throw new WouldBlock([epoll.queue], deadline)
  }

  /** flock(2). Errors: EBADF; as lockWhole. */
  flock(fd: number, operation: number): void {
    lockWhole(this.#get(fd), operation)
  }

  /** fcntl(2): F_GETLK and F_OFD_GETLK give what is in the way, or F_UNLCK. */
  fcntl(fd: number, command: typeof F_GETLK | typeof F_OFD_GETLK, lock: FileLock): FileLock
  /** F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW. Errors: EBADF, ENOLCK, EINVAL, EOVERFLOW; EAGAIN; EDEADLK. */
  fcntl(fd: number, command: number, lock: FileLock): undefined
  /** F_GETPIPE_SZ, F_SETPIPE_SZ: the capacity. Errors: EBADF for no pipe; EPERM past 1 MiB; EBUSY below what is in it. */
  fcntl(fd: number, command: typeof F_GETPIPE_SZ | typeof F_SETPIPE_SZ, bytes?: number): number
  fcntl(fd: number, command: number, argument?: FileLock | number): FileLock | number | undefined {
    const file = this.#get(fd)
    if (command === F_GETPIPE_SZ) return pipeOf(file).capacity
    if (command === F_SETPIPE_SZ) {
      pipeOf(file).setCapacity(Number(argument))
      return pipeOf(file).capacity
    }
    const lock = argument as FileLock
    switch (command) {
      case F_GETLK:
        return this.#getLock(file, this.#task.descriptors, lock)
      case F_OFD_GETLK:
        return this.#getLock(file, file, lock)
      case F_SETLK:
      case F_SETLKW:
        this.#setLock(file, this.#task.descriptors, lock, command === F_SETLKW)
        return undefined
      case F_OFD_SETLK:
      case F_OFD_SETLKW:
        this.#setLock(file, file, lock, command === F_OFD_SETLKW)
        return undefined
      default:
        throw new ErrnoError('EINVAL')
    }
  }

  #getLock(file: FileDescription, owner: LockOwner, lock: FileLock): FileLock {
    if (lock.type === F_UNLCK) throw new ErrnoError('EINVAL')
    const wanted = this.#rangeOf(file, owner, lock)
    const other = conflictingRange(file, wanted)
    if (!other) return { ...lock, type: F_UNLCK }
    const { exclusive, start, end, pid } = other
    const length = end === Number.POSITIVE_INFINITY ? 0 : end - start
    return { type: exclusive ? F_WRLCK : F_RDLCK, whence: SEEK_SET, start, length, pid }
  }

  #setLock(file: FileDescription, owner: LockOwner, lock: FileLock, wait: boolean): void {
    const wanted = this.#rangeOf(file, owner, lock)
    if (lock.type === F_UNLCK) {
      unlockRange(file, owner, wanted.start, wanted.end)
      return
    }
    if (lock.type === F_RDLCK ? !file.readable : !file.writable) throw new ErrnoError('EBADF')
    lockRange(file, wanted, this.#task.attempt, wait ? this.#task.vfs.rangeWaiters : undefined)
  }

  /** Linux's flock_to_posix_lock. Errors: EBADF, ENOLCK, EINVAL, EOVERFLOW for a range that ends past 2^53-1. */
  #rangeOf(file: FileDescription, owner: LockOwner, lock: FileLock): RangeLock {
    const { type, whence, length, pid = 0 } = lock
    requireLockable(file)
    const ofFile = owner === file
    if (ofFile && pid !== 0) throw new ErrnoError('EINVAL')
    if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) throw new ErrnoError('EINVAL')
    let start = lock.start
    if (whence === SEEK_CUR) start += file.offset
    else if (whence === SEEK_END) start += file.inode.size
    else if (whence !== SEEK_SET) throw new ErrnoError('EINVAL')
    if (start > Number.MAX_SAFE_INTEGER) throw new ErrnoError('EOVERFLOW')
    if (start < 0) throw new ErrnoError('EINVAL')
    let end = length === 0 ? Number.POSITIVE_INFINITY : start + length
    if (length < 0) [start, end] = [end, start]
    if (start < 0) throw new ErrnoError('EINVAL')
    // The last byte, not the one behind, must be one that an offset can say.
    if (length > 0 && length - 1 > Number.MAX_SAFE_INTEGER - start) throw new ErrnoError('EOVERFLOW')
    return { owner, pid: ofFile ? -1 : this.#task.descriptors.pid, exclusive: type === F_WRLCK, start, end }
  }

  #get(fd: number): FileDescription {
    return this.#task.descriptors.get(fd)
  }

  #openStream(make: () => Stream, flags: number, label: string, access: number, refused = 0): number {
    if (refused || flags & ~(O_NONBLOCK | O_CLOEXEC)) throw new ErrnoError('EINVAL')
    const { descriptors, vfs, clock } = this.#task
    descriptors.requireRoom()
    const status = (flags & O_NONBLOCK) | (access & O_ACCMODE)
    return descriptors.add(vfs.anonymousFiles.open(make(), 'char', status, label, clock.coarse()))
  }
}

/** The stream of a certain kind behind a descriptor. Errors: EINVAL. */
function instanceOf<T extends Stream>(file: FileDescription, kind: new (...args: never[]) => T): T {
  if (file.stream instanceof kind) return file.stream
  throw new ErrnoError('EINVAL')
}

function pipeOf({ stream }: FileDescription): Pipe {
  if (stream instanceof PipeEnd) return stream.pipe
  throw new ErrnoError('EBADF')
}
