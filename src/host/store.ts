/**
 * IndexedDB behind idb-keyval's `UseStore`, for all its functions (`get`, `setMany`, `entries` …). idb-keyval's own createStore
 * can't say how durable a write is to be, and tells a full quota as `null`.
 *
 * Invariant: a use of mode 'readwrite' resolves only when its transaction is complete, whatever its callback gives, and rejects
 * with the error that aborted it. No connection is used before `check` has let it pass.
 */

import type { UseStore } from 'idb-keyval'

export interface DatabaseOptions {
  /** The object store, made with the database; 'records' if left out. */
  readonly storeName?: string
  /** The site's own if left out. */
  readonly indexedDB?: IDBFactory | undefined
  /**
   * Looks at every connection before anyone else may use it; if it throws, every use is refused with its error. The browser may
   * close a connection at any time, and opening it again silently makes an empty database where the user has cleared the site's
   * data: a caller that holds state compares it here when `reopened`.
   */
  check?(use: UseStore, reopened: boolean): Promise<void>
  /** Hears why, where Chromium found the databases of the site damaged and has deleted them all: this one is new. */
  onLoss?(why: string): void
}

export interface UseOptions {
  /** Whether a write is complete when it is on disk, or when the system has taken it (IDBTransaction.durability). */
  readonly durability: 'strict' | 'relaxed'
  /**
   * Commits as soon as the callback has returned, without a further turn of the event loop, so that a write sent while the page
   * goes away has the best chance. Not for a callback that makes requests later, as idb-keyval's `update` does.
   */
  readonly commitAtOnce?: boolean
}

export class Database {
  readonly #name: string
  readonly #storeName: string
  readonly #factory: IDBFactory
  readonly #check: DatabaseOptions['check']
  readonly #onLoss: DatabaseOptions['onLoss']
  #connection: Promise<IDBDatabase> | undefined
  #opened = false
  #closed = false

  /** Opens nothing before the first use. */
  constructor(name: string, options: DatabaseOptions = {}) {
    this.#name = name
    this.#storeName = options.storeName ?? 'records'
    this.#factory = options.indexedDB ?? globalThis.indexedDB
    this.#check = options.check?.bind(options)
    this.#onLoss = options.onLoss?.bind(options)
  }

  /** A way to use the store, for idb-keyval's functions. */
  store(options: UseOptions): UseStore {
    return async (mode, callback) => transact(await this.#connect(), this.#storeName, mode, options, callback)
  }

  /** Every use from now on is refused; those under way end first. */
  async close(): Promise<void> {
    this.#closed = true
    const connection = this.#connection
    this.#connection = undefined
    const database = await connection?.catch(() => undefined)
    database?.close()
  }

  #connect(): Promise<IDBDatabase> {
    if (this.#closed) return Promise.reject(new DOMException(`database ${this.#name} is closed`, 'InvalidStateError'))
    if (!this.#connection) {
      const connection = this.#open(() => this.#forget(connection))
      this.#connection = connection
      connection.catch(() => this.#forget(connection))
    }
    return this.#connection
  }

  #forget(connection: Promise<IDBDatabase>): void {
    if (this.#connection === connection) this.#connection = undefined
  }

  async #open(gone: () => void): Promise<IDBDatabase> {
    const request = this.#factory.open(this.#name)
    request.onupgradeneeded = (event) => {
      request.result.createObjectStore(this.#storeName)
      const { dataLoss, dataLossMessage } = event as { dataLoss?: string; dataLossMessage?: string }
      if (dataLoss === 'total') this.#onLoss?.(String(dataLossMessage))
    }
    const database = await settled(request)
    // Another tab wants to delete the database or to change its shape: who holds on to it makes that one wait for ever.
    database.onversionchange = () => {
      gone()
      database.close()
    }
    database.onclose = gone
    const reopened = this.#opened
    this.#opened = true
    try {
      const use: UseStore = async (mode, callback) =>
        transact(database, this.#storeName, mode, { durability: 'strict' }, callback)
      await this.#check?.(use, reopened)
    } catch (failure) {
      database.close()
      throw failure
    }
    return database
  }
}

/** Deletes a database; connections that other tabs hold are asked to close, and waited for. */
export async function deleteDatabase(name: string, factory = indexedDB): Promise<void> {
  await settled(factory.deleteDatabase(name))
}

async function transact<T>(
  database: IDBDatabase,
  storeName: string,
  mode: IDBTransactionMode,
  { durability, commitAtOnce }: UseOptions,
  callback: (store: IDBObjectStore) => T | PromiseLike<T>,
): Promise<T> {
  const transaction = database.transaction(storeName, mode, { durability })
  const outcome = ended(transaction)
  outcome.catch(() => {})
  let result: T | PromiseLike<T>
  try {
    result = callback(transaction.objectStore(storeName))
    if (commitAtOnce && mode === 'readwrite') transaction.commit()
  } catch (failure) {
    transaction.abort()
    throw failure
  }
  if (mode === 'readonly') return Promise.race([result, outcome.then(() => result)])
  // The transaction's own error first: what a callback sees of it may be an error without a reason.
  const value = Promise.resolve(result)
  value.catch(() => {})
  await outcome
  return value
}

/** Resolves on complete. The handlers are listeners, for idb-keyval assigns oncomplete and onabort. */
function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: DOMException | null = null
    transaction.addEventListener('complete', () => resolve())
    transaction.addEventListener('error', (event) => {
      failure ??= (event.target as IDBRequest).error
    })
    transaction.addEventListener('abort', () => {
      reject(transaction.error ?? failure ?? new DOMException('the transaction was aborted', 'AbortError'))
    })
  })
}

/** What a request gives; rejects with its error. */
export function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
