/** The kernel's end of a channel: reads what the guest asks, has it done, and publishes the answer. */
import { ANSWERED, CALL, DEAD, REQUESTED, STATE, STATUS } from './channel.ts'
import { type ArgumentKind, type CallName, callNames, Message, signatures } from './channel-codec.ts'
import { ErrnoError, errnoNumber } from './errno.ts'
import type { DirectoryEntry, Stat, Syscalls } from './syscalls.ts'

/** The kernel's end of one channel. */
export class ServedChannel {
  readonly #state: Int32Array
  readonly #message: Message

  constructor(channel: SharedArrayBuffer) {
    this.#state = new Int32Array(channel, 0, 4)
    this.#message = new Message(channel)
  }

  /** Whether a request was published and not answered yet. */
  get requested(): boolean {
    return Atomics.load(this.#state, STATE) === REQUESTED
  }

  /** The name of the requested call. */
  get call(): CallName | undefined {
    return callNames[this.#state[CALL]!]
  }

  /** Requests are ignored from now on; the guest rests until its thread is terminated. */
  kill(): void {
    Atomics.store(this.#state, STATE, DEAD)
    Atomics.notify(this.#state, STATE)
  }

  /**
   * Runs the published request and publishes the answer. What is thrown and is no ErrnoError is thrown on: a WouldBlock
   * leaves the request as it is, to be served again (the caller settles it then); so does a fault of the kernel, for which
   * `fail` is there.
   * Preconditions: `requested`.
   */
  serve(syscalls: Syscalls): void {
    const message = this.#message
    try {
      const name = this.call
      if (name === undefined) throw new ErrnoError('ENOSYS')
      message.rewind()
      const args: unknown[] = []
      for (const kind of signatures[name].args) readArgument(message, kind, args)
      this.finish((syscalls[name] as (...args: unknown[]) => unknown).apply(syscalls, args))
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
      this.fail(error.code)
    }
  }

  /** Answers the published request with a result that came another way than through `serve`. */
  finish(result: unknown): void {
    const message = this.#message
    message.rewind()
    switch (signatures[this.call!].result) {
      case 'number':
        message.putNumber(result as number)
        break
      case 'text':
        message.putText(result as string)
        break
      case 'stat':
        message.putStat(result as Stat)
        break
      case 'entries':
        message.putEntries(result as readonly DirectoryEntry[])
        break
      case 'numbers':
        message.putNumbers(result as readonly number[])
        break
      case 'nothing':
    }
    this.#publish(0)
  }

  /** Answers the published request with an error. */
  fail(code: ErrnoError['code']): void {
    this.#publish(errnoNumber(code))
  }

  #publish(status: number): void {
    const state = this.#state
    state[STATUS] = status
    if (Atomics.compareExchange(state, STATE, REQUESTED, ANSWERED) === REQUESTED) Atomics.notify(state, STATE)
  }
}

/** Reads an argument; `in` and `out` become two, the data area and the range in it. */
function readArgument(message: Message, kind: ArgumentKind, into: unknown[]): void {
  switch (kind) {
    case 'number':
      into.push(message.number())
      break
    case 'time':
      into.push(message.time())
      break
    case 'text':
      into.push(message.text())
      break
    case 'requests':
      into.push(message.requests())
      break
    default:
      into.push(message.data, message.ranges())
  }
}
