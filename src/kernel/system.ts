/**
 * The kernel as a whole, as proc and sysfs tell of it: sums over its processes, those that have ended among them.
 *
 * Invariant: a process counts by its view while it lives, and in `#ended` from its end on.
 */

import type { Clock, Entropy, Machine } from '../abi/platform.ts'
import type { DeviceRegistry } from '../devices/device-registry.ts'
import { Cgroups } from '../fs/cgroup/hierarchy.ts'
import type { ProcSystem } from '../fs/proc/kernel.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { LoadAverage } from './load-average.ts'
import { NamespaceNumbers } from './namespace-numbers.ts'
import type { ProcessView } from './process-view.ts'

export class System implements ProcSystem {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly machine: Machine
  readonly bootedAt: bigint
  readonly namespaceNumbers = new NamespaceNumbers()
  readonly cgroups: Cgroups
  processesMade = 0
  readonly #vfs: Vfs
  readonly #devices: DeviceRegistry
  readonly #views = new Set<ProcessView>()
  readonly #ended = { userTime: 0, systemTime: 0, calls: 0 }
  readonly #load: LoadAverage

  constructor(vfs: Vfs, devices: DeviceRegistry, machine: Machine, entropy: Entropy) {
    this.#vfs = vfs
    this.#devices = devices
    this.clock = vfs.clock
    this.entropy = entropy
    this.machine = machine
    this.cgroups = new Cgroups(machine)
    this.bootedAt = vfs.clock.monotonic()
    this.#load = new LoadAverage(this.bootedAt)
  }

  /** A process has begun; what is given back is to be called when it has ended. */
  began(view: ProcessView): () => void {
    this.#views.add(view)
    this.processesMade++
    return () => {
      this.#views.delete(view)
      this.#ended.userTime += view.userTime
      this.#ended.systemTime += view.systemTime
      this.#ended.calls += view.calls
    }
  }

  #sum(of: (view: ProcessView) => number): number {
    let sum = 0
    for (const view of this.#views) sum += of(view)
    return sum
  }

  get userTime(): number {
    return this.#ended.userTime + this.#sum(({ userTime }) => userTime)
  }

  get systemTime(): number {
    return this.#ended.systemTime + this.#sum(({ systemTime }) => systemTime)
  }

  get calls(): number {
    return this.#ended.calls + this.#sum(({ calls }) => calls)
  }

  get processesRunning(): number {
    return this.#sum(({ waiting }) => (waiting ? 0 : 1))
  }

  get loads(): readonly [number, number, number] {
    return this.#load.at(this.clock.monotonic(), this.userTime + this.systemTime)
  }

  get guestMemory(): number {
    return this.#sum(({ memory }) => memory)
  }

  get fileMemory(): number {
    let bytes = 0
    for (const { filesystem } of this.#vfs.superblocks) {
      if (filesystem.type !== 'tmpfs') continue
      const { blocks, blocksFree, blockSize } = filesystem.usage()
      bytes += (blocks - blocksFree) * blockSize
    }
    return bytes
  }

  get openFiles(): number {
    let files = this.#vfs.anonymousFiles.users
    for (const { opens } of this.#vfs.superblocks) files += opens
    return files
  }

  get filesystems(): string {
    return this.#vfs.types.list()
  }

  get devices(): string {
    return this.#devices.list()
  }
}
