/**
 * What one commit writes: all that had changed at one moment, as it was then. A `bare` one writes what needs next to no space, and
 * so makes some: files with many pages that are in no segment stay behind, with the size and the pages that they have in the store.
 *
 * Invariant: until it is done or undone, it alone has what it took from the journal; undone, all of that has changed again.
 */

import type { Checkpoint } from './checkpoint.ts'
import type { Move } from './cleaner.ts'
import type { TmpfsNode } from './inodes.ts'
import { partOfPage, writeGone, writeItem } from './items.ts'
import { Change, type Journal } from './journal.ts'
import type { KeyValueStore, RecordChange } from './key-value-store.ts'
import type { NodeTable } from './node-table.ts'
import { Packer, SMALL } from './pack.ts'
import {
  beginLog,
  type CarriedSegment,
  encodeRoot,
  logKey,
  logRecord,
  ROOT,
  type Root,
  type Tip,
  writeLogHead,
} from './records.ts'
import type { Segment, Segments } from './segments.ts'
import type { Tmpfs } from './tmpfs.ts'

/** Segments of one transaction. */
const SEGMENTS_AT_ONCE = 8

export interface Committing {
  readonly journal: Journal
  readonly segments: Segments
  readonly records: KeyValueStore
  /** Inodes that are in the store, by their numbers. */
  readonly nodes: NodeTable
  readonly checkpoint: Checkpoint
  readonly filesystem: Tmpfs
  readonly tip: Tip
  readonly root: Root
  /** Pages that the cleaner wants elsewhere. */
  readonly moves: readonly Move[]
  readonly bare: boolean
  /** Records that go with it. */
  readonly garbage: readonly string[]
  /** Segments that nothing lies in any more; asked for when the pages are in theirs. */
  readonly dead: () => readonly Segment[]
  /** How many were written since the last one. */
  readonly bytes: number
  readonly ticket: number
}

export class Commit {
  readonly changes: ReadonlyMap<TmpfsNode, Change>
  readonly position: number
  readonly ticket: number
  readonly bytes: number
  readonly segments: readonly Segment[]
  readonly kept: Packer['kept']
  readonly dead: readonly Segment[]
  readonly garbage: readonly string[]
  readonly log: Uint8Array
  readonly chunks: readonly RecordChange[]
  /** The new one, if a checkpoint ends with it. */
  readonly root: Root | undefined
  readonly bare: boolean
  /** Files that stayed behind; the others are in the store as they are. */
  readonly late: ReadonlyMap<TmpfsNode, Change>
  readonly #from: Committing
  readonly #added = new Set<TmpfsNode>()
  readonly #gone: TmpfsNode[] = []

  /** Takes all that has changed. */
  constructor(from: Committing) {
    const { journal, segments, tip, root, nodes, checkpoint, filesystem } = from
    this.#from = from
    this.bare = from.bare
    this.ticket = from.ticket
    this.bytes = from.bytes
    this.changes = journal.changes
    journal.changes = new Map()
    this.late = from.bare ? lateOf(this.changes) : new Map()
    this.position = tip.position + 1
    const packer = this.#pack()
    this.segments = packer.segments
    this.kept = packer.kept
    const needed = new Set([...this.late.values()].flatMap((change) => [...change.segments]))
    this.dead = from.dead().filter((segment) => !needed.has(segment))
    const neededKeys = new Set([...needed].map(({ key }) => key))
    this.garbage = from.garbage.filter((key) => !neededKeys.has(key))
    this.log = this.#describe()
    const numbers = { lastIno: filesystem.lastIno, lastSegment: segments.lastId }
    const chunks = from.bare ? NO_CHUNKS : checkpoint.step(nodes, tip.store, root, numbers)
    this.chunks = chunks.records
    this.root = chunks.root
  }

