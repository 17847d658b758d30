/**
 * The control groups of one container: a group of its own in each hierarchy that it needs, for the limits of its spec and for what it
 * mounts. A hierarchy that nobody needs is not there.
 */

import type { Group } from '../fs/cgroup/group.ts'
import type { Cgroups, Controller, Hierarchy } from '../fs/cgroup/hierarchy.ts'
import type { PidNamespace } from '../kernel/pid-namespace.ts'
import type { ProcessView } from '../kernel/process-view.ts'
import { cleanPath, type Spec } from './spec.ts'

/** Bytes of a page of WebAssembly's memory. */
const PAGE = 65_536

export class ContainerCgroups {
  readonly #cgroups: Cgroups
  readonly #path: string
  readonly #processes: PidNamespace
  readonly #groups = new Map<Hierarchy, Group>()

  /** Sets the limits of the spec. Errors: EBUSY where a controller shares its hierarchy with another. */
  constructor(cgroups: Cgroups, id: string, processes: PidNamespace, { cgroupsPath, resources }: Spec['linux'] = {}) {
    this.#cgroups = cgroups
    this.#path = cleanPath(`/${cgroupsPath || id}`)
    this.#processes = processes
    const { pids, memory } = resources ?? {}
    if (pids?.limit !== undefined && pids.limit > 0) this.#own('pids').pidsMax = pids.limit
    if (memory?.limit !== undefined && memory.limit > 0) this.#own('memory').memoryLimit = memory.limit
  }

  #own(controller: Controller): Group {
    return this.in(this.#cgroups.hierarchyOf(controller) ?? this.#cgroups.hierarchy([controller]))
  }

  /** Its group in a hierarchy. Those of its processes that are in none come into it. */
  in(hierarchy: Hierarchy): Group {
    const there = this.#groups.get(hierarchy)
    if (there) return there
    hierarchy.holders++
    const group = hierarchy.root.hold(this.#path)
    this.#groups.set(hierarchy, group)
    for (const process of this.#processes.all()) {
      if (hierarchy.groupOf(process) === hierarchy.root) hierarchy.enter(process, group)
    }
    return group
  }

  /** Errors: EAGAIN where there are as many processes as there may be. */
  requireRoom(): void {
    this.#cgroups.requireRoom(this.#groups.values())
  }

  began(process: ProcessView): void {
    this.#cgroups.began(process, this.#groups.values())
  }

  ended(process: ProcessView): void {
    this.#cgroups.ended(process)
  }

  /** The most pages of memory that a process of it may have; undefined for no limit. */
  get memoryPages(): number | undefined {
    let least = Number.POSITIVE_INFINITY
    for (const [{ controllers }, group] of this.#groups) {
      if (controllers.includes('memory')) least = Math.min(least, group.memoryBound)
    }
    return least === Number.POSITIVE_INFINITY ? undefined : Math.floor(least / PAGE)
  }

  release(): void {
    for (const [hierarchy, group] of this.#groups) {
      group.release()
      hierarchy.holders--
      hierarchy.dropIfUnused()
    }
    this.#groups.clear()
  }
}
