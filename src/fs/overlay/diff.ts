/**
 * What the upper layer of an overlay changes in what the lower ones show. A file that was only copied up is no change: its
 * metadata, and then its bytes, are compared.
 */

import type { FileKind } from '../../abi/syscalls.ts'
import type { DirectoryInode, FileInode, Inode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { isWhiteout, type Marks } from './marks.ts'
import { type LowerDirectory, search } from './merge.ts'
import type { OverlayFilesystem } from './overlay.ts'

export interface LayerChange {
  /** From the root of the overlay, without a slash in front; empty for the root itself. */
  readonly path: string
  readonly change: 'added' | 'changed' | 'deleted'
  /** What is there now, or was there if it was deleted. */
  readonly kind: FileKind
  /** Bytes, of files and links; 0 for others. */
  readonly size: number
  /** Of what was changed: what the lower layers have. */
  readonly before?: { readonly kind: FileKind; readonly size: number }
}

/** In the order of names. What lies below a deleted or replaced directory is not listed one by one; what is added is. */
export function diffUpper(overlay: OverlayFilesystem, attempt: Attempt): LayerChange[] {
  const { upperRoot, root, marks } = overlay
  const diff = new Diff(marks, attempt)
  if (upperRoot && root.kind === 'directory') {
    const below = root.lowers[0]?.directory
    if (below) diff.compare('', upperRoot, below)
    diff.directory('', upperRoot, root.lowers)
  }
  return diff.changes
}

const PIECE = 64 * 1024

class Diff {
  readonly changes: LayerChange[] = []
  readonly #marks: Marks
  readonly #attempt: Attempt

  constructor(marks: Marks, attempt: Attempt) {
    this.#marks = marks
    this.#attempt = attempt
  }

  directory(prefix: string, upper: DirectoryInode, lowers: readonly LowerDirectory[]): void {
    const attempt = this.#attempt
    const entries = [...upper.entries(0, attempt)].sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const { name } of entries) {
      const inode = upper.lookup(name, attempt)
      if (!inode) continue
      const path = prefix + name
      const found = search(this.#marks, undefined, lowers, name, attempt)
      const below = found?.lower
      if (isWhiteout(inode)) {
        if (below) this.changes.push({ path, change: 'deleted', ...told(below) })
        continue
      }
      if (below) this.compare(path, inode, below)
      else this.changes.push({ path, change: 'added', ...told(inode) })
      if (inode.kind !== 'directory') continue
      const opaque = this.#marks.isOpaque(inode)
      if (found && opaque) this.#hidden(`${path}/`, inode, found.lowers)
      this.directory(`${path}/`, inode, opaque && !found ? [] : (found?.lowers ?? []))
    }
  }

  compare(path: string, now: Inode, before: Inode): void {
    if (this.#isSame(now, before)) return
    this.changes.push({ path, change: 'changed', ...told(now), before: told(before) })
  }

  /** What an opaque directory hides, and has nothing in the place of. */
  #hidden(prefix: string, upper: DirectoryInode, lowers: readonly LowerDirectory[]): void {
    const attempt = this.#attempt
    const names = new Set(lowers.flatMap(({ directory }) => [...directory.entries(0, attempt)].map(({ name }) => name)))
    for (const name of [...names].sort()) {
      if (upper.lookup(name, attempt)) continue
      const below = search(this.#marks, undefined, lowers, name, attempt)?.lower
      if (below) this.changes.push({ path: prefix + name, change: 'deleted', ...told(below) })
    }
  }

  #isSame(now: Inode, before: Inode): boolean {
    if (now.kind !== before.kind || now.mode !== before.mode || now.uid !== before.uid || now.gid !== before.gid)
      return false
    if (now.rdev !== before.rdev || !this.#sameXattrs(now, before)) return false
    if (now.kind === 'directory') return true
    if (now.mtime !== before.mtime || now.size !== before.size) return false
    if (now.kind === 'symlink') return now.readlink(this.#attempt) === (before as typeof now).readlink(this.#attempt)
    return now.kind !== 'file' || this.#sameData(now, before as FileInode)
  }

  #sameXattrs(now: Inode, before: Inode): boolean {
    const [ours, theirs] = [now, before].map((inode) => {
      const names = inode.hasXattrs === false ? [] : [...(inode.xattrs?.keys() ?? [])]
      return names.filter((name) => !this.#marks.isPrivate(name)).sort()
    }) as [string[], string[]]
    if (ours.join('\0') !== theirs.join('\0')) return false
    return ours.every((name) => sameBytes(now.xattrs!.get(name)!, before.xattrs!.get(name)!))
  }

  #sameData(now: FileInode, before: FileInode): boolean {
    const [ours, theirs] = [new Uint8Array(PIECE), new Uint8Array(PIECE)]
    for (let at = 0; at < now.size; at += PIECE) {
      const count = now.read(ours, 0, PIECE, at, this.#attempt)
      before.read(theirs, 0, PIECE, at, this.#attempt)
      if (!sameBytes(ours.subarray(0, count), theirs.subarray(0, count))) return false
    }
    return true
  }
}

const told = ({ kind, size }: Inode) => ({ kind, size: kind === 'file' || kind === 'symlink' ? size : 0 })

const sameBytes = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i])
