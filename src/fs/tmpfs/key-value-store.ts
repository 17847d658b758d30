/** What a store of files needs of the machine: a few records under names, changed in transactions. `host/` implements it. */

import type { BlobLike } from '../../abi/tree.ts'

/** Bytes that come to memory with their record, or that stay where they are until they are read. */
export type StoredValue = Uint8Array | BlobLike

export interface RecordChange {
  readonly key: string
  /** Undefined: the record goes. */
  readonly value: StoredValue | undefined
  /** There must be none of this key yet, or nothing happens. */
  readonly isNew?: boolean
}

/** A record that a transaction finds as it says, or does nothing. */
export interface Guard {
  readonly key: string
  readonly value: Uint8Array | undefined
}

export interface KeyValueStore {
  /** All records, in the order of their keys, as they are at one moment. */
  load(): Promise<Map<string, StoredValue>>
  get(key: string): Promise<StoredValue | undefined>
  /**
   * One transaction: all of it or nothing; when it resolves it is on disk (durability strict).
   * Without a guard, all that was ever in the store must not be gone. Errors: StoreFailure.
   */
  commit(changes: readonly RecordChange[], guard?: Guard): Promise<void>
  /** The parts as one value that stays outside of memory once it is stored. They are copied before it returns. */
  blob(parts: readonly Uint8Array[]): StoredValue
  /** Exactly these bytes of a value, at once, in an array of their own. Errors: an Error that says why. */
  read(value: StoredValue, start: number, length: number): Uint8Array
  /** The same, later: nobody is held up by it. */
  fetch(value: StoredValue, start: number, length: number): Promise<Uint8Array>
  /** Nothing is committed afterwards; what is under way ends first. */
  close(): Promise<void>
}

/**
 * Why a transaction did not happen: no space was left, the guard's record is another one (`found`), what was to be new is not, all
 * is gone, or anything else, which the message says.
 */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure'
  readonly reason: 'full' | 'guard' | 'failed'
  readonly found: StoredValue | undefined
  constructor(reason: StoreFailure['reason'], message: string, found?: StoredValue) {
    super(message)
    this.reason = reason
    this.found = found
  }
}
