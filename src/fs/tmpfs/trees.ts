/**
 * Which records a store needs: those of the tree as it is, and of the trees that were kept under a name, the snapshots.
 *
 * Invariants: `garbage` are log records and chunks that no tree needs, and in which no page of one lies, and segments that a failed commit may have left; they go
 * with the next transaction. A segment that a snapshot has is pinned: it stays, whatever becomes of the tree. While a snapshot is
 * damaged all stays that was found with it.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { StoredValue } from './key-value-store.ts'
import { chunkKey, decodeSnapshot, faultOf, isFence, logKey, numberIn, type Root, type Snapshot } from './records.ts'
import { isUnused, type Segment } from './segments.ts'

export class Trees {
  readonly garbage = new Set<string>()
  readonly pinned = new Set<number>()
  readonly #snapshots = new Map<string, Snapshot>()
  /** Snapshots whose records are damaged, and why: whatever was found may be theirs. */
  readonly #damaged = new Map<string, string>()
  readonly #found: ReadonlySet<string>
  /** Keys of log records, without fences, and of chunks that are there. */
  readonly #present = new Set<string>()

  /** What was found in the store. */
  constructor(found: ReadonlyMap<string, StoredValue>) {
    this.#found = new Set(found.keys())
    for (const [key, value] of found) {
      if ((key.startsWith('log/') && !isFence(value)) || key.startsWith('chunk/')) this.#present.add(key)
      else if (key.startsWith('snapshot/')) this.#add(key, value)
    }
    this.#pin()
  }

  #add(key: string, value: StoredValue): void {
    const name = key.slice(9)
    try {
      this.#snapshots.set(name, decodeSnapshot(key, value))
    } catch (error) {
      this.#damaged.set(name, faultOf(error))
    }
  }

  get snapshots(): { name: string; time: number; damaged?: true }[] {
    return [
      ...[...this.#snapshots].map(([name, { time }]) => ({ name, time })),
      ...[...this.#damaged.keys()].map((name) => ({ name, time: 0, damaged: true as const })),
    ]
  }

  /** What is wrong with snapshots. */
  get damage(): string[] {
    return [...this.#damaged.values()]
  }

  /** Errors: ENOENT; EIO for one that is damaged. */
  snapshot(name: string): Snapshot {
    this.requireThere(name)
    const snapshot = this.#snapshots.get(name)
    if (!snapshot) throw new ErrnoError('EIO', name, this.#damaged.get(name))
    return snapshot
  }

  #has(name: string): boolean {
    return this.#snapshots.has(name) || this.#damaged.has(name)
  }

  /** Errors: ENOENT. */
  requireThere(name: string): void {
    if (!this.#has(name)) throw new ErrnoError('ENOENT', name, 'the volume has no snapshot of this name')
  }

  /** Errors: EEXIST. */
  requireFree(name: string): void {
    if (this.#has(name)) throw new ErrnoError('EEXIST', name, 'the volume has a snapshot of this name')
  }

  /** A snapshot is in the store; undefined: it is there no more. */
  setSnapshot(name: string, snapshot: Snapshot | undefined): void {
    if (snapshot) this.#snapshots.set(name, snapshot)
    else {
      this.#snapshots.delete(name)
      this.#damaged.delete(name)
    }
    this.#pin()
  }

  #pin(): void {
    this.pinned.clear()
    for (const { segments } of this.#snapshots.values()) for (const id of segments) this.pinned.add(id)
    if (this.#damaged.size > 0)
      for (const key of this.#found) if (key.startsWith('segment/')) this.pinned.add(numberIn(key))
  }

  /** A record stays, whoever needs it. */
  keep(key: string): void {
    this.#present.delete(key)
  }

  /** Records were written. */
  wrote(keys: Iterable<string>): void {
    for (const key of keys) this.#present.add(key)
  }

  removed(keys: Iterable<string>): void {
    for (const key of keys) {
      this.garbage.delete(key)
      this.#present.delete(key)
    }
  }

  /**
   * Puts what no tree needs on the way out. `root` is that of the tree as it is, `position` the end of its log; `segments` are where
   * its pages lie, and those of the snapshots.
   */
  collect(root: Root, position: number, segments: Iterable<Segment>): void {
    const needed = new Set<string>()
    for (const segment of segments) if (!isUnused(segment) || this.pinned.has(segment.id)) needed.add(segment.key)
    const need = ({ chunks, ranges }: Root) => {
      for (const number of chunks.values()) needed.add(chunkKey(number))
      for (const [first, last] of ranges) for (let at = first; at <= last; at++) needed.add(logKey(at))
    }
    need({ ...root, ranges: [...root.ranges, [root.tail, position]] })
    for (const snapshot of this.#snapshots.values()) need(snapshot.root)
    const isKept = (key: string) => needed.has(key) || (this.#damaged.size > 0 && this.#found.has(key))
    for (const key of this.#present) if (!isKept(key)) this.garbage.add(key)
  }
}
