/**
 * What mount(2), umount2(2) and open_tree(2) do, with their checks in Linux's order: who may, what may be where. How the tree
 * changes is in mount-tree.ts.
 *
 * Paths are walked before privilege is asked for, as Linux does: who may not mount still learns ENOENT.
 */

import { ErrnoError } from '../abi/errno.ts'
import { CAP_SYS_ADMIN } from '../abi/linux.ts'
import {
  MNT_DETACH,
  MNT_FORCE,
  MS_BIND,
  MS_MGC_MSK,
  MS_MGC_VAL,
  MS_MOVE,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_SHARED,
  MS_SILENT,
  MS_SLAVE,
  MS_STRICTATIME,
  MS_UNBINDABLE,
  UMOUNT_NOFOLLOW,
} from '../abi/mount-flags.ts'
import { type Context, namespaceOf } from './context.ts'
import {
  type Mount,
  type MountFlags,
  MountNamespace,
  type Superblock,
  subtree,
  topmost,
  type VirtualDentry,
} from './mount.ts'
import { attachTree, releaseTree, unmountTree } from './mount-tree.ts'
import { resolve } from './path-walk.ts'
import { isBusy, type Propagation, spread } from './propagation.ts'
import type { NewFilesystem, Vfs } from './vfs.ts'

export interface MountArguments {
  /** A device or a name for a new mount; a path for a bind or a move. */
  readonly source?: string
  readonly type?: string
  /** MS_… of abi/mount-flags.ts. What is wanted, if several are: remount, bind, propagation, move, new mount. */
  readonly flags: number
  /** The options of the type itself. */
  readonly data?: string
}

/**
 * mount(2). Relative paths start from `start`; a final link is followed.
 * Errors: those of the walk; EPERM without CAP_SYS_ADMIN; ENODEV; EINVAL, EBUSY, ENOTDIR, ELOOP, ENOSPC as the functions below say.
 */
export function mountAt(vfs: Vfs, context: Context, start: VirtualDentry, target: string, args: MountArguments): void {
  const place = resolve(context, start, target, true)
  requireMountPrivilege(context)
  const { source = '', type = '', data = '' } = args
  const flags = (args.flags & MS_MGC_MSK) >>> 0 === MS_MGC_VAL ? args.flags & ~MS_MGC_MSK : args.flags
  const sourcePlace = () => {
    if (source === '') throw new ErrnoError('EINVAL', source)
    return resolve(context, start, source, true)
  }
  if (flags & MS_REMOUNT) remount(context, place, flags)
  else if (flags & MS_BIND) bindMount(vfs, context, sourcePlace(), place, (flags & MS_REC) !== 0)
  else if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) changePropagation(vfs, context, place, flags)
  else if (flags & MS_MOVE) moveMount(vfs, context, sourcePlace(), place)
  else {
    if (type === '') throw new ErrnoError('EINVAL', target, 'no filesystem type')
    const asked = { type, source: source || 'none', data }
    const superblock = newFilesystemFor(vfs, context, start, asked)
    const mount = vfs.newMount(superblock, { source: asked.source, flags: mountFlagsOf(flags) })
    connectMountAt(vfs, context, mount, place)
  }
}

/** An instance that a program asks for, not mounted yet; relative paths in its options start from `start`. Errors: as Vfs.newFilesystem. */
export function newFilesystemFor(
  vfs: Vfs,
  context: Context,
  start: VirtualDentry,
  asked: Pick<NewFilesystem, 'type' | 'source' | 'data'>,
): Superblock {
  const { attempt, credentials } = context
  const { uid, gid } = credentials
  const hold = (path: string) => vfs.hold(resolve(context, start, path, true))
  return vfs.newFilesystem({ ...asked, uid, gid, byKernel: false, by: context, attempt, hold })
}

/** The mount's own flags among MS_… bits. */
export function mountFlagsOf(bits: number): MountFlags {
  const strictatime = (bits & MS_STRICTATIME) !== 0
  return {
    readonly: (bits & MS_RDONLY) !== 0,
    nosuid: (bits & MS_NOSUID) !== 0,
    nodev: (bits & MS_NODEV) !== 0,
    noexec: (bits & MS_NOEXEC) !== 0,
    noatime: (bits & MS_NOATIME) !== 0 && !strictatime,
    nodiratime: (bits & MS_NODIRATIME) !== 0,
    strictatime,
  }
}

/** Errors: EPERM without CAP_SYS_ADMIN. */
export function requireMountPrivilege({ credentials }: Context): void {
  if ((credentials.capabilities & CAP_SYS_ADMIN) === 0) throw new ErrnoError('EPERM')
}

