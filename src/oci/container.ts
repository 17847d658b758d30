/**
 * A container: a namespace of mounts made from a spec, and the processes in it. Its life is the runtime-spec's:
 * creating, created, running, stopped (runtime.md, "Lifecycle").
 *
 * Invariant: what it holds (namespace, host's task, processes) is let go by `destroy`, once, and nothing is left behind.
 */

import { ErrnoError } from '../abi/errno.ts'
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_PATH, O_RDONLY, O_TRUNC, O_WRONLY, SIGKILL } from '../abi/linux.ts'
import { WINDOW, type WindowSize } from '../abi/terminal.ts'
import type { ContainerState, ExitStatus, LibraryRequest, MountInfo, ProcessStats } from '../abi/wire.ts'
import { terminalsOf } from '../fs/devpts/devpts.ts'
import type { OverlayFilesystem } from '../fs/overlay/overlay.ts'
import type { Limit } from '../fs/proc/kernel.ts'
import { attempted, Cancellation, untilDone, type Waiting } from '../kernel/attempts.ts'
import { Files } from '../kernel/files.ts'
import type { HostPipes } from '../kernel/host-pipes.ts'
import type { PidNamespace } from '../kernel/pid-namespace.ts'
import {
  DEFAULT_OUTPUT_BYTES,
  type GuestRunner,
  type JoinedProgram,
  type Preopen,
  Process,
  type ProcessStdio,
  type Trace,
} from '../kernel/process.ts'
import { ProcessView, type ProcessViewOptions } from '../kernel/process-view.ts'
import { handOverPipes, openAll, type Redirections, releaseAll } from '../kernel/redirections.ts'
import { isDeadly } from '../kernel/signals.ts'
import type { System } from '../kernel/system.ts'
import { Task } from '../kernel/task.ts'
import { traceTo } from '../kernel/trace-file.ts'
import { type Context, credentialsOf } from '../vfs/context.ts'
import type { Inode } from '../vfs/inode.ts'
import type { MountNamespace } from '../vfs/mount.ts'
import { releaseNamespace } from '../vfs/mount-tree.ts'
import { openAt } from '../vfs/open.ts'
import type { Vfs } from '../vfs/vfs.ts'
import type { LayeredRoot } from './archive/images.ts'
import type { ContainerCgroups } from './container-cgroups.ts'
import { findExecutable } from './executable.ts'
import { mountInfo } from './mount-info.ts'
import type { FurtherMount } from './mounts/further.ts'
import type { Mounted } from './mounts/mounter.ts'
import type { Root } from './mounts/root.ts'
import type { UppersConfig } from './mounts/uppers.ts'
import { isName, LETTERS } from './names.ts'
import type { Programs } from './programs.ts'
import type { ProcessSpec, Spec } from './spec.ts'

/** The version of the runtime-spec that `state` speaks. */
const OCI_VERSION = '1.2.0'
/** Bytes of output on the way to a terminal's screen; a program that writes more waits, so that ^C is not behind all of it. */
const SCREEN_AHEAD = 1 << 18

/** What containers share. */
export interface Host {
  readonly vfs: Vfs
  readonly waiting: Waiting
  readonly runner: GuestRunner
  readonly programs: Programs
  readonly pipes: HostPipes
  /** Guests can't wait. */
  readonly inline: boolean
  readonly system: System
}

/** Errors: EINVAL. */
export function requireId(id: string): void {
  if (!isName(id) || id === '.' || id === '..') {
    throw new ErrnoError('EINVAL', id, `a container id is made of ${LETTERS}, and is not "." or ".."`)
  }
}

/** How a container knows its processes, and limits them. */
export interface ContainerProcesses {
  readonly processes: PidNamespace
  readonly cgroups: ContainerCgroups
}

