/**
 * What the records of a store say of its inodes: its chunks, then its log. All of it is checked and counted when the store is
 * opened, and none is made into an inode before somebody looks at it: the records of a large tree take a tenth of the memory that
 * its inodes take, and most are never looked at.
 *
 * A record whose hash does not fit costs what it was of: a chunk its inodes, or a part of one. Invariants: `damage` says of every such
 * record what is wrong; an inode that is pending is as its items say, the later ones over the earlier ones.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { isGone, measureInode, measureItem, readItem, type StoredInode, type Touched } from './items.ts'
import type { StoredValue } from './key-value-store.ts'
import { chunkKey, faultOf, logKey, opened, openedLog, type Root, type Tip } from './records.ts'
import type { Segments } from './segments.ts'
import { type Group, Groups, INODES, Tally } from './tally.ts'

export const ROOT_INO = 1

/** The parts of an inode, but for part 0, that are lost, and why. */
export type LostParts = ReadonlyMap<number, string>

export interface Reading {
  /** What errors call it. */
  readonly volume: string
  /** Hears of the parts of inodes that the log is about: they are not as their chunks say. */
  readonly touched: Touched
  /** Where a record of the log is damaged the tree ends before it. */
  readonly rescue: boolean
}

interface ItemRecord {
  readonly reader: ByteReader
  /** What chunk it is; undefined for the log. */
  readonly chunk: string | undefined
}

export class StoredTree {
  /** What is wrong with records, if anything is. */
  readonly damage: string[] = []
  lastIno: number
  lastSegment: number
  /** Bytes of the log since the last checkpoint. */
  logBytes = 0
  /** Inodes that are not in memory. */
  pending = 0
  readonly #volume: string
  readonly #groups = new Groups()
  readonly #tally: Tally
  readonly #lostParts = new Map<number, Map<number, string>>()
  #records: ItemRecord[] = []
  /** Three numbers for each item: its record, where it begins behind the inode's number, and the item before it, from 1 on. */
  #items: number[] = []
  /** Inodes whose items can't be counted one by one. */
  readonly #merged = new Set<number>()
  /** Inodes with more than part 0 in the log. */
  readonly #long = new Set<number>()

  /**
   * Errors: EIO for a record of the log that is missing or damaged; for a damaged chunk that has the root directory; for a tree that does
   * not hold together.
   */
  constructor(
    loaded: ReadonlyMap<string, StoredValue>,
    { store, position }: Tip,
    root: Root,
    { segments, volume, ...reading }: Reading & { readonly segments: Segments },
  ) {
    this.#volume = volume
    this.#tally = new Tally(this.#groups, segments)
    this.lastIno = root.lastIno
    this.lastSegment = root.lastSegment
    for (const [what, number] of root.chunks) this.#readChunk(what, chunkKey(number), loaded, store)
    if (this.#groups.get(ROOT_INO)?.lost)
      throw new ErrnoError('EIO', undefined, `${this.damage.at(-1)}, and the root directory was in it`)
    const touched: Touched = (ino, part) => {
      if (part > 0) this.#long.add(ino)
      reading.touched(ino, part)
    }
    this.#readLog(loaded, { store, position }, root, { ...reading, touched })
    this.#countMerged(touched)
    this.#check()
    this.pending = this.#tally.inodes
  }

  /** What all inodes take, the root among them. */
  get totals(): Pick<Tally, 'inodes' | 'blocks' | 'attributeBytes'> {
    return this.#tally
  }

  #readChunk(what: string, key: string, loaded: ReadonlyMap<string, StoredValue>, store: string): void {
    let reader: ByteReader
    try {
      reader = opened('chunk', key, loaded.get(key))
      if (reader.text() !== store || reader.text() !== what) throw this.#fault(`"${key}" is of another tree`)
    } catch (error) {
      const why = faultOf(error)
      this.damage.push(why)
      this.#lose(what, why)
      return
    }
    this.#scan({ reader, chunk: what })
  }