  /** Pages that are in no segment get one; what inodes there are is known then. */
  #pack(): Packer {
    const { segments, records, nodes, moves } = this.#from
    const packer = new Packer(segments, records, logKey(this.position))
    for (const { file, index, bytes, from } of moves) packer.add(file, index, bytes, 0, bytes.length, from.hash)
    const moving = new Set(moves.map(({ from }) => from))
    for (const [node, change] of this.changes) {
      const known = nodes.has(node.ino)
      if (node.nlink === 0) {
        if (!known) continue
        nodes.delete(node.ino)
        this.#gone.push(node)
      } else if (!known) {
        nodes.set(node.ino, node)
        this.#added.add(node)
      }
      if (node.kind !== 'file' || !node.data || node.nlink === 0 || this.late.has(node)) continue
      for (const index of known ? change.pages : node.data.pages()) {
        const page = node.data.page(index)
        if (page && !page.kept) packer.add(node, index, page.bytes, page.start, page.end)
      }
    }
    packer.finish()
    for (const from of moving) segments.leave(from)
    return packer
  }

  /** The log record. */
  #describe(): Uint8Array {
    const { checkpoint, filesystem, segments, tip } = this.#from
    const carried = this.#carried
    const log = beginLog(carried)
    const last = { lastIno: filesystem.lastIno, lastSegment: segments.lastId }
    writeLogHead(log, { ...tip, position: this.position }, last)
    for (const [node, change] of this.changes) {
      checkpoint.changed(node.ino, 0)
      for (const part of change.parts) checkpoint.changed(node.ino, part)
      if (node.nlink === 0) continue
      const all = this.#added.has(node)
      const isLate = this.late.has(node)
      const isFile = node.kind === 'file' && !isLate
      writeItem(log, node, {
        attributes: true,
        size: isLate ? (all ? 0 : change.size) : undefined,
        names: node.kind === 'directory' ? (all ? namesOf(node) : change.names) : undefined,
        pages: isFile ? (all ? (node.data?.pages() ?? []) : change.pages) : undefined,
      })
    }
    for (const node of this.#gone) {
      writeGone(log, node.ino)
      // Of a file that is open still, these are in chunks of their own.
      if (node.kind === 'file')
        for (const index of node.data?.pages() ?? []) checkpoint.changed(node.ino, partOfPage(index))
    }
    return logRecord(log.sealed(), carried)
  }

  /** The segment that the log record carries. */
  get #carried(): CarriedSegment | undefined {
    const segment = this.segments[0]
    return segment?.isCarried ? { id: segment.id, bytes: segment.value as Uint8Array } : undefined
  }

  /** It has pages that the cleaner wants elsewhere, and so frees space. */
  get cleans(): boolean {
    return this.#from.moves.length > 0
  }

  /** Bytes of its segments. */
  get size(): number {
    return this.segments.reduce((sum, { size }) => sum + size, 0)
  }

  /** It takes next to no space. */
  get isSmall(): boolean {
    return this.segments.every(({ isSmall }) => isSmall)
  }

  /** Where the segments begin that go with the log record, in one transaction. */
  get #lastSegments(): number {
    const { length } = this.segments
    return length === 0 ? 0 : length - (length % SEGMENTS_AT_ONCE || SEGMENTS_AT_ONCE)
  }

  /** Transactions that must be on disk before the last one. */
  get first(): RecordChange[][] {
    const groups: RecordChange[][] = []
    for (let i = 0; i < this.#lastSegments; i += SEGMENTS_AT_ONCE)
      groups.push(this.segments.slice(i, i + SEGMENTS_AT_ONCE).map(put))
    return groups
  }

  /** The transaction with which it is done. */
  get last(): RecordChange[] {
    const { position, root } = this
    return [
      ...(this.#carried ? [] : this.segments.slice(this.#lastSegments).map(put)),
      { key: logKey(position), value: this.log, isNew: true },
      ...this.chunks,
      ...(root ? [{ key: ROOT, value: encodeRoot(root) }] : []),
      ...deletions([...this.garbage, ...keysOf(this.dead)]),
    ]
  }

  /** Nothing of it happened, or nothing that counts: what it took has changed still. */
  undo(): void {
    const { journal, segments, nodes, checkpoint, moves } = this.#from
    for (const node of this.#added) nodes.delete(node.ino)
    for (const node of this.#gone) nodes.set(node.ino, node)
    const moved = new Map(moves.map(({ file, index, from }) => [`${file.ino}:${index}`, from]))
    for (const kept of this.kept) {
      segments.leave(kept)
      const { file, index } = kept
      const page = file.data?.page(index)
      const from = moved.get(`${file.ino}:${index}`)
      if (page?.kept !== kept) {
        // It has changed since: in the store it is where it was before the move.
        if (from?.segment) this.changes.get(file)?.page(index, from.segment)
        continue
      }
      file.data!.keep(index, from)
      if (!from) continue
      segments.enter(from)
      if (page.bytes.length > 0) segments.stay(from)
    }
    for (const segment of this.segments) segments.remove(segment)
    journal.giveBack(this.changes)
    checkpoint.failed()
  }

  /** It is in the store; what stayed behind has changed still. */
  done(): void {
    const { journal, checkpoint } = this.#from
    journal.giveBack(
      [...this.late].map(([node, change]) => [node, this.#added.has(node) ? wholeOf(node, change) : change]),
    )
    checkpoint.committed()
  }
}

/** Of a file that is empty in the store: all that it has. */
function wholeOf(node: TmpfsNode, change: Change): Change {
  const whole = new Change(0)
  whole.add(change)
  if (node.kind === 'file') for (const index of node.data?.pages() ?? []) whole.page(index)
  return whole
}

const NO_CHUNKS = { records: [], root: undefined }

/** The files whose pages would not all go into one small segment. */
function lateOf(changes: ReadonlyMap<TmpfsNode, Change>): Map<TmpfsNode, Change> {
  let room = SMALL
  const late = new Map<TmpfsNode, Change>()
  for (const [node, change] of changes) {
    const bytes = unkeptBytes(node)
    if (bytes > room) late.set(node, change)
    else room -= bytes
  }
  return late
}

/** What of it is nowhere but in memory. */
function unkeptBytes(node: TmpfsNode): number {
  if (node.kind !== 'file' || !node.data || node.nlink === 0) return 0
  let bytes = 0
  for (const index of node.data.pages()) {
    const page = node.data.page(index)!
    if (!page.kept) bytes += page.end
  }
  return bytes
}

const put = ({ key, value }: Segment): RecordChange => ({ key, value })

/** Of the records that segments are. */
export const keysOf = (segments: readonly Segment[]): string[] =>
  segments.filter(({ isCarried }) => !isCarried).map(({ key }) => key)

export const deletions = (keys: readonly string[]): RecordChange[] => keys.map((key) => ({ key, value: undefined }))

const namesOf = (directory: Extract<TmpfsNode, { kind: 'directory' }>) =>
  Array.from(directory.entries(2), ({ name }) => name)
