/**
 * Calls that must wait. An operation that cannot go on throws WouldBlock, which names the queues that could wake it;
 * the kernel runs the whole operation again when one does.
 *
 * Invariant: before it throws WouldBlock an operation has changed nothing but its Attempt. One that has, since the change is made
 * outside the kernel, throws InFlight instead, and goes on with what the reply is.
 */

import type { Credentials } from './context.ts'

/** Something that wants to hear of a change once. Identity counts: a waiter is in a queue at most once. */
export interface Waiter {
  wake(): void
}

/** Who waits for a thing, in the order of arrival. */
export class WaitQueue {
  readonly #waiters = new Set<Waiter>()

  get size(): number {
    return this.#waiters.size
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter)
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  /** Wakes all who wait now, first come first; one who waits again in its turn is not woken twice. */
  wake(): void {
    if (this.#waiters.size === 0) return
    for (const waiter of [...this.#waiters]) if (this.#waiters.delete(waiter)) waiter.wake()
  }
}

/**
 * Thrown by an operation that cannot go on yet. Not an Error: it is no fault, and it is thrown often.
 * `deadline` (monotonic nanoseconds) is when the operation wants to run again if nothing wakes it sooner.
 */
export class WouldBlock {
  readonly queues: readonly WaitQueue[]
  readonly deadline: bigint | undefined
  constructor(queues: readonly WaitQueue[], deadline?: bigint) {
    this.queues = queues
    this.deadline = deadline
  }
}

/** Parts that are not there yet: all are asked for before the call waits. */
export class Missing {
  #queues: WaitQueue[] | undefined
  #deadline: bigint | undefined

  /** Runs `read`; undefined if its answer must be waited for. */
  try<T>(read: () => T): T | undefined {
    try {
      return read()
    } catch (failure) {
      this.add(failure)
      return undefined
    }
  }

  /** Takes what was thrown, if it is a WouldBlock, and throws it again if not. */
  add(failure: unknown): void {
    if (!(failure instanceof WouldBlock)) throw failure
    this.#queues ??= []
    this.#queues.push(...failure.queues)
    const { deadline } = failure
    if (deadline !== undefined && (this.#deadline === undefined || deadline < this.#deadline)) this.#deadline = deadline
  }

  get any(): boolean {
    return this.#queues !== undefined
  }

  /** Throws WouldBlock if anything is missing. */
  wait(): void {
    if (this.#queues) throw new WouldBlock(this.#queues, this.#deadline)
  }
}

/**
 * Thrown by a change that was sent to a backend outside the kernel and must not be sent again. Once one of the queues wakes,
 * `finish` goes on from there and gives the operation's result; it may throw WouldBlock, and is called again, or be in flight
 * once more. Whoever has more to do than to hand the result on goes on by `after`; a task makes it a call that waits.
 */
export class InFlight {
  readonly queues: readonly WaitQueue[]
  readonly finish: () => unknown
  constructor(queues: readonly WaitQueue[], finish: () => unknown) {
    this.queues = queues
    this.finish = finish
  }
}

/** Does something that may be in flight for a while, and then the rest. */
export function after<T, R>(act: () => T, rest: (result: T) => R): R {
  let result: T
  try {
    result = act()
  } catch (thrown) {
    if (thrown instanceof InFlight) throw new InFlight(thrown.queues, goOn(thrown.finish as () => T, rest))
    throw thrown
  }
  return rest(result)
}

/** What is left to do; made again after a wait, it does not do again what it has done. */
function goOn<T, R>(act: () => T, rest: (result: T) => R): () => R {
  let next = act
  let done: { readonly result: T } | undefined
  const step = (): R => {
    if (!done) {
      try {
        done = { result: next() }
      } catch (thrown) {
        if (!(thrown instanceof InFlight)) throw thrown
        next = thrown.finish as () => T
        throw new InFlight(thrown.queues, step)
      }
    }
    return rest(done.result)
  }
  return step
}

/** For whom an attempt is made. */
export interface Caller {
  readonly credentials: Credentials
  /** Of its process; 0 for the host's own hand. */
  readonly pid: number
}

/**
 * What one system call has gathered over its restarts: kept until it returns or is cancelled, never longer.
 * A key is whatever object the value belongs to (a page source, a pipe), so that parts of the kernel do not meet.
 */
export class Attempt {
  #notes: Map<object, unknown> | undefined
  #undo: (() => void)[] | undefined
  #unfinished: Unfinished | undefined
  cancelled = false
  /** undefined: the kernel itself. */
  caller: Caller | undefined

  /** The note under this key, made at the first asking. */
  note<T>(key: object, make: () => T): T {
    this.#notes ??= new Map()
    if (!this.#notes.has(key)) this.#notes.set(key, make())
    return this.#notes.get(key) as T
  }

  /** The note under this key, if there is one. */
  noted<T>(key: object): T | undefined {
    return this.#notes?.get(key) as T | undefined
  }

  /** Calls back when the call returns, fails, or is killed: to let go of what was held for it. */
  onEnd(release: () => void): void {
    this.#undo ??= []
    this.#undo.push(release)
  }

  /** Whether anything was noted or held: if not, the object may serve for the next call. */
  get used(): boolean {
    return this.#notes !== undefined || this.#undo !== undefined
  }

  /**
   * Makes a system call that may change what is outside the kernel. `call` are its name and the arguments that tell it from
   * others: made again while its change is in flight, it goes on where it was. Throws WouldBlock then, never InFlight.
   */
  carry<T>(call: readonly unknown[], operation: () => T): T {
    const unfinished = this.#unfinished
    const act = unfinished && isSame(unfinished.call, call) ? (unfinished.finish as () => T) : operation
    try {
      const result = act()
      if (act !== operation) this.#unfinished = undefined
      return result
    } catch (thrown) {
      if (thrown instanceof InFlight) {
        this.#unfinished = { call, finish: thrown.finish }
        throw new WouldBlock(thrown.queues)
      }
      if (act !== operation && !(thrown instanceof WouldBlock)) this.#unfinished = undefined
      throw thrown
    }
  }

  /** Ends the attempt; everything held for it is let go, once. */
  end(): void {
    const undo = this.#undo
    this.#notes = undefined
    this.#undo = undefined
    this.#unfinished = undefined
    if (undo) for (const release of undo) release()
  }
}

/** A call whose change is in flight, and how it goes on. */
interface Unfinished {
  readonly call: readonly unknown[]
  readonly finish: () => unknown
}

const isSame = (a: readonly unknown[], b: readonly unknown[]) =>
  a.length === b.length && a.every((value, i) => value === b[i])
