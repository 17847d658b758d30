/**
 * The machine's time.
 *
 * Invariant: neither clock runs backwards. Both count from `performance.timeOrigin`, so that the Workers of a page agree on
 * them. A machine that slept stops `performance.now()` in some browsers: realtime then follows Date forward. A system clock that
 * is set back is not followed, for a file must not be older than one written before it.
 */

import type { Clock } from '../abi/platform.ts'

/** What the clock is made of: milliseconds, with fractions but for `date`. */
export interface TimeSource {
  readonly origin: number
  now(): number
  date(): number
}

const machine: TimeSource = {
  get origin() {
    return performance.timeOrigin
  },
  now: () => performance.now(),
  date: () => Date.now(),
}

/** Less than this apart, Date and performance differ by rounding and by the system's small corrections. */
const SLEPT = 500

export function createClock(source: TimeSource = machine): Clock {
  const origin = source.origin
  const originNs = toNs(origin)
  /** How far realtime is ahead of timeOrigin + now, in whole milliseconds. */
  let ahead = 0
  let aheadNs = 0n
  let date = Number.NaN
  let tick = Number.NEGATIVE_INFINITY
  let tickNs = 0n

  /** Date only says that time has moved on: it costs a fifth of performance.now() in Chromium, and every write asks. */
  const coarse = (): bigint => {
    const seen = source.date()
    if (seen === date) return tickNs
    date = seen
    let ms = Math.floor(origin + source.now() + ahead)
    const slept = date - ms
    if (slept > SLEPT) {
      ahead += slept
      aheadNs = BigInt(ahead) * 1_000_000n
      ms += slept
    }
    if (ms > tick) {
      tick = ms
      tickNs = BigInt(ms) * 1_000_000n
    }
    return tickNs
  }

  const monotonic = () => originNs + toNs(source.now())

  return {
    monotonic,
    coarse,
    realtime() {
      const stamp = coarse()
      const time = monotonic() + aheadNs
      if (time >= stamp) return time
      return stamp // the sum of two doubles was rounded up over a millisecond
    },
  }
}

/** Whole milliseconds and the rest apart, because nanoseconds since the epoch do not fit in a double. */
function toNs(ms: number): bigint {
  const whole = Math.floor(ms)
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1e6))
}
