/**
 * Files whose content is made when it is read: those of proc(5) and their like.
 *
 * Invariant: what one open file reads from its start to its end, in order, is one text, made at one moment. A read that
 * does not go on where the last one ended, or a seek elsewhere, sees a new one.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { FileContent } from './inode.ts'
import type { Attempt } from './waiting.ts'

export interface GeneratedSource {
  /** The whole content as of now. */
  generate(): Uint8Array
  /** Takes what was written in one call, from an offset; gives the bytes taken. Left out: it cannot be written. */
  write?(bytes: Uint8Array, offset: number, attempt: Attempt): number
}

/** One open file's view of a source: what FileInode.content gives. */
export class GeneratedContent implements FileContent {
  readonly #source: GeneratedSource
  #text: Uint8Array | undefined
  /** Where the last read ended. */
  #end = 0

  constructor(source: GeneratedSource) {
    this.#source = source
  }

  read(memory: Uint8Array, at: number, length: number, offset: number): number {
    if (this.#text === undefined || offset !== this.#end) this.#text = this.#source.generate()
    const bytes = this.#text.subarray(offset, offset + length)
    memory.set(bytes, at)
    this.#end = offset + bytes.length
    return bytes.length
  }

  /** Errors: EIO where nothing can be written. */
  write(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    if (!this.#source.write) throw new ErrnoError('EIO')
    return this.#source.write(memory.slice(at, at + length), offset, attempt)
  }

  seeked(offset: number): void {
    if (offset !== this.#end) this.#text = undefined
  }
}
