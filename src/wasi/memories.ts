/**
 * The memories of a module, read from its binary and limited in it: the one part of a module that the JavaScript interface
 * does not tell and that a host must know, because a memory that a module defines itself can only be bounded where it is
 * defined (https://webassembly.github.io/spec/core/binary/modules.html).
 *
 * Invariant: what is edited differs from the original in nothing but the limits of its memories. Bytes that are no module
 * have no memories and come back as they are; the engine says what is wrong with them.
 */
import { concatBytes } from '../abi/byte-parts.ts'
import { decodeUtf8 } from '../abi/utf8.ts'
import { section, u64 } from './leb128.ts'

/** A page of WebAssembly memory, in bytes. */
export const PAGE_SIZE = 65_536

export interface MemoryType {
  /** Pages from the start, and at most. */
  readonly initial: number
  readonly maximum: number | undefined
  /** For threads. */
  readonly shared: boolean
  /** With 64-bit addresses. */
  readonly wide: boolean
  /** Under which names the module asks for it; left out for its own. */
  readonly imported?: { readonly module: string; readonly name: string }
}

/** A memory and where its limits lie in the binary: `start` to `end`. */
interface Place extends MemoryType {
  readonly flags: number
  readonly start: number
  readonly end: number
}

interface Section {
  readonly id: number
  readonly start: number
  readonly content: number
  readonly end: number
}

const HAS_MAXIMUM = 1
const SHARED = 2
const WIDE = 4
const PAGE_SIZE_GIVEN = 8
const IMPORTS = 2
const MEMORIES = 5

/** Errors: RangeError where the bytes end too early, which never leaves this file. */
class Reader {
  readonly bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw new RangeError('the module ends early')
    return this.bytes[this.at++]!
  }

  /** An unsigned integer; above 2^53 it loses its low bits. */
  integer(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  name(): string {
    const length = this.integer()
    const start = this.at
    this.at += length
    if (this.at > this.bytes.length) throw new RangeError('the module ends early')
    return decodeUtf8(this.bytes, start, length) ?? ''
  }

  /** A value type; a reference to a heap type is written in two parts. */
  skipType(): void {
    const code = this.byte()
    if (code === 0x63 || code === 0x64) this.integer()
  }

  limits(): Place {
    const start = this.at
    const flags = this.byte()
    const initial = this.integer()
    const maximum = flags & HAS_MAXIMUM ? this.integer() : undefined
    if (flags & PAGE_SIZE_GIVEN) this.integer()
    return {
      ...{ flags, start, end: this.at, initial, maximum },
      ...{ shared: (flags & SHARED) !== 0, wide: (flags & WIDE) !== 0 },
    }
  }
}

function* sectionsOf(bytes: Uint8Array): Generator<Section> {
  const reader = new Reader(bytes, 8)
  while (reader.at < bytes.length) {
    const start = reader.at
    const id = reader.byte()
    const length = reader.integer()
    const content = reader.at
    reader.at += length
    if (reader.at > bytes.length) throw new RangeError('the module ends early')
    yield { id, start, content, end: reader.at }
  }
}

function* importedMemories(reader: Reader): Generator<Place> {
  for (let left = reader.integer(); left > 0; left--) {
    const imported = { module: reader.name(), name: reader.name() }
    switch (reader.byte()) {
      case 0: // a function: its type
        reader.integer()
        break
      case 1: // a table
        reader.skipType()
        reader.limits()
        break
      case 2:
        yield { ...reader.limits(), imported }
        break
      case 3: // a global
        reader.skipType()
        reader.byte()
        break
      default: // a tag
        reader.byte()
        reader.integer()
    }
  }
}

function* ownMemories(reader: Reader): Generator<Place> {
  for (let left = reader.integer(); left > 0; left--) yield reader.limits()
}

function* placesOf(bytes: Uint8Array): Generator<[Section, Place[]]> {
  try {
    for (const each of sectionsOf(bytes)) {
      const reader = new Reader(bytes, each.content)
      if (each.id === IMPORTS) yield [each, [...importedMemories(reader)]]
      if (each.id === MEMORIES) yield [each, [...ownMemories(reader)]]
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
}

/** The memories that a module asks for and defines, in the order of their numbers. */
export function memoriesOf(bytes: Uint8Array): MemoryType[] {
  return [...placesOf(bytes)].flatMap(([, places]) =>
    places.map(({ flags: _, start: _from, end: _to, ...type }) => type),
  )
}

/** Pages of memory that a module starts with. */
export const initialPages = (memories: readonly MemoryType[]): number =>
  memories.reduce((sum, { initial }) => sum + initial, 0)

/** The most pages that each memory may have so that all together have at most `pages`. */
export function shareOf(memories: readonly MemoryType[], { initial, maximum }: MemoryType, pages: number): number {
  const share = initial + Math.floor((pages - initialPages(memories)) / memories.length)
  return Math.min(maximum ?? share, share)
}

/**
 * The same module with at most `pages` pages in all its memories together: a memory.grow past it fails with -1.
 * Preconditions: it starts with no more.
 */
export function limitMemories(bytes: Uint8Array<ArrayBuffer>, pages: number): Uint8Array<ArrayBuffer> {
  const found = [...placesOf(bytes)]
  const all = found.flatMap(([, places]) => places)
  const parts: Uint8Array[] = []
  let done = 0
  for (const [{ id, start, content, end }, places] of found) {
    if (places.length === 0 || id === IMPORTS) continue
    const edited: number[] = [...bytes.subarray(content, places[0]!.start)]
    for (const place of places) {
      edited.push(place.flags | HAS_MAXIMUM, ...u64(place.initial), ...u64(shareOf(all, place, pages)))
      if (place.flags & PAGE_SIZE_GIVEN) edited.push(bytes[place.end - 1]!)
    }
    parts.push(bytes.subarray(done, start), Uint8Array.from(section(id, edited)))
    done = end
  }
  if (done === 0) return bytes
  parts.push(bytes.subarray(done))
  return concatBytes(parts)
}
