/**
 * Preview1's calls on paths below a directory's descriptor. The kernel walks the path and refuses what leaves the
 * directory; here is only what WASI adds to Linux's calls: rights, and its own flags.
 */
import { wasi } from '@bjorn3/browser_wasi_shim'
import {
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../abi/linux.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import type { Context } from './context.ts'
import { E, SUCCESS } from './errno.ts'
import { openFlagsOf } from './io-functions.ts'
import { type Layout, timesOf } from './layout.ts'
import { rightsOf } from './rights.ts'
import { row, type Table } from './table.ts'

export const LOOKUPFLAGS_SYMLINK_FOLLOW = 1
const ALL_OFLAGS = wasi.OFLAGS_CREAT | wasi.OFLAGS_DIRECTORY | wasi.OFLAGS_EXCL | wasi.OFLAGS_TRUNC
const READ_WRITE = wasi.RIGHTS_FD_READ | wasi.RIGHTS_FD_WRITE

const nofollow = (lookupflags: number) => (lookupflags & LOOKUPFLAGS_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW)

/** Rights that path_open needs of the directory for these oflags. */
function rightsToOpen(oflags: number): number {
  let rights = wasi.RIGHTS_PATH_OPEN
  if (oflags & wasi.OFLAGS_CREAT) rights |= wasi.RIGHTS_PATH_CREATE_FILE
  if (oflags & wasi.OFLAGS_TRUNC) rights |= wasi.RIGHTS_PATH_FILESTAT_SET_SIZE
  return rights
}

/** open(2)'s flags; undefined where WASI or Linux answers EINVAL: unknown bits, a directory to be created (row A373). */
export function openFlags(lookupflags: number, oflags: number, rights: number, fdflags: number): number | undefined {
  const status = openFlagsOf(fdflags)
  if (status === undefined || (oflags & ~ALL_OFLAGS) !== 0) return undefined
  if (oflags & wasi.OFLAGS_DIRECTORY && oflags & wasi.OFLAGS_CREAT) return undefined
  const access = rights & READ_WRITE
  let flags = status | (access === READ_WRITE ? O_RDWR : access === wasi.RIGHTS_FD_WRITE ? O_WRONLY : O_RDONLY)
  if (oflags & wasi.OFLAGS_CREAT) flags |= O_CREAT
  if (oflags & wasi.OFLAGS_DIRECTORY) flags |= O_DIRECTORY
  if (oflags & wasi.OFLAGS_EXCL) flags |= O_EXCL
  if (oflags & wasi.OFLAGS_TRUNC) flags |= O_TRUNC
  if (!(lookupflags & LOOKUPFLAGS_SYMLINK_FOLLOW)) flags |= O_NOFOLLOW
  return flags
}

export function pathFunctions(context: Context, layout: Layout): Table {
  const { syscalls, memory, descriptors } = context

  return {
    path_open: row(
      ['fd', 'dirflags', 'path:ptr', 'path_len', 'oflags', 'base:i64', 'inheriting:i64', 'fdflags', 'opened_fd:ptr'],
      (fd, dirflags, at, length, oflags, base, inheriting, fdflags, opened) => {
        opened >>>= 0
        const path = memory.path(at >>> 0, length >>> 0)
        if (typeof path === 'number') return path
        const error = descriptors.check(fd, rightsToOpen(oflags))
        if (error !== 0) return error
        const wanted = rightsOf(base)
        const passedOn = rightsOf(inheriting)
        if (((wanted | passedOn) & ~descriptors.inheriting(fd)) !== 0) return E.ENOTCAPABLE
        if (!memory.fits(opened, 4)) return E.EFAULT
        const flags = openFlags(dirflags, oflags, wanted, fdflags)
        if (flags === undefined) return E.EINVAL
        const number = syscalls.openat(fd, path, flags, 0o666)
        descriptors.opened(number, fd, wanted, passedOn, (flags & O_DIRECTORY) !== 0)
        memory.view.setUint32(opened, number, true)
        return SUCCESS
      },
    ),

    path_create_directory: row(['fd', 'path:ptr', 'path_len'], (fd, at, length) => {
      const path = memory.path(at >>> 0, length >>> 0)
      if (typeof path === 'number') return path
      const error = descriptors.check(fd, wasi.RIGHTS_PATH_CREATE_DIRECTORY)
      if (error !== 0) return error
      syscalls.mkdirat(fd, path, 0o777)
      return SUCCESS
    }),

    path_remove_directory: row(['fd', 'path:ptr', 'path_len'], (fd, at, length) => {
      const path = memory.path(at >>> 0, length >>> 0)
      if (typeof path === 'number') return path
      const error = descriptors.check(fd, wasi.RIGHTS_PATH_REMOVE_DIRECTORY)
      if (error !== 0) return error
      syscalls.unlinkat(fd, path, AT_REMOVEDIR)
      return SUCCESS
    }),

    path_unlink_file: row(['fd', 'path:ptr', 'path_len'], (fd, at, length) => {
      const path = memory.path(at >>> 0, length >>> 0)
      if (typeof path === 'number') return path
      const error = descriptors.check(fd, wasi.RIGHTS_PATH_UNLINK_FILE)
      if (error !== 0) return error
      syscalls.unlinkat(fd, path, 0)
      return SUCCESS
    }),

    path_filestat_get: row(['fd', 'flags', 'path:ptr', 'path_len', 'buf:ptr'], (fd, flags, at, length, buf) => {
      buf >>>= 0
      const path = memory.path(at >>> 0, length >>> 0)
      if (typeof path === 'number') return path
      const error = descriptors.check(fd, wasi.RIGHTS_PATH_FILESTAT_GET)
      if (error !== 0) return error
      if (!memory.fits(buf, layout.filestatSize)) return E.EFAULT
      const stat = syscalls.statIfThere
        ? syscalls.statIfThere(fd, path, nofollow(flags))
        : syscalls.fstatat(fd, path, nofollow(flags))
      if (stat === undefined) return E.ENOENT
      layout.writeFilestat(memory, buf, stat)
      return SUCCESS
    }),

    path_filestat_set_times: row(
      ['fd', 'flags', 'path:ptr', 'path_len', 'atim:i64', 'mtim:i64', 'fst_flags'],
      (fd, flags, at, length, atim, mtim, fstFlags) => {
        const path = memory.path(at >>> 0, length >>> 0)
        if (typeof path === 'number') return path
        const error = descriptors.check(fd, wasi.RIGHTS_PATH_FILESTAT_SET_TIMES)
        if (error !== 0) return error
        const times = timesOf(atim, mtim, fstFlags)
        if (times === undefined) return E.EINVAL
        syscalls.utimensat(fd, path, times.atime, times.mtime, nofollow(flags))
        return SUCCESS
      },
    ),

    path_link: row(
      ['old_fd', 'old_flags', 'old_path:ptr', 'old_path_len', 'new_fd', 'new_path:ptr', 'new_path_len'],
      (oldFd, oldFlags, oldAt, oldLength, newFd, newAt, newLength) => {
        const oldPath = memory.path(oldAt >>> 0, oldLength >>> 0)
        if (typeof oldPath === 'number') return oldPath
        const newPath = memory.path(newAt >>> 0, newLength >>> 0)
        if (typeof newPath === 'number') return newPath
        const error =
          descriptors.check(oldFd, wasi.RIGHTS_PATH_LINK_SOURCE) ||
          descriptors.check(newFd, wasi.RIGHTS_PATH_LINK_TARGET)
        if (error !== 0) return error
        const follow = oldFlags & LOOKUPFLAGS_SYMLINK_FOLLOW ? AT_SYMLINK_FOLLOW : 0
        syscalls.linkat(oldFd, oldPath, newFd, newPath, follow)
        return SUCCESS
      },
    ),

    path_rename: row(
      ['fd', 'old_path:ptr', 'old_path_len', 'new_fd', 'new_path:ptr', 'new_path_len'],
      (oldFd, oldAt, oldLength, newFd, newAt, newLength) => {
        const oldPath = memory.path(oldAt >>> 0, oldLength >>> 0)
        if (typeof oldPath === 'number') return oldPath
        const newPath = memory.path(newAt >>> 0, newLength >>> 0)
        if (typeof newPath === 'number') return newPath
        const error =
          descriptors.check(oldFd, wasi.RIGHTS_PATH_RENAME_SOURCE) ||
          descriptors.check(newFd, wasi.RIGHTS_PATH_RENAME_TARGET)
        if (error !== 0) return error
        syscalls.renameat2(oldFd, oldPath, newFd, newPath, 0)
        return SUCCESS
      },
    ),

    path_symlink: row(
      ['old_path:ptr', 'old_path_len', 'fd', 'new_path:ptr', 'new_path_len'],
      (oldAt, oldLength, fd, newAt, newLength) => {
        const target = memory.path(oldAt >>> 0, oldLength >>> 0)
        if (typeof target === 'number') return target
        const path = memory.path(newAt >>> 0, newLength >>> 0)
        if (typeof path === 'number') return path
        const error = descriptors.check(fd, wasi.RIGHTS_PATH_SYMLINK)
        if (error !== 0) return error
        // Below any other directory than the container's root nothing could follow it (row A368).
        if (target.startsWith('/') && !descriptors.root(fd)) return E.ENOTCAPABLE
        syscalls.symlinkat(target, fd, path)
        return SUCCESS
      },
    ),

    path_readlink: row(
      ['fd', 'path:ptr', 'path_len', 'buf:ptr', 'buf_len', 'bufused:ptr'],
      (fd, at, length, buf, room, bufused) => {
        buf >>>= 0
        room >>>= 0
        bufused >>>= 0
        const path = memory.path(at >>> 0, length >>> 0)
        if (typeof path === 'number') return path
        const error = descriptors.check(fd, wasi.RIGHTS_PATH_READLINK)
        if (error !== 0) return error
        if (room === 0) return E.EINVAL
        if (!memory.fits(buf, room) || !memory.fits(bufused, 4)) return E.EFAULT
        const target = encodeUtf8(syscalls.readlinkat(fd, path))
        memory.view.setUint32(bufused, memory.setBytes(buf, room, target), true)
        return SUCCESS
      },
    ),
  }
}
