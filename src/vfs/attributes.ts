/** What a file is, and changing it: stat(2), chmod(2), chown(2), utimensat(2), truncate(2), access(2), readlink(2). */

import { ErrnoError } from '../abi/errno.ts'
import { R_OK, UTIME_NOW, UTIME_OMIT, W_OK, X_OK } from '../abi/linux.ts'
import type { Stat } from '../abi/syscalls.ts'
import { followMode } from './acl.ts'
import type { Context, Credentials } from './context.ts'
import { type AttributeChanges, CTIME, type Inode } from './inode.ts'
import { dropFileCapability, truncateFile } from './io.ts'
import type { Mount, VirtualDentry } from './mount.ts'
import { chmodMode, isOwner, mayAccess, modeAfterChown, requireAccess, requireChown } from './permissions.ts'
import { touchAccessTime } from './times.ts'
import { after } from './waiting.ts'
import { eventsOf, notify } from './watches.ts'

/** Preferred size of reads and writes. */
const BLOCK = 4096

export function statOf(inode: Inode): Stat {
  return {
    dev: inode.dev ?? inode.filesystem.dev,
    ino: inode.ino,
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev,
    size: inode.size,
    blksize: BLOCK,
    blocks: inode.blocks,
    atime: inode.atime,
    mtime: inode.mtime,
    ctime: inode.ctime,
    btime: inode.btime,
  }
}

/** Errors: EROFS. Linux asks the mount before it asks who owns the file. */
function requireWritable(mount: Mount): void {
  if (mount.readonly) throw new ErrnoError('EROFS')
}

/** Errors: EROFS, EPERM; EOPNOTSUPP for a symlink. */
export function changeMode(context: Context, place: VirtualDentry, mode: number): void {
  const { inode } = place.dentry
  requireWritable(place.mount)
  if (inode.kind === 'symlink') throw new ErrnoError('EOPNOTSUPP')
  if (!isOwner(context.credentials, inode)) throw new ErrnoError('EPERM')
  change(context, place, { mode: chmodMode(context.credentials, inode, mode) })
}

/** What a 32-bit id can be, where the largest one and -1 say "leave it". */
const isId = (id: number) => Number.isInteger(id) && id >= -1 && id < 0xffffffff

/** An id of -1 stays. Errors: EINVAL for what is no id; EROFS, EPERM. */
export function changeOwner(context: Context, place: VirtualDentry, uid: number, gid: number): void {
  const { inode } = place.dentry
  if (!isId(uid) || !isId(gid)) throw new ErrnoError('EINVAL')
  requireWritable(place.mount)
  requireChown(context.credentials, inode, uid, gid)
  const changes: AttributeChanges = {}
  if (uid !== -1) changes.uid = uid
  if (gid !== -1) changes.gid = gid
  const mode = modeAfterChown(context.credentials, inode)
  if (mode !== undefined) changes.mode = mode
  change(context, place, changes, dropFileCapability)
}

/** Times are nanoseconds, UTIME_NOW or UTIME_OMIT. Errors: EROFS; EPERM, or EACCES if both are "now". */
export function changeTimes(context: Context, place: VirtualDentry, atime: bigint, mtime: bigint): void {
  if (atime === UTIME_OMIT && mtime === UTIME_OMIT) return
  const { inode } = place.dentry
  requireWritable(place.mount)
  if (!isOwner(context.credentials, inode)) {
    if (atime !== UTIME_NOW || mtime !== UTIME_NOW) throw new ErrnoError('EPERM')
    requireAccess(context.credentials, inode, W_OK)
  }
  const now = context.clock.coarse()
  const changes: AttributeChanges = {}
  if (atime !== UTIME_OMIT) changes.atime = atime === UTIME_NOW ? now : clampTime(atime)
  if (mtime !== UTIME_OMIT) changes.mtime = mtime === UTIME_NOW ? now : clampTime(mtime)
  change(context, place, changes)
}

/** Seconds are 64-bit with nanoseconds beside them; what a bigint of nanoseconds can't say is capped, as the kernel does. */
const MAX_TIME = ((1n << 63n) - 1n) * 1_000_000_000n
function clampTime(time: bigint): bigint {
  return time > MAX_TIME ? MAX_TIME : time < -MAX_TIME ? -MAX_TIME : time
}

function change(
  context: Context,
  place: VirtualDentry,
  changes: AttributeChanges,
  also?: (inode: Inode) => void,
): void {
  const { inode } = place.dentry
  after(
    () => inode.setAttributes(changes, context.attempt),
    () => {
      if (changes.mode !== undefined && inode.hasXattrs) followMode(inode, changes.mode)
      also?.(inode)
      inode.touch(CTIME, context.clock.coarse())
      notify(place, eventsOf(changes))
    },
  )
}

/** truncate(2) of a file found by path. Errors: EISDIR, EINVAL, EACCES, EROFS. */
export function truncateAt(context: Context, place: VirtualDentry, size: number): void {
  const { inode } = place.dentry
  if (inode.kind === 'directory') throw new ErrnoError('EISDIR')
  if (inode.kind !== 'file') throw new ErrnoError('EINVAL')
  requireAccess(context.credentials, inode, W_OK)
  requireWritable(place.mount)
  after(
    () => truncateFile(context, inode, size),
    (events) => notify(place, events),
  )
}

/**
 * access(2), with the real ids unless `effective`. Errors: EACCES, EROFS, EINVAL for other mode bits.
 */
export function checkAccess(context: Context, place: VirtualDentry, mode: number, effective: boolean): void {
  if (mode & ~(R_OK | W_OK | X_OK)) throw new ErrnoError('EINVAL')
  if (mode === 0) return
  const { inode } = place.dentry
  const special = inode.kind !== 'file' && inode.kind !== 'directory' && inode.kind !== 'symlink'
  if (mode & W_OK && place.mount.superblock.filesystem.readonly && !special) throw new ErrnoError('EROFS')
  const who = effective ? context.credentials : asRealUser(context.credentials)
  if (!mayAccess(who, inode, mode)) throw new ErrnoError('EACCES')
  inode.access?.(mode, context.attempt)
  if (mode & X_OK && inode.kind === 'file' && place.mount.flags.noexec) throw new ErrnoError('EACCES')
  if (mode & W_OK && place.mount.readonly && !special) throw new ErrnoError('EROFS')
}

/** Linux's access_override_creds: the real ids, and root's capabilities, whether it uses them or not, or none. */
function asRealUser(who: Credentials): Credentials {
  const capabilities = who.realUid === 0 ? (who.permitted ?? who.capabilities) : 0
  return { ...who, uid: who.realUid, gid: who.realGid, capabilities }
}

/** The target of a link, verbatim. Errors: EINVAL for anything else. */
export function readLink(context: Context, place: VirtualDentry): string {
  const { inode } = place.dentry
  if (inode.kind !== 'symlink') throw new ErrnoError('EINVAL')
  const target = inode.readlink(context.attempt, context)
  touchAccessTime(context, place.mount, inode)
  return target
}
