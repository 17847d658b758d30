/** The page's end of a process's terminal: the screen and the keyboard. What the terminal makes of them is the kernel's. */

import { RAW, SANE, type TerminalAttributes, type WindowSize } from '../abi/terminal.ts'
import type { StdioInput } from '../abi/wire.ts'
import { outOfRange, wrongType, wrongValue } from './errors.ts'

export type { TerminalAttributes, WindowSize } from '../abi/terminal.ts'

/** What a terminal emulator on the page must be able to do: that of xterm.js, as it is. */
export interface TerminalEmulator {
  readonly cols: number
  readonly rows: number
  /** Calls back when it has taken the bytes. */
  write(bytes: Uint8Array, callback: () => void): void
  onData(listener: (text: string) => void): { dispose(): void }
  /** Bytes that are no text, one per character: mouse reports. */
  onBinary?(listener: (bytes: string) => void): { dispose(): void }
  onResize?(listener: (size: { cols: number; rows: number }) => void): { dispose(): void }
}

const LARGEST = 65_535

export class Terminal {
  /** What it shows: the program's output, and what was typed. It is the process's stdout. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>
  /** What is typed; text goes as UTF-8. It is the process's stdin. Closing it means that nothing will be typed any more. */
  readonly writable: WritableStream<Uint8Array | string>
  readonly #send: (message: StdioInput) => void

  /** @internal */
  constructor(
    readable: ReadableStream<Uint8Array<ArrayBuffer>>,
    writable: WritableStream<Uint8Array | string>,
    send: (message: StdioInput) => void,
  ) {
    this.readable = readable
    this.writable = writable
    this.#send = send
  }

  /** How many characters it shows (TIOCSWINSZ of ioctl_tty(2)). Errors: RangeError. */
  resize({ columns, rows }: WindowSize): void {
    for (const [name, count] of Object.entries({ columns, rows }))
      if (!Number.isInteger(count) || count < 1 || count > LARGEST)
        throw outOfRange(name, `an integer from 1 to ${LARGEST}`, count)
    this.#send({ window: { columns, rows } })
  }

  /**
   * Changes how it treats what is typed and printed, at once: tcsetattr(3), under the names of stty(1), such as
   * `{ echo: false }`. Errors: TypeError for a name that there is not, or a value of the wrong type.
   */
  set(attributes: Partial<TerminalAttributes>): void {
    for (const [name, value] of Object.entries(attributes)) {
      const sane: unknown = Object.hasOwn(SANE, name) ? SANE[name as keyof TerminalAttributes] : undefined
      if (sane === undefined)
        throw wrongValue('attributes', `has no "${name}"; there are ${Object.keys(SANE).join(' ')}`, name)
      if (typeof value !== typeof sane) throw wrongType(`attributes.${name}`, `of type ${typeof sane}`, value)
      if (typeof value === 'number' && !(Number.isInteger(value) && value >= 0 && value <= 255))
        throw outOfRange(`attributes.${name}`, 'an integer from 0 to 255', value)
    }
    this.#send({ attributes: { ...attributes } })
  }

  /** Every key goes to the program as it is typed, nothing is shown and nothing means a signal: cfmakeraw(3). */
  raw(): void {
    this.#send({ attributes: RAW })
  }

  /** As it was at the start: lines that can be edited, echo, signals. */
  sane(): void {
    this.#send({ attributes: SANE })
  }

  /** Screen and keyboard go: the program is ended by SIGHUP. */
  hangUp(): void {
    this.#send({ hangUp: true })
  }

  /**
   * Joins it to a terminal emulator on the page, such as a `Terminal` of xterm.js, until the function that it gives is called.
   * What the emulator has not taken yet waits here. Errors: TypeError if the streams are in use already; those of `resize`.
   */
  attach(emulator: TerminalEmulator): () => void {
    if (this.readable.locked || this.writable.locked) throw new TypeError('the terminal is in use already')
    this.resize({ columns: emulator.cols, rows: emulator.rows })
    const reader = this.readable.getReader()
    const writer = this.writable.getWriter()
    let attached = true
    const type = (typed: string | Uint8Array) => {
      // A process that has ended hears nothing.
      if (attached) writer.write(typed).catch(() => {})
    }
    const listeners = [
      emulator.onData(type),
      emulator.onBinary?.((bytes) => type(Uint8Array.from(bytes, (character) => character.charCodeAt(0)))),
      emulator.onResize?.(({ cols, rows }) => this.resize({ columns: cols, rows })),
    ]
    const detach = () => {
      if (!attached) return
      attached = false
      for (const listener of listeners) listener?.dispose()
      reader.releaseLock()
      writer.releaseLock()
    }
    const show = async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const { value } = next
        await new Promise<void>((taken) => emulator.write(value, taken))
        if (!attached) return
      }
    }
    // At its end, also where the kernel died, there is nothing more to show.
    show().catch(() => {})
    return detach
  }
}
