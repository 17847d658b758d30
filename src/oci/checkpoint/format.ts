/**
 * A checkpoint as bytes: docs/checkpoint-format.md describes them. The writer packs what it is given within one turn, pages of files
 * into Blobs, so that they leave the kernel's memory; the reader takes any pieces of the bytes, one after the other, and lets go of
 * each.
 *
 * Invariant: every bit is under a hash, every record is numbered, and the last one says that it is the last: what is cut off, damaged
 * or out of order is never taken for whole.
 */

import { concatBytes } from '../../abi/byte-parts.ts'
import { ErrnoError } from '../../abi/errno.ts'
import type { Parts } from '../../abi/images.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { ByteReader, ByteWriter } from '../../fs/tmpfs/bytes.ts'
import type { DumpSink, SavedFiles, SavedPage } from '../../fs/tmpfs/dump.ts'
import { xxHash32 } from '../../fs/tmpfs/hash.ts'
import { readItems, type StoredInode } from '../../fs/tmpfs/items.ts'
import { PAGE_SIZE } from '../../vfs/pages.ts'

/** Raised with every change that an older reader would read wrongly. */
export const FORMAT_VERSION = 1

const MAGIC = encodeUtf8('runtab checkpoint\n')
const MANIFEST = 1
const ITEMS = 2
const PAGES = 3
const END = 4

/** A record of items is closed when it is longer, one of pages when its pages are. */
const ITEMS_SIZE = 64 * 1024
const PAGES_SIZE = 1 << 20
/** No record is longer, but for its pages. */
const RECORD_MAX = 64 << 20

interface PlacedPage extends SavedPage {
  readonly tree: number
  readonly ino: number
}

/** Bytes and pages must be taken within the turn in which they are given. `blob` copies the parts that it is given. */
export class CheckpointWriter {
  readonly #blob: (parts: readonly Uint8Array[]) => BlobLike
  readonly #parts: (Uint8Array | BlobLike)[] = []
  /** Records that go before the next Blob. */
  #small: Uint8Array[] = []
  #records = 0
  #items: { readonly tree: number; readonly writer: ByteWriter } | undefined
  #pages: PlacedPage[] = []
  #pagesSize = 0

  constructor(blob: (parts: readonly Uint8Array[]) => BlobLike, manifest: unknown) {
    this.#blob = blob
    const version = new ByteWriter()
    version.u32(FORMAT_VERSION)
    this.#small.push(MAGIC, version.written())
    const record = this.#begin(MANIFEST)
    record.text(JSON.stringify(manifest))
    this.#record(record)
  }

