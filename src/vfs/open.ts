/** open(2): flags, checks in Linux's order, creation. */

import { ErrnoError } from '../abi/errno.ts'
import {
  O_ACCMODE,
  O_APPEND,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  R_OK,
  S_ISGID,
  S_ISVTX,
  W_OK,
  X_OK,
} from '../abi/linux.ts'
import { bequeath, inherit } from './acl.ts'
import type { Context } from './context.ts'
import { Dentry } from './dentry.ts'
import { FileDescription } from './description.ts'
import { openFifo, resumeFifo } from './fifo.ts'
import { CTIME, type DirectoryInode, type Inode, MTIME, type NewInode } from './inode.ts'
import { truncateFile } from './io.ts'
import { VirtualDentry } from './mount.ts'
import { PathWalk, requirePath } from './path-walk.ts'
import { isOwner, keepsSetgid, mayAccess, requireAccess } from './permissions.ts'
import { after } from './waiting.ts'
import { notify, notifyCreated } from './watches.ts'

const KNOWN_FLAGS =
  O_ACCMODE |
  O_CREAT |
  O_EXCL |
  O_TRUNC |
  O_APPEND |
  O_NONBLOCK |
  O_SYNC |
  O_DSYNC |
  O_DIRECT |
  O_DIRECTORY |
  O_NOFOLLOW |
  O_NOATIME |
  O_PATH |
  O_TMPFILE
const TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY
const STICKY_FOR_ALL = S_ISVTX | 0o002
const SETGID_RUN = S_ISGID | 0o010

/**
 * Opens the file that a path denotes, creating it if asked. `mode` is that of a created file, before the umask. `start` is asked
 * for where the path starts once flags and path are found good, as on Linux.
 * Errors: those of the walk; EINVAL for flags that exclude each other; EEXIST, EISDIR, ENOTDIR, ELOOP, EACCES, EPERM, EROFS,
 * ENXIO, ENOSPC, EOPNOTSUPP as open(2) says.
 */
export function openAt(
  context: Context,
  start: () => VirtualDentry,
  path: string,
  flags: number,
  mode: number,
): FileDescription {
  const { attempt } = context
  const wanted = effective(flags, path)
  requirePath(path)
  return after(
    () => (attempt.used ? resumeFifo(attempt) : undefined) ?? openByPath(context, start(), path, wanted, mode),
    (file) => {
      file.announce()
      return file
    },
  )
}

/** The flags that have an effect. Errors: EINVAL for flags that exclude each other. */
function effective(flags: number, path: string): number {
  const known = flags & KNOWN_FLAGS
  if (known & O_PATH) return known & (O_PATH | O_DIRECTORY | O_NOFOLLOW)
  const [creates, directory] = [(known & O_CREAT) !== 0, (known & O_DIRECTORY) !== 0]
  const valid =
    known & TMPFILE_BIT ? directory && !creates && (known & O_ACCMODE) !== O_RDONLY : !(creates && directory)
  if (!valid) throw new ErrnoError('EINVAL', path)
  return known
}

function openByPath(
  context: Context,
  start: VirtualDentry,
  path: string,
  wanted: number,
  mode: number,
): FileDescription {
  if (wanted & TMPFILE_BIT) return openUnnamed(context, start, path, wanted, mode)
  const walk = new PathWalk(context, start, path)
  if (wanted & O_CREAT) return openOrCreate(walk, wanted, mode)
  walk.toEnd((wanted & O_NOFOLLOW) === 0)
  return openExisting(context, walk.place, wanted, path)
}

function openOrCreate(walk: PathWalk, flags: number, mode: number): FileDescription {
  const { context } = walk
  for (;;) {
    walk.toParent()
    if (walk.last !== 'name') {
      if (flags & O_EXCL) throw new ErrnoError('EEXIST', walk.path)
      throw new ErrnoError('EISDIR', walk.path)
    }
    if (walk.slash) throw new ErrnoError('EISDIR', walk.path)
    const child = walk.lookupFree()
    if (child === undefined) {
      if (!makes(walk.dentry.inode as DirectoryInode, 'file')) {
        requireCreate(walk)
        throw new ErrnoError('EACCES', walk.path)
      }
      return after(
        () => createFile(walk, 'file', mode, { opening: flags }),
        (made) => opened(context, new VirtualDentry(walk.mount, made), flags),
      )
    }
    if (flags & O_EXCL) throw new ErrnoError('EEXIST', walk.path)
    const dir = walk.dentry.inode
    if (walk.enter(child, (flags & O_NOFOLLOW) === 0)) continue
    requireFamiliar(context, dir, walk.dentry.inode, walk.path)
    return openExisting(context, walk.place, flags, walk.path)
  }
}

