/**
 * The files of a gofer tree.
 *
 * Invariant: once its tree is built nothing changes but the size of a file behind a URL, which is learnt before anyone
 * can look the file up. There are no hard links, so an inode has one name and is its own entry in a listing.
 * What a file needs only when it is used (its source, its times as bigint, a directory's list) is made at the first use:
 * most files of a sysroot are never opened.
 */

import { S_IFDIR, S_IFLNK, S_IFREG } from '../../abi/linux.ts'
import type { TreeContent, TreeEntry } from '../../abi/tree.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type {
  DirectoryInode,
  FileInode,
  Filesystem,
  Inode,
  InodeAttributes,
  ListedEntry,
  PageSource,
  SymlinkInode,
} from '../../vfs/inode.ts'
import { FIRST_COOKIE } from '../../vfs/inode.ts'
import { UnchangingInode } from '../../vfs/unchanging-inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { ContentReaders } from './content.ts'
import { UrlSource } from './url-source.ts'

/** What the inodes of a tree share. */
export interface TreeFilesystem extends Filesystem {
  readonly readers: ContentReaders
  /** When the tree was handed in: the time of files that have none. */
  readonly now: bigint
}

/** Where an inode is in its tree. The root has no name. */
export interface Place {
  readonly filesystem: TreeFilesystem
  readonly name: string
  readonly cookie: number
}

/** The part of an entry that every inode keeps. */
type Ownership = Pick<TreeEntry, 'mode' | 'uid' | 'gid' | 'mtime'>

abstract class TreeInode extends UnchangingInode implements InodeAttributes {
  readonly filesystem: TreeFilesystem
  readonly name: string
  /** Of its entry in the directory that holds it. */
  readonly cookie: number
  abstract readonly size: number
  abstract readonly blocks: number
  ino = 0
  mode = 0
  uid = 0
  gid = 0
  #time: bigint | number | undefined

  constructor(place: Place) {
    super()
    this.filesystem = place.filesystem
    this.name = place.name
    this.cookie = place.cookie
  }

  get nlink(): number {
    return 1
  }

  get mtime(): bigint {
    const time = this.#time
    if (typeof time === 'bigint') return time
    this.#time = time === undefined ? this.filesystem.now : nanoseconds(time)
    return this.#time
  }

  protected describe(ino: number, type: number, mode: number, of: Ownership, mtime = of.mtime): void {
    this.ino = ino
    this.mode = type | (of.mode ?? mode)
    this.uid = of.uid ?? 0
    this.gid = of.gid ?? 0
    this.#time = mtime
  }
}

export type TreeChild = TreeDirectory | TreeFile | TreeSymlink

export class TreeDirectory extends TreeInode implements DirectoryInode {
  readonly kind = 'directory'
  readonly size = 4096
  readonly blocks = 8
  readonly #children = new Map<string, TreeChild>()
  #list: readonly TreeChild[] | undefined
  #subdirectories = 0
  #named = false

  override get nlink(): number {
    return 2 + this.#subdirectories
  }

  lookup(name: string, attempt: Attempt): Inode | undefined {
    const child = this.#children.get(name)
    if (child?.kind === 'file' && child.size === UNKNOWN) child.learnSize(attempt)
    return child
  }

  *entries(after: number): Iterable<ListedEntry> {
    this.#list ??= [...this.#children.values()]
    for (let i = Math.max(0, after + 1 - FIRST_COOKIE); i < this.#list.length; i++) yield this.#list[i]!
  }

  isEmpty(): boolean {
    return this.#children.size === 0
  }

  /** While the tree is built: a child and the place of the next one. */
  child(name: string): TreeChild | undefined {
    return this.#children.get(name)
  }

  placeOf(name: string): Place {
    return { filesystem: this.filesystem, name, cookie: this.#children.size + FIRST_COOKIE }
  }

  /** While the tree is built. Preconditions: the name is free, the child's place is from `placeOf`, nothing was added since. */
  add(child: TreeChild): void {
    this.#children.set(child.name, child)
    if (child.kind === 'directory') this.#subdirectories++
  }

  /** Whether an entry of the tree names it, and not only entries below it. */
  get named(): boolean {
    return this.#named
  }

  /** While the tree is built: makes it what an entry says, which may come behind entries below it. */
  become(ino: number, entry: TreeEntry): void {
    this.describe(ino, S_IFDIR, 0o755, entry)
    this.#named = true
  }

  /** While the tree is built: no entry names it. */
  imply(ino: number): void {
    this.describe(ino, S_IFDIR, 0o755, {})
  }
}

/** The size of a file that only its server knows, until it is learnt. */
const UNKNOWN = -1

const NOTHING = new Uint8Array(0)

export class TreeFile extends TreeInode implements FileInode {
  readonly kind = 'file'
  size: number
  /** What the tree says of its content. */
  readonly given: TreeContent
  /** What an error calls the file. */
  readonly #path: string
  #source: PageSource | undefined

  constructor(place: Place, ino: number, entry: TreeEntry) {
    super(place)
    const content = entry.content ?? NOTHING
    this.given = content
    this.#path = entry.path || 'the file'
    if (content instanceof Uint8Array) this.size = content.length
    else this.size = content.size ?? UNKNOWN
    this.describe(ino, S_IFREG, 0o644, entry, entry.mtime ?? lastModified(content))
  }

  get blocks(): number {
    return Math.ceil(Math.max(0, this.size) / 512)
  }

  /** Fetches the file if its size is not known. Throws WouldBlock until it is; errors: EIO. */
  learnSize(attempt: Attempt): void {
    if (this.size !== UNKNOWN || !('url' in this.given)) return
    this.size = this.filesystem.readers.url(this.given).content(attempt, { again: true }).size
  }

  /** Whoever opens a file once more may hope that its server is back. */
  opened(): void {
    const source = this.immutableSource()
    if (source instanceof UrlSource) source.retry()
  }

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    const count = Math.min(length, this.size - offset)
    if (count <= 0) return 0
    let source = this.immutableSource()
    if (source instanceof UrlSource) source = source.content(attempt, { again: false })
    source.read(memory, at, count, offset, attempt)
    return count
  }

  immutableSource(): PageSource {
    this.#source ??= this.filesystem.readers.source(this.given, this.#path)
    return this.#source
  }
}

export class TreeSymlink extends TreeInode implements SymlinkInode {
  readonly kind = 'symlink'
  readonly blocks = 0
  readonly #target: string

  constructor(place: Place, ino: number, entry: TreeEntry) {
    super(place)
    this.#target = entry.target!
    this.describe(ino, S_IFLNK, 0o777, entry)
  }

  get size(): number {
    return utf8Length(this.#target)
  }

  readlink(): string {
    return this.#target
  }
}

function lastModified(content: TreeContent): number | undefined {
  return 'lastModified' in content ? content.lastModified : undefined
}

/** Milliseconds with a fraction to nanoseconds: apart, because together they do not fit in a double. */
function nanoseconds(milliseconds: number): bigint {
  const whole = Math.floor(milliseconds)
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((milliseconds - whole) * 1e6))
}
