/**
 * A key-value store in memory, for tests: it works, and it fails on demand, at the nth transaction. What is in it outlives who
 * used it, as a disk would.
 */

import { concatBytes } from '../abi/byte-parts.ts'
import {
  type Guard,
  type KeyValueStore,
  type RecordChange,
  type StoredValue,
  StoreFailure,
} from '../fs/tmpfs/key-value-store.ts'

/** A value that is not among the small ones: its bytes are asked for one range at a time. */
export class MemoryBlob {
  readonly type = ''
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
  get size(): number {
    return this.bytes.length
  }
  slice(start?: number, end?: number): MemoryBlob {
    return new MemoryBlob(this.bytes.slice(start, end))
  }
}

/** What becomes of a transaction: it is done; it fails, and later ones do not; the machine stops before it, or behind it. */
export type Fate = 'done' | 'full' | 'failed' | 'stop' | 'stop behind'

export class MemoryStore implements KeyValueStore {
  readonly records: Map<string, StoredValue>
  /** Says what becomes of the nth transaction, counted from 0. */
  fate: (nth: number, changes: readonly RecordChange[]) => Fate = () => 'done'
  /** What every transaction waits for. */
  gate: Promise<unknown> | undefined
  transactions = 0
  /** Bytes that may be in it. */
  quota = Number.POSITIVE_INFINITY
  #stopped = false
  #running: Promise<unknown> = Promise.resolve()

  /** Another user of the same records may be given. */
  constructor(records: Map<string, StoredValue> = new Map()) {
    this.records = records
  }

  get stopped(): boolean {
    return this.#stopped
  }

  async load(): Promise<Map<string, StoredValue>> {
    return new Map([...this.records].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  async get(key: string): Promise<StoredValue | undefined> {
    return this.records.get(key)
  }

  commit(changes: readonly RecordChange[], guard?: Guard): Promise<void> {
    const copies = changes.map(({ key, value, isNew = false }) => ({
      key,
      isNew,
      value: value instanceof Uint8Array ? value.slice() : value,
    }))
    const outcome = this.#running.then(() => this.#commit(copies, guard))
    this.#running = outcome.catch(() => {})
    return outcome
  }

  async #commit(changes: readonly RecordChange[], guard: Guard | undefined): Promise<void> {
    // Time passes: what happens meanwhile must not matter.
    for (let turn = 0; turn < 3; turn++) await this.gate
    if (this.#stopped) return new Promise(() => {})
    const fate = this.fate(this.transactions++, changes)
    if (fate === 'stop') {
      this.#stopped = true
      return new Promise(() => {})
    }
    if (fate === 'full') throw new StoreFailure('full', 'QuotaExceededError')
    if (fate === 'failed') throw new StoreFailure('failed', 'the disk is broken')
    const found = guard && this.records.get(guard.key)
    if (!isEqual(found, guard?.value) || (!guard && this.records.size === 0))
      throw new StoreFailure('guard', 'the guard is another', found)
    if (changes.some(({ key, isNew }) => isNew && this.records.has(key))) throw new StoreFailure('guard', 'not new')
    if (this.quota < Number.POSITIVE_INFINITY) {
      // As in browsers, what goes with a transaction makes no room for what comes with it.
      const puts = changes.filter(({ value }) => value !== undefined)
      const grown = puts.reduce((sum, { key, value }) => sum + sizeOf(value) - sizeOf(this.records.get(key)), 0)
      const size = [...this.records.values()].reduce((sum, value) => sum + sizeOf(value), 0)
      if (grown > 0 && size + grown > this.quota) throw new StoreFailure('full', 'QuotaExceededError')
    }
    for (const { key, value } of changes) {
      if (value === undefined) this.records.delete(key)
      else this.records.set(key, value)
    }
    if (fate === 'stop behind') {
      this.#stopped = true
      return new Promise(() => {})
    }
  }

  blob(parts: readonly Uint8Array[]): StoredValue {
    return new MemoryBlob(concatBytes(parts))
  }

  read(value: StoredValue, start: number, length: number): Uint8Array {
    return bytesOf(value, start, length)
  }

  async fetch(value: StoredValue, start: number, length: number): Promise<Uint8Array> {
    return bytesOf(value, start, length)
  }

  async close(): Promise<void> {
    await this.#running
  }
}

const bytesOf = (value: StoredValue, start: number, length: number) =>
  (value as MemoryBlob).bytes.slice(start, start + length)

const sizeOf = (value: StoredValue | undefined) =>
  value === undefined ? 0 : value instanceof Uint8Array ? value.length : value.size

function isEqual(a: StoredValue | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i])
}
