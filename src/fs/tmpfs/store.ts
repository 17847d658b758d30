/**
 * Keeps a tmpfs in a key-value store, as a log (docs/store-format.md). A commit packs the pages that changed into segments, then
 * writes one log record that says of every inode that changed how it is now; records are never changed. From time to time the
 * state is written down in chunks, a few with each commit, and when all that had changed are there, the log before them goes.
 *
 * Invariants: one commit is under way at a time. A log record is written only when every segment that it refers to is on disk.
 * Every transaction is strict and compares the head, so that none happens to a store which is another's or was cleared. What a
 * commit found is, until it is done, in `Frozen`; if it fails, all of it has changed again.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { toHex } from '../../abi/hex.ts'
import type { Clock, Entropy, Timer } from '../../abi/platform.ts'
import { type Attempt, WaitQueue, WouldBlock } from '../../vfs/waiting.ts'
import { Checkpoint } from './checkpoint.ts'
import { chooseMoves, type Move } from './cleaner.ts'
import type { TmpfsNode } from './inodes.ts'
import { readItems, type StoredInode, writeGone, writeItem } from './items.ts'
import { type Change, Journal, type JournalOwner } from './journal.ts'
import { type KeyValueStore, type RecordChange, type StoredValue, StoreFailure } from './key-value-store.ts'
import { Packer } from './pack.ts'
import {
  begin,
  chunkKey,
  decodeHead,
  decodeRoot,
  decodeSnapshot,
  encodeHead,
  encodeRoot,
  encodeSnapshot,
  HEAD,
  type Head,
  type LogRange,
  logKey,
  opened,
  RESERVE,
  ROOT,
  type Root,
  type Snapshot,
  segmentKey,
  snapshotKey,
} from './records.ts'
import { restoreFiles } from './restore.ts'
import { type Kept, type Segment, Segments } from './segments.ts'
import { meaningOf, stale } from './store-errors.ts'
import type { Tmpfs } from './tmpfs.ts'

export interface StoreOptions {
  /** What errors call it. */
  readonly name: string
  readonly records: KeyValueStore
  readonly clock: Clock
  readonly timer: Timer
  readonly entropy: Entropy
  /** How many bytes of unchanged pages stay in memory; 64 MiB if left out. */
  readonly cacheBytes?: number
  /** Whether who writes faster than the store takes can be made to wait. */
  readonly writersWait?: boolean
  /** Hears when there is something that is not on disk yet, and when there is not any more. */
  readonly onDirty?: (dirty: boolean) => void
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
/** And when so many bytes were written. */
const COMMIT_BYTES = 8 << 20
/** From here on writers wait for the commit that is under way. */
const WAIT_BYTES = 32 << 20
const RESERVE_BYTES = 2 << 20
/** Segments of one transaction. */
const SEGMENTS_AT_ONCE = 8
const DEFAULT_CACHE = 64 << 20

/** What one commit writes. */
interface Frozen {
  readonly changes: Map<TmpfsNode, Change>
  readonly position: number
  readonly ticket: number
  readonly bytes: number
  readonly segments: readonly Segment[]
  readonly kept: readonly Kept[]
  readonly moves: readonly Move[]
  readonly added: readonly TmpfsNode[]
  readonly gone: readonly TmpfsNode[]
  readonly dead: readonly Segment[]
  readonly garbage: readonly string[]
  readonly log: Uint8Array
  readonly chunks: readonly RecordChange[]
  readonly root: Root | undefined
}

/** An fsync that waits for a commit. */
interface Waiter {
  readonly ticket: number
  done: boolean
  failure: ErrnoError | undefined
}

