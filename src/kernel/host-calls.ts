/**
 * Linux calls that no WASI guest can make: the host's own, on behalf of a task. They are apart from Task, which is what a
 * guest's edge needs.
 *
 * Always true: paths start from the task's working directory; data goes to and comes from byte arrays, as in `Syscalls`;
 * a descriptor that only names a file (O_PATH) is EBADF but for fstatfs.
 */

import { ErrnoError } from '../abi/errno.ts'
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../abi/linux.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import { changeMode, changeOwner, changeTimes } from '../vfs/attributes.ts'
import { copyBetween } from '../vfs/copy.ts'
import type { FileDescription } from '../vfs/description.ts'
import { bindEndpoint, endpointAt } from '../vfs/endpoints.ts'
import type { Endpoint } from '../vfs/inode.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { resolve } from '../vfs/path-walk.ts'
import { makeDirectories } from '../vfs/places.ts'
import { type AttributesToSet, setAttributes } from '../vfs/set-attributes.ts'
import { type StatFs, type Statx, statFsOf, statxOf } from '../vfs/statfs.ts'
import {
  getXattr,
  listXattrs,
  removeXattr,
  requireChange,
  requireName,
  setXattr,
  XATTR_LIST_MAX,
} from '../vfs/xattrs.ts'
import type { Task } from './task.ts'

/** RWF_HIPRI, RWF_DSYNC and RWF_SYNC of linux/fs.h. */
const RWF_KNOWN = 1 | 2 | 4

export class HostCalls {
  readonly #task: Task

  constructor(task: Task) {
    this.#task = task
  }

