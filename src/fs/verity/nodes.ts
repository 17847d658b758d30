/**
 * Inodes of a verity filesystem: each stands for an inode of the lower one, and shows what was measured of it.
 *
 * Invariants: what has a record shows that record and, of the lower inode, only bytes that were checked against it. What has none was
 * not measured, which is so only while trees may be built; it is shown as it is. A node is made once for a lower inode of a name.
 */

import { copyBytes } from '../../abi/copy-bytes.ts'
import { fromHex } from '../../abi/hex.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type {
  DirectoryInode,
  Endpoint,
  ExtendedAttributes,
  FileInode,
  Inode,
  InodeAttributes,
  ListedEntry,
  PageSource,
  SpecialInode,
  SymlinkInode,
} from '../../vfs/inode.ts'
import { FIRST_COOKIE } from '../../vfs/inode.ts'
import { UnchangingInode, unchangingXattrs } from '../../vfs/unchanging-inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import { enable } from './enable.ts'
import { BLOCK, HashTree } from './hash-tree.ts'
import { difference, type FileRecord } from './record.ts'
import { isTreeName, type Tree, treeName } from './tree-file.ts'
import type { VerityFilesystem } from './verity.ts'

export type VerityInode = VerityDirectory | VerityFile | VeritySymlink | VeritySpecial

export abstract class VerityNode<L extends Inode = Inode> extends UnchangingInode implements InodeAttributes {
  readonly filesystem: VerityFilesystem
  readonly parent: VerityDirectory | undefined
  readonly name: string
  readonly lower: L
  #record: FileRecord | undefined

  constructor(filesystem: VerityFilesystem, parent: VerityDirectory | undefined, name: string, lower: L) {
    super()
    this.filesystem = filesystem
    this.parent = parent
    this.name = name
    this.lower = lower
  }

  get record(): FileRecord | undefined {
    return this.#record
  }

  /** It was measured, or found as it was. `tree` is the file that tells of it. */
  measured(record: FileRecord, _tree: Tree): void {
    this.#record = record
  }

  /** From the root of the filesystem, for messages. */
  get path(): string {
    return this.parent?.pathTo(this.name) ?? '/'
  }

  /** Errors: EIO, or the end of everything, as the mount wants it. */
  violated(rule: string): never {
    return this.filesystem.violated(this.path, rule)
  }

  get ino(): number {
    return this.lower.ino
  }
  get mode(): number {
    return this.#record?.mode ?? this.lower.mode
  }
  get uid(): number {
    return this.#record?.uid ?? this.lower.uid
  }
  get gid(): number {
    return this.#record?.gid ?? this.lower.gid
  }
  get nlink(): number {
    return this.lower.nlink
  }
  get size(): number {
    return this.lower.size
  }
  get blocks(): number {
    return Math.ceil(this.size / 512)
  }
  override get rdev(): number {
    return this.#record ? (this.#record.rdev ?? 0) : this.lower.rdev
  }
  get mtime(): bigint {
    return this.#record?.mtime ?? this.lower.mtime
  }

  /** Checks that the lower inode still is as it was. Errors: as `violated`. */
  refresh(attempt: Attempt): void {
    this.lower.refresh?.(attempt)
    const record = this.#record
    const rule = record && difference(record, this.lower, attempt)
    if (rule !== undefined) this.violated(rule)
  }

  opened(): void {
    this.lower.opened?.()
  }

  closed(): void {
    this.lower.closed?.()
  }

  get hasXattrs(): boolean {
    const record = this.#record
    return record ? record.xattrs !== undefined : (this.lower.hasXattrs ?? false)
  }

  get xattrs(): ExtendedAttributes {
    const record = this.#record
    if (!record) return unchangingXattrs(this.lower.xattrs)
    return unchangingXattrs(new Map(record.xattrs?.map(([name, value]) => [name, fromHex(value)])))
  }

  /** FS_IOC_ENABLE_VERITY, for all that is below as well. Errors: as `enable`. */
  enableVerity(attempt: Attempt): void {
    enable(this as VerityNode as VerityInode, attempt)
  }

  /** FS_IOC_MEASURE_VERITY. */
  measureVerity(): Uint8Array | undefined {
    return this.#record && this.filesystem.digestOf(this.#record)
  }
}

