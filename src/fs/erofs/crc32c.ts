/** The checksum of a superblock: CRC-32C as Linux's crc32c() has it, which does not invert its result. */

const POLYNOMIAL = 0x82f63b78

/** Bit by bit: a few KiB are summed, once in a mount. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
  }
  return crc >>> 0
}
