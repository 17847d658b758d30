/**
 * The memory of a guest, as its system calls see it: checked reads and writes, iovecs, paths.
 *
 * Invariant: `bytes` and `view` cover the whole memory as it is now, once `refresh` was called in this import. Every
 * address goes through `fits` before it is used; addresses are unsigned (`>>> 0`) by then.
 */
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { E } from './errno.ts'
import type { WasmMemory } from './webassembly.ts'

/** IOV_MAX of Linux (limits.h). */
const IOV_MAX = 1024
/** What one readv or writev moves at most (MAX_RW_COUNT of Linux). */
const MAX_TRANSFER = 0x7fff_f000
const PATH_MAX = 4096

const NOTHING = new Uint8Array(0)
const NO_VIEW = new DataView(NOTHING.buffer)
const HIGH = 0x1_0000_0000

export class GuestMemory {
  bytes: Uint8Array = NOTHING
  view: DataView = NO_VIEW
  size = 0
  /** The ranges of the last `iovecs`: start, length, start, length, … One array serves every call. */
  readonly ranges: number[] = []
  /** A shared memory does not detach when it grows, so it is looked at on every call. */
  #shared = false
  readonly #find: () => WasmMemory | undefined

  readonly #grown: (size: number) => void

  /** `grown` hears of every new size. */
  constructor(find: () => WasmMemory | undefined, grown: (size: number) => void = () => {}) {
    this.#find = find
    this.#grown = grown
  }

  /** To be called at the start of every import: a memory that grew has a new buffer, the old one has length 0. */
  refresh(): void {
    if (this.bytes.length === 0 || this.#shared) this.#look()
  }

  #look(): void {
    const buffer = this.#find()?.buffer
    if (buffer === undefined || buffer === this.bytes.buffer) return
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.size = buffer.byteLength
    this.#shared = !(buffer instanceof ArrayBuffer)
    this.#grown(this.size)
  }

  /** Whether `length` bytes from `address` lie inside; both unsigned. */
  fits(address: number, length: number): boolean {
    return address + length <= this.size
  }

  /** Writes a non-negative integer up to 2^53-1 as u64. */
  setU64(address: number, value: number): void {
    this.view.setUint32(address, value, true)
    this.view.setUint32(address + 4, value / HIGH, true)
  }

  /** Reads `count` iovecs into `ranges`; gives 0 or the error. */
  iovecs(address: number, count: number): number {
    if (count > IOV_MAX) return E.EINVAL
    if (address + count * 8 > this.size) return E.EFAULT
    const { view, size, ranges } = this
    let left = MAX_TRANSFER
    let used = 0
    for (let i = 0; i < count; i++) {
      const start = view.getUint32(address, true)
      let length = view.getUint32(address + 4, true)
      address += 8
      if (start + length > size) return E.EFAULT
      if (length > left) length = left
      left -= length
      ranges[used++] = start
      ranges[used++] = length
    }
    if (ranges.length !== used) ranges.length = used
    return 0
  }

  /** The path at an address, or the error: EFAULT, ENAMETOOLONG, EILSEQ (not UTF-8), EINVAL (a NUL inside). */
  path(address: number, length: number): string | number {
    if (address + length > this.size) return E.EFAULT
    if (length > PATH_MAX) return E.ENAMETOOLONG
    const text = decodeUtf8(this.bytes, address, length)
    if (text === undefined) return E.EILSEQ
    return text.includes('\0') ? E.EINVAL : text
  }

  /** Writes a text as UTF-8, cut to `room` bytes; gives the bytes written. Preconditions: `room` bytes fit. */
  setText(address: number, room: number, text: string): number {
    const { bytes } = this
    const length = Math.min(text.length, room)
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit >= 0x80) return this.setBytes(address, room, encodeUtf8(text))
      bytes[address + i] = unit
    }
    return length
  }

  /** Writes bytes, cut to `room`; gives how many. Preconditions: `room` bytes fit. */
  setBytes(address: number, room: number, data: Uint8Array): number {
    const cut = data.length > room ? data.subarray(0, room) : data
    this.bytes.set(cut, address)
    return cut.length
  }
}
