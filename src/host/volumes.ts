/**
 * Volumes on the browser: a database each, a database for their names, and Web Locks for who may write.
 *
 * Invariants: every transaction that writes is strict, and waits until the browser writes to a log that has no half of a record in it.
 */

import type { UseStore } from 'idb-keyval'
import {
  type Guard,
  type KeyValueStore,
  type RecordChange,
  type StoredValue,
  StoreFailure,
} from '../fs/tmpfs/key-value-store.ts'
import type { VolumeHost } from '../oci/volumes.ts'
import { createBlobReader } from './blob-reader.ts'
import { beginNewLog } from './new-log.ts'
import { type SiteStorage, storageOfSite } from './site-storage.ts'
import { Database, deleteDatabase, settled } from './store.ts'

const CATALOGUE = 'runtab/volumes'
const CHECKPOINTS = 'runtab/checkpoints'
const databaseOf = (id: string) => `runtab/volume/${id}`

/** `awaited` makes sure that a kernel which waits for guests lets the work go on. */
type Awaited = <T>(work: Promise<T>) => Promise<T>

export interface VolumeHostOptions {
  readonly awaited: Awaited
  /** Where the databases are; the storage of the site if left out. */
  readonly storage?: SiteStorage
}

export function createVolumeHost({ awaited, storage = storageOfSite() }: VolumeHostOptions): VolumeHost {
  const { indexedDB } = storage
  let lost: string | undefined
  const onLoss = (why: string) => {
    lost = why
  }
  let newLog: Promise<void> | undefined
  const isSafe = () => {
    newLog ??= beginNewLog(indexedDB)
    return newLog
  }
  const names = new Database(CATALOGUE, { indexedDB, onLoss }).store({ durability: 'strict' })
  const records = (name: string) =>
    new IndexedRecords(new Database(name, { indexedDB, check: notCleared }), { awaited, isSafe })
  return {
    catalogue: () => allOf(names) as Promise<Map<string, string>>,

    async enter(changes, expected) {
      let fits = true
      await isSafe()
      await names('readwrite', (records) => {
        const requests = [...expected].map(([name, id]) => ({ id, request: records.get(name) }))
        requests.at(-1)!.request.onsuccess = () => {
          fits = requests.every(({ id, request }) => request.result === id)
          if (fits) for (const [name, id] of changes) id === undefined ? records.delete(name) : records.put(id, name)
        }
      })
      return fits
    },

    lost: () => lost,

    open: (id) => records(databaseOf(id)),

    checkpoints: () => records(CHECKPOINTS),

    remove: (id) => deleteDatabase(databaseOf(id), indexedDB),

    lock: (id, { takeover, lost }) =>
      new Promise((resolve, reject) => {
        isSafe() // who locks is going to write
        // On plain http there are no locks: then the epoch alone decides whose commits count.
        const { locks } = navigator as { locks?: LockManager }
        if (!locks) return resolve({ unlock: () => {}, contested: true })
        let held = false
        const options: LockOptions = takeover ? { steal: true } : { ifAvailable: true }
        const hold = (lock: Lock | null) => {
          if (!lock) return resolve(undefined)
          held = true
          return new Promise<void>((unlock) => resolve({ unlock, contested: takeover }))
        }
        locks.request(databaseOf(id), options, hold).catch((failure) => (held ? lost() : reject(failure)))
      }),

    persist: async () => (await storage.persist?.()) ?? false,

    async estimate() {
      const { usage = 0, quota = 0 } = (await storage.estimate?.()) ?? {}
      return { usage, quota }
    },
  }
}

const REASONS: Record<string, StoreFailure['reason']> = { QuotaExceededError: 'full', ConstraintError: 'guard' }

class IndexedRecords implements KeyValueStore {
  readonly #database: Database
  readonly #use: UseStore
  readonly #reader = createBlobReader()
  readonly #running = new Set<Promise<unknown>>()

  readonly #awaited: Awaited
  readonly #isSafe: () => Promise<void>

  constructor(database: Database, { awaited, isSafe }: { awaited: Awaited; isSafe: () => Promise<void> }) {
    this.#awaited = awaited
    this.#isSafe = isSafe
    this.#database = database
    this.#use = this.#database.store({ durability: 'strict' })
  }

  load(): Promise<Map<string, StoredValue>> {
    return allOf(this.#use) as Promise<Map<string, StoredValue>>
  }

  get(key: string): Promise<StoredValue | undefined> {
    return this.#use('readonly', (records) => settled(records.get(key)))
  }

  commit(changes: readonly RecordChange[], guard?: Guard): Promise<void> {
    const outcome = this.#awaited(this.#commit(changes, guard))
    const settled: Promise<unknown> = outcome.then(
      () => this.#running.delete(settled),
      () => this.#running.delete(settled),
    )
    this.#running.add(settled)
    return outcome
  }

  async #commit(changes: readonly RecordChange[], guard: Guard | undefined): Promise<void> {
    let other: { found: StoredValue | undefined } | undefined
    await this.#isSafe()
    try {
      await this.#use('readwrite', (records) => {
        const request = guard && records.get(guard.key)
        // Asked for at once, so that nothing waits for the guard's way back: an abort undoes it.
        for (const { key, value, isNew } of changes) {
          if (value === undefined) records.delete(key)
          else if (isNew) records.add(value, key)
          else records.put(value, key)
        }
        if (!request) {
          records.transaction.commit()
          return
        }
        request.onsuccess = () => {
          if (isEqual(request.result, guard.value)) {
            // Does not wait for the event loop to come round.
            records.transaction.commit()
            return
          }
          other = { found: request.result }
          records.transaction.abort()
        }
      })
    } catch (failure) {
      if (other) throw new StoreFailure('guard', 'the database is not as it was left', other.found)
      if (failure instanceof StoreFailure) throw failure
      const { name, message } = failure as DOMException
      throw new StoreFailure(REASONS[name] ?? 'failed', `${name}: ${message}`)
    }
  }

  blob(parts: readonly Uint8Array[]): StoredValue {
    return new Blob(parts as Uint8Array<ArrayBuffer>[])
  }

  read(value: StoredValue, start: number, length: number): Uint8Array {
    return this.#reader.read(value as Blob, start, length)
  }

  async fetch(value: StoredValue, start: number, length: number): Promise<Uint8Array> {
    const blob = value as Blob
    // To make a part of a Blob, Chromium waits for the browser process.
    const part = start === 0 && length === blob.size ? blob : blob.slice(start, start + length)
    return new Uint8Array(await part.arrayBuffer())
  }

  async close(): Promise<void> {
    await Promise.all(this.#running)
    await this.#database.close()
  }
}

/** A connection that is opened again finds what was there, or the site's data was cleared in between. */
async function notCleared(use: UseStore, reopened: boolean): Promise<void> {
  if (reopened && (await use('readonly', (records) => settled(records.count()))) === 0)
    throw new StoreFailure('guard', 'the database is empty')
}

/** All records, as they are at one moment. */
function allOf(use: UseStore): Promise<Map<string, unknown>> {
  return use(
    'readonly',
    (records) =>
      new Promise((resolve, reject) => {
        const keys = records.getAllKeys()
        const values = records.getAll()
        values.onsuccess = () => resolve(new Map(keys.result.map((key, i) => [String(key), values.result[i]])))
        values.onerror = () => reject(values.error)
      }),
  )
}

function isEqual(found: unknown, expected: Uint8Array | undefined): boolean {
  if (found === undefined || expected === undefined) return found === expected
  return (
    found instanceof Uint8Array && found.length === expected.length && found.every((byte, i) => byte === expected[i])
  )
}
