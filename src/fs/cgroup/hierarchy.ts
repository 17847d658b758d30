/**
 * Control groups, version 1: cgroups(7). Hierarchies of groups of processes, each with the controllers that are in it.
 *
 * Invariants: a controller is in one hierarchy at most. A process that lives is in one group of each hierarchy, the root's unless
 * it began in another or was moved. A hierarchy lives while it is held or has groups below its root.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Machine } from '../../abi/platform.ts'
import type { Credentials } from '../../vfs/context.ts'
import type { Filesystem } from '../../vfs/inode.ts'
import type { Caller } from '../../vfs/waiting.ts'
import { Group } from './group.ts'

/** In the order in which they are listed. */
export const CONTROLLERS = ['cpuset', 'cpu', 'cpuacct', 'memory', 'devices', 'pids', 'job'] as const
export type Controller = (typeof CONTROLLERS)[number]

/** A process, as what limits and counts it sees it. */
export interface CgroupProcess {
  readonly pid: number
  readonly credentials: Credentials
  /** Its pid means it in there only. */
  readonly namespace: object
  /** Bytes. */
  readonly memory: number
  /** Milliseconds. */
  readonly userTime: number
  readonly systemTime: number
  readonly oomScoreAdj: number
  /** It has been told to end. */
  readonly ending: boolean
  end(reason: string): void
}

interface Membership {
  readonly group: Group
  /** What it had used when it came, in milliseconds. */
  readonly userTime: number
  readonly systemTime: number
}

export class Cgroups {
  readonly machine: Machine
  readonly processes = new Set<CgroupProcess>()
  /** The latest first. */
  readonly #hierarchies: Hierarchy[] = []
  #lastId = 0

  constructor(machine: Machine) {
    this.machine = machine
  }

