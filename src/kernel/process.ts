/**
 * A process: a guest program, its task, and its end.
 *
 * Invariants: `exited` resolves once and never rejects. When it has, the task's descriptors are closed and nothing that
 * the guest still does has an effect.
 */

import { Counters } from '../abi/counters.ts'
import { O_RDONLY, O_RDWR, O_WRONLY, SIGABRT, SIGKILL, SIGXFSZ } from '../abi/linux.ts'
import type { Clock, Timer } from '../abi/platform.ts'
import type { WindowSize } from '../abi/terminal.ts'
import type { Connection, ExitStatus, LibraryRequest, ProcessStats, Progress, Stdin, StdioEntry } from '../abi/wire.ts'
import { PseudoTerminal } from '../devices/pseudo-terminal.ts'
import { PTS_MAJOR } from '../devices/terminal-devices.ts'
import { openNamed } from '../fs/devpts/devpts.ts'
import type { FileDescription } from '../vfs/description.ts'
import type { Stream } from '../vfs/inode.ts'
import { makeDevice } from '../vfs/kinds.ts'
import type { VirtualDentry } from '../vfs/mount.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { WaitQueue } from '../vfs/waiting.ts'
import type { Redirections } from './redirections.ts'
import { Requests } from './requests.ts'
import { signalName, signalNumber } from './signals.ts'
import { HostInput, HostOutput } from './stdio.ts'
import type { Task } from './task.ts'
import { Waits } from './waits.ts'

/** The page's end of a process's streams. Byte arrays are views that are valid only during the call. */
export interface ProcessStdio {
  readonly stdin: Stdin
  /** What its descriptors are, where they are no streams of the page's. */
  readonly redirected?: readonly (StdioEntry | undefined)[] | undefined
  stdout(bytes: Uint8Array): void
  stderr(bytes: Uint8Array): void
  progress(progress: Progress): void
  /** The page's wish to know what the process does: `line` hears of it, or a file of the container that `path` names. */
  readonly strace?: (Trace & { readonly path?: string | undefined }) | undefined
}

/** A directory that a guest may start paths from: the name it knows it by, and its descriptor. */
export interface Preopen {
  readonly fd: number
  readonly name: string
  readonly root?: boolean
}

/** What ended a guest's program, as its runner saw it. */
export type GuestEnd =
  | { readonly exitCode: number; readonly signal?: number; readonly calls?: number }
  | { readonly trap: string; readonly stack: string; readonly calls?: number }

/** All that a runner needs to run a program as a process. */
export interface GuestProcess {
  readonly task: Task
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly preopens: readonly Preopen[]
  /** Set once the process is to end, at the latest at the deadline; the runner looks before each call of the guest. */
  readonly kill: { readonly signal: number | undefined; readonly deadline: bigint | undefined }
  /** Woken when `kill` is set: ends every wait. */
  readonly killed: WaitQueue
  /** Where its calls are counted. */
  readonly counters: Counters
  /** Who runs it says here when it waits. */
  readonly waits: Waits
  /** What the page asks of it, if it is a library. */
  readonly requests: Requests
  /** Hears of its calls, if they are traced, and of which. */
  readonly trace?: Trace | undefined
}

/** Who wants to know what a process does. */
export interface Trace {
  line(line: string): void
  /** Only these calls, by their names. */
  readonly calls?: readonly string[] | undefined
  /** No more lines come. */
  end?(): void
}

/** Runs programs: the part of a kernel that knows WebAssembly. */
export interface GuestRunner {
  /** The names of a guest's calls, by the numbers under which they are counted. */
  readonly functions: readonly string[]
  /**
   * Compiles a program, whose memory can't grow beyond `memoryPages` pages of 64 KiB if that is given.
   * Errors: an Error whose message says what is wrong with the file at `path` and what to do.
   */
  compile(bytes: Uint8Array<ArrayBuffer>, path: string, memoryPages?: number): Promise<unknown>
  /** Runs it to its end. Errors: an Error that says why the program cannot be run at all, before it has run. */
  run(program: unknown, process: GuestProcess): Promise<GuestEnd>
  /** For a process whose program the page runs. Left out where threads can't share memory. */
  join?(): JoinedProgram
}

