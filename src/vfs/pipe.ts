/**
 * Pipes: pipe(7). Bytes in the order in which they were written, between ends that are Streams.
 *
 * Invariants: `readers` and `writers` count the ends that are open or about to be (a FIFO's open that waits for its partner);
 * the generations count all there ever were, so that who waits for a partner does not miss one that came and went.
 * A write of up to PIPE_BUF bytes goes in whole. Bytes that a waiting write has moved are noted in its Attempt and not
 * moved again. When the last end is closed the bytes are gone.
 */

import { copyBytes } from '../abi/copy-bytes.ts'
import { ErrnoError } from '../abi/errno.ts'
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import type { Stream } from './inode.ts'
import { type Attempt, WaitQueue, WouldBlock } from './waiting.ts'

/** The most bytes that are never mixed with another's: pipe(7). Also the smallest capacity, and its unit. */
export const PIPE_BUF = 4096
const DEFAULT_CAPACITY = 65_536
/** Linux's fs.pipe-max-size; nobody may go beyond. */
const MAX_CAPACITY = 1 << 20

/** What a write keeps over its restarts. */
interface Progress {
  moved: number
}

export class Pipe {
  readers = 0
  writers = 0
  readerGeneration = 0
  writerGeneration = 0
  /** Woken when there is something new to read: bytes, or their end. */
  readonly readable = new WaitQueue()
  /** Woken when there is room for a write again, or nobody is left to read. */
  readonly writable = new WaitQueue()
  /** Woken with either, for those who poll both sides at once. */
  readonly either = new WaitQueue()
  /** Woken when an end is opened. */
  readonly opening = new WaitQueue()
  readonly #unused: (() => void) | undefined
  #capacity = DEFAULT_CAPACITY
  /** A ring: `#size` bytes from `#start` on. It grows as needed, up to the capacity. */
  #ring = new Uint8Array(0)
  #start = 0
  #size = 0

  /** `unused` is called when the last end is closed. */
  constructor(unused?: () => void) {
    this.#unused = unused
  }

  /** `quiet`: no writer is expected yet, so that there is none is no hang-up. */
  open(end: { reads: boolean; writes: boolean; quiet?: boolean }): PipeEnd {
    if (end.reads) {
      this.readers++
      this.readerGeneration++
    }
    if (end.writes) {
      this.writers++
      this.writerGeneration++
    }
    this.opening.wake()
    return new PipeEnd(this, end.reads, end.writes, end.quiet ? this.writerGeneration : undefined)
  }

  close(reads: boolean, writes: boolean): void {
    if (reads && --this.readers === 0) this.#wake(this.writable)
    if (writes && --this.writers === 0) this.#wake(this.readable)
    if (this.readers + this.writers > 0) return
    this.#ring = new Uint8Array(0)
    this.#start = 0
    this.#size = 0
    this.#unused?.()
  }

  get size(): number {
    return this.#size
  }

