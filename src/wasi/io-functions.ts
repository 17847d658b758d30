/** Preview1's calls on open files: data, position, size, times, flags, listings. */
import { wasi } from '@bjorn3/browser_wasi_shim'
import { AT_EMPTY_PATH, O_APPEND, O_DSYNC, O_NONBLOCK, O_SYNC, SEEK_CUR } from '../abi/linux.ts'
import type { Context } from './context.ts'
import { E, SUCCESS } from './errno.ts'
import { FDSTAT_SIZE, type Layout, timesOf, writeDirents } from './layout.ts'
import { rightsOf } from './rights.ts'
import { row, type Table } from './table.ts'

const READ = wasi.RIGHTS_FD_READ
const WRITE = wasi.RIGHTS_FD_WRITE
const SEEK = wasi.RIGHTS_FD_SEEK
const TELL = wasi.RIGHTS_FD_TELL

const ALL_FDFLAGS =
  wasi.FDFLAGS_APPEND | wasi.FDFLAGS_DSYNC | wasi.FDFLAGS_NONBLOCK | wasi.FDFLAGS_RSYNC | wasi.FDFLAGS_SYNC

/** fdflags as open(2) flags, or undefined for bits that there are not. Linux has one bit pattern for RSYNC and SYNC. */
export function openFlagsOf(fdflags: number): number | undefined {
  if ((fdflags & ~ALL_FDFLAGS) !== 0) return undefined
  let flags = 0
  if (fdflags & wasi.FDFLAGS_APPEND) flags |= O_APPEND
  if (fdflags & wasi.FDFLAGS_DSYNC) flags |= O_DSYNC
  if (fdflags & wasi.FDFLAGS_NONBLOCK) flags |= O_NONBLOCK
  if (fdflags & (wasi.FDFLAGS_RSYNC | wasi.FDFLAGS_SYNC)) flags |= O_SYNC
  return flags
}

export function fdflagsOf(flags: number): number {
  let fdflags = 0
  if (flags & O_APPEND) fdflags |= wasi.FDFLAGS_APPEND
  if (flags & O_NONBLOCK) fdflags |= wasi.FDFLAGS_NONBLOCK
  if ((flags & O_SYNC) === O_SYNC) fdflags |= wasi.FDFLAGS_SYNC | wasi.FDFLAGS_RSYNC
  else if (flags & O_DSYNC) fdflags |= wasi.FDFLAGS_DSYNC
  return fdflags
}

const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER)

/** A u64 offset or size as Linux takes it, which is signed: -1 for those that are negative there, Infinity above 2^53-1. */
export function offsetOf(value: bigint): number {
  if (value >= 0n && value <= MAX_OFFSET) return Number(value)
  return BigInt.asIntN(64, value) < 0n ? -1 : Number.POSITIVE_INFINITY
}

/** Where a read or write of the ranges begins: as offsetOf, and -1, too, if they would end beyond what an offset can be. */
function positionOf(offset: bigint, ranges: readonly number[]): number {
  const from = offsetOf(offset)
  if (from !== Number.POSITIVE_INFINITY) return from
  let end = offset
  for (let i = 1; i < ranges.length; i += 2) end += BigInt(ranges[i]!)
  return end > LAST_OFFSET ? -1 : from
}

const LAST_OFFSET = 2n ** 63n - 1n

