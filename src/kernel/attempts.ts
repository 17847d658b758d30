/** Running operations that may have to wait, from where waiting is possible: the host's side of `vfs/waiting.ts`. */

import { ErrnoError } from '../abi/errno.ts'
import type { Clock, Timer } from '../abi/platform.ts'
import { Attempt, WaitQueue, WouldBlock } from '../vfs/waiting.ts'

/** What it takes to wait. */
export interface Waiting {
  readonly clock: Clock
  readonly timer: Timer
  /** Gives what the work gives; the kernel's thread does not rest until then. Left out where the thread never rests. */
  readonly awaited?: <T>(work: Promise<T>) => Promise<T>
}

/** Code that is a file of its own, loaded when it is first needed: `await loaded(waiting, import(…))`. */
export function loaded<T>({ awaited }: Waiting, code: Promise<T>): Promise<T> {
  return awaited ? awaited(code) : code
}

/**
 * Calls back, once, when one of the queues wakes or the deadline passes; gives what calls it off. Whoever calls it does so in
 * the turn in which the operation threw, so that no wake is missed.
 */
export function whenWoken({ timer }: Waiting, { queues, deadline }: WouldBlock, callback: () => void): () => void {
  const callOff = () => {
    for (const queue of queues) queue.remove(waiter)
    stopTimer?.()
  }
  const waiter = {
    wake() {
      callOff()
      callback()
    },
  }
  const stopTimer = deadline === undefined ? undefined : timer.at(deadline, () => waiter.wake())
  for (const queue of queues) queue.add(waiter)
  return callOff
}

/** Resolves when one of the queues wakes or the deadline passes. `also` are further queues that end the wait (a kill). */
export function woken(waiting: Waiting, { queues, deadline }: WouldBlock, ...also: WaitQueue[]): Promise<void> {
  if (deadline !== undefined && deadline <= waiting.clock.monotonic()) return Promise.resolve()
  return new Promise((resolve) => {
    whenWoken(waiting, new WouldBlock([...queues, ...also], deadline), resolve)
  })
}

/** What ends operations that wait, and keeps further ones from being made: the end of what they work on. */
export class Cancellation {
  readonly queue = new WaitQueue()
  #why: string | undefined

  /** `why` is for a person. The first counts. */
  cancel(why: string): void {
    this.#why ??= why
    this.queue.wake()
  }

  /** Errors: ECANCELED. */
  check(): void {
    if (this.#why !== undefined) throw new ErrnoError('ECANCELED', undefined, this.#why)
  }

  /** What work gives that goes on in any case, for others. Errors: its own; ECANCELED if this is cancelled first. */
  unlessCancelled<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = {
        wake: () => {
          try {
            this.check()
          } catch (error) {
            reject(error)
          }
        },
      }
      this.queue.add(waiter)
      waiter.wake()
      work.then(resolve, reject).finally(() => this.queue.remove(waiter))
    })
  }
}

/**
 * Runs an operation until it no longer throws WouldBlock, and gives its result or its error. `settle` is called after the
 * last try if there was more than one. Errors: ECANCELED.
 */
export async function untilDone<T>(
  waiting: Waiting,
  operation: () => T,
  settle: () => void,
  cancellation?: Cancellation,
): Promise<T> {
  let waited = false
  const also = cancellation ? [cancellation.queue] : []
  try {
    for (;;) {
      cancellation?.check()
      try {
        return operation()
      } catch (cause) {
        if (!(cause instanceof WouldBlock)) throw cause
        waited = true
        await woken(waiting, cause, ...also)
      }
    }
  } finally {
    if (waited) settle()
  }
}

/** The same with an Attempt of its own, which holds what the operation has done so far. */
export function attempted<T>(
  waiting: Waiting,
  operation: (attempt: Attempt) => T,
  cancellation?: Cancellation,
): Promise<T> {
  const attempt = new Attempt()
  return untilDone(
    waiting,
    () => operation(attempt),
    () => attempt.end(),
    cancellation,
  )
}
