/**
 * A small kernel for tests of calls that wait: tasks over a tmpfs, and calls that are made again, in the order in which they
 * were woken, when a test says so. Nothing depends on time.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Clock } from '../abi/platform.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { EventCalls } from '../kernel/event-calls.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import { type Superblock, VirtualDentry } from '../vfs/mount.ts'
import { Vfs } from '../vfs/vfs.ts'
import { Attempt, type WaitQueue, WouldBlock } from '../vfs/waiting.ts'

/** A call under way, or over. */
export class Call<T> {
  state: 'waiting' | 'done' | 'failed' | 'killed' = 'waiting'
  result: T | undefined
  error: unknown
  deadline: bigint | undefined
  tries = 0
  readonly #world: World
  readonly #task: Task
  readonly #operation: () => T
  readonly #attempt = new Attempt()
  #queues: readonly WaitQueue[] = []

  constructor(world: World, task: Task, operation: () => T) {
    this.#world = world
    this.#task = task
    this.#operation = operation
    this.try()
  }

  try(): void {
    if (this.state !== 'waiting') return
    this.tries++
    try {
      this.result = this.#task.trying(this.#attempt, this.#operation)
      this.state = 'done'
    } catch (thrown) {
      if (thrown instanceof WouldBlock) {
        this.#queues = thrown.queues
        this.deadline = thrown.deadline
        for (const queue of thrown.queues) queue.add(this)
        return
      }
      this.error = thrown
      this.state = 'failed'
    }
    this.#attempt.end()
  }

  wake(): void {
    this.#leaveQueues()
    this.#world.woken.push(this)
  }

  #leaveQueues(): void {
    for (const queue of this.#queues) queue.remove(this)
    this.#queues = []
  }

  /** The name of the error. */
  get code(): string | undefined {
    return this.error instanceof ErrnoError ? this.error.code : undefined
  }

  /** How it stands: its result, the name of its error, or that it waits. */
  get outcome(): T | string | undefined {
    if (this.state === 'done') return this.result
    return this.state === 'failed' ? (this.code ?? String(this.error)) : this.state
  }

  /** The caller was killed. */
  kill(): void {
    if (this.state !== 'waiting') return
    this.#leaveQueues()
    this.state = 'killed'
    this.#attempt.end()
  }
}

export class World {
  now = 1_000_000_000n
  readonly vfs: Vfs
  readonly superblock: Superblock
  readonly woken: Call<unknown>[] = []
  readonly #root: VirtualDentry
  readonly #tasks: Task[] = []
  #lastPid = 100

  constructor() {
    const clock: Clock = { realtime: () => this.now, monotonic: () => this.now, coarse: () => this.now }
    this.vfs = new Vfs(clock, new DeviceRegistry())
    this.vfs.types.register(tmpfsType)
    this.superblock = this.vfs.newFilesystem({ type: 'tmpfs' })
    const mount = this.vfs.newMount(this.superblock)
    this.vfs.newNamespace(mount)
    this.#root = new VirtualDentry(mount, mount.root)
  }

  /** A process. */
  process(uid = 0, openFiles?: number): { task: Task; events: EventCalls } {
    const credentials = credentialsOf(uid, uid)
    const task = new Task({ vfs: this.vfs, credentials, root: this.#root, umask: 0, openFiles })
    this.#tasks.push(task)
    task.descriptors.pid = ++this.#lastPid
    return { task, events: new EventCalls(task) }
  }

  call<T>(task: Task, operation: () => T): Call<T> {
    return new Call(this, task, operation)
  }

  /** Makes woken calls again until none is woken. */
  run(): void {
    for (let call = this.woken.shift(); call; call = this.woken.shift()) call.try()
  }

  /** A process ends, by itself or by a kill. */
  exit({ task }: { readonly task: Task }): void {
    this.#tasks.splice(this.#tasks.indexOf(task), 1)
    task.release()
  }

  /** Ends all processes that have not ended. */
  end(): void {
    for (const task of [...this.#tasks]) this.exit({ task })
  }

  /** What is left of what was made: all zero when all processes have ended. */
  get live(): Record<string, number> {
    const { superblock, vfs } = this
    return {
      opens: superblock.opens,
      writers: this.#root.mount.writers,
      fifos: superblock.fifos?.size ?? 0,
      locks: superblock.locks?.size ?? 0,
      watches: vfs.watching.live,
      watchedSuperblocks: superblock.watches ? 1 : 0,
      rangeWaiters: vfs.rangeWaiters.size,
      anonymous: vfs.anonymousFiles.users,
      woken: this.woken.length,
    }
  }
}

export const NOTHING_LEFT = {
  ...{ opens: 0, writers: 0, fifos: 0, locks: 0, watches: 0 },
  ...{ watchedSuperblocks: 0, rangeWaiters: 0, anonymous: 0, woken: 0 },
}