export function ioFunctions(context: Context, layout: Layout): Table {
  const { syscalls, memory, descriptors, counters } = context
  const { ranges } = memory
  /** The right to seek includes that to tell. */
  const mayTell = (fd: number) => descriptors.check(fd, TELL) && descriptors.check(fd, SEEK)

  return {
    fd_read: row(['fd', 'iovs:ptr', 'iovs_len', 'nread:ptr'], (fd, iovs, count, nread) => {
      nread >>>= 0
      const error = descriptors.check(fd, READ) || memory.iovecs(iovs >>> 0, count >>> 0)
      if (error !== 0) return error
      if (!memory.fits(nread, 4)) return E.EFAULT
      const n = syscalls.readv(fd, memory.bytes, ranges)
      counters.addRead(n)
      memory.view.setUint32(nread, n, true)
      return SUCCESS
    }),

    fd_write: row(['fd', 'iovs:ptr', 'iovs_len', 'nwritten:ptr'], (fd, iovs, count, nwritten) => {
      nwritten >>>= 0
      const error = descriptors.check(fd, WRITE) || memory.iovecs(iovs >>> 0, count >>> 0)
      if (error !== 0) return error
      if (!memory.fits(nwritten, 4)) return E.EFAULT
      const n = syscalls.writev(fd, memory.bytes, ranges)
      counters.addWritten(n)
      memory.view.setUint32(nwritten, n, true)
      return SUCCESS
    }),

    fd_pread: row(['fd', 'iovs:ptr', 'iovs_len', 'offset:i64', 'nread:ptr'], (fd, iovs, count, offset, nread) => {
      nread >>>= 0
      const error = descriptors.check(fd, READ | SEEK) || memory.iovecs(iovs >>> 0, count >>> 0)
      if (error !== 0) return error
      if (!memory.fits(nread, 4)) return E.EFAULT
      const from = positionOf(offset, ranges)
      if (from < 0) return E.EINVAL
      const n = syscalls.preadv(fd, memory.bytes, ranges, Math.min(from, Number.MAX_SAFE_INTEGER))
      counters.addRead(n)
      memory.view.setUint32(nread, n, true)
      return SUCCESS
    }),

    fd_pwrite: row(
      ['fd', 'iovs:ptr', 'iovs_len', 'offset:i64', 'nwritten:ptr'],
      (fd, iovs, count, offset, nwritten) => {
        nwritten >>>= 0
        const error = descriptors.check(fd, WRITE | SEEK) || memory.iovecs(iovs >>> 0, count >>> 0)
        if (error !== 0) return error
        if (!memory.fits(nwritten, 4)) return E.EFAULT
        const from = positionOf(offset, ranges)
        if (from < 0) return E.EINVAL
        if (from === Number.POSITIVE_INFINITY) return E.EFBIG
        const n = syscalls.pwritev(fd, memory.bytes, ranges, from)
        counters.addWritten(n)
        memory.view.setUint32(nwritten, n, true)
        return SUCCESS
      },
    ),

    fd_seek: row(['fd', 'offset:i64', layout.whence, 'newoffset:ptr'], (fd, offset, whence, newoffset) => {
      newoffset >>>= 0
      const linux = layout.whences[whence]
      if (linux === undefined) return E.EINVAL
      const by = Number(offset)
      const error = linux === SEEK_CUR && by === 0 ? mayTell(fd) : descriptors.check(fd, SEEK)
      if (error !== 0) return error
      if (!memory.fits(newoffset, 8)) return E.EFAULT
      if (!Number.isSafeInteger(by)) return E.EINVAL
      memory.setU64(newoffset, syscalls.lseek(fd, by, linux))
      return SUCCESS
    }),

    fd_tell: row(['fd', 'offset:ptr'], (fd, offset) => {
      offset >>>= 0
      const error = mayTell(fd)
      if (error !== 0) return error
      if (!memory.fits(offset, 8)) return E.EFAULT
      memory.setU64(offset, syscalls.lseek(fd, 0, SEEK_CUR))
      return SUCCESS
    }),

    fd_close: row(['fd'], (fd) => {
      // Linux frees the number whatever close(2) answers; a call that waits is made again and needs no rights.
      descriptors.forget(fd)
      syscalls.close(fd)
      return SUCCESS
    }),

    fd_renumber: row(['fd', 'to'], (fd, to) => {
      syscalls.renumber(fd, to)
      descriptors.renumbered(fd, to)
      return SUCCESS
    }),

    fd_sync: row(['fd'], (fd) => {
      const error = descriptors.check(fd, wasi.RIGHTS_FD_SYNC)
      if (error !== 0) return error
      context.begin(() => syscalls.fsync(fd))
      return SUCCESS
    }),

    fd_datasync: row(['fd'], (fd) => {
      const error = descriptors.check(fd, wasi.RIGHTS_FD_DATASYNC)
      if (error !== 0) return error
      context.begin(() => syscalls.fdatasync(fd))
      return SUCCESS
    }),

    fd_advise: row(['fd', 'offset:i64', 'len:i64', 'advice'], (fd, _offset, length, advice) => {
      const type = descriptors.filetype(fd)
      if (type === wasi.FILETYPE_UNKNOWN) return E.ESPIPE
      const error = descriptors.check(fd, wasi.RIGHTS_FD_ADVISE)
      if (error !== 0) return error
      if (offsetOf(length) < 0 || advice < 0 || advice > wasi.ADVICE_NOREUSE) return E.EINVAL
      return SUCCESS
    }),

    fd_allocate: row(['fd', 'offset:i64', 'len:i64'], (fd, offset, length) => {
      const error = descriptors.check(fd, wasi.RIGHTS_FD_ALLOCATE)
      if (error !== 0) return error
      const from = offsetOf(offset)
      const bytes = offsetOf(length)
      if (from < 0 || bytes <= 0) return E.EINVAL
      if (from + bytes > Number.MAX_SAFE_INTEGER) return E.EFBIG
      syscalls.fallocate(fd, 0, from, bytes)
      return SUCCESS
    }),

    fd_filestat_get: row(['fd', 'buf:ptr'], (fd, buf) => {
      buf >>>= 0
      const error = descriptors.check(fd, wasi.RIGHTS_FD_FILESTAT_GET)
      if (error !== 0) return error
      if (!memory.fits(buf, layout.filestatSize)) return E.EFAULT
      layout.writeFilestat(memory, buf, syscalls.fstat(fd))
      return SUCCESS
    }),

    fd_filestat_set_size: row(['fd', 'size:i64'], (fd, size) => {
      const error = descriptors.check(fd, wasi.RIGHTS_FD_FILESTAT_SET_SIZE)
      if (error !== 0) return error
      const bytes = offsetOf(size)
      if (bytes < 0) return E.EINVAL
      if (bytes === Number.POSITIVE_INFINITY) return E.EFBIG
      syscalls.ftruncate(fd, bytes)
      return SUCCESS
    }),

    fd_filestat_set_times: row(['fd', 'atim:i64', 'mtim:i64', 'fst_flags'], (fd, atim, mtim, flags) => {
      const error = descriptors.check(fd, wasi.RIGHTS_FD_FILESTAT_SET_TIMES)
      if (error !== 0) return error
      const times = timesOf(atim, mtim, flags)
      if (times === undefined) return E.EINVAL
      syscalls.utimensat(fd, '', times.atime, times.mtime, AT_EMPTY_PATH)
      return SUCCESS
    }),

    fd_fdstat_get: row(['fd', 'stat:ptr'], (fd, stat) => {
      stat >>>= 0
      const { view } = memory
      const filetype = descriptors.filetype(fd)
      if (!memory.fits(stat, FDSTAT_SIZE)) return E.EFAULT
      const flags = fdflagsOf(syscalls.getfl(fd))
      view.setUint8(stat, filetype)
      view.setUint8(stat + 1, 0)
      view.setUint16(stat + 2, flags, true)
      view.setUint32(stat + 4, 0, true)
      memory.setU64(stat + 8, descriptors.granted[fd]!)
      memory.setU64(stat + 16, descriptors.inheriting(fd))
      return SUCCESS
    }),

    fd_fdstat_set_flags: row(['fd', 'flags'], (fd, fdflags) => {
      const error = descriptors.check(fd, wasi.RIGHTS_FD_FDSTAT_SET_FLAGS)
      if (error !== 0) return error
      const flags = openFlagsOf(fdflags)
      if (flags === undefined) return E.EINVAL
      syscalls.setfl(fd, flags)
      return SUCCESS
    }),

    fd_fdstat_set_rights: row(['fd', 'base:i64', 'inheriting:i64'], (fd, base, inheriting) =>
      descriptors.shrink(fd, rightsOf(base), rightsOf(inheriting)),
    ),

    fd_readdir: row(['fd', 'buf:ptr', 'buf_len', 'cookie:i64', 'bufused:ptr'], (fd, buf, length, cookie, bufused) => {
      buf >>>= 0
      length >>>= 0
      bufused >>>= 0
      const error = descriptors.check(fd, wasi.RIGHTS_FD_READDIR)
      if (error !== 0) return error
      if (!memory.fits(buf, length) || !memory.fits(bufused, 4)) return E.EFAULT
      const from = offsetOf(cookie)
      if (from < 0 || from === Number.POSITIVE_INFINITY) return E.EINVAL
      const entries = syscalls.getdents(fd, from, length)
      memory.view.setUint32(bufused, writeDirents(memory, buf, length, entries), true)
      return SUCCESS
    }),
  }
}
