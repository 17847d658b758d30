/** A sandbox: a kernel in a Worker, the files handed to it, and its containers. */

import type { CheckpointOptions, KeptCheckpoint, RestoreOptions } from '../abi/checkpoints.ts'
import type { ImageInfo, ImportImageOptions } from '../abi/images.ts'
import type {
  BootOptions,
  BootReport,
  ContainerState,
  FlagOptions,
  MachineOptions,
  PlatformName,
  StorageOptions,
} from '../abi/wire.ts'
import type { SpecInput } from '../oci/spec.ts'
import { asyncDispose } from './async-dispose.ts'
import { type Bytes, blobOf } from './blobs.ts'
import type { Restored } from './checkpoints.ts'
import { Container } from './container.ts'
import type { FuseOperations, FuseServerOptions } from './fuse/operations.ts'
import type { FuseServer } from './fuse/server.ts'
import { guestWorkers } from './guest-workers.ts'
import { Image } from './image.ts'
import { Kernel, type KernelSource } from './kernel.ts'
import { Pipe } from './pipe.ts'
import { moved } from './process.ts'
import { type Files, tree } from './tree.ts'
import { Volumes } from './volumes.ts'

export interface SandboxOptions extends FlagOptions, MachineOptions, StorageOptions {
  /** Where programs run and how their calls wait. Left out: the best that this page can have. */
  platform?: PlatformName
  /** Trees to provide from the start, by name: see `provide`. */
  bundle?: Record<string, Files>
  /** Where the kernel is, if not in a Worker of our own making: a Worker, the URL of its script, or a port to one. */
  worker?: KernelSource
}

export interface CreateOptions {
  /** A snapshot, as `container.exportLayer({ form: 'snapshot' })` makes it: what the root's upper layer starts with. */
  upper?: Bytes
  /**
   * Where changes to files go that the page handed in: `root:memory` if left out, `none`, `all:memory` (also for the binds of
   * the spec), or `volume:NAME` instead of `memory`, to keep them. Behind it there may be a limit, `,size=64m`, and behind a volume
   * how much of what is on disk is in memory, too, `,cacheBytes=16m`. A list says it for the root and each bind of the spec:
   * `['volume:root', 'none']`.
   */
  overlay?: string | readonly string[]
  /**
   * What of the bundle stands for the paths of the machine that the spec was written for, its root and the sources of binds:
   * `{ '/var/lib/kubelet': 'kubelet' }`. A path inside one of them is the place inside what stands for it.
   */
  sources?: Record<string, string>
}

/** A container spec, whose root may be an image. */
export type CreateSpec = Omit<SpecInput, 'root'> & { root?: SpecInput['root'] | Image }

export class Sandbox extends EventTarget {
  /** Where programs run. */
  readonly platform: PlatformName
  /** Why there, in a sentence. */
  readonly reason: string
  /** All platforms that this page could have. */
  readonly available: readonly PlatformName[]
  /** The trees of files that outlive the sandbox. */
  readonly volumes: Volumes
  readonly #kernel: Kernel
  /** Firefox (153) empties a Blob, wherever else it was sent, when the page that made it lets go of it. */
  readonly #provided: unknown[] = []
  #dirty = false

  /**
   * Starts a kernel. Rejects with a sentence where the platform asked for is not available, with EOPNOTSUPP where the browser has
   * no Storage Buckets and EINVAL where it does not take the bucket's name, and with ERR_KERNEL_GONE where the Worker does not start.
   */
  static async boot(options: SandboxOptions = {}): Promise<Sandbox> {
    const { bundle, worker, ...rest } = options
    const kernel = new Kernel(worker)
    try {
      const guests = guestWorkers(kernel)
      const wishes = { ...(rest as Omit<BootOptions, 'guests'>), guests }
      const report = await kernel.call('boot', [wishes], [guests])
      const sandbox = new Sandbox(kernel, report, options.storageBucket)
      await sandbox.#watch()
      for (const [name, files] of Object.entries(bundle ?? {})) await sandbox.provide(name, files)
      return sandbox
    } catch (error) {
      kernel.end('it did not start')
      throw error
    }
  }

  private constructor(kernel: Kernel, report: BootReport, bucket: string | undefined) {
    super()
    this.#kernel = kernel
    this.volumes = new Volumes(kernel, bucket)
    this.platform = report.platform
    this.reason = report.reason
    this.available = report.available
  }

  /**
   * Whether a volume has changes that are not on disk yet: a page may ask before it is left. When that changes, a `dirtychange`
   * event is dispatched.
   */
  get dirty(): boolean {
    return this.#dirty
  }

