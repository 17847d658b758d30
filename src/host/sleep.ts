/**
 * Blocks a Worker's thread until a moment comes: for guests on the platform `inline`, where a sleep has nobody to wait with.
 * A page's main thread must not do it, and browsers refuse.
 */

import type { Clock } from '../abi/platform.ts'

/** Gives a function that returns once the monotonic clock has reached `deadline` (nanoseconds). */
export function createSleep(clock: Clock): (deadline: bigint) => void {
  let cell: Int32Array | undefined
  return (deadline) => {
    // A shared wasm memory can be had without cross-origin isolation, where the SharedArrayBuffer class can't.
    cell ??= new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer)
    for (;;) {
      const left = deadline - clock.monotonic()
      if (left <= 0n) return
      Atomics.wait(cell, 0, 0, Number(left) / 1e6)
    }
  }
}
