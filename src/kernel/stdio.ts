/** A process's standard streams where the page is at the other end. */

import { ErrnoError } from '../abi/errno.ts'
import { POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import { ByteQueue } from '../vfs/byte-queue.ts'
import type { Stream } from '../vfs/inode.ts'
import { WaitQueue, WouldBlock } from '../vfs/waiting.ts'

/** Standard input: what the page has sent and the guest has not read yet. A reader waits for more until the end. */
export class HostInput implements Stream {
  readonly queue = new WaitQueue()
  readonly #bytes = new ByteQueue()
  #ended = false

  feed(bytes: Uint8Array): void {
    if (this.#ended || bytes.length === 0) return
    this.#bytes.add(bytes)
    this.queue.wake()
  }

  end(): void {
    this.#ended = true
    this.queue.wake()
  }

  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    if (this.#bytes.length > 0 || this.#ended) return this.#bytes.take(memory, at, length)
    if (nonblocking) throw new ErrnoError('EAGAIN')
    throw new WouldBlock([this.queue])
  }

  poll(): number {
    if (this.#bytes.length > 0) return POLLIN
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
