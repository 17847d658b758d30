/**
 * How a terminal treats what is typed and what is printed, under the names of stty(1) and termios(3). A preview1 program cannot
 * change it, there is no tcsetattr; the page can.
 */

/** How many characters a terminal shows. */
export interface WindowSize {
  readonly columns: number
  readonly rows: number
}

export interface TerminalAttributes {
  /** Input: ^S stops output, ^Q lets it go on. */
  readonly ixon: boolean
  /** Any character lets it go on. */
  readonly ixany: boolean
  /** A carriage return typed is read as a newline. */
  readonly icrnl: boolean
  readonly igncr: boolean
  readonly inlcr: boolean
  /** Input is UTF-8: erasing takes whole characters. */
  readonly iutf8: boolean
  /** Output is processed: what `onlcr` and `ocrnl` say counts. */
  readonly opost: boolean
  /** A newline printed goes to the start of the next line. */
  readonly onlcr: boolean
  readonly ocrnl: boolean
  /** The characters `intr`, `quit` and `susp` make signals. */
  readonly isig: boolean
  /** Input is read by lines, which can be edited until they are ended. */
  readonly icanon: boolean
  /** What is typed is shown. */
  readonly echo: boolean
  /** `erase` and `werase` wipe what they take away. */
  readonly echoe: boolean
  /** `kill` begins a new line, or with `echoke` and `echoe` wipes the old one. */
  readonly echok: boolean
  readonly echoke: boolean
  /** A newline is shown even if `echo` is off. */
  readonly echonl: boolean
  /** Control characters are shown as ^X. */
  readonly echoctl: boolean
  /** `werase`, `lnext` and `rprnt` count. */
  readonly iexten: boolean
  /** Signals leave what was typed and not yet read or shown as it is. */
  readonly noflsh: boolean
  /** Without `icanon`: how many bytes a read waits for, and for how long, in tenths of a second; 0 is for ever (termios(3)). */
  readonly min: number
  readonly time: number
  /** Characters, as bytes; 0 is none. */
  readonly intr: number
  readonly quit: number
  readonly erase: number
  readonly kill: number
  readonly eof: number
  readonly eol: number
  readonly eol2: number
  readonly start: number
  readonly stop: number
  readonly susp: number
  readonly rprnt: number
  readonly werase: number
  readonly lnext: number
}

const control = (letter: string) => letter.charCodeAt(0) & 0x1f

/** As a terminal is when it is made: Linux's tty_std_termios, and `iutf8`, as terminal emulators set it. */
export const SANE: TerminalAttributes = {
  ixon: true,
  ixany: false,
  icrnl: true,
  igncr: false,
  inlcr: false,
  iutf8: true,
  opost: true,
  onlcr: true,
  ocrnl: false,
  isig: true,
  icanon: true,
  echo: true,
  echoe: true,
  echok: true,
  echoke: true,
  echonl: false,
  echoctl: true,
  iexten: true,
  noflsh: false,
  min: 1,
  time: 0,
  intr: control('C'),
  quit: control('\\'),
  erase: 0x7f,
  kill: control('U'),
  eof: control('D'),
  eol: 0,
  eol2: 0,
  start: control('Q'),
  stop: control('S'),
  susp: control('Z'),
  rprnt: control('R'),
  werase: control('W'),
  lnext: control('V'),
}

/** What cfmakeraw(3) changes: every byte is read as it was typed, at once, and printed as it was written; nothing is shown. */
export const RAW: Partial<TerminalAttributes> = {
  ixon: false,
  icrnl: false,
  igncr: false,
  inlcr: false,
  opost: false,
  isig: false,
  icanon: false,
  echo: false,
  echonl: false,
  iexten: false,
  min: 1,
  time: 0,
}

/** As a window is that nobody has measured. */
export const WINDOW: WindowSize = { columns: 80, rows: 24 }
