/**
 * Making, removing and moving names: mkdir(2), mknod(2), symlink(2), link(2), unlink(2), rmdir(2), rename(2).
 * All checks, in Linux's order, then the act. `path` arguments start from `start` unless they are absolute.
 */

import { ErrnoError } from '../abi/errno.ts'
import { CAP_MKNOD, R_OK, RENAME_EXCHANGE, RENAME_NOREPLACE, S_ISGID, S_ISUID, W_OK, X_OK } from '../abi/linux.ts'
import { type Context, namespaceOf } from './context.ts'
import { Dentry } from './dentry.ts'
import { CTIME, type DirectoryInode, type Endpoint, type Inode, MTIME, type NewInode } from './inode.ts'
import type { VirtualDentry } from './mount.ts'
import { commitDelete, NameChange, requireNotMounted } from './mount-points.ts'
import { createFile, requireCreate } from './open.ts'
import { PathWalk, requirePath } from './path-walk.ts'
import { isOwner, mayAccess, requireAccess, requireDelete } from './permissions.ts'
import { after, InFlight } from './waiting.ts'
import { notifyLinked, notifyMoved, notifyRemoved } from './watches.ts'

const LINK_MAX = 0x7fffffff

/** Where a path starts, asked for only when its turn comes, since what else is wrong may go before. Errors: EBADF. */
type Start = () => VirtualDentry

/** Errors: those of the walk; EEXIST, EROFS, ENOENT in a removed directory, EACCES, ENOSPC. */
export function makeDirectory(context: Context, start: VirtualDentry, path: string, mode: number): void {
  const walk = toFreeName(context, start, path, true)
  createFile(walk, 'directory', mode & 0o1777)
}

/** Makes a regular file, FIFO, socket or device node. Errors: EPERM and EINVAL for other kinds; as makeDirectory; EPERM for a device. */
export function makeNode(
  context: Context,
  start: VirtualDentry,
  path: string,
  kind: NewInode['kind'],
  mode: number,
  rdev = 0,
  endpoint?: Endpoint,
): void {
  if (kind === 'directory') throw new ErrnoError('EPERM', path)
  if (kind === 'symlink') throw new ErrnoError('EINVAL', path)
  const walk = toFreeName(context, start, path, false)
  requireCreate(walk)
  const whiteout = kind === 'char' && rdev === 0
  if ((kind === 'char' || kind === 'block') && !whiteout && (context.credentials.capabilities & CAP_MKNOD) === 0) {
    throw new ErrnoError('EPERM', path)
  }
  createFile(walk, kind, mode, { rdev, ...(endpoint && { endpoint }) })
}

/** Errors: ENOENT for an empty target or with slashes behind the name; else as makeDirectory. */
export function makeSymlink(context: Context, target: string, start: Start, path: string): void {
  requirePath(target)
  const walk = toFreeName(context, start(), path, false)
  createFile(walk, 'symlink', 0o777, { target })
}

/** Walks to a name that must be free. Errors: EEXIST; ENOENT for `name/` unless a directory is made, and in a removed directory. */
function toFreeName(context: Context, start: VirtualDentry, path: string, directory: boolean): PathWalk {
  const walk = new PathWalk(context, start, path)
  walk.toParent()
  if (walk.last !== 'name' || walk.lookupFree() !== undefined) throw new ErrnoError('EEXIST', path)
  if ((walk.slash && !directory) || walk.dentry.dead) throw new ErrnoError('ENOENT', path)
  return walk
}

/**
 * A further name for a file. `source` is resolved already.
 * Errors, in order: EEXIST, ENOENT for slashes and in a removed directory, EROFS, EXDEV, EPERM for a stranger's file, EACCES, EPERM
 * for a directory, ENOENT for a source without a name, EMLINK.
 */
export function linkTo(context: Context, source: VirtualDentry, start: VirtualDentry, path: string): void {
  const walk = toFreeName(context, start, path, false)
  if (walk.mount.readonly) throw new ErrnoError('EROFS', path)
  if (source.mount !== walk.mount || source.mount.synthetic?.has(source.dentry)) throw new ErrnoError('EXDEV', path)
  const { inode } = source.dentry
  if (!mayLink(context, inode)) throw new ErrnoError('EPERM', path)
  requireCreate(walk)
  if (inode.kind === 'directory') throw new ErrnoError('EPERM', path)
  if (inode.nlink === 0 && !source.dentry.linkable) throw new ErrnoError('ENOENT', path)
  if (inode.nlink >= (walk.mount.superblock.filesystem.linkMax ?? LINK_MAX)) throw new ErrnoError('EMLINK', path)
  const dir = walk.dentry.inode as DirectoryInode
  if (!dir.link) throw new ErrnoError('EPERM', path)
  after(
    () => dir.link!(walk.name, inode, context.attempt),
    () => {
      const now = context.clock.coarse()
      inode.touch(CTIME, now)
      dir.touch(MTIME | CTIME, now)
      walk.dentry.add(walk.name, inode)
      notifyLinked(walk, walk.name, inode)
    },
  )
}

