/**
 * A process and its standard streams. Each process has a MessagePort of its own, so that its output does not queue
 * behind other calls.
 *
 * Always true: output that arrived is kept until it is read, however slow the reader; both output streams end before
 * `wait()` resolves; if the kernel dies, they fail and `wait()` rejects.
 */

import { transfer } from 'comlink'
import type {
  Connection,
  ExitStatus,
  LaunchOptions,
  LibraryRequest,
  ProcessStats,
  Progress,
  StartedProcess,
  Stdin,
  StdioInput,
  StdioOutput,
} from '../abi/wire.ts'
import { integerOf, pathOf } from './arguments.ts'
import { bytesOf, collected } from './bytes.ts'
import { type SandboxError, wrongType, wrongValue } from './errors.ts'
import type { Kernel } from './kernel.ts'
import { type StdioOption, stdioEntries } from './stdio.ts'
import { Terminal } from './terminal.ts'

export interface RunOptions {
  /**
   * What the process reads. Left out: on platform `inline` nothing, it finds the end at once; on the others what is
   * written to `process.stdin`, until that is closed. On `inline` a stream is collected before the process starts; on the others
   * one that fails is at its end, and it is cancelled when the process has ended.
   */
  stdin?: string | Uint8Array | Blob | ReadableStream<Uint8Array | string>
  /**
   * What its descriptors are, by their numbers: those of stdin, stdout and stderr that are left out, null or undefined are the
   * page's streams. Numbers from 3 on must lie behind its preopened directories.
   */
  stdio?: readonly StdioOption[]
  /**
   * Tells each of its calls, in the form of strace(1): on `process.strace` or, with a `path`, in a file of the container, which
   * starts from the process's working directory. `calls` are the names of those that are told; all if left out.
   */
  strace?: boolean | { path?: string; calls?: readonly string[] }
  /** Hears how far fetching and compiling the program have come. */
  onProgress?: (progress: Progress) => void
}

export class Process {
  /** Its number in the sandbox. */
  readonly pid: number
  /** What of `exec`'s description is ignored here, and why: a field that there is not, or one without effect. */
  readonly warnings: readonly string[]
  /**
   * What the process reads; text goes as UTF-8. Closing it is the end of its input. Writing fails with EPIPE where the
   * input was given whole or is none of the page's, and after the process has ended.
   */
  readonly stdin: WritableStream<Uint8Array | string>
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>
  /** Of a process with `terminal: true`: what stdin, stdout and stderr are, all three. */
  readonly terminal: Terminal | undefined
  /** Its calls, a line each, if they are traced; ends with the process. */
  readonly strace: ReadableStream<string>
  readonly #exit: Promise<ExitStatus>
  readonly #stdio: Stdio
  readonly #calls: ProcessCalls

  /** @internal */
  constructor({ pid, terminal, warnings }: StartedProcess, stdio: Stdio, calls: ProcessCalls) {
    this.pid = pid
    this.warnings = warnings
    this.strace = stdio.strace
    this.#stdio = stdio
    this.stdin = stdio.stdin
    this.stdout = stdio.stdout
    this.stderr = stdio.stderr
    stdio.isTerminal = terminal === true
    this.terminal = terminal ? new Terminal(stdio.stdout, stdio.stdin, stdio.tell) : undefined
    this.#exit = stdio.exit
    this.#calls = calls
  }

  /** How it ended; whether anybody reads its output or not. Rejects with ERR_KERNEL_GONE if the kernel dies first. */
  wait(): Promise<ExitStatus> {
    return this.#exit
  }

  /**
   * kill(2). `signal` is a name (`SIGTERM`) or a number, 0 to ask whether the process is there. Those that end no process by
   * default do nothing. Errors: ESRCH, EINVAL; EOPNOTSUPP for those that would stop it.
   */
  kill(signal: string | number = 'SIGTERM'): Promise<void> {
    return this.#calls.kill(signal)
  }

  /**
   * Calls an export of a library, once it is initialized and has done what was asked before; gives its result, several as an
   * array. i64 are bigints. Rejects with ENOENT for what is no function that it exports, EINVAL for arguments that do not fit,
   * ESRCH if the process ends meanwhile: by a trap, an exit, a signal, or because it is a command, which takes no calls.
   */
  async call(name: string, ...args: (number | bigint)[]): Promise<number | bigint | (number | bigint)[] | undefined> {
    if (typeof name !== 'string') throw wrongType('name', 'of type string', name)
    for (const [i, arg] of args.entries())
      if (!['number', 'bigint'].includes(typeof arg)) throw wrongType(`args[${i}]`, 'of type number or bigint', arg)
    return this.#calls.request({ call: name, args }) as ReturnType<Process['call']>
  }