/** A program that the page runs in a thread of its own. */
export interface JoinedProgram extends Pick<GuestRunner, 'functions' | 'run'> {
  /** For its thread; there once `run` was called. */
  readonly connection: Connection | undefined
  /** It has ended by itself. */
  leave(exitCode: number): void
}

export interface ProcessLimits {
  /** Bytes to standard output and error together, as far as the page gets them; past it the process is ended. */
  readonly outputBytes: number
  /** Milliseconds from the start of the program on, after which the process is ended. */
  readonly wallTime?: number | undefined
}

export const DEFAULT_OUTPUT_BYTES = 1 << 30

export class Process {
  readonly pid: number
  readonly task: Task
  readonly args: readonly string[]
  readonly exited: Promise<ExitStatus>
  /** The terminal that its standard streams are, if they are one. */
  readonly terminal: PseudoTerminal | undefined
  readonly waits: Waits
  /** What of its description is ignored, where that is not told with its container's spec. */
  warnings: readonly string[] = []
  /** Its program, if the page runs it. */
  joined: JoinedProgram | undefined
  /** Its memory has another size. */
  memoryResized: () => void = () => {}
  readonly #input = new HostInput()
  readonly #kill = new KillSwitch()
  readonly #killed = new WaitQueue()
  #reason: string | undefined
  #end!: (status: ExitStatus) => void
  #ended = false
  #startedAt: bigint
  #endedAt: bigint | undefined
  readonly #limits: ProcessLimits
  readonly #timer: Timer
  readonly #counters = new Counters()
  readonly #requests = new Requests()
  readonly #trace: Trace | undefined
  #functions: readonly string[] = []

