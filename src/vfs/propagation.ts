/**
 * Who hears of whose mounts: mount_namespaces(7), "Shared subtrees".
 *
 * Shared mounts are members of a peer group: what is mounted below one is mounted below all. A slave (a single mount, or a
 * whole group) receives from a group, its master, and sends nothing back.
 *
 * Invariants: a group has members, or it is gone and its number free. `mount.peers.members` holds the mount; whatever has a
 * `master` is among that group's slaves; a mount with peers has no master of its own. Masters make no circle.
 */

import type { Dentry } from './dentry.ts'
import type { FreeNumbers } from './free-numbers.ts'
import { Mount, subtree } from './mount.ts'

export type Propagation = 'shared' | 'private' | 'slave' | 'unbindable'

export class PeerGroup {
  readonly id: number
  readonly members = new Set<Mount>()
  master: PeerGroup | undefined
  readonly slaves = new Set<Mount | PeerGroup>()
  readonly #numbers: FreeNumbers

  /** Errors: ENOSPC when no number is free. */
  constructor(numbers: FreeNumbers) {
    this.id = numbers.take()
    this.#numbers = numbers
  }

  add(mount: Mount): void {
    this.members.add(mount)
    mount.peers = this
  }

  /** The last member took leave: the slaves get this group's master. */
  end(): void {
    for (const slave of this.slaves) enslave(slave, this.master)
    enslave(this, undefined)
    this.#numbers.give(this.id)
  }
}

/** Gives a mount, or a group, another master, or none. */
function enslave(slave: Mount | PeerGroup, master: PeerGroup | undefined): void {
  slave.master?.slaves.delete(slave)
  slave.master = master
  master?.slaves.add(slave)
}

export const masterOf = (mount: Mount): PeerGroup | undefined => (mount.peers ?? mount).master

/** mount(2), "Changing the propagation type". Errors: ENOSPC when no group number is free. */
export function setPropagation(mount: Mount, to: Propagation, groups: FreeNumbers): void {
  if (to === 'shared') {
    share(mount, groups)
    return
  }
  const master = leavePeers(mount)
  enslave(mount, to === 'slave' ? master : undefined)
  if (to !== 'slave') mount.unbindable = to === 'unbindable'
}

/** Sets the propagation of a mount, or with `recursive` of all that hangs on it. Errors: ENOSPC, and nothing is changed. */
export function spread(mount: Mount, to: Propagation, recursive: boolean, groups: FreeNumbers): void {
  const mounts = recursive ? subtree(mount) : [mount]
  if (to === 'shared') groups.require(mounts.filter(({ peers }) => !peers).length)
  for (const each of mounts) setPropagation(each, to, groups)
  mount.namespace?.notify()
}

/** Makes a mount a member of a group, of its own unless it is in one. */
export function share(mount: Mount, groups: FreeNumbers): void {
  mount.unbindable = false
  if (mount.peers) return
  const group = new PeerGroup(groups)
  enslave(group, mount.master)
  enslave(mount, undefined)
  group.add(mount)
}

/** Whose slave the mount would be now: the group it left, or where it was the last, what that was a slave of. */
function leavePeers(mount: Mount): PeerGroup | undefined {
  const group = mount.peers
  if (!group) return mount.master
  group.members.delete(mount)
  mount.peers = undefined
  if (group.members.size > 0) return group
  const { master } = group
  group.end()
  return master
}

/** Mounts that something mounted on `mount` is mounted on as well: its peers, its slaves, theirs. */
export function* receiversOf(mount: Mount): Generator<Mount> {
  if (!mount.peers) return
  const left: (Mount | PeerGroup)[] = [mount.peers]
  for (let next = left.pop(); next; next = left.pop()) {
    if (next instanceof Mount) yield next
    else {
      for (const member of next.members) if (member !== mount) yield member
      left.push(...next.slaves)
    }
  }
}

/** What hangs on the receivers of the parent's mounts where this mount hangs on the parent. */
export function* replicasNow(mount: Mount): Generator<Mount> {
  if (!mount.parent) return
  for (const receiver of receiversOf(mount.parent)) {
    const replica = receiver.children.get(mount.point!)
    if (replica) yield replica
  }
}

