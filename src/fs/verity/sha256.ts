/** verity as containers have it: its hash is SHA-256, from a library, since a browser's own cannot be had within a call. */

import { sha256 } from '@noble/hashes/sha2.js'
import { verityOf } from './verity.ts'

export const verityType = verityOf(sha256)
