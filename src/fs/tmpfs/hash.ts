/** xxHash32 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), seed 0: what tells a damaged record. */

const P1 = 0x9e3779b1 | 0
const P2 = 0x85ebca77 | 0
const P3 = 0xc2b2ae3d | 0
const P4 = 0x27d4eb2f | 0
const P5 = 0x165667b1 | 0

const turned = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits))
const round = (lane: number, word: number) => Math.imul(turned((lane + Math.imul(word, P2)) | 0, 13), P1)

/** Of `length` bytes from `start`, as an unsigned number. */
export function xxHash32(bytes: Uint8Array, start = 0, length = bytes.length - start): number {
  const end = start + length
  let at = start
  let hash: number
  if (length >= 16) {
    let a = (P1 + P2) | 0
    let b = P2
    let c = 0
    let d = -P1 | 0
    const stop = end - 16
    if ((bytes.byteOffset + start) % 4 === 0 && LITTLE_ENDIAN) {
      const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, length >> 2)
      const count = (length >> 4) << 2
      for (let i = 0; i < count; i += 4) {
        a = round(a, words[i]!)
        b = round(b, words[i + 1]!)
        c = round(c, words[i + 2]!)
        d = round(d, words[i + 3]!)
      }
      at = start + count * 4
    } else {
      for (; at <= stop; at += 16) {
        a = round(a, wordAt(bytes, at))
        b = round(b, wordAt(bytes, at + 4))
        c = round(c, wordAt(bytes, at + 8))
        d = round(d, wordAt(bytes, at + 12))
      }
    }
    hash = (turned(a, 1) + turned(b, 7) + turned(c, 12) + turned(d, 18)) | 0
  } else hash = P5
  hash = (hash + length) | 0
  for (; at + 4 <= end; at += 4) hash = Math.imul(turned((hash + Math.imul(wordAt(bytes, at), P3)) | 0, 17), P4)
  for (; at < end; at++) hash = Math.imul(turned((hash + Math.imul(bytes[at]!, P5)) | 0, 11), P1)
  hash = Math.imul(hash ^ (hash >>> 15), P2)
  hash = Math.imul(hash ^ (hash >>> 13), P3)
  return (hash ^ (hash >>> 16)) >>> 0
}

const wordAt = (bytes: Uint8Array, at: number) =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
