/**
 * Filesystems whose files the kernel makes up: proc, sysfs, cgroup and their like (Linux's kernfs and proc/generic.c).
 *
 * A tree is described by nodes: what a file says, where a link leads, what a directory holds. Inodes are made of nodes when
 * somebody looks, so that a tree costs nothing until then.
 *
 * Invariants: a node has one inode in each directory that holds it, for as long as the directory gives the same node for its
 * name; so a number that `stat` or a listing tells stays the same. What a directory no longer gives is forgotten.
 */

import { ErrnoError } from '../abi/errno.ts'
import { O_ACCMODE, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import type { Clock } from '../abi/platform.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import type { Context } from '../vfs/context.ts'
import { GeneratedContent } from '../vfs/generated-file.ts'
import type {
  AttributeChanges,
  DirectoryInode,
  FileContent,
  FileInode,
  Filesystem,
  FilesystemUsage,
  Inode,
  ListedEntry,
  NewInode,
  SymlinkInode,
} from '../vfs/inode.ts'
import { FIRST_COOKIE } from '../vfs/inode.ts'
import { typeBits } from '../vfs/kinds.ts'
import type { MagicLink } from '../vfs/magic-link.ts'
import type { VirtualDentry } from '../vfs/mount.ts'
import { simpleUsage } from '../vfs/statfs.ts'
import { UnchangingInode } from '../vfs/unchanging-inode.ts'
import type { Attempt, Caller } from '../vfs/waiting.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

interface NodeAttributes {
  /** Permission bits; a function where they depend on what the node stands for. */
  readonly mode: number | (() => number)
  /** Whose it is for good, and who decides its mode: whom it tells of. */
  readonly owner?: (() => Owner) | undefined
  /** Whose it is until it is given away; the superuser's if left out. */
  readonly maker?: Owner | undefined
}

export interface FileNode extends NodeAttributes {
  readonly kind: 'file'
  /** The whole content as of now. */
  read?(): string | Uint8Array
  /** Takes what one call writes. Errors: EINVAL and so on for what it cannot be. */
  write?(text: string, caller: Caller | undefined): void
  /** Whether this open file may be: asked behind the mode. Errors: EACCES. */
  checkOpen?(context: Context, flags: number): void
  /** What stat tells; 0 if left out. */
  readonly size?: number
}

export interface LinkNode extends NodeAttributes {
  readonly kind: 'symlink'
  /** What readlink gives; without a context for who is nobody in particular. Errors: ENOENT, EACCES. */
  target(context: Context | undefined): string
  /** For a magic link (symlink(7)): where it leads. Errors: ENOENT, EACCES. */
  jump?(context: Context): VirtualDentry
}

export interface DirectoryNode extends NodeAttributes {
  readonly kind: 'directory'
  readonly children: Children
}

export type Node = FileNode | LinkNode | DirectoryNode

export interface Child {
  readonly name: string
  readonly node: Node
  /** As ListedEntry has it. */
  readonly cookie: number
}

/** What a directory holds. */
export interface Children {
  /** The same node as long as it is the same thing. */
  find(name: string): Node | undefined
  /** In the order of their cookies. */
  list(): Iterable<Child>
  /** Names come and go. */
  readonly changes: boolean
  /** Directories in it, where that is cheaper to tell than to count. */
  readonly directories?: number
  /** mkdir(2). Errors: EINVAL. */
  makeDirectory?(name: string, what: NewInode): void
  /** rmdir(2). Errors: EBUSY. */
  removeDirectory?(name: string): void
  /** rename(2) of a directory. Errors: ENOTDIR, EIO, EEXIST. */
  rename?(name: string, to: Children, newName: string): void
}

/** Children that are always the same; their cookies count from 3. */
export class Table implements Children {
  readonly changes = false
  readonly #nodes: ReadonlyMap<string, Node>

  constructor(nodes: Readonly<Record<string, Node>>) {
    this.#nodes = new Map(Object.entries(nodes))
  }

  find(name: string): Node | undefined {
    return this.#nodes.get(name)
  }

  *list(): Generator<Child> {
    let cookie = FIRST_COOKIE
    for (const [name, node] of this.#nodes) yield { name, node, cookie: cookie++ }
  }
}

/** A file that says `read()`; `write` makes it one of the superuser's to change. */
export const file = (read: () => string | Uint8Array, options: Partial<FileNode> = {}): FileNode => ({
  kind: 'file',
  mode: options.write ? 0o644 : 0o444,
  ...options,
  read,
})

/** A directory of a table. */
export const directory = (
  nodes: Readonly<Record<string, Node>> | Children,
  options: Partial<NodeAttributes> = {},
): DirectoryNode => ({
  kind: 'directory',
  mode: 0o555,
  ...options,
  children: isChildren(nodes) ? nodes : new Table(nodes),
})

const isChildren = (nodes: Readonly<Record<string, Node>> | Children): nodes is Children =>
  typeof nodes.find === 'function'

/** A symbolic link to a path. */
export const link = (target: string): LinkNode => ({ kind: 'symlink', mode: 0o777, target: () => target })

export interface KernfsOptions {
  readonly type: string
  readonly dev: number
  readonly clock: Clock
  /** The number of statfs(2). */
  readonly magic: number
  readonly root: DirectoryNode
  readonly options?: string
  /** A name that is not there can't be made: ENOENT (proc); else EPERM. */
  readonly fixed?: boolean
  /** Opening for what a file cannot do is EACCES, also for the superuser (kernfs_fop_open); else reading or writing it is EIO. */
  readonly strict?: boolean
  readonly release?: () => void
}

export class KernfsFilesystem implements Filesystem {
  readonly type: string
  readonly dev: number
  readonly readonly = false
  readonly lockless = false
  readonly options?: string
  readonly fixed: boolean
  readonly strict: boolean
  readonly root: DirectoryInode
  readonly #clock: Clock
  readonly #magic: number
  readonly #release: (() => void) | undefined
  #lastIno = 0

  constructor(options: KernfsOptions) {
    this.type = options.type
    this.dev = options.dev
    if (options.options !== undefined) this.options = options.options
    this.fixed = options.fixed ?? false
    this.strict = options.strict ?? false
    this.#clock = options.clock
    this.#magic = options.magic
    this.#release = options.release
    this.root = new KernfsDirectory(this, options.root)
  }

  usage(): FilesystemUsage {
    return simpleUsage(this.#magic)
  }

  release(): void {
    this.#release?.()
  }

  inodeOf(node: Node): Inode {
    if (node.kind === 'file') return new KernfsFile(this, node)
    if (node.kind === 'directory') return new KernfsDirectory(this, node)
    const { jump } = node
    return jump ? new KernfsMagicLink(this, { ...node, jump }) : new KernfsLink(this, node)
  }

  nextIno(): number {
    return ++this.#lastIno
  }

  now(): bigint {
    return this.#clock.coarse()
  }
}

abstract class KernfsInode<N extends Node> extends UnchangingInode {
  readonly filesystem: KernfsFilesystem
  readonly ino: number
  readonly mtime: bigint
  readonly node: N
  /** What was set, of a node whose attributes are not those of something else. */
  #set: AttributeChanges | undefined

  constructor(filesystem: KernfsFilesystem, node: N) {
    super()
    this.filesystem = filesystem
    this.ino = filesystem.nextIno()
    this.mtime = filesystem.now()
    this.node = node
  }

  get mode(): number {
    const { mode, kind } = this.node
    return typeBits(kind) | (this.#set?.mode ?? (typeof mode === 'number' ? mode : mode()))
  }

  get uid(): number {
    return this.#set?.uid ?? (this.node.owner?.() ?? this.node.maker)?.uid ?? 0
  }

  get gid(): number {
    return this.#set?.gid ?? (this.node.owner?.() ?? this.node.maker)?.gid ?? 0
  }

  get nlink(): number {
    return 1
  }

  get size(): number {
    return 0
  }

  get blocks(): number {
    return 0
  }

  /** Times are never kept. Errors: EPERM for the mode of what belongs to another thing, a process say, and follows it. */
  override setAttributes({ mode, uid, gid }: AttributeChanges = {}): void {
    if (this.node.owner) {
      if (mode !== undefined) throw new ErrnoError('EPERM')
      return
    }
    if (mode === undefined && uid === undefined && gid === undefined) return
    this.#set = {
      ...this.#set,
      ...(mode !== undefined && { mode }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
    }
  }
}

class KernfsFile extends KernfsInode<FileNode> implements FileInode {
  readonly kind = 'file'

  override get size(): number {
    return this.node.size ?? 0
  }

  checkOpen(context: Context, flags: number): void {
    const access = flags & O_ACCMODE
    if (this.filesystem.strict) {
      if (access !== O_RDONLY && !this.node.write) throw new ErrnoError('EACCES')
      if (access !== O_WRONLY && !this.node.read) throw new ErrnoError('EACCES')
    }
    this.node.checkOpen?.(context, flags)
  }

  content(): FileContent {
    const { node } = this
    return new GeneratedContent({
      generate: () => this.#bytes(),
      ...(node.write && {
        write(bytes: Uint8Array, _offset: number, { caller }: Attempt) {
          node.write!(decodeUtf8(bytes) ?? '\ufffd', caller)
          return bytes.length
        },
      }),
    })
  }

  /** Errors: EIO. */
  #bytes(): Uint8Array {
    if (!this.node.read) throw new ErrnoError('EIO')
    const content = this.node.read()
    return typeof content === 'string' ? encodeUtf8(content) : content
  }

  /** For who has no open file, such as an overlay. */
  read(memory: Uint8Array, at: number, length: number, offset: number): number {
    const bytes = this.#bytes().subarray(offset, offset + length)
    memory.set(bytes, at)
    return bytes.length
  }

  /** Its size means nothing. */
  truncate(): void {}
}

class KernfsLink<N extends LinkNode = LinkNode> extends KernfsInode<N> implements SymlinkInode {
  readonly kind = 'symlink'

  readlink(_attempt: unknown, context?: Context): string {
    return this.node.target(context)
  }
}

class KernfsMagicLink extends KernfsLink<LinkNode & Required<Pick<LinkNode, 'jump'>>> implements MagicLink {
  jump(context: Context): VirtualDentry {
    return this.node.jump(context)
  }
}

class KernfsDirectory extends KernfsInode<DirectoryNode> implements DirectoryInode {
  readonly kind = 'directory'
  readonly #inodes = new WeakMap<Node, Inode>()
  readonly isCurrent?: (name: string, inode: Inode) => boolean
  readonly create?: NonNullable<DirectoryInode['create']>
  readonly unlink?: NonNullable<DirectoryInode['unlink']>
  readonly rename?: NonNullable<DirectoryInode['rename']>
  readonly makes = 'directory'

  constructor(filesystem: KernfsFilesystem, node: DirectoryNode) {
    super(filesystem, node)
    const { children } = node
    if (children.changes) this.isCurrent = (name, inode) => this.#isCurrent(name, inode)
    if (children.makeDirectory) this.create = (name, what) => this.#make(name, what)
    if (children.removeDirectory) this.unlink = (name, inode) => this.#remove(name, inode)
    if (children.rename) {
      this.rename = (name, inode, to, newName, replaced) => {
        if (inode.kind !== 'directory') throw new ErrnoError('ENOTDIR')
        if (replaced) throw new ErrnoError('EEXIST')
        children.rename!(name, (to as KernfsDirectory).node.children, newName)
      }
    }
  }

  get fixed(): boolean {
    return this.filesystem.fixed
  }

  override get nlink(): number {
    const { children } = this.node
    if (children.directories !== undefined) return 2 + children.directories
    let count = 2
    for (const { node } of children.list()) if (node.kind === 'directory') count++
    return count
  }

  /** SEEK_END counts from the start, as it does where directories have no size. */
  get end(): number {
    return 0
  }

  lookup(name: string): Inode | undefined {
    const node = this.node.children.find(name)
    return node && this.#inodeOf(node)
  }

  *entries(after: number): Generator<ListedEntry> {
    for (const { name, node, cookie } of this.node.children.list()) {
      if (cookie > after) yield { name, cookie, ino: this.#inodeOf(node).ino, kind: node.kind }
    }
  }

  /** What is in it is no obstacle to its removal: removeDirectory says what is. */
  isEmpty(): boolean {
    return true
  }

  #inodeOf(node: Node): Inode {
    let inode = this.#inodes.get(node)
    if (inode === undefined) {
      inode = this.filesystem.inodeOf(node)
      this.#inodes.set(node, inode)
    }
    return inode
  }

  #isCurrent(name: string, inode: Inode): boolean {
    const node = this.node.children.find(name)
    return node !== undefined && this.#inodes.get(node) === inode
  }

  #make(name: string, what: NewInode): Inode {
    this.node.children.makeDirectory!(name, what)
    return this.lookup(name)!
  }

  #remove(name: string, inode: Inode): void {
    if (inode.kind !== 'directory') throw new ErrnoError('EPERM')
    this.node.children.removeDirectory!(name)
  }
}
