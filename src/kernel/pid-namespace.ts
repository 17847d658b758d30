/**
 * The processes of one container: pid_namespaces(7). What its proc shows, and the numbers that its processes are known by, to
 * the page as well.
 *
 * Invariant: a pid is given once in a sandbox, so that the page can name a process of whatever container by it; a namespace shows
 * those of its container only.
 */

import type { ProcNamespace } from '../fs/proc/kernel.ts'
import type { Context } from '../vfs/context.ts'
import type { ProcessView } from './process-view.ts'

export class PidNamespace implements ProcNamespace {
  readonly hostname: string
  readonly domainname: string
  lastPid = 0
  readonly #next: () => number
  readonly #views = new Map<number, ProcessView>()

  constructor(
    next: () => number,
    { hostname = '', domainname = '' }: { hostname?: string | undefined; domainname?: string | undefined } = {},
  ) {
    this.#next = next
    this.hostname = hostname
    this.domainname = domainname
  }

  nextPid(): number {
    this.lastPid = this.#next()
    return this.lastPid
  }

  get(pid: number): ProcessView | undefined {
    return this.#views.get(pid)
  }

  all(): readonly ProcessView[] {
    return [...this.#views.values()].sort((a, b) => a.pid - b.pid)
  }

  get size(): number {
    return this.#views.size
  }

  of(context: Context): ProcessView | undefined {
    for (const view of this.#views.values()) if (view.task === context) return view
    return undefined
  }

  enter(view: ProcessView): void {
    this.#views.set(view.pid, view)
  }

  leave(view: ProcessView): void {
    this.#views.delete(view.pid)
  }
}
