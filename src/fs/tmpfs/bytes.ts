/** Numbers and texts as bytes: what the records of a store are made of. */

import { ErrnoError } from '../../abi/errno.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { xxHash32 } from './hash.ts'

const NO_BYTES = new Uint8Array(0)

export class ByteWriter {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  get length(): number {
    return this.#length
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }

  byte(value: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = value
  }

  u32(value: number): void {
    this.#room(4)
    this.#view.setUint32(this.#length, value, true)
    this.#length += 4
  }

  i64(value: bigint): void {
    this.#room(8)
    this.#view.setBigInt64(this.#length, value, true)
    this.#length += 8
  }

  /** A whole number from 0 to 2^53-1, seven bits a byte, the lowest first. */
  number(value: number): void {
    this.#room(8)
    let rest = value
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80
      rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >> 7
    }
    this.#bytes[this.#length++] = rest
  }

  /** Bytes, their count before them. */
  bytes(value: Uint8Array): void {
    this.number(value.length)
    this.raw(value)
  }

  /** Bytes that say themselves where they end. */
  raw(value: Uint8Array): void {
    this.#room(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  /** Text in UTF-8, its length in bytes before it. */
  text(value: string): void {
    const { length } = value
    if (length < 0x80) {
      this.#room(length + 1)
      const start = this.#length
      this.#bytes[this.#length++] = length
      let i = 0
      for (; i < length; i++) {
        const unit = value.charCodeAt(i)
        if (unit >= 0x80) break
        this.#bytes[this.#length++] = unit
      }
      if (i === length) return
      this.#length = start
    }
    this.bytes(encodeUtf8(value))
  }

  /** All that was written. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length)
  }

  /** The same, and its hash behind it. */
  sealed(): Uint8Array<ArrayBuffer> {
    this.u32(xxHash32(this.#bytes, 0, this.#length))
    return this.written()
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #end: number
  readonly #what: string
  #at = 0

  /**
   * Of what `sealed` gave; `what` is what an error calls it. So many bytes before its hash are not read.
   * Errors: EIO if a bit of it is not as it was.
   */
  constructor(sealed: Uint8Array, what: string, unread = 0) {
    this.#bytes = sealed
    this.#view = new DataView(sealed.buffer, sealed.byteOffset, sealed.length)
    const end = sealed.length - 4
    this.#end = end - unread
    this.#what = what
    if (this.#end < 0 || this.#view.getUint32(end, true) !== xxHash32(sealed, 0, end)) this.#fail()
  }

  #fail(): never {
    throw new ErrnoError('EIO', undefined, `${this.#what} is damaged`)
  }

  get done(): boolean {
    return this.#at >= this.#end
  }

  get at(): number {
    return this.#at
  }

  /** Goes on where it was before. */
  seek(at: number): void {
    this.#at = at
  }

  /** Bytes that were read, as they are. */
  between(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start, end)
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** Goes over bytes or a text; gives how many there are. */
  skipBytes(): number {
    const length = this.number()
    this.#take(length)
    return length
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#end) this.#fail()
    this.#at += count
    return at
  }

  byte(): number {
    return this.#bytes[this.#take(1)]!
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true)
  }

  number(): number {
    const first = this.byte()
    if (first < 0x80) return first
    let value = first & 0x7f
    let scale = 128
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const length = this.number()
    if (length === 0) return NO_BYTES
    const at = this.#take(length)
    return this.#bytes.slice(at, at + length) as Uint8Array<ArrayBuffer>
  }

  text(): string {
    const length = this.number()
    return decodeUtf8(this.#bytes, this.#take(length), length) ?? this.#fail()
  }
}