/**
 * O_CREAT in a sticky directory that everyone may write, such as /tmp, does not open a link, device or socket of a stranger
 * (may_create_in_sticky; fs.protected_regular and fs.protected_fifos being 0). Errors: EACCES, but EISDIR for a directory.
 */
function requireFamiliar(context: Context, dir: Inode, inode: Inode, path: string): void {
  const { kind } = inode
  if (kind === 'directory') throw new ErrnoError('EISDIR', path)
  if (kind === 'file' || kind === 'fifo' || (dir.mode & STICKY_FOR_ALL) !== STICKY_FOR_ALL) return
  if (inode.uid !== dir.uid && inode.uid !== context.credentials.uid) throw new ErrnoError('EACCES', path)
}

/** Makes a new inode under the name that the walk stopped at, and enters it in the tree. */
export function createFile(walk: PathWalk, kind: NewInode['kind'], mode: number, more?: Partial<NewInode>): Dentry {
  const { context, dentry } = walk
  const dir = dentry.inode as DirectoryInode
  requireCreate(walk)
  if (!makes(dir, kind)) throw new ErrnoError('EPERM', walk.path)
  if (kind === 'directory') {
    const { linkMax } = walk.mount.superblock.filesystem
    if (linkMax !== undefined && dir.nlink >= linkMax) throw new ErrnoError('EMLINK', walk.path)
  }
  const now = context.clock.coarse()
  const inherited = inherit(dir, kind, withinGroup(context, dir, kind, mode), context.umask ?? 0)
  const what = { ...newInode(context, dir, kind, inherited.mode, now), ...more }
  return after(
    () => dir.create!(walk.name, what, context.attempt),
    (inode) => {
      bequeath(inode, inherited)
      dir.touch(MTIME | CTIME, now)
      const made = dentry.add(walk.name, inode)
      notifyCreated(walk, walk.name, inode)
      return made
    },
  )
}

/** A description of a file or directory that may be opened. */
function opened(context: Context, place: VirtualDentry, flags: number): FileDescription {
  const { inode } = place.dentry
  const openable = inode.kind === 'file' || inode.kind === 'directory'
  const handle = openable ? inode.open?.(flags, context.attempt) : undefined
  return new FileDescription(place, flags, undefined, handle)
}

const makes = ({ create, makes }: DirectoryInode, kind: NewInode['kind']): boolean =>
  create !== undefined && (makes === undefined || makes === kind)

/** Errors, in Linux's order (measured on 6.18): ENOENT for a removed directory, EROFS, EACCES. */
export function requireCreate(walk: PathWalk): void {
  const { context, dentry } = walk
  if (dentry.dead) throw new ErrnoError('ENOENT', walk.path)
  if (walk.mount.readonly) throw new ErrnoError('EROFS', walk.path)
  requireAccess(context.credentials, dentry.inode, W_OK | X_OK)
}

/** A new inode's owner: in a setgid directory it takes the directory's group, a directory the bit as well. */
function newInode(context: Context, dir: Inode, kind: NewInode['kind'], mode: number, now: bigint): NewInode {
  const { uid, gid } = context.credentials
  if ((dir.mode & S_ISGID) === 0) return { kind, mode: mode & 0o7777, uid, gid, now }
  const bits = kind === 'directory' ? mode | S_ISGID : mode
  return { kind, mode: bits & 0o7777, uid, gid: dir.gid, now }
}

/**
 * The mode that may be asked for: a stranger to a setgid directory's group makes nothing set-group-id for it. Linux looks at the
 * group's execute bit before the umask takes it away (mode_strip_sgid).
 */
function withinGroup(context: Context, dir: Inode, kind: NewInode['kind'], mode: number): number {
  const strips = (dir.mode & S_ISGID) !== 0 && kind !== 'directory' && (mode & SETGID_RUN) === SETGID_RUN
  return strips && !keepsSetgid(context.credentials, dir) ? mode & ~S_ISGID : mode
}