/** The top of what is mounted on a place. Errors: ENOENT for a name that was removed, or in a mount that was unmounted. */
function toMountOn(at: VirtualDentry): VirtualDentry {
  const place = topmost(at)
  if (place.dentry.dead || place.mount.unmounted) throw new ErrnoError('ENOENT')
  return place
}

/** Errors: EINVAL for a mount that is not in the caller's namespace. */
function requireOwnMount(context: Context, mount: Mount): void {
  if (!isOwnMount(context, mount)) throw new ErrnoError('EINVAL', undefined, 'not in this mount namespace')
}

const isOwnMount = (context: Context, { namespace }: Mount): boolean =>
  namespace !== undefined && namespace === namespaceOf(context)

/** A mount of the caller's namespace, or of a tree that was made there and is attached nowhere. */
const isUsable = (context: Context, mount: Mount): boolean =>
  isOwnMount(context, mount) || (mount.namespace?.anonymous === true && mount.namespace.origin === namespaceOf(context))

/**
 * Attaches a new mount; it is let go if that fails.
 * Errors: EINVAL for a place in another namespace or in none, or a link for a root; EBUSY for a filesystem on its own root; as attachTree.
 */
export function connectMountAt(vfs: Vfs, context: Context, mount: Mount, at: VirtualDentry): void {
  try {
    const place = toMountOn(at)
    requireOwnMount(context, place.mount)
    if (place.isMountRoot && place.mount.superblock === mount.superblock) throw new ErrnoError('EBUSY')
    if (mount.root.kind === 'symlink') throw new ErrnoError('EINVAL')
    attachTree(vfs.numbers, mount, place)
  } catch (error) {
    vfs.discard(mount)
    throw error
  }
}

/** The same files at a second place. Errors: EINVAL as for Vfs.bind or for another namespace; ENOTDIR; ENOSPC. */
export function bindMount(
  vfs: Vfs,
  context: Context,
  source: VirtualDentry,
  at: VirtualDentry,
  recursive: boolean,
): void {
  const place = toMountOn(at)
  requireOwnMount(context, place.mount)
  requireOwnMount(context, source.mount)
  vfs.attach(vfs.bind(source, { recursive }), place)
}

/**
 * Moves a mount with all on it: one of the namespace, or the root of a tree that is attached nowhere.
 * Errors, in Linux's order: EINVAL for no mount root, for a directory over a file or the reverse, for a mount that is locked or
 * has no parent or a shared one, for a place that is not the caller's, for an unbindable mount onto a shared one; ELOOP into itself.
 */
export function moveMount(vfs: Vfs, context: Context, source: VirtualDentry, at: VirtualDentry): void {
  const { mount } = source
  const invalid = (detail: string) => new ErrnoError('EINVAL', undefined, detail)
  if (!source.isMountRoot) throw invalid('the source is no mount')
  if ((source.dentry.kind === 'directory') !== (at.dentry.kind === 'directory')) {
    throw invalid('a directory and something else')
  }
  const place = toMountOn(at)
  if (isOwnMount(context, mount)) {
    if (!mount.parent || mount.locked) throw invalid('the mount cannot be moved')
    if (mount.parent.peers) throw invalid('the mount is on a shared one')
    requireOwnMount(context, place.mount)
  } else {
    if (mount.namespace?.root !== mount || !mount.namespace.anonymous) throw invalid('not in this mount namespace')
    if (mount.namespace === place.mount.namespace) throw invalid('into itself')
    if (!isUsable(context, place.mount)) throw invalid('the place is not in this mount namespace')
  }
  if (place.mount.peers && subtree(mount).some(({ unbindable }) => unbindable)) {
    throw invalid('an unbindable mount cannot be where others would get it')
  }
  for (let above: Mount | undefined = place.mount; above; above = above.parent) {
    if (above === mount) throw new ErrnoError('ELOOP')
  }
  attachTree(vfs.numbers, mount, place)
}

/**
 * Sets all flags of a mount anew; those of the access time stay if none of them is given.
 * Errors: EINVAL for a place that is no mount's root or in another namespace; EPERM for a locked flag; EBUSY as Mount.setFlags.
 */
export function remount(context: Context, { mount, isMountRoot }: VirtualDentry, bits: number): void {
  requireOwnMount(context, mount)
  if (!isMountRoot) throw new ErrnoError('EINVAL', undefined, 'not where a mount begins')
  const asked = mountFlagsOf(bits)
  const { noatime = false, nodiratime = false, strictatime = false } = mount.flags
  const keepsTimes = (bits & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)) === 0
  const flags = keepsTimes ? { ...asked, noatime, nodiratime, strictatime } : asked
  requireUnlocked(mount, flags)
  mount.setFlags(flags)
}

