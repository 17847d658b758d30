/**
 * What is typed at a terminal on its way to who reads it: lines that can be edited, characters that mean something, echo
 * (Linux: n_tty.c; termios(3)).
 *
 * Invariants: input lies between `tail` (the next byte to be read), `ended` (the end of the last complete line) and `head`
 * (the end of all), which only grow, in a ring of SIZE bytes. `ends` holds where lines end. A line that was ended by the
 * `eof` character has that as a byte of 0 in the ring, which is not read.
 */

import { SANE, type TerminalAttributes } from '../abi/terminal.ts'
import { continues, isControl, TerminalOutput } from './terminal-output.ts'

/** Linux's N_TTY_BUF_SIZE: a line has at most one byte less, and its end. */
const SIZE = 4096
const BACKSPACE = 8
const TAB = 9
const NEWLINE = 10
const RETURN = 13
const CARET = 94

/** Signals that characters make. */
export type TerminalSignal = 'SIGINT' | 'SIGQUIT' | 'SIGTSTP'

export interface TerminalEvents {
  /** Something is for the screen: a view that is valid only during the call. */
  shown(bytes: Uint8Array): void
  /** `intr`, `quit` or `susp` was typed. */
  signal(signal: TerminalSignal): void
  /** Something can be read, there is room to type again, or output may go on. */
  changed(): void
}

export class LineDiscipline {
  readonly output: TerminalOutput
  readonly #events: TerminalEvents
  readonly #ring = new Uint8Array(SIZE)
  readonly #ends = new Set<number>()
  #attributes: TerminalAttributes = SANE
  #head = 0
  #ended = 0
  #tail = 0
  /** The next byte is to be taken as it is. */
  #literal = false

  constructor(events: TerminalEvents) {
    this.#events = events
    this.output = new TerminalOutput(
      () => this.#attributes,
      (bytes) => events.shown(bytes),
    )
  }

  /** `stop` was typed: nothing is shown, and programs that write wait. */
  get stopped(): boolean {
    return this.output.held
  }

  get attributes(): TerminalAttributes {
    return this.#attributes
  }

