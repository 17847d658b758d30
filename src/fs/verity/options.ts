/** Mount options of verity as text, as gVisor has them. */

import { ErrnoError } from '../../abi/errno.ts'
import { fromHex } from '../../abi/hex.ts'

export interface VerityOptions {
  /** SHA-256 of what the root was measured as; undefined: trees may still be built. */
  readonly rootHash: Uint8Array | undefined
  /** What the root's tree is found by. */
  readonly rootName: string
  /** The path of the lower directory, where nobody hands it over. */
  readonly lowerPath: string | undefined
}

export const HASH_BYTES = 32

/**
 * Reads `root_hash=HEX,root_name=NAME,lower_path=PATH,dentry_cache_limit=N`; of several of one key the last counts. The limit is
 * read and has no effect: names are kept as long as they are used.
 * Errors: EINVAL with the option in the detail.
 */
export function parseVerityOptions(data: string): VerityOptions {
  let rootHash: Uint8Array | undefined
  let rootName = 'root'
  let lowerPath: string | undefined
  for (const part of data.split(',')) {
    if (part === '') continue
    const [key] = part.split('=', 1)
    const value = part.slice(key!.length + 1)
    const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `verity option "${part}": ${rule}`)
    switch (key) {
      case 'root_hash':
        if (!/^([\da-f]{64})?$/i.test(value)) throw fault(`wants ${2 * HASH_BYTES} hexadecimal digits, or none`)
        rootHash = value === '' ? undefined : fromHex(value)
        break
      case 'root_name':
        if (value === '' || (value.includes('/') && value !== '/')) throw fault('wants a name, or /')
        rootName = value
        break
      case 'lower_path':
        if (value === '') throw fault('wants a path')
        lowerPath = value
        break
      case 'dentry_cache_limit':
        if (!/^\d+$/.test(value)) throw fault('wants a number')
        break
      default:
        throw fault('unknown; verity knows root_hash, root_name, lower_path, dentry_cache_limit')
    }
  }
  return { rootHash, rootName, lowerPath }
}
