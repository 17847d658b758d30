/** Bytes on their way, in the chunks in which they came. */

import { copyBytes } from '../abi/copy-bytes.ts'

export class ByteQueue {
  #chunks: Uint8Array[] = []
  /** Bytes of the first chunk that were taken. */
  #taken = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The array is the queue's from now on. */
  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.#length += bytes.length
  }

  /** Up to so many bytes; 0 if there are none. */
  take(memory: Uint8Array, at: number, length: number): number {
    const wanted = Math.min(length, this.#length)
    for (let count = 0; count < wanted; ) count += this.#takeOfFirst(memory, at + count, wanted - count)
    return wanted
  }

  #takeOfFirst(memory: Uint8Array, at: number, length: number): number {
    const chunk = this.#chunks[0]!
    const count = Math.min(length, chunk.length - this.#taken)
    copyBytes(chunk, this.#taken, memory, at, count)
    this.#taken += count
    this.#length -= count
    if (this.#taken === chunk.length) {
      this.#chunks.shift()
      this.#taken = 0
    }
    return count
  }

  clear(): void {
    this.#chunks = []
    this.#taken = 0
    this.#length = 0
  }
}
