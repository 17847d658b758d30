/** What the kernel and the guest's edge need of the machine they run on. `host/` implements it; tests use small fakes. */

export interface Clock {
  /** Nanoseconds since the epoch. */
  realtime(): bigint
  /** Nanoseconds since some fixed moment; never runs backwards. */
  monotonic(): bigint
  /**
   * The time that a change to a file is stamped with: realtime in steps of a millisecond or more, as Linux stamps with
   * the tick's time (ktime_get_coarse_real_ts64). Returns the same bigint until the tick moves on.
   */
  coarse(): bigint
}

export interface Entropy {
  /** Fills the whole array with random bytes from a cryptographic source. */
  fill(bytes: Uint8Array): void
}

export interface Timer {
  /** Calls back once, no sooner than `deadline` (monotonic nanoseconds). Gives what calls it off. */
  at(deadline: bigint, callback: () => void): () => void
}

/** What the machine says of itself. */
export interface Machine {
  /** Processors that programs may use at a time. */
  readonly cpus: number
  /** Bytes of memory, roughly. */
  readonly memory: number
}
