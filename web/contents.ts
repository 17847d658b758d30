/** What bytes are, as far as the page must know it: how to show a file, and whether a program can run at all. */

export type Shown = 'text' | 'image' | 'hex'

/** Bytes of a file that are shown as text, and as hex. */
export const TEXT_LIMIT = 1024 * 1024
export const HEX_LIMIT = 4096
/** An image is shown only whole. */
export const IMAGE_LIMIT = 32 * 1024 * 1024

/** By the first bytes, read as Latin-1. */
const images: readonly (readonly [type: string, magic: RegExp])[] = [
  ['image/png', /^\x89PNG\r\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8/],
  ['image/webp', /^RIFF.{4}WEBP/s],
  ['image/bmp', /^BM.{4}\0{4}/s],
]

/** The MIME type of an image that browsers draw, told by its first bytes and not by its name. */
export function imageType(head: Uint8Array): string | undefined {
  const start = String.fromCharCode(...head.subarray(0, 16))
  return images.find(([, magic]) => magic.test(start))?.[0]
}

/** How to show a file of `size` bytes that begins with `head`. */
export function howToShow(head: Uint8Array, size: number): Shown {
  if (imageType(head) && size <= IMAGE_LIMIT) return 'image'
  return decodeText(head, head.length < size) === undefined ? 'hex' : 'text'
}

/** UTF-8 without NULs as text, else undefined. If the bytes were cut, a character may be cut at their end; it is left out. */
export function decodeText(bytes: Uint8Array, cut: boolean): string | undefined {
  if (bytes.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut })
  } catch {
    return undefined
  }
}

/** Lines of offset, sixteen bytes and their ASCII, as `hexdump -C` prints them. */
export function hexDump(bytes: Uint8Array): string {
  const lines = []
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const row = [...bytes.subarray(offset, offset + 16)]
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0'))
    const halves = `${hex.slice(0, 8).join(' ').padEnd(23)}  ${hex.slice(8).join(' ').padEnd(23)}`
    const ascii = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${offset.toString(16).padStart(8, '0')}  ${halves}  |${ascii}|`)
  }
  return lines.join('\n')
}

/** Why a file that begins with `head` cannot be a program here, in words a person can act on; undefined if it may be one. */
export function programFault(head: Uint8Array): string | undefined {
  if (head.length === 0) return 'The file is empty.'
  const wasm = [0x00, 0x61, 0x73, 0x6d].every((byte, i) => byte === head[i])
  if (!wasm) {
    const start = [...head.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    return `Not a WebAssembly file: it begins with ${start}, not 00 61 73 6d. Build for wasm32-wasip1.`
  }
  // The fourth half-word tells a component (1) from a core module (0).
  if (head[6] === 1)
    return 'A WebAssembly component, made for WASI 0.2 or later; this runs core modules. Build for wasm32-wasip1.'
  return undefined
}

/** The name under /bin that a chosen file gets: its own, without `.wasm`. */
export function programName(fileName: string): string {
  const base = fileName.replaceAll('\0', '').split(/[\\/]/).at(-1) ?? ''
  const name = base.replace(/\.wasm$/i, '')
  return name === '' || name === '.' || name === '..' ? 'program' : name
}
