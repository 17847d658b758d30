/**
 * What a system call looks like in a channel's shared memory.
 *
 * A call is a number and its arguments; each argument has a kind, and the two tables below say which call takes which.
 * Numbers travel as f64 in slots, times as a tag and an i64 in two slots (UTIME_NOW, UTIME_OMIT and "no deadline" lie
 * outside an i64), texts and bytes in the data area, behind one another in the order of the arguments.
 *
 * Invariant: only the side whose turn it is touches the memory; the channel's state word says whose it is.
 */
import { copyBytes } from './copy-bytes.ts'
import { ErrnoError } from './errno.ts'
import { UTIME_NOW, UTIME_OMIT } from './linux.ts'
import type { DirectoryEntry, FileKind, PollRequest, Stat, Syscalls } from './syscalls.ts'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

/** Bytes that one call moves at most; a longer read or write is several calls. */
export const DATA_SIZE = 1 << 20

/** A listing is asked for in chunks of this, so that its last entry, which may reach over it, always has room. */
export const LISTING = DATA_SIZE - 8192

const SLOTS = 24
const HEADER_SIZE = 64
const SLOTS_AT = HEADER_SIZE
const DATA_AT = SLOTS_AT + SLOTS * 8

export const CHANNEL_SIZE = DATA_AT + DATA_SIZE

/**
 * Kinds of arguments. `in` and `out` stand for the pair (memory, ranges): bytes that the kernel takes, or gives.
 */
export type ArgumentKind = 'number' | 'time' | 'text' | 'in' | 'out' | 'requests'
export type ResultKind = 'number' | 'nothing' | 'text' | 'stat' | 'entries' | 'numbers'

export interface Signature {
  readonly args: readonly ArgumentKind[]
  readonly result: ResultKind
}

const at = (...args: ArgumentKind[]): readonly ArgumentKind[] => args

/** Every system call, in the order of their numbers. */
export const signatures = {
  openat: { args: at('number', 'text', 'number', 'number'), result: 'number' },
  close: { args: at('number'), result: 'nothing' },
  readv: { args: at('number', 'out'), result: 'number' },
  preadv: { args: at('number', 'out', 'number'), result: 'number' },
  writev: { args: at('number', 'in'), result: 'number' },
  pwritev: { args: at('number', 'in', 'number'), result: 'number' },
  lseek: { args: at('number', 'number', 'number'), result: 'number' },
  fstat: { args: at('number'), result: 'stat' },
  fstatat: { args: at('number', 'text', 'number'), result: 'stat' },
  getdents: { args: at('number', 'number', 'number'), result: 'entries' },
  mkdirat: { args: at('number', 'text', 'number'), result: 'nothing' },
  unlinkat: { args: at('number', 'text', 'number'), result: 'nothing' },
  renameat2: { args: at('number', 'text', 'number', 'text', 'number'), result: 'nothing' },
  linkat: { args: at('number', 'text', 'number', 'text', 'number'), result: 'nothing' },
  symlinkat: { args: at('text', 'number', 'text'), result: 'nothing' },
  readlinkat: { args: at('number', 'text'), result: 'text' },
  ftruncate: { args: at('number', 'number'), result: 'nothing' },
  fallocate: { args: at('number', 'number', 'number', 'number'), result: 'nothing' },
  fsync: { args: at('number'), result: 'nothing' },
  fdatasync: { args: at('number'), result: 'nothing' },
  utimensat: { args: at('number', 'text', 'time', 'time', 'number'), result: 'nothing' },
  fchmodat: { args: at('number', 'text', 'number', 'number'), result: 'nothing' },
  fchownat: { args: at('number', 'text', 'number', 'number', 'number'), result: 'nothing' },
  faccessat: { args: at('number', 'text', 'number', 'number'), result: 'nothing' },
  getfl: { args: at('number'), result: 'number' },
  setfl: { args: at('number', 'number'), result: 'nothing' },
  renumber: { args: at('number', 'number'), result: 'nothing' },
  poll: { args: at('requests', 'time'), result: 'numbers' },
} as const satisfies Record<Exclude<keyof Syscalls, 'settle' | 'statIfThere'>, Signature>

