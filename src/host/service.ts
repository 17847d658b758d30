/**
 * What a page sees of the kernel: KernelService, exposed by comlink over a port.
 *
 * Always true: a call is answered with a Reply, whatever goes wrong; nothing is thrown through comlink, which would lose
 * an error's `code`.
 */

import { expose, transfer } from 'comlink'
import type { CheckpointCall, CheckpointCalls } from '../abi/checkpoints.ts'
import { ErrnoError } from '../abi/errno.ts'
import type { ExportedLayer, ImageCall, ImageCalls } from '../abi/images.ts'
import type { Tree } from '../abi/tree.ts'
import type {
  Answers,
  BootOptions,
  BootReport,
  ContainerState,
  CreateRequest,
  FileCall,
  FileCalls,
  KernelService,
  LaunchOptions,
  LibraryRequest,
  MessagePortLike,
  MountInfo,
  PipeEndName,
  ProcessStats,
  Reply,
  StartedProcess,
  VolumeCall,
  VolumeCalls,
  WireError,
} from '../abi/wire.ts'
import type { Files } from '../kernel/files.ts'
import type { HostPipes } from '../kernel/host-pipes.ts'
import type { ProcessStdio } from '../kernel/process.ts'
import type { FuseServers } from '../oci/fuse-servers.ts'
import type { Volumes } from '../oci/volumes.ts'
import { connectFusePort } from './fuse-port.ts'
import { ProcessPort, type RunningProcess } from './process-port.ts'

/** What is served: the containers of one sandbox, as oci/runtime.ts has them. */
export interface ServedRuntime {
  provide(name: string, tree: Tree): void
  create(id: string, spec: unknown, request?: CreateRequest): Promise<{ warnings: readonly string[] }>
  start(id: string, stdio: ProcessStdio): Promise<RunningProcess | undefined>
  exec(id: string, process: unknown, stdio: ProcessStdio): Promise<RunningProcess>
  join(id: string, process: unknown, stdio: ProcessStdio): Promise<RunningProcess>
  leave(id: string, pid: number, exitCode: number): void
  kill(id: string, signal: string | number, pid?: number): void
  stats(id: string, pid: number): ProcessStats
  request(id: string, pid: number, request: LibraryRequest): Promise<unknown>
  delete(id: string, force: boolean): Promise<void>
  state(id: string): ContainerState
  containers(): ContainerState[]
  mounts(id: string): MountInfo[]
  files(id: string): Files
  readonly pipes: HostPipes
  images(): Promise<Answers<ImageCalls>>
  checkpoints(): Promise<Answers<CheckpointCalls>>
  mount(id: string, mount: unknown, pid?: number): Promise<readonly string[]>
  readonly fuse: Pick<FuseServers, 'serve' | 'end'>
  readonly volumes: Pick<Volumes, 'calls' | 'flush' | 'onDirty'>
  /** Why nothing more may be asked of it. */
  readonly panicked: string | undefined
  onPanic: (reason: string) => void
  shutdown(): Promise<void>
}

export interface Booted {
  readonly runtime: ServedRuntime
  readonly report: BootReport
  /** Keeps the kernel from blocking its thread while only the event loop can bring something. */
  readonly awaited?: (work: Promise<void>) => void
}

/** Makes a runtime for what the page asks for; an error's message is for the person who wrote the page. */
export type Boot = (options: BootOptions) => Booted | Promise<Booted>

/** Answers the page at the other end of the port. The runtime is made when the page says `boot`. */
export function serveKernel(boot: Boot, port: MessagePort): void {
  expose(new Service(boot), port)
}

class Service implements KernelService {
  readonly #boot: Boot
  #booted: Booted | undefined

  constructor(boot: Boot) {
    this.#boot = boot
  }

  boot(options: BootOptions) {
    return reply(async () => {
      this.#booted ??= await this.#boot(options)
      return this.#booted.report
    })
  }

