/** Making and removing whiteouts in directories of the upper layer. */

import type { DirectoryInode, Inode, NewInode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { Undo } from './copy-up.ts'
import { isWhiteout } from './marks.ts'
import type { OverlayFilesystem } from './overlay.ts'

/** Preconditions: the name is free in the upper. Errors: ENAMETOOLONG; ENOSPC. */
export function makeWhiteout(by: OverlayFilesystem, upper: DirectoryInode, name: string, attempt: Attempt): Inode {
  by.requireUpperName(name)
  const what: NewInode = { kind: 'char', mode: 0, uid: 0, gid: 0, rdev: 0, whiteout: true, now: by.clock.coarse() }
  return upper.create!(name, what, attempt)
}

/** A whiteout under a name that nobody asks for: space that ends is found out before anything is removed. */
export interface Aside {
  readonly name: string
  readonly whiteout: Inode
}

/** `avoid` is a name that will be needed. Errors: ENOSPC. */
export function makeAside(
  by: OverlayFilesystem,
  upper: DirectoryInode,
  avoid: string,
  attempt: Attempt,
  undo: Undo,
): Aside {
  const name = by.freeName(upper, avoid, attempt)
  const whiteout = makeWhiteout(by, upper, name, attempt)
  undo.push(() => upper.unlink!(name, whiteout, attempt))
  return { name, whiteout }
}

/** Puts the whiteout in the place of what the upper has under `name`: the last step of a change. A directory is empty. */
export function replaceBy(
  { name: aside, whiteout }: Aside,
  upper: DirectoryInode,
  name: string,
  real: Inode,
  attempt: Attempt,
  undo: Undo,
): void {
  if (real.kind !== 'directory') upper.rename!(aside, whiteout, upper, name, real, attempt)
  else if (upper.exchange) {
    upper.exchange(aside, whiteout, upper, name, real, attempt)
    undo.push(() => upper.exchange!(aside, real, upper, name, whiteout, attempt))
    upper.unlink!(aside, real, attempt)
  } else {
    upper.unlink!(name, real, attempt)
    upper.rename!(aside, whiteout, upper, name, undefined, attempt)
  }
}

export function removeWhiteout(
  by: OverlayFilesystem,
  upper: DirectoryInode,
  name: string,
  whiteout: Inode,
  attempt: Attempt,
  undo: Undo,
): void {
  upper.unlink!(name, whiteout, attempt)
  undo.push(() => makeWhiteout(by, upper, name, attempt))
}

/** Empties a directory of the upper that is to go and in which the overlay shows nothing. */
export function removeWhiteouts(by: OverlayFilesystem, upper: DirectoryInode, attempt: Attempt, undo: Undo): void {
  for (const { name } of [...upper.entries(0, attempt)]) {
    const inode = upper.lookup(name, attempt)
    if (inode && isWhiteout(inode)) removeWhiteout(by, upper, name, inode, attempt, undo)
  }
}
