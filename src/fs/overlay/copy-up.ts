/**
 * Bringing lower inodes into the upper layer, under the same path and with everything stat(2) tells but ctime.
 *
 * Invariants: what must be waited for (a file's data, a link's target) is brought together first, in files without a name
 * that the Attempt holds (its end gives the space back); then everything is placed without waiting. If that fails, the upper is as it was.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { DirectoryInode, FileInode, Inode, NewInode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { OverlayDirectory } from './directory.ts'
import type { OverlayInode, OverlayNode } from './node.ts'

const PIECE = 256 * 1024

/** What was done in a layer, to be undone if a later step fails. */
export class Undo {
  readonly #steps: (() => void)[] = []

  push(step: () => void): void {
    this.#steps.push(step)
  }

  /** Undoes the last step first. A step that fails is a fault of the upper that nothing can mend: EIO. */
  run(): void {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        step()
      } catch {
        throw new ErrnoError('EIO', undefined, 'the upper layer could not be put back as it was')
      }
    }
  }
}

/** Runs a change of several steps; if one fails, those before it are undone. */
export function allOrNothing(change: (undo: Undo) => void): void {
  const undo = new Undo()
  try {
    change(undo)
  } catch (failure) {
    undo.run()
    throw failure
  }
}

/** Copies up one inode and the directories above it. A file gets the size `size` on the way: what is cut is not copied. */
export function copyUp(node: OverlayNode, attempt: Attempt, size?: number): void {
  if (!node.filesystem.upper) throw new ErrnoError('EROFS')
  const ready = prepare(node as OverlayInode, attempt, size)
  if (node.dead) placeNameless(ready, attempt)
  else {
    placeParents(node, attempt)
    allOrNothing((undo) => place(ready, attempt, undo))
  }
}

/** Makes sure that a directory and all above it are in the upper. */
export function placeParents(node: OverlayNode, attempt: Attempt): void {
  const chain: OverlayDirectory[] = []
  for (let above = node.parent; above && !above.upper; above = above.parent) chain.push(above)
  for (const directory of chain.reverse()) allOrNothing((undo) => place({ node: directory }, attempt, undo))
}

/** An inode with all that was to be waited for. */
export interface Prepared {
  readonly node: OverlayInode
  readonly target?: string
  /** The finished copy of a file, without a name; undefined if the upper can't make one. */
  readonly stage?: FileInode
  readonly size?: number | undefined
}

/** Brings together what copying the node takes. May throw WouldBlock. */
export function prepare(node: OverlayInode, attempt: Attempt, size?: number): Prepared {
  if (node.kind === 'symlink') return { node, target: node.real.readlink(attempt) }
  if (node.kind !== 'file') return { node }
  const { upperRoot } = node.filesystem
  if (!upperRoot?.createUnnamed) return { node, size }
  const stage = attempt.note(node, () => {
    const file = upperRoot.createUnnamed!(newInode(node), attempt) as FileInode
    // Held for as long as the call runs: after a wait the copying goes on where it stopped.
    file.opened?.()
    attempt.onEnd(() => file.closed?.())
    return new DataCopy(file)
  })
  stage.run(node.real, size, attempt)
  return { node, stage: stage.file }
}

/** The copying of a file's data: by reference where both sides can, else in pieces. Goes on after a wait when run again. */
export class DataCopy {
  readonly file: FileInode
  #done = 0
  /** The ctime of the source that was copied from so far. */
  #of: bigint | undefined

  constructor(file: FileInode) {
    this.file = file
  }