  #lose(what: string, why: string): void {
    const [first, part] = what.split('.').map(Number) as [number, number | undefined]
    if (part === undefined) this.#groups.make(first * INODES).lost = why
    else {
      const parts = this.#lostParts.get(first) ?? new Map()
      this.#lostParts.set(first, parts.set(part, why))
    }
  }

  #readLog(
    loaded: ReadonlyMap<string, StoredValue>,
    { store, position: last }: Tip,
    { ranges, tail }: Root,
    { touched, rescue }: Omit<Reading, 'volume'>,
  ): void {
    for (const [first, end] of [...ranges, [tail, last] as const]) {
      for (let position = first; position <= end; position++) {
        const key = logKey(position)
        const bytes = loaded.get(key)
        let reader: ByteReader
        try {
          reader = openedLog(key, bytes).reader
        } catch (error) {
          const why = faultOf(error)
          if (!rescue) throw new ErrnoError('EIO', undefined, `${why}: "rescue" shows what was there before it`)
          this.damage.push(`${why}: this is what was there before it`)
          return
        }
        if (reader.text() !== store || reader.number() !== position) throw this.#fault(`"${key}" is of another log`)
        this.lastIno = Math.max(this.lastIno, reader.number())
        this.lastSegment = Math.max(this.lastSegment, reader.number())
        this.#scan({ reader, chunk: undefined }, touched)
        if (position >= tail) this.logBytes += (bytes as Uint8Array).length
      }
    }
  }

  #fault(rule: string): ErrnoError {
    return new ErrnoError('EIO', undefined, `volume "${this.#volume}": ${rule}`)
  }

  /** Counts what a record says, and remembers where it says it. What the log says stands over what was said before. */
  #scan(record: ItemRecord, touched?: Touched): void {
    const { reader } = record
    const number = this.#records.push(record) - 1
    while (!reader.done) {
      const ino = reader.number()
      const at = reader.at
      const group = this.#groups.make(ino)
      const slot = ino % INODES
      const before = group.last[slot]!
      // One that is gone may be in no chunk any more: it was removed while a checkpoint was made.
      const again = record.chunk === undefined && (before > 0 || isGone(reader))
      if (again && group.lost === undefined && !this.#merged.has(ino)) {
        this.#merged.add(ino)
        for (const item of this.#chain(before)) measureItem(this.#go(item).reader, ino, this.#tally.of(ino, group, -1))
        reader.seek(at)
      }
      const counts = !again && group.lost === undefined
      measureItem(reader, ino, this.#tally.of(ino, group, counts ? 1 : 0, again ? undefined : touched))
      this.#items.push(number, at, before)
      group.last[slot] = this.#items.length / 3
      if (ino > this.lastIno) this.lastIno = ino
    }
  }

  /** An item and those before it, the first one first. */
  #chain(last: number): number[] {
    const chain: number[] = []
    for (let item = last; item > 0; item = this.#items[item * 3 - 1]!) chain.push(item)
    return chain.reverse()
  }

  #recordOf(item: number): ItemRecord {
    return this.#records[this.#items[item * 3 - 3]!]!
  }

  /** The record of an item, read up to where the item begins. */
  #go(item: number): ItemRecord {
    const record = this.#recordOf(item)
    record.reader.seek(this.#items[item * 3 - 2]!)
    return record
  }

  #read(ino: number, group: Group, touched?: Touched): StoredInode | undefined {
    let inode: StoredInode | undefined
    for (const item of this.#chain(group.last[ino % INODES]!)) {
      const { reader, chunk } = this.#go(item)
      inode = readItem(reader, ino, inode, chunk === undefined ? touched : undefined)
    }
    return inode
  }

  #countMerged(touched: Touched): void {
    for (const ino of this.#merged) {
      const group = this.#groups.make(ino)
      const inode = this.#read(ino, group, touched)
      if (group.lost !== undefined) continue
      if (inode) measureInode(ino, inode, this.#tally.of(ino, group, 1))
      else {
        group.last[ino % INODES] = 0
        group.kinds[ino % INODES] = undefined
      }
    }
    this.#merged.clear()
  }

  /** Names lead to inodes, and inodes have as many as they say; where something is lost, so may some of these be. */
  #check(): void {
    for (const { number, open, last, kinds, lost } of this.#groups.values()) {
      if (lost !== undefined) continue
      for (let slot = 0; slot < INODES; slot++) {
        const ino = number * INODES + slot
        const missing = open[slot]!
        if (last[slot] === 0) {
          if (missing < 0) throw this.#fault(`is damaged: a name leads to inode ${ino}, which is not there`)
          continue
        }
        if (!kinds[slot]) throw this.#fault(`is damaged: inode ${ino} has no attributes`)
        // The root has none.
        const wanted = ino === ROOT_INO ? 1 : 0
        if (missing < wanted || (missing > wanted && this.damage.length === 0))
          throw this.#fault(`is damaged: inode ${ino} has not as many names as links`)
      }
    }
  }

  /** It is in the store, and not in memory. */
  isPending(ino: number): boolean {
    const group = this.#groups.get(ino)
    return group !== undefined && group.lost === undefined && group.last[ino % INODES]! > 0
  }

  /** An inode of the store as it was when the store was opened; undefined if there is none, or it was taken before. */
  take(ino: number): StoredInode | undefined {
    if (!this.isPending(ino)) return undefined
    const group = this.#groups.get(ino)!
    const inode = this.#read(ino, group)
    group.last[ino % INODES] = 0
    if (--this.pending === 0) {
      this.#records = []
      this.#items = []
    }
    return inode
  }

  /** Writes the item of a pending inode with which a chunk would tell of it; false if there is none as it would be. */
  copyItem(ino: number, chunk: string, writer: ByteWriter): boolean {
    if (!this.isPending(ino)) return false
    const group = this.#groups.get(ino)!
    const chain = this.#chain(group.last[ino % INODES]!)
    const records = chain.map((item) => this.#recordOf(item))
    const whole = chain.length === 1 && !this.#long.has(ino)
    const at = records.every((record) => record.chunk)
      ? records.findIndex((record) => record.chunk === chunk)
      : whole
        ? 0
        : -1
    if (at < 0) return false
    const { reader } = this.#go(chain[at]!)
    const start = reader.at
    measureItem(reader, ino, this.#tally.of(ino, group, 0))
    writer.number(ino)
    writer.raw(reader.between(start, reader.at))
    return true
  }

  /** Undefined: nobody knows. */
  kindOf(ino: number): FileKind | undefined {
    return this.#groups.get(ino)?.kinds[ino % INODES]
  }

  /** Why nothing is known of an inode that has a name. */
  whyLost(ino: number): string | undefined {
    return this.#groups.get(ino)?.lost
  }

  lostParts(ino: number): LostParts | undefined {
    return this.#lostParts.get(ino)
  }
}
