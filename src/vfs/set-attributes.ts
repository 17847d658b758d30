/**
 * Several attributes of a file in one step: Linux's notify_change, of which chmod(2), chown(2), utimensat(2) and truncate(2)
 * each use a part. All is checked before anything changes.
 */

import { ErrnoError } from '../abi/errno.ts'
import { W_OK } from '../abi/linux.ts'
import { followMode } from './acl.ts'
import type { Context } from './context.ts'
import { type AttributeChanges, CTIME, type Inode } from './inode.ts'
import { dropFileCapability, truncateFile } from './io.ts'
import type { VirtualDentry } from './mount.ts'
import { chmodMode, isOwner, modeAfterChown, requireAccess, requireChown } from './permissions.ts'
import { after } from './waiting.ts'
import { eventsOf, notify } from './watches.ts'

/** What is left out stays. */
export interface AttributesToSet extends AttributeChanges {
  /** Of a regular file. */
  size?: number
}

const KNOWN = new Set<string>([
  'mode',
  'uid',
  'gid',
  'size',
  'atime',
  'mtime',
  'ctime',
] satisfies (keyof AttributesToSet)[])

/**
 * Sets attributes; none asked for is none checked. Times that are given stand, though a change of size moves them too.
 * Errors, in order: EPERM for an attribute that cannot be set; EROFS; EISDIR, EINVAL, EACCES, EFBIG for a size; EPERM for
 * owner, mode and times; EOPNOTSUPP for a symlink's mode.
 */
export function setAttributes(context: Context, place: VirtualDentry, changes: AttributesToSet): void {
  const asked = Object.entries(changes).filter(([, value]) => value !== undefined)
  if (asked.length === 0) return
  if (asked.some(([name]) => !KNOWN.has(name))) throw new ErrnoError('EPERM')
  const { inode } = place.dentry
  if (place.mount.readonly) throw new ErrnoError('EROFS')
  const { size, ...others } = changes
  if (size !== undefined) requireResizable(context, inode)
  const settled = requireOthers(context, inode, others)
  after(
    () => (size === undefined ? 0 : truncateFile(context, inode, size)),
    (resized) =>
      after(
        () => inode.setAttributes(settled, context.attempt),
        () => {
          if (settled.mode !== undefined) followMode(inode, settled.mode)
          if ((settled.uid ?? settled.gid) !== undefined) dropFileCapability(inode)
          if (settled.ctime === undefined) inode.touch(CTIME, context.clock.coarse())
          notify(place, resized | eventsOf(settled))
        },
      ),
  )
}

function requireResizable(context: Context, inode: Inode): void {
  if (inode.kind === 'directory') throw new ErrnoError('EISDIR')
  if (inode.kind !== 'file') throw new ErrnoError('EINVAL')
  requireAccess(context.credentials, inode, W_OK)
}

/** What is really set of what is asked for. */
function requireOthers(context: Context, inode: Inode, asked: AttributeChanges): AttributeChanges {
  const who = context.credentials
  const { mode, uid, gid, atime, mtime, ctime } = asked
  const owns = isOwner(who, inode)
  const settled = { ...asked }
  if (uid !== undefined || gid !== undefined) {
    requireChown(who, inode, uid ?? -1, gid ?? -1)
    const left = modeAfterChown(who, inode)
    if (left !== undefined) settled.mode = left
  }
  if (mode !== undefined) {
    if (!owns) throw new ErrnoError('EPERM')
    if (inode.kind === 'symlink') throw new ErrnoError('EOPNOTSUPP')
    settled.mode = chmodMode(who, inode, mode)
  }
  if (!owns && (atime ?? mtime ?? ctime) !== undefined) throw new ErrnoError('EPERM')
  return settled
}
