/**
 * The master's end of a pseudo-terminal as an open file (pty(7)): a program that opened /dev/ptmx has the screen and the keyboard.
 *
 * Always true: what it reads was on the screen in that order. Once no program has the slave's end open any more, reads get what is
 * left and then EIO, until one opens it again.
 */

import { ErrnoError } from '../abi/errno.ts'
import { POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import { ByteQueue } from '../vfs/byte-queue.ts'
import type { Context, Session } from '../vfs/context.ts'
import type { Stream } from '../vfs/inode.ts'
import { type WaitQueue, WouldBlock } from '../vfs/waiting.ts'
import { type Master, PseudoTerminal } from './pseudo-terminal.ts'

/** Bytes on their way from one end to the other, each way, from which on writes wait. */
const ROOM = 1 << 14

export class TerminalMaster implements Stream, Master {
  readonly isTerminal = true
  readonly terminal: PseudoTerminal
  readonly session: Session | undefined
  readonly #index: number
  readonly #screen = new ByteQueue()
  #read = 0

  /** `index` is the number that the slave's end has among its like. */
  constructor(index: number, { clock, session }: Pick<Context, 'clock' | 'session'>) {
    this.#index = index
    this.session = session
    this.terminal = new PseudoTerminal(this, clock, undefined, ROOM)
  }

  /** One for both ends: what happens at one is news at the other. */
  get queue(): WaitQueue {
    return this.terminal.queue
  }

  get information(): string {
    return `tty-index:\t${this.#index}\n`
  }

  get available(): number {
    return this.#screen.length
  }

  shown(bytes: Uint8Array): void {
    this.#screen.add(bytes.slice())
    this.queue.wake()
  }

  closed(): void {
    this.queue.wake()
  }

  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    if (length === 0) return 0
    if (this.#screen.length === 0) {
      if (this.terminal.closed) throw new ErrnoError('EIO')
      if (nonblocking) throw new ErrnoError('EAGAIN')
      throw new WouldBlock([this.queue])
    }
    const count = this.#screen.take(memory, at, length)
    this.#read += count
    this.terminal.seen(this.#read)
    return count
  }

  write(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    if (!this.#hasRoom) {
      if (nonblocking) throw new ErrnoError('EAGAIN')
      throw new WouldBlock([this.queue])
    }
    this.terminal.type(memory.slice(at, at + length))
    return length
  }

  get #hasRoom(): boolean {
    return this.terminal.waiting < ROOM
  }

  poll(): number {
    const hungUp = this.terminal.closed ? POLLHUP : 0
    return hungUp | (this.#screen.length > 0 ? POLLIN : 0) | (this.#hasRoom ? POLLOUT : 0)
  }

  release(): void {
    this.#screen.clear()
    this.terminal.hangUp()
  }
}
