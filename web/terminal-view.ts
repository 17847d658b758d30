/**
 * The terminal of the playground, over the output pane: xterm.js, fetched when a terminal is first wanted.
 *
 * Always true: it has the size of the pane. What it shows goes to the log as well, so that Download has it; keys that a page
 * needs (leaving by Tab, copy, paste) stay the page's where they can.
 */
import type { FitAddon } from '@xterm/addon-fit'
import type { ITheme, Terminal as Xterm } from '@xterm/xterm'
import type { Terminal } from '../src/client/index.ts'
import { byId } from './dom.ts'
import type { Screen } from './session.ts'

const load = () => import('./xterm.ts')

export class TerminalView {
  readonly #pane = byId('terminal', HTMLElement)
  readonly #log: (bytes: Uint8Array) => void
  #made: Promise<{ xterm: Xterm; fit: FitAddon }> | undefined
  #shown: Xterm | undefined
  /** A program hears what is typed. */
  #heard = false

  /** `log` hears everything that is shown. */
  constructor(log: (bytes: Uint8Array) => void) {
    this.#log = log
  }

  /** Fetches what it takes, for soon. */
  prepare(): void {
    load().catch(() => {})
  }

  /** An empty screen in place of the log, and the keyboard in it. Rejects where its code cannot be fetched. */
  async open(): Promise<Screen> {
    this.#made ??= this.#make()
    this.#made.catch(() => {
      this.#made = undefined
    })
    const { xterm, fit } = await this.#made
    this.#pane.hidden = false
    if (!xterm.element) xterm.open(this.#pane)
    xterm.reset()
    xterm.options.theme = theme()
    fit.fit()
    xterm.focus()
    this.#shown = xterm
    return {
      size: { columns: xterm.cols, rows: xterm.rows },
      attach: (terminal) => this.#attach(xterm, terminal),
    }
  }

  /** The log is to be seen again. */
  close(): void {
    this.#pane.hidden = true
    this.#shown = undefined
  }

  /** The program has ended; the screen stays. `text` is the page's last word. */
  end(text: string): void {
    this.#shown?.write(`\r\n\x1b[1m▸ ${text}\x1b[22m\r\n`)
  }

  /** Resolves when all that the program printed is on the screen. Not by `terminal.attach`, which does not tell that. */
  async #attach(xterm: Xterm, terminal: Terminal): Promise<void> {
    const keys = terminal.writable.getWriter()
    // A program that has ended hears nothing.
    const type = (typed: string | Uint8Array) => void keys.write(typed).catch(() => {})
    const listeners = [
      xterm.onData(type),
      xterm.onBinary((bytes) => type(Uint8Array.from(bytes, (character) => character.charCodeAt(0)))),
      xterm.onResize(({ cols, rows }) => terminal.resize({ columns: cols, rows })),
    ]
    this.#heard = true
    try {
      const reader = terminal.readable.getReader()
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        const { value } = next
        this.#log(value)
        await new Promise<void>((taken) => xterm.write(value, taken))
      }
    } finally {
      this.#heard = false
      for (const listener of listeners) listener.dispose()
    }
  }

  async #make() {
    const { Terminal, FitAddon } = await load()
    const { fontFamily } = getComputedStyle(byId('output', HTMLElement))
    const xterm = new Terminal({
      fontFamily,
      fontSize: 13,
      scrollback: 10_000,
      // Whatever colours a program chooses can be read on ours.
      minimumContrastRatio: 4.5,
      screenReaderMode: true,
    })
    const fit = new FitAddon()
    xterm.loadAddon(fit)
    xterm.attachCustomKeyEventHandler((event) => this.#isForProgram(xterm, event))
    new ResizeObserver(() => {
      if (this.#pane.clientWidth > 0 && xterm.element) fit.fit()
    }).observe(this.#pane)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      xterm.options.theme = theme()
    })
    return { xterm, fit }
  }

  #isForProgram(xterm: Xterm, event: KeyboardEvent): boolean {
    const { key, ctrlKey, metaKey, altKey, shiftKey } = event
    if (key === 'Tab') {
      // Nobody is caught in it: Shift Tab always leaves, Tab once no program would hear it.
      if (shiftKey || !this.#heard) return false
      event.preventDefault()
      return true
    }
    if (!ctrlKey || metaKey || altKey) return true
    if (key === 'Enter') return false
    if (key === 'v' || key === 'V') return false
    return !((key === 'c' || key === 'C') && (shiftKey || xterm.hasSelection()))
  }
}

/** The page's own colours; the sixteen of the terminal are xterm's, made readable by it. */
function theme(): ITheme {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
  return {
    background: colour('sunk'),
    foreground: colour('text'),
    cursor: colour('accent'),
    cursorAccent: colour('accent-text'),
    selectionBackground: colour('accent'),
    selectionForeground: colour('accent-text'),
  }
}
