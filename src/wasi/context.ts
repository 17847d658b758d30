/**
 * What the functions of one guest share: its system calls, memory, descriptors, and the ways a call can end other than
 * by returning.
 */
import { WASIProcExit } from '@bjorn3/browser_wasi_shim'
import { type Counters, timeWeight } from '../abi/counters.ts'
import { ErrnoError } from '../abi/errno.ts'
import type { Clock, Entropy } from '../abi/platform.ts'
import type { Syscalls } from '../abi/syscalls.ts'
import { WouldBlock } from '../vfs/waiting.ts'
import { E } from './errno.ts'
import type { GuestMemory } from './memory.ts'
import type { Descriptors } from './rights.ts'

/** An import's answer when the call must wait and be made again; no WASI error has this number. */
export const WAIT = 0x7fff_ffff

/** From `failed`: what the call lacked is there now, make it again. */
export const AGAIN = -1

/** Thrown out of the instance to end it. `code` is the exit status, 0 to 255; 128 + signal where a signal ended it. */
export class GuestExit extends WASIProcExit {
  readonly signal: number | undefined

  constructor(code: number, signal?: number) {
    super(code)
    this.signal = signal
  }
}

/** A signal for the guest, read at each of its imports: whoever kills it sets the number. */
export interface KillSwitch {
  readonly signal: number | undefined
  /** When it will be set (monotonic nanoseconds): no sleep lasts longer. */
  readonly deadline?: bigint | undefined
}

export interface ContextOptions {
  readonly syscalls: Syscalls
  readonly clock: Clock
  readonly entropy: Entropy
  /** Whether a call that must wait answers WAIT, to a trampoline, or EAGAIN. */
  readonly waits: boolean
  /** Sleeps until a time of the monotonic clock, for a guest that does not wait otherwise. */
  readonly sleep: ((until: bigint) => void) | undefined
  readonly kill: KillSwitch | undefined
  readonly counters: Counters
  /** Whether the time in calls is taken here; not where they are made in another thread. */
  readonly timed: boolean
  /** Hears of exceptions that no system call should throw: faults of ours, which the guest sees as EIO. */
  readonly onFault: ((error: unknown) => void) | undefined
}

export class Context {
  readonly syscalls: Syscalls
  readonly clock: Clock
  readonly entropy: Entropy
  readonly memory: GuestMemory
  readonly descriptors: Descriptors
  /** When the guest's processor clocks began (monotonic nanoseconds). */
  readonly started: bigint
  /** The times at which the guest's poll_oneoff was first tried: a call that runs again keeps its deadline. */
  pollStart: { readonly monotonic: bigint; readonly realtime: bigint } | undefined
  /** What the call that answered WAIT waits for. */
  blocked: WouldBlock | undefined
  /** What ends the guest, once thrown: code that catches everything (C++'s `catch (...)`) does not get past it. */
  ending: WASIProcExit | undefined
  readonly counters: Counters
  /** Imports that have returned: a call that waited counts once. */
  calls = 0
  /** For how many calls the time of this one counts, and when it was entered. */
  #weight = 0
  #entered = 0n
  readonly #timed: boolean
  /** A try of the call under way threw WouldBlock. */
  #waited = false
  readonly #waits: boolean
  readonly #sleep: ((until: bigint) => void) | undefined
  readonly #kill: KillSwitch
  readonly #onFault: ((error: unknown) => void) | undefined

  constructor(options: ContextOptions, memory: GuestMemory, descriptors: Descriptors) {
    this.syscalls = options.syscalls
    this.clock = options.clock
    this.entropy = options.entropy
    this.memory = memory
    this.descriptors = descriptors
    this.started = options.clock.monotonic()
    this.counters = options.counters
    this.#timed = options.timed
    this.#waits = options.waits
    this.#sleep = options.sleep
    this.#kill = options.kill ?? { signal: undefined }
    this.#onFault = options.onFault
  }

  /** The start of every import. Throws GuestExit into a guest that was killed. */
  enter(): void {
    if (this.ending !== undefined) throw this.ending
    if (this.#kill.signal !== undefined) throw this.end(killed(this.#kill.signal))
    this.memory.refresh()
    if (this.#timed) {
      this.#weight = timeWeight(this.calls)
      if (this.#weight > 0) this.#entered = this.clock.monotonic()
    }
  }

  /** The end of every import that returns; `n` is its number in the table. */
  done(answer: number, n: number): number {
    this.calls++
    this.counters.calls[n]!++
    if (this.#waited) this.#settle()
    else if (this.#weight > 0)
      this.counters.addTime((Number(this.clock.monotonic() - this.#entered) * this.#weight) / 1e6)
    return answer
  }

  #settle(): void {
    this.#waited = false
    this.syscalls.settle?.()
  }

  /** The answer to a call that threw: a WASI error number, WAIT, or AGAIN; throws on what ends the guest. */
  failed(error: unknown, n: number): number {
    if (error instanceof ErrnoError) return this.done(E[error.code], n)
    if (error instanceof WouldBlock) return this.#wait(error, n)
    if (this.#waited) this.#settle()
    if (error instanceof WASIProcExit) throw this.end(error)
    // The host's stack is used up by a guest that recursed too deep: that is the guest's end, as in wasm code.
    if (error instanceof RangeError && /stack/i.test(error.message)) throw error
    this.#onFault?.(error)
    return E.EIO
  }

  /** Makes a call that has begun its work when it must wait: a guest that cannot wait goes on meanwhile. */
  begin(call: () => void): void {
    try {
      call()
    } catch (reason) {
      if (this.#waits || !(reason instanceof WouldBlock)) throw reason
      this.syscalls.settle?.()
    }
  }

  end(by: WASIProcExit): WASIProcExit {
    this.ending ??= by
    return this.ending
  }

  #wait(reason: WouldBlock, n: number): number {
    this.#waited = true
    if (this.#waits) {
      this.blocked = reason
      return WAIT
    }
    // Nobody else can act while this guest sleeps here, so a call with a deadline can only pass it.
    if (reason.deadline !== undefined && this.#sleep) {
      const { deadline } = this.#kill
      const killedFirst = deadline !== undefined && deadline < reason.deadline
      this.#sleep(killedFirst ? deadline : reason.deadline)
      return AGAIN
    }
    this.pollStart = undefined
    return this.done(E.EAGAIN, n)
  }
}

export const killed = (signal: number): GuestExit => new GuestExit(128 + signal, signal)