export type CallName = keyof typeof signatures

export const callNames = Object.keys(signatures) as readonly CallName[]
export const callNumbers = Object.fromEntries(callNames.map((name, i) => [name, i])) as Readonly<
  Record<CallName, number>
>

const kinds: readonly FileKind[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'char', 'block']

/** Tags of a time. */
const TIME = 0
const NOW = 1
const OMIT = 2
const NONE = 3

/** Bytes of an entry's record besides its name: cookie, ino, kind, length of the name. As getdents counts them. */
const ENTRY_HEAD = 24

/**
 * A cursor over a channel's slots and data area. Writing and reading go through them in the same order, so a message
 * needs no description besides the call's signature.
 */
export class Message {
  readonly data: Uint8Array
  readonly #numbers: Float64Array
  readonly #times: BigInt64Array
  readonly #view: DataView
  #slot = 0
  #at = 0

  constructor(buffer: ArrayBufferLike) {
    this.#numbers = new Float64Array(buffer, SLOTS_AT, SLOTS)
    this.#times = new BigInt64Array(buffer, SLOTS_AT, SLOTS)
    this.data = new Uint8Array(buffer, DATA_AT, DATA_SIZE)
    this.#view = new DataView(buffer, DATA_AT, DATA_SIZE)
  }

  /** Back to the first slot and byte. */
  rewind(): void {
    this.#slot = 0
    this.#at = 0
  }

  putNumber(value: number): void {
    this.#numbers[this.#slot++] = value
  }

  number(): number {
    return this.#numbers[this.#slot++]!
  }

  putTime(time: bigint | undefined): void {
    const tag = time === undefined ? NONE : time === UTIME_NOW ? NOW : time === UTIME_OMIT ? OMIT : TIME
    this.#numbers[this.#slot++] = tag
    this.#times[this.#slot++] = tag === TIME ? time! : 0n
  }

  time(): bigint | undefined {
    const tag = this.#numbers[this.#slot++]
    const time = this.#times[this.#slot++]!
    if (tag === TIME) return time
    return tag === NOW ? UTIME_NOW : tag === OMIT ? UTIME_OMIT : undefined
  }

