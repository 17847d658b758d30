/** One mount of a spec: made, put in its place, and given its propagation and flags. */

import type { VirtualDentry } from '../../vfs/mount.ts'
import { releaseTree } from '../../vfs/mount-tree.ts'
import { spread } from '../../vfs/propagation.ts'
import { makeMountPoint } from './mount-point.ts'
import type { PreparedMount } from './prepare.ts'
import type { SetUp } from './set-up.ts'
import { isBelow } from './types.ts'

export function mountSubmount(setUp: SetUp, mount: PreparedMount, all: readonly PreparedMount[]): void {
  const { vfs, task } = setUp
  const { spec, type, is, destination, options } = mount
  const made = is.make(setUp, mount, all)
  // A mount that others will be mounted into is made read-only once their mount points are there.
  made.setFlags({ ...options.flags, readonly: false })
  let at: VirtualDentry
  try {
    at = makeMountPoint(task, destination, made.root.inode.kind === 'directory')
  } catch (error) {
    vfs.discard(made)
    throw error
  }
  vfs.attach(made, at)
  const { propagation } = options
  if (propagation) spread(made, propagation.to, propagation.recursive, vfs.numbers.groups)
  const readonly = options.flags.readonly === true || (type === 'bind' && !spec.source?.startsWith('/'))
  try {
    if (readonly) for (const inner of all) if (isBelow(inner.destination, destination)) makeStub(setUp, inner)
  } catch (error) {
    // Also where a stub must wait: the step is made again from its start.
    releaseTree(made)
    throw error
  }
  made.setFlags({ ...options.flags, readonly })
}

/** Makes a mount point ahead of its mount, while what it lies in is still writable. */
function makeStub(setUp: SetUp, { type, spec: { source = '' }, destination }: PreparedMount): void {
  const isFile = type === 'bind' && !source.startsWith('/') && setUp.find(source).dentry.inode.kind !== 'directory'
  makeMountPoint(setUp.task, destination, !isFile)
}
