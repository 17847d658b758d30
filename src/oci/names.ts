/** Names that a page gives to what it makes, all of one alphabet, and ids that nobody gives. */

import { toHex } from '../abi/hex.ts'
import type { Entropy } from '../abi/platform.ts'

/** What names are made of, for errors. */
export const LETTERS = 'letters, digits, _ . + -'

/** Whether it is made of them, and not empty. */
export const isName = (name: string): boolean => /^[\w.+-]+$/.test(name)

/** Nobody else has it. */
export function newId(entropy: Entropy): string {
  const bytes = new Uint8Array(8)
  entropy.fill(bytes)
  return toHex(bytes)
}
