/**
 * A pseudo-terminal (pty(7)): at its slave's end programs find a terminal, at its master's end is who has the screen and the
 * keyboard.
 *
 * Invariants: what is typed is taken in order; what has no room waits in `#typed` and is taken as programs read. A program's
 * writes wait while the screen is `ahead` bytes behind or more; an echo is lost while it is twice as far behind. Once it was hung
 * up, reads find the end of input and writes EIO, for ever. While `#session` is set, it is that session's `terminal`.
 */

import { ErrnoError } from '../abi/errno.ts'
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import type { Clock } from '../abi/platform.ts'
import { type TerminalAttributes, WINDOW, type WindowSize } from '../abi/terminal.ts'
import type { Session, SessionTerminal } from '../vfs/context.ts'
import type { Stream } from '../vfs/inode.ts'
import { type Attempt, WaitQueue, WouldBlock } from '../vfs/waiting.ts'
import { LineDiscipline } from './line-discipline.ts'

/** Who has the screen and the keyboard. */
export interface Master {
  /** Something is for the screen: a view that is valid only during the call. */
  shown(bytes: Uint8Array): void
  /** No program has it open any more. */
  closed?(): void
  /** Whose process serves it. */
  readonly session?: Session | undefined
}

/** The name of a terminal in a directory of terminals. */
export interface TerminalEntry {
  /** It was hung up: it cannot be opened any more. */
  hungUp(): void
  /** Nor has anybody it open. */
  gone(): void
}

const TENTH = 100_000_000n

/** What a read without lines has seen over its restarts. */
interface TimedRead {
  available: number
  deadline: bigint | undefined
}

export class PseudoTerminal implements Stream, SessionTerminal {
  readonly isTerminal = true
  readonly queue = new WaitQueue()
  entry: TerminalEntry | undefined
  readonly #discipline: LineDiscipline
  readonly #master: Master
  readonly #clock: Pick<Clock, 'monotonic'>
  /** What was typed and had no room yet; the line discipline has foreseen it. */
  #typed: Uint8Array[] = []
  #window: WindowSize
  readonly #ahead: number
  /** Bytes that went to the screen, and those of them that it has taken. */
  #shown = 0
  #seen = 0
  #writing = false
  #opens = 0
  #everOpened = false
  #session: Session | undefined
  #inputEnded = false
  #hungUp = false

