/** One mount of a container: made, put in its place, and given its propagation. */

import type { Mount } from '../../vfs/mount.ts'
import { spread } from '../../vfs/propagation.ts'
import { type MountPointOptions, makeMountPoint } from './mount-point.ts'
import type { PreparedMount } from './prepare.ts'
import type { SetUp } from './set-up.ts'
import { verified } from './verity.ts'

export function mountSubmount(setUp: SetUp, mount: PreparedMount): void {
  const { destination, is, options, mandatory, verity } = mount
  const made = verity ? verified(setUp, { ...mount, verity }) : is.make(setUp, mount)
  attach(setUp, made, destination, { synthetic: mandatory })
  const { propagation } = options
  if (propagation) spread(made, propagation.to, propagation.recursive, setUp.vfs.numbers.groups)
}

/** Puts a mount in its place, which is made where it is missing, as the mount's root is. If that fails the mount is let go. */
export function attach(setUp: SetUp, made: Mount, destination: string, options: MountPointOptions): void {
  const { vfs, task } = setUp
  let undo = () => {}
  try {
    const point = makeMountPoint(task, destination, made.root.kind === 'directory' ? 'directory' : 'file', options)
    undo = () => point.undo()
    vfs.attach(made, point.place)
  } catch (error) {
    vfs.discard(made)
    undo()
    throw error
  }
  // What covers the root is the root of what comes later.
  if (destination === '/') task.setRoot(task.root.mount.namespace!.rootPlace)
}