  /** Where the files of the manifest's nth tree go. Trees come one after the other. */
  tree(tree: number): DumpSink {
    return {
      item: (write) => {
        if (this.#items && (this.#items.tree !== tree || this.#items.writer.length > ITEMS_SIZE)) this.#closeItems()
        if (!this.#items) {
          this.#items = { tree, writer: this.#begin(ITEMS) }
          this.#items.writer.number(tree)
        }
        write(this.#items.writer)
      },
      page: (ino, page) => {
        if (this.#pagesSize + page.bytes.length > PAGES_SIZE) this.#closePages()
        this.#pages.push({ tree, ino, ...page })
        this.#pagesSize += page.bytes.length
      },
    }
  }

  end(): Parts {
    this.#closeItems()
    this.#closePages()
    this.#record(this.#begin(END))
    this.#closeSmall()
    return this.#parts
  }

  #begin(kind: number): ByteWriter {
    const writer = new ByteWriter()
    writer.byte(kind)
    return writer
  }

  /** The number goes last: a record may be begun before another that is closed first. */
  #record(writer: ByteWriter): void {
    writer.u32(this.#records++)
    const sealed = writer.sealed()
    const length = new ByteWriter()
    length.u32(sealed.length)
    this.#small.push(length.written(), sealed)
  }

  #closeItems(): void {
    if (this.#items) this.#record(this.#items.writer)
    this.#items = undefined
  }

  #closePages(): void {
    if (this.#pages.length === 0) return
    this.#closeItems()
    const record = this.#begin(PAGES)
    record.number(this.#pages.length)
    for (const { tree, ino, index, present, bytes } of this.#pages) {
      for (const number of [tree, ino, index, present, bytes.length]) record.number(number)
      record.u32(xxHash32(bytes))
    }
    this.#record(record)
    this.#closeSmall()
    if (this.#pagesSize > 0) this.#parts.push(this.#blob(this.#pages.map(({ bytes }) => bytes)))
    this.#pages = []
    this.#pagesSize = 0
  }

  #closeSmall(): void {
    if (this.#small.length > 0) this.#parts.push(concatBytes(this.#small))
    this.#small = []
  }
}

/** What was saved, all of it. */
export interface ReadCheckpoint {
  /** JSON. */
  readonly manifest: string
  /** By their number in the manifest; those without files are left out. */
  readonly trees: ReadonlyMap<number, Omit<SavedFiles, 'lastIno'>>
}

class Tree {
  readonly inodes = new Map<number, StoredInode>()
  readonly pages = new Map<number, SavedPage[]>()
}

/** Reads all of it. Errors: EIO for what is no checkpoint, of another version, cut off or damaged. */
export async function readCheckpoint(chunks: AsyncIterable<Uint8Array>): Promise<ReadCheckpoint> {
  const input = new Input(chunks)
  try {
    return await readRecords(input)
  } finally {
    await input.end()
  }
}

async function readRecords(input: Input): Promise<ReadCheckpoint> {
  const begin = await input.take(MAGIC.length)
  if (!begin.every((byte, i) => byte === MAGIC[i])) throw fault('is none: it begins with other bytes')
  const version = u32(await input.take(4))
  if (version !== FORMAT_VERSION)
    throw fault(`is of format ${version}, and this runtab reads format ${FORMAT_VERSION}: nothing was restored`)
  let manifest: string | undefined
  const trees = new Map<number, Tree>()
  const treeOf = (number: number) => {
    const known = trees.get(number) ?? new Tree()
    trees.set(number, known)
    return known
  }
  for (let records = 0; ; records++) {
    const what = `record ${records} of the checkpoint`
    const length = u32(await input.take(4))
    if (length < 9 || length > RECORD_MAX) throw fault(`is damaged: ${what} cannot have ${length} bytes`)
    const sealed = await input.take(length)
    // The record's number stands before its hash.
    if (u32(sealed.subarray(length - 8)) !== records) throw fault(`is damaged: ${what} is another one`)
    const record = new ByteReader(sealed, what, 4)
    const kind = record.byte()
    if ((kind === MANIFEST) !== (records === 0)) throw fault(`is damaged: ${what} is of another kind`)
    if (kind === MANIFEST) manifest = record.text()
    else if (kind === ITEMS) readItems(record, treeOf(record.number()).inodes)
    else if (kind === PAGES) await readPages(record, what, input, treeOf)
    else if (kind !== END) throw fault(`is damaged: ${what} is of an unknown kind`)
    if (!record.done) throw fault(`is damaged: ${what} is too long`)
    if (kind === END) break
  }
  if (await input.more()) throw fault('is damaged: there is something behind its end')
  return { manifest: manifest!, trees }
}

async function readPages(record: ByteReader, what: string, input: Input, treeOf: (tree: number) => Tree) {
  for (let count = record.number(); count > 0; count--) {
    const { pages } = treeOf(record.number())
    const [ino, index, present, length] = [record.number(), record.number(), record.number(), record.number()]
    if (length > PAGE_SIZE) throw fault(`is damaged: ${what} has a page of ${length} bytes`)
    const hash = record.u32()
    const bytes = await input.take(length)
    if (xxHash32(bytes) !== hash) throw fault(`is damaged: a page of ${what} is not what it was`)
    const page = { index, present, bytes }
    const known = pages.get(ino)
    if (known) known.push(page)
    else pages.set(ino, [page])
  }
}

export const fault = (rule: string) => new ErrnoError('EIO', undefined, `the checkpoint ${rule}`)

const u32 = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)

/** The bytes of the chunks, taken in any pieces. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  #before = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Lets go of what is left of them. */
  async end(): Promise<void> {
    await this.#chunks.return?.()
  }

  async more(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      this.#before += this.#chunk.length
      this.#at = 0
      const { done, value } = await this.#chunks.next()
      this.#chunk = done ? new Uint8Array(0) : value
      if (done) return false
    }
    return true
  }

  /** An array of its own. Errors: EIO where the bytes end before. */
  async take(count: number): Promise<Uint8Array> {
    const taken = new Uint8Array(count)
    for (let done = 0; done < count; ) {
      if (this.#at === this.#chunk.length && !(await this.more())) throw fault(`is cut off behind byte ${this.#before}`)
      const some = this.#chunk.subarray(this.#at, this.#at + count - done)
      taken.set(some, done)
      done += some.length
      this.#at += some.length
    }
    return taken
  }
}
