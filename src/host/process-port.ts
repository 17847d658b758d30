/**
 * The kernel's end of a process's MessagePort: its output on the way to the page, and what the page feeds it.
 *
 * Always true: output leaves in the order in which it was written, over both streams, and before `exit`; no more than BATCH
 * bytes wait here. Small writes are put together until the turn ends. A program may hold the kernel's thread until it ends,
 * and what it says is to be seen while it works: so lines leave at once as long as they are few, and so does what is old.
 */

import type {
  Connection,
  ExitStatus,
  LaunchOptions,
  ProcessStats,
  Progress,
  Stdin,
  StdioEntry,
  StdioInput,
  StdioOutput,
} from '../abi/wire.ts'
import type { PseudoTerminal } from '../devices/pseudo-terminal.ts'
import type { ProcessStdio } from '../kernel/process.ts'

/** A process that was started. */
export interface RunningProcess {
  readonly pid: number
  readonly exited: Promise<ExitStatus>
  readonly terminal?: Pick<PseudoTerminal, 'window' | 'attributes' | 'hangUp' | 'seen'> | undefined
  readonly stats?: ProcessStats
  readonly warnings: readonly string[]
  readonly joined?: { readonly connection: Connection | undefined } | undefined
  feed(bytes: Uint8Array): void
  endInput(): void
}

type Stream = 'stdout' | 'stderr'

/** Bytes that are put together at most. */
const BATCH = 1 << 18
const FIRST_BUFFER = 1 << 12
/** So many lines may leave at once in each window, milliseconds long; what has waited for longer leaves with the next write. */
const BURST = 16
const WINDOW = 20
const NEWLINE = 10

export class ProcessPort implements ProcessStdio {
  readonly stdin: Stdin
  readonly redirected: readonly (StdioEntry | undefined)[] | undefined
  readonly strace: ProcessStdio['strace']
  readonly #port: MessagePort
  readonly #now: () => number
  #stream: Stream = 'stdout'
  #buffer = new Uint8Array()
  #filled = 0
  #windowStart = Number.NEGATIVE_INFINITY
  #lines = 0
  /** When the oldest byte that waits was written. */
  #since = 0
  #flushing = false
  #trace: string[] = []
  /** When the oldest line of the trace that waits was told. */
  #toldSince = 0

  /** `now` counts milliseconds. */
  constructor(port: MessagePort, { stdin, stdio, strace }: LaunchOptions, now = () => performance.now()) {
    this.#port = port
    this.stdin = stdin
    this.redirected = stdio
    this.strace = strace && { ...strace, line: (line) => this.#tell(line) }
    this.#now = now
  }

  // Properties, because they are passed on as functions.
  readonly stdout = (bytes: Uint8Array): void => this.#write('stdout', bytes)
  readonly stderr = (bytes: Uint8Array): void => this.#write('stderr', bytes)
  readonly progress = (progress: Progress): void => this.#post({ progress })

  /** Feeds the process what the page sends, and tells the page when it ends. */
  attach(process: RunningProcess): void {
    this.#port.onmessage = ({ data }: MessageEvent<StdioInput>) => {
      const { terminal } = process
      if ('stdin' in data) process.feed(data.stdin)
      else if ('stdinEnd' in data) process.endInput()
      else if (!terminal) return
      else if ('window' in data) terminal.window = data.window
      else if ('attributes' in data) terminal.attributes = { ...terminal.attributes, ...data.attributes }
      else if ('seen' in data) terminal.seen(data.seen)
      else terminal.hangUp()
    }
    process.exited.then(
      (exit) => this.#end(exit, process.stats),
      (fault) => this.#end({ exitCode: 134, signal: 'SIGABRT', reason: String(fault), wallTime: 0, syscalls: 0 }),
    )
  }

  close(): void {
    this.#port.close()
  }

  /** The page closes the port when it has read this. */
  #end(exit: ExitStatus, stats?: ProcessStats): void {
    this.#flush()
    this.#flushTrace()
    this.#post({ exit, ...(stats && { stats }) })
    this.#port.onmessage = null
  }

  /** Lines of a trace go together, soon, as far as the thread gets to it. */
  #tell(line: string): void {
    const now = this.#now()
    if (this.#trace.length === 0) {
      this.#toldSince = now
      queueMicrotask(() => this.#flushTrace())
    }
    this.#trace.push(line)
    if (now - this.#toldSince > WINDOW) this.#flushTrace()
  }

  #flushTrace(): void {
    if (this.#trace.length > 0) this.#post({ strace: this.#trace })
    this.#trace = []
  }

  #write(stream: Stream, bytes: Uint8Array): void {
    if (stream !== this.#stream || this.#filled + bytes.length > BATCH) this.#flush()
    this.#stream = stream
    if (bytes.length > BATCH) this.#send(new Uint8Array(bytes))
    else {
      this.#reserve(this.#filled + bytes.length)
      this.#buffer.set(bytes, this.#filled)
      const now = this.#now()
      if (this.#filled === 0) this.#since = now
      this.#filled += bytes.length
      if (now - this.#since > WINDOW || (bytes.at(-1) === NEWLINE && this.#mayLeave(now))) this.#flush()
      else this.#flushSoon()
    }
  }

  #mayLeave(now: number): boolean {
    if (now - this.#windowStart > WINDOW) {
      this.#windowStart = now
      this.#lines = 0
    }
    return this.#lines++ < BURST
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#filled === 0) return
    const bytes = this.#buffer.slice(0, this.#filled)
    this.#filled = 0
    this.#send(bytes)
  }

  #reserve(size: number): void {
    if (size <= this.#buffer.length) return
    const larger = new Uint8Array(Math.max(size, Math.min(BATCH, this.#buffer.length * 2), FIRST_BUFFER))
    larger.set(this.#buffer.subarray(0, this.#filled))
    this.#buffer = larger
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#post(this.#stream === 'stdout' ? { stdout: bytes } : { stderr: bytes }, [bytes.buffer])
  }

  #post(message: StdioOutput, transfers: Transferable[] = []): void {
    this.#port.postMessage(message, transfers)
  }
}
