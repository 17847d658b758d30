/**
 * Reading layers as one directory: what a name means, and which names there are. Nothing here changes a layer.
 *
 * The rule: layers are asked from the top. A whiteout or anything that is no directory ends the search; directories merge
 * until one is opaque. Parts of layers that have to be waited for are gathered into one throw.
 */

import { utf8Length } from '../../abi/utf8.ts'
import type { DirectoryInode, Inode, ListedEntry } from '../../vfs/inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import { Listing } from './listing.ts'
import { isWhiteout, type Marks } from './marks.ts'

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

  const missing = new Missing()
  const lowers: LowerDirectory[] = []
  for (const { directory, layer } of lowerDirectories) {
    if (!fits(directory, name)) continue
    const inode = missing.try(() => directory.lookup(name, attempt))
    if (!inode) continue
    if (isWhiteout(inode)) break
    if (inode.kind !== 'directory') {
      if (missing.any || upper || lowers.length > 0) break
      return { upper, lower: inode, layer, lowers: NONE }
    }
    lowers.push({ directory: inode, layer })
    if (marks.isOpaque(inode)) break
  }
  missing.wait()
  const first = lowers[0]
  if (!upper && !first) return undefined
  return { upper, lower: first?.directory, layer: first?.layer ?? 0, lowers: first ? lowers : NONE }
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
  const isNew = ({ name, kind }: ListedEntry) => kind === 'char' || known?.get(name) === undefined
  const ofUpper = upper && missing.try(() => read(upper, isNew, attempt))
  const ofLowers = lowers.map(({ directory }) => missing.try(() => read(directory, isDevice, attempt)))
  missing.wait()

  const listing = new Listing()
  const hidden = new Set<string>()
  for (const { entry, inode } of ofUpper ?? []) {
    if (inode && isWhiteout(inode)) hidden.add(entry.name)
    else listing.set(entry.name, inode ? numbers.ofUpper(inode) : (known?.get(entry.name)?.ino ?? 0), entry.kind)
  }
  for (const [index, entries] of ofLowers.entries()) {
    const { layer } = lowers[index]!
    for (const { entry, inode } of entries ?? []) {
      const { name } = entry
      if (listing.has(name) || hidden.has(name)) continue
      if (inode && isWhiteout(inode)) hidden.add(name)
      else listing.set(name, known?.get(name)?.ino ?? numbers.ofLower(layer, entry.ino), entry.kind)
    }
  }
  return listing
}

interface LayerEntry {
  readonly entry: ListedEntry
  readonly inode: Inode | undefined
}

const isDevice = ({ kind }: ListedEntry) => kind === 'char'

/** A layer's entries, with the inodes of those that are to be looked at. */
function read(
  directory: DirectoryInode,
  isWanted: (entry: ListedEntry) => boolean,
  attempt: Attempt,
): readonly LayerEntry[] {
  const missing = new Missing()
  const found: LayerEntry[] = []
  for (const entry of directory.entries(0, attempt)) {
    const inode = isWanted(entry) ? missing.try(() => directory.lookup(entry.name, attempt)) : undefined
    found.push({ entry, inode })
  }
  missing.wait()
  return found
}
