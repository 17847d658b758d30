/**
 * Lines of a trace on their way from a guest's thread to the kernel, in shared memory: so that the last line before a loop
 * without calls is seen, and nothing is lost when the thread is ended.
 *
 * Invariants: one thread puts, one takes. Between TAIL and HEAD lie whole lines, a newline behind each; HEAD is moved last.
 */
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

const HEAD = 0
const TAIL = 1
const DATA_AT = 8
const SIZE = 1 << 18
/** A longer line is cut. */
const LONGEST = 1 << 16

export const createTraceRing = (): SharedArrayBuffer => new SharedArrayBuffer(DATA_AT + SIZE)

export class TraceRing {
  readonly #state: Int32Array
  readonly #data: Uint8Array

  constructor(buffer: SharedArrayBuffer) {
    this.#state = new Int32Array(buffer, 0, 2)
    this.#data = new Uint8Array(buffer, DATA_AT, SIZE)
  }

  /** Waits, blocking the thread, until there is room. */
  put(line: string): void {
    const bytes = encodeUtf8(line.length > LONGEST ? `${line.slice(0, LONGEST)}…\n` : `${line}\n`)
    const head = this.#state[HEAD]!
    for (;;) {
      const tail = Atomics.load(this.#state, TAIL)
      if ((tail - head - 1 + SIZE) % SIZE >= bytes.length) break
      Atomics.wait(this.#state, TAIL, tail)
    }
    const first = Math.min(bytes.length, SIZE - head)
    this.#data.set(bytes.subarray(0, first), head)
    this.#data.set(bytes.subarray(first), 0)
    Atomics.store(this.#state, HEAD, (head + bytes.length) % SIZE)
  }

  /** The lines that are there. */
  take(): string[] {
    const head = Atomics.load(this.#state, HEAD)
    const tail = this.#state[TAIL]!
    if (head === tail) return []
    const bytes = new Uint8Array((head - tail + SIZE) % SIZE)
    const first = Math.min(bytes.length, SIZE - tail)
    bytes.set(this.#data.subarray(tail, tail + first))
    bytes.set(this.#data.subarray(0, bytes.length - first), first)
    Atomics.store(this.#state, TAIL, head)
    Atomics.notify(this.#state, TAIL)
    return decodeUtf8(bytes)!.split('\n').slice(0, -1)
  }
}
