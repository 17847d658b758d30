/**
 * From a place back to its path: Linux's d_path and its relatives (fs/d_path.c).
 *
 * A place is reached from a root if climbing from it, out of mounts by their points, meets the root. Others have a path, too,
 * from the top of the mounts that they are in: each form below says what it makes of that.
 */

import { ErrnoError } from '../abi/errno.ts'
import { utf8Length } from '../abi/utf8.ts'
import type { Dentry } from './dentry.ts'
import type { VirtualDentry } from './mount.ts'

/** The path, and whether it starts at the root: if not, at the top of the mounts, or of the filesystem. */
function climb(place: VirtualDentry, root: VirtualDentry): { path: string; reached: boolean } {
  const names: string[] = []
  let { mount, dentry } = place
  for (;;) {
    if (mount === root.mount && dentry === root.dentry) return { path: `/${names.reverse().join('/')}`, reached: true }
    if (dentry === mount.root && mount.parent) {
      dentry = mount.point!
      mount = mount.parent
    } else if (dentry === mount.root || !dentry.parent) {
      return { path: `/${names.reverse().join('/')}`, reached: false }
    } else {
      names.push(dentry.name)
      dentry = dentry.parent
    }
  }
}

/** What a link to a place in /proc shows: its path, ` (deleted)` behind it if the name is gone. */
export function pathOf(place: VirtualDentry, root: VirtualDentry): string {
  const { dentry } = place
  // A file without a name, such as `pipe:[7]`.
  if (!dentry.parent && dentry.name !== '') return dentry.name
  const { path } = climb(place, root)
  return dentry.dead ? `${path} (deleted)` : path
}

/** The path, or undefined for a place that is not below the root. */
export function reachablePath(place: VirtualDentry, root: VirtualDentry): string | undefined {
  const { path, reached } = climb(place, root)
  return reached ? path : undefined
}

/** The path in the filesystem itself, whatever is mounted where; `//deleted` behind it if the name is gone. */
export function filesystemPath(dentry: Dentry): string {
  const names: string[] = []
  for (let d = dentry; d.parent; d = d.parent) names.push(d.name)
  const path = `/${names.reverse().join('/')}`
  return dentry.dead ? `${path}//deleted` : path
}

/**
 * getcwd(2): the path of a working directory for a buffer of `size` bytes; `(unreachable)` before it if it is not below the root.
 * Errors: ENOENT for a removed directory; ERANGE if the path and a NUL do not fit.
 */
export function workingDirectory(cwd: VirtualDentry, root: VirtualDentry, size: number): string {
  if (cwd.dentry.dead) throw new ErrnoError('ENOENT')
  const { path, reached } = climb(cwd, root)
  const text = reached ? path : `(unreachable)${path}`
  if (utf8Length(text) + 1 > size) throw new ErrnoError('ERANGE')
  return text
}
