/**
 * The kernel's end of one guest that runs in a thread of its own: makes the calls that come through its channel, and keeps the
 * one that must wait.
 *
 * Invariants: a call that must wait stays requested; it is subscribed to its queues in the turn in which it threw. Once
 * closed, a channel makes no call and waits for nothing.
 */

import { createChannel } from '../abi/channel.ts'
import { type Counters, timeWeight } from '../abi/counters.ts'
import { ServedChannel } from '../abi/served-channel.ts'
import type { Syscalls } from '../abi/syscalls.ts'
import { WouldBlock } from '../vfs/waiting.ts'
import { type Waiting, whenWoken } from './attempts.ts'
import type { Waits } from './waits.ts'

export interface GuestChannelOptions {
  /** Makes the calls: a Task. */
  readonly syscalls: Syscalls
  readonly waiting: Waiting
  /** Where the time is counted that its calls take, and a clock for that, in milliseconds. */
  readonly counters?: Counters | undefined
  readonly now: () => number
  readonly waits?: Waits | undefined
  /** Told when a call that waited may be made again: `serve` is to be called soon. */
  readonly again: () => void
  /** Hears of faults of the kernel's own, which the guest sees as EIO. */
  readonly onFault: (error: unknown) => void
}

export class GuestChannel {
  /** For the guest's end. */
  readonly buffer = createChannel()
  /** Calls answered so far. */
  calls = 0
  readonly #channel = new ServedChannel(this.buffer)
  readonly #options: GuestChannelOptions
  /** The requested call has thrown, and waits until this is undefined. */
  #callOff: (() => void) | undefined
  /** A try of the requested call has thrown WouldBlock. */
  #waited = false
  #closed = false
  /** As the kernel has been told. */
  #memory = 0

  constructor(options: GuestChannelOptions) {
    this.#options = options
  }

  /** Makes the requested call, unless there is none or it waits. Whether it made one. */
  serve(): boolean {
    if (this.#callOff !== undefined || !this.#channel.requested) return false
    const { syscalls, counters, now } = this.#options
    if (counters && counters.memory !== this.#memory) {
      this.#memory = counters.memory
      counters.resized()
    }
    const weight = timeWeight(this.calls)
    const start = weight > 0 ? now() : 0
    try {
      this.#channel.serve(syscalls)
      if (weight > 0) counters?.addTime((now() - start) * weight)
    } catch (thrown) {
      if (thrown instanceof WouldBlock) {
        this.#wait(thrown)
        return true
      }
      this.#options.onFault(thrown)
      this.#channel.fail('EIO')
    }
    this.#returned()
    return true
  }

  #wait(blocked: WouldBlock): void {
    if (this.#closed) return
    const { waits } = this.#options
    this.#waited = true
    waits?.begin()
    this.#callOff = whenWoken(this.#options.waiting, blocked, () => {
      this.#callOff = undefined
      waits?.end()
      this.#options.again()
    })
  }

  #returned(): void {
    this.calls++
    if (!this.#waited) return
    this.#waited = false
    if (!this.#closed) this.#options.syscalls.settle?.()
  }

  /** What the guest asks from now on is ignored, and what it waits for is forgotten. The task is released by its process. */
  close(): void {
    this.#closed = true
    this.#channel.kill()
    this.#callOff?.()
    this.#callOff = undefined
  }
}
