/**
 * Where the bytes of pages lie in a store: in segments of up to two megabytes, pages of any files one behind the other. A
 * segment never changes; its pages die one by one, and with the last of them its record goes, or, where a record of the log carries
 * it, need not stay for its sake.
 *
 * Invariants: the pages that live in a segment, in memory's view, are its `pages`, and `unseen` ones of inodes that are in the store
 * only; `live` is what they all take. The bytes of pages in memory that are kept, `resident`, and those of the windows that pages are
 * read through are within the limit together.
 */

import { sizeOf } from '../../abi/byte-parts.ts'
import { ErrnoError } from '../../abi/errno.ts'
import type { PagePool } from '../../vfs/page-pool.ts'
import { type KeptPage, PAGE_SIZE } from '../../vfs/pages.ts'
import { xxHash32 } from './hash.ts'
import type { TmpfsFile } from './inodes.ts'
import type { KeyValueStore, StoredValue } from './key-value-store.ts'
import { segmentKey } from './records.ts'

export const SEGMENT_SIZE = 2 << 20
/** Pages are read in windows of this at most, since one call to the host costs about the same for 4 KiB as for these. */
const MOST_IN_WINDOW = 256 * 1024
const MOST_WINDOWS = 16
/** Segments that are in memory as a whole, to be cleaned. */
const MOST_WHOLE = 4
const MOST_SMALL = 256
const NO_BYTES = new Uint8Array(0)
const DEFAULT_LIMIT = 64 << 20

export interface Segment {
  readonly id: number
  readonly size: number
  /** Of the record that it is, or that carries it. */
  readonly key: string
  /** A record of the log carries it. */
  readonly isCarried: boolean
  /** A small one is bytes in a record of the database, a large one a Blob. */
  readonly isSmall: boolean
  readonly pages: Set<Kept>
  unseen: number
  /** Of which groups of inodes the unseen ones are. */
  readonly groups: Set<number>
  live: number
  value: StoredValue
  /** Its record is in the store. */
  stored: boolean
  /** One of its pages is not what it was: it is left where it is. */
  damaged: boolean
}

/** No page lives in it. */
export const isUnused = ({ pages, unseen }: Segment) => pages.size === 0 && unseen === 0

/** A page of a file in a segment; one without bytes is in none. */
export class Kept implements KeptPage {
  /** Set when the segment is made. */
  segment: Segment | undefined
  readonly offset: number
  readonly length: number
  readonly hash: number
  readonly file: TmpfsFile
  readonly index: number
  used = false

  constructor(
    segment: Segment | undefined,
    offset: number,
    length: number,
    hash: number,
    file: TmpfsFile,
    index: number,
  ) {
    this.segment = segment
    this.offset = offset
    this.length = length
    this.hash = hash
    this.file = file
    this.index = index
  }
}

export class Segments {
  readonly byId = new Map<number, Segment>()
  /** In which no page lives. */
  readonly dead = new Set<Segment>()
  lastId = 0
  #small = 0
  #smallBytes = 0
  /** Bytes of all segments, and what of them lives. */
  size = 0
  live = 0
  readonly #store: KeyValueStore
  readonly #windows = new Map<string, Uint8Array>()
  /** Segments that the cleaner has asked for: their bytes, or when these have come. */
  readonly #whole = new Map<Segment, Uint8Array | Promise<void>>()
  #mostWhole = 0
  readonly #resident = new Set<Kept>()
  #residentBytes = 0
  #mostResident = 0
  #windowSize = 0
  #mostWindows = 0

  constructor(store: KeyValueStore) {
    this.#store = store
    this.cacheAtMost()
  }

  /** How many bytes that are on disk, too, are in memory at most; 128 KiB or more. A quarter is for reading ahead. */
  cacheAtMost(limit = DEFAULT_LIMIT): void {
    const ahead = Math.floor(limit / 4 / PAGE_SIZE) * PAGE_SIZE
    this.#windowSize = Math.min(MOST_IN_WINDOW, Math.max(PAGE_SIZE, ahead))
    this.#mostWindows = Math.min(MOST_WINDOWS, Math.max(1, Math.floor(ahead / this.#windowSize)))
    this.#mostWhole = Math.min(MOST_WHOLE, Math.floor(limit / 8 / SEGMENT_SIZE))
    this.#mostResident = limit - this.#mostWindows * this.#windowSize - this.#mostWhole * SEGMENT_SIZE
  }

