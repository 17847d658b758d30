/**
 * From the entries of an archive to the files of a layer. An archive may come from anywhere: every name is taken apart here,
 * names lead nowhere but to what the archive itself has, and the first fault refuses it whole.
 *
 * Two forms are read. A `layer` is OCI's (image-spec layer.md): deletions are files named `.wh.NAME`, directories that may be
 * missing are made. A `snapshot` is ours and gVisor's: deletions are devices 0:0, names are below `./` and mean what they
 * say, and every directory has an entry of its own.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { NAME_MAX, PATH_MAX } from '../../abi/linux.ts'
import { utf8Length } from '../../abi/utf8.ts'
import {
  type LayerAttributes,
  LayerDirectory,
  LayerFile,
  type LayerInode,
  LayerSpecial,
  LayerSymlink,
} from '../../fs/layer/inodes.ts'
import { LayerFilesystem } from '../../fs/layer/layer.ts'
import { isWhiteout } from '../../fs/overlay/marks.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { PathNumbers } from '../../vfs/path-numbers.ts'
import type { ReadEntry } from './read-tar.ts'

export type ArchiveForm = 'layer' | 'snapshot'

const OPAQUE = 'trusted.overlay.opaque'
const YES = new Uint8Array([0x79])
const WHITEOUT_PREFIX = '.wh.'
/** What AUFS kept for itself, and left in old images. */
const AUFS_PREFIX = '.wh..wh.'
const IMPLIED: LayerAttributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0n }
const DELETED: LayerAttributes = { mode: 0, uid: 0, gid: 0, mtime: 0n }

export class LayerBuilder {
  readonly filesystem = new LayerFilesystem(IMPLIED)
  /** What is left out of the layer, and why. */
  readonly warnings: string[] = []
  readonly #form: ArchiveForm
  /** By path; entries mostly come one behind the other in a directory. */
  #lastPath = ''
  #last: LayerDirectory = this.filesystem.root
  readonly #whiteouts: { directory: LayerDirectory; name: string; path: string }[] = []
  readonly #numbers = new PathNumbers()
  /** Directories that no entry names, by path. */
  readonly #implied = new Map<LayerDirectory, string>([[this.filesystem.root, '']])
  /** Of a snapshot, whose entries may come in any order. */
  readonly #waiting: ReadEntry[] = []

  constructor(form: ArchiveForm) {
    this.#form = form
  }

