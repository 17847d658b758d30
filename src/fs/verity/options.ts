/** Mount options of verity as text, as gVisor has them. */

import { fromHex } from '../../abi/hex.ts'
import { optionsIn } from '../../vfs/mount-data.ts'

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
  for (const option of optionsIn('verity', data)) {
    const { key, value = '' } = option
    switch (key) {
      case 'root_hash':
        if (!/^([\da-f]{64})?$/i.test(value)) throw option.fault(`wants ${2 * HASH_BYTES} hexadecimal digits, or none`)
        rootHash = value === '' ? undefined : fromHex(value)
        break
      case 'root_name':
        if (value === '' || (value.includes('/') && value !== '/')) throw option.fault('wants a name, or /')
        rootName = value
        break
      case 'lower_path':
        if (value === '') throw option.fault('wants a path')
        lowerPath = value
        break
      case 'dentry_cache_limit':
        if (!/^\d+$/.test(value)) throw option.fault('wants a number')
        break
      default:
        throw option.fault('unknown; verity knows root_hash, root_name, lower_path, dentry_cache_limit')
    }
  }
  return { rootHash, rootName, lowerPath }
}
