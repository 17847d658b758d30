/**
 * Trees of files as data, for tests: planted into a filesystem, pictured as text, worked on by a task's system calls; and
 * veils, which make inodes colder, poorer or fuller than they are.
 */

import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { FileKind, Stat } from '../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import type { DirectoryInode, FileInode, Inode, PageSource } from '../vfs/inode.ts'
import type { Superblock } from '../vfs/mount.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { releaseNamespace } from '../vfs/mount-tree.ts'
import { resolve } from '../vfs/path-walk.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { Attempt, WaitQueue, WouldBlock } from '../vfs/waiting.ts'

/** A file by its text, or anything by its parts. */
export type Planted =
  | string
  | {
      readonly kind: FileKind
      readonly text?: string
      readonly target?: string
      readonly rdev?: number
      readonly mode?: number
      readonly uid?: number
      readonly gid?: number
      readonly atime?: bigint
      readonly mtime?: bigint
      readonly xattrs?: Readonly<Record<string, string>>
      /** Another name for a path planted before. */
      readonly sameAs?: string
    }

/** By path, without a leading slash; parents that are not named are made. */
export type Tree = Readonly<Record<string, Planted>>

export const dir: Planted = { kind: 'directory' }
export const whiteout: Planted = { kind: 'char', rdev: 0, mode: 0 }
export const opaqueDir: Planted = { kind: 'directory', xattrs: { 'trusted.overlay.opaque': 'y' } }
export const linkTo = (target: string): Planted => ({ kind: 'symlink', target })

/** Whom nothing waits for. */
export const none = new Attempt()

/** Makes the files of a tree below a directory. */
export function plant(root: Inode, tree: Tree): void {
  for (const [path, what] of Object.entries(tree)) {
    const parts = path.split('/')
    const name = parts.pop()!
    let parent = root as DirectoryInode
    for (const part of parts) {
      parent = (parent.lookup(part, none) ??
        parent.create!(part, { kind: 'directory', mode: 0o755, uid: 0, gid: 0, now: 0n }, none)) as DirectoryInode
    }
    const parsed: Exclude<Planted, string> = typeof what === 'string' ? { kind: 'file', text: what } : what
    if (parsed.sameAs !== undefined) {
      parent.link!(name, find(root, parsed.sameAs)!, none)
      continue
    }
    const { kind, mode = kind === 'file' ? 0o644 : 0o755, uid = 0, gid = 0, rdev = 0, target } = parsed
    const made = parent.create!(
      name,
      { kind, mode, uid, gid, rdev, now: 1n, ...(target !== undefined && { target }) },
      none,
    )
    if (parsed.text) {
      const bytes = encodeUtf8(parsed.text)
      ;(made as FileInode).write!(bytes, 0, bytes.length, 0, none)
    }
    for (const [key, value] of Object.entries(parsed.xattrs ?? {})) made.xattrs!.set(key, encodeUtf8(value))
    const { atime, mtime } = parsed
    made.setAttributes({ ...(atime !== undefined && { atime }), ...(mtime !== undefined && { mtime }) }, none)
  }
}

/** The inode at a path below a directory, which may be ''. */
export function find(root: Inode, path: string): Inode | undefined {
  let inode: Inode | undefined = root
  for (const part of path.split('/')) {
    if (part !== '') inode = inode?.kind === 'directory' ? inode.lookup(part, none) : undefined
  }
  return inode
}

/** A directory's inodes, itself included, each once. */
export function inodesOf(inode: Inode, found = new Set<Inode>()): Set<Inode> {
  found.add(inode)
  if (inode.kind !== 'directory') return found
  for (const { name } of inode.entries(0, none)) inodesOf(inode.lookup(name, none)!, found)
  return found
}

/** What is below a directory, by path: `dir`, `dir opaque`, `file text`, `link target`, `whiteout`, `fifo`, `char 1280`. */
export function picture(root: Inode, prefix = ''): Record<string, string> {
  const seen: Record<string, string> = {}
  if (root.kind !== 'directory') return { '': inWords(root) }
  const entries = [...root.entries(0, none)].sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const { name } of entries) {
    const inode = root.lookup(name, none)!
    seen[prefix + name] = inWords(inode)
    if (inode.kind === 'directory') Object.assign(seen, picture(inode, `${prefix}${name}/`))
  }
  return seen
}

