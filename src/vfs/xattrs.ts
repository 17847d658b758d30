/**
 * Extended attributes: xattr(7), getxattr(2), setxattr(2), listxattr(2), removexattr(2).
 *
 * Always true: a filesystem type only stores names and values; which names there may be, and who may read and change them,
 * is decided here, in Linux's order. Arguments are checked before a path is walked, so that is a function of its own.
 */

import { ErrnoError } from '../abi/errno.ts'
import { CAP_FSETID, CAP_SETFCAP, CAP_SYS_ADMIN, R_OK, S_ISGID, S_ISVTX, W_OK } from '../abi/linux.ts'
import { IN_ATTRIB } from '../abi/linux-waiting.ts'
import { utf8Length } from '../abi/utf8.ts'
import { ACCESS_ACL, aclMode, aclOf, DEFAULT_ACL, formatAcl, isMinimal, parseAcl, requireValidAcl } from './acl.ts'
import type { Context, Credentials } from './context.ts'
import { CTIME, type ExtendedAttributes, type Inode } from './inode.ts'
import type { VirtualDentry } from './mount.ts'
import { inGroup, isOwner, requireAccess } from './permissions.ts'
import { notify } from './watches.ts'

export const XATTR_CREATE = 1
export const XATTR_REPLACE = 2

const NAME_MAX = 255
const SIZE_MAX = 65_536
export const XATTR_LIST_MAX = 65_536

export const CAPABILITY = 'security.capability'

const isAcl = (name: string) => name === ACCESS_ACL || name === DEFAULT_ACL

/** Errors: ERANGE for a name that is empty or longer than 255 bytes; EINVAL for one with a NUL. */
export function requireName(name: string): void {
  if (name === '' || utf8Length(name) > NAME_MAX) throw new ErrnoError('ERANGE')
  if (name.includes('\0')) throw new ErrnoError('EINVAL')
}

/** Errors, in order: EINVAL for flags; as requireName; E2BIG for more than 64 KiB. */
export function requireChange(name: string, value: Uint8Array, flags: number): void {
  if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) throw new ErrnoError('EINVAL')
  requireName(name)
  if (value.length > SIZE_MAX) throw new ErrnoError('E2BIG')
}

/**
 * The value of an attribute, not to be changed. Preconditions: requireName.
 * Errors: EACCES without read permission (user.* only); EOPNOTSUPP for a name or a file that has none such; ENODATA.
 */
export function getXattr(context: Context, inode: Inode, name: string): Uint8Array {
  if (isAcl(name)) {
    if (!inode.xattrs || inode.kind === 'symlink') throw new ErrnoError('EOPNOTSUPP')
  } else requirePermission(context.credentials, inode, name, R_OK)
  const value = storeOf(inode, name).get(name)
  if (value === undefined) throw new ErrnoError('ENODATA')
  return value
}

/** Names of all attributes; trusted ones are hidden from who may not read them. A file that can have none has none. */
export function listXattrs(context: Context, inode: Inode): string[] {
  const names = [...(inode.xattrs?.keys() ?? [])]
  return isAdmin(context.credentials) ? names : names.filter((name) => !name.startsWith('trusted.'))
}

/**
 * Sets an attribute, to a copy of `value`. Preconditions: requireChange.
 * Errors: EROFS; EPERM, EACCES; EOPNOTSUPP; EINVAL; EEXIST with XATTR_CREATE, ENODATA with XATTR_REPLACE; ENOSPC.
 */
export function setXattr(context: Context, place: VirtualDentry, name: string, value: Uint8Array, flags: number): void {
  const { inode } = place.dentry
  if (place.mount.readonly) throw new ErrnoError('EROFS')
  if (isAcl(name)) {
    setAcl(context, inode, name, value)
    notify(place, IN_ATTRIB)
    return
  }
  requirePermission(context.credentials, inode, name, W_OK)
  const store = storeOf(inode, name)
  if (name.startsWith('security.')) requireSecurity(context.credentials, name, value)
  const there = store.get(name) !== undefined
  if (there && flags & XATTR_CREATE) throw new ErrnoError('EEXIST')
  if (!there && flags & XATTR_REPLACE) throw new ErrnoError('ENODATA')
  change(context, inode, (attributes) => attributes.set(name, value.slice()))
  notify(place, IN_ATTRIB)
}

