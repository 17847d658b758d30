/** One more mount in a container that is there. */

import { ErrnoError } from '../../abi/errno.ts'
import type { Inode } from '../../vfs/inode.ts'
import type { MountNamespace } from '../../vfs/mount.ts'
import type { MountSpec } from '../spec.ts'
import { loadTypes } from './load-types.ts'
import { type Known, type PreparedMount, prepareMounts } from './prepare.ts'
import { namedError, SetUp, type SetUpOptions } from './set-up.ts'
import { mountSubmount } from './submount.ts'
import { acquireVolume } from './volumes.ts'

/** A mount that the spec does not have. */
export interface FurtherMount {
  /** What it is found again by. */
  readonly unique: string
  readonly spec: MountSpec
}

/** What it is to become; undefined for a type that there is not, which was warned of then. Nothing takes its changes. */
export function planFurther(
  { unique, spec }: FurtherMount,
  known: Omit<Known, 'uppers'>,
  warn: (warning: string) => void,
): PreparedMount | undefined {
  const alone = { ...known, uppers: { scope: 'none' }, alone: true } as const
  const [mount] = prepareMounts({ mounts: [spec] }, alone, warn).mounts
  return mount && { ...mount, unique }
}

/**
 * Gives the root of the filesystem in memory that was made for it, if one was.
 * Errors: as mountAll; ENODEV for a type that there is not.
 */
export async function mountFurther(
  namespace: MountNamespace,
  further: FurtherMount,
  options: SetUpOptions,
): Promise<Inode | undefined> {
  const setUp = new SetUp(options)
  let said: string | undefined
  const mount = planFurther(further, options, (warning) => {
    said = warning
    options.warn(warning)
  })
  if (!mount) throw namedError(new ErrnoError('ENODEV', undefined, said), 'mounts[0]', further.spec.destination)
  await loadTypes([mount], options)
  setUp.enter(namespace)
  try {
    await acquireVolume(setUp, mount)
    await setUp.at(mount.place, mount.destination, () => mountSubmount(setUp, mount))
    return setUp.memory.get(further.unique)
  } finally {
    setUp.end()
  }
}
