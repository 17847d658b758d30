/**
 * Reads a tar archive as its bytes come: ustar, pax, GNU and v7, with long names, extended attributes and sparse files. Data is
 * not kept: an entry says where in the archive it lies.
 *
 * Invariants: memory in use is a header or the extended header in front of one, which is bounded; every number is checked
 * before it is used; an archive is taken as a whole only if its end marker was seen. The first fault ends the reading: an
 * ErrnoError whose `path` is the entry's name and whose `detail` tells which entry it is and which rule it breaks.
 */

import { concatBytes } from '../../abi/byte-parts.ts'
import { ErrnoError } from '../../abi/errno.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import { decodeBase64 } from './base64.ts'
import { type PaxRecords, readPax } from './pax.ts'
import {
  BLOCK,
  checksum,
  type Extent,
  FIELDS,
  LIBARCHIVE,
  paddingOf,
  SCHILY,
  type TarHeader,
  type TarKind,
  TYPEFLAG,
} from './tar.ts'

export interface ReadEntry extends TarHeader {
  /** Where its data begins, in bytes from the start of the archive, and how many bytes it takes there. */
  readonly start: number
  readonly stored: number
  /** Of all entries, from 0. */
  readonly index: number
}

export interface TarLimits {
  /** Entries of an archive. */
  readonly entries: number
  /** Bytes of an archive, uncompressed. */
  readonly bytes: number
}

/** Of an extended header, a long name or a sparse map: as Go's archive/tar has it. */
const META_MAX = 1 << 20
const ID_MAX = 2 ** 32 - 2

const KINDS: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

/** What is read next: a header block; a record in front of a header; more of a sparse map. */
type State = 'header' | 'meta' | 'oldSparse' | 'sparseMap' | 'end'

/** A header as it stands, before what extends it is applied. */
interface Draft extends Omit<ReadEntry, 'extents' | 'size'> {
  size: number
}

export class TarReader {
  readonly #take: (entry: ReadEntry) => void
  readonly #limits: TarLimits
  #state: State = 'header'
  /** Bytes read so far. */
  #position = 0
  /** Data to be passed over. */
  #skip = 0
  /** What is read next as a whole, and the part of it that is here. */
  #want = BLOCK
  #parts: Uint8Array[] = []
  #have = 0
  #zeroBlock = false
  #index = 0
  #lastName = ''
  /** The kind of record that is being read in front of a header. */
  #metaFlag = ''
  #global: PaxRecords = new Map()
  #local: PaxRecords = new Map()
  #longName: string | undefined
  #longLink: string | undefined
  /** Of an extended header: GNU.sparse.offset and numbytes in turns (format 0.0). */
  #sparsePairs: number[] = []
  /** The sparse file whose map is being read. */
  #draft: Draft | undefined
  #extents: Extent[] = []
  #mapText = ''

  /** Calls `take` with each entry. Errors: those of `take`; as said above, EINVAL for a fault, EFBIG for a limit. */
  constructor(take: (entry: ReadEntry) => void, limits: TarLimits) {
    this.#take = take
    this.#limits = limits
  }

  /** The entries so far. */
  get entries(): number {
    return this.#index
  }