/** How a copy is related to what it is a copy of: as the original is to others, a slave of it, or not at all. */
export type Kinship = 'same' | 'slave' | 'none'

/** A replica to be made: on `on`, of the tree `of` (0: what is mounted; n: the nth replica). */
export interface Replica {
  readonly on: Mount
  readonly of: number
  readonly kinship: Kinship
  /** The first one in a group of slaves: the others will be its peers. */
  readonly shared: boolean
}

/** The replicas that a mount on `point` of `parent` has: each peer's is a peer's, each slave's a slave of what its master got. */
export function replicasOf(parent: Mount, point: Dentry): Replica[] {
  const replicas: Replica[] = []
  if (!parent.peers) return replicas
  const receives = (mount: Mount) =>
    mount !== parent && mount.namespace !== undefined && !mount.namespace.anonymous && point.isUnder(mount.root)
  const left: [to: Mount | PeerGroup, of: number, kinship: Kinship][] = [[parent.peers, 0, 'same']]
  for (let next = left.pop(); next; next = left.pop()) {
    const [to, of, kinship] = next
    let source = of
    let own = kinship === 'same'
    for (const mount of to instanceof Mount ? [to] : to.members) {
      if (!receives(mount)) continue
      replicas.push({ on: mount, of: source, kinship: own ? 'same' : 'slave', shared: !own && to !== mount })
      if (own) continue
      own = true
      source = replicas.length
    }
    if (!(to instanceof Mount)) for (const slave of to.slaves) left.push([slave, source, 'slave'])
  }
  return replicas
}

/**
 * What goes when the mounts of `doomed` (with each, all on it) are unmounted: those that they were replicated to.
 * Stays: what something else hangs on, but where that covers it wholly and can slide into its place; a locked mount whose parent
 * stays, for it would show what it covers (Documentation/filesystems/propagate_umount.txt).
 */
export function unmountedAlong(doomed: ReadonlySet<Mount>): Mount[] {
  const candidates = new Set<Mount>()
  for (const mount of doomed) {
    for (const replica of replicasNow(mount)) if (!doomed.has(replica)) candidates.add(replica)
  }
  const stays = (mount: Mount) => !candidates.has(mount) && !doomed.has(mount)
  const kept = new Set<Mount>()
  /** Nothing that the mount hangs on may go, other than what it covers. */
  const keep = (mount: Mount) => {
    for (let at = mount; at.parent && candidates.has(at.parent) && !kept.has(at); at = at.parent) {
      kept.add(at)
      if (at.point !== at.parent.root) candidates.delete(at.parent)
    }
  }
  for (const mount of candidates) for (const child of mount.children.values()) if (stays(child)) keep(child)
  return [...candidates].filter((mount) => {
    let at: Mount | undefined = mount
    while (at?.locked && candidates.has(at)) at = at.parent
    return at !== undefined && !stays(at)
  })
}

/** Whether the mount, or a replica that would go along with it, is in use. */
export function isBusy(mount: Mount): boolean {
  if (mount.children.size > 0 || mount.users > 0) return true
  for (const replica of replicasNow(mount)) {
    const covered = replica.children.size === 1 && replica.children.has(replica.root)
    if ((replica.children.size === 0 || covered) && replica.users > 0) return true
  }
  return false
}

/**
 * What of a tree is copied, a parent before its children: what hangs at or below `root`, with `unbindable` all of it. What is
 * unbindable and locked is not left out: who copies it without leave is refused.
 */
export function copied(mount: Mount, root: Dentry, unbindable = false): Mount[] {
  return subtree(mount, (each) => {
    if (each === mount) return false
    if (each.parent === mount && !each.point!.isUnder(root)) return true
    return each.unbindable && !each.locked && !unbindable
  })
}

/** Makes a copy a relative of the original. */
export function relate(copy: Mount, original: Mount, kinship: Kinship): void {
  if (kinship === 'none') return
  if (kinship === 'slave' && original.peers) enslave(copy, original.peers)
  else if (original.peers) original.peers.add(copy)
  else enslave(copy, original.master)
}
