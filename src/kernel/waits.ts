/** How long a process has waited in its calls: what is left of its time, it ran. */

import type { Clock } from '../abi/platform.ts'

export class Waits {
  /** Calls that waited; one that was woken for nothing and waits on counts again. */
  count = 0
  readonly #clock: Pick<Clock, 'monotonic'>
  #since: bigint | undefined
  #total = 0n

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  begin(): void {
    if (this.#since !== undefined) return
    this.#since = this.#clock.monotonic()
    this.count++
  }

  end(): void {
    if (this.#since === undefined) return
    this.#total += this.#clock.monotonic() - this.#since
    this.#since = undefined
  }

  /** It waits now. */
  get under(): boolean {
    return this.#since !== undefined
  }

  /** Milliseconds. */
  get total(): number {
    const now = this.#since === undefined ? 0n : this.#clock.monotonic() - this.#since
    return Number(this.#total + now) / 1e6
  }
}