  /** Errors: EINVAL for an entry that breaks a rule; EEXIST for a name that is there; ENOTDIR and ENOENT for what is above it. */
  add(entry: ReadEntry): void {
    if (this.#form === 'layer') this.#place(entry)
    else if (entry.name.startsWith('./')) this.#waiting.push(entry)
    else this.#refuse(entry, 'ENOENT', "a name that is not below './' has no directory in the archive")
  }

  #place(entry: ReadEntry): void {
    const names = this.#namesOf(entry, entry.name)
    const name = names.pop()
    if (name === undefined) {
      this.#addRoot(entry)
      return
    }
    const directory = this.#directory(entry, names)
    if (this.#form === 'layer' && name.startsWith(WHITEOUT_PREFIX)) {
      this.#addWhiteout(entry, directory, names, name)
      return
    }
    const there = directory.lookup(name)
    if (there?.kind === 'directory' && entry.kind === 'directory') {
      there.become(this.#attributes(entry))
      this.#implied.delete(there)
      return
    }
    if (there) this.#refuse(entry, 'EEXIST', 'an entry before it has the same name')
    directory.add(name, this.#make(entry, pathOf(names, name)))
  }

  /** All entries were added. A directory that none of them names is as it is in the layers below, the topmost first. */
  finish(below: readonly LayerFilesystem[] = []): LayerFilesystem {
    const depth = ({ name }: ReadEntry) => name.split('/').length
    const rank = ({ kind }: ReadEntry) => (kind === 'directory' ? 0 : kind === 'link' ? 2 : 1)
    const directories = this.#waiting.filter(({ kind }) => kind === 'directory').sort((a, b) => depth(a) - depth(b))
    for (const entry of directories) this.#place(entry)
    for (const wanted of [1, 2]) for (const entry of this.#waiting) if (rank(entry) === wanted) this.#place(entry)
    for (const { directory, name, path } of this.#whiteouts) {
      const there = directory.lookup(name)
      // What is deleted below and made anew in the same layer does not merge.
      if (there?.kind === 'directory') there.setXattr(OPAQUE, YES)
      else if (!there)
        directory.add(name, new LayerSpecial(this.filesystem, this.#numbers.of(path), DELETED, 'char', 0))
    }
    for (const [directory, path] of this.#implied) {
      const there = findBelow(below, path)
      if (there) directory.become({ ...there, mode: there.mode & 0o7777, xattrs: undefined })
    }
    return this.filesystem
  }

  #addRoot(entry: ReadEntry): void {
    const { root } = this.filesystem
    if (entry.kind !== 'directory') this.#refuse(entry, 'ENOTDIR', 'the root must be a directory')
    root.become(this.#attributes(entry))
    this.#implied.delete(root)
  }

  #addWhiteout(entry: ReadEntry, directory: LayerDirectory, names: readonly string[], name: string): void {
    if (name === '.wh..wh..opq') directory.setXattr(OPAQUE, YES)
    else if (name.startsWith(AUFS_PREFIX)) this.warnings.push(`${entry.name}: kept by AUFS for itself, left out`)
    else {
      const deleted = name.slice(WHITEOUT_PREFIX.length)
      if (deleted === '' || deleted === '.' || deleted === '..') {
        this.#refuse(entry, 'EINVAL', `a whiteout can't be for the name '${deleted}'`)
      }
      this.#whiteouts.push({ directory, name: deleted, path: pathOf(names, deleted) })
    }
  }

  #make(entry: ReadEntry, path: string): LayerInode {
    const { kind, size, start, extents, target = '', major = 0, minor = 0 } = entry
    if (kind === 'link') return this.#linked(entry, target)
    const attributes = this.#attributes(entry)
    switch (kind) {
      case 'directory':
        return new LayerDirectory(this.filesystem, this.#numbers.of(path), attributes)
      case 'file':
        return new LayerFile(this.filesystem, this.#numbers.of(path), attributes, { start, size, extents })
      case 'symlink':
        if (utf8Length(target) >= PATH_MAX) this.#refuse(entry, 'EINVAL', `its target has ${PATH_MAX} bytes or more`)
        return new LayerSymlink(this.filesystem, this.#numbers.of(path), attributes, target)
      default:
        return new LayerSpecial(
          this.filesystem,
          this.#numbers.of(path),
          attributes,
          kind,
          kind === 'fifo' ? 0 : makeDevice(major, minor),
        )
    }
  }

  /** The file that a further name is for, which must be in the archive before it. */
  #linked(entry: ReadEntry, target: string): LayerInode {
    let inode: LayerInode | undefined = this.filesystem.root
    for (const name of this.#namesOf(entry, target)) {
      inode = inode?.kind === 'directory' ? inode.lookup(name) : undefined
    }
    if (!inode)
      this.#refuse(
        entry,
        'ENOENT',
        `it is a hard link to '${target}', which is not in the archive${this.#form === 'layer' ? ' before it' : ''}`,
      )
    if (inode.kind === 'directory') this.#refuse(entry, 'EINVAL', `it is a hard link to '${target}', a directory`)
    inode.nlink++
    return inode
  }

  /** The overlay's own attributes mean what its writer meant; but for the opaque mark they stay out. */
  #attributes({ kind, mode, uid, gid, mtime, xattrs }: ReadEntry): LayerAttributes {
    if (!xattrs) return { mode, uid, gid, mtime }
    const kept = new Map(xattrs)
    for (const name of xattrs.keys()) {
      if (/^(trusted|user)\.overlay\./.test(name) && !(name === OPAQUE && kind === 'directory')) kept.delete(name)
    }
    return { mode, uid, gid, mtime, xattrs: kept.size > 0 ? kept : undefined }
  }

  /** The names on the way, without `.` and empty ones. */
  #namesOf(entry: ReadEntry, path: string): string[] {
    if (path.startsWith('/')) this.#refuse(entry, 'EINVAL', `'${path}' is absolute`)
    if (path.length * 3 >= PATH_MAX && utf8Length(path) >= PATH_MAX) {
      this.#refuse(entry, 'EINVAL', `its path has ${PATH_MAX} bytes or more`)
    }
    const names: string[] = []
    for (const name of path.split('/')) {
      if (name === '' || name === '.') continue
      if (name === '..') this.#refuse(entry, 'EINVAL', `'${path}' goes through '..'`)
      if (name.length * 3 > NAME_MAX && utf8Length(name) > NAME_MAX) {
        this.#refuse(entry, 'EINVAL', `a name must not be longer than ${NAME_MAX} bytes`)
      }
      names.push(name)
    }
    return names
  }

  #directory(entry: ReadEntry, names: readonly string[]): LayerDirectory {
    const path = names.join('/')
    if (path === this.#lastPath) return this.#last
    let directory = this.filesystem.root
    for (const [depth, name] of names.entries()) {
      let next = directory.lookup(name)
      if (!next) {
        if (this.#form === 'snapshot') this.#refuse(entry, 'ENOENT', 'its directory is not in the archive')
        const path = names.slice(0, depth + 1).join('/')
        next = new LayerDirectory(this.filesystem, this.#numbers.of(path), IMPLIED)
        directory.add(name, next)
        this.#implied.set(next, path)
      }
      if (next.kind !== 'directory') {
        this.#refuse(
          entry,
          'ENOTDIR',
          `'${name}' is a ${isWhiteout(next) ? 'deletion' : next.kind}, so nothing can be below it`,
        )
      }
      directory = next
    }
    this.#lastPath = path
    this.#last = directory
    return directory
  }

  #refuse(entry: ReadEntry, code: 'EINVAL' | 'EEXIST' | 'ENOTDIR' | 'ENOENT', rule: string): never {
    throw new ErrnoError(code, entry.name, `archive entry ${entry.index}: ${rule}`)
  }
}

const pathOf = (names: readonly string[], name: string) => [...names, name].join('/')

/** The directory that layers show under a path, as an overlay of them would. */
function findBelow(layers: readonly LayerFilesystem[], path: string): LayerDirectory | undefined {
  const names = path === '' ? [] : path.split('/')
  for (const { root } of layers) {
    let directory: LayerDirectory | undefined = root
    let hides = isOpaque(root)
    for (const name of names) {
      const next: LayerInode | undefined = directory.lookup(name)
      if (next && next.kind !== 'directory') return undefined
      directory = next
      if (!directory) break
      hides ||= isOpaque(directory)
    }
    if (directory) return directory
    if (hides) return undefined
  }
  return undefined
}

const isOpaque = (directory: LayerDirectory) => directory.hasXattrs && directory.xattrs.get(OPAQUE) !== undefined
