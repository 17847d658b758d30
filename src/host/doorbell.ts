/** The doorbell of a kernel's guests: a counter in shared memory that each of them adds to. It is never reset. */

import { createDoorbell } from '../abi/channel.ts'
import type { Doorbell } from '../kernel/serving.ts'
import { BriefWait } from './brief-wait.ts'

/** Works in Workers only: a page's main thread must not block, and browsers refuse. */
export class HostDoorbell implements Doorbell {
  readonly buffer = createDoorbell()
  readonly onRing?: (count: number, callback: () => void) => void
  readonly #word = new Int32Array(this.buffer)
  readonly #brief = new BriefWait()
  /** A wait can't be called off: one that nobody needs any more is taken over by the next who waits. */
  #waits = false
  #listener = () => {}

  constructor() {
    if (typeof Atomics.waitAsync === 'function') this.onRing = (count, callback) => this.#listen(count, callback)
  }

  get count(): number {
    return Atomics.load(this.#word, 0)
  }

  wait(count: number, ms: number): boolean {
    return this.#brief.wait(this.#word, 0, count, ms)
  }

  #listen(count: number, callback: () => void): void {
    this.#listener = callback
    if (this.#waits) return
    const ring = Atomics.waitAsync(this.#word, 0, count)
    if (!ring.async) callback()
    else {
      this.#waits = true
      ring.value.then(() => {
        this.#waits = false
        this.#listener()
      })
    }
  }
}