  /** A copy of bytes of a library's memory. Rejects with EFAULT outside of it, and with ESRCH as `call`. */
  async readMemory(address: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const place = { at: integerOf(address, 'address'), length: integerOf(length, 'length') }
    return this.#calls.request(place) as ReturnType<Process['readMemory']>
  }

  /** Writes to a library's memory; text as UTF-8, without a NUL behind it. Rejects as `readMemory`. */
  async writeMemory(address: number, data: string | Uint8Array): Promise<void> {
    await this.#calls.request({ at: integerOf(address, 'address'), bytes: bytesOf(data, 'data') })
  }

  /** What it has asked of the kernel so far: calls by name, bytes, time. Once it has ended, in all. */
  async stats(): Promise<ProcessStats> {
    try {
      return this.#stdio.stats ?? (await this.#calls.stats())
    } catch (error) {
      // It ended meanwhile.
      if ((error as SandboxError).code !== 'ESRCH' && (error as SandboxError).code !== 'ENOENT') throw error
      await this.#exit
      return this.#stdio.stats!
    }
  }

  /** All of its stdout as text. */
  async text(): Promise<string> {
    // Not by a Response, which hides what the stream failed with.
    return new TextDecoder().decode(await collected(this.stdout, 'stdout'))
  }
}

export type JoinOptions = Omit<RunOptions, 'strace' | 'onProgress'>

/** A process whose program the page runs, in a Worker of its own. */
export class JoinedProcess extends Process {
  /** For that Worker: to be posted to it, and given to `asShimFds`. */
  readonly connection: Connection
  readonly #leave: ProcessCalls['leave']

  /** @internal */
  constructor(started: StartedProcess, stdio: Stdio, calls: ProcessCalls) {
    super(started, stdio, calls)
    this.connection = started.connection!
    this.#leave = calls.leave
  }

  /**
   * Its program has ended, with an exit code from 0 to 255: its descriptors are closed, and `wait` resolves. Calls that its
   * Worker still makes do nothing and do not return, as after `kill`: terminate it. Errors: EINVAL; ESRCH if it has ended.
   */
  leave(exitCode = 0): Promise<void> {
    return this.#leave(exitCode)
  }
}

/** What is asked of the kernel about one process. */
export interface ProcessCalls {
  leave(exitCode: number): Promise<void>
  kill(signal: string | number): Promise<void>
  stats(): Promise<ProcessStats>
  request(request: LibraryRequest): Promise<unknown>
}

/** The page's end of a process's port. */
export class Stdio {
  readonly stdin: WritableStream<Uint8Array | string>
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly strace: ReadableStream<string>
  readonly exit: Promise<ExitStatus>
  /** stdout is a terminal's, which is told how much of it was read. */
  isTerminal = false
  /** Once it has ended. */
  stats: ProcessStats | undefined
  /** The kernel's end. */
  readonly remote: MessagePort
  /** Says something to the terminal, of a process that has not ended. */
  readonly tell: (message: StdioInput) => void
  /** Aborted when nothing more is read. */
  readonly #over = new AbortController()
  /** Lets go of the port, of a process that never was. */
  readonly close: () => void

  constructor(kernel: Kernel, more: boolean, onProgress: RunOptions['onProgress']) {
    const { port1: port, port2 } = new MessageChannel()
    this.remote = port2
    const [stdout, stderr, strace] = [
      output<Uint8Array<ArrayBuffer>>((seen) => this.isTerminal && this.tell({ seen })),
      output<Uint8Array<ArrayBuffer>>(),
      output<string>(),
    ]
    this.strace = strace.stream
    this.stdout = stdout.stream
    this.stderr = stderr.stream
    let resolve: (status: ExitStatus) => void
    let reject: (error: SandboxError) => void
    this.exit = new Promise((...settle) => {
      ;[resolve, reject] = settle
    })
    this.exit.catch(() => {}) // nobody need wait
    let input = more

    let forget = () => {}
    this.close = () => {
      input = false
      forget()
      port.close()
      this.#over.abort(brokenPipe())
    }
    forget = kernel.onEnd((error) => {
      this.close()
      stdout.fail(error)
      stderr.fail(error)
      strace.fail(error)
      reject(error)
    })
    port.onmessage = ({ data }: MessageEvent<StdioOutput>) => {
      if ('stdout' in data) stdout.push(data.stdout as Uint8Array<ArrayBuffer>)
      else if ('stderr' in data) stderr.push(data.stderr as Uint8Array<ArrayBuffer>)
      else if ('strace' in data) for (const line of data.strace) strace.push(line)
      else if ('progress' in data) onProgress?.(data.progress)
      else {
        this.close()
        stdout.end()
        stderr.end()
        strace.end()
        this.stats = data.stats
        resolve(data.exit)
      }
    }

    // A port that was closed takes messages and forgets them.
    this.tell = (message) => port.postMessage(message)
    const end = () => {
      if (input) port.postMessage({ stdinEnd: true } satisfies StdioInput)
      input = false
    }
    this.stdin = new WritableStream({
      write(chunk) {
        try {
          const bytes = bytesOf(chunk, 'chunk')
          if (!input) throw brokenPipe()
          port.postMessage({ stdin: bytes } satisfies StdioInput, [bytes.buffer])
        } catch (error) {
          // The stream takes no more, and does not say so to its sink.
          end()
          throw error
        }
      },
      close: end,
      abort: end,
    })
  }

