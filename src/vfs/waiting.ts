/**
 * Calls that must wait. An operation that cannot go on throws WouldBlock, which names the queues that could wake it;
 * the kernel runs the whole operation again when one does.
 *
 * Invariant: before it throws WouldBlock an operation has changed nothing but its Attempt.
 */

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
 * Thrown by a change that was sent to a backend outside the kernel and must not be sent again. `finish` is called with
 * what `reply` resolves to (or with its error) and gives the operation's result, or throws its error.
 */
export class InFlight {
  readonly reply: Promise<unknown>
  readonly finish: (result: unknown, failure?: unknown) => unknown
  constructor(reply: Promise<unknown>, finish: (result: unknown, failure?: unknown) => unknown) {
    this.reply = reply
    this.finish = finish
  }
}

/**
 * What one system call has gathered over its restarts: kept until it returns or is cancelled, never longer.
 * A key is whatever object the value belongs to (a page source, a pipe), so that parts of the kernel do not meet.
 */
export class Attempt {
  #notes: Map<object, unknown> | undefined
  #undo: (() => void)[] | undefined
  cancelled = false

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

  /** Ends the attempt; everything held for it is let go, once. */
  end(): void {
    const undo = this.#undo
    this.#notes = undefined
    this.#undo = undefined
    if (undo) for (const release of undo) release()
  }
}
