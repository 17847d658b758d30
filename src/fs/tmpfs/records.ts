/**
 * The records of a store that say which others count: docs/store-format.md describes every one.
 *
 * Invariant: a record begins with the format's version and its kind and ends with a hash of all that is before it.
 */

import { concatBytes } from '../../abi/byte-parts.ts'
import { ErrnoError } from '../../abi/errno.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/** Raised with every change that an older reader would read wrongly. Of those before it all are read. */
export const FORMAT_VERSION = 2

const KINDS = { head: 1, root: 2, log: 3, chunk: 4, snapshot: 5, carrier: 6, fence: 7 } as const
export type RecordKind = keyof typeof KINDS

export const HEAD = 'head'
export const ROOT = 'root'
export const RESERVE = 'reserve'

const numbered = (kind: string) => (number: number) => `${kind}/${String(number).padStart(16, '0')}`
export const logKey = numbered('log')
export const chunkKey = numbered('chunk')
export const segmentKey = numbered('segment')
/** The number in such a key. */
export const numberIn = (key: string) => Number(key.slice(key.indexOf('/') + 1))
export const snapshotKey = (name: string) => `snapshot/${name}`

export function begin(kind: RecordKind): ByteWriter {
  const writer = new ByteWriter()
  writer.byte(FORMAT_VERSION)
  writer.byte(KINDS[kind])
  return writer
}

/** Errors: EIO for a record that is missing, damaged, of another kind or of a version that is unknown here. */
export function opened(kind: RecordKind, key: string, bytes: unknown): ByteReader {
  const what = `the record "${key}" of the volume`
  const fault = (rule: string) => new ErrnoError('EIO', undefined, `${what} ${rule}`)
  if (!(bytes instanceof Uint8Array)) throw fault('is missing')
  // The version first: what another version's hash is like nobody knows.
  const version = bytes[0]
  if (version === undefined) throw fault('is damaged')
  const reader = version > 0 && version <= FORMAT_VERSION ? new ByteReader(bytes, what) : undefined
  if (!reader)
    throw fault(`is of format ${version}, and this runtab reads format ${FORMAT_VERSION}: nothing was changed`)
  reader.byte()
  if (reader.byte() !== KINDS[kind]) throw fault('is of another kind')
  return reader
}

/** Whose records they are, and the number of the last one of the log. */
export interface Tip {
  readonly store: string
  readonly position: number
}

/** New numbers are above these. */
export interface LastNumbers {
  readonly lastIno: number
  readonly lastSegment: number
}

/** What stands before the items of a log record. */
export function writeLogHead(log: ByteWriter, { store, position }: Tip, { lastIno, lastSegment }: LastNumbers): void {
  log.text(store)
  for (const number of [position, lastIno, lastSegment]) log.number(number)
}

/** A log record that says nothing but that it is there. */
export function emptyLog(kind: 'log' | 'fence', tip: Tip, last: LastNumbers): Uint8Array {
  const log = begin(kind)
  writeLogHead(log, tip, last)
  return log.sealed()
}

/** Bytes of pages, and the number of the segment that they are. */
export interface CarriedSegment {
  readonly id: number
  readonly bytes: Uint8Array
}

/** What a log record begins with; one that carries a small segment is a carrier. */
export function beginLog(segment: CarriedSegment | undefined): ByteWriter {
  if (!segment) return begin('log')
  const writer = begin('carrier')
  writer.number(segment.id)
  return writer
}

/** The record that such a log makes, once it is sealed: a segment stands behind it, and its length behind that. */
export function logRecord(sealed: Uint8Array, segment: CarriedSegment | undefined): Uint8Array {
  if (!segment) return sealed
  const { bytes } = segment
  const length = new Uint8Array(LENGTH)
  new DataView(length.buffer).setUint32(0, bytes.length, true)
  return concatBytes([sealed, bytes, length])
}
const LENGTH = 4

/** A log record, read up to its items. Errors: as `opened`; the bytes of the segment are not checked. */
export function openedLog(key: string, record: unknown): { reader: ByteReader; segment: CarriedSegment | undefined } {
  if (!isCarrier(record)) return { reader: opened(isFence(record) ? 'fence' : 'log', key, record), segment: undefined }
  const [start, end] = carriedIn(record)
  const reader = opened('carrier', key, record.subarray(0, start))
  return { reader, segment: { id: reader.number(), bytes: record.subarray(start, end) } }
}

/** Where in a carrier the segment stands. */
function carriedIn(record: Uint8Array): [start: number, end: number] {
  const view = new DataView(record.buffer, record.byteOffset, record.length)
  const end = record.length - LENGTH
  return [Math.max(0, end - view.getUint32(end, true)), end]
}

