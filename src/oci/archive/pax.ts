/** Records of pax extended headers: `length key=value\n`, the length in bytes counting itself (pax(1)). */

import { concatBytes } from '../../abi/byte-parts.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'

export type PaxRecords = Map<string, Uint8Array>

export function encodePax(records: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = []
  for (const [key, value] of records) {
    const name = encodeUtf8(` ${key}=`)
    const rest = name.length + value.length + 1
    let length = rest + String(rest).length
    length = rest + String(length).length
    parts.push(encodeUtf8(String(length)), name, value, NEWLINE)
  }
  return concatBytes(parts)
}

const NEWLINE = new Uint8Array([0x0a])

/**
 * Reads records in their order; keys may repeat, as GNU tar's sparse maps do. Returns what is wrong, if anything is:
 * a sentence's end behind "the extended header".
 */
export function readPax(bytes: Uint8Array, take: (key: string, value: Uint8Array) => void): string | undefined {
  let at = 0
  while (at < bytes.length) {
    let length = 0
    let i = at
    for (; i < bytes.length && bytes[i]! >= 0x30 && bytes[i]! <= 0x39 && i - at < 10; i++) {
      length = length * 10 + bytes[i]! - 0x30
    }
    const end = at + length
    if (i === at || bytes[i] !== 0x20) {
      // Some writers fill up with NULs.
      if (bytes.subarray(at).every((byte) => byte === 0)) return undefined
      return 'has a record without a length'
    }
    const equals = bytes.indexOf(0x3d, i)
    if (end > bytes.length || equals < 0 || equals >= end || bytes[end - 1] !== 0x0a)
      return 'has a record that is cut off'
    const key = decodeUtf8(bytes, i + 1, equals - i - 1)
    if (!key) return 'has a record without a name'
    take(key, bytes.subarray(equals + 1, end - 1))
    at = end
  }
  return undefined
}