  get room(): number {
    return this.#capacity - this.#size
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Rounds up to a power of two of at least 4096. Errors: EPERM past 1 MiB, EBUSY below what is in it. */
  setCapacity(bytes: number): void {
    let capacity = PIPE_BUF
    while (capacity < bytes) capacity *= 2
    if (capacity > MAX_CAPACITY) throw new ErrnoError('EPERM')
    if (capacity < this.#size) throw new ErrnoError('EBUSY')
    const grows = capacity > this.#capacity
    this.#capacity = capacity
    if (this.#ring.length > capacity) this.#resize(capacity)
    if (grows) this.#wake(this.writable)
  }

  /** Up to `length` bytes, 0 at the end. Errors: EAGAIN. */
  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    if (length === 0) return 0
    if (this.#size === 0) {
      if (this.writers === 0) return 0
      if (nonblocking) throw new ErrnoError('EAGAIN')
      throw new WouldBlock([this.readable])
    }
    // Whoever waits for room waits because less than PIPE_BUF was left; others are not to be told (EPOLLET).
    const wasFull = this.room < PIPE_BUF
    const count = Math.min(length, this.#size)
    const first = Math.min(count, this.#ring.length - this.#start)
    copyBytes(this.#ring, this.#start, memory, at, first)
    if (first < count) copyBytes(this.#ring, 0, memory, at + first, count - first)
    this.#size -= count
    this.#start = this.#size === 0 ? 0 : (this.#start + count) % this.#ring.length
    if (wasFull) this.#wake(this.writable)
    return count
  }

  /**
   * Writes all bytes of the ranges, over as many restarts as it takes; without blocking, those for which there is room.
   * Errors: EPIPE without a reader; EAGAIN.
   */
  write(memory: Uint8Array, ranges: readonly number[], nonblocking: boolean, attempt: Attempt): number {
    let total = 0
    for (let i = 1; i < ranges.length; i += 2) total += ranges[i]!
    if (total === 0) return 0
    const moved = attempt.noted<Progress>(this)?.moved ?? 0
    if (this.readers === 0) {
      if (moved > 0) return moved
      throw new ErrnoError('EPIPE')
    }
    const rest = total - moved
    const count = total <= PIPE_BUF && this.room < rest ? 0 : Math.min(rest, this.room)
    if (count > 0) {
      this.#append(memory, ranges, moved, count)
      this.#wake(this.readable)
    }
    if (count === rest) return total
    if (nonblocking) {
      if (moved + count === 0) throw new ErrnoError('EAGAIN')
      return moved + count
    }
    attempt.note<Progress>(this, () => ({ moved: 0 })).moved = moved + count
    throw new WouldBlock([this.writable])
  }

  /** `count` bytes of the ranges, from their byte `skip` on. Preconditions: there is room for them. */
  #append(memory: Uint8Array, ranges: readonly number[], skip: number, count: number): void {
    const needed = this.#size + count
    if (needed > this.#ring.length) {
      let length = Math.max(PIPE_BUF, this.#ring.length)
      while (length < needed) length *= 2
      this.#resize(Math.min(length, this.#capacity))
    }
    let passed = skip
    let left = count
    for (let i = 0; left > 0; i += 2) {
      const length = ranges[i + 1]!
      if (passed >= length) {
        passed -= length
        continue
      }
      const part = Math.min(length - passed, left)
      this.#put(memory, ranges[i]! + passed, part)
      passed = 0
      left -= part
    }
  }

  #put(memory: Uint8Array, at: number, length: number): void {
    const end = (this.#start + this.#size) % this.#ring.length
    const first = Math.min(length, this.#ring.length - end)
    copyBytes(memory, at, this.#ring, end, first)
    if (first < length) copyBytes(memory, at + first, this.#ring, 0, length - first)
    this.#size += length
  }

  #resize(length: number): void {
    const ring = new Uint8Array(length)
    const first = Math.min(this.#size, this.#ring.length - this.#start)
    ring.set(this.#ring.subarray(this.#start, this.#start + first))
    if (first < this.#size) ring.set(this.#ring.subarray(0, this.#size - first), first)
    this.#ring = ring
    this.#start = 0
  }

  #wake(queue: WaitQueue): void {
    queue.wake()
    this.either.wake()
  }
}

/** One end of a pipe, or with O_RDWR of a FIFO both. */
export class PipeEnd implements Stream {
  readonly pipe: Pipe
  readonly lockable = true
  readonly #reads: boolean
  readonly #writes: boolean
  /** While no writer has come since this generation, that there is none is no hang-up. */
  readonly #quietSince: number | undefined

  constructor(pipe: Pipe, reads: boolean, writes: boolean, quietSince: number | undefined) {
    this.pipe = pipe
    this.#reads = reads
    this.#writes = writes
    this.#quietSince = quietSince
  }

  get queue(): WaitQueue {
    if (this.#reads && this.#writes) return this.pipe.either
    return this.#reads ? this.pipe.readable : this.pipe.writable
  }

  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    return this.pipe.read(memory, at, length, nonblocking)
  }

  write(memory: Uint8Array, at: number, length: number, nonblocking: boolean, attempt: Attempt): number {
    return this.pipe.write(memory, [at, length], nonblocking, attempt)
  }

  writeRanges(memory: Uint8Array, ranges: readonly number[], nonblocking: boolean, attempt: Attempt): number {
    return this.pipe.write(memory, ranges, nonblocking, attempt)
  }

  poll(): number {
    const { pipe } = this
    let events = 0
    if (this.#reads) {
      if (pipe.size > 0) events |= POLLIN
      if (pipe.writers === 0 && this.#quietSince !== pipe.writerGeneration) events |= POLLHUP
    }
    if (this.#writes) {
      if (pipe.room >= PIPE_BUF) events |= POLLOUT
      if (pipe.readers === 0) events |= POLLERR
    }
    return events
  }

  get available(): number {
    return this.pipe.size
  }

  release(): void {
    this.pipe.close(this.#reads, this.#writes)
  }
}