export class Store implements JournalOwner {
  readonly journal = new Journal(this)
  readonly segments: Segments
  /** Resolves when it is closed and all is on disk. Rejects with the reason why something is not. */
  readonly closed: Promise<void>
  readonly #options: StoreOptions
  readonly #records: KeyValueStore
  readonly #queue = new WaitQueue()
  readonly #waiters = new Set<Waiter>()
  readonly #checkpoint: Checkpoint
  readonly #snapshots = new Map<string, Snapshot>()
  /** Segments that a snapshot has. */
  readonly #pinned = new Set<number>()
  readonly #readonly: boolean
  #loaded: ReadonlyMap<string, StoredValue> | undefined
  #filesystem!: Tmpfs
  #head: Head
  #headRecord: Uint8Array
  #root: Root
  #nodes = new Map<number, TmpfsNode>()
  /** Keys of log records and chunks that are there. */
  #present = new Set<string>()
  /** Records that no tree needs, to go with the next transaction. */
  #garbage = new Set<string>()
  #reserved = false
  #flight: Promise<void> | undefined
  /** The commit that is under way is not only upkeep. */
  #carriesChanges = false
  #flightTicket = 0
  #lastTicket = 0
  #writtenBytes = 0
  #logBytes = 0
  #stopTimer: (() => void) | undefined
  #lost: ErrnoError | undefined
  #failed: ErrnoError | undefined
  #wasDirty = false
  #closing = false
  #close!: (closing: Promise<void>) => void

  private constructor(options: StoreOptions, loaded: ReadonlyMap<string, StoredValue>, readonly: boolean) {
    this.#options = options
    this.#records = options.records
    this.#readonly = readonly
    this.#loaded = loaded
    this.segments = new Segments(options.records, options.cacheBytes ?? DEFAULT_CACHE)
    this.#checkpoint = new Checkpoint(() => Number(options.clock.monotonic()) / 1e6)
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
    this.closed.catch(() => {})
    this.#headRecord = loaded.get(HEAD) as Uint8Array
    this.#head = decodeHead(this.#headRecord)
    this.#root = decodeRoot(loaded.get(ROOT))
    if (this.#root.store !== this.#head.store) throw this.#damage('the records "head" and "root" are of two stores')
    for (const [key, value] of loaded) {
      if (key.startsWith('log/') || key.startsWith('chunk/')) this.#present.add(key)
      else if (key.startsWith('snapshot/')) this.#snapshots.set(key.slice(9), decodeSnapshot(key, value))
      else if (key.startsWith('segment/')) this.segments.add(Number(key.slice(8)), sizeOf(value), value, true)
      else if (key === RESERVE) this.#reserved = true
    }
    this.#pin()
  }

  /**
   * Reads a store; an empty one is made. Attach its journal to a new tmpfs, whose files come with that; then `claim` it, unless it
   * is `readonly`. Errors: EIO for records that are missing, damaged or of another format: then nothing is changed.
   */
  static async open(options: StoreOptions, { readonly = false } = {}): Promise<Store> {
    let loaded: ReadonlyMap<string, StoredValue> = await options.records.load()
    if (loaded.size === 0) {
      if (readonly) throw new ErrnoError('ENOENT', undefined, `the volume "${options.name}" holds nothing yet`)
      const id = new Uint8Array(16)
      options.entropy.fill(id)
      const store = toHex(id)
      const head = encodeHead({ store, epoch: 0, position: 0 })
      const root = encodeRoot({
        store,
        chunks: new Map(),
        ranges: [],
        tail: 1,
        lastIno: 1,
        lastSegment: 0,
        lastChunk: 0,
      })
      const changes = [
        { key: HEAD, value: head },
        { key: ROOT, value: root },
      ]
      await options.records.commit(changes, { key: HEAD, value: undefined }).catch((failure) => {
        throw meaningOf(failure, options.name, undefined)
      })
      loaded = new Map(changes.map(({ key, value }) => [key, value]))
    }
    return new Store(options, loaded, readonly)
  }

  #damage(rule: string): ErrnoError {
    return new ErrnoError('EIO', undefined, `volume "${this.#options.name}": ${rule}`)
  }

