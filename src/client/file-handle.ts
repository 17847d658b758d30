/** An open file, in the shape of node's FileHandle. */

import type { FileCall, FileCalls } from '../abi/wire.ts'
import { type Encoding, integerOf, isText, type Mode, modeOf, type Time, timeOf, type WriteData } from './arguments.ts'
import { asyncDispose } from './async-dispose.ts'
import { bytesOf, bytesOrText, collected, inPieces, piecesOf } from './bytes.ts'
import { outOfRange, wrongType } from './errors.ts'
import { type BigIntStats, type StatOptions, type Stats, statsOf } from './stats.ts'

/** Makes a call of the kernel's; `transfers` are moved to it. */
export type CallFile = <Call extends FileCall>(
  call: Call,
  args: Parameters<FileCalls[Call]>,
  transfers?: Transferable[],
) => Promise<ReturnType<FileCalls[Call]>>

/** Where in the buffer, and where in the file; a `position` of null is where the handle stands, which then moves on. */
export interface ReadWriteOptions {
  offset?: number | null | undefined
  length?: number | null | undefined
  position?: number | bigint | null | undefined
}

export interface ReadStreamOptions {
  /** The first byte's position. Left out: where the handle stands. */
  start?: number
  /** The last byte's position, included. */
  end?: number
  /** Bytes in a chunk, at most. */
  highWaterMark?: number
}

export interface WriteStreamOptions {
  /** Where the first byte goes. Left out: where the handle stands. */
  start?: number
}

type Bytes = Uint8Array<ArrayBuffer>

/** Bytes that a stream or a read to the end asks for at a time. */
const PIECE = 1 << 18

export class FileHandle {
  readonly #call: CallFile
  readonly #busy = new Set<Promise<unknown>>()
  #fd: number

  /** @internal */
  constructor(call: CallFile, fd: number) {
    this.#fd = fd
    // close() waits for the calls that came before it, so that none of them meets a descriptor that is used again.
    this.#call = (name, args, transfers) => {
      const done = call(name, args, transfers)
      this.#busy.add(done)
      done.catch(() => {}).then(() => this.#busy.delete(done))
      return done
    }
  }

  /** The descriptor's number in the container's file service; -1 once closed. */
  get fd(): number {
    return this.#fd
  }

