/**
 * Emptying the upper layer of an overlay that is in use: `commit` puts a layer that shows the same in its place, on top of the
 * lower ones; `discard` lets the lower ones show again.
 *
 * Invariants: everything that may fail or wait comes first; then the overlay and the upper change in one step. Open files
 * work on: after a commit on the same content, now below; after a discard on what they had, as after unlink(2). Names that
 * mean another inode from then on are told to the caller, who knows the dentries.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { switchTo } from './copy-up.ts'
import type { OverlayDirectory } from './directory.ts'
import { search } from './merge.ts'
import type { OverlayInode } from './node.ts'
import type { OverlayFilesystem } from './overlay.ts'

/** A name whose inode is another one now, or gone, by its way from the root. */
export type ChangedName = readonly string[]

/**
 * `layer` has what the upper holds, as `writeLayer` writes and LayerReader reads it.
 * Errors: EBUSY for a socket; EINVAL for too many layers; EROFS without an upper.
 */
export function commitUpper(overlay: OverlayFilesystem, layer: DirectoryInode, attempt: Attempt): ChangedName[] {
  const { root, upper } = parts(overlay)
  const all = contentsOf(upper, attempt)
  const socket = all.find(({ inode }) => inode.kind === 'socket')
  if (socket) throw new ErrnoError('EBUSY', socket.path, 'a socket has this name, and no layer can hold one')
  warm(root, attempt)
  overlay.addLayer(layer)
  const rebase = new Rebase(overlay, attempt, { filesStay: true, keeps: () => false })
  rebase.run(root)
  remove(all, () => false, attempt)
  return rebase.changed
}

/**
 * What `keeps` is true for stays in the upper, as places have to that something is mounted on; so has all above them.
 * Errors: EROFS without an upper.
 */
export function discardUpper(
  overlay: OverlayFilesystem,
  keeps: (path: string) => boolean,
  attempt: Attempt,
): ChangedName[] {
  const { root, upper } = parts(overlay)
  const all = contentsOf(upper, attempt)
  warm(root, attempt)
  for (const name of [...(upper.xattrs?.keys() ?? [])]) upper.xattrs!.delete(name)
  const { mode, uid, gid, mtime } = overlay.lowers[0]!
  upper.setAttributes({ mode: mode & 0o7777, uid, gid, mtime }, attempt)
  overlay.mergeRoots()
  const rebase = new Rebase(overlay, attempt, { filesStay: false, keeps })
  rebase.run(root)
  remove(all, keeps, attempt)
  return rebase.changed
}

function parts(overlay: OverlayFilesystem): { root: OverlayDirectory; upper: DirectoryInode } {
  const { root, upperRoot } = overlay
  if (overlay.readonly || !upperRoot || root.kind !== 'directory') {
    throw new ErrnoError('EROFS', undefined, 'the overlay has no upper directory that can be changed')
  }
  return { root, upper: upperRoot }
}

interface Content {
  readonly path: string
  readonly directory: DirectoryInode
  readonly name: string
  readonly inode: Inode
}

/** All that is in a directory, what lies in a directory before it. */
function contentsOf(directory: DirectoryInode, attempt: Attempt, prefix = '', found: Content[] = []): Content[] {
  for (const { name } of [...directory.entries(0, attempt)]) {
    const inode = directory.lookup(name, attempt)
    if (!inode) continue
    if (inode.kind === 'directory') contentsOf(inode, attempt, `${prefix}${name}/`, found)
    found.push({ path: prefix + name, directory, name, inode })
  }
  return found
}

function remove(all: readonly Content[], keeps: (path: string) => boolean, attempt: Attempt): void {
  for (const { path, directory, name, inode } of all) if (!keeps(path)) directory.unlink!(name, inode, attempt)
}

/** Looks up what will be asked of the lower layers, so that nothing must be waited for later. */
function warm(directory: OverlayDirectory, attempt: Attempt): void {
  for (const [name, node] of directory.known()) {
    directory.below(name, attempt)
    if (node.kind === 'directory') warm(node, attempt)
  }
}

interface RebaseOptions {
  /** A file that the lower layers have under the same name is the same file. */
  readonly filesStay: boolean
  readonly keeps: (path: string) => boolean
}

/** Turns the nodes that are known to what the lower layers have under their names. */
class Rebase {
  readonly changed: ChangedName[] = []
  readonly #overlay: OverlayFilesystem
  readonly #attempt: Attempt
  readonly #options: RebaseOptions
  readonly #lowered = new Set<OverlayInode>()

  constructor(overlay: OverlayFilesystem, attempt: Attempt, options: RebaseOptions) {
    this.#overlay = overlay
    this.#attempt = attempt
    this.#options = options
  }

  run(root: OverlayDirectory): void {
    this.#children(root, [])
  }

  #children(directory: OverlayDirectory, way: readonly string[]): void {
    directory.layersChanged()
    for (const [name, node] of [...directory.known()]) {
      const { upper } = node
      // What is not in the upper has nothing below it that is.
      if (upper !== undefined || this.#lowered.has(node)) this.#child(directory, node, [...way, name])
    }
  }

  #child(parent: OverlayDirectory, node: OverlayInode, way: readonly string[]): void {
    const name = way.at(-1)!
    if (this.#options.keeps(way.join('/'))) {
      if (node.kind === 'directory') this.#children(node, way)
      return
    }
    const found = search(this.#overlay.marks, undefined, parent.lowers, name, this.#attempt)
    const lower = found?.lower
    const stays = lower?.kind === node.kind && (node.kind === 'directory' || this.#options.filesStay)
    // Of a file with several names the first one stays with it: below, each name is looked up as a file of its own.
    if (found && lower && stays && !this.#lowered.has(node)) {
      this.#lowered.add(node)
      node.parent = parent
      node.name = name
      switchTo(node, lower, undefined)
      if (node.kind === 'directory') {
        node.lowers = found.lowers
        this.#children(node, way)
      }
      return
    }
    parent.forget(name)
    this.changed.push(way)
    if (node.kind === 'directory') lose(node)
  }
}

/** A directory goes, with what is known in it. */
function lose(directory: OverlayDirectory): void {
  for (const [, node] of directory.known()) {
    if (node.kind === 'directory') lose(node)
    else node.lostName()
  }
  directory.lostName()
}