  provide(name: string, tree: Tree) {
    return reply(() => this.#runtime.provide(name, tree))
  }

  create(id: string, spec: unknown, request?: CreateRequest) {
    return reply(() => this.#runtime.create(id, spec, request))
  }

  start(id: string, options: LaunchOptions, stdio: MessagePortLike): Promise<Reply<StartedProcess | undefined>> {
    return reply(() => launch(options, stdio, (process) => this.#runtime.start(id, process)))
  }

  exec(id: string, process: unknown, options: LaunchOptions, stdio: MessagePortLike): Promise<Reply<StartedProcess>> {
    return reply(async () => (await launch(options, stdio, (port) => this.#runtime.exec(id, process, port)))!)
  }

  join(id: string, process: unknown, options: LaunchOptions, stdio: MessagePortLike): Promise<Reply<StartedProcess>> {
    return reply(async () => (await launch(options, stdio, (port) => this.#runtime.join(id, process, port)))!)
  }

  leave(id: string, pid: number, exitCode: number) {
    return reply(() => this.#runtime.leave(id, pid, exitCode))
  }

  kill(id: string, signal: string | number, pid?: number) {
    return reply(() => this.#runtime.kill(id, signal, pid))
  }

  stats(id: string, pid: number) {
    return reply(() => this.#runtime.stats(id, pid))
  }

  request(id: string, pid: number, request: LibraryRequest) {
    return reply(() => this.#runtime.request(id, pid, request))
  }

  delete(id: string, force: boolean) {
    return reply(() => this.#runtime.delete(id, force))
  }

  state(id: string) {
    return reply(() => this.#runtime.state(id))
  }

  containers() {
    return reply(() => this.#runtime.containers())
  }

  mounts(id: string) {
    return reply(() => this.#runtime.mounts(id))
  }

  async file<Call extends FileCall>(id: string, call: Call, args: Parameters<FileCalls[Call]>) {
    const answer = await reply(() => called<FileCalls, Call>(this.#runtime.files(id), call, args))
    const bytes = 'value' in answer ? answer.value : undefined
    return bytes instanceof Uint8Array ? transfer(answer, [bytes.buffer]) : answer
  }

  pipe() {
    return reply(() => this.#runtime.pipes.make())
  }

  usePipe(pipe: number, end: PipeEndName) {
    return reply(() => this.#runtime.pipes.use(pipe, end))
  }

  async readPipe(pipe: number) {
    const answer = await reply(() => this.#runtime.pipes.read(pipe))
    return 'value' in answer ? transfer(answer, [answer.value.buffer]) : answer
  }

  writePipe(pipe: number, bytes: Uint8Array) {
    return reply(() => this.#runtime.pipes.write(pipe, bytes))
  }

  closePipe(pipe: number, end: PipeEndName) {
    return reply(() => this.#runtime.pipes.close(pipe, end))
  }

  async image<Call extends ImageCall>(call: Call, args: Parameters<ImageCalls[Call]>) {
    const answer = await reply(async () => called<ImageCalls, Call>(await this.#runtime.images(), call, args))
    return transfer(answer, buffersOf(answer))
  }

  volume<Call extends VolumeCall>(call: Call, args: Parameters<VolumeCalls[Call]>) {
    return reply(() => called<VolumeCalls, Call>(this.#runtime.volumes.calls, call, args))
  }

  async checkpoint<Call extends CheckpointCall>(call: Call, args: Parameters<CheckpointCalls[Call]>) {
    const answer = await reply(async () => called<CheckpointCalls, Call>(await this.#runtime.checkpoints(), call, args))
    return transfer(answer, buffersOf(answer))
  }

  flush() {
    return reply(() => this.#runtime.volumes.flush())
  }

  watch(port: MessagePortLike) {
    return reply(() => {
      this.#runtime.volumes.onDirty = (dirty) => port.postMessage(dirty)
      this.#runtime.onPanic = (reason) => port.postMessage(reason)
    })
  }

  mount(id: string, mount: unknown, pid?: number) {
    return reply(() => this.#runtime.mount(id, mount, pid))
  }

  serveFuse(name: string, port: MessagePortLike) {
    return reply(() => {
      const { fuse } = this.#runtime
      const awaited = this.#booted!.awaited ?? (() => {})
      connectFusePort(port as MessagePort, fuse.serve(name), { awaited, ended: () => fuse.end(name) })
    })
  }

  shutdown() {
    return reply(() => this.#booted?.runtime.shutdown())
  }

  get #runtime(): ServedRuntime {
    if (!this.#booted) throw new Error('the sandbox is not booted')
    const { runtime } = this.#booted
    if (runtime.panicked !== undefined) throw new Error(`the sandbox has stopped: ${runtime.panicked}`)
    return runtime
  }
}

/** What the page calls by its name. */
function called<Calls extends Record<keyof Calls, (...args: never[]) => unknown>, Call extends keyof Calls>(
  answers: Answers<Calls>,
  call: Call,
  args: Parameters<Calls[Call]>,
): Promise<ReturnType<Calls[Call]>> {
  return answers[call](...args)
}

/** The memory of the parts of an export that are all of it. */
function buffersOf(answer: Reply<unknown>): ArrayBuffer[] {
  const value = 'value' in answer ? answer.value : undefined
  const parts = Array.isArray(value) ? value : ((value as Partial<ExportedLayer> | undefined)?.parts ?? [])
  const buffers = parts.flatMap((part) =>
    part instanceof Uint8Array && part.length === part.buffer.byteLength ? [part.buffer] : [],
  )
  return [...new Set(buffers)] as ArrayBuffer[]
}

async function launch(
  options: LaunchOptions,
  stdio: MessagePortLike,
  start: (stdio: ProcessStdio) => Promise<RunningProcess | undefined>,
): Promise<StartedProcess | undefined> {
  const port = new ProcessPort(stdio as MessagePort, options)
  let process: RunningProcess | undefined
  try {
    process = await start(port)
  } finally {
    if (!process) port.close()
  }
  if (!process) return undefined
  port.attach(process)
  const { pid, terminal, warnings, joined } = process
  return { pid, terminal: terminal !== undefined, warnings, connection: joined?.connection }
}

async function reply<T>(call: () => T | Promise<T>): Promise<Reply<T>> {
  try {
    return { value: await call() }
  } catch (error) {
    return { error: wireError(error) }
  }
}

/** What of an error can be sent, under the names of wire.ts. */
export function wireError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { code, errno, syscall, path, dest, faults } = error as Partial<WireError>
  const fields = { code, errno, syscall, path, dest, faults }
  const known = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return { ...known, name: error instanceof ErrnoError ? 'Error' : error.name, message: error.message }
}
