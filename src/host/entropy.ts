/** Random bytes from the browser's (or Node's) cryptographic source. */

import type { Entropy } from '../abi/platform.ts'

/** The most that getRandomValues gives in one call. */
const PIECE = 65_536

export function createEntropy(): Entropy {
  return {
    fill(bytes) {
      // getRandomValues refuses shared memory, which a guest's memory may be.
      const shared = !(bytes.buffer instanceof ArrayBuffer)
      for (let start = 0; start < bytes.length; start += PIECE) {
        const piece = bytes.subarray(start, start + PIECE)
        if (shared) piece.set(crypto.getRandomValues(new Uint8Array(piece.length)))
        else crypto.getRandomValues(piece as Uint8Array<ArrayBuffer>)
      }
    },
  }
}
