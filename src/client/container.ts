/** A container: processes with their own view of files. The words are those of the OCI runtime-spec. */

import type { ContainerState, FileCall, FileCalls, LaunchOptions, MountInfo, StartedProcess } from '../abi/wire.ts'
import type { ProcessInput } from '../oci/spec.ts'
import { type FileSystem, fileSystem } from './file-system.ts'
import type { Kernel } from './kernel.ts'
import { launchOptions, moved, Process, type RunOptions, Stdio } from './process.ts'

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
   * Rejects where it cannot be run: EBUSY before `start`, ENOENT, EACCES, an error that says why a file is no program, or
   * one with `faults` for an invalid description.
   */
  exec(process: ProcessInput, options: RunOptions = {}): Promise<Process> {
    const launched = this.#launch(options, (launch, port) =>
      this.#kernel.call('exec', [this.id, process, launch, port]),
    )
    return launched as Promise<Process>
  }

  /** The runtime-spec's state. */
  state(): Promise<ContainerState> {
    return this.#kernel.call('state', [this.id])
  }

  /** Signals all of its processes. `signal` is a name or a number. */
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

  async #launch(
    options: RunOptions,
    start: (launch: LaunchOptions, port: MessagePort) => Promise<StartedProcess | undefined>,
  ): Promise<Process | undefined> {
    const launch = await launchOptions(options, this.#inline)
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
    const process = new Process(started, stdio, {
      kill: (signal) => this.#kernel.call('kill', [this.id, signal, pid]),
      request: (request) => this.#kernel.call('request', [this.id, pid, request]),
      stats: () => this.#kernel.call('stats', [this.id, pid]),
    })
    // A process that ends before it has read everything is no fault of the stream.
    const { stdin } = options
    if (more && stdin instanceof ReadableStream) stdin.pipeTo(process.stdin).catch(() => {})
    return process
  }
}
