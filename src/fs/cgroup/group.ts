/**
 * One control group: the groups below it, what it may use, and what was used.
 *
 * Invariant: a limit holds for a group and all below it together. A group goes only when no process and no group is in it; what
 * was used in it counts as used in its parent from then on.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { NewInode } from '../../vfs/inode.ts'
import type { CgroupProcess, Hierarchy, Times } from './hierarchy.ts'

/** Who made it, and the permission bits of its directory. */
export type GroupMaker = Pick<NewInode, 'mode' | 'uid' | 'gid'>

const ROOTS: GroupMaker = { mode: 0o755, uid: 0, gid: 0 }

export class Group {
  readonly hierarchy: Hierarchy
  readonly parent: Group | undefined
  readonly maker: GroupMaker
  readonly groups = new Map<string, Group>()
  /** Who needs it although nobody made its directory. */
  holders = 0
  name: string
  /** Processes at a time; Infinity for no limit. */
  pidsMax = Number.POSITIVE_INFINITY
  /** Times that a process was refused because of it. */
  pidsRefused = 0
  /** Bytes, of all memories together; Infinity for no limit. */
  memoryLimit = Number.POSITIVE_INFINITY
  memoryPeak = 0
  /** Times that the limit was passed, and processes that were ended for it. */
  memoryFailures = 0
  oomKills = 0
  jobId: bigint
  /** Tells it from the others in its parent, in the order in which they were made. */
  readonly number: number
  #lastNumber = 0
  #removed = false
  #userTime = 0
  #systemTime = 0

  constructor(hierarchy: Hierarchy, parent: Group | undefined, name: string, maker: GroupMaker) {
    this.hierarchy = hierarchy
    this.parent = parent
    this.name = name
    this.jobId = parent?.jobId ?? 0n
    this.number = parent ? ++parent.#lastNumber : 0
    this.maker = maker
  }

  get path(): string {
    const above = this.parent?.path ?? '/'
    return this.parent ? `${above === '/' ? '' : above}/${this.name}` : above
  }

  /** Whether it is `other` or lies below it. */
  isBelow(other: Group): boolean {
    for (const group of this.upwards()) if (group === other) return true
    return false
  }

  /** It and those that hold it. */
  *upwards(): Generator<Group> {
    for (let group: Group | undefined = this; group; group = group.parent) yield group
  }

  /** Groups, itself one of them. */
  get count(): number {
    let count = 1
    for (const group of this.groups.values()) count += group.count
    return count
  }

  get processes(): readonly CgroupProcess[] {
    return this.hierarchy.processesOf(this, false)
  }

  /** Its own and those of the groups below it. */
  get allProcesses(): readonly CgroupProcess[] {
    return this.hierarchy.processesOf(this, true)
  }

  /** Errors: ENODEV for one that is gone, whose files are still open. */
  requireThere(): void {
    if (this.#removed) throw new ErrnoError('ENODEV', undefined, 'the cgroup was removed')
  }

  make(name: string, what: GroupMaker = ROOTS): Group {
    requireName(name)
    this.requireThere()
    const group = new Group(this.hierarchy, this, name, what)
    this.groups.set(name, group)
    return group
  }

  remove(group: Group): void {
    if (group.holders > 0) throw new ErrnoError('EBUSY', undefined, 'it belongs to a container')
    if (group.groups.size > 0) throw new ErrnoError('EBUSY', undefined, 'there are cgroups in it')
    if (group.processes.length > 0) throw new ErrnoError('EBUSY', undefined, 'there are processes in it')
    this.#remove(group)
  }

  rename(group: Group, name: string): void {
    requireName(name)
    this.groups.delete(group.name)
    group.name = name
    this.groups.set(name, group)
  }

  #remove(group: Group): void {
    this.groups.delete(group.name)
    group.#removed = true
    this.addTimes({ userTime: group.#userTime, systemTime: group.#systemTime })
  }

  /** The group of a path below it, made where it is not there, which stays until it is let go. */
  hold(path: string): Group {
    let group: Group = this
    for (const name of path.split('/').filter(Boolean)) {
      group = group.groups.get(name) ?? group.make(name)
      group.holders++
    }
    return group
  }

  /** Lets go of a group that was held, and of what holds it. What nobody needs is removed, with what a program made in it. */
  release(): void {
    for (const group of [...this.upwards()]) {
      if (!group.parent) break
      group.holders--
      if (group.holders === 0) group.parent.#dissolve(group)
    }
  }

  /** Processes that are still in it come into this one. */
  #dissolve(group: Group): void {
    for (const below of [...group.groups.values()]) group.#dissolve(below)
    for (const process of group.processes) this.hierarchy.enter(process, this)
    this.#remove(group)
  }

  /** What processes have used that are here no more. */
  addTimes({ userTime, systemTime }: Times): void {
    this.#userTime += userTime
    this.#systemTime += systemTime
  }

  /** Milliseconds that all processes in it and below have run, while they were there. */
  get times(): Times {
    let userTime = this.#userTime
    let systemTime = this.#systemTime
    const add = (times: Times) => {
      userTime += times.userTime
      systemTime += times.systemTime
    }
    for (const process of this.processes) add(this.hierarchy.timesOf(process))
    for (const group of this.groups.values()) add(group.times)
    return { userTime, systemTime }
  }

  /** Bytes. */
  get memory(): number {
    return sumOf(this.allProcesses)
  }

  /** The most there may be of it, by its own limit or one above it. */
  get memoryBound(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { memoryLimit } of this.upwards()) least = Math.min(least, memoryLimit)
    return least
  }

  /** Errors: EAGAIN where one more process is too many, here or above. */
  requireRoom(): void {
    for (const group of this.upwards()) {
      if (group.allProcesses.length < group.pidsMax) continue
      group.pidsRefused++
      const rule = `the cgroup ${group.path} may have ${group.pidsMax} processes (pids.max), and has as many`
      throw new ErrnoError('EAGAIN', undefined, rule)
    }
  }

  /** There is more memory in it: what is too much is taken from who has the most, as Linux's OOM killer does. */
  charge(): void {
    for (const group of this.upwards()) {
      const processes = group.allProcesses
      group.memoryPeak = Math.max(group.memoryPeak, sumOf(processes))
      group.#requireMemory(processes.filter(({ ending }) => !ending))
    }
  }

  #requireMemory(living: readonly CgroupProcess[]): void {
    let used = sumOf(living)
    if (used <= this.memoryLimit) return
    this.memoryFailures++
    const score = ({ memory, oomScoreAdj }: CgroupProcess) => memory / this.memoryLimit + oomScoreAdj / 1000
    const victims = living.filter(({ oomScoreAdj }) => oomScoreAdj > -1000).sort((a, b) => score(b) - score(a))
    for (const victim of victims) {
      if (used <= this.memoryLimit) return
      used -= victim.memory
      this.oomKills++
      victim.end(
        `the processes of the cgroup ${this.path} had more than ${this.memoryLimit} bytes of memory (memory.limit_in_bytes)`,
      )
    }
  }
}

const sumOf = (processes: readonly CgroupProcess[]) => processes.reduce((sum, { memory }) => sum + memory, 0)

/** Errors: EINVAL for what would not be one line of /proc/PID/cgroup. */
function requireName(name: string): void {
  if (name.includes('\n')) throw new ErrnoError('EINVAL')
}