  /**
   * The hierarchy of these controllers, a new one if there is none yet; without any, the one of that name.
   * Errors: EBUSY where one of them is in another hierarchy, or the name is another's; EINVAL for a name alone that nothing has.
   */
  hierarchy(controllers: readonly Controller[] | undefined, name = ''): Hierarchy {
    for (const hierarchy of this.#hierarchies) {
      if (name !== '' && hierarchy.name !== name) continue
      if (controllers === undefined || hierarchy.hasExactly(controllers)) return hierarchy
      if (name !== '') throw new ErrnoError('EBUSY', undefined, `the hierarchy "${name}" has other controllers`)
    }
    if (controllers === undefined) throw new ErrnoError('EINVAL', undefined, `there is no hierarchy "${name}"`)
    for (const controller of controllers) {
      const other = this.hierarchyOf(controller)
      if (other) throw new ErrnoError('EBUSY', undefined, `${controller} is in the hierarchy ${other.options} already`)
    }
    const hierarchy = new Hierarchy(this, ++this.#lastId, controllers, name)
    this.#hierarchies.unshift(hierarchy)
    return hierarchy
  }

  hierarchyOf(controller: Controller): Hierarchy | undefined {
    return this.#hierarchies.find(({ controllers }) => controllers.includes(controller))
  }

  /** Errors: EAGAIN where one of the groups, or one that holds it, has as many processes as it may. */
  requireRoom(groups: Iterable<Group>): void {
    for (const group of groups) {
      if (group.hierarchy.controllers.includes('pids')) group.requireRoom()
    }
  }

  /** A process has begun in these groups, and in the root of every other hierarchy. */
  began(process: CgroupProcess, groups: Iterable<Group>): void {
    this.processes.add(process)
    for (const hierarchy of this.#hierarchies) hierarchy.enter(process, hierarchy.root)
    for (const group of groups) group.hierarchy.enter(process, group)
  }

  ended(process: CgroupProcess): void {
    this.processes.delete(process)
    for (const hierarchy of this.#hierarchies) hierarchy.leave(process)
  }

  /** A process has more memory than before. */
  grown(process: CgroupProcess): void {
    this.hierarchyOf('memory')?.groupOf(process).charge()
  }

  drop(hierarchy: Hierarchy): void {
    this.#hierarchies.splice(this.#hierarchies.indexOf(hierarchy), 1)
  }

  /** Text of /proc/cgroups. */
  get text(): string {
    const rows = CONTROLLERS.map((controller) => {
      const hierarchy = this.hierarchyOf(controller)
      return `${controller}\t${hierarchy?.id ?? 0}\t${hierarchy?.root.count ?? 1}\t1\n`
    })
    return `#subsys_name\thierarchy\tnum_cgroups\tenabled\n${rows.join('')}`
  }

  /** Lines of /proc/PID/cgroup. */
  pathsOf(process: CgroupProcess): string {
    return this.#hierarchies
      .map((hierarchy) => `${hierarchy.id}:${hierarchy.options}:${hierarchy.groupOf(process).path}\n`)
      .join('')
  }
}

export class Hierarchy {
  readonly cgroups: Cgroups
  readonly id: number
  readonly controllers: readonly Controller[]
  readonly name: string
  readonly root: Group
  /** What shows it, while it is mounted. */
  filesystem: Filesystem | undefined
  /** Who needs it although it is not mounted. */
  holders = 0
  readonly #members = new Map<CgroupProcess, Membership>()

  constructor(cgroups: Cgroups, id: number, controllers: readonly Controller[], name: string) {
    this.cgroups = cgroups
    this.id = id
    this.controllers = CONTROLLERS.filter((controller) => controllers.includes(controller))
    this.name = name
    this.root = new Group(this, undefined, '', { mode: 0o555, uid: 0, gid: 0 })
    for (const process of cgroups.processes) this.enter(process, this.root)
  }

  /** Somebody needs it no more. */
  dropIfUnused(): void {
    if (this.holders === 0 && this.filesystem === undefined && this.root.groups.size === 0) this.cgroups.drop(this)
  }

  hasExactly(controllers: readonly Controller[]): boolean {
    return (
      controllers.length === this.controllers.length && this.controllers.every((each) => controllers.includes(each))
    )
  }

  /** As mountinfo and /proc/PID/cgroup have it. */
  get options(): string {
    return [...this.controllers, ...(this.name ? [`name=${this.name}`] : [])].join(',')
  }

  groupOf(process: CgroupProcess): Group {
    return this.#members.get(process)?.group ?? this.root
  }

  /** What it used before stays with the group where it was. */
  enter(process: CgroupProcess, group: Group): void {
    this.leave(process)
    const { userTime, systemTime } = process
    this.#members.set(process, { group, userTime, systemTime })
  }

  leave(process: CgroupProcess): void {
    const membership = this.#members.get(process)
    if (!membership) return
    this.#members.delete(process)
    membership.group.addTimes(this.#usedIn(process, membership))
  }

  /** The processes of a group, or of it and those below it, lower pids first. */
  processesOf(group: Group, below: boolean): CgroupProcess[] {
    const found: CgroupProcess[] = []
    for (const [process, { group: of }] of this.#members) {
      if (of === group || (below && of.isBelow(group))) found.push(process)
    }
    return found.sort((a, b) => a.pid - b.pid)
  }

  /** Milliseconds that a process has run since it is in its group. */
  timesOf(process: CgroupProcess): Times {
    return this.#usedIn(process, this.#members.get(process)!)
  }

  #usedIn(process: CgroupProcess, since: Membership): Times {
    return {
      userTime: process.userTime - since.userTime,
      systemTime: process.systemTime - since.systemTime,
    }
  }

  /**
   * The process that a writer means by a number: one that it sees. The page sees all, and is none that 0 could mean.
   * Errors: EINVAL for no number, ESRCH.
   */
  find(text: string, caller: Caller | undefined): CgroupProcess {
    const pid = /^\s*\d+\s*$/.test(text) ? Number(text) : undefined
    if (pid === undefined) throw new ErrnoError('EINVAL')
    const { processes } = this.cgroups
    const byPid = (wanted: number) => [...processes].find((process) => process.pid === wanted)
    const writer = caller && byPid(caller.pid)
    const process = pid === 0 ? writer : byPid(pid)
    if (!process || (writer && writer.namespace !== process.namespace)) throw new ErrnoError('ESRCH')
    return process
  }
}

export interface Times {
  readonly userTime: number
  readonly systemTime: number
}