  constructor(
    vfs: Vfs,
    options: {
      pid: number
      task: Task
      args: readonly string[]
      /** Its standard streams are a terminal of this size. */
      terminal?: WindowSize | undefined
      /** A directory of terminals, which it gets a name in: /dev/pts. */
      terminals?: VirtualDentry | undefined
      /** Bytes that the terminal's screen may be behind; left out, any number. */
      screenAhead?: number | undefined
      stdio: ProcessStdio
      limits: ProcessLimits
      timer: Timer
      /** Those of descriptors 0 to 2 become the process's. */
      files?: Redirections
      trace?: Trace | undefined
    },
  ) {
    const { pid, task, args, terminal, terminals, stdio, limits, timer, files = [] } = options
    this.#limits = limits
    this.#timer = timer
    this.#trace = options.trace
    this.pid = pid
    this.task = task
    task.descriptors.pid = pid
    this.args = args
    this.#startedAt = vfs.clock.monotonic()
    this.waits = new Waits(vfs.clock)
    this.exited = new Promise((resolve) => {
      this.#end = resolve
    })
    task.fileSizeExceeded = () =>
      this.kill(SIGXFSZ, `it made a file longer than ${task.fileSizeLimit} bytes (RLIMIT_FSIZE)`)
    this.#counters.resized = () => this.memoryResized()
    let room = limits.outputBytes
    const sink = (to: (bytes: Uint8Array) => void) => (bytes: Uint8Array) => {
      if (this.#ended || this.#kill.signal !== undefined) return
      to(bytes.length > room ? bytes.subarray(0, room) : bytes)
      room -= bytes.length
      if (room < 0)
        this.kill(SIGXFSZ, `it wrote more than ${limits.outputBytes} bytes of output (process.limits.outputBytes)`)
    }
    const tty = terminal && new PseudoTerminal({ shown: sink(stdio.stdout) }, vfs.clock, terminal, options.screenAhead)
    this.terminal = tty
    if (task.session) tty?.control(task.session)
    const now = vfs.clock.coarse()
    const { anonymousFiles } = vfs
    /** The page's streams are not closed by who opens them, so that one more may. They are the process's user's. */
    const again = (stream: Stream, flags: number, name: string) => {
      const file = anonymousFiles.open(stream, 'fifo', flags, name, now, 0, () => stream)
      const { uid, gid } = task.credentials
      file.inode.setAttributes({ uid, gid }, task.attempt)
      return file
    }
    const output = (to: (bytes: Uint8Array) => void, name: string) => again(new HostOutput(sink(to)), O_WRONLY, name)
    const openTerminal = (tty: PseudoTerminal) =>
      terminals
        ? openNamed(terminals, tty, task.credentials, now)
        : anonymousFiles.open(tty.open(), 'char', O_RDWR, 'tty', now, makeDevice(PTS_MAJOR, 0))
    const streams = tty
      ? shared(3, () => openTerminal(tty))
      : [
          () => again(this.#input, O_RDONLY, 'stdin'),
          () => output(stdio.stdout, 'stdout'),
          () => output(stdio.stderr, 'stderr'),
        ]
    for (const [fd, open] of streams.entries()) {
      const file = files[fd] ?? open()
      task.descriptors.add(typeof file === 'number' ? this.#again(file) : file)
    }
    this.feed(stdio.stdin.initial)
    if (!stdio.stdin.more) this.endInput()
  }

  /** A signal of the terminal's: those that end a program do; there is no other that a WASI program could hear. */
  hear(signal: string): void {
    if (signal === 'SIGINT' || signal === 'SIGQUIT' || signal === 'SIGHUP') this.kill(signalNumber(signal))
  }

  /** The file of a descriptor, for one more. */
  #again(fd: number): FileDescription {
    return this.task.descriptors.get(fd).again()
  }

  /** Its descriptors behind the preopened ones. Preconditions: openAll has found their numbers good. */
  addFurther(files: Redirections): void {
    for (const [fd, file] of files.entries()) {
      if (fd < 3 || file === undefined) continue
      this.task.descriptors.addAt(fd, typeof file === 'number' ? this.#again(file) : file)
    }
  }

  /** What the page sends, or what is typed. The bytes are the process's from now on. */
  feed(bytes: Uint8Array): void {
    if (this.terminal) this.terminal.type(bytes)
    else this.#input.feed(bytes)
  }

  endInput(): void {
    if (this.terminal) this.terminal.endInput()
    else this.#input.end()
  }

  /** Ends the process with a signal: at its next system call, or where it waits. The first kill counts. */
  kill(signal: number, reason?: string): void {
    if (this.#ended || this.#kill.signal !== undefined) return
    this.#kill.signal = signal
    this.#reason = reason
    this.#killed.wake()
    this.#requests.close(reason ?? `it was ended by ${signalName(signal)}`)
  }

  /** It has ended, or is about to. */
  get ending(): boolean {
    return this.#ended || this.#kill.signal !== undefined
  }

  /** Asks something of a library. Errors: ENOENT, EINVAL, EFAULT; ESRCH if it ends meanwhile, or was none. */
  request(request: LibraryRequest): Promise<unknown> {
    return this.#requests.ask(request)
  }

  /** Runs the program to its end. Never rejects. */
  async run(
    runner: Pick<GuestRunner, 'functions' | 'run'>,
    program: unknown,
    env: readonly string[],
    preopens: readonly Preopen[],
    now: bigint,
  ) {
    this.#startedAt = now
    const { task, args } = this
    const callOff = this.#limitTime()
    let end: GuestEnd
    try {
      this.#functions = runner.functions
      end = await runner.run(program, {
        ...{ task, args, env, preopens, kill: this.#kill, killed: this.#killed },
        ...{ counters: this.#counters, waits: this.waits, trace: this.#trace, requests: this.#requests },
      })
    } catch (error) {
      // 126: "found but cannot be run", as shells say.
      this.finish({ exitCode: 126, reason: error instanceof Error ? error.message : String(error) })
      return
    } finally {
      callOff()
    }
    this.finish(this.#statusOf(end))
  }

  /** Ends the process at its deadline: by a timer or, where the guest lets no timer run, at its next call. */
  #limitTime(): () => void {
    const { wallTime } = this.#limits
    if (wallTime === undefined) return () => {}
    const deadline = this.#startedAt + BigInt(Math.ceil(wallTime * 1e6))
    const expire = () => this.kill(SIGKILL, `it ran for longer than ${wallTime} ms (process.limits.wallTime)`)
    this.#kill.expireAt(deadline, this.task.clock, expire)
    return this.#timer.at(deadline, expire)
  }

  #statusOf(end: GuestEnd): Omit<ExitStatus, 'wallTime' | 'syscalls'> & { calls?: number | undefined } {
    const { calls } = end
    const signal = this.#kill.signal
    if (signal !== undefined) {
      return { ...signalled(signal), calls, ...(this.#reason !== undefined && { reason: this.#reason }) }
    }
    if ('trap' in end) return { ...signalled(SIGABRT), calls, reason: end.trap, ...(end.stack && { stack: end.stack }) }
    if (end.signal !== undefined) return { ...signalled(end.signal), calls }
    return { exitCode: end.exitCode, calls }
  }

  /** What it has asked for so far, or had when it ended. */
  get stats(): ProcessStats {
    const { calls, bytesRead, bytesWritten, kernelTime } = this.#counters
    const made = this.#functions.map((name, n) => [name, calls[n]!] as const).filter(([, count]) => count > 0)
    return { calls: Object.fromEntries(made), bytesRead, bytesWritten, kernelTime }
  }

  /** On the monotonic clock. */
  get startedAt(): bigint {
    return this.#startedAt
  }

  /** Bytes of memory that it has, as of its last call. */
  get memory(): number {
    return this.#counters.memory
  }

  /** Milliseconds in which it neither waited nor was in a call. */
  get userTime(): number {
    const now = this.#endedAt ?? this.task.clock.monotonic()
    return Math.max(0, Number(now - this.#startedAt) / 1e6 - this.waits.total - this.#counters.kernelTime)
  }

  /** Ends the process without having run, or after it ran. */
  finish({ calls = 0, ...status }: Omit<ExitStatus, 'wallTime' | 'syscalls'> & { calls?: number | undefined }): void {
    if (this.#ended) return
    this.#ended = true
    this.#trace?.line(
      status.signal === undefined ? `+++ exited with ${status.exitCode} +++` : `+++ killed by ${status.signal} +++`,
    )
    this.#trace?.end?.()
    this.#requests.close(`the process has ended: ${status.reason ?? status.signal ?? `exit code ${status.exitCode}`}`)
    this.waits.end()
    this.#endedAt = this.task.clock.monotonic()
    const wallTime = Number(this.#endedAt - this.#startedAt) / 1e6
    this.task.release()
    this.terminal?.hangUp()
    this.#end({ ...status, wallTime, syscalls: calls })
  }
}

/** Whether a process is to end, and by which signal. Looking at it after its deadline ends the process. */
class KillSwitch {
  #signal: number | undefined
  #expiry: { readonly deadline: bigint; readonly clock: Clock; readonly expire: () => void } | undefined

  expireAt(deadline: bigint, clock: Clock, expire: () => void): void {
    this.#expiry = { deadline, clock, expire }
  }

  get deadline(): bigint | undefined {
    return this.#expiry?.deadline
  }

  get signal(): number | undefined {
    const expiry = this.#expiry
    if (expiry !== undefined && expiry.clock.monotonic() >= expiry.deadline) {
      this.#expiry = undefined
      expiry.expire()
    }
    return this.#signal
  }

  set signal(signal: number) {
    this.#expiry = undefined
    this.#signal = signal
  }
}

/** One open file, made when it is first wanted, for as many descriptors as want it. */
function shared(descriptors: number, open: () => FileDescription): (() => FileDescription)[] {
  let file: FileDescription | undefined
  const take = () => {
    file = file ? file.again() : open()
    return file
  }
  return Array.from({ length: descriptors }, () => take)
}

const signalled = (signal: number) => ({ exitCode: 128 + signal, signal: signalName(signal) })
