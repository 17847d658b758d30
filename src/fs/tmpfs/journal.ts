/**
 * What of a tmpfs has changed since its last commit: inodes, names in directories, pages of files.
 *
 * Invariant: what is not in `changes` is as the last commit that was begun has it.
 */

import type { ListedEntry } from '../../vfs/inode.ts'
import type { PagePool } from '../../vfs/page-pool.ts'
import type { BlockQuota, KeptPage, PageKeeper } from '../../vfs/pages.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { TmpfsDirectory, TmpfsFile, TmpfsNode } from './inodes.ts'
import { partOfCookie, partOfPage } from './items.ts'
import type { Kept, Segment, Segments } from './segments.ts'
import type { Tmpfs } from './tmpfs.ts'

/** What of one inode, besides its attributes. */
export interface Change {
  readonly names: Set<string>
  readonly pages: Set<number>
  /** The parts that the names and pages are in, or were. */
  readonly parts: Set<number>
  /** Of a file the size that it had before. */
  readonly size: number
  /** In which its pages were before. */
  readonly segments: Set<Segment>
}

function addChange(earlier: Change, later: Change): void {
  for (const set of ['names', 'pages', 'parts', 'segments'] as const)
    for (const each of later[set]) earlier[set].add(each as never)
}

/** Who commits. */
export interface JournalOwner {
  readonly segments: Segments
  attach(filesystem: Tmpfs): void
  /** One that has a name in the store. Errors: EIO for one that is damaged there. */
  inode(ino: number): TmpfsNode
  /** There is something to commit where there was nothing. */
  dirtied(): void
  /** So many bytes more were written, or are about to be. Throws WouldBlock where writers must wait for the store. */
  wrote(bytes: number, attempt: Attempt): void
  sync(attempt: Attempt): void
  release(): void
}

export class Journal {
  changes = new Map<TmpfsNode, Change>()
  readonly owner: JournalOwner
  #paused = false

  constructor(owner: JournalOwner) {
    this.owner = owner
  }

  attach(filesystem: Tmpfs): void {
    this.unheard(() => this.owner.attach(filesystem))
  }

  /** What is done changes nothing: it makes what is in the store already. */
  unheard<T>(work: () => T): T {
    const before = this.#paused
    this.#paused = true
    try {
      return work()
    } finally {
      this.#paused = before
    }
  }

  changed(node: TmpfsNode): Change {
    let change = this.changes.get(node)
    if (change) return change
    change = { names: new Set(), pages: new Set(), parts: new Set(), size: node.size, segments: new Set() }
    if (this.#paused) return change
    this.changes.set(node, change)
    if (this.changes.size === 1) this.owner.dirtied()
    return change
  }

  entered(directory: TmpfsDirectory, entry: ListedEntry, inode: TmpfsNode): void {
    this.changed(inode)
    this.left(directory, entry)
  }

  left(directory: TmpfsDirectory, { name, cookie }: ListedEntry): void {
    const change = this.changed(directory)
    change.names.add(name)
    change.parts.add(partOfCookie(cookie))
  }

  quotaFor(file: TmpfsFile): BlockQuota {
    return new FileKeeper(this, file)
  }

  pageChanged(file: TmpfsFile, index: number, segment?: Segment): void {
    const change = this.changed(file)
    change.pages.add(index)
    change.parts.add(partOfPage(index))
    if (segment) change.segments.add(segment)
  }

  /** What was taken has changed still, whatever has changed since. */
  giveBack(changes: Iterable<[TmpfsNode, Change]>): void {
    const later = this.changes
    this.changes = new Map(changes)
    for (const [node, change] of later) {
      const earlier = this.changes.get(node)
      if (earlier) addChange(earlier, change)
      else this.changes.set(node, change)
    }
  }

  writing(file: TmpfsFile, length: number, attempt: Attempt): void {
    this.owner.wrote(length, attempt)
    this.changed(file)
  }

  sync(attempt: Attempt): void {
    this.owner.sync(attempt)
  }

  release(): void {
    this.owner.release()
  }
}

/** What the data of a file that is kept is made with: space is its filesystem's. */
class FileKeeper implements BlockQuota, PageKeeper {
  readonly #journal: Journal
  readonly #file: TmpfsFile

  constructor(journal: Journal, file: TmpfsFile) {
    this.#journal = journal
    this.#file = file
  }

  get pool(): PagePool {
    return this.#file.filesystem.pool
  }

  get keeper(): PageKeeper {
    return this
  }

  take(blocks: number): boolean {
    return this.#file.filesystem.take(blocks)
  }

  give(blocks: number): void {
    this.#file.filesystem.give(blocks)
  }

  changed(index: number, kept: KeptPage | undefined): void {
    if (kept) this.#journal.owner.segments.leave(kept as Kept)
    this.#journal.pageChanged(this.#file, index, (kept as Kept | undefined)?.segment)
  }

  load(kept: KeptPage): Uint8Array {
    return this.#journal.owner.segments.load(kept as Kept, this.pool)
  }
}
