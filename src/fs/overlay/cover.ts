/**
 * Keeping what lower layers have at a place from showing through a directory that the upper gets there.
 *
 * An upper with extended attributes marks the directory opaque. One without gets a whiteout for each name that would show
 * through, in the directory and in those below it: what any overlay reads in the same way, at the price of a listing.
 */

import type { DirectoryInode } from '../../vfs/inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import type { Undo } from './copy-up.ts'
import type { OverlayDirectory } from './directory.ts'
import type { LowerDirectory } from './merge.ts'
import { makeWhiteout } from './whiteouts.ts'

/** Names to hide in one directory; undefined stands for the directory that is to be made. */
interface Part {
  readonly directory: OverlayDirectory | undefined
  readonly lowers: readonly LowerDirectory[]
  readonly names: readonly string[]
}

export class Cover {
  readonly #parts: readonly Part[]

  /**
   * Finds out what `name` of `parent` would show of lower layers if `directory` (undefined: an empty one) were put there.
   * May throw WouldBlock.
   */
  constructor(parent: OverlayDirectory, name: string, directory: OverlayDirectory | undefined, attempt: Attempt) {
    const { filesystem } = parent
    const lowers = filesystem.writesMarks ? [] : (parent.below(name, attempt)?.lowers ?? [])
    const parts: Part[] = []
    const missing = new Missing()
    const visit = (directory: OverlayDirectory | undefined, hidden: OverlayDirectory) => {
      const names: string[] = []
      for (const entry of missing.try(() => [...hidden.entries(0, attempt)]) ?? []) {
        const child = directory && missing.try(() => directory.lookup(entry.name, attempt))
        if (!child) names.push(entry.name)
        else if (child.kind === 'directory' && entry.kind === 'directory') {
          const below = missing.try(() => hidden.lookup(entry.name, attempt))
          if (below?.kind === 'directory') visit(child, below)
        }
      }
      parts.push({ directory, lowers: hidden.lowers, names })
    }
    if (lowers.length > 0) visit(directory, filesystem.shadow(lowers))
    missing.wait()
    this.#parts = parts
  }

  /** Preconditions: `made`, and every directory below it, is in the upper. Errors: ENOSPC. */
  put(made: OverlayDirectory, attempt: Attempt, undo: Undo): void {
    const { filesystem } = made
    const { marks } = filesystem
    if (filesystem.writesMarks) {
      const upper = made.upper!
      if (marks.isOpaque(upper)) return
      marks.setOpaque(upper, true)
      undo.push(() => marks.setOpaque(upper, false))
    }
    for (const { directory = made, lowers, names } of this.#parts) {
      const upper: DirectoryInode = directory.upper!
      for (const name of names) {
        if (upper.lookup(name, attempt)) continue
        const whiteout = makeWhiteout(filesystem, upper, name, attempt)
        undo.push(() => upper.unlink!(name, whiteout, attempt))
      }
      setLowers(directory, lowers, undo)
    }
  }
}

/** A directory came to a place where other lower directories, or none, merge with it. */
export function setLowers(directory: OverlayDirectory, lowers: readonly LowerDirectory[], undo: Undo): void {
  const before = directory.lowers
  directory.lowers = lowers
  undo.push(() => {
    directory.lowers = before
  })
}
