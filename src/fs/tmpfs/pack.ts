/** Packs pages, of whatever files, into new segments. */

import { concatBytes } from '../../abi/byte-parts.ts'
import { copyBytes } from '../../abi/copy-bytes.ts'
import { xxHash32 } from './hash.ts'
import type { TmpfsFile } from './inodes.ts'
import type { KeyValueStore, StoredValue } from './key-value-store.ts'
import { Kept, SEGMENT_SIZE, type Segment, type Segments } from './segments.ts'

/** Up to here a segment is bytes in a record: a Blob costs a file. */
export const SMALL = 128 * 1024
/** Up to here the log's record carries it: another record costs a sixth of a transaction. */
const CARRIED = 16 * 1024
/** Up to here a page is put behind others in one array: a view of its own costs more. */
const SHORT = 8 * 1024

export class Packer {
  readonly segments: Segment[] = []
  readonly kept: Kept[] = []
  readonly #segments: Segments
  readonly #store: KeyValueStore
  readonly #carrier: string
  /** What the next segment is made of, and behind that the short pages that came last. */
  #parts: Uint8Array[] = []
  readonly #short = new Gathered()
  /** The first of `kept` that is in the next segment. */
  #first = 0
  #size = 0

  /** The key is that of the record that may carry a segment. */
  constructor(segments: Segments, store: KeyValueStore, carrier: string) {
    this.#carrier = carrier
    this.#segments = segments
    this.#store = store
  }

  /** `length` bytes from `start`; `hash` is theirs. */
  add(
    file: TmpfsFile,
    index: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    hash = xxHash32(bytes, start, length),
  ): void {
    if (this.#size + length > SEGMENT_SIZE) this.#close(false)
    this.kept.push(new Kept(undefined, this.#size, length, hash, file, index))
    this.#size += length
    if (length <= SHORT) this.#short.add(bytes, start, length)
    else this.#parts.push(...this.#short.take(), bytes.subarray(start, start + length))
  }

  /** The pages that were added have their places. */
  finish(): void {
    this.#close(this.segments.length === 0 && this.#size <= SMALL)
  }

  #close(small: boolean): void {
    let segment: Segment | undefined
    if (this.#size > 0) {
      const parts = [...this.#parts, ...this.#short.take()]
      const value: StoredValue = small ? concatBytes(parts) : this.#store.blob(parts)
      const id = this.#segments.lastId + 1
      const key = small && this.#size <= CARRIED ? this.#carrier : undefined
      segment = this.#segments.add(id, this.#size, value, false, key)
      this.segments.push(segment)
    }
    for (; this.#first < this.kept.length; this.#first++) {
      const kept = this.kept[this.#first]!
      if (kept.length > 0) kept.segment = segment
      this.#segments.enter(kept)
      kept.file.data!.keep(kept.index, kept)
    }
    this.#parts = []
    this.#size = 0
  }
}

/** Bytes one behind the other. */
class Gathered {
  #bytes = new Uint8Array(0)
  #length = 0

  add(bytes: Uint8Array, start: number, length: number): void {
    if (this.#length + length > this.#bytes.length) {
      const grown = new Uint8Array(2 * (this.#length + length))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    copyBytes(bytes, start, this.#bytes, this.#length, length)
    this.#length += length
  }

  /** What there is, if anything, which it keeps no longer. */
  take(): Uint8Array[] {
    if (this.#length === 0) return []
    const taken = this.#bytes.subarray(0, this.#length)
    this.#bytes = new Uint8Array(0)
    this.#length = 0
    return [taken]
  }
}
