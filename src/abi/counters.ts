/**
 * What a process has asked of its kernel so far, counted where the calls are made: in a guest's thread, too, so that the memory is
 * shared where there is such a thing, and the kernel may look at any time.
 *
 * Invariant: one side writes each number; whoever reads may find it a moment old.
 */

/** More than any guest's edge has functions. */
const FUNCTIONS = 64
const BYTES_READ = 0
const BYTES_WRITTEN = 1
const KERNEL_TIME = 2
const MEMORY = 3
const SUMS = 4

export class Counters {
  readonly buffer: ArrayBufferLike
  /** Calls that returned, by the number of the function. */
  readonly calls: Uint32Array
  /** Hears of another size of the memory that is set on this side. */
  resized: () => void = () => {}
  readonly #sums: Float64Array

  constructor(buffer: ArrayBufferLike = newBuffer(FUNCTIONS * 4 + SUMS * 8)) {
    this.buffer = buffer
    this.calls = new Uint32Array(buffer, 0, FUNCTIONS)
    this.#sums = new Float64Array(buffer, FUNCTIONS * 4, SUMS)
  }

  addRead(bytes: number): void {
    this.#sums[BYTES_READ]! += bytes
  }

  addWritten(bytes: number): void {
    this.#sums[BYTES_WRITTEN]! += bytes
  }

  addTime(milliseconds: number): void {
    this.#sums[KERNEL_TIME]! += milliseconds
  }

  /** Bytes of its memory, as they were at its last call. */
  get memory(): number {
    return this.#sums[MEMORY]!
  }

  set memory(bytes: number) {
    this.#sums[MEMORY] = bytes
    this.resized()
  }

  get bytesRead(): number {
    return this.#sums[BYTES_READ]!
  }

  get bytesWritten(): number {
    return this.#sums[BYTES_WRITTEN]!
  }

  /** Milliseconds spent in calls, those in which they waited left out. */
  get kernelTime(): number {
    return this.#sums[KERNEL_TIME]!
  }
}

const newBuffer = (size: number): ArrayBufferLike =>
  typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(size) : new SharedArrayBuffer(size)

/**
 * Reading a clock takes longer than a short call, so that after the first few calls one of 32 is timed and stands for them all:
 * how many calls the time of the one behind `calls` others counts for, or 0.
 */
export const timeWeight = (calls: number): number => (calls < 64 ? 1 : (calls & 31) === 0 ? 32 : 0)
