/**
 * Who may write to a store, and where its log ends.
 *
 * Invariant: every transaction is strict, and compares the head or makes the next log record, so that none happens to a store which is
 * another's or was cleared.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { type KeyValueStore, type RecordChange, type StoredValue, StoreFailure } from './key-value-store.ts'
import {
  decodeHead,
  emptyLog,
  encodeHead,
  HEAD,
  type Head,
  type LastNumbers,
  logKey,
  numberIn,
  type Root,
  type Tip,
} from './records.ts'

/** Somebody else may commit, and the store of that name no longer may. */
export const stale = (name: string) => new ErrnoError('ESTALE', undefined, `volume "${name}" has another owner now`)

/**
 * What a transaction that failed means to who asked for it: `name` is the volume's, `head` what it was last known to be.
 * ENOSPC, EIO, or ESTALE for another owner.
 */
export function meaningOf(failure: unknown, name: string, head: Head | undefined): ErrnoError {
  if (failure instanceof ErrnoError) return failure
  const fault = (code: 'ENOSPC' | 'EIO' | 'ESTALE', why: string) =>
    new ErrnoError(code, undefined, `volume "${name}": ${why}`)
  if (!(failure instanceof StoreFailure))
    return fault('EIO', failure instanceof Error ? failure.message : String(failure))
  if (failure.reason === 'full') return fault('ENOSPC', `the browser gives the site no more space (${failure.message})`)
  if (failure.reason !== 'guard') return fault('EIO', failure.message)
  let found: Head | undefined
  try {
    found = failure.found && decodeHead(failure.found)
  } catch {}
  if (!found || found.store !== head?.store)
    return fault('EIO', "the site's data was cleared while it was in use: files stay readable until the sandbox ends")
  return found.epoch === head.epoch ? fault('EIO', 'its log does not end where it was left') : stale(name)
}

const isGuard = (failure: unknown): failure is StoreFailure =>
  failure instanceof StoreFailure && failure.reason === 'guard'

export class Ownership {
  /** The number of the last log record. */
  position: number
  readonly #name: string
  readonly #records: KeyValueStore
  #head: Head
  #headRecord: Uint8Array

  /** `name` is what errors call it. Errors: EIO if head and root are of two stores. */
  constructor(name: string, records: KeyValueStore, loaded: ReadonlyMap<string, StoredValue>, root: Root) {
    this.#name = name
    this.#records = records
    this.#headRecord = loaded.get(HEAD) as Uint8Array
    this.#head = decodeHead(this.#headRecord)
    if (root.store !== this.#head.store) {
      const rule = 'the records "head" and "root" are of two stores'
      throw new ErrnoError('EIO', undefined, `volume "${name}": ${rule}`)
    }
    this.position = Math.max(this.#head.position, root.tail - 1)
    for (const key of loaded.keys()) if (key.startsWith('log/')) this.position = Math.max(this.position, numberIn(key))
  }

  get tip(): Tip {
    return { store: this.#head.store, position: this.position }
  }

  /**
   * Becomes the one owner: whoever was it before cannot commit any more; `contested` if he may be there still. `changes` go with it.
   * Errors: EIO, ENOSPC; ESTALE for a store that has changed since it was read.
   */
  async claim(changes: readonly RecordChange[], last: LastNumbers, contested: boolean): Promise<void> {
    const position = this.position + 1
    const head = { ...this.#head, epoch: this.#head.epoch + 1, position }
    const log = emptyLog(contested ? 'fence' : 'log', { ...this.tip, position }, last)
    const headRecord = encodeHead(head)
    const ours = [
      { key: logKey(position), value: log, isNew: true },
      { key: HEAD, value: headRecord },
    ]
    await this.transact([...changes, ...ours]).catch(async (failure) => {
      if (!isGuard(failure)) throw this.meaningOf(failure)
      const found = await this.#records.get(HEAD)
      throw found ? stale(this.#name) : this.meaningOf(failure)
    })
    this.#head = head
    this.#headRecord = headRecord
    this.position = position
  }

  /** A transaction that does not go on with the log. Errors: StoreFailure. */
  transact(changes: readonly RecordChange[]): Promise<void> {
    return this.#records.commit(changes, { key: HEAD, value: this.#headRecord })
  }

  /** One that does, which makes sure by itself that nobody else did. Errors: StoreFailure. */
  async append(changes: readonly RecordChange[]): Promise<void> {
    try {
      await this.#records.commit(changes)
    } catch (failure) {
      if (!isGuard(failure)) throw failure
      throw new StoreFailure('guard', failure.message, await this.#records.get(HEAD))
    }
  }

  meaningOf(failure: unknown): ErrnoError {
    return meaningOf(failure, this.#name, this.#head)
  }
}