  add(id: number, size: number, value: StoredValue, stored: boolean, key = segmentKey(id)): Segment {
    const isSmall = value instanceof Uint8Array
    const none = { pages: new Set<Kept>(), live: 0, unseen: 0, groups: new Set<number>() }
    const isCarried = key !== segmentKey(id)
    const segment: Segment = { id, size, key, isCarried, isSmall, value, stored, damaged: false, ...none }
    this.byId.set(id, segment)
    this.size += size
    if (isSmall) this.#countSmall(segment, 1)
    this.lastId = Math.max(this.lastId, id)
    return segment
  }

  /** A page of an inode that is not in memory lives in it; with -1 no longer. A segment that is missing is a fault of its pages. */
  expect(id: number, length: number, group: number, sign: number): void {
    const segment = this.byId.get(id) ?? this.add(id, 0, NO_BYTES, true)
    segment.live += sign * length
    segment.unseen += sign
    this.live += sign * length
    segment.groups.add(group)
  }

  /** A page that was expected is of an inode in memory now. */
  arrive(kept: Kept): void {
    const { segment } = kept
    if (!segment) return
    segment.pages.add(kept)
    if (--segment.unseen === 0) segment.groups.clear()
  }

  remove(segment: Segment): void {
    this.byId.delete(segment.id)
    this.dead.delete(segment)
    this.size -= segment.size
    if (segment.isSmall) this.#countSmall(segment, -1)
  }

