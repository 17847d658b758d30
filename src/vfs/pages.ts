/**
 * The bytes of a regular file, as pages of 64 KiB that are there only where something was written.
 *
 * A page is memory, or comes from the file's base (a lower layer's file that was copied up, read in place until it is
 * written to), or is a hole and reads as zeros. Space is counted in blocks of 4 KiB, as Linux's tmpfs counts its pages.
 *
 * Where there is a store, a page that has not changed since a commit is `kept`, and its bytes may be let go until they are wanted.
 *
 * Invariants: a page's bytes count up to its `end`, which is not beyond the file's size; behind it the page reads as zeros,
 * whatever its memory holds. Only a page that is kept may have no room for what counts. A block's bit in `present` is set if and only if the
 * block is charged. A page under the base's size that is not in memory reads from the base.
 */

import { copyBytes } from '../abi/copy-bytes.ts'
import { ErrnoError } from '../abi/errno.ts'
import type { PageSource } from './inode.ts'
import type { PagePool } from './page-pool.ts'
import { type Attempt, Missing } from './waiting.ts'

export const PAGE_SIZE = 65_536
export const BLOCK_SIZE = 4096
const BLOCKS_PER_PAGE = PAGE_SIZE / BLOCK_SIZE
const ALL_BLOCKS = 0xffff
/** Blocks that a file may have by fallocate(2): 16 GiB, more than a tab can hold. Each page costs an object, before it is written to. */
const MOST_ALLOCATED = 2 ** 22

/** Who grants space, and where its memory comes from. Counts are blocks of 4 KiB. */
export interface BlockQuota {
  readonly pool: PagePool
  /** Takes all of it, or nothing and says false. */
  take(blocks: number): boolean
  give(blocks: number): void
  /** Who keeps the pages of this data elsewhere; left out where they are in memory only. */
  readonly keeper?: PageKeeper | undefined
}

/** The place of a page's bytes outside of memory. */
export interface KeptPage {
  /** Since it was last asked whether the page is in use. */
  used: boolean
}

/** Of one file's data: it commits its pages, and brings them back. */
export interface PageKeeper {
  /** A page was made, or is about to change, or is no more; what was kept of it holds no longer. */
  changed(index: number, kept: KeptPage | undefined): void
  /** The bytes of a page that are kept, in an array that belongs to the caller. Errors: EIO. */
  load(kept: KeptPage): Uint8Array
}

/** A page as its keeper sees it. */
export interface PageView {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly present: number
  readonly kept: KeptPage | undefined
}

class Page {
  /** The memory that it is in, from `start` on: an array of its own, or a page of the pool that small files share. */
  bytes: Uint8Array
  start = 0
  /** How many bytes of the memory are its own. */
  room: number
  /** How many of them count. */
  end: number
  present: number
  /** Set while the store has the same bytes. */
  kept: KeptPage | undefined
  constructor(bytes: Uint8Array, present: number) {
    this.bytes = bytes
    this.room = bytes.length
    this.end = bytes.length
    this.present = present
    this.kept = undefined
  }

  /** Whether its bytes were let go. */
  get isAway(): boolean {
    return this.end > this.room
  }

  /** Its bytes are in memory again. */
  comeBack(bytes: Uint8Array): void {
    this.bytes = bytes
    this.start = 0
    this.room = bytes.length
  }

  /** Lets its bytes go, which are kept. */
  goAway(pool: PagePool): void {
    this.release(pool)
    this.bytes = NO_BYTES
    this.start = 0
    this.room = 0
  }

  /**
   * Makes room for `end` bytes. The first page of a file grows by doubling from what it was first given, so that small
   * files stay small and many small appends linear; behind a first page of 64 KiB a new one is unlikely to stay short.
   */
  reserve(end: number, isFirst: boolean, pool: PagePool): void {
    if (end <= this.room) return
    const grown = isFirst ? (this.room === 0 ? end : Math.max(end, this.room * 2, 256)) : PAGE_SIZE
    this.#move(Math.min(PAGE_SIZE, grown), pool)
  }