/** What stands behind a log record, if it carries a segment. Its pages have hashes of their own: `damaged` is what the record says. */
export function carriedBy(key: string, record: unknown): (CarriedSegment & { damaged: boolean }) | undefined {
  if (!isCarrier(record)) return undefined
  try {
    return { ...openedLog(key, record).segment!, damaged: false }
  } catch (error) {
    faultOf(error)
  }
  const [start, end] = carriedIn(record)
  let [id, at] = [0, 2]
  for (let scale = 1; at < end; scale *= 128) {
    const byte = record[at++]!
    id += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  return { id, bytes: record.subarray(Math.max(at, start), end), damaged: true }
}

/** A log record that stays for as long as there may be somebody who would write another of its number. */
export const isFence = (record: unknown): boolean => record instanceof Uint8Array && record[1] === KINDS.fence

const isCarrier = (record: unknown): record is Uint8Array =>
  record instanceof Uint8Array && record.length > LENGTH && record[1] === KINDS.carrier

/** What is wrong with a record that could not be opened. Throws what tells of anything else. */
export function faultOf(error: unknown): string {
  if (error instanceof ErrnoError && error.detail !== undefined) return error.detail
  throw error
}

/**
 * Who may write. A transaction compares it, or makes the next record of the log, which none of a former owner can: one of its number is
 * there, with which the new owner began.
 */
export interface Head {
  /** 16 random bytes as hexadecimal digits: no other store has them. */
  readonly store: string
  /** One more with every owner. */
  readonly epoch: number
  /** The number of the last log record when this owner came: the log goes on from there. */
  readonly position: number
}

export function encodeHead({ store, epoch, position }: Head): Uint8Array {
  const writer = begin('head')
  writer.text(store)
  writer.number(epoch)
  writer.number(position)
  return writer.sealed()
}

export function decodeHead(bytes: unknown): Head {
  const reader = opened('head', HEAD, bytes)
  return { store: reader.text(), epoch: reader.number(), position: reader.number() }
}

/** From the first to the last. */
export type LogRange = readonly [first: number, last: number]

/** Which chunks and which log records make the tree: the chunks, then the ranges, then all from `tail` on. */
export interface Root extends LastNumbers {
  readonly store: string
  /** The chunks of metadata: what each is of, and the number of its record. */
  readonly chunks: ReadonlyMap<string, number>
  readonly ranges: readonly LogRange[]
  readonly tail: number
  readonly lastChunk: number
}

export function encodeRoot(root: Root, writer = begin('root')): Uint8Array {
  writer.text(root.store)
  writer.number(root.chunks.size)
  for (const [what, number] of root.chunks) {
    writer.text(what)
    writer.number(number)
  }
  writer.number(root.ranges.length)
  for (const range of root.ranges) for (const end of range) writer.number(end)
  for (const number of [root.tail, root.lastIno, root.lastSegment, root.lastChunk]) writer.number(number)
  return writer.sealed()
}

export function decodeRoot(bytes: unknown, reader = opened('root', ROOT, bytes)): Root {
  const store = reader.text()
  const chunks = new Map<string, number>()
  for (let count = reader.number(); count > 0; count--) chunks.set(reader.text(), reader.number())
  const ranges: LogRange[] = []
  for (let count = reader.number(); count > 0; count--) ranges.push([reader.number(), reader.number()])
  const [tail, lastIno, lastSegment, lastChunk] = [reader.number(), reader.number(), reader.number(), reader.number()]
  return { store, chunks, ranges, tail, lastIno, lastSegment, lastChunk }
}

/** What a new store begins with: a head, and a tree of nothing. */
export const newRecords = (store: string): { key: string; value: Uint8Array }[] => [
  { key: HEAD, value: encodeHead({ store, epoch: 0, position: 0 }) },
  {
    key: ROOT,
    value: encodeRoot({
      ...{ store, chunks: new Map(), ranges: [], tail: 1 },
      ...{ lastIno: 1, lastSegment: 0, lastChunk: 0 },
    }),
  },
]

/** A tree that stays as it was: its root up to a position, and the segments that its files lie in. */
export interface Snapshot {
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly segments: readonly number[]
  /** Its tail is empty: all of its log is in ranges. */
  readonly root: Root
}

export function encodeSnapshot({ time, segments, root }: Snapshot): Uint8Array {
  const writer = begin('snapshot')
  writer.number(time)
  writer.number(segments.length)
  for (const segment of segments) writer.number(segment)
  return encodeRoot(root, writer)
}

export function decodeSnapshot(key: string, bytes: unknown): Snapshot {
  const reader = opened('snapshot', key, bytes)
  const time = reader.number()
  const segments: number[] = []
  for (let count = reader.number(); count > 0; count--) segments.push(reader.number())
  return { time, segments, root: decodeRoot(bytes, reader) }
}
