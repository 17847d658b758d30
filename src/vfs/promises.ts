/**
 * Mount promises: a place may be declared to be mounted on later. Until it is, operations that start there or come by wait; from
 * then on, those that start there start in the mount.
 *
 * Invariants: `mount.promises.get(point)` is the promise until it is broken; it counts in `point.mounts`, so that a walk
 * which meets no promise pays nothing for them.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Context } from './context.ts'
import type { Dentry } from './dentry.ts'
import { type Mount, topmost, type VirtualDentry } from './mount.ts'
import { WaitQueue, WouldBlock } from './waiting.ts'

/**
 * What an operation does that has waited for too long: it fails with ETIMEDOUT; it says so and fails; it says so, once per
 * promise, and waits on; it takes the kernel down.
 */
export type PromiseTimeout = 'error' | 'warn-error' | 'warn-wait' | 'fatal'

export interface PromiseTerms {
  /** Nanoseconds that an operation waits; for ever if left out. */
  readonly timeout?: bigint
  /** `error` if left out. */
  readonly action?: PromiseTimeout
  readonly warn?: (warning: string) => void
}

export class MountPromise {
  readonly mount: Mount
  readonly point: Dentry
  state: 'open' | 'kept' | 'broken' = 'open'
  /** Woken when it is kept or broken. */
  readonly queue = new WaitQueue()
  readonly #terms: PromiseTerms
  #warned = false

  constructor(place: VirtualDentry, terms: PromiseTerms) {
    this.mount = place.mount
    this.point = place.dentry
    this.#terms = terms
  }

  /** Something was mounted there. */
  keep(): void {
    if (this.state !== 'open') return
    this.state = 'kept'
    this.queue.wake()
  }

  /** The place is gone, and the promise with it; who waits goes on and finds out. */
  break(): void {
    if (this.state === 'broken') return
    this.state = 'broken'
    this.mount.promises?.delete(this.point)
    this.point.mounts--
    this.queue.wake()
  }

  /** Errors: WouldBlock while it is open; ETIMEDOUT when the operation has waited for too long; with `fatal` a plain Error. */
  await({ attempt, clock }: Context, path: string): void {
    if (this.state !== 'open') return
    const { timeout, action = 'error', warn } = this.#terms
    if (timeout === undefined) throw new WouldBlock([this.queue])
    const deadline = attempt.note(this, () => clock.monotonic() + timeout)
    if (clock.monotonic() < deadline) throw new WouldBlock([this.queue], deadline)
    const message = `nothing was mounted on ${path} in ${timeout / 1_000_000n} ms, as was promised`
    if (action === 'fatal') throw new Error(message)
    if (action === 'warn-error' || (action === 'warn-wait' && !this.#warned)) warn?.(message)
    this.#warned = true
    if (action === 'warn-wait') throw new WouldBlock([this.queue])
    throw new ErrnoError('ETIMEDOUT', path, 'nothing was mounted there, as was promised')
  }
}

/** Declares that something will be mounted on a place. Errors: a plain Error for a place that was promised before: that is a bug. */
export function promiseMount(at: VirtualDentry, terms: PromiseTerms = {}): MountPromise {
  const place = topmost(at)
  const { mount, dentry } = place
  mount.promises ??= new Map()
  if (mount.promises.has(dentry)) throw new Error('a mount was promised there already')
  const promise = new MountPromise(place, terms)
  mount.promises.set(dentry, promise)
  dentry.mounts++
  mount.namespace?.notify()
  return promise
}
