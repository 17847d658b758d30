/**
 * Waiting for a word of shared memory that mostly changes soon: the thread looks at it for a moment before it sleeps, as adaptive locks do.
 *
 * A call is answered in 2 µs, but a thread that sleeps is woken only after 10 to 50. So a thread that waited briefly the last
 * time looks, for 50 µs at most. One that waited for longer, for another guest or a person, sleeps at once the next time.
 */

/** How long it looks, and which waits are brief: those that looking would have shortened, being woken included. In milliseconds. */
const LOOKS = 0.05
const BRIEF = 0.15
/** A look takes some 60 ns. Clocks that browsers coarsen against fingerprinting may stand still for 100 ms. */
const MOST_LOOKS = 2000

/** Tells the processor that a loop only looks. Where engines have it. */
const { pause } = Atomics as { readonly pause?: () => void }

export class BriefWait {
  #wasBrief = true

  /** Blocks until a word is not `value`, for `ms` milliseconds at most. False if they ran out. Not for a page's main thread. */
  readonly wait = (words: Int32Array, index: number, value: number, ms?: number): boolean => {
    const from = performance.now()
    const changed =
      (this.#wasBrief && look(words, index, value, from + LOOKS)) ||
      Atomics.wait(words, index, value, ms) !== 'timed-out'
    this.#wasBrief = performance.now() - from < BRIEF
    return changed
  }
}

/** Whether the word is not `value`, or comes to be so before `end`. */
function look(words: Int32Array, index: number, value: number, end: number): boolean {
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    if (Atomics.load(words, index) !== value) return true
    if (performance.now() >= end) break
    pause?.()
  }
  return false
}