  /** What was typed before stays to be read, as lines or without them (n_tty_set_termios). */
  set attributes(attributes: TerminalAttributes) {
    const { icanon } = this.#attributes
    this.#attributes = attributes
    if (icanon !== attributes.icanon) {
      this.#ends.clear()
      if (attributes.icanon && this.#head > this.#tail) this.#ends.add(this.#head - 1)
      this.#ended = this.#head
      this.#literal = false
    }
    if (!attributes.ixon) this.output.held = false
    this.#events.changed()
  }

  /** How many bytes are there for a read, ends that `eof` made among them. */
  get available(): number {
    return (this.#attributes.icanon ? this.#ended : this.#head) - this.#tail
  }

  /** How many of them it gets (FIONREAD). */
  get readable(): number {
    return [...this.#ends].reduce((count, end) => count - Number(this.#at(end) === 0), this.available)
  }

  /** Whether a byte that is typed has a place. A line that nobody ended has always: its last byte gives way. */
  get hasRoom(): boolean {
    if (this.#head - this.#tail < SIZE - 1) return true
    return this.#attributes.icanon && this.#ended === this.#tail
  }

  /** Takes a byte that was typed, perhaps one that was foreseen. Preconditions: `hasRoom`. */
  type(byte: number, foreseen = false): void {
    const { isig, ixon, ixany, igncr, icrnl, inlcr } = this.#attributes
    this.#makeRoom()
    // A 0 is what a character is where there is none.
    if (this.#literal || byte === 0) {
      this.#literal = false
      this.#plain(byte)
      return
    }
    if (ixon && this.#flow(byte, foreseen)) return
    if (isig) {
      const signal = this.#signalOf(byte)
      if (signal !== undefined) {
        this.#signal(signal, byte)
        return
      }
    }
    if (ixon && ixany && this.stopped) this.output.held = false
    if (byte === RETURN && igncr) return
    if (byte === RETURN && icrnl) this.#newline()
    else if (byte === NEWLINE && inlcr) this.#meaningful(RETURN)
    else this.#meaningful(byte)
  }

  /** A carriage return that is one: shown as a newline, which is shown as ^J where it was typed and lines mean nothing. */
  #newline(): void {
    const { icanon, echo } = this.#attributes
    if (icanon) this.#edit(NEWLINE)
    else {
      if (echo) this.output.put(NEWLINE)
      this.#put(NEWLINE)
    }
  }

  #meaningful(byte: number): void {
    if (!(this.#attributes.icanon && this.#edit(byte))) this.#plain(byte)
  }

  /** What was typed is on the screen and to be read: after the last `type` of a turn. */
  settle(): void {
    this.output.flush()
    this.#events.changed()
  }

  /** Does what bytes that have no room yet say of output: it may be why nobody reads (n_tty_lookahead_flow_ctrl). */
  foresee(bytes: Uint8Array): void {
    if (!this.#attributes.ixon) return
    for (const byte of bytes) if (byte !== 0) this.#flow(byte)
    this.#events.changed()
  }

  #flow(byte: number, done = false): boolean {
    const { start, stop } = this.#attributes
    if (byte !== start && byte !== stop) return false
    if (!done) this.output.held = byte !== start
    return true
  }

  #signalOf(byte: number): TerminalSignal | undefined {
    const { intr, quit, susp } = this.#attributes
    if (byte === intr) return 'SIGINT'
    if (byte === quit) return 'SIGQUIT'
    return byte === susp ? 'SIGTSTP' : undefined
  }

  /** What was typed before it is forgotten, unless `noflsh`. */
  #signal(signal: TerminalSignal, byte: number): void {
    const { noflsh, ixon, echo } = this.#attributes
    if (!noflsh) {
      this.flush()
      this.output.drop()
    }
    if (ixon) this.output.held = false
    if (echo) this.output.echo(byte)
    this.output.flush()
    this.#events.signal(signal)
  }

  /** Forgets what was typed and not read. */
  flush(): void {
    this.#tail = this.#head
    this.#ended = this.#head
    this.#ends.clear()
    this.#literal = false
  }

  /** Whether the byte meant something for the line, or ended it. */
  #edit(byte: number): boolean {
    const { erase, kill, werase, lnext, rprnt, eof, eol, eol2, iexten, echo, echonl, echoctl } = this.#attributes
    const { output } = this
    if (byte === erase || byte === kill || (byte === werase && iexten)) {
      this.#erase(byte)
      return true
    }
    if (byte === lnext && iexten) {
      this.#literal = true
      if (echo && echoctl) {
        output.put(CARET)
        output.put(BACKSPACE)
      }
      return true
    }
    if (byte === rprnt && echo && iexten) {
      output.echo(byte)
      output.put(NEWLINE)
      for (let at = this.#ended; at < this.#head; at++) output.echo(this.#at(at))
      return true
    }
    if (byte === NEWLINE) {
      if (echo || echonl) output.put(NEWLINE)
      this.#endLine(byte)
      return true
    }
    if (byte === eof) {
      this.#endLine(0)
      return true
    }
    if (byte === eol || (byte === eol2 && iexten)) {
      if (echo) this.#echo(byte)
      this.#endLine(byte)
      return true
    }
    return false
  }

  #plain(byte: number): void {
    if (this.#attributes.echo) this.#echo(byte)
    this.#put(byte)
  }

  #echo(byte: number): void {
    if (this.#head === this.#ended) this.output.beginLine()
    this.output.echo(byte)
  }

  #at(position: number): number {
    return this.#ring[position % SIZE]!
  }

  #put(byte: number): void {
    this.#ring[this.#head++ % SIZE] = byte
  }

  /** The line that nobody ended can be read as it is. */
  endLine(): void {
    if (!this.#attributes.icanon || this.#head === this.#ended) return
    this.#makeRoom()
    this.#endLine(0)
  }

  /** In a line that fills the ring what comes takes the place of the last byte, whatever it means. */
  #makeRoom(): void {
    if (this.#head - this.#tail === SIZE) this.#head--
  }

  #endLine(byte: number): void {
    this.#ring[this.#head % SIZE] = byte
    this.#ends.add(this.#head++)
    this.#ended = this.#head
  }

  /** `erase` takes a character, `werase` a word, `kill` the line. */
  #erase(by: number): void {
    const { erase, kill, echo, echok, echoke, echoe, iutf8 } = this.#attributes
    if (this.#head === this.#ended) return
    if (by === kill && !(echo && echok && echoke && echoe)) {
      this.#head = this.#ended
      if (!echo) return
      this.output.echo(kill)
      if (echok) this.output.put(NEWLINE)
      return
    }
    let inWord = false
    while (this.#head > this.#ended) {
      let start = this.#head - 1
      while (iutf8 && continues(this.#at(start)) && start > this.#ended) start--
      const byte = this.#at(start)
      // Not the rest of a character whose first byte is not there.
      if (iutf8 && continues(byte)) break
      if (by !== erase && by !== kill) {
        if (isWordByte(byte)) inWord = true
        else if (inWord) break
      }
      this.#head = start
      if (echo) this.#wipe(byte, by)
      if (by === erase) break
    }
  }

  /** Takes away from the screen what was the last character of the line. */
  #wipe(byte: number, by: number): void {
    const { erase, echoe, echoctl } = this.#attributes
    const { output } = this
    if (by === erase && !echoe) output.echo(erase)
    else if (byte === TAB) this.#wipeTab()
    else if (!isControl(byte)) output.wipe()
    else if (echoctl) {
      output.wipe()
      output.wipe()
    }
  }

  #wipeTab(): void {
    const { echoctl, iutf8 } = this.#attributes
    let columns = 0
    for (let at = this.#head - 1; at >= this.#ended; at--) {
      const byte = this.#at(at)
      if (byte === TAB) {
        this.output.wipeTab(columns, true)
        return
      }
      if (isControl(byte)) columns += echoctl ? 2 : 0
      else if (!(iutf8 && continues(byte))) columns++
    }
    this.output.wipeTab(columns, false)
  }

  /**
   * Reads up to `length` bytes: of one line where input is by lines, and 0 for one that `eof` ended at its start.
   * Preconditions: `available` is not 0.
   */
  read(memory: Uint8Array, at: number, length: number): number {
    if (!this.#attributes.icanon) return this.#take(memory, at, Math.min(length, this.#head - this.#tail))
    const limit = Math.min(this.#ended, this.#tail + length)
    let end = this.#tail
    while (end < limit && !this.#ends.has(end)) end++
    const found = end < limit
    if (found && this.#at(end) === 0 && this.#endedByEof(end)) {
      const count = this.#take(memory, at, end - this.#tail)
      this.#skipEnd()
      return count
    }
    const count = this.#take(memory, at, (found ? end + 1 : end) - this.#tail)
    if (found) this.#ends.delete(end)
    // A buffer that the line just fills takes its end-of-file with it.
    else if (this.#tail < this.#ended && this.#endedByEof(this.#tail)) this.#skipEnd()
    return count
  }

  #endedByEof(position: number): boolean {
    return this.#ends.has(position) && this.#at(position) === 0
  }

  #skipEnd(): void {
    this.#ends.delete(this.#tail++)
  }

  #take(memory: Uint8Array, at: number, count: number): number {
    for (let i = 0; i < count; i++) memory[at + i] = this.#at(this.#tail + i)
    this.#tail += count
    return count
  }
}

const isWordByte = (byte: number) =>
  byte === 95 ||
  (byte >= 48 && byte <= 57) ||
  ((byte | 32) >= 97 && (byte | 32) <= 122) ||
  (byte >= 0xc0 && byte !== 0xd7 && byte !== 0xf7)