  /** Errors: ENAMETOOLONG for a text that the data area has no room for. */
  putText(text: string): void {
    const { data } = this
    const start = this.#at
    if (text.length > data.length - start) throw new ErrnoError('ENAMETOOLONG')
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit >= 0x80) {
        this.#putUnicode(text)
        return
      }
      data[start + i] = unit
    }
    this.#at += text.length
    this.putNumber(text.length)
  }

  #putUnicode(text: string): void {
    const bytes = encodeUtf8(text)
    if (bytes.length > this.data.length - this.#at) throw new ErrnoError('ENAMETOOLONG')
    this.data.set(bytes, this.#at)
    this.#at += bytes.length
    this.putNumber(bytes.length)
  }

  text(): string {
    const length = this.number()
    const text = decodeUtf8(this.data, this.#at, length)
    this.#at += length
    return text ?? ''
  }

  /** Gathers ranges of a memory, cut to the room there is. */
  putBytes(memory: Uint8Array, ranges: readonly number[]): void {
    const start = this.#at
    for (let i = 0; i < ranges.length; i += 2) {
      const room = this.data.length - this.#at
      const length = Math.min(ranges[i + 1]!, room)
      copyBytes(memory, ranges[i]!, this.data, this.#at, length)
      this.#at += length
    }
    this.putNumber(this.#at - start)
  }

  /** Where the bytes of an `in` or `out` argument lie in `data`, as ranges for the kernel. */
  ranges(): readonly number[] {
    const range = [this.#at, this.number()]
    this.#at += range[1]!
    return range
  }

  /** Says how many bytes ranges have room for, cut to the data area. */
  putRoom(ranges: readonly number[]): void {
    let room = 0
    for (let i = 1; i < ranges.length; i += 2) room += ranges[i]!
    this.putNumber(Math.min(room, this.data.length - this.#at))
  }

  /** Spreads `length` bytes from the start of the data area over ranges of a memory. */
  scatter(length: number, memory: Uint8Array, ranges: readonly number[]): void {
    let from = 0
    for (let i = 0; i < ranges.length && from < length; i += 2) {
      const part = Math.min(ranges[i + 1]!, length - from)
      copyBytes(this.data, from, memory, ranges[i]!, part)
      from += part
    }
  }

  putRequests(requests: readonly PollRequest[]): void {
    if (requests.length * 8 > this.data.length) throw new ErrnoError('EINVAL')
    this.putNumber(requests.length)
    for (const { fd, events } of requests) {
      this.#view.setInt32(this.#at, fd, true)
      this.#view.setInt32(this.#at + 4, events, true)
      this.#at += 8
    }
  }

  requests(): readonly PollRequest[] {
    const requests: PollRequest[] = []
    for (let left = this.number(); left > 0; left--) {
      requests.push({ fd: this.#view.getInt32(this.#at, true), events: this.#view.getInt32(this.#at + 4, true) })
      this.#at += 8
    }
    return requests
  }

  putNumbers(values: readonly number[]): void {
    this.putNumber(values.length)
    for (const value of values) {
      this.#view.setInt32(this.#at, value, true)
      this.#at += 4
    }
  }

  numbers(): readonly number[] {
    const values: number[] = []
    for (let left = this.number(); left > 0; left--) {
      values.push(this.#view.getInt32(this.#at, true))
      this.#at += 4
    }
    return values
  }

  putStat(stat: Stat): void {
    this.putNumber(stat.dev)
    this.putNumber(stat.ino)
    this.putNumber(stat.mode)
    this.putNumber(stat.nlink)
    this.putNumber(stat.uid)
    this.putNumber(stat.gid)
    this.putNumber(stat.rdev)
    this.putNumber(stat.size)
    this.putNumber(stat.blksize)
    this.putNumber(stat.blocks)
    this.#times[this.#slot++] = stat.atime
    this.#times[this.#slot++] = stat.mtime
    this.#times[this.#slot++] = stat.ctime
    this.#times[this.#slot++] = stat.btime
  }

  stat(): Stat {
    return {
      dev: this.number(),
      ino: this.number(),
      mode: this.number(),
      nlink: this.number(),
      uid: this.number(),
      gid: this.number(),
      rdev: this.number(),
      size: this.number(),
      blksize: this.number(),
      blocks: this.number(),
      atime: this.#times[this.#slot++]!,
      mtime: this.#times[this.#slot++]!,
      ctime: this.#times[this.#slot++]!,
      btime: this.#times[this.#slot++]!,
    }
  }

  /** As many as there is room for, which is all where the listing was asked for with `LISTING` at most. */
  putEntries(entries: readonly DirectoryEntry[]): void {
    const count = this.#slot++
    let put = 0
    for (const { name, ino, kind, cookie } of entries) {
      const bytes = encodeUtf8(name)
      if (ENTRY_HEAD + bytes.length > this.data.length - this.#at) break
      const start = this.#at
      this.#view.setFloat64(start, cookie, true)
      this.#view.setFloat64(start + 8, ino, true)
      this.#view.setUint32(start + 16, kinds.indexOf(kind), true)
      this.#view.setUint32(start + 20, bytes.length, true)
      this.data.set(bytes, start + ENTRY_HEAD)
      this.#at += ENTRY_HEAD + bytes.length
      put++
    }
    this.#numbers[count] = put
  }

  /** Entries, and what they count for in the `bytes` of getdents. */
  entries(): { entries: readonly DirectoryEntry[]; size: number } {
    const entries: DirectoryEntry[] = []
    let size = 0
    for (let left = this.number(); left > 0; left--) {
      const start = this.#at
      const length = this.#view.getUint32(start + 20, true)
      entries.push({
        cookie: this.#view.getFloat64(start, true),
        ino: this.#view.getFloat64(start + 8, true),
        kind: kinds[this.#view.getUint32(start + 16, true)]!,
        name: decodeUtf8(this.data, start + ENTRY_HEAD, length) ?? '',
      })
      this.#at += ENTRY_HEAD + length
      size += ENTRY_HEAD + length
    }
    return { entries, size }
  }
}
