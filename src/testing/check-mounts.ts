/** The invariants of all mounts of a kernel, for tests: after any step none is broken, and at the end nothing is left. */

import type { Dentry } from '../vfs/dentry.ts'
import { type Mount, type MountNamespace, type Superblock, subtree } from '../vfs/mount.ts'
import type { PeerGroup } from '../vfs/propagation.ts'
import type { Vfs } from '../vfs/vfs.ts'

/** What is wrong with the mounts of a kernel, a line each; nothing if all is well. */
export function checkMountTree(vfs: Vfs): string[] {
  const faults: string[] = []
  const check = (holds: boolean, fault: () => string) => {
    if (!holds) faults.push(fault())
  }
  const mounts = [...vfs.superblocks].flatMap(({ views }) => [...views])
  const known = new Set(mounts)
  const at = new Map<Dentry, Set<Mount>>()
  for (const mount of mounts) {
    const { parent, point, namespace } = mount
    const named = `mount ${mount.id}`
    check((parent === undefined) === (point === undefined), () => `${named}: a parent without a point, or the reverse`)
    if (parent && point) {
      check(parent.children.get(point) === mount, () => `${named}: its parent does not have it`)
      check(known.has(parent), () => `${named}: its parent has ended`)
      check((point.kind === 'directory') === (mount.root.kind === 'directory'), () => `${named}: on another kind`)
      check(!point.dead, () => `${named}: on a dead name`)
      check(namespace === parent.namespace, () => `${named}: not in its parent's namespace`)
      at.set(point, (at.get(point) ?? new Set()).add(mount))
      check(parent.superblock.points.get(point)?.has(mount) === true, () => `${named}: not among its point's mounts`)
    }
    for (const [dentry, child] of mount.children) {
      check(child.parent === mount && child.point === dentry, () => `${named}: child ${child.id} hangs elsewhere`)
    }
    check(mount.users >= 0 && mount.writers >= 0, () => `${named}: negative counts`)
    check(mount.writers <= mount.users, () => `${named}: more writers than users`)
    if (mount.unmounted) {
      check(!namespace && !mount.peers && !mount.master, () => `${named}: unmounted, but still a member`)
      check(mount.users > 0 || parent?.unmounted === true, () => `${named}: unmounted and unused, but there`)
    }
    if (mount.peers) {
      check(mount.peers.members.has(mount), () => `${named}: its peers do not know it`)
      check(!mount.master && !mount.unbindable, () => `${named}: shared, and a master of its own or unbindable`)
    }
    if (mount.master) check(mount.master.slaves.has(mount), () => `${named}: its master does not know it`)
    for (const [dentry, promise] of mount.promises ?? []) {
      check(promise.state !== 'broken' && promise.point === dentry, () => `${named}: a promise that is none`)
    }
  }
  checkPoints(vfs, mounts, at, check)
  checkNamespaces(mounts, check)
  checkGroups(vfs, mounts, check)
  return faults
}

type Check = (holds: boolean, fault: () => string) => void

function checkPoints(vfs: Vfs, mounts: readonly Mount[], at: Map<Dentry, Set<Mount>>, check: Check): void {
  const promised = new Map<Dentry, number>()
  for (const { promises } of mounts) {
    for (const point of promises?.keys() ?? []) promised.set(point, (promised.get(point) ?? 0) + 1)
  }
  for (const { points, pinned } of vfs.superblocks) {
    check(pinned.size === 0, () => 'a name is pinned')
    for (const [point, there] of points) {
      const found = at.get(point) ?? new Set()
      check(there.size > 0, () => `"${point.name}": a point of no mounts`)
      for (const mount of there) check(found.has(mount), () => `"${point.name}": mount ${mount.id} is not there`)
      const count = found.size + (promised.get(point) ?? 0)
      check(point.mounts === count, () => `"${point.name}": counts ${point.mounts} mounts, has ${count}`)
    }
  }
}

function checkNamespaces(mounts: readonly Mount[], check: Check): void {
  const members = new Map<MountNamespace, Set<Mount>>()
  for (const mount of mounts) {
    if (mount.namespace) members.set(mount.namespace, (members.get(mount.namespace) ?? new Set()).add(mount))
  }
  for (const [namespace, found] of members) {
    const tree = subtree(namespace.root)
    const named = `namespace of ${namespace.root.id}`
    check(namespace.mounts === found.size, () => `${named}: counts ${namespace.mounts} mounts, has ${found.size}`)
    check(namespace.mounts <= namespace.limit, () => `${named}: past its limit`)
    check(tree.length === found.size && tree.every((mount) => found.has(mount)), () => `${named}: not one tree`)
    check(namespace.root.parent === undefined, () => `${named}: its root has a parent`)
    check(namespace.refs > 0, () => `${named}: unused`)
  }
}

function checkGroups(vfs: Vfs, mounts: readonly Mount[], check: Check): void {
  const groups = new Set<PeerGroup>()
  const enter = (group: PeerGroup | undefined) => {
    if (!group || groups.has(group)) return
    groups.add(group)
    enter(group.master)
  }
  for (const { peers, master } of mounts) {
    enter(peers)
    enter(master)
  }
  check(
    groups.size === vfs.numbers.groups.inUse,
    () => `${vfs.numbers.groups.inUse} group numbers for ${groups.size} groups`,
  )
  check(new Set([...groups].map(({ id }) => id)).size === groups.size, () => 'two groups with one number')
  for (const group of groups) {
    const named = `group ${group.id}`
    check(group.members.size > 0, () => `${named}: empty`)
    for (const member of group.members) check(member.peers === group, () => `${named}: ${member.id} is not in it`)
    for (const slave of group.slaves) check(slave.master === group, () => `${named}: a slave of another`)
    if (group.master) check(group.master.slaves.has(group), () => `${named}: its master does not know it`)
    for (let above = group.master, steps = 0; above; above = above.master) {
      check(above !== group, () => `${named}: its own master`)
      if (above === group || ++steps > groups.size) break
    }
  }
}

/** What is alive in a kernel: equal before and after what leaves nothing behind. */
export interface LiveCounts {
  readonly superblocks: number
  readonly views: number
  readonly opens: number
  readonly devices: number
  readonly groups: number
  readonly users: number
  readonly writers: number
  readonly tasks: number
  readonly points: number
}

export function liveCounts(vfs: Vfs): LiveCounts {
  const superblocks: Superblock[] = [...vfs.superblocks]
  const mounts = superblocks.flatMap(({ views }) => [...views])
  const sum = <T>(all: readonly T[], of: (each: T) => number) => all.reduce((total, each) => total + of(each), 0)
  return {
    superblocks: superblocks.length,
    views: mounts.length,
    opens: sum(superblocks, ({ opens }) => opens),
    devices: vfs.anonymousDevices.inUse,
    groups: vfs.numbers.groups.inUse,
    users: sum(mounts, ({ users }) => users),
    writers: sum(mounts, ({ writers }) => writers),
    tasks: vfs.tasks.size,
    points: sum(superblocks, ({ points }) => points.size),
  }
}
