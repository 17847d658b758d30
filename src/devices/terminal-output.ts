/**
 * The half of a line discipline that prints: what a program writes, and the echo of what is typed, on the way to the screen
 * (Linux: n_tty.c, do_output_char and __process_echoes).
 *
 * Always true: `column` is where the cursor stands, as far as can be told from what went through here.
 */

import type { TerminalAttributes } from '../abi/terminal.ts'

const BACKSPACE = 8
const TAB = 9
const NEWLINE = 10
const RETURN = 13
const CARET = 94

export const isControl = (byte: number): boolean => byte < 32 || byte === 127
/** A byte of a UTF-8 character that is not its first. */
export const continues = (byte: number): boolean => (byte & 0xc0) === 0x80

export class TerminalOutput {
  readonly #attributes: () => TerminalAttributes
  readonly #sink: (bytes: Uint8Array) => void
  #column = 0
  /** Where the line that is being typed began. */
  #lineColumn = 0
  /** Both as they were when the last byte went to the screen. */
  #shown = { column: 0, lineColumn: 0 }
  #buffer = new Uint8Array(256)
  #filled = 0
  /** Nothing goes to the screen: what is echoed meanwhile is kept. */
  #held = false

  /** `sink` gets views that are valid only during the call. */
  constructor(attributes: () => TerminalAttributes, sink: (bytes: Uint8Array) => void) {
    this.#attributes = attributes
    this.#sink = sink
  }

  /** What a program writes. Preconditions: not `held`. */
  write(bytes: Uint8Array): void {
    if (!this.#attributes().opost) {
      this.flush()
      this.#sink(bytes)
      return
    }
    for (const byte of bytes) this.#process(byte)
    this.flush()
  }

  /** Shows a byte that was typed: control characters as ^X where that is asked for. */
  echo(byte: number): void {
    if (isControl(byte) && byte !== TAB && this.#attributes().echoctl) {
      this.#emit(CARET)
      this.#emit(byte ^ 0x40)
      this.#column += 2 // without `opost`, too
    } else this.put(byte)
  }

  /** Shows a byte as it is. */
  put(byte: number): void {
    if (this.#attributes().opost) this.#process(byte)
    else this.#emit(byte)
  }

  /** The line that is being typed begins where the cursor is. */
  beginLine(): void {
    this.#lineColumn = this.#column
  }

  /** Takes the character to the left of the cursor away. */
  wipe(): void {
    for (const byte of [BACKSPACE, 32, BACKSPACE]) this.put(byte)
  }

  /** Takes a tab away: `before` columns lie between it and the tab before it, or the start of the line. */
  wipeTab(before: number, behindTab: boolean): void {
    const from = behindTab ? before : before + this.#lineColumn
    for (let left = 8 - (from & 7); left > 0; left--) {
      this.#emit(BACKSPACE)
      if (this.#column > 0) this.#column--
    }
  }

  get held(): boolean {
    return this.#held
  }

  set held(held: boolean) {
    this.#held = held
    if (!held) this.flush()
  }

  /** What was echoed and is not on the screen never will be. */
  drop(): void {
    if (this.#filled === 0) return
    this.#filled = 0
    this.#column = this.#shown.column
    this.#lineColumn = this.#shown.lineColumn
  }

  /** What was echoed goes to the screen. */
  flush(): void {
    if (this.#filled === 0 || this.#held) return
    this.#shown = { column: this.#column, lineColumn: this.#lineColumn }
    const bytes = this.#buffer.subarray(0, this.#filled)
    this.#filled = 0
    this.#sink(bytes)
  }

  #emit(byte: number): void {
    if (this.#filled === this.#buffer.length) this.flush()
    if (this.#filled === this.#buffer.length) {
      const larger = new Uint8Array(this.#filled * 2)
      larger.set(this.#buffer)
      this.#buffer = larger
    }
    this.#buffer[this.#filled++] = byte
  }

  #process(byte: number): void {
    const { onlcr, ocrnl, iutf8 } = this.#attributes()
    switch (byte) {
      case NEWLINE:
        if (onlcr) {
          this.#column = 0
          this.#emit(RETURN)
        }
        this.#lineColumn = this.#column
        this.#emit(NEWLINE)
        return
      case RETURN:
        if (ocrnl) {
          this.#emit(NEWLINE)
          return
        }
        this.#column = 0
        this.#lineColumn = 0
        break
      case TAB:
        this.#column += 8 - (this.#column & 7)
        break
      case BACKSPACE:
        if (this.#column > 0) this.#column--
        break
      default:
        if (!isControl(byte) && !(iutf8 && continues(byte))) this.#column++
    }
    this.#emit(byte)
  }
}
