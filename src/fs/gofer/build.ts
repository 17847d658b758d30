/**
 * From a tree as it was handed in to inodes, in one pass over the entries. A tree comes from a page, so everything in it
 * is checked here, once; the first fault refuses the whole tree.
 *
 * Inode numbers derive from paths (vfs/path-numbers.ts), so that a file keeps its number over a reload, whatever else comes to the
 * tree or goes.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { NAME_MAX, PATH_MAX } from '../../abi/linux.ts'
import type { Tree, TreeEntry } from '../../abi/tree.ts'
import { utf8Length } from '../../abi/utf8.ts'
import { PathNumbers, ROOT_INO } from '../../vfs/path-numbers.ts'
import { TreeDirectory, TreeFile, type TreeFilesystem, TreeSymlink } from './inodes.ts'

/** The largest uid or gid; one more stands for "leave it" in chown(2). */
const ID_MAX = 2 ** 32 - 2

/** The root of a tree's files, how many there are, and the 512-byte blocks that they are known to take. */
export interface BuiltTree {
  readonly root: TreeDirectory | TreeFile
  readonly files: number
  readonly blocks: number
}

/** Errors: EINVAL for a tree that breaks a rule; `path` and `detail` name the entry and the rule. */
export function buildTree(filesystem: TreeFilesystem, tree: Tree): BuiltTree {
  if (!Array.isArray(tree?.entries)) throw new ErrnoError('EINVAL', undefined, 'a tree must be { entries: [] }')
  return new Builder(filesystem, tree.entries).build()
}

class Builder {
  readonly #filesystem: TreeFilesystem
  readonly #entries: readonly TreeEntry[]
  #root: TreeDirectory | TreeFile
  /** By path. */
  readonly #directories = new Map<string, TreeDirectory>()
  /** Where the last entry went: the next one mostly goes there too. */
  #parentPath = ''
  #parent: TreeDirectory
  /** The entry that is placed now. */
  #index = 0
  readonly #numbers = new PathNumbers()
  #files = 1
  #blocks = 0

  constructor(filesystem: TreeFilesystem, entries: readonly TreeEntry[]) {
    const root = new TreeDirectory({ filesystem, name: '', cookie: 0 })
    root.imply(ROOT_INO)
    this.#filesystem = filesystem
    this.#entries = entries
    this.#root = root
    this.#parent = root
    this.#directories.set('', root)
  }

  build(): BuiltTree {
    for (const entry of this.#entries) {
      const fault = faultOf(entry)
      if (fault !== undefined) this.#refuse(fault)
      if (entry.path === '') this.#placeRoot(entry)
      else this.#place(entry)
      this.#index++
    }
    return { root: this.#root, files: this.#files, blocks: this.#blocks }
  }

  #placeRoot(entry: TreeEntry): void {
    const root = this.#root
    if (entry.kind === 'directory' && root.kind === 'directory') {
      if (root.named) this.#refuse('the root is there already')
      root.become(ROOT_INO, entry)
    } else {
      if (this.#entries.length > 1) this.#refuse('the root must be a directory, or the only entry')
      if (entry.kind !== 'file') this.#refuse('the root must be a directory or a file')
      this.#root = new TreeFile({ filesystem: this.#filesystem, name: '', cookie: 0 }, ROOT_INO, entry)
      this.#blocks = this.#root.blocks
    }
  }

  #place(entry: TreeEntry): void {
    const { path } = entry
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const parent = this.#directory(slash < 0 ? '' : path.slice(0, slash))
    const there = parent.child(name)
    if (there?.kind === 'directory' && entry.kind === 'directory' && !there.named) {
      there.become(there.ino, entry)
      return
    }
    if (there) this.#refuse('the name is there already')
    this.#checkName(name)
    this.#files++
    const ino = this.#numbers.of(path)
    const place = parent.placeOf(name)
    if (entry.kind === 'directory') {
      const directory = new TreeDirectory(place)
      directory.become(ino, entry)
      parent.add(directory)
      this.#directories.set(path, directory)
    } else if (entry.kind === 'symlink') {
      parent.add(new TreeSymlink(place, ino, entry))
    } else {
      const file = new TreeFile(place, ino, entry)
      this.#blocks += file.blocks
      parent.add(file)
    }
  }

