/** Bytes of an archive: in memory, in pieces of one size, as one source; or in parts that the browser keeps where it likes. */

import { copyBytes } from '../../abi/copy-bytes.ts'
import type { Parts } from '../../abi/images.ts'
import type { BlobLike } from '../../abi/tree.ts'
import type { PageSource } from '../../vfs/inode.ts'

const PIECE = 1 << 20
/** What is written goes into a Blob when there is so much of it. */
const SPILL = 8 * PIECE

export class PieceSource implements PageSource {
  size = 0
  readonly #pieces: Uint8Array[] = []

  /** While it is filled: copies the bytes to the end. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const from = this.size % PIECE
      if (from === 0) this.#pieces.push(new Uint8Array(PIECE))
      const count = Math.min(PIECE - from, bytes.length - at)
      copyBytes(bytes, at, this.#pieces.at(-1)!, from, count)
      this.size += count
      at += count
    }
  }

  /** No more comes: what the last piece has too much is given back. */
  seal(): this {
    const last = this.#pieces.length - 1
    if (last >= 0) this.#pieces[last] = this.#pieces[last]!.slice(0, this.size - last * PIECE)
    return this
  }

  read(memory: Uint8Array, at: number, length: number, offset: number): void {
    for (let done = 0; done < length; ) {
      const from = (offset + done) % PIECE
      const count = Math.min(PIECE - from, length - done)
      copyBytes(this.#pieces[Math.floor((offset + done) / PIECE)]!, from, memory, at + done, count)
      done += count
    }
  }

  /** All of it, from the start. */
  pieces(): readonly Uint8Array[] {
    return this.#pieces
  }
}

/** Bytes in their order that may be more than memory holds. */
export class SpilledParts {
  readonly #blob: (pieces: readonly Uint8Array[]) => BlobLike
  readonly #parts: BlobLike[] = []
  #last = new PieceSource()

  constructor(blob: (pieces: readonly Uint8Array[]) => BlobLike) {
    this.#blob = blob
  }

  /** Copies the bytes to the end. */
  append(bytes: Uint8Array): void {
    this.#last.append(bytes)
    if (this.#last.size < SPILL) return
    this.#parts.push(this.#blob(this.#last.seal().pieces()))
    this.#last = new PieceSource()
  }

  /** No more comes: all of it. */
  parts(): Parts {
    return [...this.#parts, ...this.#last.seal().pieces()]
  }
}