/** Preconditions: requireName. Errors: EROFS; EPERM, EACCES; EOPNOTSUPP; ENODATA. */
export function removeXattr(context: Context, place: VirtualDentry, name: string): void {
  const { inode } = place.dentry
  if (place.mount.readonly) throw new ErrnoError('EROFS')
  if (isAcl(name)) {
    setAcl(context, inode, name, new Uint8Array())
    notify(place, IN_ATTRIB)
    return
  }
  requirePermission(context.credentials, inode, name, W_OK)
  const store = storeOf(inode, name)
  if (name.startsWith('security.')) requireSecurity(context.credentials, name)
  if (store.get(name) === undefined) throw new ErrnoError('ENODATA')
  change(context, inode, (attributes) => attributes.delete(name))
  notify(place, IN_ATTRIB)
}

const isAdmin = (who: Credentials) => (who.capabilities & CAP_SYS_ADMIN) !== 0

/** Linux's xattr_permission: what a name's prefix asks for. Reading of security.* and system.* is free. */
function requirePermission(who: Credentials, inode: Inode, name: string, wanted: number): void {
  if (name.startsWith('security.') || name.startsWith('system.')) return
  const refused = wanted === W_OK ? 'EPERM' : 'ENODATA'
  if (name.startsWith('trusted.')) {
    if (!isAdmin(who)) throw new ErrnoError(refused)
    return
  }
  if (name.startsWith('user.')) {
    if (inode.kind !== 'file' && inode.kind !== 'directory') throw new ErrnoError(refused)
    const sticky = inode.kind === 'directory' && (inode.mode & S_ISVTX) !== 0
    if (sticky && wanted === W_OK && !isOwner(who, inode)) throw new ErrnoError('EPERM')
  }
  requireAccess(who, inode, wanted)
}

/** Errors: EOPNOTSUPP for a file without attributes or a prefix that nobody handles; EINVAL for a prefix alone. */
function storeOf(inode: Inode, name: string): ExtendedAttributes {
  const { xattrs } = inode
  const handled = isAcl(name) || /^(user|trusted|security)\./.test(name)
  if (!xattrs || !handled) throw new ErrnoError('EOPNOTSUPP')
  if (name.indexOf('.') === name.length - 1) throw new ErrnoError('EINVAL')
  return xattrs
}

/** Sizes of linux/capability.h's vfs_cap_data by revision. */
const CAPABILITY_SIZES = new Map([
  [1, 12],
  [2, 20],
  [3, 24],
])

/** Of security.* only file capabilities may be changed. Errors: EOPNOTSUPP; EINVAL for a malformed value; EPERM. */
function requireSecurity(who: Credentials, name: string, value?: Uint8Array): void {
  if (name !== CAPABILITY) throw new ErrnoError('EOPNOTSUPP')
  if (value && (value.length === 0 || CAPABILITY_SIZES.get(value[3]!) !== value.length)) throw new ErrnoError('EINVAL')
  if ((who.capabilities & CAP_SETFCAP) === 0) throw new ErrnoError('EPERM')
}

/** Linux's do_set_acl: an empty list, or none, is taken away; one that is but mode bits sets these and is not kept. */
function setAcl(context: Context, inode: Inode, name: string, value: Uint8Array): void {
  const acl = parseAcl(value)
  if (!inode.xattrs || inode.kind === 'symlink') throw new ErrnoError('EOPNOTSUPP')
  if (name === DEFAULT_ACL && inode.kind !== 'directory') {
    if (acl) throw new ErrnoError('EACCES')
    return
  }
  const who = context.credentials
  if (!isOwner(who, inode)) throw new ErrnoError('EPERM')
  if (acl) requireValidAcl(acl)
  const keeps = acl && (name === DEFAULT_ACL || !isMinimal(acl))
  if (!acl && !aclOf(inode, name)) return
  change(context, inode, (attributes) => {
    if (keeps) attributes.set(name, formatAcl(acl))
    else attributes.delete(name)
  })
  if (name !== ACCESS_ACL || !acl) return
  let mode = (inode.mode & 0o7000) | aclMode(acl)
  if (!inGroup(who, inode.gid) && (who.capabilities & CAP_FSETID) === 0) mode &= ~S_ISGID
  inode.setAttributes({ mode }, context.attempt)
}

/** An overlay copies up on an empty change of attributes, where it can wait; what comes after that can't. */
function change(context: Context, inode: Inode, act: (attributes: ExtendedAttributes) => void): void {
  inode.setAttributes({}, context.attempt)
  act(inode.xattrs!)
  inode.touch(CTIME, context.clock.coarse())
}
