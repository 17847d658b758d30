/**
 * How mounts come, go and move: fs/namespace.c's attach_recursive_mnt, umount_tree and copy_tree. Permissions, paths and flags
 * are checked above, in mount-operations.ts.
 *
 * Each function checks all it can fail with, then changes the tree, and last wakes who watches and releases filesystems:
 * nothing foreign runs while the tree is half changed.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Dentry } from './dentry.ts'
import { FreeNumbers } from './free-numbers.ts'
import {
  endIfUnused,
  leaveNamespace,
  Mount,
  type MountFlags,
  type MountNamespace,
  type Superblock,
  subtree,
  topmost,
  VirtualDentry,
} from './mount.ts'
import {
  copied,
  type Kinship,
  relate,
  replicasNow,
  replicasOf,
  setPropagation,
  share,
  unmountedAlong,
} from './propagation.ts'
import { WouldBlock } from './waiting.ts'

/** Where mounts and peer groups get their numbers: a mount's is never used again, a group's is the lowest free one. */
export class MountNumbers {
  readonly groups = new FreeNumbers(2 ** 31, 'ENOSPC')
  #last = 0

  newMount(superblock: Superblock, root: Dentry, source: string, flags: MountFlags): Mount {
    return new Mount(++this.#last, superblock, root, source, flags)
  }

  /**
   * A copy of a mount, with `recursive` of all that hangs at or below `root`, attached nowhere. Locks of what hangs on it come
   * along, its own does not; no copy is unbindable. Preconditions: the caller may copy all of it.
   */
  copy(mount: Mount, root: Dentry, options: CopyOptions): Mount {
    const copies = new Map<Mount, Mount>()
    const { recursive, kinship, unbindable = false, flags, source } = options
    for (const original of recursive ? copied(mount, root, unbindable) : [mount]) {
      const isTop = original === mount
      const copy = isTop
        ? this.newMount(original.superblock, root, source ?? original.source, flags ?? original.flags)
        : this.newMount(original.superblock, original.root, original.source, original.flags)
      copy.lockedFlags = original.lockedFlags
      copy.synthetic = original.synthetic
      relate(copy, original, kinship)
      copies.set(original, copy)
      if (isTop) continue
      copy.locked = original.locked
      copy.link(copies.get(original.parent!)!, original.point!)
    }
    return copies.get(mount)!
  }
}

export interface CopyOptions {
  readonly recursive: boolean
  readonly kinship: Kinship
  /** Copies also what binds leave out. */
  readonly unbindable?: boolean
  /** Other flags, or another source, for the copy of the top one. */
  readonly flags?: MountFlags | undefined
  readonly source?: string | undefined
}

/**
 * Errors: EINVAL for a place that is in no namespace, for an unbindable mount, and without `recursive` for one that would show
 * what a locked mount covers; EPERM for what is both unbindable and locked.
 */
export function requireBindable({ mount, dentry }: VirtualDentry, recursive: boolean): void {
  if (!mount.namespace) throw new ErrnoError('EINVAL', undefined, 'the source is not in a mount namespace')
  if (mount.unbindable) throw new ErrnoError('EINVAL', undefined, 'the source is unbindable')
  for (const child of recursive ? [] : mount.children.values()) {
    if (child.locked && child.point!.isUnder(dentry)) {
      throw new ErrnoError('EINVAL', undefined, 'a locked mount below the source would be left out')
    }
  }
  if (recursive && copied(mount, dentry).some((each) => each.unbindable && each.locked)) {
    throw new ErrnoError('EPERM', undefined, 'a locked mount below the source is unbindable')
  }
}

/**
 * Attaches a tree that is attached nowhere, or with `moving` somewhere else, on top of whatever is at the place; and replicas of
 * it wherever the place's mount passes it on. One that lands where something is mounted goes beneath that.
 * Errors: ENOENT for a place, or a root, whose name was removed, and for a place whose mount was; EINVAL for one in no namespace; ENOTDIR for a directory over a file or the
 * reverse; ENOSPC past a namespace's limit. WouldBlock while the name is being removed.
 */
export function attachTree(numbers: MountNumbers, tree: Mount, at: VirtualDentry): void {
  const { mount: parent, dentry: point } = topmost(at)
  const namespace = requireMountable(tree, parent, point)
  const moving = tree.parent !== undefined
  const replicas = replicasOf(parent, point)
  const mounts = subtree(tree)
  requireRoom(mounts.length, [...(moving ? [] : [namespace]), ...replicas.map(({ on }) => on.namespace!)])
  const newGroups = replicas.filter(({ shared }) => shared).length * mounts.length
  if (parent.peers) numbers.groups.require(newGroups + mounts.filter(({ peers }) => !peers).length)

  if (parent.peers) for (const mount of mounts) share(mount, numbers.groups)
  const trees = [tree]
  for (const { of, kinship, shared } of replicas) {
    const original = trees[of]!
    const copy = numbers.copy(original, original.root, { recursive: true, kinship })
    if (shared) for (const mount of subtree(copy)) share(mount, numbers.groups)
    trees.push(copy)
  }
  const changed = new Set<MountNamespace>()
  if (tree.namespace) changed.add(tree.namespace)
  tree.unlink()
  for (const [i, added] of trees.entries()) {
    const on = i === 0 ? parent : replicas[i - 1]!.on
    if (on.namespace!.owner !== namespace.owner) lockTree(added)
    for (const mount of subtree(added)) if (mount.namespace !== on.namespace) on.namespace!.take(mount)
    insert(added, on, point)
    changed.add(on.namespace!)
  }
  for (const each of changed) each.notify()
  for (const [i] of trees.entries()) (i === 0 ? parent : replicas[i - 1]!.on).promises?.get(point)?.keep()
}

/** The namespace of a place that the tree can be mounted on; in Linux's order. */
function requireMountable(tree: Mount, parent: Mount, point: Dentry): MountNamespace {
  if (point.dead || parent.unmounted) throw new ErrnoError('ENOENT')
  const queue = parent.superblock.pinned.get(point)
  if (queue) throw new WouldBlock([queue])
  if (!parent.namespace) throw new ErrnoError('EINVAL', undefined, 'the place is not in a mount namespace')
  const rootIsDirectory = tree.root.kind === 'directory'
  if (rootIsDirectory !== (point.kind === 'directory')) {
    const detail = rootIsDirectory
      ? 'a directory cannot be mounted on a file'
      : 'a file cannot be mounted on a directory'
    throw new ErrnoError('ENOTDIR', undefined, detail)
  }
  if (topmost(new VirtualDentry(tree, tree.root)).dentry.dead) throw new ErrnoError('ENOENT')
  return parent.namespace
}

/** Each of `namespaces`, as often as it is listed, gets so many mounts more. Errors: ENOSPC. */
function requireRoom(mounts: number, namespaces: readonly MountNamespace[]): void {
  const added = new Map<MountNamespace, number>()
  for (const namespace of namespaces) {
    const more = (added.get(namespace) ?? 0) + mounts
    if (namespace.mounts + more > namespace.limit) throw new ErrnoError('ENOSPC', undefined, 'too many mounts')
    added.set(namespace, more)
  }
}

/** Hangs a tree at a place; what is mounted there already goes on top of it. */
function insert(tree: Mount, on: Mount, point: Dentry): void {
  const covering = on.children.get(point)
  covering?.unlink()
  tree.link(on, point)
  if (!covering) return
  let top = tree
  for (let over: Mount | undefined = top; over; over = over.children.get(over.root)) top = over
  covering.link(top, top.root)
}

/** As a tree arrives where others are in charge: flags stay as they are, and what is below the root stays covered. */
export function lockTree(tree: Mount): void {
  for (const mount of subtree(tree)) {
    const { readonly, noexec, nosuid, nodev } = mount.flags
    mount.lockedFlags = {
      atime: true,
      ...(readonly && { readonly: true }),
      ...(noexec && { noexec: true }),
      ...(nosuid && { nosuid: true }),
      ...(nodev && { nodev: true }),
    }
    if (mount !== tree) mount.locked = true
  }
}

export interface UnmountOptions {
  /** Also from the mounts that pass on to. */
  readonly propagate: boolean
  /**
   * What hangs on what: cut from each other (`apart`); cut but where it is locked, so that what is still in use shows nothing
   * that was covered (`lazy`); left as it is (`whole`).
   */
  readonly leaving: 'apart' | 'lazy' | 'whole'
}

/** Takes a mount, with all that hangs on it, out of its namespace. What is still in use goes on working. */
export function unmountTree(mount: Mount, { propagate, leaving }: UnmountOptions): void {
  const doomed = new Set(subtree(mount))
  // What its replicas cover was uncovered where they come from: there is nothing to hide.
  if (propagate) for (const replica of replicasNow(mount)) replica.locked = false
  const along = propagate ? unmountedAlong(doomed) : []
  for (const each of along) doomed.add(each)
  const slides = along.flatMap((each) => slideOf(each, doomed))
  const changed = new Set<MountNamespace>()
  for (const each of doomed) {
    if (each.namespace) changed.add(each.namespace)
    leaveNamespace(each)
    each.unmounted = true
  }
  for (const each of doomed) {
    const stays = each.parent?.unmounted && (leaving === 'whole' || (leaving === 'lazy' && each.locked))
    if (!stays) each.unlink()
  }
  for (const { over, parent, point } of slides) {
    over.unlink()
    over.link(parent, point)
  }
  for (const each of doomed) setPropagation(each, 'private', NO_GROUPS)
  for (const each of changed) each.notify()
  endIfUnused([...doomed])
}

/** Making a mount private takes no number. */
const NO_GROUPS = new FreeNumbers(0, 'ENOSPC')

/** What covers a mount that goes and stays itself: it slides to where the bottom of the stack was. */
function slideOf(mount: Mount, doomed: ReadonlySet<Mount>): { over: Mount; parent: Mount; point: Dentry }[] {
  const over = mount.children.get(mount.root)
  if (!over || doomed.has(over)) return []
  let { parent, point } = mount
  while (parent && doomed.has(parent)) ({ parent, point } = parent)
  return parent && point ? [{ over, parent, point }] : []
}

/** Takes a tree apart, lazily and without passing it on: the end of a namespace, or of what never was in one. */
export function releaseTree(mount: Mount): void {
  if (!mount.unmounted) unmountTree(mount, { propagate: false, leaving: 'lazy' })
}

/** One user of a namespace fewer; the last one's going takes the tree apart. */
export function releaseNamespace(namespace: MountNamespace): void {
  if (--namespace.refs === 0 && namespace.mounts > 0) releaseTree(namespace.root)
}

/**
 * The name is gone: whatever is mounted on it, in any namespace, goes with it, as it hangs together.
 * Preconditions: prepareDelete allowed it, or the name is gone without being asked for.
 */
export function detachFrom(superblock: Superblock, entry: Dentry): void {
  for (const mount of [...(superblock.points.get(entry) ?? [])]) {
    if (mount.unmounted) {
      mount.unlink()
      endIfUnused([mount])
    } else unmountTree(mount, { propagate: false, leaving: 'whole' })
  }
  if (entry.mounts > 0) for (const view of superblock.views) view.promises?.get(entry)?.break()
}
