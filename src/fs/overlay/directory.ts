/**
 * A directory of an overlay: directories of the upper and of lower layers, shown as one.
 *
 * Invariants: `upper` merges with `lowers`, the topmost first; there is at least one of them all. `#children` holds what
 * was looked up, and `#listing`, once it is made, all names; both are kept up to date by the changes below, since nothing
 * else may change the layers. A change of the upper layer happens after everything was read that it depends on.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { DirectoryInode, Inode, ListedEntry, NewInode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { allOrNothing } from './copy-up.ts'
import { Cover } from './cover.ts'
import { Listing } from './listing.ts'
import { type Found, type LowerDirectory, listMerged, search } from './merge.ts'
import { exchange, rename } from './move.ts'
import { type NodePlace, OverlayFile, type OverlayInode, OverlayNode, OverlaySpecial, OverlaySymlink } from './node.ts'
import type { OverlayFilesystem } from './overlay.ts'
import { makeAside, makeWhiteout, removeWhiteout, removeWhiteouts, replaceBy } from './whiteouts.ts'

export class OverlayDirectory extends OverlayNode<DirectoryInode> implements DirectoryInode {
  readonly kind = 'directory'
  lowers: readonly LowerDirectory[]
  #children: Map<string, OverlayInode> | undefined
  #listing: Listing | undefined
  /** The listing is to be merged anew, its cookies staying. */
  #isStale = false

  constructor(place: NodePlace<DirectoryInode>, lowers: readonly LowerDirectory[]) {
    super(place)
    this.lowers = lowers
  }

  /** Linux shows 1 for a directory of several layers, whose real count would have to be searched for. */
  override get nlink(): number {
    if (this.dead) return 0
    return this.lowers.length > (this.upper ? 0 : 1) ? 1 : this.real.nlink
  }

  lookup(name: string, attempt: Attempt): OverlayInode | undefined {
    const known = this.#children?.get(name)
    if (known !== undefined) return known
    if (this.#listing !== undefined && !this.#isStale && !this.#listing.has(name)) return undefined
    const found = search(this.filesystem.marks, this.upper, this.lowers, name, attempt)
    return found && this.#enter(name, nodeOf(this.filesystem, this, name, found))
  }

  entries(after: number, attempt: Attempt): Iterable<ListedEntry> {
    return this.#listed(attempt).after(after)
  }

  isEmpty(attempt: Attempt): boolean {
    if (!this.#listing && this.upper && this.lowers.length === 0 && this.upper.isEmpty(attempt)) return true
    return this.#listed(attempt).size === 0
  }

  #listed(attempt: Attempt): Listing {
    if (this.#listing === undefined || this.#isStale) {
      const merged = listMerged(this.filesystem, this.#children, this.upper, this.lowers, attempt)
      if (this.#listing) this.#listing.become(merged)
      else this.#listing = merged
      this.#isStale = false
    }
    return this.#listing
  }

  /** What was looked up. */
  known(): Iterable<readonly [name: string, node: OverlayInode]> {
    return this.#children ?? NOTHING_KNOWN
  }

  /** Its layers are others now, or have other names (rebase.ts). */
  layersChanged(): void {
    this.#isStale = this.#listing !== undefined
  }

  /** What the lower layers have under a name, whether or not the upper hides it. */
  below(name: string, attempt: Attempt): Found | undefined {
    return this.lowers.length === 0 ? undefined : search(this.filesystem.marks, undefined, this.lowers, name, attempt)
  }

  /** Errors: EPERM for a device 0:0, which would be a whiteout; ENAMETOOLONG; ENOENT if removed; ENOSPC. */
  create(name: string, what: NewInode, attempt: Attempt): OverlayInode {
    if (what.kind === 'char' && (what.rdev ?? 0) === 0) throw new ErrnoError('EPERM')
    this.requireRoomFor(name)
    const { filesystem } = this
    const merges = what.kind === 'directory' && this.lowers.length > 0
    const cover = merges ? new Cover(this, name, undefined, attempt) : undefined
    const upper = this.inUpper(attempt)
    const whiteout = upper.lookup(name, attempt)
    if (!whiteout && !cover) return this.entered(name, this.#made(name, upper.create!(name, what, attempt)))
    let node: OverlayInode | undefined
    allOrNothing((undo) => {
      if (whiteout) removeWhiteout(filesystem, upper, name, whiteout, attempt, undo)
      const inode = upper.create!(name, what, attempt)
      undo.push(() => upper.unlink!(name, inode, attempt))
      node = this.#made(name, inode)
      if (node.kind === 'directory') cover?.put(node, attempt, undo)
    })
    return this.entered(name, node!)
  }

  /** The node of an inode of the upper that is new. */
  #made(name: string, upper: Inode): OverlayInode {
    return nodeOf(this.filesystem, this, name, { upper, lower: undefined, layer: 0, lowers: [] })
  }

  createUnnamed(what: NewInode, attempt: Attempt): OverlayInode {
    const home = this.filesystem.upperRoot
    if (!home?.createUnnamed) throw new ErrnoError('EOPNOTSUPP')
    const upper = home.createUnnamed(what, attempt)
    return this.#made('', upper)
  }

  /** Errors: EPERM if the upper has no hard links; ENAMETOOLONG; ENOENT if removed; ENOSPC. */
  link(name: string, inode: Inode, attempt: Attempt): void {
    const node = inode as OverlayInode
    const { filesystem } = this
    this.requireRoomFor(name)
    const real = node.inUpper(attempt)
    const upper = this.inUpper(attempt)
    if (!upper.link) throw new ErrnoError('EPERM')
    const whiteout = upper.lookup(name, attempt)
    allOrNothing((undo) => {
      if (whiteout) removeWhiteout(filesystem, upper, name, whiteout, attempt, undo)
      upper.link!(name, real, attempt)
    })
    filesystem.linked.set(real, node)
    this.entered(name, node)
  }

  unlink(name: string, inode: Inode, attempt: Attempt): void {
    const node = inode as OverlayInode
    const { filesystem } = this
    const covered = this.below(name, attempt) !== undefined
    const upper = this.inUpper(attempt)
    const real = node.upper
    if (!real) makeWhiteout(filesystem, upper, name, attempt)
    else {
      allOrNothing((undo) => {
        const aside = covered ? makeAside(filesystem, upper, name, attempt, undo) : undefined
        if (real.kind === 'directory') removeWhiteouts(filesystem, real, attempt, undo)
        if (aside) replaceBy(aside, upper, name, real, attempt, undo)
        else upper.unlink!(name, real, attempt)
      })
    }
    this.forget(name)
    node.lostName()
  }

  rename(
    name: string,
    inode: Inode,
    to: DirectoryInode,
    newName: string,
    replaced: Inode | undefined,
    attempt: Attempt,
  ): void {
    const node = inode as OverlayInode
    const target = to as OverlayDirectory
    rename(this, name, node, target, newName, attempt)
    this.forget(name)
    ;(replaced as OverlayInode | undefined)?.lostName()
    target.entered(newName, node)
  }

  exchange(name: string, inode: Inode, to: DirectoryInode, newName: string, other: Inode, attempt: Attempt): void {
    const target = to as OverlayDirectory
    exchange(this, name, inode as OverlayInode, target, newName, other as OverlayInode, attempt)
    this.entered(name, other as OverlayInode)
    target.entered(newName, inode as OverlayInode)
  }

  /** Errors: ENOENT if the directory was removed; ENAMETOOLONG if a lower layer takes longer names than the upper. */
  requireRoomFor(name: string): void {
    if (this.dead) throw new ErrnoError('ENOENT')
    this.filesystem.requireUpperName(name)
  }

  /** A name came, or went to another file. */
  entered<N extends OverlayInode>(name: string, node: N): N {
    this.#listing?.set(name, node.ino, node.kind)
    return this.#enter(name, node)
  }

  #enter<N extends OverlayInode>(name: string, node: N): N {
    this.#children ??= new Map()
    this.#children.set(name, node)
    return node
  }

  forget(name: string): void {
    this.#children?.delete(name)
    this.#listing?.remove(name)
  }

  /** A node in this directory got another number. */
  renumbered({ name, ino, kind }: OverlayInode): void {
    if (this.#listing?.has(name)) this.#listing.set(name, ino, kind)
  }

  override lostName(): void {
    this.dead = true
    this.#children = undefined
    this.#listing = new Listing()
  }
}

const NOTHING_KNOWN: ReadonlyMap<string, OverlayInode> = new Map()

/** The overlay's inode for what layers have under a name. A file of the upper with several names has one. */
export function nodeOf(
  filesystem: OverlayFilesystem,
  parent: OverlayDirectory | undefined,
  name: string,
  { upper, lower, layer, lowers }: Found,
): OverlayInode {
  const real = (upper ?? lower)!
  const shared = upper && upper.kind !== 'directory' && upper.nlink > 1
  const known = shared ? filesystem.linked.get(upper) : undefined
  if (known) return known
  const ino = upper ? filesystem.ofUpper(upper) : filesystem.ofLower(layer, real.ino)
  const node = makeNode({ filesystem, parent, name, ino, upper, real }, lowers)
  if (shared) filesystem.linked.set(upper, node)
  return node
}

function makeNode(place: NodePlace<Inode>, lowers: readonly LowerDirectory[]): OverlayInode {
  switch (place.real.kind) {
    case 'directory':
      return new OverlayDirectory(place as NodePlace<DirectoryInode>, lowers)
    case 'file':
      return new OverlayFile(place as ConstructorParameters<typeof OverlayFile>[0])
    case 'symlink':
      return new OverlaySymlink(place as ConstructorParameters<typeof OverlaySymlink>[0])
    default:
      return new OverlaySpecial(place as ConstructorParameters<typeof OverlaySpecial>[0])
  }
}
