/**
 * overlay: layers of other filesystems shown as one tree, after Linux's overlayfs (Documentation/filesystems/overlayfs.rst).
 * Changes go to the upper layer; the lower ones are only read.
 *
 * It works on the layers' inodes, so no permission is asked of a layer: whoever mounts hands them over. The core checks
 * the caller against the overlay's own modes. While it is mounted nothing else may change the layers.
 *
 * Invariants: `dev` is one for all files. A file's number derives from the layer that has it, counted from the bottom, and
 * its number there, and from nothing else: it is the same after a reload if the layers give the same. A copied-up file keeps it, unless it had several names in the lower layer, which part then. No two
 * files that are there share a number but those names.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Clock } from '../../abi/platform.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import type { DirectoryInode, Filesystem, FilesystemUsage, Inode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { nodeOf, OverlayDirectory } from './directory.ts'
import { isWhiteout, Marks } from './marks.ts'
import type { LowerDirectory } from './merge.ts'
import type { OverlayInode } from './node.ts'
import { parseOverlayOptions } from './options.ts'

/** `request.internal` of a mount. */
export interface OverlayLayers {
  /** Left out, the overlay is read-only. */
  readonly upper?: Inode
  /** The topmost first. */
  readonly lowers: readonly Inode[]
  /** Called when the overlay lets go of its layers. */
  readonly release?: () => void
}

const OVERLAYFS_SUPER_MAGIC = 0x794c7630
/** Linux: OVL_MAX_STACK. */
const MAX_LOWERS = 500
/** Numbers of a layer that fit are put behind the layer's; others are mixed with it to one behind all of those. */
const NUMBERS_PER_LAYER = 2 ** 40
const FIRST_FAR_NUMBER = 2 ** 52

export class OverlayFilesystem implements Filesystem {
  readonly type = 'overlay'
  readonly dev: number
  readonly root: OverlayInode
  readonly readonly: boolean
  readonly nameMax: number
  readonly linkMax?: number
  readonly options?: string

  readonly clock: Clock
  readonly marks: Marks
  /** The upper layer's root. */
  readonly upper: Inode | undefined
  /** The same if it is a directory: where files without a name are made. */
  readonly upperRoot: DirectoryInode | undefined
  /** Whether inodes of the upper have extended attributes. */
  readonly writesMarks: boolean
  /** The nodes of upper files that have several names. */
  readonly linked = new WeakMap<Inode, OverlayInode>()
  readonly #upperNameMax: number
  readonly #top: Inode
  readonly #lowers: Inode[]
  readonly #releases: (() => void)[] = []
  #asides = 0

  /** Errors: EINVAL for too few or too many layers, a whiteout as root, or an overlay as the upper. */
  constructor(layers: OverlayLayers, marks: Marks, request: Pick<MountRequest, 'clock' | 'dev'>) {
    const { upper, lowers } = layers
    const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `overlay: ${rule}`)
    if (lowers.length === 0) throw fault('wants a lower layer')
    if (!upper && lowers.length === 1) throw fault('wants two lower layers where there is no upper')
    if (lowers.length > MAX_LOWERS) throw fault(`takes at most ${MAX_LOWERS} lower layers`)
    if (upper?.filesystem.type === 'overlay') throw fault('an overlay cannot be the upper layer, it makes no whiteouts')
    if (upper?.kind === 'directory' && !upper.create) throw fault('nothing can be made in the upper layer')
    const top = upper ?? lowers[0]!
    if (isWhiteout(top)) throw fault('the root is a whiteout')

