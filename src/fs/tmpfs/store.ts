/**
 * Keeps a tmpfs in a key-value store, as a log (docs/store-format.md). A commit packs the pages that changed into segments, then
 * writes one log record that says of every inode that changed how it is now; records are never changed. From time to time the
 * state is written down in chunks, a few with each commit, and when all that had changed are there, the log before them goes.
 *
 * Invariants: one commit is under way at a time. A log record is written only when every segment that it refers to is on disk.
 * What a commit found is, until it is done, in its `Commit`; if it fails, all of it has changed again.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { toHex } from '../../abi/hex.ts'
import type { Clock, Entropy, Timer } from '../../abi/platform.ts'
import { type Attempt, WaitQueue, WouldBlock } from '../../vfs/waiting.ts'
import { Checkpoint } from './checkpoint.ts'
import { chooseMoves, isCleaningLate, isCleaningWanted } from './cleaner.ts'
import { Commit, deletions, keysOf } from './commit.ts'
import type { TmpfsNode } from './inodes.ts'
import { Journal, type JournalOwner } from './journal.ts'
import { type KeyValueStore, type RecordChange, type StoredValue, StoreFailure } from './key-value-store.ts'
import { NodeTable } from './node-table.ts'
import { meaningOf, Ownership, stale } from './ownership.ts'
import {
  carriedBy,
  decodeRoot,
  encodeRoot,
  encodeSnapshot,
  HEAD,
  type LastNumbers,
  type LogRange,
  logKey,
  newRecords,
  numberIn,
  RESERVE,
  ROOT,
  type Root,
  snapshotKey,
} from './records.ts'
import { isUnused, type Segment, Segments } from './segments.ts'
import { StoredTree } from './stored-tree.ts'
import type { Tmpfs } from './tmpfs.ts'
import { Trees } from './trees.ts'
import { type Waiter, Waiters } from './waiters.ts'

export interface StoreOptions {
  /** What errors call it. */
  readonly name: string
  readonly records: KeyValueStore
  readonly clock: Clock
  readonly timer: Timer
  readonly entropy: Entropy
  /** Whether a program that writes faster than the store takes can be made to wait; the host can. */
  readonly writersWait?: boolean
  /** Hears when there is something that is not on disk yet, and when there is not any more. */
  readonly onDirty?: (dirty: boolean) => void
}

export interface Opening {
  /** To show what was committed; it must be there. */
  readonly readonly?: boolean
  /** Where a record of the log is damaged: to show what was there before it, read-only. */
  readonly rescue?: boolean
}

export interface StoreUsage {
  /** Bytes of file data in the store, and what of them is in use. */
  readonly stored: number
  readonly live: number
  readonly segments: number
  readonly inodes: number
  /** Bytes of the log since the last checkpoint. */
  readonly log: number
  /** The longest that a checkpoint's or the cleaner's step took, milliseconds. */
  readonly longestStep: number
}

/** A commit begins this long after the first change, at the latest: with the commit itself it is less than a second. */
const COMMIT_AFTER = 400_000_000n
const RETRY_AFTER = 1_000_000_000n
const UPKEEP_AFTER = 20_000_000n
/** And when so many bytes were written. */
const COMMIT_BYTES = 8 << 20
/** From here on writers wait for the commit that is under way. */
const WAIT_BYTES = 32 << 20
const RESERVE_BYTES = 2 << 20
const NO_MOVES = { moves: [], more: false }

