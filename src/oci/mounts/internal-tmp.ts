/**
 * The /tmp of a container whose spec has none: a tmpfs, unless there are files in /tmp already.
 *
 * It comes after the mounts of the spec, so what is mounted below /tmp is a file in it; and it leaves no trace in what it covers.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../abi/linux.ts'
import type { Task } from '../../kernel/task.ts'
import { cleanPath, type Spec } from '../spec.ts'
import type { SetUp } from './set-up.ts'
import { attach } from './submount.ts'

/** What its filesystem is found again by. */
export const INTERNAL_TMP = '/tmp'

/** What is mounted, and where. */
export const TMP_MOUNT = { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', data: 'mode=1777' } as const

/** Whether the spec speaks of /tmp, so that there is none but its own. */
export const mountsTmp = ({ mounts = [] }: Spec) =>
  mounts.some(({ destination }) => cleanPath(destination) === TMP_MOUNT.destination)

/**
 * `wanted` says whether there is to be one; left out, what is in /tmp decides.
 * Errors: those of opening and listing /tmp, but for ENOENT and ENOTDIR; those of the mount.
 */
export function mountInternalTmp(setUp: SetUp, spec: Spec, wanted?: boolean): void {
  const { vfs, task } = setUp
  if (mountsTmp(spec) || !(wanted ?? isFree(task))) return
  const { destination, type, source, data } = TMP_MOUNT
  const internal = { contents: setUp.fill(INTERNAL_TMP) }
  const superblock = vfs.newFilesystem({ type, data, source, internal })
  attach(setUp, vfs.newMount(superblock, { source }), destination, { synthetic: true })
}

/** Whether /tmp is missing, or an empty directory. */
function isFree(task: Task): boolean {
  let fd: number
  try {
    fd = task.openat(AT_FDCWD, TMP_MOUNT.destination, O_RDONLY | O_DIRECTORY, 0)
  } catch (error) {
    if (error instanceof ErrnoError && error.code === 'ENOTDIR') return false
    if (error instanceof ErrnoError && error.code === 'ENOENT') return true
    throw error
  }
  try {
    return task.getdents(fd, 2, 1).length === 0
  } finally {
    task.close(fd)
  }
}