    const all = upper ? [upper, ...lowers] : lowers
    this.dev = request.dev
    this.clock = request.clock
    this.marks = marks
    this.upper = upper
    this.upperRoot = upper?.kind === 'directory' ? upper : undefined
    this.#upperNameMax = upper?.filesystem.nameMax ?? 255
    this.writesMarks = upper?.xattrs !== undefined
    this.readonly = !upper || upper.filesystem.readonly
    this.nameMax = Math.max(...all.map(({ filesystem }) => filesystem.nameMax ?? 255))
    if (upper?.filesystem.linkMax !== undefined) this.linkMax = upper.filesystem.linkMax
    if (top.filesystem.options !== undefined) this.options = top.filesystem.options
    this.#top = top
    this.#lowers = [...lowers]
    if (layers.release) this.#releases.push(layers.release)
    this.root = nodeOf(this, undefined, '', {
      upper,
      lower: upper ? undefined : top,
      layer: lowers.length,
      lowers: mergedRoots(marks, upper, lowers),
    })
  }

  usage(): FilesystemUsage {
    return { ...this.#top.filesystem.usage(), type: OVERLAYFS_SUPER_MAGIC }
  }

  sync(attempt: Attempt): void {
    this.upper?.filesystem.sync?.(attempt)
  }

  release(): void {
    for (const release of this.#releases) release()
  }

  /** The topmost first. */
  get lowers(): readonly Inode[] {
    return this.#lowers
  }

  /** To be called when the overlay lets go of its layers. */
  onRelease(release: () => void): void {
    this.#releases.push(release)
  }

  /** A further layer, on top of the lower ones; what the upper hid is hidden by it. Errors: EINVAL for too many. */
  addLayer(layer: DirectoryInode): void {
    if (this.#lowers.length >= MAX_LOWERS) {
      throw new ErrnoError('EINVAL', undefined, `overlay: takes at most ${MAX_LOWERS} lower layers`)
    }
    this.#lowers.unshift(layer)
    if (this.upperRoot && this.marks.isOpaque(this.upperRoot)) this.marks.setOpaque(this.upperRoot, false)
    this.mergeRoots()
  }

  /** The lower roots merge as they are marked now. */
  mergeRoots(): void {
    if (this.root.kind === 'directory') this.root.lowers = mergedRoots(this.marks, this.upper, this.#lowers)
  }

  /** The number of an upper inode: its own, or the one it had before it was copied up. */
  ofUpper(inode: Inode): number {
    return this.marks.inoOf(inode) ?? this.ofLower(0, inode.ino)
  }

  /** The number of an inode of a layer, which are counted from the bottom; 0 is the upper. */
  ofLower(layer: number, ino: number): number {
    if (ino < NUMBERS_PER_LAYER) return layer * NUMBERS_PER_LAYER + ino
    const low = mix(ino ^ Math.imul(layer, 0x9e3779b1))
    const high = mix(Math.floor(ino / 2 ** 32) ^ low)
    return FIRST_FAR_NUMBER + low + (high >>> 12) * 2 ** 32
  }

  /** Errors: ENAMETOOLONG for a name that only a lower layer can have. */
  requireUpperName(name: string): void {
    const max = this.#upperNameMax
    if (name.length * 3 > max && utf8Length(name) > max) throw new ErrnoError('ENAMETOOLONG')
  }

  /** A name that a directory of the upper does not have. */
  freeName(upper: DirectoryInode, avoid: string | undefined, attempt: Attempt): string {
    for (;;) {
      const name = `.overlay-${++this.#asides}`
      if (name !== avoid && !upper.lookup(name, attempt)) return name
    }
  }

  /** Lower directories as they would show without an upper. */
  shadow(lowers: readonly LowerDirectory[]): OverlayDirectory {
    const real = lowers[0]!.directory
    const place = { filesystem: this, parent: undefined, name: '', ino: 0, upper: undefined, real }
    return new OverlayDirectory(place, lowers)
  }
}

/** Spreads 32 bits (the end of MurmurHash3). */
function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** The lower roots that merge with the topmost root. */
function mergedRoots(marks: Marks, upper: Inode | undefined, lowers: readonly Inode[]): LowerDirectory[] {
  const merged: LowerDirectory[] = []
  if (upper && (upper.kind !== 'directory' || marks.isOpaque(upper))) return merged
  for (const [index, root] of lowers.entries()) {
    if (root.kind !== 'directory') break
    merged.push({ directory: root, layer: lowers.length - index })
    if (marks.isOpaque(root)) break
  }
  return merged
}

export const overlayType: FilesystemType = {
  name: 'overlay',
  userMountable: true,
  userListable: true,
  /** `internal` is OverlayLayers: paths in the options (parseOverlayOptions) are for the caller to resolve. */
  mount(request: MountRequest): Filesystem {
    const options = parseOverlayOptions(request.data)
    const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `overlay: ${rule}`)
    const layers = request.internal
    if (!isLayers(layers)) throw fault('wants its layers')
    if (options.lowerdirs && layers.lowers.length > 0) throw fault('lower layers are given twice')
    if (options.upperdir !== undefined && layers.upper) throw fault('an upper layer is given twice')
    return new OverlayFilesystem(layers, new Marks(options.userxattr ? 'user.overlay.' : 'trusted.overlay.'), request)
  },
}

function isLayers(value: unknown): value is OverlayLayers {
  return typeof value === 'object' && value !== null && 'lowers' in value && Array.isArray(value.lowers)
}
