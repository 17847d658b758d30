/** Writing WebAssembly's binary format (https://webassembly.github.io/spec/core/binary/): integers, names, sections. */
import { encodeUtf8 } from '../abi/utf8.ts'

/** An unsigned LEB128 integer. */
export function u32(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  do {
    const low = rest & 0x7f
    rest >>>= 7
    bytes.push(rest === 0 ? low : low | 0x80)
  } while (rest !== 0)
  return bytes
}

/** An unsigned LEB128 integer of up to 53 bits. */
export function u64(value: number): number[] {
  if (value < 0x1_0000_0000) return u32(value)
  return [(value % 0x80) | 0x80, ...u64(Math.floor(value / 0x80))]
}

/** A signed LEB128 integer. */
export function i32(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (;;) {
    const low = rest & 0x7f
    rest >>= 7
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)
    bytes.push(done ? low : low | 0x80)
    if (done) return bytes
  }
}

/** A vector: how many, then each. */
export const vector = (items: readonly (readonly number[])[]): number[] => [...u32(items.length), ...items.flat()]

export function name(text: string): number[] {
  const bytes = encodeUtf8(text)
  return [...u32(bytes.length), ...bytes]
}

/** A section with its length. */
export const section = (id: number, content: readonly number[]): number[] => [id, ...u32(content.length), ...content]

/** `\0asm`, version 1. */
export const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
