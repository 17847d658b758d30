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
import { type OverlayDirectory, nodeOf } from './directory.ts'
import { isWhiteout } from './marks.ts'
import { type Found, search } from './merge.ts'
import { type OverlayInode, switchTo } from './node.ts'
import type { OverlayFilesystem } from './overlay.ts'

/** A name whose inode is another one now, or gone, by its way from the root. */
export type ChangedName = readonly string[]

/** `layer` has what the upper holds, as `writeLayer` and `LayerReader` make it. Errors: EBUSY for a socket; EINVAL for too many layers. */
export function commitUpper(overlay: OverlayFilesystem, layer: DirectoryInode, attempt: Attempt): ChangedName[] {
  const { root, upper } = parts(overlay)
  const all = contentsOf(upper, attempt)
  const socket = all.find(({ inode }) => inode.kind === 'socket')
  if (socket) throw new ErrnoError('EBUSY', socket.path, 'a socket is bound to this name, and no layer can hold it')
  overlay.requireRoomForLayer()
  warm(root, attempt)

  const opaque = overlay.marks.isOpaque(upper)
  root.lowers = [{ directory: layer, layer: overlay.addLayer() }, ...(opaque ? [] : root.lowers)]
  if (opaque) overlay.marks.setOpaque(upper, false)
  const changed = new Rebase(overlay, attempt, () => false).run(root)
  remove(all, () => false, attempt)
  return changed
}

/** Directories and files for which `keeps` is true stay in the upper, as places that something is mounted on have to. */
export function discardUpper(
  overlay: OverlayFilesystem,
  keeps: (path: string) => boolean,
  attempt: Attempt,
): ChangedName[] {
  const { root, upper } = parts(overlay)
  const all = contentsOf(upper, attempt)
  warm(root, attempt)
  const [below] = overlay.lowerRoots
  if (below) {
    const { mode, uid, gid, mtime } = below
    upper.setAttributes({ mode: mode & 0o7777, uid, gid, mtime }, attempt)
  }
  for (const name of [...(upper.xattrs?.keys() ?? [])]) upper.xattrs!.delete(name)
  root.lowers = overlay.lowerRoots.length > 0 ? overlay.mergingRoots() : root.lowers
  const changed = new Rebase(overlay, attempt, keeps).run(root)
  remove(all, keeps, attempt)
  return changed
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

class Rebase {
  readonly #overlay: OverlayFilesystem
  readonly #attempt: Attempt
  readonly #keeps: (path: string) => boolean
  readonly #seen = new Set<OverlayInode>()
  readonly #changed: ChangedName[] = []

  constructor(overlay: OverlayFilesystem, attempt: Attempt, keeps: (path: string) => boolean) {
    this.#overlay = overlay
    this.#attempt = attempt
    this.#keeps = keeps
  }

  run(root: OverlayDirectory): ChangedName[] {
    this.#children(root, [])
    return this.#changed
  }

  #children(directory: OverlayDirectory, way: readonly string[]): void {
    for (const [name, node] of [...directory.known()]) this.#child(directory, node, [...way, name])
    directory.relist(this.#attempt)
  }

  #child(parent: OverlayDirectory, node: OverlayInode, way: readonly string[]): void {
    const name = way.at(-1)!
    if (this.#keeps(way.join('/'))) {
      if (node.kind === 'directory') this.#children(node, way)
      return
    }
    const found = search(this.#overlay.marks, undefined, parent.lowers, name, this.#attempt)
    const again = this.#seen.has(node)
    if (found?.lower?.kind === node.kind && !again && this.#staysItself(node)) {
      this.#seen.add(node)
      this.#lower(parent, node, name, found)
      if (node.kind === 'directory') this.#children(node, way)
      return
    }
    if (found && node.upper === undefined && !again) return
    // A further name of a file that has several: below, each name is a file of its own until it is looked up.
    parent.forgetNode(name)
    this.#changed.push(way)
    if (!again) this.#lose(node)
  }
}
