/** Bytes that the page handed in, as a source. */

import { copyBytes } from '../../abi/copy-bytes.ts'
import type { PageSource } from '../../vfs/inode.ts'

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
    copyBytes(this.#bytes, offset, memory, at, length)
  }
}
