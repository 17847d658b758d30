/** Timeouts by the kernel's clock. */

import type { Clock, Timer } from '../abi/platform.ts'

/** The longest that setTimeout waits; a later deadline is reached in several steps. */
const LONGEST = 2 ** 31 - 1

export function createTimer(clock: Clock): Timer {
  return {
    at(deadline, callback) {
      let handle: ReturnType<typeof setTimeout>
      const arm = () => {
        const left = Number(deadline - clock.monotonic()) / 1e6
        handle = left <= 0 ? setTimeout(callback, 0) : setTimeout(arm, Math.min(left, LONGEST))
      }
      arm()
      return () => clearTimeout(handle)
    },
  }
}
