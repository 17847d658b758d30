import { expect, test } from 'vitest'
import { copyBytes } from './copy-bytes.ts'

const kinds = {
  shared: (length: number) => new SharedArrayBuffer(length),
  own: (length: number) => new ArrayBuffer(length),
}

test.each([
  ['own', 'own'],
  ['own', 'shared'],
  ['shared', 'own'],
  ['shared', 'shared'],
] as const)('bytes of %s memory come to %s memory, however they lie, and no others are touched', (source, target) => {
  for (const length of [0, 1, 48, 49, 1000, 16_384, 16_385, 50_001]) {
    for (const [start, at, within] of [
      [0, 0, 0],
      [3, 3, 0],
      [0, 1, 8],
      [5, 0, 3],
      [1, 6, 4],
    ] as const) {
      const from = new Uint8Array(kinds[source](length + 64), within, length + 32)
      for (let i = 0; i < from.length; i++) from[i] = (i * 31) % 251
      const to = new Uint8Array(kinds[target](length + 64), 8, length + 32).fill(255)
      copyBytes(from, start, to, at, length)
      const expected = new Uint8Array(length + 32).fill(255)
      for (let i = 0; i < length; i++) expected[at + i] = from[start + i]!
      expect(Buffer.compare(to, expected), `${length} from ${within}+${start} to ${at}`).toBe(0)
    }
  }
})
