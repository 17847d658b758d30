/** Who may do what: path_resolution(7), capabilities(7), inode(7). All checks of credentials against an inode are here. */

import { ErrnoError } from '../abi/errno.ts'
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  R_OK,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
  W_OK,
  X_OK,
} from '../abi/linux.ts'
import { ACCESS_ACL, ACL_GROUP, ACL_GROUP_OBJ, ACL_MASK, ACL_OTHER, ACL_USER, type Acl, aclOf } from './acl.ts'
import type { Credentials } from './context.ts'
import type { Inode, InodeAttributes } from './inode.ts'

export const inGroup = (who: Credentials, gid: number): boolean => who.gid === gid || who.groups.includes(gid)

/** Whether all of `wanted` (R_OK, W_OK, X_OK) is granted. The class that matches decides, even if it grants less. */
export function mayAccess(who: Credentials, inode: Inode, wanted: number): boolean {
  const { mode } = inode
  if (who.uid === inode.uid) {
    if (((mode >> 6) & wanted) === wanted) return true
  } else {
    // Linux asks the list only if the group class may do anything at all (acl_permission_check).
    const acl = inode.hasXattrs && mode & 0o070 ? aclOf(inode, ACCESS_ACL) : undefined
    const shift = inGroup(who, inode.gid) ? 3 : 0
    if (acl ? listAllows(acl, who, inode, wanted) : ((mode >> shift) & wanted) === wanted) return true
  }
  if (who.capabilities & CAP_DAC_OVERRIDE) {
    return inode.kind === 'directory' || (wanted & X_OK) === 0 || (mode & 0o111) !== 0
  }
  if (who.capabilities & CAP_DAC_READ_SEARCH) {
    return inode.kind === 'directory' ? (wanted & W_OK) === 0 : wanted === R_OK
  }
  return inode.filesystem.decides === true && (inode.kind === 'directory' || (wanted & X_OK) === 0)
}

/** acl(5), "access check algorithm", for who does not own the file: a named user, else any group that grants it, else other. */
function listAllows(acl: Acl, who: Credentials, inode: Inode, wanted: number): boolean {
  const mask = acl.find(({ tag }) => tag === ACL_MASK)?.permissions ?? 7
  let inAny = false
  for (const { tag, permissions, id } of acl) {
    const masked = (permissions & mask & wanted) === wanted
    if (tag === ACL_USER && id === who.uid) return masked
    const group = tag === ACL_GROUP_OBJ ? inode.gid : tag === ACL_GROUP ? id : undefined
    if (group !== undefined && inGroup(who, group)) {
      inAny = true
      if ((permissions & wanted) === wanted) return masked
    }
    if (tag === ACL_OTHER && !inAny) return (permissions & wanted) === wanted
  }
  return false
}

/** Errors: EACCES. */
export function requireAccess(who: Credentials, inode: Inode, wanted: number): void {
  if (!mayAccess(who, inode, wanted)) throw new ErrnoError('EACCES')
}

/** Whether these credentials own the file or act as if they did. */
export const isOwner = (who: Credentials, inode: InodeAttributes): boolean =>
  who.uid === inode.uid || (who.capabilities & CAP_FOWNER) !== 0

/** Errors: EACCES without write and search permission on the directory; EPERM for another's file in a sticky one. */
export function requireDelete(who: Credentials, dir: Inode, victim: InodeAttributes): void {
  requireAccess(who, dir, W_OK | X_OK)
  requireSticky(who, dir, victim)
}

/** Errors: EPERM. */
export function requireSticky(who: Credentials, dir: Inode, victim: InodeAttributes): void {
  if ((dir.mode & S_ISVTX) === 0 || who.uid === victim.uid || who.uid === dir.uid) return
  if ((who.capabilities & CAP_FOWNER) === 0) throw new ErrnoError('EPERM')
}

/** The mode that chmod really sets: setgid goes if the caller is not of the file's group. */
export function chmodMode(who: Credentials, inode: InodeAttributes, mode: number): number {
  return keepsSetgid(who, inode) ? mode & 0o7777 : mode & 0o7777 & ~S_ISGID
}

/** Errors: EPERM. An id of -1 is not asked for. */
export function requireChown(who: Credentials, inode: InodeAttributes, uid: number, gid: number): void {
  if (who.capabilities & CAP_CHOWN) return
  const owns = who.uid === inode.uid
  if (uid !== -1 && !(owns && uid === inode.uid)) throw new ErrnoError('EPERM')
  if (gid !== -1 && !(owns && (gid === inode.gid || inGroup(who, gid)))) throw new ErrnoError('EPERM')
}

/**
 * An inode's mode after a write or a change of owner: without set-user-id, and without set-group-id where the group may
 * execute or the caller is not of it.
 */
export function withoutSetId(who: Credentials, inode: InodeAttributes): number {
  const kept = inode.mode & 0o7777 & ~S_ISUID
  return inode.mode & 0o010 || !keepsSetgid(who, inode) ? kept & ~S_ISGID : kept
}

/**
 * The mode after a change of owner, undefined if it stays. Errors: EPERM for who may change the owner, or asks for no change
 * at all, and may not change the mode with it: set-id bits would go (notify_change).
 */
export function modeAfterChown(who: Credentials, inode: Inode): number | undefined {
  if (inode.kind === 'directory' || (inode.mode & (S_ISUID | S_ISGID)) === 0) return undefined
  const kept = withoutSetId(who, inode)
  if (kept === (inode.mode & 0o7777)) return undefined
  if (!isOwner(who, inode)) throw new ErrnoError('EPERM')
  return kept
}

/** Whether these credentials may make a file of the inode's group set-group-id. */
export const keepsSetgid = (who: Credentials, { gid }: InodeAttributes): boolean =>
  inGroup(who, gid) || (who.capabilities & CAP_FSETID) !== 0
