/**
 * Who waits for a commit. Every transaction that counts has a ticket, one more than the last; who waits has that of the transaction
 * that covers what it waits for, and is done, or told why not, with that one or a later one.
 */

import type { ErrnoError } from '../../abi/errno.ts'

export interface Waiter {
  readonly ticket: number
  done: boolean
  failure: ErrnoError | undefined
}

export class Waiters {
  readonly #waiting = new Set<Waiter>()
  #last = 0

  get any(): boolean {
    return this.#waiting.size > 0
  }

  /** The ticket of the transaction that begins now. */
  begin(): number {
    return ++this.#last
  }

  /** Waits for the transaction that begins next, or for an earlier one. */
  add(ticket = this.#last + 1): Waiter {
    const waiter: Waiter = { ticket, done: false, failure: undefined }
    this.#waiting.add(waiter)
    return waiter
  }

  /** A transaction has ended: those who wait for it or an earlier one have what they wait for, or the reason why not. */
  answer(ticket: number, failure?: ErrnoError): void {
    for (const waiter of this.#waiting) {
      if (waiter.ticket > ticket) continue
      waiter.done = failure === undefined
      waiter.failure = failure
      this.#waiting.delete(waiter)
    }
  }
}