function inWords(inode: Inode): string {
  switch (inode.kind) {
    case 'directory':
      return isMarkedOpaque(inode) ? 'dir opaque' : 'dir'
    case 'file':
      return `file ${textOf(inode)}`.trim()
    case 'symlink':
      return `link ${inode.readlink(none)}`
    case 'char':
      return inode.rdev === 0 ? 'whiteout' : `char ${inode.rdev}`
    case 'block':
      return `block ${inode.rdev}`
    default:
      return inode.kind
  }
}

function isMarkedOpaque(inode: Inode): boolean {
  return inode.filesystem.type !== 'overlay' && inode.xattrs?.get('trusted.overlay.opaque')?.[0] === 0x79
}

export function textOf(file: FileInode): string {
  const bytes = new Uint8Array(file.size)
  file.read(bytes, 0, bytes.length, 0, none)
  return decodeUtf8(bytes) ?? '(binary)'
}

/** Works on a filesystem by system calls of root (or of another user), waiting where they must. */
export class Shell {
  readonly task: Task
  /** How often a call had to wait. */
  waits = 0
  /** Called before each call and at each wait. */
  watch: ((moment: 'call' | 'wait') => void) | undefined

  constructor(vfs: Vfs, superblock: Superblock, uid = 0) {
    const { root } = vfs.newNamespace(vfs.newMount(superblock))
    this.task = new Task({ vfs, credentials: credentialsOf(uid, uid), root: new VirtualDentry(root, root.root) })
  }

  /** Lets go of the files and the mount. */
  end(): void {
    const { namespace } = this.task
    this.task.release()
    releaseNamespace(namespace!)
  }

  call<T>(operation: (task: Task) => T): T {
    this.watch?.('call')
    try {
      for (let tries = 0; tries < 10_000; tries++) {
        try {
          return operation(this.task)
        } catch (failure) {
          if (!(failure instanceof WouldBlock)) throw failure
          this.waits++
          this.watch?.('wait')
        }
      }
      throw new Error('the call waits for ever')
    } finally {
      this.task.settle()
    }
  }

  place(path: string): VirtualDentry {
    return this.call((task) => resolve(task, task.root, path, true))
  }

  open(path: string, flags: number, mode = 0o666): number {
    return this.call((task) => task.openat(AT_FDCWD, path, flags, mode))
  }

  close(fd: number): void {
    this.call((task) => task.close(fd))
  }

  /** Writes all of a text at an offset, or from the start of an emptied file. */
  write(path: string, text: string, offset?: number): void {
    const fd = this.open(path, O_WRONLY | O_CREAT | (offset === undefined ? O_TRUNC : 0))
    try {
      this.pwrite(fd, text, offset ?? 0)
    } finally {
      this.close(fd)
    }
  }

  pwrite(fd: number, text: string, offset: number): number {
    const bytes = encodeUtf8(text)
    return this.call((task) => task.pwritev(fd, bytes, [0, bytes.length], offset))
  }

  read(path: string): string {
    const fd = this.open(path, O_RDONLY)
    try {
      return this.pread(fd)
    } finally {
      this.close(fd)
    }
  }

  pread(fd: number): string {
    const bytes = new Uint8Array(this.call((task) => task.fstat(fd)).size)
    const count = this.call((task) => task.preadv(fd, bytes, [0, bytes.length], 0))
    return decodeUtf8(bytes, 0, count) ?? '(binary)'
  }

  stat(path: string): Stat {
    return this.call((task) => task.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW))
  }

  exists(path: string): boolean {
    try {
      this.stat(path)
      return true
    } catch {
      return false
    }
  }

  mkdir(path: string, mode = 0o755): void {
    this.call((task) => task.mkdirat(AT_FDCWD, path, mode))
  }

  mknod(path: string, kind: FileKind, rdev = 0): void {
    this.call((task) => task.mknodat(AT_FDCWD, path, kind, 0o644, rdev))
  }

  unlink(path: string): void {
    this.call((task) => task.unlinkat(AT_FDCWD, path, 0))
  }

  rmdir(path: string): void {
    this.call((task) => task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR))
  }

  rename(from: string, to: string, flags = 0): void {
    this.call((task) => task.renameat2(AT_FDCWD, from, AT_FDCWD, to, flags))
  }

  link(from: string, to: string): void {
    this.call((task) => task.linkat(AT_FDCWD, from, AT_FDCWD, to, 0))
  }

  symlink(target: string, path: string): void {
    this.call((task) => task.symlinkat(target, AT_FDCWD, path))
  }

  readlink(path: string): string {
    return this.call((task) => task.readlinkat(AT_FDCWD, path))
  }

  chmod(path: string, mode: number): void {
    this.call((task) => task.fchmodat(AT_FDCWD, path, mode, 0))
  }

  utimes(path: string, atime: bigint, mtime: bigint): void {
    this.call((task) => task.utimensat(AT_FDCWD, path, atime, mtime, AT_SYMLINK_NOFOLLOW))
  }

  truncate(path: string, size: number): void {
    this.call((task) => task.truncate(path, size))
  }

  /** The names of a directory, in its order, without `.` and `..`, asked for `bytes` at a time. */
  list(path: string, bytes = 4096): string[] {
    const fd = this.open(path, O_RDONLY)
    const names: string[] = []
    try {
      for (let cookie = 2; ; ) {
        const entries = this.call((task) => task.getdents(fd, cookie, bytes))
        if (entries.length === 0) return names
        for (const entry of entries) names.push(entry.name)
        cookie = entries.at(-1)!.cookie
      }
    } finally {
      this.close(fd)
    }
  }
}

