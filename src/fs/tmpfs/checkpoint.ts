/**
 * Writes the state down in chunks, a few milliseconds' worth with each commit: inodes by their numbers, and of long directories
 * and files the names and pages behind the first part apart.
 *
 * Why that is right though the chunks are of different moments: a chunk is written in the transaction of a log record, or after it,
 * and says what is true then; the log from where the checkpoint began stays, and says last of everything what is true at its end.
 *
 * Invariant: `#stale` are the chunks that are not as the root's, and are not among those of the checkpoint that is under way.
 */

import type { ByteWriter } from './bytes.ts'
import type { TmpfsNode } from './inodes.ts'
import { COOKIES_OF_PART, PAGES_OF_PART, partOfCookie, partOfPage, writeItem } from './items.ts'
import type { RecordChange } from './key-value-store.ts'
import type { NodeTable } from './node-table.ts'
import { begin, chunkKey, type LastNumbers, type Root } from './records.ts'
import { groupOf, INODES } from './tally.ts'

/** A checkpoint begins when the log has grown so much, or by half of what the chunks take. */
const LEAST_LOG = 512 * 1024
const MOST_RECORDS = 1000
/** Or, where there is time, so much for each chunk that is to be written: a short log is quickly read. */
const LOG_OF_CHUNK = 4096
/** Milliseconds of a step. */
const STEP = 4

const chunkOf = (ino: number, part: number) => (part === 0 ? String(groupOf(ino)) : `${ino}.${part}`)

interface UnderWay {
  /** The log from here on stays. */
  readonly tail: number
  readonly left: Set<string>
  /** The numbers of chunks that were written; undefined for those that are empty now. */
  readonly written: Map<string, number | undefined>
}

export class Checkpoint {
  /** The longest step, in milliseconds. */
  longestStep = 0
  lastChunk = 0
  readonly #now: () => number
  #stale = new Set<string>()
  #lastStale = -1
  #underWay: UnderWay | undefined
  /** What the last step took from `left`, in case it fails. */
  #step: string[] = []
  #finishing = false
  #chunkBytes = 0
  #records = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined
  }

  /** A part of an inode is not as its chunk says. */
  changed(ino: number, part: number): void {
    if (part === 0 && groupOf(ino) === this.#lastStale) return
    this.#stale.add(chunkOf(ino, part))
    if (part === 0) this.#lastStale = groupOf(ino)
  }

  /** Whether one would begin if there is time. */
  isWorthIt(logBytes: number): boolean {
    return logBytes > Math.max(1, this.#stale.size) * LOG_OF_CHUNK
  }

  /** Whether the next commit is to write chunks, whether anything else has changed or not; `idle` if nothing has. */
  wants(logBytes: number, position: number, idle: boolean): boolean {
    const isLong = logBytes > Math.max(LEAST_LOG, this.#chunkBytes / 2) || this.#records > MOST_RECORDS
    if (!this.#underWay && (isLong || (idle && this.isWorthIt(logBytes)))) {
      this.#underWay = { tail: position, left: new Set(), written: new Map() }
      this.#records = 0
      this.#chunkBytes = 0
    }
    this.#records++
    return this.#underWay !== undefined
  }

  /** Runs what must not take long: it ends, when it can, once it `isOver`. */
  timed<T>(work: (isOver: () => boolean) => T): T {
    const start = this.#now()
    try {
      return work(() => this.#now() > start + STEP)
    } finally {
      this.longestStep = Math.max(this.longestStep, this.#now() - start)
    }
  }

  /** The chunks of this step; and with the last ones the root that refers to them. */
  step(
    nodes: NodeTable,
    store: string,
    root: Root,
    numbers: LastNumbers,
  ): { records: RecordChange[]; root: Root | undefined } {
    const { lastChunk } = root
    this.lastChunk = Math.max(this.lastChunk, lastChunk)
    const underWay = this.#underWay
    this.#step = []
    if (!underWay) return { records: [], root: undefined }
    return this.timed((isOver) => {
      if (underWay.written.size === 0 && underWay.left.size === 0) {
        for (const what of this.#stale) underWay.left.add(what)
        this.#stale.clear()
        this.#lastStale = -1
      }
      const records: RecordChange[] = []
      for (const what of underWay.left) {
        if (this.#step.length > 0 && isOver()) break
        this.#step.push(what)
        underWay.left.delete(what)
        const bytes = chunk(nodes, store, what)
        if (bytes) {
          const number = ++this.lastChunk
          records.push({ key: chunkKey(number), value: bytes })
          underWay.written.set(what, number)
          this.#chunkBytes += bytes.length
        } else underWay.written.set(what, undefined)
      }
      this.#finishing = underWay.left.size === 0
      if (!this.#finishing) return { records, root: undefined }
      const chunks = new Map(root.chunks)
      for (const [what, number] of underWay.written) {
        if (number === undefined) chunks.delete(what)
        else chunks.set(what, number)
      }
      return {
        records,
        root: { ...root, ...numbers, chunks, ranges: [], tail: underWay.tail, lastChunk: this.lastChunk },
      }
    })
  }

  committed(): void {
    if (this.#finishing) this.#underWay = undefined
    this.#finishing = false
    this.#step = []
  }

  failed(): void {
    for (const what of this.#step) {
      this.#underWay?.left.add(what)
      this.#underWay?.written.delete(what)
    }
    this.#finishing = false
    this.#step = []
  }
}

function chunk(nodes: NodeTable, store: string, what: string): Uint8Array | undefined {
  const writer = begin('chunk')
  writer.text(store)
  writer.text(what)
  const start = writer.length
  const [first, part] = what.split('.').map(Number) as [number, number | undefined]
  if (part !== undefined) {
    const node = nodes.get(first)
    if (node) writePart(writer, node, part)
  } else {
    for (let ino = first * INODES; ino < (first + 1) * INODES; ino++) {
      if (nodes.copyItem(ino, what, writer)) continue
      const node = nodes.get(ino)
      if (node) writePart(writer, node, 0)
    }
  }
  return writer.length === start ? undefined : writer.sealed()
}

function writePart(writer: ByteWriter, node: TmpfsNode, part: number): void {
  const names = node.kind === 'directory' ? [...namesIn(node, part)] : undefined
  const pages = node.kind === 'file' && node.data ? pagesIn(node.data, part) : undefined
  if (part > 0 && !names?.length && !pages?.length) return
  writeItem(writer, node, { attributes: part === 0, names, pages })
}

function* namesIn(directory: Extract<TmpfsNode, { kind: 'directory' }>, part: number): Generator<string> {
  for (const { name, cookie } of directory.entries(part * COOKIES_OF_PART - 1)) {
    if (partOfCookie(cookie) !== part) return
    yield name
  }
}

type Data = NonNullable<Extract<TmpfsNode, { kind: 'file' }>['data']>

function pagesIn(data: Data, part: number): number[] {
  if (data.pageCount <= PAGES_OF_PART) return data.pages().filter((index) => partOfPage(index) === part)
  const indexes: number[] = []
  for (let index = part * PAGES_OF_PART; index < (part + 1) * PAGES_OF_PART; index++)
    if (data.page(index)) indexes.push(index)
  return indexes
}
