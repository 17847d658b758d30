/** The place that a mount goes to. */

import { ErrnoError } from '../../abi/errno.ts'
import { AT_FDCWD, O_CREAT, O_WRONLY } from '../../abi/linux.ts'
import type { Task } from '../../kernel/task.ts'
import type { VirtualDentry } from '../../vfs/mount.ts'
import { resolve } from '../../vfs/path-walk.ts'
import { makeParents } from '../../vfs/places.ts'

/** The place to mount on; it is made, with its parents, where it is missing. */
export function makeMountPoint(task: Task, destination: string, directory: boolean): VirtualDentry {
  try {
    return resolve(task, task.root, destination, true)
  } catch (error) {
    if (!(error instanceof ErrnoError && error.code === 'ENOENT')) throw error
  }
  makeParents(task, task.root, destination, 0o755)
  if (directory) task.mkdirat(AT_FDCWD, destination, 0o755)
  else task.close(task.openat(AT_FDCWD, destination, O_CREAT | O_WRONLY, 0o644))
  return resolve(task, task.root, destination, true)
}
