/**
 * How many processes ran lately: the averages of /proc/loadavg, over 1, 5 and 15 minutes.
 *
 * Linux looks every 5 seconds how many run. Here nobody looks until somebody asks: what ran since then, by the time it used,
 * counts as if it had run evenly. So the averages cost nothing, and lose only the order of what happened between two questions.
 */

const MINUTES = [1, 5, 15] as const

export class LoadAverage {
  #loads: readonly number[] = [0, 0, 0]
  #asked: bigint
  #used = 0

  /** `since`: monotonic nanoseconds, from which on nothing has run. */
  constructor(since: bigint) {
    this.#asked = since
  }

  /** The averages at a time (monotonic nanoseconds), all processes having run for `used` milliseconds by then. */
  at(now: bigint, used: number): readonly [number, number, number] {
    const elapsed = Number(now - this.#asked) / 1e6
    if (elapsed > 0) {
      const running = Math.max(0, used - this.#used) / elapsed
      this.#loads = this.#loads.map(
        (load, i) => running + (load - running) * Math.exp(-elapsed / (MINUTES[i]! * 60_000)),
      )
      this.#asked = now
      this.#used = used
    }
    return this.#loads as unknown as readonly [number, number, number]
  }
}