  /** Fills a new tmpfs. Errors: EIO. */
  attach(filesystem: Tmpfs): void {
    const loaded = this.#loaded!
    this.#loaded = undefined
    const { chunks, ranges, tail } = this.#root
    const inodes = new Map<number, StoredInode>()
    let { lastIno } = this.#root
    this.segments.lastId = Math.max(this.segments.lastId, this.#root.lastSegment)
    for (const [what, number] of chunks) {
      const key = chunkKey(number)
      const reader = opened('chunk', key, loaded.get(key))
      if (reader.text() !== this.#head.store || reader.text() !== what)
        throw this.#damage(`"${key}" is of another tree`)
      readItems(reader, inodes)
    }
    for (const [first, last] of [...ranges, [tail, this.#head.position] as const]) {
      for (let position = first; position <= last; position++) {
        const key = logKey(position)
        const bytes = loaded.get(key)
        const reader = opened('log', key, bytes)
        if (reader.text() !== this.#head.store || reader.number() !== position)
          throw this.#damage(`"${key}" is of another log`)
        lastIno = Math.max(lastIno, reader.number())
        this.segments.lastId = Math.max(this.segments.lastId, reader.number())
        readItems(reader, inodes, (ino, part) => this.#checkpoint.changed(ino, part))
        if (position >= tail) this.#logBytes += (bytes as Uint8Array).length
      }
    }
    for (const inode of inodes.keys()) lastIno = Math.max(lastIno, inode)
    this.#nodes = restoreFiles(filesystem, inodes, {
      what: 'the volume',
      segments: this.segments,
      lastIno,
    })
    this.#filesystem = filesystem
  }

  /** Becomes the one owner: whoever was it before cannot commit any more. Errors: EIO, ENOSPC, ESTALE. */
  async claim(): Promise<void> {
    for (const segment of this.segments.byId.values()) if (segment.pages.size === 0) this.segments.dead.add(segment)
    this.#collect()
    const head = { ...this.#head, epoch: this.#head.epoch + 1 }
    const dead = this.#deadSegments()
    const garbage = [...this.#garbage, ...dead.map(({ id }) => segmentKey(id))]
    await this.#transact([...deletions(garbage), { key: HEAD, value: encodeHead(head) }]).catch((failure) => {
      throw meaningOf(failure, this.#options.name, this.#head)
    })
    this.#setHead(head)
    this.#removed(garbage, dead)
    if (!this.#nodes.has(this.#filesystem.root.ino)) this.journal.changed(this.#filesystem.root as TmpfsNode)
  }

  #setHead(head: Head): void {
    this.#head = head
    this.#headRecord = encodeHead(head)
  }

  /** One strict transaction of ours. */
  #transact(changes: readonly RecordChange[]): Promise<void> {
    return this.#records.commit(changes, { key: HEAD, value: this.#headRecord })
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
    if (this.#writtenBytes > WAIT_BYTES && this.#flight && this.#options.writersWait && !attempt.cancelled)
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
    const waiter: Waiter = { ticket: this.#lastTicket + 1, done: false, failure: this.#lost }
    if (waiter.failure) return waiter
    if (this.journal.changes.size === 0) {
      if (!this.#flight) return { ...waiter, done: true }
      const under = { ...waiter, ticket: this.#flightTicket }
      this.#waiters.add(under)
      return under
    }
    this.#waiters.add(waiter)
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
    const frozen = this.#freeze()
    if (!frozen) return
    this.#flightTicket = frozen.ticket
    this.#carriesChanges = frozen.changes.size > 0
    this.#flight = this.#write(frozen).then(
      () => this.#succeeded(frozen),
      (failure) => this.#broke(frozen, failure),
    )
  }

  /** Takes all that has changed, as it is at this moment. */
  #freeze(): Frozen | undefined {
    const waiting = this.#waiters.size > 0
    const moves = this.#checkpoint.timed(() => chooseMoves(this.segments, this.#pinned, this.journal, { waiting }))
    const pendingChunks = this.#checkpoint.wants(this.#logBytes, this.#head.position + 1)
    const unneeded = this.#garbage.size > 0 || this.#deadSegments().length > 0
    if (this.journal.changes.size === 0 && !pendingChunks && !unneeded) return undefined
    const { changes } = this.journal
    this.journal.changes = new Map()
    const bytes = this.#writtenBytes
    this.#writtenBytes = 0

    const added: TmpfsNode[] = []
    const gone: TmpfsNode[] = []
    const packer = new Packer(this.segments, this.#records)
    for (const { file, index, bytes: moved } of moves) packer.add(file, index, moved)
    const moving = new Set(moves.map(({ from }) => from))
    for (const [node, change] of changes) {
      const known = this.#nodes.has(node.ino)
      if (node.nlink === 0) {
        if (!known) continue
        this.#nodes.delete(node.ino)
        gone.push(node)
      } else if (!known) {
        this.#nodes.set(node.ino, node)
        added.push(node)
      }
      if (node.kind !== 'file' || !node.data || node.nlink === 0) continue
      for (const index of known ? change.pages : node.data.pages()) {
        const page = node.data.page(index)
        if (page && !page.kept) packer.add(node, index, page.bytes.subarray(page.start, page.start + page.end))
      }
    }
    packer.finish()
    for (const from of moving) this.segments.leave(from)

    const position = this.#head.position + 1
    const log = begin('log')
    log.text(this.#head.store)
    for (const number of [position, this.#filesystem.lastIno, this.segments.lastId]) log.number(number)
    const isNew = new Set(added)
    for (const [node, change] of changes) {
      this.#checkpoint.changed(node.ino, 0)
      for (const part of change.parts) this.#checkpoint.changed(node.ino, part)
      if (node.nlink === 0) continue
      const all = isNew.has(node)
      const isFile = node.kind === 'file'
      writeItem(log, node, {
        attributes: true,
        names: node.kind === 'directory' ? (all ? namesOf(node) : change.names) : undefined,
        pages: isFile ? (all ? (node.data?.pages() ?? []) : change.pages) : undefined,
      })
    }
    for (const { ino } of gone) writeGone(log, ino)
    const garbage = [...this.#garbage]
    const chunks = this.#checkpoint.step(this.#nodes, this.#head.store, this.#root, {
      lastIno: this.#filesystem.lastIno,
      lastSegment: this.segments.lastId,
    })
    this.#lastTicket++
    return {
      changes,
      position,
      ticket: this.#lastTicket,
      bytes,
      segments: packer.segments,
      kept: packer.kept,
      moves,
      added,
      gone,
      dead: this.#deadSegments(),
      garbage,
      log: log.sealed(),
      chunks: chunks.records,
      root: chunks.root,
    }
  }

  #deadSegments(): Segment[] {
    return [...this.segments.dead].filter(({ id, stored }) => stored && !this.#pinned.has(id))
  }

  async #write(frozen: Frozen): Promise<void> {
    const { segments, position } = frozen
    const puts = segments.map(({ id, value }) => ({ key: segmentKey(id), value }))
    const alone = puts.length === 1 && segments[0]!.isSmall
    if (!alone) {
      const groups: Promise<void>[] = []
      for (let i = 0; i < puts.length; i += SEGMENTS_AT_ONCE)
        groups.push(this.#transact(puts.slice(i, i + SEGMENTS_AT_ONCE)))
      const outcomes = await Promise.allSettled(groups)
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    }
    const root = frozen.root && [{ key: ROOT, value: encodeRoot(frozen.root) }]
    const changes: RecordChange[] = [
      ...(alone ? puts : []),
      { key: logKey(position), value: frozen.log },
      ...frozen.chunks,
      ...(root ?? []),
      ...deletions([...frozen.garbage, ...frozen.dead.map(({ id }) => segmentKey(id))]),
      { key: HEAD, value: encodeHead({ ...this.#head, position }) },
    ]
    try {
      await this.#transact(changes)
    } catch (failure) {
      // What frees space may need a little for itself: that is what the reserve is for.
      const small = segments.length === 0 || alone
      if (!(failure instanceof StoreFailure && failure.reason === 'full' && small && this.#reserved)) throw failure
      this.#reserved = false
      await this.#transact([{ key: RESERVE, value: undefined }])
      await this.#transact(changes)
    }
  }

  #succeeded(frozen: Frozen): void {
    this.#flight = undefined
    this.#carriesChanges = false
    this.#failed = undefined
    this.#setHead({ ...this.#head, position: frozen.position })
    this.#present.add(logKey(frozen.position))
    for (const { key } of frozen.chunks) this.#present.add(key)
    this.#removed(frozen.garbage, frozen.dead)
    this.#logBytes += frozen.log.length
    this.#checkpoint.committed()
    if (frozen.root) {
      this.#root = frozen.root
      this.#logBytes = 0
      this.#collect()
    }
    for (const segment of frozen.segments) {
      segment.stored = true
      if (!segment.isSmall) this.#fetch(segment)
    }
    for (const kept of frozen.kept) {
      const page = kept.file.data?.page(kept.index)
      if (page?.kept === kept && page.end === kept.length && page.bytes.length > 0) this.segments.stay(kept)
    }
    this.#answer(frozen.ticket)
    this.#goOn()
  }

  /** Those who wait for a transaction of this ticket, or an earlier one, have what they wait for, or the reason why not. */
  #answer(ticket: number, failure?: ErrnoError): void {
    for (const waiter of this.#waiters) {
      if (waiter.ticket > ticket) continue
      waiter.done = failure === undefined
      waiter.failure = failure
      this.#waiters.delete(waiter)
    }
  }

  /** The Blob that was put keeps its bytes in memory; the one that is got is on disk. */
  #fetch(segment: Segment): void {
    this.#records.get(segmentKey(segment.id)).then(
      (value) => {
        if (value && sizeOf(value) === segment.size) segment.value = value
      },
      () => {},
    )
  }

  #removed(garbage: readonly string[], dead: readonly Segment[]): void {
    for (const key of garbage) {
      this.#garbage.delete(key)
      this.#present.delete(key)
    }
    for (const segment of dead) if (segment.pages.size === 0) this.segments.remove(segment)
  }

  /** Nothing of the commit happened, or nothing that counts: what it took has changed still. */
  #broke(frozen: Frozen, failure: unknown): void {
    this.#flight = undefined
    this.#carriesChanges = false
    const error = meaningOf(failure, this.#options.name, this.#head)
    this.#failed = error
    if (failure instanceof StoreFailure && failure.reason === 'guard') this.#lost = error
    for (const node of frozen.added) this.#nodes.delete(node.ino)
    for (const node of frozen.gone) this.#nodes.set(node.ino, node)
    const moved = new Map(frozen.moves.map(({ file, index, from }) => [`${file.ino}:${index}`, from]))
    for (const kept of frozen.kept) {
      this.segments.leave(kept)
      const { file, index } = kept
      if (file.data?.page(index)?.kept !== kept) continue
      const from = moved.get(`${file.ino}:${index}`)
      if (from) this.segments.enter(from)
      file.data.keep(index, from)
    }
    for (const segment of frozen.segments) {
      this.#garbage.add(segmentKey(segment.id))
      this.segments.remove(segment)
    }
    const later = this.journal.changes
    this.journal.changes = frozen.changes
    for (const [node, change] of later) {
      const first = frozen.changes.get(node)
      if (!first) frozen.changes.set(node, change)
      else
        for (const set of ['names', 'pages', 'parts'] as const)
          for (const each of change[set]) first[set].add(each as never)
    }
    this.#writtenBytes += frozen.bytes
    this.#checkpoint.failed()
    this.#answer(this.#lost ? Number.POSITIVE_INFINITY : frozen.ticket, error)
    this.#goOn()
  }

  #goOn(): void {
    if (this.#waiters.size > 0 && !this.#lost) this.#start()
    this.#queue.wake()
    if (this.#closing || this.#lost) {
      this.#tellDirty()
      return
    }
    if (!this.#flight) {
      if (this.#failed) this.#arm(RETRY_AFTER)
      else if (this.#writtenBytes > COMMIT_BYTES) this.#start()
      else if (this.journal.changes.size > 0) this.#arm(COMMIT_AFTER)
      else if (this.#hasUpkeep) this.#arm(20_000_000n)
    }
    this.#tellDirty()
  }

  /** Something to do that nobody waits for. */
  get #hasUpkeep(): boolean {
    return this.#checkpoint.isUnderWay || chooseMoves.wanted(this.segments, this.#pinned) || this.#garbage.size > 0
  }

  /** Puts what no tree needs on the way out. */
  #collect(): void {
    const needed = new Set<string>()
    const need = ({ chunks, ranges }: Root) => {
      for (const number of chunks.values()) needed.add(chunkKey(number))
      for (const [first, last] of ranges) for (let at = first; at <= last; at++) needed.add(logKey(at))
    }
    need({ ...this.#root, ranges: [...this.#root.ranges, [this.#root.tail, this.#head.position]] })
    for (const { root } of this.#snapshots.values()) need(root)
    for (const key of this.#present) if (!needed.has(key)) this.#garbage.add(key)
  }

  #pin(): void {
    this.#pinned.clear()
    for (const { segments } of this.#snapshots.values()) for (const id of segments) this.#pinned.add(id)
  }

  /** A transaction apart from commits, when there is nothing to commit; what it is made of is asked for then. */
  async #apart<T>(make: () => { changes: readonly RecordChange[]; done: () => T }): Promise<T> {
    for (;;) {
      await this.settled()
      if (!this.dirty) break
    }
    const { changes, done } = make()
    let result!: T
    let failure: unknown
    this.#flightTicket = ++this.#lastTicket
    this.#flight = this.#transact(changes).then(
      () => {
        this.#flight = undefined
        result = done()
      },
      (reason) => {
        this.#flight = undefined
        failure = meaningOf(reason, this.#options.name, this.#head)
      },
    )
    await this.#flight
    this.#answer(this.#flightTicket)
    this.#goOn()
    if (failure) throw failure
    return result
  }

  get snapshots(): { name: string; time: number }[] {
    return [...this.#snapshots].map(([name, { time }]) => ({ name, time }))
  }

  /** Keeps the tree as it is now under a name. Errors: EEXIST; as sync. */
  takeSnapshot(name: string): Promise<void> {
    return this.#apart(() => {
      if (this.#snapshots.has(name)) throw new ErrnoError('EEXIST', name, 'the volume has a snapshot of this name')
      const segments = [...this.segments.byId.values()].filter(({ pages }) => pages.size > 0).map(({ id }) => id)
      const snapshot = { time: Number(this.#options.clock.realtime() / 1_000_000n), segments, root: this.#closedRoot() }
      return {
        changes: [{ key: snapshotKey(name), value: encodeSnapshot(snapshot) }],
        done: () => {
          this.#snapshots.set(name, snapshot)
          this.#pin()
        },
      }
    })
  }

  /** The root of the tree as it is, whatever comes behind it in the log. */
  #closedRoot(): Root {
    const { position } = this.#head
    const { ranges, tail } = this.#root
    const numbers = { lastIno: this.#filesystem.lastIno, lastSegment: this.segments.lastId }
    const all: LogRange[] = position >= tail ? [...ranges, [tail, position]] : [...ranges]
    return { ...this.#root, ...numbers, lastChunk: this.#checkpoint.lastChunk, ranges: all, tail: position + 1 }
  }

  /** Errors: ENOENT; as sync. */
  deleteSnapshot(name: string): Promise<void> {
    return this.#apart(() => {
      this.#snapshot(name)
      return {
        changes: [{ key: snapshotKey(name), value: undefined }],
        done: () => {
          this.#snapshots.delete(name)
          this.#pin()
          this.#collect()
        },
      }
    })
  }

  /** The tree is what it was; the files in memory are not: close the store, and open it again. Errors: ENOENT; as sync. */
  rollBack(name: string): Promise<void> {
    return this.#apart(() => {
      const { root } = this.#snapshot(name)
      const { lastIno, lastSegment, lastChunk } = this.#closedRoot()
      const tail = this.#head.position + 1
      const next = { ...root, tail, lastIno, lastSegment, lastChunk }
      return {
        changes: [{ key: ROOT, value: encodeRoot(next) }],
        done: () => {
          this.#lost = stale(this.#options.name)
        },
      }
    })
  }

  #snapshot(name: string): Snapshot {
    const snapshot = this.#snapshots.get(name)
    if (!snapshot) throw new ErrnoError('ENOENT', name, 'the volume has no snapshot of this name')
    return snapshot
  }

  /** Puts the reserve in its place, when nothing else is to be done. */
  reserve(): Promise<void> {
    if (this.#reserved) return Promise.resolve()
    return this.#apart(() => ({
      changes: [{ key: RESERVE, value: new Uint8Array(RESERVE_BYTES) }],
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

function* namesOf(directory: Extract<TmpfsNode, { kind: 'directory' }>): Generator<string> {
  for (const { name } of directory.entries(2)) yield name
}

const deletions = (keys: readonly string[]): RecordChange[] => keys.map((key) => ({ key, value: undefined }))

const sizeOf = (value: StoredValue) => (value instanceof Uint8Array ? value.length : value.size)
