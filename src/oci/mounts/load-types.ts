/** Brings the code of what is to be mounted before anything is, so that mounting itself does not wait for it. */

import { ErrnoError } from '../../abi/errno.ts'
import { loaded } from '../../kernel/attempts.ts'
import type { PreparedMount } from './prepare.ts'
import { namedError, type SetUpOptions } from './set-up.ts'

/** All at once. Errors: EIO with the mount's place and the type whose code can't be had. */
export async function loadTypes(
  mounts: readonly PreparedMount[],
  { vfs, waiting }: Pick<SetUpOptions, 'vfs' | 'waiting'>,
): Promise<void> {
  await Promise.all(
    mounts.map(async ({ is, place, destination }) => {
      const code = vfs.types.lookup(is.filesystem)?.load?.()
      if (!code) return
      try {
        await loaded(waiting, code)
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        const detail = `the code of filesystem type "${is.filesystem}" can't be loaded: ${why}`
        throw namedError(new ErrnoError('EIO', undefined, detail), place, destination)
      }
    }),
  )
}
