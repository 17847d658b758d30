/** One more mount in a container that is there. */

import { ErrnoError } from '../../abi/errno.ts'
import { Task } from '../../kernel/task.ts'
import { credentialsOf } from '../../vfs/context.ts'
import type { MountNamespace } from '../../vfs/mount.ts'
import type { MountSpec } from '../spec.ts'
import { loadTypes } from './load-types.ts'
import type { MounterOptions } from './mounter.ts'
import { prepareMounts } from './prepare.ts'
import { namedError, SetUp } from './set-up.ts'
import { mountSubmount } from './submount.ts'
import { acquireVolume } from './volumes.ts'

/** Errors: as mountAll; ENODEV for a type that there is not. */
export async function mountFurther(namespace: MountNamespace, spec: MountSpec, options: MounterOptions): Promise<void> {
  const setUp = new SetUp(options)
  const { vfs } = setUp
  let said: string | undefined
  const {
    mounts: [mount],
  } = prepareMounts({ mounts: [spec] }, { ...options, alone: true }, (warning) => {
    said = warning
    options.warn(warning)
  })
  if (!mount) throw namedError(new ErrnoError('ENODEV', undefined, said), 'mounts[0]', spec.destination)
  await loadTypes([mount], options)
  setUp.task = new Task({ vfs, credentials: credentialsOf(0, 0), root: namespace.rootPlace, umask: 0 })
  try {
    await acquireVolume(setUp, mount)
    await setUp.at(mount.place, mount.destination, () => mountSubmount(setUp, mount))
  } finally {
    setUp.task.release()
    for (const { mount } of setUp.acquired.values()) vfs.discard(mount)
  }
}
