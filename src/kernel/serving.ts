/**
 * Serves the guests that run in threads of their own, in the kernel's thread, which has other work too: the page's calls,
 * timers, what the host reads.
 *
 * While guests call, the thread blocks between two calls, because that answers soonest; but never for long without a turn of
 * the event loop, and not at all while something is awaited that only the event loop brings. When nobody calls, it rests there.
 *
 * Invariants: the doorbell is read before the channels are looked at, so no ring is lost. A round makes one call of each
 * guest, after those calls that waited, in the order in which they were woken; so no guest keeps another from its turn.
 */

import type { Counters } from '../abi/counters.ts'
import type { Syscalls } from '../abi/syscalls.ts'
import type { Waiting } from './attempts.ts'
import { GuestChannel } from './guest-channel.ts'
import type { Waits } from './waits.ts'

/** What guests ring when they have asked something. */
export interface Doorbell {
  /** For the guests' ends. */
  readonly buffer: SharedArrayBuffer
  /** How often it rang. */
  readonly count: number
  /** Blocks the thread until the count is not `count`, for `ms` milliseconds at most. False if it ran out. */
  wait(count: number, ms: number): boolean
  /**
   * Calls back once the count is not `count`; of several callbacks only the last is called. Left out where a machine
   * can't wait without blocking.
   */
  onRing?(count: number, callback: () => void): void
}

export interface ServingOptions extends Waiting {
  readonly doorbell: Doorbell
  /** Resolves in a new macrotask. */
  readonly macrotask: () => Promise<void>
  /** Milliseconds since some fixed moment. */
  readonly now: () => number
  readonly onFault?: (error: unknown) => void
}

/** The longest time without a turn of the event loop, in milliseconds. */
const SLICE = 4
/** How long the thread blocks for the next call: longer than a guest that works on files takes to make it. */
const LINGER = 0.25
/** Where a machine can't be woken without blocking: how often it looks, in nanoseconds, while nobody calls. */
const LOOK_EVERY = 1_000_000n

export class Serving {
  readonly #options: ServingOptions
  readonly #channels = new Set<GuestChannel>()
  /** Calls that waited and may be made again. */
  #woken: GuestChannel[] = []
  /** How many things are awaited that only the event loop brings. */
  #awaited = 0
  #running = false
  /** Ends a rest. */
  #rouse = () => {}

  constructor(options: ServingOptions) {
    this.#options = options
  }

  /** Where guests ring. */
  get doorbell(): SharedArrayBuffer {
    return this.#options.doorbell.buffer
  }

  /** Guests that are served. */
  get size(): number {
    return this.#channels.size
  }

  /** A channel on which a guest's calls are made by `syscalls`, until it is closed. `counters` get the time that they take, `waits` that in which they wait. */
  open(syscalls: Syscalls, counters?: Counters, waits?: Waits): GuestChannel {
    const channel: GuestChannel = new GuestChannel({
      syscalls,
      counters,
      waits,
      now: this.#options.now,
      waiting: this.#options,
      again: () => {
        this.#woken.push(channel)
        this.#rouse()
      },
      onFault: (error) => this.#options.onFault?.(error),
    })
    this.#channels.add(channel)
    if (!this.#running) {
      this.#running = true
      this.#run()
    }
    return channel
  }

  close(channel: GuestChannel): void {
    channel.close()
    this.#channels.delete(channel)
    this.#rouse()
  }

  /**
   * Keeps the thread from blocking until a promise settles, and gives what it does: for what only the event loop brings, a
   * reply of the host's, a commit. A Worker that this thread makes would be such a thing: in Chromium it does not start.
   */
  async unblocked<T>(work: T | Promise<T>): Promise<T> {
    this.#awaited++
    try {
      return await work
    } finally {
      this.#awaited--
    }
  }

  async #run(): Promise<void> {
    const { doorbell, macrotask, now } = this.#options
    let sliceEnd = now() + SLICE
    let busy = false
    while (this.#channels.size > 0) {
      const { count } = doorbell
      const served = this.#round()
      if (served) busy = true
      if (now() >= sliceEnd || (served && this.#awaited > 0)) {
        await macrotask()
        sliceEnd = now() + SLICE
      } else if (this.#woken.length === 0) {
        if (busy && this.#awaited === 0) busy = doorbell.wait(count, LINGER)
        else await this.#rest(count)
      }
    }
    this.#running = false
  }

  /** Whether any call was made. */
  #round(): boolean {
    let served = false
    const woken = this.#woken
    if (woken.length > 0) {
      this.#woken = []
      for (const channel of woken) if (channel.serve()) served = true
    }
    for (const channel of this.#channels) if (channel.serve()) served = true
    return served
  }

  /** Until the doorbell rings, or there is something to do without it. */
  #rest(count: number): Promise<void> {
    const { doorbell, timer, clock } = this.#options
    return new Promise((resolve) => {
      this.#rouse = resolve
      if (doorbell.onRing) doorbell.onRing(count, resolve)
      else timer.at(clock.monotonic() + LOOK_EVERY, resolve)
    })
  }
}
