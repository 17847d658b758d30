/**
 * The hash tree over the content of one file (fs-verity's, Documentation/filesystems/fsverity.rst): hashes of its blocks of 4 KiB, hashes
 * of blocks of those, and so on, up to the hash of the one block that is left, which is the content's.
 *
 * Stored are the levels of more than one hash, the lowest first, without gaps. The shape follows from the size of the content alone,
 * which must be trusted. What was checked is kept in memory, so each block of a tree is read and hashed once.
 */

import type { FileInode } from '../../vfs/inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import { HASH_BYTES } from './options.ts'

export type Digest = (bytes: Uint8Array) => Uint8Array

export const BLOCK = 4096
const HASHES_PER_BLOCK = BLOCK / HASH_BYTES
/** The level below the stored ones. */
const CONTENT = -1

/** The number of hashes of each stored level, the lowest first. */
export function levelsOf(size: number): number[] {
  const levels: number[] = []
  for (let count = Math.ceil(size / BLOCK); count > 1; count = Math.ceil(count / HASHES_PER_BLOCK)) levels.push(count)
  return levels
}

/** Bytes that a stored tree takes. */
export const treeBytes = (size: number): number => levelsOf(size).reduce((sum, count) => sum + count * HASH_BYTES, 0)

/** Measures content that comes piece by piece. */
export class TreeBuilder {
  readonly #digest: Digest
  readonly #hashes: Uint8Array
  #filled = 0

  constructor(digest: Digest, size: number) {
    this.#digest = digest
    this.#hashes = new Uint8Array(Math.max(1, Math.ceil(size / BLOCK)) * HASH_BYTES)
  }

  /** The next bytes of the content. Preconditions: whole blocks, but for the last one. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += BLOCK) {
      this.#hashes.set(this.#digest(bytes.subarray(at, at + BLOCK)), this.#filled)
      this.#filled += HASH_BYTES
    }
  }

  /** The hash of all of it, and the stored levels. */
  end(): { content: Uint8Array; levels: readonly Uint8Array[] } {
    if (this.#filled === 0) this.#hashes.set(this.#digest(new Uint8Array(0)))
    const levels: Uint8Array[] = []
    let level = this.#hashes
    while (level.length > HASH_BYTES) {
      levels.push(level)
      const above = new Uint8Array(Math.ceil(level.length / BLOCK) * HASH_BYTES)
      for (let block = 0; block * BLOCK < level.length; block++)
        above.set(this.#digest(level.subarray(block * BLOCK, (block + 1) * BLOCK)), block * HASH_BYTES)
      level = above
    }
    return { content: level, levels }
  }
}

/** Checks blocks of content against a stored tree. */
export class HashTree {
  readonly #digest: Digest
  readonly #file: FileInode
  readonly #content: Uint8Array
  /** Where each stored level lies in the file, and its length. */
  readonly #levels: readonly { readonly start: number; readonly length: number }[]
  /** By level and block. */
  readonly #checked: (Uint8Array | undefined)[][]
  readonly #damaged: () => never

  /** The tree lies in `file` from `start` on. `damaged` is called when it is not what was measured. */
  constructor(
    digest: Digest,
    { file, start, size, content }: { file: FileInode; start: number; size: number; content: Uint8Array },
    damaged: () => never,
  ) {
    this.#digest = digest
    this.#file = file
    this.#content = content
    this.#damaged = damaged
    let end = start
    this.#levels = levelsOf(size).map((count) => {
      const length = count * HASH_BYTES
      end += length
      return { start: end - length, length }
    })
    this.#checked = this.#levels.map(() => [])
  }

  /** Brings what it takes to check the blocks from `first` to `last`. Errors: those of the file; as `damaged`. */
  load(first: number, last: number, attempt: Attempt): void {
    if (this.#levels.length === 0) return
    const lowest = this.#checked[0]!
    const end = Math.floor(last / HASHES_PER_BLOCK)
    let block = Math.floor(first / HASHES_PER_BLOCK)
    while (block <= end && lowest[block]) block++
    if (block <= end) this.#loadAll(first, last, attempt)
  }

  #loadAll(first: number, last: number, attempt: Attempt): void {
    const missing = new Missing()
    let [from, to] = [first, last]
    const wanted = this.#levels.map(() => {
      from = Math.floor(from / HASHES_PER_BLOCK)
      to = Math.floor(to / HASHES_PER_BLOCK)
      return { from, to }
    })
    for (const [level, range] of [...wanted.entries()].reverse()) {
      for (let block = range.from; block <= range.to; block++)
        if (!this.#checked[level]![block]) missing.try(() => this.#load(level, block, attempt))
    }
    missing.wait()
  }

  /** Preconditions: those of the levels above are there, or are waited for by the same attempt. */
  #load(level: number, block: number, attempt: Attempt): void {
    const { start, length } = this.#levels[level]!
    const bytes = new Uint8Array(Math.min(BLOCK, length - block * BLOCK))
    const count = this.#file.read(bytes, 0, bytes.length, start + block * BLOCK, attempt)
    if (level + 1 < this.#levels.length && !this.#checked[level + 1]![Math.floor(block / HASHES_PER_BLOCK)]) return
    if (count < bytes.length || !this.#matches(level, block, bytes)) this.#damaged()
    this.#checked[level]![block] = bytes
  }

  /**
   * The first block that is not what was measured, of those from `first` on whose bytes are in `memory` from `start` to `end`;
   * undefined for none. Preconditions: they were loaded.
   */
  firstWrong(first: number, memory: Uint8Array, start: number, end: number): number | undefined {
    for (let block = first, at = start; at < end; block++, at += BLOCK)
      if (!this.#matches(CONTENT, block, memory.subarray(at, Math.min(at + BLOCK, end)))) return block
    return undefined
  }

  /** Whether a block of a level is what was measured. */
  #matches(level: number, block: number, bytes: Uint8Array): boolean {
    const above = this.#checked[level + 1]
    const hashes = above ? above[Math.floor(block / HASHES_PER_BLOCK)]! : this.#content
    return isEqual(this.#digest(bytes), hashes, above ? (block % HASHES_PER_BLOCK) * HASH_BYTES : 0)
  }

  /** What was checked need not be kept: the file is not open any more. */
  forget(): void {
    for (const blocks of this.#checked) blocks.length = 0
  }
}

export function isEqual(hash: Uint8Array, hashes: Uint8Array, at = 0): boolean {
  // Four at a time, which is half as long as one by one.
  for (let i = 0, j = at; i < HASH_BYTES; i += 4, j += 4) {
    if (hash[i] !== hashes[j] || hash[i + 1] !== hashes[j + 1]) return false
    if (hash[i + 2] !== hashes[j + 2] || hash[i + 3] !== hashes[j + 3]) return false
  }
  return true
}
