/**
 * IndexedDB in memory, as far as host/store.ts uses it, for tests of what a crash leaves: it works, and it fails on demand.
 *
 * Invariants: transactions of a database come one after the other, each all or nothing. A strict one is on disk when it is complete,
 * and all before it are; of the relaxed ones behind the last strict one a crash leaves nothing.
 */

import type { StoredValue } from '../fs/tmpfs/key-value-store.ts'
import type { Fate } from './memory-store.ts'

type Records = Map<string, StoredValue>
type Durability = 'strict' | 'relaxed' | 'default'
type Mode = 'readonly' | 'readwrite' | 'versionchange'

export class MemoryDatabases {
  /** Says what becomes of the nth transaction that writes, counted from 0. */
  fate: (nth: number) => Fate = () => 'done'
  /** How durable each transaction that wrote was to be. */
  readonly durabilities: Durability[] = []
  readonly #databases = new Map<string, Database>()
  readonly #asIf: Durability | undefined
  stopped = false

  /** `asIf`: all transactions are of this durability, whatever was asked for. */
  constructor(asIf?: Durability) {
    this.#asIf = asIf
  }

  get transactions(): number {
    return this.durabilities.length
  }

  /** What a crash leaves of a database. */
  onDisk(name: string): Records {
    return new Map(this.#databases.get(name)?.onDisk)
  }

  open(name: string): Request<Database> {
    const request = new Request<Database>()
    let database = this.#databases.get(name)
    const isNew = !database
    database ??= new Database(this)
    this.#databases.set(name, database)
    request.result = database
    Promise.resolve().then(() => {
      if (isNew) request.onupgradeneeded?.({})
      request.onsuccess?.()
    })
    return request
  }

  /** What becomes of a transaction that is about to be complete. */
  next(durability: Durability): { readonly fate: Fate; readonly isStrict: boolean } {
    const fate = this.fate(this.transactions)
    this.durabilities.push(durability)
    if (fate === 'stop' || fate === 'stop behind') this.stopped = true
    return { fate, isStrict: (this.#asIf ?? durability) === 'strict' }
  }
}

class Request<T> {
  result!: T
  onsuccess: (() => void) | null = null
  onupgradeneeded: ((event: object) => void) | null = null
}

class Database {
  records: Records = new Map()
  onDisk: Records = new Map()
  readonly machine: MemoryDatabases
  #running: Promise<void> = Promise.resolve()

  constructor(machine: MemoryDatabases) {
    this.machine = machine
  }

  createObjectStore(): void {}
  close(): void {}

  transaction(_: string, mode: Mode, { durability }: { durability: Durability }): Transaction {
    const transaction = new Transaction(this, mode, durability)
    this.#running = this.#running.then(() => transaction.run())
    return transaction
  }
}

class Transaction {
  error: Error | null = null
  readonly #database: Database
  readonly #mode: Mode
  readonly #durability: Durability
  readonly #requests: (() => void)[] = []
  readonly #changes = new Map<string, StoredValue | undefined>()
  readonly #added: string[] = []
  readonly #listeners: [type: string, listener: () => void][] = []
  #aborted = false

  constructor(database: Database, mode: Mode, durability: Durability) {
    this.#database = database
    this.#mode = mode
    this.#durability = durability
  }

  addEventListener(type: string, listener: () => void): void {
    this.#listeners.push([type, listener])
  }

  objectStore() {
    const sorted = () => [...this.#database.records].sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      transaction: this,
      get: (key: string) => this.#request(() => this.#database.records.get(key)),
      getAll: () => this.#request(() => sorted().map(([, value]) => value)),
      getAllKeys: () => this.#request(() => sorted().map(([key]) => key)),
      put: (value: StoredValue, key: string) => this.#put(value, key),
      add: (value: StoredValue, key: string) => {
        this.#added.push(key)
        this.#put(value, key)
      },
      delete: (key: string) => void this.#changes.set(key, undefined),
    }
  }

  #put(value: StoredValue, key: string): void {
    this.#changes.set(key, value instanceof Uint8Array ? value.slice() : value)
  }

  #request<T>(work: () => T): Request<T> {
    const request = new Request<T>()
    this.#requests.push(() => {
      request.result = work()
      request.onsuccess?.()
    })
    return request
  }

  /** It is committed when there is nothing more to do, as any transaction. */
  commit(): void {}

  abort(): void {
    this.#aborted = true
  }

  async run(): Promise<void> {
    const { machine } = this.#database
    while (this.#requests.length > 0 && !this.#aborted && !machine.stopped) {
      await undefined
      this.#requests.shift()!()
    }
    if (machine.stopped) return stopped
    if (this.#aborted) return this.#end('abort')
    if (this.#mode === 'readonly') return this.#end('complete')
    if (this.#added.some((key) => this.#database.records.has(key))) {
      this.error = Object.assign(new Error('there is one'), { name: 'ConstraintError' })
      return this.#end('abort')
    }
    const { fate, isStrict } = machine.next(this.#durability)
    if (fate === 'stop') return stopped
    if (fate === 'full' || fate === 'failed') {
      const name = fate === 'full' ? 'QuotaExceededError' : 'UnknownError'
      this.error = Object.assign(new Error('as the test wants it'), { name })
      return this.#end('abort')
    }
    const { records } = this.#database
    for (const [key, value] of this.#changes) {
      if (value === undefined) records.delete(key)
      else records.set(key, value)
    }
    if (isStrict) this.#database.onDisk = new Map(records)
    if (fate === 'stop behind') return stopped
    this.#end('complete')
  }

  #end(how: 'complete' | 'abort'): void {
    for (const [type, listener] of this.#listeners) if (type === how) listener()
  }
}

/** Nothing happens any more. */
const stopped = new Promise<never>(() => {})
