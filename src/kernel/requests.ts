/**
 * What the page asks of a library that runs: calls of its exports, and looks at its memory. One after another.
 *
 * Invariant: every request is answered once, at the latest when the queue is closed.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { LibraryRequest, RequestFailure } from '../abi/wire.ts'

export interface PendingRequest {
  readonly request: LibraryRequest
  answer(value: unknown): void
  fail(failure: RequestFailure): void
}

export class Requests {
  readonly #open = new Set<PendingRequest>()
  #queue: PendingRequest[] = []
  #taker: ((next: PendingRequest | undefined) => void) | undefined
  #closed: string | undefined

  /** Gives the answer. Errors: those of the request; ESRCH once closed. */
  ask(request: LibraryRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) return reject(new ErrnoError('ESRCH', undefined, this.#closed))
      const settle = (act: () => void) => {
        if (this.#open.delete(pending)) act()
      }
      const pending: PendingRequest = {
        request,
        answer: (value) => settle(() => resolve(value)),
        fail: ({ code, path, detail }) => settle(() => reject(new ErrnoError(code, path, detail))),
      }
      this.#open.add(pending)
      this.#queue.push(pending)
      this.#hand()
    })
  }

  /** The next one, when it comes; undefined once closed. One asks at a time. */
  next(): Promise<PendingRequest | undefined> {
    return new Promise((resolve) => {
      this.#taker = resolve
      this.#hand()
    })
  }

  #hand(): void {
    if (!this.#taker || (this.#queue.length === 0 && this.#closed === undefined)) return
    const taker = this.#taker
    this.#taker = undefined
    taker(this.#queue.shift())
  }

  /** All that were not answered are refused, and `why` is said to them and to all later ones. */
  close(why: string): void {
    this.#closed ??= why
    this.#queue = []
    for (const { fail } of [...this.#open]) fail({ code: 'ESRCH', detail: this.#closed })
    this.#hand()
  }
}
