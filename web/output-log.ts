/**
 * What a program printed, kept small enough to look at. Two things are held: pieces of text for the screen, of which the newest
 * stay (a flood pushes the oldest out), and the bytes themselves for a download, of which the first stay.
 *
 * Invariant: shown text is at most `shownChars` long and in at most `shownPieces` pieces; ids of pieces only grow, and the last
 * piece may still grow in length. Text has no ANSI escape sequences; bytes are as they came.
 */

import { EscapeStripper } from './ansi.ts'

/** `note` is the page speaking, such as why a run ended; it is no part of a download. */
export type OutputKind = 'stdout' | 'stderr' | 'note'
export type StreamName = 'stdout' | 'stderr'

export interface Piece {
  readonly id: number
  readonly kind: OutputKind
  text: string
}

export interface OutputLimits {
  readonly shownChars: number
  readonly shownPieces: number
  readonly keptBytes: number
}

export const defaultLimits: OutputLimits = { shownChars: 1024 * 1024, shownPieces: 4000, keptBytes: 64 * 1024 * 1024 }

/** A piece ends at the first line end behind this many characters, and in any case at twice as many. */
const PIECE_CHARS = 8192

export class OutputLog {
  readonly #limits: OutputLimits
  readonly #streams = { stdout: newStream(), stderr: newStream() }
  readonly #kept: KeptBytes
  #pieces: Piece[] = []
  #nextId = 0
  #chars = 0
  #hidden = 0

  constructor(limits: OutputLimits = defaultLimits) {
    this.#limits = limits
    this.#kept = new KeptBytes(limits.keptBytes)
  }

  /** What is to be shown, oldest first. */
  get pieces(): readonly Piece[] {
    return this.#pieces
  }

  /** Characters that were pushed out of the shown text. */
  get hiddenChars(): number {
    return this.#hidden
  }

  /** Bytes that came, on one stream or on both. */
  received(stream?: StreamName): number {
    const { stdout, stderr } = this.#streams
    return stream ? this.#streams[stream].received : stdout.received + stderr.received
  }

  /** Bytes that a download would lack. */
  get lostBytes(): number {
    return this.received() - this.#kept.length
  }

  push(stream: StreamName, bytes: Uint8Array): void {
    const state = this.#streams[stream]
    state.received += bytes.length
    this.#kept.push(stream, bytes)
    this.#show(stream, state.escapes.strip(state.decoder.decode(bytes, { stream: true })))
  }

  /** The streams have ended: what was held back of an unfinished character is shown. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#show(stream, this.#streams[stream].decoder.decode())
  }

  /** A line from the page itself. */
  note(text: string): void {
    this.#show('note', `${text}\n`)
  }

  /** The bytes of one stream or of both in the order in which they came, up to the limit. */
  download(stream?: StreamName): Uint8Array[] {
    return this.#kept.parts(stream)
  }

  #show(kind: OutputKind, text: string): void {
    // Of a chunk larger than all that is shown, only the end is worth cutting up.
    let excess = Math.max(0, text.length - this.#limits.shownChars)
    if (/[\uDC00-\uDFFF]/.test(text[excess] ?? '')) excess++
    let rest = text.slice(excess)
    this.#hidden += excess
    while (rest !== '') {
      const last = this.#pieces.at(-1)
      const open = last?.kind === kind && !isFull(last.text) ? last : undefined
      const length = pieceLength(open?.text.length ?? 0, rest)
      if (open) open.text += rest.slice(0, length)
      else this.#pieces.push({ id: this.#nextId++, kind, text: rest.slice(0, length) })
      this.#chars += length
      rest = rest.slice(length)
    }
    this.#trim()
  }

  #trim(): void {
    let drop = 0
    while (this.#chars > this.#limits.shownChars || this.#pieces.length - drop > this.#limits.shownPieces) {
      const { text } = this.#pieces[drop++] as Piece
      this.#chars -= text.length
      this.#hidden += text.length
    }
    if (drop > 0) this.#pieces = this.#pieces.slice(drop)
  }
}

function newStream() {
  return { received: 0, decoder: new TextDecoder(), escapes: new EscapeStripper() }
}

function isFull(text: string): boolean {
  // One short of twice: a pair of surrogates may not have fitted any more.
  return text.length >= 2 * PIECE_CHARS - 1 || (text.length >= PIECE_CHARS && text.endsWith('\n'))
}

/** How many characters of `text` go into a piece that already has `before`. */
function pieceLength(before: number, text: string): number {
  const room = 2 * PIECE_CHARS - before
  const lineEnd = text.indexOf('\n', Math.max(0, PIECE_CHARS - before - 1))
  const length = lineEnd >= 0 && lineEnd < room ? lineEnd + 1 : Math.min(room, text.length)
  // A pair of surrogates stays together.
  return length > 1 && length < text.length && /[\uD800-\uDBFF]/.test(text[length - 1] as string) ? length - 1 : length
}

/** Bytes of two interleaved streams in pages, so that a million writes of one byte cost little more than their bytes. */
class KeptBytes {
  readonly #limit: number
  readonly #pages: Uint8Array[] = []
  readonly #runs: { stream: StreamName; length: number }[] = []
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get length(): number {
    return this.#length
  }

  push(stream: StreamName, bytes: Uint8Array): void {
    const fitting = bytes.subarray(0, this.#limit - this.#length)
    if (fitting.length === 0) return
    const run = this.#runs.at(-1)
    if (run?.stream === stream) run.length += fitting.length
    else this.#runs.push({ stream, length: fitting.length })
    for (let done = 0; done < fitting.length; ) {
      const at = this.#length % PAGE
      if (at === 0) this.#pages.push(new Uint8Array(PAGE))
      const part = fitting.subarray(done, done + PAGE - at)
      this.#pages.at(-1)?.set(part, at)
      done += part.length
      this.#length += part.length
    }
  }

  parts(stream: StreamName | undefined): Uint8Array[] {
    const parts: Uint8Array[] = []
    let at = 0
    for (const run of this.#runs) {
      const end = at + run.length
      while (at < end) {
        const start = at % PAGE
        const part = (this.#pages[Math.floor(at / PAGE)] as Uint8Array).subarray(
          start,
          Math.min(PAGE, start + end - at),
        )
        if (stream === undefined || stream === run.stream) parts.push(part)
        at += part.length
      }
    }
    return parts
  }
}

const PAGE = 64 * 1024