  /** `ahead`: bytes that the screen may be behind what is written, if it tells how far it is. */
  constructor(master: Master, clock: Pick<Clock, 'monotonic'>, window = WINDOW, ahead = Number.POSITIVE_INFINITY) {
    this.#master = master
    this.#clock = clock
    this.#window = window
    this.#ahead = ahead
    this.#discipline = new LineDiscipline({
      shown: (bytes) => {
        if (!this.#writing && this.#shown - this.#seen >= 2 * this.#ahead) return
        this.#shown += bytes.length
        master.shown(bytes)
      },
      signal: (signal) => this.#session?.hear(signal),
      changed: () => this.queue.wake(),
    })
  }

  get attributes(): TerminalAttributes {
    return this.#discipline.attributes
  }

  /** tcsetattr(3): takes effect at once. */
  set attributes(attributes: TerminalAttributes) {
    this.#discipline.attributes = attributes
    this.#take()
  }

  get window(): WindowSize {
    return this.#window
  }

  /** TIOCSWINSZ: a change is told by SIGWINCH. */
  set window(window: WindowSize) {
    const { columns, rows } = this.#window
    this.#window = window
    if (window.columns !== columns || window.rows !== rows) this.#session?.hear('SIGWINCH')
  }

  /**
   * Becomes the terminal of a session that has none, unless it is another's (TIOCSCTTY of ioctl_tty(2)); who serves it opens its other
   * end with O_NOCTTY, which preview1 cannot say.
   */
  control(session: Session): void {
    if (this.#session || session.terminal || session === this.#master.session || this.#hungUp) return
    session.terminal = this
    this.#session = session
  }

  leave(): void {
    if (this.#session) this.#session.terminal = undefined
    this.#session = undefined
  }

  /** Bytes that were typed. The array is the terminal's from now on. */
  type(bytes: Uint8Array): void {
    if (this.#hungUp || this.#inputEnded || bytes.length === 0) return
    const rest = this.#typed.length > 0 ? bytes : this.#enter(bytes, false)
    if (rest.length > 0) {
      this.#discipline.foresee(rest)
      this.#typed.push(rest)
      this.#interrupt()
    }
    this.#discipline.settle()
  }

  /** Hands over what there is room for; gives the rest. */
  #enter(bytes: Uint8Array, foreseen: boolean): Uint8Array {
    let taken = 0
    while (taken < bytes.length && this.#discipline.hasRoom) this.#discipline.type(bytes[taken++]!, foreseen)
    return bytes.subarray(taken)
  }

  /** How many of them wait for room. */
  get waiting(): number {
    return this.#typed.reduce((sum, { length }) => sum + length, 0)
  }

  /** A signal is heard though nobody reads what was typed before it, which it takes away in any case. */
  #interrupt(): void {
    const { isig, noflsh, intr, quit } = this.attributes
    if (!isig || noflsh) return
    const last = this.#typed.at(-1)!
    const at = Math.max(intr === 0 ? -1 : last.lastIndexOf(intr), quit === 0 ? -1 : last.lastIndexOf(quit))
    if (at < 0) return
    this.#discipline.flush()
    this.#typed = [last.subarray(at)]
    this.#take()
  }

  /** The screen has taken so many bytes, in all. */
  seen(bytes: number): void {
    this.#seen = bytes
    this.queue.wake()
  }

  get #mayWrite(): boolean {
    return !this.#discipline.stopped && this.#shown - this.#seen < this.#ahead
  }

  /** Nothing will be typed any more: reads get what there is, a line that nobody ended included, and then the end of input. */
  endInput(): void {
    this.#inputEnded = true
    this.queue.wake()
  }

  /** Screen and keyboard are gone. */
  hangUp(): void {
    if (this.#hungUp) return
    this.#hungUp = true
    this.#typed = []
    this.#discipline.flush()
    this.#session?.hear('SIGHUP')
    this.leave()
    this.entry?.hungUp()
    if (this.#opens === 0) this.entry?.gone()
    this.queue.wake()
  }

  #take(): void {
    while (this.#typed.length > 0) {
      const rest = this.#enter(this.#typed.shift()!, true)
      if (rest.length > 0) {
        this.#typed.unshift(rest)
        break
      }
    }
    this.#discipline.settle()
  }

  /** One more open file of the slave's end. Errors: EIO once it was hung up. */
  open(): Stream {
    if (this.#hungUp) throw new ErrnoError('EIO', undefined, 'the terminal was hung up')
    this.#everOpened = true
    this.#opens++
    return this
  }

  /** It was open, and no program has it open now. */
  get closed(): boolean {
    return this.#everOpened && this.#opens === 0
  }

  /** How many open files of the slave's end there are. */
  get opens(): number {
    return this.#opens
  }

  release(): void {
    if (--this.#opens > 0) return
    this.#master.closed?.()
    if (this.#hungUp) this.entry?.gone()
  }

  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean, attempt: Attempt): number {
    if (length === 0 || this.#hungUp) return 0
    const discipline = this.#discipline
    if (discipline.available === 0 && this.#inputEnded && this.#typed.length === 0) discipline.endLine()
    if (!this.#mayRead(length, nonblocking, attempt)) return 0
    const count = discipline.read(memory, at, length)
    if (this.#typed.length > 0) this.#take()
    return count
  }

  /** False for a read that gets nothing. Errors: EAGAIN. */
  #mayRead(length: number, nonblocking: boolean, attempt: Attempt): boolean {
    const { icanon, min, time } = this.attributes
    const { available } = this.#discipline
    if (available >= (icanon ? 1 : Math.min(Math.max(min, 1), length))) return true
    const over = this.#inputEnded && this.#typed.length === 0
    if (over || (!icanon && min === 0 && time === 0)) return available > 0
    if (nonblocking) {
      if (available > 0) return true
      throw new ErrnoError('EAGAIN')
    }
    if (icanon || time === 0) throw new WouldBlock([this.queue])
    return this.#readInTime(available, attempt)
  }

  /** `time` counts from the call on where `min` is 0, else from byte to byte. */
  #readInTime(available: number, attempt: Attempt): boolean {
    const { min, time } = this.attributes
    const now = this.#clock.monotonic()
    const seen = attempt.note<TimedRead>(this, () => ({ available: 0, deadline: undefined }))
    if (seen.deadline === undefined ? min === 0 || available > 0 : min > 0 && available > seen.available) {
      seen.deadline = now + BigInt(time) * TENTH
    }
    seen.available = available
    if (seen.deadline !== undefined && now >= seen.deadline) return available > 0
    throw new WouldBlock([this.queue], seen.deadline)
  }

  write(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    if (this.#hungUp) throw new ErrnoError('EIO')
    if (!this.#mayWrite) {
      if (nonblocking) throw new ErrnoError('EAGAIN')
      throw new WouldBlock([this.queue])
    }
    this.#writing = true
    try {
      this.#discipline.output.write(memory.subarray(at, at + length))
    } finally {
      this.#writing = false
    }
    return length
  }

  poll(): number {
    if (this.#hungUp) return POLLIN | POLLOUT | POLLERR | POLLHUP
    const { icanon, min, time } = this.attributes
    const { available } = this.#discipline
    const enough = !icanon && time === 0 && min > 0 ? min : 1
    const readable = available >= enough || (this.#inputEnded && this.#typed.length === 0)
    return (readable ? POLLIN : 0) | (this.#mayWrite ? POLLOUT : 0)
  }

  get available(): number {
    return this.#discipline.readable
  }
}