/** What a veil does to the inodes below it. */
export interface Veil {
  /** Properties and methods that are not there. */
  readonly without?: readonly string[]
  /** Each lookup, listing and reading waits once in every call. */
  readonly cold?: boolean
  /** And so does each change of content, which may have to read the pages that it changes in part. */
  readonly coldPages?: boolean
  /** A file's content can be had by reference, as it is at the first asking. */
  readonly immutable?: boolean
  /** Called before each change, by the method's name; may throw. */
  readonly before?: (change: string) => void
}

const READS = new Set(['lookup', 'entries', 'isEmpty', 'read', 'readlink', 'immutableSource', 'nextData', 'nextHole'])
const PAGE_CHANGES = new Set(['write', 'truncate', 'allocate'])
const CHANGES = new Set([
  ...['create', 'createUnnamed', 'link', 'unlink', 'rename', 'exchange'],
  ...['write', 'truncate', 'allocate', 'setAttributes'],
])
const bare = new WeakMap<object, object>()

/** An inode seen through a veil, and with it all that is reached from it. One inode gives one veiled inode. */
export function veiled<T extends Inode>(inode: T, veil: Veil, made = new Map<object, object>()): T {
  const known = made.get(inode)
  if (known) return known as T
  const strip = (value: unknown) => (typeof value === 'object' && value ? (bare.get(value) ?? value) : value)
  const proxy = new Proxy(inode as object, {
    get(target, key) {
      if (veil.without?.includes(String(key))) return undefined
      const source = veil.immutable && key === 'immutableSource'
      const value: unknown = source ? () => sourceOf(target as FileInode) : Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (CHANGES.has(String(key))) veil.before?.(String(key))
        if (veil.cold && READS.has(String(key))) waitOnce(target, key, args)
        if (veil.coldPages && PAGE_CHANGES.has(String(key))) waitOnce(target, key, args)
        const result: unknown = value.apply(target, args.map(strip))
        if (isInode(result)) return veiled(result, veil, made)
        return isSource(result) && veil.cold ? coldSource(result) : result
      }
    },
    has: (target, key) => !veil.without?.includes(String(key)) && key in target,
  })
  bare.set(proxy, inode)
  made.set(inode, proxy)
  return proxy as T
}

/** The inode behind a veil, or the inode itself. */
export const unveiled = <T extends Inode>(inode: T): T => (bare.get(inode) ?? inode) as T

const sourceOf = (file: FileInode): PageSource => ({
  size: file.size,
  read: (memory, at, length, offset, attempt) => void file.read(memory, at, length, offset, attempt),
})

const isInode = (value: unknown): value is Inode =>
  typeof value === 'object' && value !== null && 'kind' in value && 'filesystem' in value
const isSource = (value: unknown): value is PageSource =>
  typeof value === 'object' && value !== null && 'read' in value && !('kind' in value)

function waitOnce(target: object, key: PropertyKey, args: readonly unknown[]): void {
  const attempt = args.find((arg) => arg instanceof Attempt)
  if (!attempt || attempt === none) return
  const asked = attempt.note(target, () => new Set<string>())
  const question = `${String(key)} ${args.filter((arg) => typeof arg !== 'object').join()}`
  if (asked.has(question)) return
  asked.add(question)
  throw new WouldBlock([new WaitQueue()])
}

const coldSource = (source: PageSource): PageSource => ({
  size: source.size,
  read(memory, at, length, offset, attempt) {
    waitOnce(source, 'read', [offset, length, attempt])
    source.read(memory, at, length, offset, attempt)
  },
})