export class VerityDirectory extends VerityNode<DirectoryInode> implements DirectoryInode {
  readonly kind = 'directory'
  readonly #nodes = new Map<string, VerityInode>()
  #children: ReadonlyMap<string, { readonly kind: FileKind; readonly digest: string }> | undefined
  #list: readonly ListedEntry[] | undefined

  override measured(record: FileRecord, tree: Tree): void {
    super.measured(record, tree)
    this.#children = new Map(record.children!.map(([name, kind, digest]) => [name, { kind, digest }]))
  }

  override get nlink(): number {
    if (!this.#children) return this.lower.nlink
    let count = 2
    for (const { kind } of this.#children.values()) if (kind === 'directory') count++
    return count
  }
  override get size(): number {
    return 4096
  }

  lookup(name: string, attempt: Attempt): VerityInode | undefined {
    if (isTreeName(name)) return undefined
    const lower = this.lower.lookup(name, attempt)
    const listed = this.#children?.get(name)
    if (!lower) return listed && this.#violatedBy(name, 'is missing')
    const known = this.#nodes.get(name)
    if (known?.lower === lower) return known
    if (this.#children && !listed && !this.filesystem.enabling) this.#violatedBy(name, 'was not there')
    const node = nodeOf(this.filesystem, this, name, lower)
    if (listed) {
      const file = this.lower.lookup(treeName(name), attempt)
      this.filesystem.verify(node, file, listed.digest, attempt)
    }
    this.#nodes.set(name, node)
    return node
  }

  isCurrent(name: string, inode: Inode, attempt: Attempt): boolean {
    return this.lower.lookup(name, attempt) === (inode as VerityInode).lower
  }

  *entries(after: number, attempt: Attempt): Iterable<ListedEntry> {
    if (!this.#list || after < FIRST_COOKIE) this.#list = this.#checkedList(attempt)
    for (let i = Math.max(0, after + 1 - FIRST_COOKIE); i < this.#list.length; i++) yield this.#list[i]!
  }

  isEmpty(attempt: Attempt): boolean {
    return this.#checkedList(attempt).length === 0
  }

  /** What the lower directory lists, if it is what was measured, in the order in which that is recorded. */
  #checkedList(attempt: Attempt): ListedEntry[] {
    const found = new Map<string, ListedEntry>()
    for (const entry of this.lower.entries(0, attempt)) if (!isTreeName(entry.name)) found.set(entry.name, entry)
    const children = this.#children
    if (children && !this.filesystem.enabling) {
      for (const [name, { kind }] of found) {
        const listed = children.get(name)
        if (!listed) this.#violatedBy(name, 'was not there')
        if (listed.kind !== kind) this.#violatedBy(name, `is a ${kind}, and was a ${listed.kind}`)
      }
    }
    for (const name of children?.keys() ?? []) if (!found.has(name)) this.#violatedBy(name, 'is missing')
    const names = children && found.size === children.size ? children.keys() : found.keys()
    return Array.from(names, (name, i) => {
      const { ino, kind } = found.get(name)!
      return { name, ino, kind, cookie: i + FIRST_COOKIE }
    })
  }

  pathTo(name: string): string {
    return `${this.parent ? this.path : ''}/${name}`
  }

  #violatedBy(name: string, rule: string): never {
    return this.filesystem.violated(this.pathTo(name), rule)
  }
}

export class VerityFile extends VerityNode<FileInode> implements FileInode {
  readonly kind = 'file'
  #tree: HashTree | undefined
  #opens = 0
  /** The last block of which only a part was wanted, checked; programs read on. */
  #block: { readonly index: number; readonly bytes: Uint8Array } | undefined

  override measured(record: FileRecord, { file, start }: Tree): void {
    super.measured(record, { file, start })
    const tree = { file, start, size: record.size!, content: fromHex(record.content!) }
    this.#tree = new HashTree(this.filesystem.digest, tree, () => this.violated('its tree is damaged'))
    this.#block = undefined
  }

  override get size(): number {
    return this.record?.size ?? this.lower.size
  }

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    const tree = this.#tree
    if (!tree) return this.lower.read(memory, at, length, offset, attempt)
    const { size } = this
    if (this.lower.size !== size) this.violated(`its size is ${this.lower.size}, and was ${size}`)
    const count = Math.min(length, size - offset)
    if (count <= 0) return 0
    const end = offset + count
    // Whole blocks go straight to where they are wanted; of those at the edges a part is.
    const firstWhole = Math.ceil(offset / BLOCK)
    const endWhole = end === size ? Math.ceil(end / BLOCK) : Math.floor(end / BLOCK)
    const first = Math.floor(offset / BLOCK)
    const last = Math.ceil(end / BLOCK) - 1
    const missing = new Missing()
    missing.try(() => tree.load(first, last, attempt))
    const wholeStart = firstWhole * BLOCK
    const wholeEnd = Math.min(size, endWhole * BLOCK)
    if (wholeStart < wholeEnd) {
      missing.try(() => this.#fill(memory, at + wholeStart - offset, wholeEnd - wholeStart, wholeStart, attempt))
    }
    const hasHead = first < firstWhole
    const hasTail = last >= endWhole && !(hasHead && last === first)
    const head = hasHead ? missing.try(() => this.#readBlock(first, attempt)) : undefined
    const tail = hasTail ? missing.try(() => this.#readBlock(last, attempt)) : undefined
    missing.wait()
    let wrong: number | undefined
    if (wholeStart < wholeEnd) {
      wrong = tree.firstWrong(firstWhole, memory, at + wholeStart - offset, at + wholeEnd - offset)
    }
    for (const part of [head, tail]) {
      if (!part) continue
      if (part !== this.#block) wrong ??= tree.firstWrong(part.index, part.bytes, 0, part.bytes.length)
      this.#block = part
      const start = part.index * BLOCK
      const from = Math.max(offset, start)
      const to = Math.min(end, start + BLOCK)
      copyBytes(part.bytes, from - start, memory, at + from - offset, to - from)
    }
    if (wrong !== undefined) {
      // What was not checked is nobody's to see.
      this.#block = undefined
      memory.fill(0, at, at + count)
      this.#violatedAt(wrong)
    }
    return count
  }

  #readBlock(index: number, attempt: Attempt): { index: number; bytes: Uint8Array } {
    if (this.#block?.index === index) return this.#block
    const bytes = new Uint8Array(Math.min(BLOCK, this.size - index * BLOCK))
    this.#fill(bytes, 0, bytes.length, index * BLOCK, attempt)
    return { index, bytes }
  }

  #fill(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): void {
    for (let done = 0; done < length; ) {
      const count = this.lower.read(memory, at + done, length - done, offset + done, attempt)
      if (count === 0) this.violated(`it ends at ${offset + done} bytes, and had ${this.size}`)
      done += count
    }
  }

  #violatedAt(block: number): never {
    const start = block * BLOCK
    const end = Math.min(start + BLOCK, this.size)
    return this.violated(`its bytes from ${start} to ${end - 1} are not what was measured`)
  }

  /** What is shown never changes: anything else is an error. */
  immutableSource(): PageSource | undefined {
    if (!this.#tree) return undefined
    return {
      size: this.size,
      read: (memory, at, length, offset, attempt) => void this.read(memory, at, length, offset, attempt),
    }
  }

  override opened(): void {
    super.opened()
    this.#opens++
  }

  override closed(): void {
    super.closed()
    if (--this.#opens > 0) return
    this.#block = undefined
    this.#tree?.forget()
  }
}

export class VeritySymlink extends VerityNode<SymlinkInode> implements SymlinkInode {
  readonly kind = 'symlink'

  override get size(): number {
    const { record } = this
    return record ? utf8Length(record.target!) : this.lower.size
  }

  readlink(attempt: Attempt): string {
    this.refresh(attempt)
    return this.record?.target ?? this.lower.readlink(attempt)
  }
}

export class VeritySpecial extends VerityNode<SpecialInode> implements SpecialInode {
  readonly kind: SpecialInode['kind']

  constructor(filesystem: VerityFilesystem, parent: VerityDirectory | undefined, name: string, lower: SpecialInode) {
    super(filesystem, parent, name, lower)
    this.kind = lower.kind
  }

  override get size(): number {
    return 0
  }

  get endpoint(): Endpoint | undefined {
    return this.lower.endpoint
  }
}

function nodeOf(filesystem: VerityFilesystem, parent: VerityDirectory, name: string, lower: Inode): VerityInode {
  switch (lower.kind) {
    case 'directory':
      return new VerityDirectory(filesystem, parent, name, lower)
    case 'file':
      return new VerityFile(filesystem, parent, name, lower)
    case 'symlink':
      return new VeritySymlink(filesystem, parent, name, lower)
    default:
      return new VeritySpecial(filesystem, parent, name, lower)
  }
}
