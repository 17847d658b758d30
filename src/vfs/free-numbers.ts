import { type Errno, ErrnoError } from '../abi/errno.ts'

/** Small numbers from 1 on: the lowest free one is given out, and again after it was given back. */
export class FreeNumbers {
  readonly #used = new Set<number>()
  /** One more than the largest. */
  readonly #limit: number
  readonly #full: Errno
  /** No number below it is free. */
  #hint = 1

  /** Numbers stay below `limit`; `full` is the error when none is free. */
  constructor(limit: number, full: Errno) {
    this.#limit = limit
    this.#full = full
  }

  /** Errors: the one for "full", unless so many more are free. */
  require(numbers: number): void {
    if (this.#used.size + numbers >= this.#limit) throw new ErrnoError(this.#full, undefined, 'no number is free')
  }

  take(): number {
    this.require(1)
    let number = this.#hint
    while (this.#used.has(number)) number++
    this.#used.add(number)
    this.#hint = number + 1
    return number
  }

  give(number: number): void {
    this.#used.delete(number)
    if (number < this.#hint) this.#hint = number
  }

  get inUse(): number {
    return this.#used.size
  }
}