/** fs.protected_hardlinks: a stranger may link only a regular file that it may read and write and that is not set-id. */
function mayLink(context: Context, inode: Inode): boolean {
  if (isOwner(context.credentials, inode)) return true
  if (inode.kind !== 'file' || inode.mode & S_ISUID) return false
  if ((inode.mode & (S_ISGID | 0o010)) === (S_ISGID | 0o010)) return false
  return mayAccess(context.credentials, inode, R_OK | W_OK)
}

/** Errors: EISDIR, EROFS, ENOENT, ENOTDIR for slashes behind a file's name, EACCES, EPERM, EBUSY. */
export function unlink(context: Context, start: VirtualDentry, path: string): void {
  const walk = new PathWalk(context, start, path)
  walk.toParent()
  if (walk.last !== 'name') throw new ErrnoError('EISDIR', path)
  const victim = toVictim(walk)
  if (walk.slash) throw new ErrnoError(victim.inode.kind === 'directory' ? 'EISDIR' : 'ENOTDIR', path)
  requireDelete(context.credentials, walk.dentry.inode, victim.inode)
  if (victim.inode.kind === 'directory') throw new ErrnoError('EISDIR', path)
  requireRemovable(walk, victim)
  requireNoMount(walk, victim)
  remove(walk, victim)
}

/** Errors: EINVAL for `.`, ENOTEMPTY for `..` or entries, EBUSY for `/` or a mount point, EROFS, ENOENT, ENOTDIR, EACCES, EPERM. */
export function removeDirectory(context: Context, start: VirtualDentry, path: string): void {
  const walk = new PathWalk(context, start, path)
  walk.toParent()
  if (walk.last === 'dot') throw new ErrnoError('EINVAL', path)
  if (walk.last === 'dotdot') throw new ErrnoError('ENOTEMPTY', path)
  if (walk.last === 'root') throw new ErrnoError('EBUSY', path)
  const victim = toVictim(walk)
  requireDelete(context.credentials, walk.dentry.inode, victim.inode)
  if (victim.inode.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
  requireRemovable(walk, victim)
  requireNoMount(walk, victim)
  if (!isEmpty(walk, victim)) throw new ErrnoError('ENOTEMPTY', path)
  remove(walk, victim)
}

function toVictim(walk: PathWalk): Dentry {
  if (walk.mount.readonly) throw new ErrnoError('EROFS', walk.path)
  const victim = walk.lookup()
  if (victim === undefined) throw new ErrnoError('ENOENT', walk.path)
  return victim
}

/** Errors: EPERM for a filesystem that removes nothing. */
function requireRemovable({ mount, dentry, path }: PathWalk, victim: Dentry): void {
  if ((dentry.inode as DirectoryInode).unlink || mount.synthetic?.has(victim)) return
  throw new ErrnoError('EPERM', path)
}

/** Preconditions: the entry is a directory. */
function isEmpty({ context, mount }: PathWalk, entry: Dentry): boolean {
  return (entry.inode as DirectoryInode).isEmpty(context.attempt) && (mount.synthetic?.isEmpty(entry) ?? true)
}

/** Preconditions: requireRemovable. */
function remove(walk: PathWalk, victim: Dentry): void {
  const { context } = walk
  const dir = walk.dentry.inode as DirectoryInode
  const { synthetic } = walk.mount
  const act = () => {
    if (synthetic?.has(victim)) synthetic.remove(victim)
    else dir.unlink!(walk.name, victim.inode, context.attempt)
  }
  after(
    () => pinning(walk, [victim], act),
    () => {
      const now = context.clock.coarse()
      victim.inode.touch(CTIME, now)
      dir.touch(MTIME | CTIME, now)
      commitDelete(walk.mount.superblock, victim)
      notifyRemoved(walk, victim)
    },
  )
}

/** Makes a change of names; while it is in flight, nothing is mounted on them. */
function pinning<T>({ context, mount }: PathWalk, entries: readonly Dentry[], change: () => T): T {
  try {
    return change()
  } catch (thrown) {
    if (thrown instanceof InFlight) {
      const pinned = new NameChange(namespaceOf(context), mount.superblock, ...entries)
      context.attempt.onEnd(() => pinned.abort())
    }
    throw thrown
  }
}

/** Errors: EBUSY if the entry is a mount point in the caller's namespace; in another one its mounts are detached later. */
function requireNoMount({ context, mount, path }: PathWalk, entry: Dentry): void {
  if (entry.mounts > 0) requireNotMounted(namespaceOf(context), mount.superblock, entry, path)
}

/**
 * renameat2(2). Flags: RENAME_NOREPLACE or RENAME_EXCHANGE.
 * Errors, in Linux's order: EINVAL for flags; those of both walks; EXDEV; EBUSY (EEXIST) for dots; EROFS; ENOENT; EEXIST;
 * ENOTDIR for slashes; EINVAL into itself; ENOTEMPTY onto an ancestor; EACCES, EPERM; ENOTDIR, EISDIR; EBUSY; EMLINK; ENOTEMPTY.
 */
export function rename(
  context: Context,
  oldStart: Start,
  oldPath: string,
  newStart: Start,
  newPath: string,
  flags: number,
): void {
  const exchange = (flags & RENAME_EXCHANGE) !== 0
  const noReplace = (flags & RENAME_NOREPLACE) !== 0
  if (flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE) || (exchange && noReplace)) throw new ErrnoError('EINVAL', oldPath)
  const from = new PathWalk(context, oldStart(), oldPath)
  from.toParent()
  const to = new PathWalk(context, newStart(), newPath)
  to.toParent()
  if (from.mount !== to.mount) throw new ErrnoError('EXDEV', oldPath)
  if (from.last !== 'name') throw new ErrnoError('EBUSY', oldPath)
  if (to.last !== 'name') throw new ErrnoError(noReplace ? 'EEXIST' : 'EBUSY', newPath)
  if (from.mount.readonly) throw new ErrnoError('EROFS', oldPath)
  const moved = from.lookup()
  if (moved === undefined) throw new ErrnoError('ENOENT', oldPath)
  const target = to.lookupFree()
  const { synthetic } = from.mount
  if (synthetic && (synthetic.has(moved) || (target && synthetic.has(target)))) throw new ErrnoError('EXDEV', oldPath)
  if (noReplace && target) throw new ErrnoError('EEXIST', newPath)
  if (exchange && !target) throw new ErrnoError('ENOENT', newPath)
  const movesDirectory = moved.inode.kind === 'directory'
  if (exchange && target!.inode.kind !== 'directory' && to.slash) throw new ErrnoError('ENOTDIR', newPath)
  if (!movesDirectory && (from.slash || (to.slash && !exchange))) throw new ErrnoError('ENOTDIR', oldPath)
  if (to.dentry.isUnder(moved)) throw new ErrnoError('EINVAL', oldPath)
  if (target && from.dentry.isUnder(target)) throw new ErrnoError(exchange ? 'EINVAL' : 'ENOTEMPTY', newPath)
  if (target && target.inode === moved.inode) return
  const sameParent = from.dentry === to.dentry
  const who = context.credentials
  requireDelete(who, from.dentry.inode, moved.inode)
  if (target) requireReplace(to, target, moved, exchange)
  else {
    if (to.dentry.dead) throw new ErrnoError('ENOENT', newPath)
    requireAccess(who, to.dentry.inode, W_OK | X_OK)
  }
  if (!sameParent && movesDirectory) requireAccess(who, moved.inode, W_OK)
  if (!sameParent && exchange && target!.inode.kind === 'directory') requireAccess(who, target!.inode, W_OK)
  requireNoMount(from, moved)
  if (target) requireNoMount(to, target)
  const linkMax = from.mount.superblock.filesystem.linkMax ?? LINK_MAX
  if (movesDirectory && !sameParent && !target && to.dentry.inode.nlink >= linkMax)
    throw new ErrnoError('EMLINK', newPath)
  if (!exchange && target?.inode.kind === 'directory' && !isEmpty(to, target)) {
    throw new ErrnoError('ENOTEMPTY', newPath)
  }
  move(from, moved, to, target, exchange)
}

