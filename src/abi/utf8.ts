/** UTF-8 text to bytes and back. The core knows no DOM library, so the two classes that every host has are declared here. */

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes: Uint8Array): string
}

let encoder: TextEncoder | undefined
let decoder: TextDecoder | undefined

/** The UTF-8 bytes of a text. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  encoder ??= new TextEncoder()
  return encoder.encode(text)
}

/** How many bytes the text takes in UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) length += 1
    else if (unit < 0xd800 || unit > 0xdbff || !isLowSurrogate(text.charCodeAt(i + 1))) length += 2
    else {
      length += 2
      i++
    }
  }
  return length
}

const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff

/** Up to here, putting characters together is faster than a call of the decoder. */
const SHORT = 24

function decodeAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = ''
  let i = start
  for (; i + 8 <= end; i += 8) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    const c = bytes[i + 2]!
    const d = bytes[i + 3]!
    const e = bytes[i + 4]!
    const f = bytes[i + 5]!
    const g = bytes[i + 6]!
    const h = bytes[i + 7]!
    if ((a | b | c | d | e | f | g | h) >= 0x80) return undefined
    text += String.fromCharCode(a, b, c, d, e, f, g, h)
  }
  for (; i < end; i++) {
    const byte = bytes[i]!
    if (byte >= 0x80) return undefined
    text += String.fromCharCode(byte)
  }
  return text
}

const unshared = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  bytes.buffer instanceof ArrayBuffer ? bytes.subarray(start, end) : bytes.slice(start, end)

/**
 * The text of `length` bytes from `start`, or undefined where they are not valid UTF-8. Short ASCII, which most names
 * are, is decoded without the decoder; bytes in shared memory are copied first, which the decoder demands.
 */
export function decodeUtf8(memory: Uint8Array, start = 0, length = memory.length - start): string | undefined {
  if (length <= SHORT) {
    const text = decodeAscii(memory, start, start + length)
    if (text !== undefined) return text
  }
  decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    return decoder.decode(unshared(memory, start, start + length))
  } catch {
    return undefined
  }
}