  /** Gives the process what a stream has, until one of them ends. */
  async feed(source: ReadableStream<Uint8Array | string>): Promise<void> {
    try {
      await source.pipeTo(this.stdin, { signal: this.#over.signal })
    } catch {
      // A process that ends before it has read everything is no fault of the stream; what the stream failed with, its maker knows.
      await this.stdin.abort().catch(() => {})
    }
  }
}

const brokenPipe = () =>
  Object.assign(new Error('EPIPE: broken pipe, write'), { code: 'EPIPE', errno: -32, syscall: 'write' })

/** What a process starts with; of a stream that is still to be piped into it, only that there is more. */
export async function launchOptions(
  { stdin, stdio, strace }: RunOptions,
  kernel: Kernel,
  inline: boolean,
): Promise<LaunchOptions> {
  const entries = stdioEntries(stdio, kernel)
  const more = { stdio: entries, strace: straceWish(strace) }
  if (entries[0] === undefined) return { stdin: await initialInput(stdin, inline), ...more }
  if (stdin !== undefined) throw wrongValue('options.stdin', 'excludes options.stdio[0]', stdin)
  return { stdin: { initial: new Uint8Array(), more: false }, ...more }
}

function straceWish(strace: RunOptions['strace']): LaunchOptions['strace'] {
  if (strace === undefined || strace === null || strace === false) return undefined
  if (strace === true) return {}
  if (typeof strace !== 'object') throw wrongType('options.strace', 'of type boolean or an object', strace)
  const { path, calls } = strace
  if (path !== undefined) pathOf(path, 'options.strace.path')
  if (calls !== undefined && !(Array.isArray(calls) && calls.every((name) => typeof name === 'string')))
    throw wrongType('options.strace.calls', 'an Array of names', calls)
  return { path, calls }
}

async function initialInput(stdin: RunOptions['stdin'], inline: boolean): Promise<Stdin> {
  if (stdin instanceof ReadableStream && stdin.locked)
    throw wrongValue('options.stdin', 'is a stream that somebody reads already', stdin)
  const more = !inline && (stdin === undefined || stdin instanceof ReadableStream)
  const none = more || stdin === undefined
  return { initial: none ? new Uint8Array() : await collected(stdin, 'options.stdin'), more }
}

/** Bytes that wait here for a reader before what he has read is told no more. */
const READ_AHEAD = 1 << 16

/** `onRead` hears how much was read of it, in all, or thrown away. */
function output<Chunk extends { readonly length: number }>(onRead: (total: number) => void = () => {}) {
  let controller: ReadableStreamDefaultController<Chunk> | undefined
  let received = 0
  let told = 0
  const tell = () => {
    const total = received - READ_AHEAD + (controller?.desiredSize ?? READ_AHEAD)
    if (total <= told) return
    told = total
    onRead(total)
  }
  const stream = new ReadableStream<Chunk>(
    {
      start(given) {
        controller = given
      },
      pull: tell,
      cancel() {
        controller = undefined
        tell()
      },
    },
    { highWaterMark: READ_AHEAD, size: ({ length }) => length },
  )
  return {
    stream,
    push(chunk: Chunk) {
      received += chunk.length
      if (controller) controller.enqueue(chunk)
      else tell()
    },
    end: () => controller?.close(),
    fail: (error: SandboxError) => controller?.error(error),
  }
}

/** Marks the port to be moved to the kernel. */
export const moved = (port: MessagePort): MessagePort => transfer(port, [port])