export class Store implements JournalOwner {
  readonly journal = new Journal(this)
  readonly segments: Segments
  /** Which records are damaged, and what that means; mostly none. */
  readonly damage: readonly string[]
  /** Resolves when it is closed and all is on disk. Rejects with the reason why something is not. */
  readonly closed: Promise<void>
  readonly #options: StoreOptions
  readonly #records: KeyValueStore
  readonly #queue = new WaitQueue()
  readonly #waiters = new Waiters()
  readonly #checkpoint: Checkpoint
  readonly #trees: Trees
  readonly #readonly: boolean
  readonly #nodes: NodeTable
  #filesystem!: Tmpfs
  readonly #owner: Ownership
  #root: Root
  #reserved = false
  #flight: Promise<void> | undefined
  /** The commit that is under way is not only upkeep. */
  #carriesChanges = false
  /** Of the transaction under way; undefined for one that nobody can wait for. */
  #flightTicket: number | undefined
  #writtenBytes = 0
  #logBytes = 0
  #stopTimer: (() => void) | undefined
  #lost: ErrnoError | undefined
  #failed: ErrnoError | undefined
  /** The last transaction was a bare commit. */
  #madeSpace = false
  /** False where the last commit did not find the space for what the cleaner wanted elsewhere. */
  #cleans = true
  #wasDirty = false
  #closing = false
  #close!: (closing: Promise<void>) => void

  private constructor(
    options: StoreOptions,
    loaded: ReadonlyMap<string, StoredValue>,
    { readonly, rescue }: Required<Opening>,
  ) {
    this.#options = options
    this.#records = options.records
    this.segments = new Segments(options.records)
    this.#checkpoint = new Checkpoint(() => Number(options.clock.monotonic()) / 1e6)
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
    this.closed.catch(() => {})
    this.#root = decodeRoot(loaded.get(ROOT))
    this.#owner = new Ownership(options.name, options.records, loaded, this.#root)
    this.#reserved = loaded.has(RESERVE)
    this.#trees = new Trees(loaded)
    for (const [key, value] of loaded) {
      if (key.startsWith('segment/')) this.segments.add(numberIn(key), sizeOf(value), value, true)
      const carried = key.startsWith('log/') ? carriedBy(key, value) : undefined
      if (!carried) continue
      if (carried.damaged) this.#trees.keep(key)
      this.segments.add(carried.id, carried.bytes.length, carried.bytes, true, key)
    }
    const tree = new StoredTree(loaded, this.#owner.tip, this.#root, {
      ...{ segments: this.segments, volume: options.name, rescue },
      touched: (ino, part) => this.#checkpoint.changed(ino, part),
    })
    this.#logBytes = tree.logBytes
    this.segments.lastId = Math.max(this.segments.lastId, tree.lastSegment)
    this.#nodes = new NodeTable(tree, this.segments)
    this.#readonly = readonly || tree.damage.length > 0
    this.damage = [...tree.damage, ...this.#trees.damage]
  }

  /**
   * Reads a store; an empty one is made. Attach its journal to a new tmpfs, which is to be read-only if the store is; its files come
   * with that. Then `claim` it, unless it is read-only. Errors: EIO for records that are of another format, or without which nothing
   * can be said of the files: then nothing is changed.
   */
  static async open(options: StoreOptions, { readonly = false, rescue = false }: Opening = {}): Promise<Store> {
    let loaded: ReadonlyMap<string, StoredValue> = await options.records.load()
    if (loaded.size === 0) {
      if (readonly) throw new ErrnoError('ENOENT', undefined, `the volume "${options.name}" holds nothing yet`)
      const id = new Uint8Array(16)
      options.entropy.fill(id)
      const store = toHex(id)
      const changes = newRecords(store)
      await options.records.commit(changes, { key: HEAD, value: undefined }).catch((failure) => {
        throw meaningOf(failure, options.name, undefined)
      })
      loaded = new Map(changes.map(({ key, value }) => [key, value]))
    }
    return new Store(options, loaded, { readonly, rescue })
  }

  /** It was opened for that, or is damaged: nothing of it is changed. */
  get readonly(): boolean {
    return this.#readonly
  }

  /** Fills a new tmpfs. */
  attach(filesystem: Tmpfs): void {
    this.#filesystem = filesystem
    this.segments.cacheAtMost(filesystem.cacheBytes)
    this.#nodes.attach(filesystem)
  }

  inode(ino: number): TmpfsNode {
    return this.#nodes.named(ino)
  }

