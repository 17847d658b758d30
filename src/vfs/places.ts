/** Finding places for those who keep them: working directories, roots, parents; and making directories down to one. */

import { ErrnoError } from '../abi/errno.ts'
import { X_OK } from '../abi/linux.ts'
import type { Context } from './context.ts'
import type { VirtualDentry } from './mount.ts'
import { makeDirectory } from './names.ts'
import { PathWalk, resolve } from './path-walk.ts'
import { requireAccess } from './permissions.ts'

/** A directory to work in: for chdir(2), chroot(2), layers. Errors: those of the walk; ENOTDIR, EACCES without search permission. */
export function searchableAt(context: Context, start: VirtualDentry, path: string): VirtualDentry {
  const place = resolve(context, start, path, true)
  if (place.dentry.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
  place.dentry.inode.refresh?.(context.attempt)
  requireAccess(context.credentials, place.dentry.inode, X_OK)
  return place
}

/**
 * The directory that a path's last component is in, or would be, also for `.` and `..`. It need not be searchable.
 * Errors: those of the walk; ENOENT for a path without a component.
 */
export function parentAt(context: Context, start: VirtualDentry, path: string): VirtualDentry {
  const walk = new PathWalk(context, start, path)
  walk.toParent({ search: false })
  if (walk.last === 'root') throw new ErrnoError('ENOENT', path)
  return walk.place
}

/**
 * mkdir -p: makes what is missing of a path, all with the same mode. Each part is walked as the kernel walks it, so what
 * comes behind `link/..` is made where the link leads.
 * Errors: ENOTDIR where something else is in the way; EEXIST for a link that leads nowhere; as makeDirectory.
 */
export function makeDirectories(context: Context, start: VirtualDentry, path: string, mode: number): void {
  const parts = prefixes(path)
  let made = parts.length
  // Mostly all or nearly all of it is there: look from the end, so that a path of depth d costs d steps.
  while (made > 0 && !isDirectory(context, start, parts[made - 1]!)) made--
  for (; made < parts.length; made++) {
    const part = parts[made]!
    try {
      // Of its own each, since one that is made by whom others wait for is made while this is called again.
      const make = () => {
        if (!isDirectory(context, start, part)) makeDirectory(context, start, part, mode)
      }
      context.attempt.carry(['mkdir', start.dentry, part], make)
    } catch (error) {
      if (error instanceof ErrnoError) error.path ??= part
      throw error
    }
  }
}

/**
 * A place to mount on: the parents are made where they are missing, and then a directory, unless something has the name
 * already, of whatever kind. Errors: as makeDirectories.
 */
export function makeMountPoint(context: Context, start: VirtualDentry, path: string, mode = 0o777): void {
  makeParents(context, start, path, mode)
  try {
    context.attempt.carry(['mkdir', start.dentry, path], () => makeDirectory(context, start, path, mode))
  } catch (error) {
    if (!(error instanceof ErrnoError && error.code === 'EEXIST')) throw error
  }
}

/** Makes the directories that a path's last component is to be in. Errors: as makeDirectories. */
export function makeParents(context: Context, start: VirtualDentry, path: string, mode: number): void {
  const parents = prefixes(path).at(-2)
  if (parents !== undefined) makeDirectories(context, start, parents, mode)
}

/** Errors: ENOTDIR for anything else; but for a name that is missing, what the walk says. */
function isDirectory(context: Context, start: VirtualDentry, path: string): boolean {
  const walk = new PathWalk(context, start, path)
  if (!walk.tryToEnd(true)) return false
  if (walk.dentry.kind !== 'directory') throw new ErrnoError('ENOTDIR', path)
  return true
}

/** `/a`, `/a//b`, `/a//b/..` of `/a//b/../`: the text as it is, up to the end of each component. */
function prefixes(path: string): string[] {
  return [...path.matchAll(/[^/]+/g)].map(({ 0: name, index }) => path.slice(0, index + name.length))
}