/** Errors: EPERM for a flag that was locked when the mount was copied to others' charge. */
function requireUnlocked({ lockedFlags, flags: old }: Mount, flags: MountFlags): void {
  const { readonly, nosuid, nodev, noexec, atime } = lockedFlags
  const loses =
    (readonly && !flags.readonly) ||
    (nosuid && !flags.nosuid) ||
    (nodev && !flags.nodev) ||
    (noexec && !flags.noexec) ||
    (atime && atimeOf(flags) !== atimeOf(old))
  if (loses) throw new ErrnoError('EPERM', undefined, 'the flag is locked')
}

const atimeOf = (flags: MountFlags): string =>
  `${flags.noatime === true} ${flags.nodiratime === true} ${flags.strictatime === true}`

/** Turns a mount read-only or read-write; what it is already is no change. Errors: EBUSY while files are open for writing. */
export function setMountReadOnly(mount: Mount, readonly: boolean): void {
  if ((mount.flags.readonly === true) !== readonly) mount.setFlags({ ...mount.flags, readonly })
}

/** Errors: EINVAL for other than one type, a place that is no mount's root, another namespace; ENOSPC without a group's number. */
export function changePropagation(
  vfs: Vfs,
  context: Context,
  { mount, isMountRoot }: VirtualDentry,
  flags: number,
): void {
  if (!isMountRoot) throw new ErrnoError('EINVAL', undefined, 'not where a mount begins')
  const to = propagationOf(flags & ~(MS_REC | MS_SILENT))
  if (!to) throw new ErrnoError('EINVAL', undefined, 'one type of propagation')
  requireOwnMount(context, mount)
  spread(mount, to, (flags & MS_REC) !== 0, vfs.numbers.groups)
}

function propagationOf(flags: number): Propagation | undefined {
  switch (flags) {
    case MS_SHARED:
      return 'shared'
    case MS_PRIVATE:
      return 'private'
    case MS_SLAVE:
      return 'slave'
    case MS_UNBINDABLE:
      return 'unbindable'
  }
  return undefined
}

/**
 * umount2(2), with MNT_FORCE (which changes nothing: no filesystem here has requests to drop), MNT_DETACH, UMOUNT_NOFOLLOW.
 * Errors: EINVAL for other flags; those of the walk; EPERM without CAP_SYS_ADMIN; EINVAL for a place that is no mount's root, another
 * namespace, a locked mount, one without a parent; EBUSY without MNT_DETACH.
 */
export function unmountAt(context: Context, start: VirtualDentry, path: string, flags: number): void {
  if (flags & ~(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW)) throw new ErrnoError('EINVAL', path)
  const { mount, isMountRoot } = topmost(resolve(context, start, path, (flags & UMOUNT_NOFOLLOW) === 0))
  requireMountPrivilege(context)
  if (!isMountRoot) throw new ErrnoError('EINVAL', path, 'not where a mount begins')
  requireOwnMount(context, mount)
  unmount(mount, { lazy: (flags & MNT_DETACH) !== 0 })
}

/** Errors: EINVAL for a locked mount, or one without a parent; EBUSY without `lazy` if it, or a replica, is in use. */
export function unmount(mount: Mount, { lazy }: { lazy: boolean }): void {
  if (!mount.parent || mount.locked) throw new ErrnoError('EINVAL', undefined, 'the mount cannot be unmounted')
  if (!lazy && isBusy(mount)) throw new ErrnoError('EBUSY')
  unmountTree(mount, { propagate: true, leaving: lazy ? 'lazy' : 'apart' })
}

/**
 * The copy of a tree in a namespace of its own, for a descriptor to hold: open_tree(2) with OPEN_TREE_CLONE.
 * Errors: EINVAL for what was unmounted or is in another namespace; as Vfs.bind.
 */
export function cloneTree(vfs: Vfs, context: Context, source: VirtualDentry, recursive: boolean): MountNamespace {
  if (!isUsable(context, source.mount)) throw new ErrnoError('EINVAL', undefined, 'not in this mount namespace')
  const copy = vfs.bind(source, { recursive })
  return newAnonymous(context, copy)
}

/** A namespace that holds a tree for a descriptor, until the tree is attached or the descriptor closed. */
export function newAnonymous(context: Context, tree: Mount): MountNamespace {
  const origin = namespaceOf(context)
  if (origin) return new MountNamespace(tree, { origin })
  releaseTree(tree)
  throw new ErrnoError('EINVAL', undefined, 'the task is in no mount namespace')
}

/** A descriptor that held a tree is closed: what was not attached elsewhere goes. */
export function dissolve(namespace: MountNamespace): void {
  const { root } = namespace
  if (root.namespace === namespace) unmountTree(root, { propagate: false, leaving: 'whole' })
}
