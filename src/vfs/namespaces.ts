/** Copies of whole mount namespaces, and tasks' places in them: unshare(2), pivot_root(2), chroot(2). */

import { ErrnoError } from '../abi/errno.ts'
import { CAP_SYS_CHROOT } from '../abi/linux.ts'
import { type Context, namespaceOf } from './context.ts'
import {
  type Mount,
  MountNamespace,
  type MountOwner,
  type NamespaceOptions,
  subtree,
  topmost,
  VirtualDentry,
} from './mount.ts'
import { requireMountPrivilege } from './mount-operations.ts'
import { lockTree } from './mount-tree.ts'
import { resolve } from './path-walk.ts'
import { searchableAt } from './places.ts'
import type { TaskPlaces, Vfs } from './vfs.ts'

/**
 * A copy of all mounts, in which those that are shared are peers of the old ones. Under a new owner they are slaves, and locked: what
 * they cover stays covered, their flags stay as they are. `tasks` have their root and working directory moved to the copies.
 * `refs` is 1: the caller's. Errors: ENOSPC past `limit`.
 */
export function cloneNamespace(
  vfs: Vfs,
  old: MountNamespace,
  tasks: readonly TaskPlaces[],
  options: Omit<NamespaceOptions, 'origin'> = {},
): MountNamespace {
  const { owner = old.owner, limit = old.limit }: { owner?: MountOwner; limit?: number } = options
  if (old.mounts > limit) throw new ErrnoError('ENOSPC', undefined, 'too many mounts')
  const { root } = old
  const kinship = owner === old.owner ? 'same' : 'slave'
  const copy = vfs.numbers.copy(root, root.root, { recursive: true, kinship, unbindable: true })
  if (owner !== old.owner) lockTree(copy)
  const namespace = new MountNamespace(copy, { owner, limit })
  const copies = subtree(copy)
  const copyOf = new Map<Mount, Mount>()
  for (const [i, mount] of subtree(root).entries()) copyOf.set(mount, copies[i]!)
  for (const task of tasks) {
    const [newRoot, newCwd] = [copyOf.get(task.root.mount), copyOf.get(task.cwd.mount)]
    if (newRoot) task.setRoot(new VirtualDentry(newRoot, task.root.dentry))
    if (newCwd) task.setCwd(new VirtualDentry(newCwd, task.cwd.dentry))
  }
  return namespace
}

/**
 * pivot_root(2): `newRoot` becomes the root of all tasks that have the caller's, the old root is mounted on `putOld`.
 * Errors, in Linux's order: those of the walks, ENOTDIR; EINVAL for shared mounts, another namespace, a locked new root; ENOENT for a
 * removed directory; EBUSY where either is on the current root's mount; EINVAL for what is no mount's root or has no parent, for a
 * `putOld` that is not below the new root, for a new root that is not below the old.
 */
export function pivotRoot(vfs: Vfs, context: Context, start: VirtualDentry, newRoot: string, putOld: string): void {
  requireMountPrivilege(context)
  const to = directoryAt(context, start, newRoot)
  const old = topmost(directoryAt(context, start, putOld))
  const { root } = context
  const invalid = (detail: string) => new ErrnoError('EINVAL', undefined, detail)
  if (old.dentry.dead || old.mount.unmounted) throw new ErrnoError('ENOENT', putOld)
  const namespace = namespaceOf(context)
  const isShared = (mount: Mount | undefined) => mount?.peers !== undefined
  if (isShared(old.mount) || isShared(to.mount.parent ?? to.mount) || isShared(root.mount.parent ?? root.mount)) {
    throw invalid('the change would be passed on')
  }
  if (!namespace || root.mount.namespace !== namespace || to.mount.namespace !== namespace) {
    throw invalid('not in this mount namespace')
  }
  if (to.mount.locked) throw invalid('the new root is locked')
  if (to.dentry.dead) throw new ErrnoError('ENOENT', newRoot)
  if (to.mount === root.mount || old.mount === root.mount) throw new ErrnoError('EBUSY', newRoot)
  const { parent, point } = root.mount
  if (!root.isMountRoot || !parent || !point) throw invalid('the root is no mount, or the first one')
  if (!to.isMountRoot || !to.mount.parent) throw invalid('the new root is no mount')
  if (!isReached(old, to)) throw invalid('the place for the old root is not below the new one')
  if (!isReached(to, root)) throw invalid('the new root is not below the old one')

  to.mount.unlink()
  if (root.mount.locked) {
    to.mount.locked = true
    root.mount.locked = false
  }
  root.mount.unlink()
  to.mount.link(parent, point)
  root.mount.link(old.mount, old.dentry)
  for (const task of vfs.tasks) {
    if (task.root.equals(root)) task.setRoot(to)
    if (task.cwd.equals(root)) task.setCwd(to)
  }
  namespace.notify()
}

function directoryAt(context: Context, start: VirtualDentry, path: string): VirtualDentry {
  const place = resolve(context, start, path, true)
  if (place.dentry.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
  return place
}

/** Whether climbing out of mounts and up leads from one place to another: is_path_reachable. */
function isReached(place: VirtualDentry, from: VirtualDentry): boolean {
  let { mount, dentry } = place
  while (mount !== from.mount) {
    if (!mount.parent || !mount.point) return false
    dentry = mount.point
    mount = mount.parent
  }
  return dentry.isUnder(from.dentry)
}

/** chroot(2). Errors: those of the walk; ENOTDIR, EACCES; EPERM without CAP_SYS_CHROOT. */
export function changeRoot(context: Context & TaskPlaces, path: string): void {
  const place = searchableAt(context, context.cwd, path)
  if ((context.credentials.capabilities & CAP_SYS_CHROOT) === 0) throw new ErrnoError('EPERM', path)
  context.setRoot(place)
}