  #countSmall({ size }: Segment, sign: number): void {
    this.#small += sign
    this.#smallBytes += sign * size
  }

  /** The small ones that can be moved, those apart that are pinned or damaged, are many, or would make a large one. */
  hasManySmall(pinned: ReadonlySet<number>): boolean {
    let [count, bytes] = [this.#small, this.#smallBytes]
    const areMany = () => count > MOST_SMALL || bytes > SEGMENT_SIZE
    if (!areMany()) return false
    for (const { id, size, isSmall, damaged } of this.byId.values()) {
      if (!isSmall || (!damaged && !pinned.has(id))) continue
      count--
      bytes -= size
    }
    return areMany()
  }

  /** A page lives there now. */
  enter(kept: Kept): void {
    const { segment, length } = kept
    if (!segment) return
    segment.pages.add(kept)
    this.dead.delete(segment)
    segment.live += length
    this.live += length
  }

  /** It no longer does. */
  leave(kept: Kept): void {
    const { segment, length } = kept
    if (!segment?.pages.delete(kept)) return
    segment.live -= length
    this.live -= length
    if (isUnused(segment)) {
      this.dead.add(segment)
      this.#whole.delete(segment)
    }
    if (this.#resident.delete(kept)) this.#residentBytes -= length
  }

  /** The page's bytes are in memory, from where they may go again. */
  stay(kept: Kept): void {
    if (!kept.segment || this.#resident.has(kept)) return
    this.#residentBytes += kept.length
    for (const old of this.#resident) {
      if (this.#residentBytes <= this.#mostResident) break
      this.#resident.delete(old)
      if (old.used) {
        old.used = false
        this.#resident.add(old)
        continue
      }
      this.#residentBytes -= old.length
      old.file.data?.letGo(old.index)
    }
    this.#resident.add(kept)
  }

  /** The bytes that are on disk, too, and in memory. */
  get cachedBytes(): number {
    return this.#residentBytes + sizeOf([...this.#windows.values()])
  }

  /** The bytes of a page, which come to stay. Errors: EIO. */
  load(kept: Kept, pool: PagePool): Uint8Array {
    const bytes = this.peek(kept, pool)
    this.stay(kept)
    return bytes
  }

  /** The bytes of a page. Errors: EIO if they are not what was stored. */
  peek(kept: Kept, pool: PagePool): Uint8Array {
    const { segment, offset, length } = kept
    const bytes = length === PAGE_SIZE ? pool.take() : new Uint8Array(length)
    if (!segment) return bytes
    const whole = this.#wholeOf(segment)
    if (whole) bytes.set(whole.subarray(offset, offset + length))
    else {
      try {
        this.#copy(segment, offset, bytes)
      } catch (failure) {
        throw this.#fault(kept, segment, failure instanceof Error ? failure.message : String(failure))
      }
    }
    return this.#checked(kept, segment, bytes)
  }

  /** The same, where they are in memory if their segment is. */
  view(kept: Kept, pool: PagePool): Uint8Array {
    const { segment, offset, length } = kept
    const whole = segment && this.#wholeOf(segment)
    return whole ? this.#checked(kept, segment, whole.subarray(offset, offset + length)) : this.peek(kept, pool)
  }

  #wholeOf(segment: Segment): Uint8Array | undefined {
    const whole = segment.value instanceof Uint8Array ? segment.value : this.#whole.get(segment)
    return whole instanceof Uint8Array ? whole : undefined
  }

  #checked(kept: Kept, segment: Segment, bytes: Uint8Array): Uint8Array {
    if (xxHash32(bytes) !== kept.hash) throw this.#fault(kept, segment, 'its stored bytes are damaged')
    return bytes
  }

  #fault({ index, file }: Kept, segment: Segment, why: string): ErrnoError {
    segment.damaged = true
    this.#whole.delete(segment)
    return new ErrnoError('EIO', undefined, `page ${index} of inode ${file.ino} in the volume: ${why}`)
  }

  #copy(segment: Segment, offset: number, bytes: Uint8Array): void {
    let done = 0
    while (done < bytes.length) {
      const start = Math.floor((offset + done) / this.#windowSize) * this.#windowSize
      const window = this.#window(segment, start)
      const from = offset + done - start
      const count = Math.min(bytes.length - done, window.length - from)
      if (count <= 0) throw new Error('its segment is too short')
      bytes.set(window.subarray(from, from + count), done)
      done += count
    }
  }

  #window(segment: Segment, start: number): Uint8Array {
    const key = `${segment.id}:${start}`
    const window =
      this.#windows.get(key) ?? this.#store.read(segment.value, start, Math.min(this.#windowSize, segment.size - start))
    this.#remember(key, window)
    return window
  }

  #remember(key: string, window: Uint8Array): void {
    this.#windows.delete(key)
    const oldest = this.#windows.size < this.#mostWindows ? undefined : this.#windows.keys().next().value
    if (oldest !== undefined) this.#windows.delete(oldest)
    this.#windows.set(key, window)
  }

  /**
   * Whether a segment's bytes can be had without waiting for the disk, or have to be: nothing whole fits in the cache. If not, they are
   * asked for, unless many were.
   */
  isAtHand(segment: Segment): boolean {
    if (segment.value instanceof Uint8Array || this.#mostWhole === 0) return true
    const whole = this.#whole.get(segment)
    if (whole || this.#whole.size >= this.#mostWhole) return whole instanceof Uint8Array
    const coming = this.#store.fetch(segment.value, 0, segment.size).then(
      (bytes) => {
        if (this.#whole.has(segment)) this.#whole.set(segment, bytes)
      },
      () => {
        segment.damaged = true
        this.#whole.delete(segment)
      },
    )
    this.#whole.set(segment, coming)
    return false
  }

  /** When what was asked for has come; undefined if it has. */
  get coming(): Promise<unknown> | undefined {
    const coming = [...this.#whole.values()].filter((each) => each instanceof Promise)
    return coming.length > 0 ? Promise.all(coming) : undefined
  }

  /** Lets go of what was asked for, of one segment or of all. */
  forget(segment?: Segment): void {
    if (segment) this.#whole.delete(segment)
    else this.#whole.clear()
  }
}