  /** Reads into a buffer, by default all of it. `bytesRead` is 0 at the end of the file. */
  read<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffer: B }>
  read<B extends ArrayBufferView>(buffer: B, options?: ReadWriteOptions): Promise<{ bytesRead: number; buffer: B }>
  read<B extends ArrayBufferView = Uint8Array>(
    options?: ReadWriteOptions & { buffer?: B },
  ): Promise<{ bytesRead: number; buffer: B }>
  async read(
    first?: ArrayBufferView | (ReadWriteOptions & { buffer?: ArrayBufferView }),
    second?: number | null | ReadWriteOptions,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffer: ArrayBufferView }> {
    if (!ArrayBuffer.isView(first)) return this.read(first?.buffer ?? new Uint8Array(16384), first)
    const where = range(first, second, length, position)
    const bytes = where.length === 0 ? new Uint8Array() : await this.#read(where.length, where.position)
    new Uint8Array(first.buffer, first.byteOffset).set(bytes, where.offset)
    return { bytesRead: bytes.length, buffer: first }
  }

  /** Writes all of a buffer, or of a part of it, or a text. */
  write<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesWritten: number; buffer: B }>
  write<B extends ArrayBufferView>(buffer: B, options?: ReadWriteOptions): Promise<{ bytesWritten: number; buffer: B }>
  write(text: string, position?: number | null, encoding?: Encoding): Promise<{ bytesWritten: number; buffer: string }>
  async write(
    data: ArrayBufferView | string,
    second?: number | null | ReadWriteOptions,
    third?: number | null | Encoding,
    position?: number | bigint | null,
  ): Promise<{ bytesWritten: number; buffer: ArrayBufferView | string }> {
    if (typeof data === 'string') {
      isText(third as Encoding)
      return { bytesWritten: await this.#write(bytesOf(data, 'buffer'), positionOf(second as number)), buffer: data }
    }
    if (!ArrayBuffer.isView(data)) throw wrongType('buffer', bytesOrText, data)
    const where = range(data, second, third as number, position)
    const bytes = bytesOf(new Uint8Array(data.buffer, data.byteOffset + where.offset, where.length), 'buffer')
    return { bytesWritten: await this.#write(bytes, where.position), buffer: data }
  }

  /** Reads from where the handle stands to the end. */
  readFile(options?: { encoding?: null } | null): Promise<Bytes>
  readFile(options: Encoding | { encoding: Encoding }): Promise<string>
  async readFile(options?: Encoding | { encoding?: Encoding | null } | null): Promise<Bytes | string> {
    return textOr(await collected(this.#pieces(), ''), options)
  }

  /** Writes from where the handle stands; what is behind it stays, as in node. */
  async writeFile(data: WriteData, options?: Encoding | { encoding?: Encoding | null } | null): Promise<void> {
    isText(options)
    if (!inPieces(data)) await this.#write(bytesOf(data, 'data'), null)
    else for await (const piece of piecesOf(data, 'data')) await this.#write(piece, null)
  }

  /** The same as writeFile: where bytes land is up to the flags that the file was opened with. */
  appendFile(data: WriteData, options?: Encoding | { encoding?: Encoding | null } | null): Promise<void> {
    return this.writeFile(data, options)
  }

  stat(options: StatOptions & { bigint: true }): Promise<BigIntStats>
  stat(options?: StatOptions): Promise<Stats>
  async stat(options?: StatOptions): Promise<Stats | BigIntStats> {
    return statsOf(await this.#call('fstat', [this.#fd]), options)
  }

  /** Cuts, or fills up with zero bytes. */
  truncate(length = 0): Promise<void> {
    return this.#call('ftruncate', [this.#fd, Math.max(0, length)])
  }

  /** Returns when data and attributes are stored. */
  sync(): Promise<void> {
    return this.#call('fsync', [this.#fd])
  }

  /** Returns when data is stored, and what is needed to find it again. */
  datasync(): Promise<void> {
    return this.#call('fdatasync', [this.#fd])
  }

  /** Times in seconds since the epoch, or Dates. */
  async utimes(atime: Time, mtime: Time): Promise<void> {
    await this.#call('futimes', [this.#fd, timeOf(atime), timeOf(mtime)])
  }

  async chmod(mode: Mode): Promise<void> {
    await this.#call('fchmod', [this.#fd, modeOf(mode)])
  }

  /** The file as a web stream, from where the handle stands; the handle stays open. */
  readableWebStream(): ReadableStream<Bytes> {
    return readStream(async () => this, {}, false)
  }

  /** The file as a web stream; the handle is closed at the end of it. */
  createReadStream(options: ReadStreamOptions = {}): ReadableStream<Bytes> {
    return readStream(async () => this, options, true)
  }

  /** A web stream that writes to the file; closing or aborting it closes the handle. */
  createWriteStream(options: WriteStreamOptions = {}): WritableStream<Uint8Array | string> {
    return writeStream(async () => this, options)
  }

  /** Waits for the calls that are under way, then closes. Closing twice is no error; every other call is then EBADF. */
  async close(): Promise<void> {
    const fd = this.#fd
    if (fd < 0) return
    this.#fd = -1
    await Promise.allSettled(this.#busy)
    await this.#call('close', [fd])
  }

  [asyncDispose](): Promise<void> {
    return this.close()
  }

  #read(length: number, position: number | null): Promise<Bytes> {
    return this.#call('read', [this.#fd, length, position]) as Promise<Bytes>
  }

  #write(bytes: Bytes, position: number | null): Promise<number> {
    return this.#call('write', [this.#fd, bytes, position], [bytes.buffer])
  }

  async *#pieces(): AsyncGenerator<Bytes> {
    for (;;) {
      const bytes = await this.#read(PIECE, null)
      if (bytes.length === 0) return
      yield bytes
    }
  }
}

/** Opens at the first pull. */
export function readStream(
  open: () => Promise<FileHandle>,
  { start, end = Number.POSITIVE_INFINITY, highWaterMark = PIECE }: ReadStreamOptions,
  close: boolean,
): ReadableStream<Bytes> {
  let handle: FileHandle | undefined
  let position = start ?? null
  let left = end - (start ?? 0) + 1
  const done = async () => {
    if (close) await handle?.close()
  }
  return new ReadableStream({
    async pull(controller) {
      try {
        handle ??= await open()
        const { bytesRead, buffer } = await handle.read(new Uint8Array(Math.min(highWaterMark, Math.max(left, 0))), {
          position,
        })
        left -= bytesRead
        if (position !== null) position += bytesRead
        if (bytesRead > 0) return controller.enqueue(bytesRead < buffer.length ? buffer.slice(0, bytesRead) : buffer)
        await done()
        controller.close()
      } catch (error) {
        await done().catch(() => {})
        throw error
      }
    },
    cancel: done,
  })
}

/** Opens at once. */
export function writeStream(
  open: () => Promise<FileHandle>,
  { start }: WriteStreamOptions,
): WritableStream<Uint8Array | string> {
  let handle: FileHandle
  let position = start ?? null
  return new WritableStream({
    async start() {
      handle = await open()
    },
    async write(chunk) {
      try {
        const { bytesWritten } = await handle.write(bytesOf(chunk, 'chunk'), { position })
        if (position !== null) position += bytesWritten
      } catch (error) {
        await handle.close().catch(() => {})
        throw error
      }
    },
    close: () => handle.close(),
    abort: () => handle.close(),
  })
}

export const textOr = <B>(bytes: B, options: Parameters<typeof isText>[0]): B | string =>
  isText(options) ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes as Bytes) : bytes

/** The part of a buffer, in bytes, and the place in the file that arguments mean. */
function range(
  buffer: ArrayBufferView,
  second: number | null | undefined | ReadWriteOptions,
  length?: number | null,
  position?: number | bigint | null,
) {
  if (typeof second === 'object' && second !== null) return range(buffer, second.offset, second.length, second.position)
  const offset = within('offset', second ?? 0, buffer.byteLength)
  const rest = buffer.byteLength - offset
  return { offset, length: within('length', length ?? rest, rest), position: positionOf(position) }
}

function within(name: string, value: number, max: number): number {
  integerOf(value, name)
  if (value < 0) throw outOfRange(name, '>= 0', value)
  if (value > max) throw outOfRange(name, `<= ${max}`, value)
  return value
}

/** A negative position means, as in node, where the handle stands. */
function positionOf(position: number | bigint | null | undefined): number | null {
  if (position === null || position === undefined || position < 0) return null
  return within('position', Number(position), Number.MAX_SAFE_INTEGER)
}
