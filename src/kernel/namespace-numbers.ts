/** The numbers that links in /proc/PID/ns tell namespaces apart by: namespaces(7). */

import type { MountNamespace } from '../vfs/mount.ts'
import type { PidNamespace } from './pid-namespace.ts'

/** Linux's for those that all containers share here: PROC_USER_INIT_INO and its neighbours (linux/proc_ns.h). */
const SHARED = { cgroup: 4_026_531_835, net: 4_026_531_833, time: 4_026_531_834, user: 4_026_531_837 }
/** What a container has of its own, beside its mounts. */
const OWN = ['ipc', 'pid', 'uts'] as const

export class NamespaceNumbers {
  #last = 4_026_532_000
  readonly #first = new WeakMap<object, number>()

  of(processes: PidNamespace, mounts: MountNamespace | undefined): Record<string, number> {
    const first = this.#take(processes, OWN.length)
    const own = Object.fromEntries(OWN.map((name, i) => [name, first + i]))
    return { ...own, mnt: mounts ? this.#take(mounts, 1) : 0, ...SHARED }
  }

  /** The first of so many numbers that are this namespace's. */
  #take(namespace: object, count: number): number {
    let first = this.#first.get(namespace)
    if (first === undefined) {
      first = this.#last + 1
      this.#last += count
      this.#first.set(namespace, first)
    }
    return first
  }
}
