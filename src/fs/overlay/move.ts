/**
 * Renaming in an overlay. A directory that merges is moved as a whole: all below it is copied up first, and what lower
 * layers have at the new place is hidden. Linux without redirect_dir answers EXDEV there and leaves the work to mv(1).
 *
 * Invariant: what must be waited for is read first, what may find no space is done next, and the move itself comes last;
 * a failure before it leaves the upper as it was.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import { allOrNothing, type Prepared, place, prepare, type Undo } from './copy-up.ts'
import { Cover, setLowers } from './cover.ts'
import type { OverlayDirectory } from './directory.ts'
import { isWhiteout } from './marks.ts'
import type { OverlayInode } from './node.ts'
import type { OverlayFilesystem } from './overlay.ts'
import { makeAside, makeWhiteout, removeWhiteout, removeWhiteouts, replaceBy } from './whiteouts.ts'

/** Errors: ENOENT if `to` was removed; ENAMETOOLONG; ENOSPC. */
export function rename(
  from: OverlayDirectory,
  name: string,
  node: OverlayInode,
  to: OverlayDirectory,
  newName: string,
  attempt: Attempt,
): void {
  to.requireRoomFor(newName)
  const { filesystem } = from
  const leavesLower = from.below(name, attempt) !== undefined
  const moved = new Moved(node, to, newName, attempt)
  const source = from.inUpper(attempt)
  const target = to.inUpper(attempt)
  allOrNothing((undo) => {
    moved.toUpper(attempt, undo)
    const replaced = target.lookup(newName, attempt)
    if (replaced?.kind === 'directory') removeWhiteouts(filesystem, replaced, attempt, undo)
    const inUpper: { -readonly [K in keyof UpperRename]: UpperRename[K] } = {
      source,
      name,
      real: node.upper!,
      target,
      newName,
      replaced,
    }
    if (leavesLower) moveLeavingWhiteout(filesystem, inUpper, () => moved.cover(attempt, undo), attempt, undo)
    else {
      if (replaced && isWhiteout(replaced) && node.kind === 'directory') {
        removeWhiteout(filesystem, target, newName, replaced, attempt, undo)
        inUpper.replaced = undefined
      }
      moved.cover(attempt, undo)
      source.rename!(name, inUpper.real, target, newName, inUpper.replaced, attempt)
    }
  })
}

/** A rename of the upper's own names. */
interface UpperRename {
  readonly source: DirectoryInode
  readonly name: string
  readonly real: Inode
  readonly target: DirectoryInode
  readonly newName: string
  readonly replaced: Inode | undefined
}

/**
 * Moves a file and puts a whiteout where it was, in such an order that each step but the last can be undone: the file and
 * the whiteout, or what is replaced, swap their places. `cover` makes ready what else may find no space.
 */
function moveLeavingWhiteout(
  by: OverlayFilesystem,
  { source, name, real, target, newName, replaced }: UpperRename,
  cover: () => void,
  attempt: Attempt,
  undo: Undo,
): void {
  if (!source.exchange) {
    const aside = makeAside(by, source, newName, attempt, undo)
    cover()
    if (replaced && isWhiteout(replaced)) removeWhiteout(by, target, newName, replaced, attempt, undo)
    const file = replaced && !isWhiteout(replaced) ? replaced : undefined
    source.rename!(name, real, target, newName, file, attempt)
    source.rename!(aside.name, aside.whiteout, source, name, undefined, attempt)
  } else if (replaced && !isWhiteout(replaced)) {
    const aside = makeAside(by, source, newName, attempt, undo)
    cover()
    source.exchange(name, real, target, newName, replaced, attempt)
    undo.push(() => source.exchange!(name, replaced, target, newName, real, attempt))
    replaceBy(aside, source, name, replaced, attempt, undo)
  } else {
    const whiteout = replaced ?? makeWhiteout(by, target, newName, attempt)
    if (!replaced) undo.push(() => target.unlink!(newName, whiteout, attempt))
    cover()
    source.exchange(name, real, target, newName, whiteout, attempt)
  }
}

/** Errors: EINVAL if the upper can't; as rename. */
export function exchange(
  from: OverlayDirectory,
  name: string,
  node: OverlayInode,
  to: OverlayDirectory,
  newName: string,
  other: OverlayInode,
  attempt: Attempt,
): void {
  from.requireRoomFor(name)
  to.requireRoomFor(newName)
  const there = new Moved(node, to, newName, attempt)
  const back = new Moved(other, from, name, attempt)
  const source = from.inUpper(attempt)
  const target = to.inUpper(attempt)
  if (!source.exchange) throw new ErrnoError('EINVAL')
  allOrNothing((undo) => {
    there.toUpper(attempt, undo)
    back.toUpper(attempt, undo)
    there.cover(attempt, undo)
    back.cover(attempt, undo)
    source.exchange!(name, node.upper!, target, newName, other.upper!, attempt)
  })
}

/** An inode, with all below it, that goes to another place. */
class Moved {
  readonly #node: OverlayInode
  /** What is not in the upper yet, from the top. */
  readonly #ready: Prepared[] = []
  readonly #merged: OverlayDirectory[] = []
  readonly #cover: Cover | undefined

  /** Gathers all that has to be read. May throw WouldBlock. */
  constructor(node: OverlayInode, to: OverlayDirectory, newName: string, attempt: Attempt) {
    this.#node = node
    const missing = new Missing()
    const rest: OverlayInode[] = [node]
    for (let next = rest.pop(); next; next = rest.pop()) {
      const each = next
      const ready = each.upper ? undefined : missing.try(() => prepare(each, attempt))
      if (ready) this.#ready.push(ready)
      if (each.kind !== 'directory' || each.lowers.length === 0) continue
      this.#merged.push(each)
      for (const entry of missing.try(() => [...each.entries(0, attempt)]) ?? []) {
        const child = missing.try(() => each.lookup(entry.name, attempt))
        if (child) rest.push(child)
      }
    }
    const merges = node.kind === 'directory' && (node.lowers.length > 0 || to.lowers.length > 0)
    this.#cover = merges ? missing.try(() => new Cover(to, newName, node, attempt)) : undefined
    missing.wait()
  }

  toUpper(attempt: Attempt, undo: Undo): void {
    for (const ready of this.#ready) place(ready, attempt, undo)
  }

  /** Cuts the ties to the lower layers of the old place, and hides those of the new one. */
  cover(attempt: Attempt, undo: Undo): void {
    for (const directory of this.#merged) setLowers(directory, [], undo)
    if (this.#node.kind === 'directory') this.#cover?.put(this.#node, attempt, undo)
  }
}