  /** The next bytes, which are not held on to. */
  push(chunk: Uint8Array): void {
    if (this.#position + chunk.length > this.#limits.bytes) {
      throw new ErrnoError('EFBIG', undefined, `the archive is larger than the limit of ${this.#limits.bytes} bytes`)
    }
    let at = 0
    while (at < chunk.length) {
      if (this.#state === 'end') {
        this.#position += chunk.length - at
        return
      }
      if (this.#skip > 0) {
        const count = Math.min(this.#skip, chunk.length - at)
        this.#skip -= count
        this.#position += count
        at += count
        continue
      }
      const count = Math.min(this.#want - this.#have, chunk.length - at)
      const part = chunk.subarray(at, at + count)
      at += count
      this.#position += count
      this.#have += count
      if (this.#have < this.#want) {
        this.#parts.push(part.slice())
        continue
      }
      const whole = this.#parts.length === 0 ? part : concatBytes([...this.#parts, part])
      this.#parts = []
      this.#have = 0
      this.#want = BLOCK
      this.#read(whole)
    }
  }

  /** Data of the current entry that need not be pushed: counts up to `most` bytes of it as read, and says how many. */
  passOver(most: number): number {
    const count = Math.min(this.#skip, most)
    this.#skip -= count
    this.#position += count
    return count
  }

  /** No more bytes come. Errors: EINVAL unless the archive is complete. */
  end(): void {
    if (this.#state === 'end' || (this.#state === 'header' && this.#zeroBlock && this.#have === 0)) return
    if (this.#skip === 0 || this.#state !== 'header') this.#refuse('the archive is cut off here')
    this.#index--
    this.#refuse('the archive is cut off in its data', this.#lastName)
  }

  #read(bytes: Uint8Array): void {
    if (this.#state === 'header') this.#readHeader(bytes)
    else if (this.#state === 'meta') this.#readMeta(bytes)
    else if (this.#state === 'oldSparse') this.#readOldSparse(bytes, 0, 21, 504)
    else this.#readSparseMap(bytes)
  }

  #readHeader(block: Uint8Array): void {
    if (block[0] === 0 && block.every((byte) => byte === 0)) {
      if (this.#zeroBlock) this.#state = 'end'
      this.#zeroBlock = true
      if (this.#hasLocals) this.#refuse('an extended header has no file behind it')
      return
    }
    if (this.#zeroBlock) this.#refuse('something follows the block of zeros that ends an archive')
    const stored = octal(block, ...FIELDS.checksum)
    if (stored !== checksum(block, 0) && stored !== checksum(block, 0, true)) {
      this.#refuse(
        this.#index === 0 && !this.#hasLocals ? 'this is no tar archive' : 'the checksum of its header is wrong',
      )
    }
    const flag = String.fromCharCode(block[TYPEFLAG]!)
    if ('xXgLK'.includes(flag)) {
      const size = this.#number(block, 'size')
      if (size > META_MAX) this.#refuse(`its extended header has ${size} bytes, of at most ${META_MAX}`)
      this.#metaFlag = flag
      if (size === 0) this.#readMeta(new Uint8Array(0))
      else {
        this.#state = 'meta'
        this.#want = size
        this.#skipAfter = paddingOf(size)
      }
      return
    }
    this.#readEntry(block, flag)
  }

  /** Passed over behind what is read next. */
  #skipAfter = 0

  get #hasLocals(): boolean {
    return this.#local.size > 0 || this.#longName !== undefined || this.#longLink !== undefined
  }

  #readMeta(bytes: Uint8Array): void {
    this.#state = 'header'
    this.#skip = this.#skipAfter
    this.#skipAfter = 0
    const flag = this.#metaFlag
    if (flag === 'L' || flag === 'K') {
      const end = bytes.indexOf(0)
      const text = this.#text(bytes, 0, end < 0 ? bytes.length : end, flag === 'L' ? 'name' : 'target')
      if (flag === 'L') this.#longName = text
      else this.#longLink = text
      return
    }
    const records = flag === 'g' ? this.#global : this.#local
    const fault = readPax(bytes, (key, value) => {
      if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
        this.#sparsePairs.push(this.#decimal(key, value))
      else if (flag === 'g' && value.length === 0) records.delete(key)
      else records.set(key, value.slice())
    })
    if (fault !== undefined) this.#refuse(`its extended header ${fault}`)
    if (records.size > 10_000) this.#refuse('there are more than 10000 records in its extended headers')
  }

  #readEntry(block: Uint8Array, flag: string): void {
    if (this.#index >= this.#limits.entries) {
      throw new ErrnoError('EFBIG', undefined, `the archive has more than the limit of ${this.#limits.entries} entries`)
    }
    const name = this.#name(block)
    const known = KINDS[flag]
    if (known === undefined) this.#refuse(`it is of a kind that is not taken, '${flag}'`, name)
    const kind = known === 'file' && flag !== 'S' && name.endsWith('/') ? 'directory' : known
    const stored = kind === 'file' ? (this.#paxNumber('size', name) ?? this.#number(block, 'size', name)) : 0
    const device = kind === 'char' || kind === 'block'
    const xattrs = this.#xattrs(name)
    const draft: Draft = {
      name,
      kind,
      mode: this.#number(block, 'mode', name) & 0o7777,
      uid: this.#id('uid', block, name),
      gid: this.#id('gid', block, name),
      size: stored,
      mtime: this.#mtime(block, name),
      ...((kind === 'symlink' || kind === 'link') && { target: this.#target(block, name) }),
      ...(device && { major: this.#device(block, 'devmajor', name), minor: this.#device(block, 'devminor', name) }),
      ...(xattrs && { xattrs }),
      start: this.#position,
      stored,
      index: this.#index,
    }
    if (flag === 'S') {
      this.#draft = draft
      draft.size = this.#numberAt(block, 483, 12, 'real size', name)
      this.#readOldSparse(block, 386, 4, 482)
    } else if (kind === 'file') this.#finishFile(draft)
    else this.#emit(draft)
  }

  /** GNU tar's sparse headers: the map is in the header and in blocks behind it. */
  #readOldSparse(block: Uint8Array, at: number, count: number, more: number): void {
    const draft = this.#draft!
    for (let i = 0; i < count; i++) {
      const from = at + i * 24
      if (block[from] === 0) break
      const offset = this.#numberAt(block, from, 12, 'sparse map', draft.name)
      this.#addExtent(draft, offset, this.#numberAt(block, from + 12, 12, 'sparse map', draft.name))
    }
    this.#state = 'header'
    if (block[more] === 1) this.#state = 'oldSparse'
    else this.#emit({ ...draft, start: this.#position }, this.#extents)
  }

  /** A file, which its extended header may say to be sparse. */
  #finishFile(draft: Draft): void {
    const { name } = draft
    const realSize = this.#paxNumber('GNU.sparse.realsize', name) ?? this.#paxNumber('GNU.sparse.size', name)
    if (realSize === undefined) {
      this.#emit(draft)
      return
    }
    draft.size = realSize
    const map = this.#local.get('GNU.sparse.map')
    if (this.#local.has('GNU.sparse.major')) {
      this.#draft = draft
      this.#state = 'sparseMap'
      this.#mapText = ''
      if (draft.stored < BLOCK) this.#refuse('its sparse map is missing', name)
      return
    }
    const pairs = map
      ? this.#ascii(map)
          .split(',')
          .map((text) => this.#decimalText('GNU.sparse.map', text))
      : this.#sparsePairs
    for (let i = 0; i + 1 < pairs.length; i += 2) this.#addExtent(draft, pairs[i]!, pairs[i + 1]!)
    this.#emit(draft, this.#extents)
  }

  /** Sparse format 1.0: lines of decimals in front of the data, filled up to a block. */
  #readSparseMap(block: Uint8Array): void {
    const draft = this.#draft!
    this.#mapText += this.#ascii(block)
    const lines = this.#mapText.split('\n')
    const count = lines.length > 1 ? this.#decimalText('sparse map', lines[0]!) : 0
    if (lines.length < 2 + 2 * count) {
      const read = this.#position - draft.start
      if (read >= draft.stored || read > META_MAX) this.#refuse('its sparse map is cut off or too long', draft.name)
      return
    }
    for (let i = 0; i < count; i++) {
      const [offset, length] = lines.slice(1 + 2 * i, 3 + 2 * i).map((text) => this.#decimalText('sparse map', text))
      this.#addExtent(draft, offset!, length!)
    }
    this.#state = 'header'
    const stored = draft.stored - (this.#position - draft.start)
    this.#emit({ ...draft, start: this.#position, stored }, this.#extents)
  }

  #addExtent(draft: Draft, offset: number, length: number): void {
    const last = this.#extents.at(-1)
    const from = last ? last.offset + last.length : 0
    if (offset < from || offset + length > draft.size) {
      this.#refuse('its sparse map has pieces that overlap or lie outside of the file', draft.name)
    }
    if (length > 0) this.#extents.push({ offset, length })
  }

  #emit(draft: Draft, extents?: readonly Extent[]): void {
    if (extents) {
      const held = extents.reduce((sum, { length }) => sum + length, 0)
      if (held !== draft.stored) this.#refuse('its sparse map does not fit the size of its data', draft.name)
    }
    this.#skip = draft.stored + paddingOf(draft.stored)
    this.#index++
    this.#lastName = draft.name
    const whole = extents?.length === 1 && extents[0]!.length === draft.size
    this.#take(extents && !whole ? { ...draft, extents } : draft)
    if (this.#local.size > 0) this.#local = new Map()
    this.#longName = undefined
    this.#longLink = undefined
    this.#draft = undefined
    if (extents) this.#extents = []
    if (this.#sparsePairs.length > 0) this.#sparsePairs = []
  }

  #name(block: Uint8Array): string {
    const pax = this.#record('GNU.sparse.name') ?? this.#record('path')
    const name = pax ? this.#text(pax, 0, pax.length, 'name') : (this.#longName ?? this.#shortName(block))
    if (name === '') this.#refuse('its name is empty')
    return name
  }

  #shortName(block: Uint8Array): string {
    const name = this.#field(block, 'name')
    const isUstar = this.#field(block, 'magic') === 'ustar' && block[262] === 0
    const prefix = isUstar && block[345] !== 0 ? this.#field(block, 'prefix') : ''
    return prefix === '' ? name : `${prefix}/${name}`
  }

  #target(block: Uint8Array, name: string): string {
    const pax = this.#record('linkpath')
    const target = pax ? this.#text(pax, 0, pax.length, 'target') : (this.#longLink ?? this.#field(block, 'linkname'))
    if (target === '') this.#refuse('it links to nothing', name)
    return target
  }

  #xattrs(name: string): Map<string, Uint8Array> | undefined {
    let xattrs: Map<string, Uint8Array> | undefined
    for (const records of [this.#global, this.#local]) {
      for (const [key, value] of records) {
        const xattr = this.#xattr(key, value, name)
        if (!xattr) continue
        xattrs ??= new Map()
        xattrs.set(...xattr)
      }
    }
    return xattrs
  }

  #xattr(key: string, value: Uint8Array, name: string): [string, Uint8Array] | undefined {
    if (key.startsWith(SCHILY)) return [key.slice(SCHILY.length), value]
    if (!key.startsWith(LIBARCHIVE)) return undefined
    const bytes = decodeBase64(this.#ascii(value))
    if (!bytes) this.#refuse(`its record ${key} is no base64`, name)
    try {
      return [decodeURIComponent(key.slice(LIBARCHIVE.length)), bytes]
    } catch {
      return this.#refuse(`its record ${key} is not percent-encoded`, name)
    }
  }

  #id(field: 'uid' | 'gid', block: Uint8Array, name: string): number {
    const id = this.#paxNumber(field, name) ?? this.#number(block, field, name)
    if (id > ID_MAX) this.#refuse(`its ${field} is larger than ${ID_MAX}`, name)
    return id
  }

  #device(block: Uint8Array, field: 'devmajor' | 'devminor', name: string): number {
    const number = this.#number(block, field, name)
    if (number > 0xfffff) this.#refuse(`its ${field} is too large`, name)
    return number
  }

  #mtime(block: Uint8Array, name: string): bigint {
    const record = this.#record('mtime')
    if (!record) {
      const [at, length] = FIELDS.mtime
      return BigInt(this.#numberAt(block, at, length, 'mtime', name, true)) * 1_000_000_000n
    }
    const parts = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(this.#ascii(record))
    if (!parts) this.#refuse('its mtime is no decimal number', name)
    const [, sign, seconds, fraction = ''] = parts
    const time = BigInt(seconds!) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
    return sign ? -time : time
  }

  /** An empty value takes a global record back. */
  #record(key: string): Uint8Array | undefined {
    const value = this.#local.get(key) ?? this.#global.get(key)
    return value?.length === 0 ? undefined : value
  }

  #paxNumber(key: string, name: string): number | undefined {
    const value = this.#record(key)
    return value && this.#decimal(key, value, name)
  }

  #decimal(key: string, value: Uint8Array, name?: string): number {
    return this.#decimalText(key, this.#ascii(value), name)
  }

  #decimalText(key: string, text: string, name = this.#draft?.name): number {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(number))
      this.#refuse(`${key} is no number that can be used, "${text.slice(0, 40)}"`, name)
    return number
  }

  #number(block: Uint8Array, field: keyof typeof FIELDS, name?: string): number {
    const [at, length] = FIELDS[field]
    return this.#numberAt(block, at, length, field, name)
  }

  /** Octal digits between spaces and NULs; or, after a byte with the top bit, a binary number (GNU). */
  #numberAt(block: Uint8Array, at: number, length: number, field: string, name?: string, signed = false): number {
    const first = block[at]!
    let number = 0
    if (first & 0x80) {
      const negative = first === 0xff
      number = negative ? -1 : first & 0x7f
      for (let i = at + 1; i < at + length; i++) number = number * 256 + block[i]!
    } else {
      number = octal(block, at, length) ?? this.#refuse(`its ${field} is no octal number`, name)
    }
    if (!Number.isSafeInteger(number) || (number < 0 && !signed)) {
      this.#refuse(`its ${field} is ${number < 0 ? 'negative' : 'too large'}`, name)
    }
    return number
  }

