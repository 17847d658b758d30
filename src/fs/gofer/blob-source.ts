/**
 * Blobs and Files as sources, read through windows that are kept for a while: a call to the host costs about the same
 * for 4 KiB as for 1 MiB, so one that follows the last reads ahead, and reading on from a window is a copy in memory.
 *
 * Invariant: the windows of all sources together are within the cache's limit, but for the newest, which may exceed it
 * alone; windows of one source do not overlap.
 */

import { copyBytes } from '../../abi/copy-bytes.ts'
import { ErrnoError } from '../../abi/errno.ts'
import type { BlobLike } from '../../abi/tree.ts'
import type { PageSource } from '../../vfs/inode.ts'
import { type BlobReader, messageOf } from './readers.ts'

/** Windows start at multiples of this, and are this long or a multiple, but for the end of the file. */
export const BLOCK = 256 * 1024

/** How far ahead a sequential reader is read, in blocks. */
const MOST_AHEAD = 4

const DEFAULT_LIMIT = 32 * 1024 * 1024

interface Window {
  readonly source: BlobSource
  readonly start: number
  readonly bytes: Uint8Array
}

/** The windows of all Blobs of a kernel, the least recently used first. */
export class BlobCache {
  readonly #reader: BlobReader
  readonly #limit: number
  readonly #windows = new Set<Window>()
  #bytes = 0

  constructor(reader: BlobReader, limit = DEFAULT_LIMIT) {
    this.#reader = reader
    this.#limit = limit
  }

  /** What is kept now. */
  get bytes(): number {
    return this.#bytes
  }

  /** A Blob as a source; `label` is what an error calls it. */
  source(blob: BlobLike, label: string): BlobSource {
    return new BlobSource(this, blob, label)
  }

  /** Reads a new window, for which older ones make room. Errors: EIO. */
  load(source: BlobSource, blob: BlobLike, label: string, start: number, length: number): Window {
    const window = { source, start, bytes: this.#read(blob, label, start, length) }
    this.#bytes += length
    for (const old of this.#windows) {
      if (this.#bytes <= this.#limit) break
      this.#windows.delete(old)
      this.#bytes -= old.bytes.length
      old.source.forget(old)
    }
    this.#windows.add(window)
    return window
  }

  /** The window is in use again. */
  touch(window: Window): void {
    this.#windows.delete(window)
    this.#windows.add(window)
  }

  #read(blob: BlobLike, label: string, start: number, length: number): Uint8Array {
    let bytes: Uint8Array
    try {
      bytes = this.#reader.read(blob, start, length)
    } catch (failure) {
      throw new ErrnoError('EIO', undefined, `${label}: ${messageOf(failure)}`)
    }
    if (bytes.length === length) return bytes
    // So Chromium tells of a file that was cut short or removed.
    throw new ErrnoError('EIO', undefined, `${label}: it was cut short or removed since the page handed it in`)
  }
}

export class BlobSource implements PageSource {
  readonly #cache: BlobCache
  readonly #blob: BlobLike
  readonly #label: string
  /** By block; a window of several blocks is in here under each. */
  readonly #windows = new Map<number, Window>()
  /** The window read last, if it is kept still. */
  #current: Window | undefined
  /** The block behind the window loaded last: a reader that comes to it is sequential. */
  #next = 0
  /** Blocks that the next sequential load reads. */
  #ahead = 1

  constructor(cache: BlobCache, blob: BlobLike, label: string) {
    this.#cache = cache
    this.#blob = blob
    this.#label = label
  }

  get size(): number {
    return this.#blob.size
  }

  /** Errors: EIO, when the file behind the Blob is gone or has changed. */
  read(memory: Uint8Array, at: number, length: number, offset: number): void {
    let done = 0
    while (done < length) {
      const window = this.#windowAt(offset + done, length - done)
      const from = offset + done - window.start
      const part = Math.min(length - done, window.bytes.length - from)
      copyBytes(window.bytes, from, memory, at + done, part)
      done += part
    }
  }

  /** For the cache: the window makes room for others. */
  forget(window: Window): void {
    if (this.#current === window) this.#current = undefined
    for (let start = 0; start < window.bytes.length; start += BLOCK) {
      this.#windows.delete((window.start + start) / BLOCK)
    }
  }

  /** The window that holds the byte at `offset`, of which `length` are wanted. */
  #windowAt(offset: number, length: number): Window {
    const current = this.#current
    if (current && offset >= current.start && offset - current.start < current.bytes.length) return current
    const block = Math.floor(offset / BLOCK)
    const kept = this.#windows.get(block)
    if (kept) this.#cache.touch(kept)
    this.#current = kept ?? this.#load(block, Math.ceil((offset + length) / BLOCK) - block)
    return this.#current
  }

  #load(block: number, wanted: number): Window {
    const ahead = block === this.#next ? this.#ahead : 1
    let blocks = 1
    while (blocks < Math.max(wanted, ahead) && !this.#windows.has(block + blocks)) blocks++
    const start = block * BLOCK
    const length = Math.min(blocks * BLOCK, this.size - start)
    const window = this.#cache.load(this, this.#blob, this.#label, start, length)
    for (let i = 0; i < blocks && i * BLOCK < length; i++) this.#windows.set(block + i, window)
    this.#next = block + blocks
    this.#ahead = Math.min(ahead * 2, MOST_AHEAD)
    return window
  }
}
