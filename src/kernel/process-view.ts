/** A process as proc tells of it: what it was started with, and what it and its task know by now. */

import { SIGKILL } from '../abi/linux.ts'
import type { CgroupProcess } from '../fs/cgroup/hierarchy.ts'
import type { Limit, ProcProcess } from '../fs/proc/kernel.ts'
import { cut } from '../fs/proc/process.ts'
import type { Credentials } from '../vfs/context.ts'
import type { MountNamespace, VirtualDentry } from '../vfs/mount.ts'
import type { DescriptorTable } from './descriptors.ts'
import type { PidNamespace } from './pid-namespace.ts'
import type { Process } from './process.ts'
import type { System } from './system.ts'
import type { Task } from './task.ts'

export interface ProcessViewOptions {
  readonly env: readonly string[]
  /** Left out where the page runs the program. */
  readonly executable: VirtualDentry | undefined
  readonly limits: Readonly<Record<string, Limit>>
  readonly system: Pick<System, 'cgroups' | 'namespaceNumbers'>
  readonly namespace: PidNamespace
}

/** Read by the calls' names in the counts of calls. */
const READS = ['fd_read', 'fd_pread']
const WRITES = ['fd_write', 'fd_pwrite']

export class ProcessView implements ProcProcess, CgroupProcess {
  readonly process: Process
  readonly env: readonly string[]
  readonly executable: VirtualDentry | undefined
  readonly limits: Readonly<Record<string, Limit>>
  readonly namespace: PidNamespace
  readonly #system: ProcessViewOptions['system']
  command: string
  oomScoreAdj = 0

  constructor(process: Process, { env, executable, limits, system, namespace }: ProcessViewOptions) {
    this.process = process
    this.env = env
    this.executable = executable
    this.limits = limits
    this.namespace = namespace
    this.#system = system
    this.command = cut(executable?.dentry.name ?? process.args[0] ?? '')
  }

  get task(): Task {
    return this.process.task
  }

  get pid(): number {
    return this.process.pid
  }

  get args(): readonly string[] {
    return this.process.args
  }

  get credentials(): Credentials {
    return this.task.credentials
  }

  get umask(): number {
    return this.task.umask
  }

  get root(): VirtualDentry {
    return this.task.root
  }

  get cwd(): VirtualDentry {
    return this.task.cwd
  }

  get mounts(): MountNamespace | undefined {
    return this.task.namespace
  }

  get namespaces(): Record<string, number> {
    return this.#system.namespaceNumbers.of(this.namespace, this.mounts)
  }

  get descriptors(): DescriptorTable {
    return this.task.descriptors
  }

  get waiting(): boolean {
    return this.process.waits.under
  }

  get waits(): number {
    return this.process.waits.count
  }

  get startedAt(): bigint {
    return this.process.startedAt
  }

  get memory(): number {
    return this.process.memory
  }

  /** WebAssembly's memory only grows. */
  get memoryPeak(): number {
    return this.memory
  }

  get systemTime(): number {
    return this.process.stats.kernelTime
  }

  get userTime(): number {
    return this.process.userTime
  }

  get io(): ProcProcess['io'] {
    const { calls, bytesRead, bytesWritten } = this.process.stats
    const count = (names: readonly string[]) => names.reduce((sum, name) => sum + (calls[name] ?? 0), 0)
    return { bytesRead, bytesWritten, reads: count(READS), writes: count(WRITES) }
  }

  /** Calls that it has made. */
  get calls(): number {
    return Object.values(this.process.stats.calls).reduce((sum, count) => sum + count, 0)
  }

  get cgroups(): string {
    return this.#system.cgroups.pathsOf(this)
  }

  get ending(): boolean {
    return this.process.ending
  }

  end(reason: string): void {
    this.process.kill(SIGKILL, reason)
  }
}
