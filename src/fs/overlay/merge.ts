/**
 * Reading layers as one directory: what a name means, and which names there are. Nothing here changes a layer.
 *
 * The rule: layers are asked from the top. A whiteout or anything that is no directory ends the search; directories merge
 * until one is opaque. Parts of layers that have to be waited for are gathered into one throw.
 */

import { utf8Length } from '../../abi/utf8.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import { Listing } from './listing.ts'
import { isWhiteout, type Marks } from './marks.ts'
import { NameSet } from './name-set.ts'

/** A directory of a lower layer. Layers are numbered from the bottom, from 1; the upper is 0. */
export interface LowerDirectory {
  readonly directory: DirectoryInode
  readonly layer: number
}

/** What the layers have under a name. */
export interface Found {
  /** Undefined: the upper has nothing there. */
  readonly upper: Inode | undefined
  /** The topmost inode of the lower layers, if it counts: not below a file of the upper. */
  readonly lower: Inode | undefined
  readonly layer: number
  /** The directories that merge, where the topmost inode is one; `lower` is then the first of them. */
  readonly lowers: readonly LowerDirectory[]
}

const NONE: readonly LowerDirectory[] = []

/** What `name` is in directories that merge, or undefined if it is not there. */
export function search(
  marks: Marks,
  upperDirectory: DirectoryInode | undefined,
  lowerDirectories: readonly LowerDirectory[],
  name: string,
  attempt: Attempt,
): Found | undefined {
  const upper = upperDirectory && fits(upperDirectory, name) ? upperDirectory.lookup(name, attempt) : undefined
  if (upper) {
    if (isWhiteout(upper)) return undefined
    if (lowerDirectories.length === 0 || upper.kind !== 'directory' || marks.isOpaque(upper)) {
      return { upper, lower: undefined, layer: 0, lowers: NONE }
    }
  }
  if (lowerDirectories.length === 0) return undefined

  let missing: Missing | undefined
  let lowers: LowerDirectory[] | undefined
  for (const { directory, layer } of lowerDirectories) {
    if (!fits(directory, name)) continue
    let inode: Inode | undefined
    try {
      inode = directory.lookup(name, attempt)
    } catch (failure) {
      missing ??= new Missing()
      missing.add(failure)
    }
    if (inode === undefined) continue
    if (isWhiteout(inode)) break
    if (inode.kind !== 'directory') {
      if (missing || upper || lowers) break
      return { upper, lower: inode, layer, lowers: NONE }
    }
    lowers ??= []
    lowers.push({ directory: inode, layer })
    if (marks.isOpaque(inode)) break
  }
  missing?.wait()
  const first = lowers?.[0]
  if (!upper && !first) return undefined
  return { upper, lower: first?.directory, layer: first?.layer ?? 0, lowers: lowers ?? NONE }
}

/** A name that is too long for a layer is not in it. */
function fits(directory: DirectoryInode, name: string): boolean {
  const max = directory.filesystem.nameMax ?? 255
  return name.length * 3 <= max || utf8Length(name) <= max
}

/** How entries are numbered: as the inodes behind them are. */
export interface Numbers {
  ofUpper(inode: Inode): number
  ofLower(layer: number, ino: number): number
}

/**
 * The names of directories that merge: the upper's in its order, then layer by layer those that are new. `known` are
 * inodes of the overlay by name, which need not be looked up again.
 */
export function listMerged(
  numbers: Numbers,
  known: ReadonlyMap<string, { readonly ino: number }> | undefined,
  upper: DirectoryInode | undefined,
  lowers: readonly LowerDirectory[],
  attempt: Attempt,
): Listing {
  const missing = new Missing()
  const listing = new Listing()
  /** Names that a layer has, listed or hidden by a whiteout: those of the layers below are not seen. */
  const seen = new NameSet()
  if (upper) {
    missing.try(() => {
      for (const { name, kind, ino } of upper.entries(0, attempt)) {
        seen.add(name)
        const node = kind === 'char' ? undefined : known?.get(name)
        const inode = node ? undefined : missing.try(() => upper.lookup(name, attempt))
        if (inode && isWhiteout(inode)) continue
        listing.add(name, node?.ino ?? (inode ? numbers.ofUpper(inode) : ino), kind)
      }
    })
  }
  const bottom = lowers.at(-1)
  for (const lower of lowers) {
    const { directory, layer } = lower
    missing.try(() => {
      for (const { name, kind, ino } of directory.entries(0, attempt)) {
        // Below the last layer there is nothing that its names could hide.
        if (lower === bottom ? seen.has(name) : !seen.add(name)) continue
        const inode = kind === 'char' ? missing.try(() => directory.lookup(name, attempt)) : undefined
        if (inode && isWhiteout(inode)) continue
        listing.add(name, known?.get(name)?.ino ?? numbers.ofLower(layer, ino), kind)
      }
    })
  }
  // What was merged of a part of the layers is no listing.
  missing.wait()
  return listing
}