  #field(block: Uint8Array, field: 'name' | 'linkname' | 'magic' | 'prefix'): string {
    const [at, length] = FIELDS[field]
    let end = at
    while (end < at + length && block[end] !== 0) end++
    const text = this.#text(block, at, end - at, field)
    return field === 'magic' ? text.trimEnd() : text
  }

  #text(bytes: Uint8Array, at: number, length: number, what: string): string {
    const text = decodeUtf8(bytes, at, length)
    if (text === undefined) this.#refuse(`its ${what} is not UTF-8`, this.#ascii(bytes.subarray(at, at + length)))
    if (text.includes('\0')) this.#refuse(`its ${what} holds NUL`, text)
    return text
  }

  /** Of bytes that should be ASCII; others become question marks. */
  #ascii(bytes: Uint8Array): string {
    let text = ''
    for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : '?'
    return text
  }

  #refuse(rule: string, name?: string): never {
    throw new ErrnoError('EINVAL', name, `archive entry ${this.#index}: ${rule}`)
  }
}

/** Octal digits between spaces and NULs. */
function octal(block: Uint8Array, at: number, length: number): number | undefined {
  const end = at + length
  let number = 0
  let i = at
  while (i < end && block[i] === 0x20) i++
  for (; i < end && block[i]! >= 0x30 && block[i]! <= 0x37; i++) number = number * 8 + block[i]! - 0x30
  for (; i < end && block[i] !== 0; i++) if (block[i] !== 0x20) return undefined
  return number
}
