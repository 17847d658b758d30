/**
 * POSIX access control lists (acl(5)) as values of two extended attributes, in the layout of linux/posix_acl_xattr.h:
 * a 32-bit version, 2, then 8 bytes per entry: tag and permissions of 16 bits, id of 32, little endian.
 *
 * Invariants: a stored list is valid, and an access list says more than mode bits can; one that does not is kept as mode
 * bits only. The mode's owner and other bits are those of the list, its group bits are the list's mask.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { FileKind } from '../abi/syscalls.ts'
import type { Inode } from './inode.ts'

export const ACCESS_ACL = 'system.posix_acl_access'
/** Of a directory only: what files made in it start with. */
export const DEFAULT_ACL = 'system.posix_acl_default'

export const ACL_USER_OBJ = 0x01
export const ACL_USER = 0x02
export const ACL_GROUP_OBJ = 0x04
export const ACL_GROUP = 0x08
export const ACL_MASK = 0x10
export const ACL_OTHER = 0x20

export interface AclEntry {
  readonly tag: number
  /** R_OK, W_OK, X_OK. */
  readonly permissions: number
  /** Of ACL_USER and ACL_GROUP; NO_ID for the others. */
  readonly id: number
}

export type Acl = readonly AclEntry[]

export const NO_ID = 0xffffffff

const VERSION = 2
const HEADER = 4
const ENTRY = 8

/**
 * Reads a value; one without entries is undefined, no list at all.
 * Errors: EOPNOTSUPP for another version; EINVAL for a size or a tag that cannot be.
 */
export function parseAcl(value: Uint8Array): Acl | undefined {
  if (value.length === 0) return undefined
  if (value.length < HEADER) throw new ErrnoError('EINVAL')
  const view = new DataView(value.buffer, value.byteOffset, value.length)
  if (view.getUint32(0, true) !== VERSION) throw new ErrnoError('EOPNOTSUPP')
  if ((value.length - HEADER) % ENTRY !== 0) throw new ErrnoError('EINVAL')
  const acl: AclEntry[] = []
  for (let at = HEADER; at < value.length; at += ENTRY) {
    const tag = view.getUint16(at, true)
    const named = tag === ACL_USER || tag === ACL_GROUP
    const id = named ? view.getUint32(at + 4, true) : NO_ID
    if (!STATES.has(tag) || (named && id === NO_ID)) throw new ErrnoError('EINVAL')
    acl.push({ tag, permissions: view.getUint16(at + 2, true), id })
  }
  return acl.length === 0 ? undefined : acl
}

export function formatAcl(acl: Acl): Uint8Array {
  const value = new Uint8Array(HEADER + ENTRY * acl.length)
  const view = new DataView(value.buffer)
  view.setUint32(0, VERSION, true)
  for (const [i, { tag, permissions, id }] of acl.entries()) {
    const at = HEADER + ENTRY * i
    view.setUint16(at, tag, true)
    view.setUint16(at + 2, permissions, true)
    view.setUint32(at + 4, id, true)
  }
  return value
}

/** Where each tag stands in a list. */
const STATES = new Map(
  [ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER].map((tag, i) => [tag, i]),
)

/**
 * Errors: EINVAL unless the entries are in the order of their tags, with one owner, owning group and other, at most one
 * mask, and one if anybody is named (acl(5), "valid ACLs").
 */
export function requireValidAcl(acl: Acl): void {
  let last = -1
  const count = (tag: number) => acl.reduce((sum, entry) => sum + Number(entry.tag === tag), 0)
  for (const { tag, permissions } of acl) {
    const state = STATES.get(tag)!
    if (state < last || permissions & ~7) throw new ErrnoError('EINVAL')
    last = state
  }
  const named = count(ACL_USER) + count(ACL_GROUP) > 0
  const single = [ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER].every((tag) => count(tag) === 1)
  if (!single || count(ACL_MASK) > 1 || (named && count(ACL_MASK) === 0)) throw new ErrnoError('EINVAL')
}

/** The list that an inode has under ACCESS_ACL or DEFAULT_ACL. */
export function aclOf(inode: Inode, name: string): Acl | undefined {
  if (!inode.hasXattrs) return undefined
  const value = inode.xattrs?.get(name)
  return value && parseAcl(value)
}

const find = (acl: Acl, tag: number) => acl.find((entry) => entry.tag === tag)
const permissionsOf = (acl: Acl, tag: number) => find(acl, tag)?.permissions ?? 0

/** The entry that the mode's group bits show. */
const groupClass = (acl: Acl) => (find(acl, ACL_MASK) ? ACL_MASK : ACL_GROUP_OBJ)

/** The permission bits (0777) that a list shows as. */
export const aclMode = (acl: Acl): number =>
  (permissionsOf(acl, ACL_USER_OBJ) << 6) | (permissionsOf(acl, groupClass(acl)) << 3) | permissionsOf(acl, ACL_OTHER)

/** Whether mode bits say all that the list says. */
export const isMinimal = (acl: Acl): boolean =>
  acl.every(({ tag }) => tag !== ACL_USER && tag !== ACL_GROUP && tag !== ACL_MASK)

/** The list after chmod(2): its mask, or without one its owning group, takes the group bits. */
export function withMode(acl: Acl, mode: number): Acl {
  const group = groupClass(acl)
  return acl.map((entry) => {
    if (entry.tag === ACL_USER_OBJ) return { ...entry, permissions: (mode >> 6) & 7 }
    if (entry.tag === group) return { ...entry, permissions: (mode >> 3) & 7 }
    if (entry.tag === ACL_OTHER) return { ...entry, permissions: mode & 7 }
    return entry
  })
}

/** Keeps an inode's access list in step with its mode bits, which were just set. */
export function followMode(inode: Inode, mode: number): void {
  const acl = aclOf(inode, ACCESS_ACL)
  if (acl) inode.xattrs!.set(ACCESS_ACL, formatAcl(withMode(acl, mode)))
}

/** What a new file takes from its directory. */
export interface Inherited {
  readonly mode: number
  readonly access?: Uint8Array | undefined
  readonly default?: Uint8Array | undefined
}

/**
 * Mode and lists of a file made in `dir`: a default list takes the place of the umask (umask(2)), and of the mode asked
 * for only what the list allows is left.
 */
export function inherit(dir: Inode, kind: FileKind, mode: number, umask: number): Inherited {
  if (kind === 'symlink') return { mode }
  const model = aclOf(dir, DEFAULT_ACL)
  if (!model) return { mode: mode & ~umask }
  const left = mode & aclMode(model)
  const acl = withMode(model, left)
  return {
    mode: (mode & ~0o777) | left,
    access: isMinimal(acl) ? undefined : formatAcl(acl),
    default: kind === 'directory' ? formatAcl(model) : undefined,
  }
}

/** Gives a new inode the lists that it inherits. */
export function bequeath(inode: Inode, { access, default: model }: Inherited): void {
  if (access) inode.xattrs?.set(ACCESS_ACL, access)
  if (model) inode.xattrs?.set(DEFAULT_ACL, model)
}