function requireReplace(to: PathWalk, target: Dentry, moved: Dentry, exchange: boolean): void {
  requireDelete(to.context.credentials, to.dentry.inode, target.inode)
  if (exchange) return
  const ontoDirectory = target.inode.kind === 'directory'
  const movesDirectory = moved.inode.kind === 'directory'
  if (movesDirectory && !ontoDirectory) throw new ErrnoError('ENOTDIR', to.path)
  if (!movesDirectory && ontoDirectory) throw new ErrnoError('EISDIR', to.path)
}

function move(from: PathWalk, moved: Dentry, to: PathWalk, target: Dentry | undefined, exchange: boolean): void {
  const { context } = from
  const oldDir = from.dentry.inode as DirectoryInode
  const newDir = to.dentry.inode as DirectoryInode
  if (!oldDir.rename) throw new ErrnoError('EPERM', from.path)
  const act = exchange ? oldDir.exchange : oldDir.rename
  if (!act) throw new ErrnoError('EINVAL', from.path)
  const replaced = target?.inode as Inode
  after(
    () =>
      pinning(from, target ? [moved, target] : [moved], () =>
        act.call(oldDir, from.name, moved.inode, newDir, to.name, replaced, context.attempt),
      ),
    () => {
      const now = context.clock.coarse()
      oldDir.touch(MTIME | CTIME, now)
      if (newDir !== oldDir) newDir.touch(MTIME | CTIME, now)
      moved.inode.touch(CTIME, now)
      target?.inode.touch(CTIME, now)
      if (exchange) {
        Dentry.exchange(moved, target!)
        notifyMoved(from, from.name, moved)
        notifyMoved(to, to.name, target!)
      } else {
        if (target) commitDelete(to.mount.superblock, target)
        moved.move(to.dentry, to.name)
        notifyMoved(from, from.name, moved, target)
      }
    },
  )
}