function openUnnamed(
  context: Context,
  start: VirtualDentry,
  path: string,
  flags: number,
  mode: number,
): FileDescription {
  const walk = new PathWalk(context, start, path)
  walk.toEnd((flags & O_NOFOLLOW) === 0)
  const { inode } = walk.dentry
  if (inode.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
  if (walk.mount.readonly) throw new ErrnoError('EROFS', path)
  requireAccess(context.credentials, inode, W_OK | X_OK)
  if (!inode.createUnnamed) throw new ErrnoError('EOPNOTSUPP', path)
  const inherited = inherit(inode, 'file', withinGroup(context, inode, 'file', mode), context.umask ?? 0)
  const what = newInode(context, inode, 'file', inherited.mode, context.clock.coarse())
  const made = inode.createUnnamed(what, context.attempt)
  bequeath(made, inherited)
  const nameless = new Dentry(`#${made.ino}`, walk.dentry, made)
  nameless.dead = true
  nameless.linkable = (flags & O_EXCL) === 0
  return new FileDescription(new VirtualDentry(walk.mount, nameless), flags & ~TMPFILE_BIT & ~O_DIRECTORY)
}

/** Opens a file that is there, whatever its kind. */
export function openExisting(context: Context, place: VirtualDentry, flags: number, path: string): FileDescription {
  const { inode } = place.dentry
  const { mount } = place
  if (place.dentry.refreshes) inode.refresh!(context.attempt)
  const access = flags & O_ACCMODE
  const asksWrite = access !== O_RDONLY
  const writes = asksWrite && access !== O_ACCMODE
  if (flags & O_DIRECTORY && inode.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
  if (flags & O_PATH) return new FileDescription(place, flags)
  if (inode.kind === 'symlink') throw new ErrnoError('ELOOP', path)
  if (inode.kind === 'directory' && (asksWrite || flags & (O_TRUNC | O_CREAT))) throw new ErrnoError('EISDIR', path)
  if (inode.kind === 'directory' && flags & O_DIRECT) throw new ErrnoError('EINVAL', path)
  const special = inode.kind !== 'file' && inode.kind !== 'directory'
  const truncates = (flags & O_TRUNC) !== 0
  if ((asksWrite || truncates) && !special && mount.superblock.filesystem.readonly) throw new ErrnoError('EROFS', path)
  requireAccess(context.credentials, inode, accessOf(flags) | (truncates ? W_OK : 0))
  if ((writes || truncates) && !special && mount.readonly) throw new ErrnoError('EROFS', path)
  if (inode.kind === 'file') inode.checkOpen?.(context, flags)
  if (flags & O_NOATIME && !isOwner(context.credentials, inode)) throw new ErrnoError('EPERM', path)
  if (special && inode.reopen) return new FileDescription(place, flags, inode.reopen(flags))
  if (inode.kind === 'socket') throw new ErrnoError('ENXIO', path)
  if (inode.kind === 'char' || inode.kind === 'block') {
    if (mount.flags.nodev) throw new ErrnoError('EACCES', path, 'the mount is nodev')
    return new FileDescription(place, flags, context.devices.open(inode, context, { place, flags }))
  }
  if (inode.kind === 'fifo') return openFifo(context, place, flags, path)
  if (inode.kind !== 'file') return opened(context, place, flags)
  if (!truncates) {
    if (writes) inode.openForWriting?.(context.attempt)
    return opened(context, place, flags)
  }
  const handle = inode.open?.(flags, context.attempt)
  return after(
    () => truncateFile(context, inode, 0),
    (events) => {
      const file = new FileDescription(place, flags, undefined, handle)
      // Linux tells that it is open before it truncates.
      file.announce()
      notify(place, events)
      return file
    },
  )
}

function accessOf(flags: number): number {
  const mode = flags & O_ACCMODE
  if (mode === O_RDONLY) return R_OK
  return mode === O_WRONLY ? W_OK : R_OK | W_OK
}

/**
 * Checks that a file may be run: its bits, then its mount, then its kind; all EACCES (execve(2)).
 */
export function requireExecutable(context: Context, place: VirtualDentry): void {
  const { inode } = place.dentry
  if (inode.kind !== 'file') throw new ErrnoError('EACCES', undefined, 'not a regular file')
  if (!mayAccess(context.credentials, inode, X_OK)) throw new ErrnoError('EACCES', undefined, 'not executable')
  if (place.mount.flags.noexec) throw new ErrnoError('EACCES', undefined, 'the mount is noexec')
}
