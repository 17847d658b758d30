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

/** What of one inode, besides its attributes. Most are a file's whose first page has changed: that one needs no set. */
export class Change {
  /** Of a file the size that it had before. */
  readonly size: number
  #isFirst = false
  #names: Set<string> | undefined
  #pages: Set<number> | undefined
  #parts: Set<number> | undefined
  #segments: Set<Segment> | undefined

  constructor(size: number) {
    this.size = size
  }

  name(name: string, cookie: number): void {
    this.#names ??= new Set()
    this.#names.add(name)
    this.#part(partOfCookie(cookie))
  }

  /** `segment` is in which it was before. */
  page(index: number, segment?: Segment): void {
    if (segment) {
      this.#segments ??= new Set()
      this.#segments.add(segment)
    }
    if (index === 0) this.#isFirst = true
    else {
      this.#pages ??= new Set()
      this.#pages.add(index)
      this.#part(partOfPage(index))
    }
  }

  #part(part: number): void {
    if (part === 0) return
    this.#parts ??= new Set()
    this.#parts.add(part)
  }

  /** As if what is in the other, which is newer, were in this, too. */
  add(later: Change): void {
    this.#isFirst ||= later.#isFirst
    this.#names = union(this.#names, later.#names)
    this.#pages = union(this.#pages, later.#pages)
    this.#parts = union(this.#parts, later.#parts)
    this.#segments = union(this.#segments, later.#segments)
  }

  get names(): readonly string[] {
    return this.#names ? [...this.#names] : []
  }

  get pages(): readonly number[] {
    if (!this.#pages) return this.#isFirst ? FIRST_PAGE : NO_PAGES
    return this.#isFirst ? [0, ...this.#pages] : [...this.#pages]
  }

  /** The parts above 0 that the names and pages are in, or were. */
  get parts(): Iterable<number> {
    return this.#parts ?? NO_PAGES
  }

  /** In which its pages were before. */
  get segments(): Iterable<Segment> {
    return this.#segments ?? NO_SEGMENTS
  }
}

const NO_PAGES: readonly number[] = []
const NO_SEGMENTS: readonly Segment[] = []
const FIRST_PAGE: readonly number[] = [0]

function union<T>(one: Set<T> | undefined, other: Set<T> | undefined): Set<T> | undefined {
  if (!one || !other) return one ?? other
  for (const each of other) one.add(each)
  return one
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
    change = new Change(node.size)
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
    this.changed(directory).name(name, cookie)
  }

  quotaFor(file: TmpfsFile): BlockQuota {
    return new FileKeeper(this, file)
  }

  pageChanged(file: TmpfsFile, index: number, segment?: Segment): void {
    this.changed(file).page(index, segment)
  }

  /** What was taken has changed still, whatever has changed since. */
  giveBack(changes: Iterable<[TmpfsNode, Change]>): void {
    const later = this.changes
    this.changes = new Map(changes)
    for (const [node, change] of later) {
      const earlier = this.changes.get(node)
      if (earlier) earlier.add(change)
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
