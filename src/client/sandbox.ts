/** A sandbox: a kernel in a Worker, the files handed to it, and its containers. */

import type { BootReport, ContainerState, PlatformName } from '../abi/wire.ts'
import type { SpecInput } from '../oci/spec.ts'
import { asyncDispose } from './async-dispose.ts'
import { Container } from './container.ts'
import { guestWorkers } from './guest-workers.ts'
import { Kernel, type KernelSource } from './kernel.ts'
import { Pipe } from './pipe.ts'
import { type Files, tree } from './tree.ts'

export interface SandboxOptions {
  /** Where programs run and how their calls wait. Left out: the best that this page can have. */
  platform?: PlatformName
  /** Trees to provide from the start, by name: see `provide`. */
  bundle?: Record<string, Files>
  /** Where the kernel is, if not in a Worker of our own making: a Worker, the URL of its script, or a port to one. */
  worker?: KernelSource
}

export class Sandbox {
  /** Where programs run. */
  readonly platform: PlatformName
  /** Why there, in a sentence. */
  readonly reason: string
  /** All platforms that this page could have. */
  readonly available: readonly PlatformName[]
  readonly #kernel: Kernel
  /** Firefox (153) empties a Blob, wherever else it was sent, when the page that made it lets go of it. */
  readonly #provided: unknown[] = []

  /**
   * Starts a kernel. Rejects with a sentence where the platform asked for is not available, and with ERR_KERNEL_GONE
   * where the Worker does not start.
   */
  static async boot(options: SandboxOptions = {}): Promise<Sandbox> {
    const { platform, bundle, worker } = options
    const kernel = new Kernel(worker)
    try {
      const guests = guestWorkers(kernel)
      const wishes = { guests, ...(platform !== undefined && { platform }) }
      const sandbox = new Sandbox(kernel, await kernel.call('boot', [wishes], [guests]))
      for (const [name, files] of Object.entries(bundle ?? {})) await sandbox.provide(name, files)
      return sandbox
    } catch (error) {
      kernel.end('it did not start')
      throw error
    }
  }

  private constructor(kernel: Kernel, report: BootReport) {
    this.#kernel = kernel
    this.platform = report.platform
    this.reason = report.reason
    this.available = report.available
  }

  /**
   * Hands files to the sandbox under a name. What a spec's `root.path` and the `source` of a bind mount say is such a
   * name, or one with a path behind it: `sysroot`, `sysroot/usr`. Containers see them read-only.
   */
  async provide(name: string, files: Files): Promise<void> {
    const given = tree(files)
    await this.#kernel.call('provide', [name, given])
    this.#provided.push(given)
  }

  /**
   * Makes a container: its mounts are made, nothing runs yet. `spec` is a runtime-spec `config.json`, all of it optional.
   * An invalid spec is one error, whose `faults` list everything that is wrong with it.
   */
  async create(id: string, spec: SpecInput = {}): Promise<Container> {
    const { warnings } = await this.#kernel.call('create', [id, spec])
    return new Container(this.#kernel, this.platform === 'inline', id, warnings)
  }

  /** A pipe, for `stdio` of processes of any container, and for the page. */
  async pipe(): Promise<Pipe> {
    return new Pipe(this.#kernel, await this.#kernel.call('pipe', []))
  }

  /** The state of every container. */
  containers(): Promise<readonly ContainerState[]> {
    return this.#kernel.call('containers', [])
  }

  /**
   * Ends all processes, lets the kernel store what it has to, and ends its Worker. Calls that are still in flight, and all
   * later ones, are rejected with ERR_KERNEL_GONE. `force` does not wait for the kernel, which may be busy with a
   * program that never pauses; what was not stored is lost.
   */
  async shutdown(options: { force?: boolean } = {}): Promise<void> {
    if (this.#kernel.ended) return
    try {
      if (!options.force) await this.#kernel.call('shutdown', [])
    } catch (error) {
      if (!this.#kernel.ended) throw error
    } finally {
      this.#kernel.end('the sandbox was shut down')
    }
  }

  [asyncDispose](): Promise<void> {
    return this.shutdown()
  }
}
