/** Why a store cannot commit, as the errors that a program or a page gets. */

import { ErrnoError } from '../../abi/errno.ts'
import { StoreFailure } from './key-value-store.ts'
import { decodeHead, type Head } from './records.ts'

/** Somebody else may commit, and the store of that name no longer may. */
export const stale = (name: string) => new ErrnoError('ESTALE', undefined, `volume "${name}" has another owner now`)

/**
 * What a transaction that failed means to who asked for it: `name` is the volume's, `head` what it was last known to be.
 * ENOSPC, EIO, or ESTALE for another owner.
 */
export function meaningOf(failure: unknown, name: string, head: Head | undefined): ErrnoError {
  if (failure instanceof ErrnoError) return failure
  const fault = (code: 'ENOSPC' | 'EIO' | 'ESTALE', why: string) =>
    new ErrnoError(code, undefined, `volume "${name}": ${why}`)
  if (!(failure instanceof StoreFailure))
    return fault('EIO', failure instanceof Error ? failure.message : String(failure))
  if (failure.reason === 'full') return fault('ENOSPC', `the browser gives the site no more space (${failure.message})`)
  if (failure.reason !== 'guard') return fault('EIO', failure.message)
  let found: Head | undefined
  try {
    found = failure.found && decodeHead(failure.found)
  } catch {}
  if (!found || found.store !== head?.store)
    return fault('EIO', "the site's data was cleared while it was in use: files stay readable until the sandbox ends")
  return found.epoch === head.epoch ? fault('EIO', 'its log does not end where it was left') : stale(name)
}