  /** Goes to other memory, of at least `room` bytes, with what there is room for. */
  #move(room: number, pool: PagePool): void {
    const { bytes, start, room: oldRoom } = this
    this.room = (room + 15) & ~15
    const piece = pool.takePiece(this.room)
    if (piece) {
      this.bytes = piece.bytes
      this.start = piece.start
    } else {
      this.bytes = this.room === 0 ? NO_BYTES : this.room === PAGE_SIZE ? pool.take() : new Uint8Array(this.room)
      this.start = 0
    }
    if (this.end > 0) copyBytes(bytes, start, this.bytes, this.start, this.end)
    giveBack(bytes, start, oldRoom, pool)
  }

  /** Copies `count` bytes from `from` on, which all count. */
  read(memory: Uint8Array, at: number, from: number, count: number): void {
    copyBytes(this.bytes, this.start + from, memory, at, count)
  }

  /** Writes `count` bytes at `from`, for which there is room. */
  write(memory: Uint8Array, at: number, from: number, count: number): void {
    if (from > this.end) this.#fill(this.end, from)
    copyBytes(memory, at, this.bytes, this.start + from, count)
    if (from + count > this.end) this.end = from + count
  }

  #fill(from: number, to: number): void {
    this.bytes.fill(0, this.start + from, this.start + to)
  }

  /** Makes [from, to) zeros. */
  clear(from: number, to: number, pool: PagePool): void {
    if (to < this.end) {
      this.#fill(from, to)
      return
    }
    if (from >= this.end) return
    this.end = from
    if (from < this.room >> 1) this.#move(from, pool)
  }

  /** It is needed no more. */
  release(pool: PagePool): void {
    giveBack(this.bytes, this.start, this.room, pool)
  }
}

function giveBack(bytes: Uint8Array, start: number, room: number, pool: PagePool): void {
  if (room === bytes.length) pool.give(bytes)
  else pool.givePiece({ bytes, start }, room)
}

const NO_BYTES = new Uint8Array(0)
const NONE: readonly number[] = []
const ONLY_FIRST: readonly number[] = [0]

export class PagedData {
  size = 0
  readonly #quota: BlockQuota
  /** Most files are one page: it has a place of its own. */
  #first: Page | undefined
  #others: Map<number, Page> | undefined
  #blocks = 0
  #base: PageSource | undefined
  /** No page in memory lies beyond it: there may be some past the size, allocated and not yet written. */
  #reach = 0
  /** How much of the base still counts: less than its size once the file was cut. */
  #baseSize = 0
  #borrowed = 0

  constructor(quota: BlockQuota) {
    this.#quota = quota
  }

  /** Charged blocks of 4 KiB. */
  get blocks(): number {
    return this.#blocks
  }

  /** Blocks of 4 KiB that are read from the base: nothing is charged for them yet. */
  get borrowed(): number {
    return this.#borrowed
  }

  /** Becomes the content of a source, which must not change, without reading it. Only for data that is empty. */
  adopt(source: PageSource): void {
    this.#base = source
    this.#baseSize = source.size
    this.#borrowed = Math.ceil(source.size / BLOCK_SIZE)
    this.size = source.size
  }

