/** Packs pages, of whatever files, into new segments. */

import { concatBytes } from '../../abi/byte-parts.ts'
import { xxHash32 } from './hash.ts'
import type { TmpfsFile } from './inodes.ts'
import type { KeyValueStore, StoredValue } from './key-value-store.ts'
import { Kept, SEGMENT_SIZE, type Segment, type Segments } from './segments.ts'

/** Up to here a segment is bytes in a record: a Blob costs a file. */
export const SMALL = 128 * 1024

interface Place {
  readonly file: TmpfsFile
  readonly index: number
  readonly offset: number
  readonly length: number
  readonly hash: number
}

export class Packer {
  readonly segments: Segment[] = []
  readonly kept: Kept[] = []
  readonly #segments: Segments
  readonly #store: KeyValueStore
  #parts: Uint8Array[] = []
  #places: Place[] = []
  #size = 0

  constructor(segments: Segments, store: KeyValueStore) {
    this.#segments = segments
    this.#store = store
  }

  add(file: TmpfsFile, index: number, bytes: Uint8Array): void {
    const { length } = bytes
    if (this.#size + length > SEGMENT_SIZE) this.#close(false)
    this.#places.push({ file, index, offset: this.#size, length, hash: xxHash32(bytes) })
    if (length === 0) return
    this.#parts.push(bytes)
    this.#size += length
  }

  /** The pages that were added have their places. */
  finish(): void {
    this.#close(this.segments.length === 0 && this.#size <= SMALL)
  }

  #close(small: boolean): void {
    let segment: Segment | undefined
    if (this.#size > 0) {
      const value: StoredValue = small ? concatBytes(this.#parts) : this.#store.blob(this.#parts)
      segment = this.#segments.add(this.#segments.lastId + 1, this.#size, value, false)
      this.segments.push(segment)
    }
    for (const { file, index, offset, length, hash } of this.#places) {
      const kept = new Kept(length === 0 ? undefined : segment, offset, length, hash, file, index)
      this.#segments.enter(kept)
      file.data!.keep(index, kept)
      this.kept.push(kept)
    }
    this.#parts = []
    this.#places = []
    this.#size = 0
  }
}