  /** Hears from the kernel what is not on disk, or that it has stopped, and tells it when the page may be about to go. */
  async #watch(): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = ({ data }) => {
      if (typeof data === 'string') return this.#kernel.end(data)
      this.#dirty = data as boolean
      this.dispatchEvent(new Event('dirtychange'))
    }
    await this.#kernel.call('watch', [moved(port2)])
    const flush = () => {
      if (this.#dirty) this.#kernel.call('flush', []).catch(() => {})
    }
    const page = typeof document === 'undefined' ? undefined : document
    page?.addEventListener('visibilitychange', flush)
    page?.addEventListener('freeze', flush)
    this.#kernel.onEnd(() => {
      page?.removeEventListener('visibilitychange', flush)
      page?.removeEventListener('freeze', flush)
      port1.close()
    })
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
  async create(id: string, spec: CreateSpec = {}, { upper, ...rest }: CreateOptions = {}): Promise<Container> {
    const root = spec.root instanceof Image ? { path: spec.root.name } : spec.root
    const given: SpecInput = root === undefined ? (spec as SpecInput) : { ...spec, root }
    const snapshot = upper === undefined ? undefined : await blobOf(upper, 'options.upper')
    const { warnings } = await this.#kernel.call('create', [id, given, { ...rest, upper: snapshot }])
    return this.#container(id, warnings)
  }

  #container(id: string, warnings: readonly string[]): Container {
    return new Container(this.#kernel, this.platform === 'inline', id, warnings)
  }

  /** A pipe, for `stdio` of processes of any container, and for the page. */
  async pipe(): Promise<Pipe> {
    return new Pipe(this.#kernel, await this.#kernel.call('pipe', []))
  }

  /**
   * Takes an image into the bundle: an OCI image layout in a tar, what `docker save` writes, or a tar of a root filesystem; each,
   * and each layer in it, plain or with gzip. Its digests are verified. What is faulty is refused with the entry and the
   * rule, and nothing of it is left.
   */
  async importImage(source: Bytes, options: ImportImageOptions = {}): Promise<Image> {
    const blob = await blobOf(source, 'source')
    const info = await this.#kernel.call('image', ['importImage', [blob, options]])
    const image = new Image(this.#kernel, info as ImageInfo)
    this.#provided.push(blob)
    return image
  }

  /**
   * Saves containers, all or those of `containers`: their mounts and files as they are at one moment, while programs go on; what
   * is in volumes is on disk by itself, and programs are not saved. Gives a stream of bytes for `restore`; `keep` keeps it in the
   * browser, too. Errors: EOPNOTSUPP for what cannot be saved; ENOSPC where volumes or what is kept find no space.
   */
  async checkpoint(options: CheckpointOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return (await import('./checkpoints.ts')).checkpoint(this.#kernel, options)
  }

  /**
   * Makes the containers of a checkpoint again, which may be of another tab: the name of one that is kept, or its bytes. The trees,
   * images and volumes that they were made from must be there. All of it, or nothing: EIO for what is damaged, cut off or of a
   * newer format; EEXIST for a container that is there; EINVAL, ENOENT, ESTALE for sources and specs that are not what they were.
   */
  async restore(source: Bytes | string, options: RestoreOptions = {}): Promise<Restored> {
    const { restore } = await import('./checkpoints.ts')
    const { containers, orphans } = await restore(this.#kernel, source, options)
    return {
      containers: containers.map(({ id, warnings }) => this.#container(id, warnings)),
      orphans: orphans as Restored['orphans'],
    }
  }

  /** The checkpoints that the browser keeps for the site. */
  checkpoints(): Promise<readonly KeptCheckpoint[]> {
    return this.#kernel.call('checkpoint', ['list', []]) as Promise<readonly KeptCheckpoint[]>
  }

  /** Rejects with ENOENT. */
  async removeCheckpoint(name: string): Promise<void> {
    await this.#kernel.call('checkpoint', ['remove', [name]])
  }

  /**
   * Serves a filesystem from the page: mounts of type `fuse` whose source is `fuse:NAME` show what the operations say. Its server's
   * `end` makes what is mounted answer ENOTCONN. Errors: EINVAL, EEXIST for the name.
   */
  async fuse(name: string, operations: FuseOperations, options: FuseServerOptions = {}): Promise<FuseServer> {
    const { serveFuse } = await import('./fuse/server.ts')
    const { port1, port2 } = new MessageChannel()
    await this.#kernel.call('serveFuse', [name, moved(port2)])
    const server = serveFuse(name, port1, operations, options)
    this.#kernel.onEnd(() => server.end())
    return server
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
