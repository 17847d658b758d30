/**
 * Takes terminal escape sequences (ECMA-48: CSI, OSC and the two-character ones) and other control characters out of text that
 * comes in chunks. A sequence may be cut anywhere between chunks. `\r\n` becomes `\n`; a `\r` alone, with which programs redraw
 * a line, becomes a line end, so that nothing printed is lost.
 */

const ESC = '\x1b'
const LONGEST = 4096

export class EscapeStripper {
  /** The unfinished sequence, or lone `\r`, at the end of the last chunk. */
  #held = ''

  strip(chunk: string): string {
    const text = this.#held + chunk
    this.#held = ''
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (!/[\x00-\x08\x0b-\x1f\x7f]/.test(text)) return text
    const open = openTail(text)
    this.#held = text.slice(open)
    return (
      text
        .slice(0, open)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g, '')
        .replace(/\r\n?/g, '\n')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '')
    )
  }
}

/** Where an unfinished sequence at the end of the text begins; its length if there is none. */
function openTail(text: string): number {
  if (text.endsWith('\r')) return text.length - 1
  let start = text.lastIndexOf(ESC)
  // The last ESC may be the first half of an OSC's own end, ESC \.
  if (start === text.length - 1) {
    const before = text.lastIndexOf(ESC, start - 1)
    if (before >= 0 && start > 0 && isOpenString(text.slice(before, start))) start = before
  }
  if (start < 0 || text.length - start > LONGEST) return text.length
  const tail = text.slice(start)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const open = /^\x1b(?:\[[0-?]*[ -/]*|[ -/]*)$/.test(tail) || isOpenString(tail)
  return open ? start : text.length
}

function isOpenString(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /^\x1b[\]PX^_][^\x07\x1b]*\x1b?$/.test(text)
}