  /** The directory at a path, which is made where it is missing. */
  #directory(path: string): TreeDirectory {
    if (path !== this.#parentPath) {
      this.#parent = this.#directories.get(path) ?? this.#imply(path)
      this.#parentPath = path
    }
    return this.#parent
  }

  #imply(path: string): TreeDirectory {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const above = slash < 0 ? '' : path.slice(0, slash)
    const parent = this.#directories.get(above) ?? this.#imply(above)
    const there = parent.child(name)
    if (there) this.#refuse(`'${path}' is a ${there.kind}, so nothing can be below it`)
    this.#checkName(name)
    const directory = new TreeDirectory(parent.placeOf(name))
    directory.imply(this.#numbers.of(path))
    this.#files++
    parent.add(directory)
    this.#directories.set(path, directory)
    return directory
  }

  #checkName(name: string): void {
    if (name === '') this.#refuse('a name must not be empty')
    if (name === '.' || name === '..') this.#refuse(`a name must not be '${name}'`)
    if (name.length * 3 > NAME_MAX && utf8Length(name) > NAME_MAX) {
      this.#refuse(`a name must not be longer than ${NAME_MAX} bytes`)
    }
  }

  #refuse(rule: string): never {
    const path = this.#entries[this.#index]?.path
    throw new ErrnoError('EINVAL', typeof path === 'string' ? path : undefined, `tree entry ${this.#index}: ${rule}`)
  }
}

/** The rule that an entry by itself breaks, if any. Everything is looked at: a page need not be typed. */
function faultOf(entry: TreeEntry): string | undefined {
  if (typeof entry !== 'object' || entry === null) return 'must be an object'
  const { path, kind, content, target } = entry
  if (typeof path !== 'string') return 'path must be a string'
  const pathFault = faultOfText(path)
  if (pathFault !== undefined) return `the path ${pathFault}`
  if (path.startsWith('/')) return 'the path must be relative'
  if (kind !== 'file' && kind !== 'directory' && kind !== 'symlink')
    return "kind must be 'file', 'directory' or 'symlink'"
  if (content !== undefined && kind !== 'file') return `a ${kind} has no content`
  if (content !== undefined && !isContent(content))
    return 'content must be a Uint8Array, a Blob or { url, size? }, the URL absolute'
  if (kind === 'symlink') {
    if (typeof target !== 'string' || target === '') return 'a symlink must have a target'
    const targetFault = faultOfText(target)
    if (targetFault !== undefined) return `the target ${targetFault}`
  } else if (target !== undefined) return `a ${kind} has no target`
  return faultOfOwnership(entry)
}

function faultOfOwnership({ mode, uid, gid, mtime }: TreeEntry): string | undefined {
  if (mode !== undefined && !isInteger(mode, 0o7777)) return 'mode must be an integer from 0 to 07777'
  if (uid !== undefined && !isInteger(uid, ID_MAX)) return `uid must be an integer from 0 to ${ID_MAX}`
  if (gid !== undefined && !isInteger(gid, ID_MAX)) return `gid must be an integer from 0 to ${ID_MAX}`
  if (mtime !== undefined && typeof mtime !== 'bigint' && !Number.isFinite(mtime)) {
    return 'mtime must be nanoseconds as bigint or milliseconds as number'
  }
  return undefined
}

function faultOfText(text: string): string | undefined {
  if (text.includes('\0')) return 'must not hold NUL'
  if (!text.isWellFormed()) return 'must not hold half a surrogate pair'
  if (text.length * 3 >= PATH_MAX && utf8Length(text) >= PATH_MAX) return `must be shorter than ${PATH_MAX} bytes`
  return undefined
}

function isContent(content: unknown): boolean {
  if (content instanceof Uint8Array) return true
  if (typeof content !== 'object' || content === null) return false
  const { url, size } = content as { url?: unknown; size?: unknown }
  if (url === undefined) return isInteger(size, Number.MAX_SAFE_INTEGER)
  if (size !== undefined && !isInteger(size, Number.MAX_SAFE_INTEGER)) return false
  return typeof url === 'string' && /^[a-z][a-z0-9+.-]*:/i.test(url)
}

function isInteger(value: unknown, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max
}
