/** Bytes that the page handed in, as a source. */

import type { PageSource } from '../../vfs/inode.ts'

/** Below this, a loop is quicker than the view that `set` needs. */
const SHORT = 32

export class MemorySource implements PageSource {
  readonly #bytes: Uint8Array

  /** Preconditions: nobody changes the bytes. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get size(): number {
    return this.#bytes.length
  }

  read(memory: Uint8Array, at: number, length: number, offset: number): void {
    copy(this.#bytes, offset, memory, at, length)
  }
}

/** Copies `length` bytes between two arrays that both hold them. */
export function copy(from: Uint8Array, offset: number, to: Uint8Array, at: number, length: number): void {
  if (length > SHORT) to.set(from.subarray(offset, offset + length), at)
  else for (let i = 0; i < length; i++) to[at + i] = from[offset + i]!
}