export class Container {
  readonly id: string
  readonly spec: Spec
  readonly files: Files
  readonly root: Root
  /** Where changes to its files go. */
  readonly uppers: UppersConfig
  /** The roots of its own filesystems in memory, by what their mounts are found again by. */
  readonly memory: Map<string, Inode>
  /** What was mounted since it was made, in this order. */
  readonly further: FurtherMount[] = []
  readonly #host: Host
  readonly #namespace: MountNamespace
  /** The page's own hand in the files: the superuser, its working directory being `/`. */
  readonly #task: Task
  readonly #layeredRoot: LayeredRoot | undefined
  readonly #processes: PidNamespace
  readonly #cgroups: ContainerCgroups
  /** Of calls that wait in its files, by its deletion. */
  readonly #deleted = new Cancellation()
  /** Of programs that are about to run, by its end. */
  readonly #ended = new Cancellation()
  #status: ContainerState['status'] = 'created'
  #init: Process | undefined

  constructor(host: Host, id: string, spec: Spec, { processes, cgroups }: ContainerProcesses, mounted: Mounted) {
    const { namespace, root, uppers, memory } = mounted
    this.id = id
    this.spec = spec
    this.root = root
    this.uppers = uppers
    this.memory = memory
    this.#host = host
    this.#processes = processes
    this.#cgroups = cgroups
    this.#namespace = namespace
    this.#layeredRoot = layeredRoot(id, spec, root)
    const { vfs, waiting } = host
    this.#task = new Task({ vfs, credentials: credentialsOf(0, 0), root: namespace.rootPlace })
    this.files = new Files((operation) =>
      attempted(waiting, (attempt) => this.#task.trying(attempt, () => operation(this.#task)), this.#deleted),
    )
  }

  get state(): ContainerState {
    return {
      ociVersion: this.spec.ociVersion ?? OCI_VERSION,
      id: this.id,
      status: this.#status,
      bundle: this.spec.root?.path ?? '',
      annotations: this.spec.annotations ?? {},
      ...(this.#init && this.#status === 'running' && { pid: this.#init.pid }),
    }
  }

  /** Errors: a plain one where the root has no layers: it is a tmpfs then. */
  get layeredRoot(): LayeredRoot {
    if (this.#layeredRoot) return this.#layeredRoot
    throw new Error(`the root of container "${this.id}" has no layers: give its spec a root, be it an empty tree`)
  }

  /** A layer was made of changes to its root, which has more layers since than it was made from. */
  get committed(): boolean {
    return this.#layeredRoot?.lowers !== this.root.lowers
  }

  get namespace(): MountNamespace {
    return this.#namespace
  }

  /** Whether somebody is one of its processes, or the page's hand in its files. */
  isOf(who: Context): boolean {
    return who === this.#task || this.#processes.of(who) !== undefined
  }

  get processes(): ContainerProcesses {
    return { processes: this.#processes, cgroups: this.#cgroups }
  }

  get mounts(): MountInfo[] {
    return mountInfo(this.#namespace)
  }

  /** Runs the spec's process; without one the container just counts as running. Errors: EBUSY if it was started before. */
  async start(stdio: ProcessStdio): Promise<Process | undefined> {
    if (this.#status !== 'created') {
      throw new ErrnoError('EBUSY', this.id, `a container is started once; this one is ${this.#status}`)
    }
    this.#status = 'running'
    if (!this.spec.process?.args) return undefined
    try {
      this.#init = await this.#run(this.spec.process, stdio)
    } catch (error) {
      this.#end()
      throw error
    }
    this.#init.exited.then(() => this.#stop())
    return this.#init
  }

  /** When init ends, the others of its pid namespace do, too: pid_namespaces(7). */
  #stop(): void {
    this.#end()
    for (const { process } of this.#processes.all()) process.kill(SIGKILL, 'the container stopped')
  }

  /** Nothing runs in it any more. */
  #end(why = 'the container ended before the program ran'): void {
    this.#status = 'stopped'
    this.#ended.cancel(why)
  }

  /** Runs a further process; with `joined` one whose program the page runs. Errors: EBUSY unless the container is running. */
  async exec(spec: ProcessSpec, stdio: ProcessStdio, joined?: JoinedProgram): Promise<Process> {
    if (this.#status !== 'running') {
      const what = this.#status === 'created' ? 'call start() first' : 'it has ended'
      throw new ErrnoError('EBUSY', this.id, `the container is ${this.#status}, not running: ${what}`)
    }
    return this.#run(spec, stdio, joined)
  }

  async #run(spec: ProcessSpec, stdio: ProcessStdio, joined?: JoinedProgram): Promise<Process> {
    const { vfs, waiting, runner, programs, pipes, inline } = this.#host
    const args = spec.args ?? []
    const terminal = spec.terminal ? windowOf(spec) : undefined
    const env = terminal ? terminalEnvironment(spec.env ?? [], terminal) : (spec.env ?? [])
    const cwd = spec.cwd ?? '/'
    const { redirected = [] } = stdio
    await this.#ended.unlessCancelled(this.#requireCwd(cwd))
    const user = spec.user
    let process: Process | undefined
    const task = new Task({
      vfs,
      session: { terminal: undefined, hear: (signal) => process?.hear(signal) },
      credentials: credentialsOf(user?.uid ?? 0, user?.gid ?? 0, user?.additionalGids),
      root: this.#namespace.rootPlace,
      umask: user?.umask ?? 0o022,
      confined: true,
      openFiles: spec.limits?.openFiles ?? rlimit(spec, 'RLIMIT_NOFILE'),
      fileSize: rlimit(spec, 'RLIMIT_FSIZE'),
    })
    let files: Redirections = []
    let trace: Trace | undefined
    try {
      const step = <T>(operation: () => T) => untilDone(waiting, operation, () => task.settle(), this.#ended)
      await step(() => task.unconfined(() => task.chdir(cwd)))
      const find = () => task.unconfined(() => findExecutable(task, args[0] ?? '', env))
      const executable = joined ? undefined : await step(find)
      const memoryPages = least(memoryPagesOf(spec), this.#cgroups.memoryPages)
      const program =
        executable && (await this.#ended.unlessCancelled(programs.load(executable, stdio.progress, memoryPages)))
      const directories = await step(() => preopensOf(cwd, spec.preopens, () => this.#topLevel()))
      const { strace } = stdio
      const path = strace?.path
      trace = strace
      if (path !== undefined) {
        const open = () => openAt(task, () => task.cwd, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        trace = traceTo(this.#task, await step(() => task.unconfined(open)), strace?.calls)
      }
      const terminals = terminal && (await step(() => task.unconfined(() => terminalsOf(task))))
      files = await openAll(task, redirected, pipes, directories.length, step)
      this.#ended.check()
      this.#cgroups.requireRoom()
      process = new Process(vfs, {
        pid: this.#processes.nextPid(),
        task,
        args,
        terminal,
        terminals,
        screenAhead: inline ? undefined : SCREEN_AHEAD,
        stdio,
        limits: {
          outputBytes: spec.limits?.outputBytes ?? DEFAULT_OUTPUT_BYTES,
          wallTime: spec.limits?.wallTime,
        },
        timer: waiting.timer,
        files,
        trace,
      })
      files = files.map((file, fd) => (fd < 3 ? undefined : file))
      this.#began(process, { env, executable: executable?.file, limits: limitsOf(spec, task) })
      const preopens: Preopen[] = []
      for (const [name, path] of directories) {
        const fd = await step(() => task.unconfined(() => openPreopen(task, path)))
        preopens.push({ fd, name, root: path === '/' })
      }
      process.addFurther(files)
      files = []
      handOverPipes(redirected, pipes)
      process.joined = joined
      process.run(joined ?? runner, program, env, preopens, vfs.clock.monotonic())
    } catch (error) {
      releaseAll(files)
      if (process) process.finish({ exitCode: NOT_RUN })
      else {
        trace?.end?.()
        task.release()
      }
      throw error
    }
    return process
  }

  /** A process is there, for proc and for what counts and limits processes, until it has ended. */
  #began(process: Process, what: Pick<ProcessViewOptions, 'env' | 'executable' | 'limits'>): void {
    const { system } = this.#host
    const view = new ProcessView(process, { ...what, system, namespace: this.#processes })
    this.#processes.enter(view)
    this.#cgroups.began(view)
    process.memoryResized = () => system.cgroups.grown(view)
    const ended = system.began(view)
    process.exited.then(() => {
      this.#processes.leave(view)
      this.#cgroups.ended(view)
      ended()
    })
  }

  /** A working directory that is missing is made, as runc does. Errors: EROFS, ENOTDIR on the way; of what is there, chdir tells. */
  async #requireCwd(cwd: string): Promise<void> {
    try {
      await this.files.mkdir(cwd, 0o755, true)
    } catch (error) {
      if (!(error instanceof ErrnoError && error.code === 'EEXIST')) throw error
    }
  }

  /** Names of the directories at the root, whoever may list them. */
  #topLevel(): string[] {
    const task = this.#task
    const fd = task.openat(AT_FDCWD, '/', O_RDONLY | O_DIRECTORY, 0)
    try {
      const entries = task.getdents(fd, 2, Number.POSITIVE_INFINITY)
      return entries.filter(({ kind }) => kind === 'directory').map(({ name }) => name)
    } finally {
      task.close(fd)
    }
  }

  /** Errors: ESRCH for a process that is not there; as isDeadly. Without a pid all processes get the signal, and none is no fault. */
  kill(signal: number, pid?: number): void {
    const process = pid === undefined ? undefined : this.#process(pid)
    if (!isDeadly(signal)) return
    if (process === undefined) {
      for (const { process } of this.#processes.all()) process.kill(signal)
      if (!this.#init) this.#end()
    } else process.kill(signal)
  }

  /** The sandbox stops. */
  panic(reason: string): void {
    this.#end(reason)
    this.#deleted.cancel(reason)
    for (const { process } of this.#processes.all()) process.kill(SIGKILL, reason)
  }

  /** What one of its processes has asked for. Errors: ESRCH. */
  stats(pid: number): ProcessStats {
    return this.#process(pid).stats
  }

  /** Asks something of a process that is a library. Errors: ESRCH; as Process.request. */
  async request(pid: number, request: LibraryRequest): Promise<unknown> {
    return this.#process(pid).request(request)
  }

  /** The program of a process that joined has ended. Errors: ESRCH; EINVAL for one that did not join, and for no exit code. */
  leave(pid: number, exitCode: number): void {
    const { joined } = this.#process(pid)
    if (!joined) throw new ErrnoError('EINVAL', this.id, `process ${pid} did not join; it ends by itself, or by kill`)
    if (!Number.isInteger(exitCode) || exitCode < 0 || exitCode > 255)
      throw new ErrnoError('EINVAL', this.id, `an exit code is 0 to 255, not ${exitCode}`)
    joined.leave(exitCode)
  }

  #process(pid: number): Process {
    const process = this.#processes.get(pid)?.process
    if (!process) throw new ErrnoError('ESRCH', this.id, `no process ${pid} is running in it`)
    return process
  }

  /** Whether a process runs in it, or may be made to. */
  get isLive(): boolean {
    return this.#status === 'running' && this.#processes.size > 0
  }

  /** Ends what runs, then takes the mounts apart: lazily, so what is still open works until it is closed. */
  async destroy(): Promise<void> {
    const why = 'the container was deleted'
    this.#end(why)
    this.#deleted.cancel(why)
    const ends: Promise<ExitStatus>[] = []
    for (const { process } of this.#processes.all()) {
      process.kill(SIGKILL, why)
      ends.push(process.exited)
    }
    await Promise.all(ends)
    this.#task.release()
    releaseNamespace(this.#namespace)
    this.#cgroups.release()
  }
}

/** The status of what could not be run, as shells have it. */
const NOT_RUN = 126

function windowOf({ consoleSize }: ProcessSpec): WindowSize {
  const { columns, rows } = WINDOW
  // 0 is how specs say that they do not know.
  return { columns: consoleSize?.width || columns, rows: consoleSize?.height || rows }
}

/** What programs look at to know their terminal, which they cannot ask: TERM, COLUMNS and LINES, unless they are given. */
function terminalEnvironment(env: readonly string[], { columns, rows }: WindowSize): string[] {
  const defaults = ['TERM=xterm-256color', `COLUMNS=${columns}`, `LINES=${rows}`]
  const given = new Set(env.map(variableOf))
  return [...env, ...defaults.filter((entry) => !given.has(variableOf(entry)))]
}

const variableOf = (entry: string) => entry.slice(0, entry.indexOf('='))

function layeredRoot(id: string, spec: Spec, { mount: { superblock }, lowers }: Root): LayeredRoot | undefined {
  if (!lowers) return undefined
  return { id, source: spec.root?.path ?? '', overlay: superblock.filesystem as OverlayFilesystem, superblock, lowers }
}

/** The soft limit that a process's spec sets: getrlimit(2). */
const rlimit = (spec: ProcessSpec, name: string) => spec.rlimits?.find(({ type }) => type === name)?.soft

/** What /proc/PID/limits tells: what the spec says, and what holds without it. */
function limitsOf({ rlimits = [], limits }: ProcessSpec, task: Task): Record<string, Limit> {
  const { limit } = task.descriptors
  const found: Record<string, Limit> = { NOFILE: [limit, limit] }
  for (const { type, soft, hard } of rlimits) found[type.slice('RLIMIT_'.length)] = [soft, hard]
  if (limits?.openFiles !== undefined) found.NOFILE = [limit, limit]
  if (limits?.memoryPages !== undefined) found.AS = [limits.memoryPages * 65_536, limits.memoryPages * 65_536]
  return found
}

/** RLIMIT_AS counts bytes of address space, of which a guest has its memory. More than 32 bits of it is no limit. */
function memoryPagesOf(spec: ProcessSpec): number | undefined {
  const pages = spec.limits?.memoryPages ?? Math.floor((rlimit(spec, 'RLIMIT_AS') ?? Number.POSITIVE_INFINITY) / 65_536)
  return pages < 65_536 ? pages : undefined
}

const least = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

/**
 * A directory that its user may not read is opened as a place only: what is refused then is what the guest does there, as
 * on Linux, and not the guest.
 */
function openPreopen(task: Task, path: string): number {
  try {
    return task.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0)
  } catch (error) {
    if (!(error instanceof ErrnoError && error.code === 'EACCES')) throw error
    return task.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0)
  }
}

/**
 * The directories that a guest gets as preopens, as [guest's name, path], and why these.
 *
 * Preview1 has no working directory: libc resolves a relative name against the preopen with the longest name that is a
 * prefix, `.` and `/` being equally short, the later one winning. So with the working directory `/` the one preopen is `/`.
 * Elsewhere `.` comes behind `/`, and every directory of the root is a preopen by name, so that absolute paths into them
 * still find them.
 */
function preopensOf(
  cwd: string,
  given: Readonly<Record<string, string>> | undefined,
  topLevel: () => readonly string[],
): readonly (readonly [name: string, path: string])[] {
  if (given) return Object.entries(given)
  if (cwd === '/') return [['/', '/']]
  return [['/', '/'], ['.', cwd], ...topLevel().map((name) => [`/${name}`, `/${name}`] as const)]
}