  /** Copies up to `length` bytes from `offset` to `memory[at…]`; short only at the end. */
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    const total = Math.min(length, this.size - offset)
    if (total <= 0) return 0
    let done = 0
    while (done < total) {
      const position = offset + done
      const index = Math.floor(position / PAGE_SIZE)
      const from = position - index * PAGE_SIZE
      let count = Math.min(PAGE_SIZE - from, total - done)
      const page = index === 0 ? this.#first : this.#others?.get(index)
      if (page !== undefined) {
        const held = Math.min(count, page.end - from)
        if (held > 0) {
          if (page.kept !== undefined) this.#use(page)
          page.read(memory, at + done, from, held)
        }
        if (held < count) memory.fill(0, at + done + Math.max(held, 0), at + done + count)
      } else {
        // Of the base as much as there is in one go: what it has to wait for it asks for at once.
        if (this.#base)
          for (let next = index + 1; count < total - done && !this.#others?.has(next); next++) count += PAGE_SIZE
        count = Math.min(count, total - done)
        this.#readBase(memory, at + done, count, position, attempt)
      }
      done += count
    }
    return total
  }

  #readBase(memory: Uint8Array, at: number, count: number, position: number, attempt: Attempt): void {
    const held = Math.max(0, Math.min(count, this.#baseSize - position))
    if (held > 0) this.#base?.read(memory, at, held, position, attempt)
    if (held < count) memory.fill(0, at + held, at + count)
  }

  /**
   * Writes at `offset` and grows the file as needed. Returns less than `length` where space ends.
   * Errors: ENOSPC when not a byte could be written; EFBIG past 2^53-1.
   */
  write(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    if (offset + length > Number.MAX_SAFE_INTEGER) throw new ErrnoError('EFBIG')
    const loaded = this.#load(offset, offset + length, true, attempt)
    if (this.#quota.keeper !== undefined) this.#useEdges(offset, offset + length)
    let done = 0
    while (done < length) {
      const position = offset + done
      const index = Math.floor(position / PAGE_SIZE)
      const from = position - index * PAGE_SIZE
      let count = Math.min(PAGE_SIZE - from, length - done)
      const known = index === 0 ? this.#first : this.#others?.get(index)
      const page = known ?? this.#bring(index, loaded)
      if (!page) break
      const wanted = blockBits(from, from + count)
      if ((page.present & wanted) !== wanted) {
        const granted = this.#charge(page, from, from + count)
        if (granted <= from) {
          if (!known) this.#drop(index, page)
          break
        }
        count = Math.min(count, granted - from)
      }
      if (page.kept !== undefined) this.#changing(index, page, from, from + count)
      page.reserve(from + count, index === 0, this.#quota.pool)
      page.write(memory, at + done, from, count)
      done += count
      if (position + count > this.size) this.size = position + count
      if (count < PAGE_SIZE - from && done < length) break
    }
    if (done === 0 && length > 0) throw new ErrnoError('ENOSPC')
    return done
  }

  /**
   * What the base holds of the pages in [start, end) that are not in memory, without those that lie wholly inside if they are to
   * be `dropped`. It is read before anything changes, since the base may have to wait; what has come is kept for the call.
   */
  #load(start: number, end: number, dropped: boolean, attempt: Attempt): Map<number, Uint8Array> | undefined {
    const first = Math.floor(start / PAGE_SIZE)
    const stop = Math.min(end, this.#baseSize)
    if (first * PAGE_SIZE >= stop || !this.#base) return undefined
    const kept = attempt.noted<Map<number, Uint8Array>>(this)
    const loaded = new Map(kept)
    kept?.clear()
    const missing = new Missing()
    for (let index = first; index * PAGE_SIZE < stop; index++) {
      if (loaded.has(index) || (index === 0 ? this.#first : this.#others?.has(index))) continue
      const begin = index * PAGE_SIZE
      const held = this.#heldIn(index)
      if (dropped && start <= begin && begin + held <= end) continue
      const bytes = new Uint8Array(held)
      missing.try(() => {
        this.#base!.read(bytes, 0, held, begin, attempt)
        loaded.set(index, bytes)
      })
    }
    if (missing.any && loaded.size > 0) {
      const notes = attempt.note(this, () => new Map<number, Uint8Array>())
      for (const [index, bytes] of loaded) notes.set(index, bytes)
    }
    missing.wait()
    return loaded
  }

  /** How many bytes of a page the base has. */
  #heldIn(index: number): number {
    return Math.max(0, Math.min(PAGE_SIZE, this.#baseSize - index * PAGE_SIZE))
  }

  /** The base counts up to `size` only. */
  #cutBase(size: number): void {
    if (size >= this.#baseSize) return
    this.#baseSize = size
    this.#borrowed = Math.ceil(size / BLOCK_SIZE)
    if (this.#first) this.#returned(0)
    if (this.#others) for (const index of this.#others.keys()) this.#returned(index)
  }

  /** A page is in memory now. */
  #returned(index: number): void {
    this.#borrowed -= countBits(blockBits(0, this.#heldIn(index)))
  }

  /**
   * Brings a page to memory, made of what was loaded for it; undefined if there is no space for that. One of the base that was not
   * loaded is about to be overwritten: it is charged as a whole, since nothing of it is left to show.
   */
  #bring(index: number, loaded: Map<number, Uint8Array> | undefined): Page | undefined {
    const present = blockBits(0, this.#heldIn(index))
    if (!this.#take(countBits(present))) return undefined
    return this.#makePage(index, loaded?.get(index) ?? NO_BYTES, present)
  }

  #makePage(index: number, bytes: Uint8Array, present: number): Page {
    const page = new Page(bytes, present)
    this.#reach = Math.max(this.#reach, (index + 1) * PAGE_SIZE)
    if (index === 0) this.#first = page
    else {
      this.#others ??= new Map()
      this.#others.set(index, page)
    }
    if (this.#base) this.#returned(index)
    this.#quota.keeper?.changed(index, undefined)
    return page
  }

  #pageAt(index: number): Page | undefined {
    return index === 0 ? this.#first : this.#others?.get(index)
  }

  /** A page that is kept is read: its bytes must be there. Errors: EIO. */
  #use(page: Page): void {
    page.kept!.used = true
    if (page.isAway) page.comeBack(this.#quota.keeper!.load(page.kept!))
  }

  /** The pages that [start, end) touches in part, and which therefore keep something, are there from now on. Errors: EIO. */
  #useEdges(start: number, end: number): void {
    const first = Math.floor(start / PAGE_SIZE)
    const last = Math.floor(Math.max(start, end - 1) / PAGE_SIZE)
    for (const index of first === last ? [first] : [first, last]) {
      const page = this.#pageAt(index)
      const whole = start <= index * PAGE_SIZE && index * PAGE_SIZE + (page?.end ?? 0) <= end
      if (page?.isAway && !whole) this.#use(page)
    }
  }

  /** A page that is kept is about to change in [from, to). Errors: EIO. */
  #changing(index: number, page: Page, from: number, to: number): void {
    if (page.isAway) {
      if (from === 0 && to >= page.end) page.end = 0
      else this.#use(page)
    }
    this.#quota.keeper?.changed(index, page.kept)
    page.kept = undefined
  }

  /** A page that was just brought is not needed: as if it had not been. */
  #drop(index: number, page: Page): void {
    if (index === 0) this.#first = undefined
    else this.#others?.delete(index)
    this.#give(countBits(page.present))
    this.#borrowed += countBits(blockBits(0, this.#heldIn(index)))
    this.#quota.keeper?.changed(index, page.kept)
    page.release(this.#quota.pool)
  }

  #take(blocks: number): boolean {
    if (blocks > 0 && !this.#quota.take(blocks)) return false
    this.#blocks += blocks
    return true
  }

  #give(blocks: number): void {
    if (blocks === 0) return
    this.#quota.give(blocks)
    this.#blocks -= blocks
  }

  /** Charges the page's blocks in [from, end) from the left; gives how far they are charged now. */
  #charge(page: Page, from: number, end: number): number {
    const missing = blockBits(from, end) & ~page.present
    if (this.#take(countBits(missing))) {
      page.present |= missing
      return end
    }
    for (let block = Math.floor(from / BLOCK_SIZE); block * BLOCK_SIZE < end; block++) {
      const bit = 1 << block
      if (page.present & bit) continue
      if (!this.#take(1)) return block * BLOCK_SIZE
      page.present |= bit
    }
    return end
  }

  /** Sets the size; a grown part is a hole, what lies behind it is given back (also if the size stays). Errors: EFBIG; never ENOSPC. */
  truncate(size: number): void {
    if (size > Number.MAX_SAFE_INTEGER) throw new ErrnoError('EFBIG')
    if (size <= this.size) {
      if (this.#quota.keeper !== undefined) this.#useEdges(size, this.#reach)
      this.#cutBase(size)
      this.#free(size, this.#reach)
      this.#reach = Math.min(this.#reach, Math.ceil(size / PAGE_SIZE) * PAGE_SIZE)
    }
    this.size = size
  }

  /** Makes [start, end) read as zeros and gives whole blocks back: fallocate(2) with PUNCH_HOLE. Errors: ENOSPC for a part of the base. */
  punch(start: number, end: number, attempt: Attempt): void {
    const stop = Math.min(end, Math.max(this.size, this.#reach))
    if (start >= stop) return
    if (this.#quota.keeper !== undefined) this.#useEdges(start, stop)
    if (stop >= this.#baseSize) this.#cutBase(start)
    else this.#punchBase(start, stop, attempt)
    this.#free(start, end)
  }

  /** Base pages that lose a part only come to memory; those that lose all of it become empty pages in memory. */
  #punchBase(start: number, end: number, attempt: Attempt): void {
    const loaded = this.#load(start, end, true, attempt)
    let blocks = 0
    for (const bytes of loaded?.values() ?? []) blocks += countBits(blockBits(0, bytes.length))
    if (!this.#take(blocks)) throw new ErrnoError('ENOSPC')
    for (let index = Math.floor(start / PAGE_SIZE); index * PAGE_SIZE < end; index++) {
      if (index === 0 ? this.#first : this.#others?.has(index)) continue
      const bytes = loaded?.get(index) ?? NO_BYTES
      this.#makePage(index, bytes, blockBits(0, bytes.length))
    }
  }

  /** Zeroes [start, end) of the pages in memory and uncharges the blocks that lie wholly inside it. */
  #free(start: number, end: number): void {
    if (this.#first && start < PAGE_SIZE) this.#freeInPage(0, this.#first, start, end)
    if (!this.#others) return
    const firstIndex = Math.max(1, Math.floor(start / PAGE_SIZE))
    const endIndex = Math.ceil(end / PAGE_SIZE)
    if (endIndex - firstIndex < this.#others.size) {
      for (let index = firstIndex; index < endIndex; index++) {
        const page = this.#others.get(index)
        if (page) this.#freeInPage(index, page, start, end)
      }
    } else {
      for (const [index, page] of this.#others) {
        if (index >= firstIndex && index < endIndex) this.#freeInPage(index, page, start, end)
      }
    }
  }

  #freeInPage(index: number, page: Page, start: number, end: number): void {
    const base = index * PAGE_SIZE
    const from = Math.max(0, start - base)
    const to = Math.min(PAGE_SIZE, end - base)
    const whole = wholeBlockBits(from, to) & page.present
    if (page.kept !== undefined) this.#changing(index, page, from, to)
    this.#give(countBits(whole))
    page.present &= ~whole
    // Where the base would show through an absent page, an empty page in memory stays as the hole.
    if (page.present === 0 && base >= this.#baseSize) {
      if (index === 0) this.#first = undefined
      else this.#others?.delete(index)
      page.release(this.#quota.pool)
      return
    }
    page.clear(from, to, this.#quota.pool)
  }

  /**
   * Charges every block of [start, end), or none: fallocate(2). Does not change the size.
   * Errors: ENOSPC, also for more than MOST_ALLOCATED where the filesystem has no limit of its own.
   */
  allocate(start: number, end: number, attempt: Attempt): void {
    let missing = 0
    const first = Math.floor(start / PAGE_SIZE)
    const last = Math.floor((end - 1) / PAGE_SIZE)
    if ((last - first) * BLOCKS_PER_PAGE > MOST_ALLOCATED) throw new ErrnoError('ENOSPC')
    for (let index = first; index <= last; index++) {
      const page = index === 0 ? this.#first : this.#others?.get(index)
      const bits = bitsOfPage(index, start, end)
      if (page) missing += countBits(bits & ~page.present)
      else missing += countBits(bits | blockBits(0, this.#heldIn(index)))
    }
    if (this.#blocks + missing > MOST_ALLOCATED || !this.#quota.take(missing)) throw new ErrnoError('ENOSPC')
    this.#quota.give(missing)
    const loaded = this.#load(start, end, false, attempt)
    if (this.#quota.keeper !== undefined)
      for (let index = first; index <= last; index++) if (this.#pageAt(index)?.isAway) this.#use(this.#pageAt(index)!)
    for (let index = first; index <= last; index++) {
      const page = (index === 0 ? this.#first : this.#others?.get(index)) ?? this.#bring(index, loaded)
      if (!page) throw new ErrnoError('ENOSPC')
      if (page.kept !== undefined) this.#changing(index, page, 0, 0)
      const bits = bitsOfPage(index, start, end) & ~page.present
      this.#take(countBits(bits))
      page.present |= bits
    }
  }

  /** The first offset ≥ `offset` that lies in a charged block or the base, or undefined if only a hole is left. */
  nextData(offset: number): number | undefined {
    return this.#scan(offset, true)
  }

  /** The first offset ≥ `offset` that lies in a hole; the end of the file counts as one. */
  nextHole(offset: number): number | undefined {
    if (offset >= this.size) return undefined
    return this.#scan(offset, false) ?? this.size
  }

  #scan(offset: number, wantData: boolean): number | undefined {
    let position = offset
    while (position < this.size) {
      const index = Math.floor(position / PAGE_SIZE)
      const start = index * PAGE_SIZE
      const page = index === 0 ? this.#first : this.#others?.get(index)
      const present = page ? page.present : blockBits(0, this.#heldIn(index))
      for (let block = Math.floor((position - start) / BLOCK_SIZE); block < BLOCKS_PER_PAGE; block++) {
        const found = Math.max(position, start + block * BLOCK_SIZE)
        if (found >= this.size) return undefined
        if (((present >> block) & 1) === (wantData ? 1 : 0)) return found
      }
      position = start + PAGE_SIZE
      if (wantData && present === 0) position = Math.max(position, this.#nextPageStart(index))
    }
    return undefined
  }

  /** Where the next page behind a hole begins, so that looking for data over a 1 TiB hole does not visit it. */
  #nextPageStart(index: number): number {
    if ((index + 1) * PAGE_SIZE < this.#baseSize) return 0
    let next = Number.POSITIVE_INFINITY
    if (this.#others) for (const other of this.#others.keys()) if (other > index && other < next) next = other
    return Math.min(this.size, next * PAGE_SIZE)
  }

  /** For the keeper: the page, or undefined for a hole. */
  page(index: number): PageView | undefined {
    return this.#pageAt(index)
  }

  get pageCount(): number {
    return (this.#first ? 1 : 0) + (this.#others?.size ?? 0)
  }

  /** For the keeper: the indices of all pages there are. */
  pages(): readonly number[] {
    if (this.#others) return this.#first ? [0, ...this.#others.keys()] : [...this.#others.keys()]
    return this.#first ? ONLY_FIRST : NONE
  }

  /** For the keeper: the page's bytes are kept there now; or nowhere any more. */
  keep(index: number, kept: KeptPage | undefined): void {
    const page = this.#pageAt(index)
    if (page) page.kept = kept
  }

  /** For the keeper: the bytes of a page that is kept are let go. */
  letGo(index: number): void {
    const page = this.#pageAt(index)
    if (page?.kept && !page.isAway) page.goAway(this.#quota.pool)
  }

  /** For the keeper: a page as it was stored, without its bytes, and charged even if that is more than there may be. */
  restore(index: number, present: number, end: number, kept: KeptPage): void {
    const page = new Page(NO_BYTES, present)
    page.end = end
    page.kept = kept
    this.#reach = Math.max(this.#reach, (index + 1) * PAGE_SIZE)
    if (index === 0) this.#first = page
    else {
      this.#others ??= new Map()
      this.#others.set(index, page)
    }
    this.#give(-countBits(present))
  }

  /** A page as it was saved, whose bytes belong to the data from now on; charged even if that is more than there may be. */
  put(index: number, present: number, bytes: Uint8Array): void {
    this.#makePage(index, bytes, present)
    this.#give(-countBits(present))
  }

  /** Gives everything back; the data is gone. */
  clear(): void {
    const { keeper } = this.#quota
    if (keeper) for (const index of this.pages()) keeper.changed(index, this.#pageAt(index)!.kept)
    this.#give(this.#blocks)
    this.#first?.release(this.#quota.pool)
    if (this.#others) for (const page of this.#others.values()) page.release(this.#quota.pool)
    this.#first = undefined
    this.#others = undefined
    this.#base = undefined
    this.#baseSize = 0
    this.#borrowed = 0
    this.#reach = 0
    this.size = 0
  }
}

/** The bits of the blocks that [from, to) of a page touches. */
export function blockBits(from: number, to: number): number {
  if (to <= from) return 0
  const first = from >> 12
  const last = (to - 1) >> 12
  return ((2 << last) - (1 << first)) & ALL_BLOCKS
}

/** The bits of the blocks that lie wholly inside [from, to). */
function wholeBlockBits(from: number, to: number): number {
  const first = (from + BLOCK_SIZE - 1) >> 12
  const end = to >> 12
  return end <= first ? 0 : ((1 << end) - (1 << first)) & ALL_BLOCKS
}

function bitsOfPage(index: number, start: number, end: number): number {
  const base = index * PAGE_SIZE
  return blockBits(Math.max(0, start - base), Math.min(PAGE_SIZE, end - base))
}

export function countBits(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}
