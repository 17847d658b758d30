/**
 * Checkpoints that the browser keeps for the site: their bytes in pieces, `piece/ID/N`, and an `index` of those that are whole.
 *
 * Invariants: a checkpoint is in the index when all of its pieces are on disk, in one transaction with the removal of the one that it
 * replaces. Every transaction compares the index; who begins to keep one changes it, so that of two tabs the later wins.
 */

import { sizeOf } from '../../abi/byte-parts.ts'
import type { KeptCheckpoint } from '../../abi/checkpoints.ts'
import { ErrnoError } from '../../abi/errno.ts'
import type { Parts } from '../../abi/images.ts'
import type { Entropy } from '../../abi/platform.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { ByteReader, ByteWriter } from '../../fs/tmpfs/bytes.ts'
import { type KeyValueStore, type RecordChange, StoreFailure } from '../../fs/tmpfs/key-value-store.ts'
import type { ArchiveHost } from '../archive/host.ts'
import { newId } from '../names.ts'

const INDEX = 'index'
const INDEX_VERSION = 1
const PIECES_AT_ONCE = 8

interface Entry extends KeptCheckpoint {
  readonly id: string
  readonly pieces: number
}

interface Index {
  /** One more with everyone who begins to keep one. */
  readonly epoch: number
  readonly entries: readonly Entry[]
}

export class KeptCheckpoints {
  readonly #records: KeyValueStore
  readonly #host: Pick<ArchiveHost, 'stream' | 'awaited'>

  constructor(records: KeyValueStore, host: Pick<ArchiveHost, 'stream' | 'awaited'>) {
    this.#records = records
    this.#host = host
  }

  async list(): Promise<KeptCheckpoint[]> {
    const { entries } = decodeIndex(await this.#get(INDEX))
    return entries.map(({ name, time, size, containers }) => ({ name, time, size, containers }))
  }

  /** Errors: ENOSPC, EIO; EBUSY where another tab has begun to keep one. */
  async keep(parts: Parts, { name, time, containers }: Omit<KeptCheckpoint, 'size'>, entropy: Entropy): Promise<void> {
    const id = newId(entropy)
    let record = await this.#get(INDEX)
    const { epoch, entries } = decodeIndex(record)
    const commit = async (changes: readonly RecordChange[], next?: Index) => {
      const value = next && encodeIndex(next)
      await this.#commit(value ? [...changes, { key: INDEX, value }] : changes, record)
      if (value) record = value
    }
    const whole = new Set(entries.map((entry) => entry.id))
    const all = await this.#host.awaited(this.#records.load())
    const garbage = [...all.keys()].filter((key) => key !== INDEX && !whole.has(key.split('/')[1]!))
    await commit(garbage.map(gone), { epoch: epoch + 1, entries })
    for (let at = 0; at < parts.length; at += PIECES_AT_ONCE) {
      const some = parts.slice(at, at + PIECES_AT_ONCE)
      await commit(some.map((value, i) => ({ key: pieceKey(id, at + i), value })))
    }
    const size = sizeOf(parts)
    const others = entries.filter((entry) => entry.name !== name)
    const entry = { name, time, size, containers, id, pieces: parts.length }
    await commit(keysOf(entries, name).map(gone), { epoch: epoch + 1, entries: [...others, entry] })
  }

  /** The bytes of one. Errors: ENOENT; EIO where a piece is not there. */
  async *read(name: string): AsyncGenerator<Uint8Array, void> {
    const { entries } = decodeIndex(await this.#get(INDEX))
    const { id, pieces } = require(entries, name)
    for (let i = 0; i < pieces; i++) {
      const value = await this.#get(pieceKey(id, i))
      if (value === undefined)
        throw new ErrnoError('EIO', name, `the record "${pieceKey(id, i)}" of the checkpoint is missing`)
      if (value instanceof Uint8Array) yield value
      else yield* this.#host.stream(value)
    }
  }

  /** Errors: ENOENT; as keep. */
  async remove(name: string): Promise<void> {
    const record = await this.#get(INDEX)
    const { epoch, entries } = decodeIndex(record)
    require(entries, name)
    const value = encodeIndex({ epoch, entries: entries.filter((entry) => entry.name !== name) })
    await this.#commit([...keysOf(entries, name).map(gone), { key: INDEX, value }], record)
  }

  #get(key: string): Promise<Uint8Array | BlobLike | undefined> {
    return this.#host.awaited(this.#records.get(key))
  }

  async #commit(changes: readonly RecordChange[], index: Uint8Array | BlobLike | undefined): Promise<void> {
    try {
      await this.#records.commit(changes, { key: INDEX, value: index as Uint8Array | undefined })
    } catch (failure) {
      if (!(failure instanceof StoreFailure)) throw failure
      const { reason, message } = failure
      if (reason === 'full')
        throw new ErrnoError(
          'ENOSPC',
          undefined,
          `the browser gives the site no more space for a checkpoint (${message})`,
        )
      if (reason === 'guard')
        throw new ErrnoError('EBUSY', undefined, 'another tab has begun to keep a checkpoint: this one was not kept')
      throw new ErrnoError('EIO', undefined, `the checkpoint was not kept: ${message}`)
    }
  }
}

const pieceKey = (id: string, i: number) => `piece/${id}/${String(i).padStart(8, '0')}`
const gone = (key: string): RecordChange => ({ key, value: undefined })

const keysOf = (entries: readonly Entry[], name: string) =>
  entries.flatMap((entry) =>
    entry.name === name ? Array.from({ length: entry.pieces }, (_, i) => pieceKey(entry.id, i)) : [],
  )

function require(entries: readonly Entry[], name: string): Entry {
  const entry = entries.find((each) => each.name === name)
  if (entry) return entry
  const names = entries.map((each) => `"${each.name}"`).join(', ')
  throw new ErrnoError('ENOENT', name, `no checkpoint "${name}" is kept; there are ${names || 'none'}`)
}

function encodeIndex({ epoch, entries }: Index): Uint8Array {
  const writer = new ByteWriter()
  writer.number(INDEX_VERSION)
  writer.number(epoch)
  writer.text(JSON.stringify(entries))
  return writer.sealed()
}

/** Errors: EIO for an index that is damaged, or of another format. */
function decodeIndex(record: Uint8Array | BlobLike | undefined): Index {
  if (record === undefined) return { epoch: 0, entries: [] }
  const what = 'the record "index" of the kept checkpoints'
  const reader = new ByteReader(record as Uint8Array, what)
  const version = reader.number()
  if (version !== INDEX_VERSION)
    throw new ErrnoError('EIO', undefined, `${what} is of format ${version}, and this runtab reads ${INDEX_VERSION}`)
  return { epoch: reader.number(), entries: JSON.parse(reader.text()) as Entry[] }
}