  /**
   * Becomes the one owner: whoever was it before cannot commit any more; `contested` if he may be there still. Errors: EIO, ENOSPC;
   * ESTALE for a store that has changed since it was opened: it is to be opened again.
   */
  async claim({ contested }: { readonly contested: boolean }): Promise<void> {
    for (const segment of this.segments.byId.values()) {
      if (!isUnused(segment)) continue
      // One that the log tells of and that has gone since has no record.
      if (segment.size === 0) this.segments.remove(segment)
      else this.segments.dead.add(segment)
    }
    this.#collect()
    const dead = this.#deadSegments()
    const garbage = [...this.#trees.garbage, ...keysOf(dead)]
    const claim = () => this.#owner.claim(deletions(garbage), this.#lastNumbers, contested)
    await claim().catch(async (error) => {
      if (error.code !== 'ENOSPC' || !this.#reserved) throw error
      await this.#giveReserve()
      await claim()
    })
    if (!contested) this.#trees.wrote([logKey(this.#owner.position)])
    this.#removed(garbage, dead)
    if (!this.#nodes.has(this.#filesystem.root.ino)) this.journal.changed(this.#filesystem.root as TmpfsNode)
  }

  async #giveReserve(): Promise<void> {
    this.#reserved = false
    await this.#owner.transact([{ key: RESERVE, value: undefined }])
  }

  get #lastNumbers(): LastNumbers {
    return { lastIno: this.#filesystem.lastIno, lastSegment: this.segments.lastId }
  }

  get dirty(): boolean {
    return this.journal.changes.size > 0 || this.#flight !== undefined
  }

  dirtied(): void {
    if (!this.#flight) this.#arm(COMMIT_AFTER)
    this.#tellDirty()
  }

  #tellDirty(): void {
    const dirty = this.journal.changes.size > 0 || this.#carriesChanges
    if (this.#wasDirty === dirty) return
    this.#wasDirty = dirty
    this.#options.onDirty?.(dirty)
  }

  #arm(after: bigint): void {
    if (this.#stopTimer || this.#lost || this.#readonly || this.#closing) return
    const { timer, clock } = this.#options
    this.#stopTimer = timer.at(clock.monotonic() + after, () => {
      this.#stopTimer = undefined
      this.flush()
    })
  }

  wrote(bytes: number, attempt: Attempt): void {
    if (this.#lost || this.#readonly) return
    if (this.#writtenBytes > COMMIT_BYTES && this.#failed?.code === 'ENOSPC') throw this.#failed
    const waits = this.#options.writersWait || attempt.caller?.pid === 0
    if (this.#writtenBytes > WAIT_BYTES && this.#flight && waits && !attempt.cancelled)
      throw new WouldBlock([this.#queue])
    this.#writtenBytes += bytes
    if (this.#writtenBytes > COMMIT_BYTES && !this.#failed) this.flush()
  }

  /** Begins a commit of what has changed, unless one is under way. */
  flush(): void {
    if (!this.#flight && !this.#lost && !this.#readonly) this.#start()
  }

  /** fsync(2): waits for a commit of all that had changed when it was called. Errors: ENOSPC, EIO, ESTALE. */
  sync(attempt: Attempt): void {
    if (this.#readonly) return
    const waiter = attempt.noted<Waiter>(this) ?? this.#await()
    if (waiter.failure) throw waiter.failure
    if (waiter.done) return
    attempt.note(this, () => waiter)
    throw new WouldBlock([this.#queue])
  }

  #await(): Waiter {
    if (this.#lost) return { ticket: 0, done: false, failure: this.#lost }
    if (this.journal.changes.size === 0)
      return this.#flight ? this.#waiters.add(this.#flightTicket) : { ticket: 0, done: true, failure: undefined }
    const waiter = this.#waiters.add()
    this.flush()
    return waiter
  }

  /** Resolves when all that has changed by now is on disk. Errors: as sync. */
  async settled(): Promise<void> {
    if (this.#readonly) return
    const waiter = this.#await()
    while (!waiter.done && !waiter.failure) await this.#flight
    if (waiter.failure) throw waiter.failure
  }

  #start(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
    // So much is stored that what the cleaner has asked for has to come first.
    const before = isCleaningLate(this.segments, this.#trees.pinned) ? this.segments.coming : undefined
    if (!before) {
      this.#commit()
      return
    }
    this.#flightTicket = undefined
    this.#flight = before.then(() => {
      this.#flight = undefined
      this.#commit()
    })
  }

  #commit({ bare = false } = {}): void {
    const commit = this.#freeze(bare)
    if (!commit) {
      // Nothing has changed: a bare commit may have had all of it.
      this.#waiters.answer(Number.POSITIVE_INFINITY)
      this.#queue.wake()
      return
    }
    this.#flightTicket = bare ? undefined : commit.ticket
    this.#carriesChanges = commit.changes.size > 0
    this.#flight = this.#write(commit).then(
      () => this.#succeeded(commit),
      (failure) => this.#broke(commit, failure),
    )
  }

  #chooseMoves(): ReturnType<typeof chooseMoves> {
    return this.#checkpoint.timed((isOver) =>
      chooseMoves({
        ...{ segments: this.segments, pinned: this.#trees.pinned, journal: this.journal, nodes: this.#nodes },
        ...{ waiting: this.#waiters.any, isOver },
      }),
    )
  }

  /** Takes all that has changed, as it is at this moment. */
  #freeze(bare: boolean): Commit | undefined {
    const isIdle = this.journal.changes.size === 0
    const { moves, more } = bare || !this.#cleans ? NO_MOVES : this.#chooseMoves()
    const pendingChunks = !bare && this.#checkpoint.wants(this.#logBytes, this.#owner.position + 1, isIdle)
    if (this.journal.changes.size === 0 && !pendingChunks && !this.#hasUnneeded) {
      if (more) this.#arm(UPKEEP_AFTER)
      return undefined
    }
    const bytes = bare ? 0 : this.#writtenBytes
    this.#writtenBytes -= bytes
    return new Commit({
      ...{ journal: this.journal, segments: this.segments, records: this.#records, nodes: this.#nodes },
      ...{ checkpoint: this.#checkpoint, filesystem: this.#filesystem, tip: this.#owner.tip, root: this.#root },
      ...{ moves, bytes, bare, ticket: this.#waiters.begin() },
      garbage: [...this.#trees.garbage],
      dead: () => this.#deadSegments(),
    })
  }

  get #hasUnneeded(): boolean {
    return this.#trees.garbage.size > 0 || keysOf(this.#deadSegments()).length > 0
  }

  #deadSegments(): Segment[] {
    return [...this.segments.dead].filter(({ id, stored }) => stored && !this.#trees.pinned.has(id))
  }

  async #write(commit: Commit): Promise<void> {
    const groups = commit.first.map((changes) => this.#owner.transact(changes))
    for (const outcome of await Promise.allSettled(groups)) if (outcome.status === 'rejected') throw outcome.reason
    const changes = commit.last
    try {
      await this.#owner.append(changes)
    } catch (failure) {
      // What frees space may need a little for itself: that is what the reserve is for. And what was freed browsers give back late.
      const frees = commit.cleans && commit.size <= RESERVE_BYTES
      const mayUseReserve = this.#reserved && (commit.isSmall || frees || this.#madeSpace)
      if (!(failure instanceof StoreFailure && failure.reason === 'full' && mayUseReserve)) throw failure
      await this.#giveReserve()
      await this.#owner.append(changes)
    }
  }

  #succeeded(commit: Commit): void {
    this.#flight = undefined
    this.#carriesChanges = false
    this.#failed = undefined
    this.#owner.position = commit.position
    this.#trees.wrote([logKey(commit.position), ...commit.chunks.map(({ key }) => key)])
    this.#removed(commit.garbage, commit.dead)
    this.#logBytes += commit.log.length
    commit.done()
    if (commit.root) {
      this.#root = commit.root
      this.#logBytes = 0
      this.#collect()
    }
    for (const segment of commit.segments) {
      segment.stored = true
      if (!segment.isSmall) this.#fetch(segment)
    }
    for (const kept of commit.kept) {
      const page = kept.file.data?.page(kept.index)
      if (page?.kept === kept && page.end === kept.length && page.bytes.length > 0) this.segments.stay(kept)
    }
    if (!commit.bare) this.#waiters.answer(commit.ticket)
    this.#madeSpace = commit.bare
    this.#cleans = true
    this.#goOn()
  }

  /** The Blob that was put keeps its bytes in memory; the one that is got is on disk. */
  #fetch(segment: Segment): void {
    this.#records.get(segment.key).then(
      (value) => {
        if (value && sizeOf(value) === segment.size) segment.value = value
      },
      () => {},
    )
  }

  #removed(garbage: readonly string[], dead: readonly Segment[]): void {
    this.#trees.removed(garbage)
    for (const segment of dead) if (isUnused(segment)) this.segments.remove(segment)
  }

  /** Nothing of the commit happened, or nothing that counts: what it took has changed still. */
  #broke(commit: Commit, failure: unknown): void {
    this.#flight = undefined
    this.#carriesChanges = false
    const error = this.#owner.meaningOf(failure)
    this.#failed = error
    if (failure instanceof StoreFailure && failure.reason === 'guard') this.#lost = error
    commit.undo()
    this.#writtenBytes += commit.bytes
    if (commit.first.length > 0) for (const { key } of commit.segments) this.#trees.garbage.add(key)
    if (error.code === 'ENOSPC' && commit.cleans) {
      this.#cleans = false
      this.#commit()
      return
    }
    this.#cleans = true
    // What was removed takes its space until a commit says so, and so does what this one left: it goes first, once, and then all is tried again.
    const makesSpace = error.code === 'ENOSPC' && !commit.bare && !this.#madeSpace && this.#hasUnneeded
    if (makesSpace) {
      this.#commit({ bare: true })
      return
    }
    this.#madeSpace = false
    this.#waiters.answer(this.#lost ? Number.POSITIVE_INFINITY : commit.ticket, error)
    this.#goOn()
  }

  #goOn(): void {
    if (this.#waiters.any && !this.#lost && !this.#flight) this.#start()
    this.#queue.wake()
    if (this.#closing || this.#lost) {
      this.#tellDirty()
      return
    }
    if (!this.#flight) {
      if (this.#failed) this.#arm(RETRY_AFTER)
      else if (this.#writtenBytes > COMMIT_BYTES || isCleaningLate(this.segments, this.#trees.pinned)) this.#start()
      else if (this.journal.changes.size > 0) this.#arm(COMMIT_AFTER)
      else if (this.#hasUpkeep) this.#arm(UPKEEP_AFTER)
    }
    this.#tellDirty()
  }

  /** Something to do that nobody waits for. */
  get #hasUpkeep(): boolean {
    return (
      this.#checkpoint.isUnderWay ||
      this.#checkpoint.isWorthIt(this.#logBytes) ||
      isCleaningWanted(this.segments, this.#trees.pinned) ||
      this.#trees.garbage.size > 0
    )
  }

  #collect(): void {
    this.#trees.collect(this.#root, this.#owner.position, this.segments.byId.values())
  }

  /** A transaction apart from commits, when there is nothing to commit; what it is made of is asked for then. */
  async #apart<T>(make: () => { changes: readonly RecordChange[]; done: () => T }): Promise<T> {
    if (this.#readonly) {
      const why = this.damage.length > 0 ? `it is damaged: ${this.damage.join('; ')}` : 'it was opened for that'
      throw new ErrnoError('EROFS', undefined, `the volume "${this.#options.name}" is only read: ${why}`)
    }
    for (;;) {
      await this.settled()
      if (!this.dirty) break
    }
    const { changes, done } = make()
    let result!: T
    let failure: unknown
    const ticket = this.#waiters.begin()
    this.#flightTicket = ticket
    this.#flight = this.#owner.transact(changes).then(
      () => {
        this.#flight = undefined
        result = done()
      },
      (reason) => {
        this.#flight = undefined
        failure = this.#owner.meaningOf(reason)
      },
    )
    await this.#flight
    this.#waiters.answer(ticket)
    this.#goOn()
    if (failure) throw failure
    return result
  }

  get snapshots(): Trees['snapshots'] {
    return this.#trees.snapshots
  }

  /** Keeps the tree as it is now under a name. Errors: EEXIST; as sync. */
  takeSnapshot(name: string): Promise<void> {
    return this.#apart(() => {
      this.#trees.requireFree(name)
      const segments = [...this.segments.byId.values()].filter((each) => !isUnused(each)).map(({ id }) => id)
      const snapshot = { time: Number(this.#options.clock.realtime() / 1_000_000n), segments, root: this.#closedRoot() }
      return {
        changes: [{ key: snapshotKey(name), value: encodeSnapshot(snapshot) }],
        done: () => {
          this.#trees.setSnapshot(name, snapshot)
          // What the cleaner has asked for is pinned now.
          this.segments.forget()
        },
      }
    })
  }

  /** The root of the tree as it is, whatever comes behind it in the log. */
  #closedRoot(): Root {
    const position = this.#owner.position
    const { ranges, tail } = this.#root
    const all: LogRange[] = position >= tail ? [...ranges, [tail, position]] : [...ranges]
    return {
      ...this.#root,
      ...this.#lastNumbers,
      lastChunk: this.#checkpoint.lastChunk,
      ranges: all,
      tail: position + 1,
    }
  }

  /** Errors: ENOENT; as sync. */
  deleteSnapshot(name: string): Promise<void> {
    return this.#apart(() => {
      this.#trees.requireThere(name)
      return {
        changes: [{ key: snapshotKey(name), value: undefined }],
        done: () => {
          this.#trees.setSnapshot(name, undefined)
          this.#collect()
        },
      }
    })
  }

  /** The tree is what it was; the files in memory are not: close the store, and open it again. Errors: ENOENT; as sync. */
  rollBack(name: string): Promise<void> {
    return this.#apart(() => {
      const { root } = this.#trees.snapshot(name)
      const { lastIno, lastSegment, lastChunk } = this.#closedRoot()
      const tail = this.#owner.position + 1
      const next = { ...root, tail, lastIno, lastSegment, lastChunk }
      return {
        changes: [{ key: ROOT, value: encodeRoot(next) }],
        done: () => {
          this.#lost = stale(this.#options.name)
        },
      }
    })
  }

