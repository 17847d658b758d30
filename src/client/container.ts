/** A container: processes with their own view of files. The words are those of the OCI runtime-spec. */

import type { Change, CommitOptions, ExportedLayer, ExportLayerOptions, ImageInfo } from '../abi/images.ts'
import type { ContainerState, FileCall, FileCalls, LaunchOptions, MountInfo, StartedProcess } from '../abi/wire.ts'
import type { ProcessInput, SpecInput } from '../oci/spec.ts'
import { wrongValue } from './errors.ts'
import { type FileSystem, fileSystem } from './file-system.ts'
import { Image } from './image.ts'
import type { Kernel } from './kernel.ts'
import { JoinedProcess, type JoinOptions, launchOptions, moved, Process, type RunOptions, Stdio } from './process.ts'

/** A mount as a spec has it. */
export type MountInput = NonNullable<SpecInput['mounts']>[number]

/** A layer that left a container. */
export type Layer = Omit<ExportedLayer, 'parts'> & { readonly blob: Blob }

export class Container {
  readonly id: string
  /** What of the spec is ignored here, and why: an unknown mount type or option, a field without effect. */
  readonly warnings: readonly string[]
  /** Its files, as its processes see them: the shape and errors of node:fs/promises. */
  readonly fs: FileSystem
  readonly #kernel: Kernel
  readonly #inline: boolean

  /** @internal */
  constructor(kernel: Kernel, inline: boolean, id: string, warnings: readonly string[]) {
    this.#kernel = kernel
    this.#inline = inline
    this.id = id
    this.warnings = warnings
    this.fs = fileSystem(
      <Call extends FileCall>(call: Call, args: Parameters<FileCalls[Call]>, transfers?: Transferable[]) =>
        kernel.call('file', [id, call, args], transfers) as Promise<ReturnType<FileCalls[Call]>>,
    )
  }

  /** Starts the container and the process of its spec; undefined if the spec has none. */
  start(options: RunOptions = {}): Promise<Process | undefined> {
    return this.#launch(options, (launch, port) => this.#kernel.call('start', [this.id, launch, port]))
  }

  /**
   * Runs another program in a container that was started. `args[0]` names it: a path, or a name that PATH finds.
   * Rejects where it cannot be run: EBUSY before `start`, ENOENT, EACCES, an error that says why a file is no program, ECANCELED
   * where the container ends before the program runs, or an error with `faults` for an invalid description.
   */
  exec(process: ProcessInput, options: RunOptions = {}): Promise<Process> {
    const launched = this.#launch(options, (launch, port) =>
      this.#kernel.call('exec', [this.id, process, launch, port]),
    )
    return launched as Promise<Process>
  }

  /**
   * A process whose program the page runs itself, in a Worker of its own: post its `connection` there, and `asShimFds` of
   * `runtab/wasi` makes of it the descriptors that `new WASI(args, env, fds)` takes. Of the description `args` and `env` are only
   * passed on and shown in /proc; the rest is as for `exec`, but that the memory of such a program has no limit and `strace` is
   * its Worker's. Errors: as exec; EOPNOTSUPP on platforms other than `worker`.
   */
  async join(process: ProcessInput, options: JoinOptions = {}): Promise<JoinedProcess> {
    const { strace } = options as RunOptions
    if (strace)
      throw wrongValue('options.strace', 'is what the Worker that runs the program has to do: { debug: true }', strace)
    const joined = this.#launch(options, (launch, port) => this.#kernel.call('join', [this.id, process, launch, port]))
    return joined as Promise<JoinedProcess>
  }

  /** The runtime-spec's state. */
  state(): Promise<ContainerState> {
    return this.#kernel.call('state', [this.id])
  }

  /** Signals all of its processes, as `process.kill`. */
  kill(signal: string | number = 'SIGTERM'): Promise<void> {
    return this.#kernel.call('kill', [this.id, signal])
  }

  /** Lets go of the container and its mounts. One that runs is only deleted by `force`, which kills it first. */
  delete(options: { force?: boolean } = {}): Promise<void> {
    return this.#kernel.call('delete', [this.id, options.force ?? false])
  }

  /** Its mount table, in the order of mounting. */
  mounts(): Promise<readonly MountInfo[]> {
    return this.#kernel.call('mounts', [this.id])
  }

  /**
   * Mounts one more thing, as `mounts` of a spec have it; gives the warnings that it earned. Options such as `fd=4` of type `fuse`
   * mean the descriptors of `process`, which may be of any container. Errors: those of a mount in a spec; ESRCH.
   */
  mount(mount: MountInput, { process }: { process?: Process } = {}): Promise<readonly string[]> {
    return this.#kernel.call('mount', [this.id, mount, process?.pid])
  }

  /** What its files are different in from what its root was made from: look before you commit or discard. */
  diff(): Promise<readonly Change[]> {
    return this.#kernel.call('image', ['diff', [this.id]]) as Promise<readonly Change[]>
  }

  /**
   * What it has changed, as an archive: a layer as OCI has it, or a snapshot to go on from. It is one state of the files,
   * also while programs run.
   */
  async exportLayer(options: ExportLayerOptions = {}): Promise<Layer> {
    const answer = await this.#kernel.call('image', ['exportLayer', [this.id, options]])
    const { parts, ...layer } = answer as ExportedLayer
    return { ...layer, blob: new Blob(parts as BlobPart[], { type: layer.mediaType }) }
  }

  /**
   * Makes a layer of what has changed, on top of those it was made from: an image. The container goes on, its upper layer
   * empty again; open files and working directories stay what they are. EBUSY while a socket has a name.
   */
  async commit(options: CommitOptions = {}): Promise<Image> {
    return new Image(this.#kernel, (await this.#kernel.call('image', ['commit', [this.id, options]])) as ImageInfo)
  }

  /**
   * Takes back everything that has changed. What is mounted stays, with the directories that it is mounted on; files that
   * are open stay as they are for who has them open, as if they were removed.
   */
  async discard(): Promise<void> {
    await this.#kernel.call('image', ['discard', [this.id]])
  }

  /** As `sandbox.checkpoint`, of this container only. */
  async checkpoint(options: { keep?: string } = {}): Promise<ReadableStream<Uint8Array>> {
    const { checkpoint } = await import('./checkpoints.ts')
    return checkpoint(this.#kernel, { ...options, containers: [this.id] })
  }

  async #launch(
    options: RunOptions,
    start: (launch: LaunchOptions, port: MessagePort) => Promise<StartedProcess | undefined>,
  ): Promise<Process | undefined> {
    const launch = await launchOptions(options, this.#kernel, this.#inline)
    const { more } = launch.stdin
    const stdio = new Stdio(this.#kernel, more, options.onProgress)
    let started: StartedProcess | undefined
    try {
      started = await start(launch, moved(stdio.remote))
    } finally {
      if (!started) stdio.close()
    }
    if (!started) return undefined
    const { pid } = started
    const process = new (started.connection ? JoinedProcess : Process)(started, stdio, {
      kill: (signal) => this.#kernel.call('kill', [this.id, signal, pid]),
      leave: (exitCode) => this.#kernel.call('leave', [this.id, pid, exitCode]),
      request: (request) => this.#kernel.call('request', [this.id, pid, request]),
      stats: () => this.#kernel.call('stats', [this.id, pid]),
    })
    const { stdin } = options
    if (more && stdin instanceof ReadableStream) stdio.feed(stdin)
    return process
  }
}
