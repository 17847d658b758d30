/** Brings the code of what is to be mounted before anything is, so that mounting itself does not wait for it. */

import { ErrnoError } from '../../abi/errno.ts'
import { loaded } from '../../kernel/attempts.ts'
import type { PreparedMount } from './prepare.ts'
import { namedError, type SetUpOptions } from './set-up.ts'

/** What is to be mounted: of a type, and checked against a hash, or one of the two. */
type Wanted = Pick<PreparedMount, 'place' | 'destination'> & Partial<Pick<PreparedMount, 'is' | 'verity'>>

/** All at once. Errors: EIO with the mount's place and the type whose code can't be had. */
export async function loadTypes(
  wanted: readonly Wanted[],
  { vfs, waiting }: Pick<SetUpOptions, 'vfs' | 'waiting'>,
): Promise<void> {
  const load = async (type: string, { place, destination }: Wanted) => {
    const code = vfs.types.lookup(type)?.load?.()
    if (!code) return
    try {
      await loaded(waiting, code)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const detail = `the code of filesystem type "${type}" can't be loaded: ${why}`
      throw namedError(new ErrnoError('EIO', undefined, detail), place, destination)
    }
  }
  await Promise.all(
    wanted.flatMap((mount) => [mount.is && load(mount.is.filesystem, mount), mount.verity && load('verity', mount)]),
  )
}