  /** Puts the reserve in its place, when nothing else is to be done. */
  reserve(): Promise<void> {
    if (this.#reserved) return Promise.resolve()
    // Of zeros a browser would store next to nothing.
    const bytes = new Uint8Array(RESERVE_BYTES)
    this.#options.entropy.fill(bytes)
    return this.#apart(() => ({
      changes: [{ key: RESERVE, value: bytes }],
      done: () => {
        this.#reserved = true
      },
    }))
  }

  get usage(): StoreUsage {
    const { size, live, byId } = this.segments
    const { longestStep } = this.#checkpoint
    return { stored: size, live, segments: byId.size, inodes: this.#nodes.size, log: this.#logBytes, longestStep }
  }

  /** Somebody else is the owner: nothing can be committed any more. */
  lose(): void {
    this.#lost ??= stale(this.#options.name)
  }

  /** The last mount is gone: commits what there is, and closes. */
  release(): void {
    if (this.#closing) return
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#closing = true
    this.#close(this.#end())
  }

  async #end(): Promise<void> {
    try {
      while (!this.#readonly && this.dirty) await this.settled()
    } finally {
      await this.#records.close()
      if (this.#wasDirty) this.#options.onDirty?.(false)
    }
  }
}

const sizeOf = (value: StoredValue) => (value instanceof Uint8Array ? value.length : value.size)
