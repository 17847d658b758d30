/**
 * Makes several layers of one tree, for tests: stacked as lowers of an overlay they show just that tree, though no layer has all
 * of it, and though below each file there may be others, which whiteouts, files and opaque directories hide.
 *
 * What goes where is decided by the names alone, so that a failure is found again.
 */

import { encodeUtf8 } from '../abi/utf8.ts'
import type { DirectoryInode, FileInode, Inode, NewInode } from '../vfs/inode.ts'
import { none } from './trees.ts'

const LAYERS = 3

/** The layers' roots, the topmost first; `make` makes an empty one. The tree must not hold whiteouts. */
export function scattered(root: Inode, make: () => Inode): readonly DirectoryInode[] {
  const roots = Array.from({ length: LAYERS }, () => make() as DirectoryInode)
  spread(root as DirectoryInode, '', roots, new Map())
  return roots
}

/** `into` are the directories that merge, one of each layer from the top; there may be fewer than layers. */
function spread(from: DirectoryInode, path: string, into: readonly DirectoryInode[], copies: Map<Inode, Inode>): void {
  const names = [...from.entries(0, none)].map(({ name }) => name)
  for (const name of names) {
    const inode = from.lookup(name, none)!
    const at = `${path}/${name}`
    const chance = hash(at)
    if (inode.kind === 'directory') spread(inode, at, makeDirectories(inode, name, into, chance), copies)
    else if (inode.nlink > 1) {
      // All names of a file are of one layer: the one in which every directory is.
      const copy = copies.get(inode)
      if (copy) into[0]!.link!(name, copy, none)
      else copies.set(inode, copyTo(into[0]!, name, inode))
    } else {
      const layer = chance % into.length
      copyTo(into[layer]!, name, inode)
      for (let below = layer + 1; below < into.length; below++) decoy(into[below]!, name, (chance >> (2 * below)) % 4)
    }
  }
  // A name that is not there, though the bottom has it.
  const hidden = ['a', 'b', 'c', 'd'].find((name) => !names.includes(name))
  if (hidden && into.length > 1 && hash(`${path}/`) % 2) {
    decoy(into.at(-1)!, hidden, 1 + (hash(path) % 2))
    decoy(into.at(-2)!, hidden, 3)
  }
  for (const [layer, directory] of into.entries()) dress(directory, layer === 0 ? from : DECOY)
}

/** The directory in the layers that it is to be spread over; below, where it ends early, is what must not be seen. */
function makeDirectories(
  of: DirectoryInode,
  name: string,
  into: readonly DirectoryInode[],
  chance: number,
): readonly DirectoryInode[] {
  const count = chance % 3 === 0 ? 1 + ((chance >> 4) % into.length) : into.length
  const made = into.slice(0, count).map((directory) => directory.create!(name, newInode(of), none) as DirectoryInode)
  if (count === into.length) return made
  if (chance & 8) {
    made.at(-1)!.xattrs!.set('trusted.overlay.opaque', encodeUtf8('y'))
    decoy(into[count]!, name, 2)
  } else {
    decoy(into[count]!, name, chance & 16 ? 1 : 3)
    if (count + 1 < into.length) decoy(into[count + 1]!, name, 2)
  }
  return made
}

const DECOY = { mode: 0o600, uid: 77, gid: 77, atime: 77n, mtime: 77n }

/** Something that is not to be seen: nothing, a file, a directory with a file, a whiteout. */
function decoy(directory: DirectoryInode, name: string, what: number): void {
  const make = (at: DirectoryInode, name: string, kind: NewInode['kind']) =>
    at.create!(name, { kind, mode: kind === 'char' ? 0 : DECOY.mode, uid: 77, gid: 77, rdev: 0, now: 77n }, none)
  if (what === 0) return
  if (what === 3) make(directory, name, 'char')
  else {
    const made = make(directory, name, what === 1 ? 'file' : 'directory')
    const file = made.kind === 'directory' ? make(made, 'a', 'file') : made
    ;(file as FileInode).write!(encodeUtf8('decoy'), 0, 5, 0, none)
  }
}

const newInode = (of: Inode): NewInode => ({
  kind: of.kind,
  mode: of.mode & 0o7777,
  uid: of.uid,
  gid: of.gid,
  rdev: of.rdev,
  ...(of.kind === 'symlink' && { target: of.readlink(none) }),
  now: of.ctime,
})

function copyTo(directory: DirectoryInode, name: string, inode: Inode): Inode {
  const copy = directory.create!(name, newInode(inode), none)
  if (inode.kind === 'file') copyData(inode, copy as FileInode)
  dress(copy, inode)
  return copy
}

/** With its holes. */
function copyData(from: FileInode, to: FileInode): void {
  for (let at = from.nextData!(0, none); at !== undefined; ) {
    const end = from.nextHole!(at, none)!
    const bytes = new Uint8Array(end - at)
    from.read(bytes, 0, bytes.length, at, none)
    to.write!(bytes, 0, bytes.length, at, none)
    at = from.nextData!(end, none)
  }
  to.truncate!(from.size, none)
}

function dress(copy: Inode, like: Pick<Inode, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime' | 'xattrs'>): void {
  const { xattrs, uid, gid, atime, mtime } = like
  for (const key of xattrs?.keys() ?? []) copy.xattrs!.set(key, xattrs!.get(key)!)
  copy.setAttributes({ mode: like.mode & 0o7777, uid, gid, atime, mtime }, none)
}

/** FNV-1a, of 31 bits. */
function hash(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) & 0x7fffffff
}
