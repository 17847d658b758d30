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

/**
 * The text of `length` bytes from `start`, or undefined where they are not valid UTF-8. Short ASCII, which most names
 * are, is decoded without the decoder; bytes in shared memory are copied first, which the decoder demands.
 */
export function decodeUtf8(memory: Uint8Array, start = 0, length = memory.length - start): string | undefined {
  const end = start + length
  if (length <= 64) {
    let text = ''
    let i = start
    for (; i < end; i++) {
      const byte = memory[i]!
      if (byte >= 0x80) break
      text += String.fromCharCode(byte)
    }
    if (i === end) return text
  }
  decoder ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    return decoder.decode(memory.slice(start, end))
  } catch {
    return undefined
  }
}