  /** getxattr(2): the length of the value, copied to `value` unless that is empty. Errors: as getXattr; ERANGE if it is too small. */
  getxattr(path: string, name: string, value: Uint8Array): number {
    requireName(name)
    return copyOut(getXattr(this.#task, this.#find(path, true).dentry.inode, name), value)
  }

  lgetxattr(path: string, name: string, value: Uint8Array): number {
    requireName(name)
    return copyOut(getXattr(this.#task, this.#find(path, false).dentry.inode, name), value)
  }

  fgetxattr(fd: number, name: string, value: Uint8Array): number {
    requireName(name)
    return copyOut(getXattr(this.#task, this.#file(fd).inode, name), value)
  }

  /** setxattr(2). Flags: XATTR_CREATE, XATTR_REPLACE. Errors: as requireChange, the walk and setXattr. */
  setxattr(path: string, name: string, value: Uint8Array, flags: number): void {
    requireChange(name, value, flags)
    setXattr(this.#task, this.#find(path, true), name, value, flags)
  }

  lsetxattr(path: string, name: string, value: Uint8Array, flags: number): void {
    requireChange(name, value, flags)
    setXattr(this.#task, this.#find(path, false), name, value, flags)
  }

  fsetxattr(fd: number, name: string, value: Uint8Array, flags: number): void {
    requireChange(name, value, flags)
    setXattr(this.#task, placeOf(this.#file(fd)), name, value, flags)
  }

  /** listxattr(2): names, a NUL behind each. Errors: ERANGE if `list` is too small; E2BIG for more than 64 KiB of names. */
  listxattr(path: string, list: Uint8Array): number {
    return copyNames(listXattrs(this.#task, this.#find(path, true).dentry.inode), list)
  }

  llistxattr(path: string, list: Uint8Array): number {
    return copyNames(listXattrs(this.#task, this.#find(path, false).dentry.inode), list)
  }

  flistxattr(fd: number, list: Uint8Array): number {
    return copyNames(listXattrs(this.#task, this.#file(fd).inode), list)
  }

  /** removexattr(2). Errors: as requireName, the walk and removeXattr. */
  removexattr(path: string, name: string): void {
    requireName(name)
    removeXattr(this.#task, this.#find(path, true), name)
  }

  lremovexattr(path: string, name: string): void {
    requireName(name)
    removeXattr(this.#task, this.#find(path, false), name)
  }

  fremovexattr(fd: number, name: string): void {
    requireName(name)
    removeXattr(this.#task, placeOf(this.#file(fd)), name)
  }

  /**
   * preadv2(2); an offset of -1 is the position. Flags: RWF_HIPRI, RWF_DSYNC and RWF_SYNC, which change nothing here.
   * Errors: EOPNOTSUPP for other flags; as preadv.
   */
  preadv2(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number, flags: number): number {
    if (flags & ~RWF_KNOWN) throw new ErrnoError('EOPNOTSUPP')
    return offset === -1 ? this.#task.readv(fd, memory, ranges) : this.#task.preadv(fd, memory, ranges, offset)
  }

  pwritev2(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number, flags: number): number {
    if (flags & ~RWF_KNOWN) throw new ErrnoError('EOPNOTSUPP')
    return offset === -1 ? this.#task.writev(fd, memory, ranges) : this.#task.pwritev(fd, memory, ranges, offset)
  }

  statfs(path: string): StatFs {
    return statFsOf(this.#find(path, true).mount, this.#task.attempt)
  }

  fstatfs(fd: number): StatFs {
    return statFsOf(this.#task.descriptors.get(fd).mount, this.#task.attempt)
  }

  /** Flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
  statx(dirfd: number, path: string, flags: number): Statx {
    const start = dirfd === AT_FDCWD ? this.#task.cwd : placeOf(this.#task.descriptors.get(dirfd))
    if (path === '' && flags & AT_EMPTY_PATH) return statxOf(start)
    return statxOf(resolve(this.#task, start, path, (flags & AT_SYMLINK_NOFOLLOW) === 0))
  }

  /** Several changes in one step, as a file server's SETATTR asks for. Errors: as setAttributes. */
  setAttributes(path: string, changes: AttributesToSet): void {
    this.#task.attempt.carry(['setattr', path], () => setAttributes(this.#task, this.#find(path, true), changes))
  }

  fchmod(fd: number, mode: number): void {
    this.#task.attempt.carry(['fchmod', fd], () => changeMode(this.#task, placeOf(this.#file(fd)), mode & 0o7777))
  }

  fchown(fd: number, uid: number, gid: number): void {
    this.#task.attempt.carry(['fchown', fd], () => changeOwner(this.#task, placeOf(this.#file(fd)), uid, gid))
  }

  futimens(fd: number, atime: bigint, mtime: bigint): void {
    this.#task.attempt.carry(['futimens', fd], () => changeTimes(this.#task, placeOf(this.#file(fd)), atime, mtime))
  }

  /** syncfs(2). */
  syncfs(fd: number): void {
    this.#file(fd).inode.filesystem.sync?.(this.#task.attempt)
  }

  /** mkdir -p. Errors: as makeDirectories. */
  mkdirAll(path: string, mode: number): void {
    makeDirectories(this.#task, this.#task.cwd, path, mode)
  }

  /** bind(2) to a path. Errors: EADDRINUSE; as makeNode. */
  bind(path: string, mode: number, endpoint: Endpoint): void {
    bindEndpoint(this.#task, this.#task.cwd, path, mode, endpoint)
  }

  /** What connect(2) to a path reaches. Errors: EACCES, ECONNREFUSED. */
  endpoint(path: string): Endpoint {
    return endpointAt(this.#task, this.#task.cwd, path)
  }

  /** Copies from one position to the end, to another position; gives the bytes. Errors: EBADF; as read and write. */
  copy(from: number, to: number): number {
    return copyBetween(this.#task, this.#file(from), this.#file(to))
  }

  #find(path: string, follow: boolean): VirtualDentry {
    const place = resolve(this.#task, this.#task.cwd, path, follow)
    place.dentry.inode.refresh?.(this.#task.attempt)
    return place
  }

  #file(fd: number): FileDescription {
    const file = this.#task.descriptors.get(fd)
    if (file.isPath) throw new ErrnoError('EBADF')
    return file
  }
}

const placeOf = ({ mount, dentry }: FileDescription) => new VirtualDentry(mount, dentry)

/** An empty buffer asks for the length. */
function copyOut(value: Uint8Array, buffer: Uint8Array): number {
  if (buffer.length === 0) return value.length
  if (buffer.length < value.length) throw new ErrnoError('ERANGE')
  buffer.set(value)
  return value.length
}

function copyNames(names: readonly string[], buffer: Uint8Array): number {
  const bytes = encodeUtf8(names.map((name) => `${name}\0`).join(''))
  if (buffer.length >= XATTR_LIST_MAX && bytes.length > XATTR_LIST_MAX) throw new ErrnoError('E2BIG')
  return copyOut(bytes, buffer)
}
