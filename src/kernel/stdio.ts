/** A process's standard streams where the page is at the other end. */

import { ErrnoError } from '../abi/errno.ts'
import { POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import type { Stream } from '../vfs/inode.ts'
import { copyBytes } from '../vfs/pages.ts'
import { WaitQueue, WouldBlock } from '../vfs/waiting.ts'

/** Standard input: what the page has sent and the guest has not read yet. A reader waits for more until the end. */
export class HostInput implements Stream {
  readonly queue = new WaitQueue()
  readonly #chunks: Uint8Array[] = []
  /** Bytes of the first chunk that were read. */
  #consumed = 0
  #ended = false

  feed(bytes: Uint8Array): void {
    if (this.#ended || bytes.length === 0) return
    this.#chunks.push(bytes)
    this.queue.wake()
  }

  end(): void {
    this.#ended = true
    this.queue.wake()
  }

  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    const chunk = this.#chunks[0]
    if (chunk === undefined) {
      if (this.#ended) return 0
      if (nonblocking) throw new ErrnoError('EAGAIN')
      throw new WouldBlock([this.queue])
    }
    const count = Math.min(length, chunk.length - this.#consumed)
    copyBytes(chunk, this.#consumed, memory, at, count)
    this.#consumed += count
    if (this.#consumed === chunk.length) {
      this.#chunks.shift()
      this.#consumed = 0
    }
    return count
  }

  poll(): number {
    if (this.#chunks.length > 0) return POLLIN
    return this.#ended ? POLLIN | POLLHUP : 0
  }
}

/** Standard output or error: everything goes to the page at once; a write never waits. */
export class HostOutput implements Stream {
  readonly queue = new WaitQueue()
  readonly #sink: (bytes: Uint8Array) => void

  /** `sink` gets a view that is valid only during the call. */
  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink
  }

  write(memory: Uint8Array, at: number, length: number): number {
    this.#sink(memory.subarray(at, at + length))
    return length
  }

  poll(): number {
    return POLLOUT
  }
}