  run(source: FileInode, wanted: number | undefined, attempt: Attempt): void {
    if (this.#of !== source.ctime && this.#done > 0) {
      // It changed while this waited: a copy is of one moment.
      this.#done = 0
      this.file.truncate?.(0, attempt)
    }
    this.#of = source.ctime
    const size = wanted ?? source.size
    const end = Math.min(size, source.size)
    if (this.#done < end) this.#copy(source, end, attempt)
    const { file } = this
    if (file.size === size) return
    if (!file.truncate) throw new ErrnoError('EROFS')
    file.truncate(size, attempt)
  }

  #copy(source: FileInode, end: number, attempt: Attempt): void {
    const { file } = this
    const pages = this.#done === 0 && file.adopt ? source.immutableSource?.(attempt) : undefined
    if (pages) {
      file.adopt!(pages)
      this.#done = source.size
      return
    }
    const buffer = new Uint8Array(Math.min(PIECE, end - this.#done))
    while (this.#done < end) {
      const hole = source.nextHole ? (source.nextHole(this.#done, attempt) ?? end) : end
      if (hole === this.#done) this.#done = Math.min(end, source.nextData?.(hole, attempt) ?? end)
      else this.#piece(source, buffer, Math.min(buffer.length, hole - this.#done, end - this.#done), attempt)
    }
  }

  #piece(source: FileInode, buffer: Uint8Array, length: number, attempt: Attempt): void {
    const count = source.read(buffer, 0, length, this.#done, attempt)
    if (count === 0) throw new ErrnoError('EIO', undefined, 'a lower file is shorter than its size')
    writeAll(this.file, buffer, count, this.#done, attempt)
    this.#done += count
  }
}

/** Errors: ENOSPC, also of a file that takes nothing more. */
export function writeAll(file: FileInode, bytes: Uint8Array, length: number, offset: number, attempt: Attempt): void {
  for (let done = 0; done < length; ) {
    const count = file.write?.(bytes, done, length - done, offset + done, attempt) ?? 0
    if (count === 0) throw new ErrnoError('ENOSPC')
    done += count
  }
}

const newInode = ({ kind, real, filesystem }: OverlayInode, target?: string): NewInode => ({
  kind,
  mode: real.mode & 0o7777,
  uid: real.uid,
  gid: real.gid,
  ...(target !== undefined && { target }),
  rdev: real.rdev,
  now: filesystem.clock.coarse(),
})

/**
 * Gives a prepared inode its name in the upper. Preconditions: its parent is there. Errors: ENOSPC, and then nothing of
 * this inode is left there.
 */
export function place(ready: Prepared, attempt: Attempt, undo: Undo): void {
  const { node } = ready
  const parent = node.parent!
  node.filesystem.requireUpperName(node.name)
  const directory = parent.upper!
  const { mtime, atime, ctime } = directory
  const inode = make(ready, directory, node.name, attempt, undo)
  // Copying up is no change of the directory that anybody made.
  if (directory.mtime !== mtime || directory.ctime !== ctime) directory.setAttributes({ atime, mtime, ctime }, attempt)

  const { real, ino } = node
  // Names of a lower file part at copy-up, so its number can stay with none of them (Linux without index=on).
  const keepsIno = node.kind === 'directory' || real.nlink === 1
  if (keepsIno) node.filesystem.marks.keepIno(inode, ino)
  else node.ino = node.filesystem.ofUpper(inode)
  parent.renumbered(node)
  switchTo(node, inode, inode)
  undo.push(() => {
    switchTo(node, real, undefined)
    node.ino = ino
    parent.renumbered(node)
  })
}

/** Makes the copy under a name; what is left of a failure is undone. */
function make(ready: Prepared, directory: DirectoryInode, name: string, attempt: Attempt, undo: Undo): Inode {
  const { node, stage } = ready
  if (stage) {
    copyAttributes(node, stage, attempt)
    directory.link!(name, stage, attempt)
    undo.push(() => directory.unlink!(name, stage, attempt))
    return stage
  }
  const inode = directory.create!(name, newInode(node, ready.target), attempt)
  undo.push(() => directory.unlink!(name, inode, attempt))
  if (inode.kind === 'file' && node.kind === 'file') {
    new DataCopy(inode).run(node.real, ready.size, attempt)
  }
  copyAttributes(node, inode, attempt)
  return inode
}

/** A node that has no name any more, but is open, gets an upper inode without a name as well. */
function placeNameless(ready: Prepared, attempt: Attempt): void {
  const { node, stage } = ready
  const { upperRoot } = node.filesystem
  if (stage) {
    copyAttributes(node, stage, attempt)
    switchTo(node, stage, stage)
    return
  }
  if (!upperRoot) throw new ErrnoError('ENOENT')
  allOrNothing((undo) => {
    const name = node.filesystem.freeName(upperRoot, undefined, attempt)
    const inode = make(ready, upperRoot, name, attempt, undo)
    switchTo(node, inode, inode)
    upperRoot.unlink!(name, inode, attempt)
  })
}

/** Descriptions follow. */
export function switchTo(node: OverlayNode, real: Inode, upper: Inode | undefined): void {
  for (let i = 0; i < node.opens; i++) real.opened?.()
  for (let i = 0; i < node.opens; i++) node.real.closed?.()
  node.real = real
  node.upper = upper
}

/** Owner and kind came with the making. Mode once more: writing the data may have cleared its set-id bits. */
function copyAttributes({ real, filesystem }: OverlayInode, copy: Inode, attempt: Attempt): void {
  const { marks } = filesystem
  if (real.xattrs && copy.xattrs) {
    for (const name of real.xattrs.keys()) {
      if (marks.isPrivate(name)) continue
      try {
        copy.xattrs.set(name, real.xattrs.get(name)!.slice())
      } catch (failure) {
        const tolerable = failure instanceof ErrnoError && failure.code === 'EOPNOTSUPP'
        if (!tolerable || name === 'security.capability') throw failure
      }
    }
  }
  copy.setAttributes({ mode: real.mode & 0o7777, atime: real.atime, mtime: real.mtime }, attempt)
}
