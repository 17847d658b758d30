/** Magic links (symlink(7)): symbolic links, of proc say, that lead to a file itself, wherever it is, and not to a path. */

import type { Context } from './context.ts'
import type { SymlinkInode } from './inode.ts'
import { type Mount, VirtualDentry } from './mount.ts'

export interface MagicLink extends SymlinkInode {
  /** The place it leads to; it need not be one that a path leads to. Errors: ENOENT, EACCES where whoever follows it may not. */
  jump(context: Context): VirtualDentry
}

export const isMagic = (link: SymlinkInode): link is MagicLink => 'jump' in link

/**
 * Whether a walk that is confined to `start` may jump to a place: one at or below it. Where it is confined to all that its
 * task can see, that may also be what has no name any more, or never had one: a removed file, a pipe.
 */
export function mayJump(place: VirtualDentry, start: VirtualDentry, root: VirtualDentry): boolean {
  if (isBelow(place, start)) return true
  if (!start.equals(root)) return false
  const { mount, dentry } = place
  return mount.namespace === undefined || (dentry.dead && isBelow(new VirtualDentry(mount, mount.root), root))
}

/** Whether a place lies at `top` or below it, in the tree of mounts that it is part of. */
function isBelow(place: VirtualDentry, top: VirtualDentry): boolean {
  let { mount, dentry }: { mount: Mount; dentry: VirtualDentry['dentry'] } = place
  while (mount !== top.mount) {
    if (!mount.parent || !mount.point) return false
    dentry = mount.point
    mount = mount.parent
  }
  return !dentry.dead && dentry.isUnder(top.dentry)
}
