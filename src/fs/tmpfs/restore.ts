/** Makes the files of a tmpfs from what is stored of them: in the records of a volume, or in a checkpoint. */

import { ErrnoError } from '../../abi/errno.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import type { NewInode } from '../../vfs/inode.ts'
import { PAGE_SIZE } from '../../vfs/pages.ts'
import type { Entry, TmpfsDirectory, TmpfsFile, TmpfsNode } from './inodes.ts'
import { PAGES_OF_PART, type StoredInode, type StoredPage } from './items.ts'
import { Kept, type Segment, type Segments } from './segments.ts'
import type { LostParts } from './stored-tree.ts'
import type { Tmpfs } from './tmpfs.ts'

/** An inode without what it leads to: `make` makes it, unless it is the root. */
export function restoreAttributes(
  root: TmpfsNode,
  ino: number,
  inode: StoredInode,
  make: (ino: number, what: NewInode) => TmpfsNode,
): TmpfsNode {
  const { kind, mode, uid, gid, target, value } = inode
  const [atime, mtime, ctime, btime] = inode.times as [bigint, bigint, bigint, bigint]
  const what = { kind: kind!, mode: mode & 0o7777, uid, gid, target, rdev: value, now: btime }
  const node = ino === root.ino ? root : make(ino, what)
  node.setAttributes({ mode: mode & 0o7777, uid, gid, atime, mtime, ctime })
  node.nlink = inode.nlink
  node.btime = btime
  for (const [name, bytes] of inode.xattrs ?? []) node.xattrs.set(name, bytes)
  return node
}

/** `kindOf` gives undefined for what nobody knows the kind of: it is listed as a file. */
export function restoreNames(
  directory: TmpfsDirectory,
  { names, value }: StoredInode,
  kindOf: (ino: number) => FileKind | undefined,
  lost?: LostParts,
): void {
  const entries: Entry[] = []
  for (const [name, { ino, cookie }] of names ?? [])
    entries.push({ name, ino, kind: kindOf(ino) ?? 'file', cookie, inode: undefined, removed: false })
  entries.sort((a, b) => a.cookie - b.cookie)
  directory.restore(entries, value, lost?.values().next().value)
}

export function restorePages(
  file: TmpfsFile,
  { value: size, pages }: StoredInode,
  segments: Segments,
  lost?: LostParts,
): void {
  if (size === 0 && !pages) return
  const data = file.makeData()
  data.size = size
  pages?.forEach((index, page) => {
    data.restore(index, page.present, page.end, keptOf(file, index, page, segments))
  })
  for (const part of lost?.keys() ?? []) {
    const end = Math.min((part + 1) * PAGES_OF_PART, Math.ceil(size / PAGE_SIZE))
    for (let index = part * PAGES_OF_PART; index < end; index++) {
      if (data.page(index)) continue
      const length = Math.min(PAGE_SIZE, size - index * PAGE_SIZE)
      data.restore(index, 0xffff, length, new Kept(LOST, 0, length, NO_HASH, file, index))
    }
  }
}

/** Where pages lie of which nobody knows where they lie. */
const LOST: Segment = {
  ...{
    id: 0,
    key: '',
    isCarried: false,
    size: 0,
    isSmall: true,
    pages: new Set(),
    live: 0,
    unseen: 0,
    groups: new Set(),
    value: new Uint8Array(0),
  },
  ...{ stored: true, damaged: true },
}
const NO_HASH = -1

function keptOf(file: TmpfsFile, index: number, page: StoredPage, segments: Segments): Kept {
  const { length, offset, hash } = page
  const kept = new Kept(length === 0 ? undefined : segments.byId.get(page.segment), offset, length, hash, file, index)
  segments.arrive(kept)
  return kept
}

/**
 * All inodes by their numbers, the root among them; new ones have numbers above `lastIno`. `what` is what an error calls where they come
 * from. Errors: EIO for a tree that does not hold together: nothing is guessed.
 */
export function restoreFiles(
  filesystem: Tmpfs,
  stored: ReadonlyMap<number, StoredInode>,
  { what, lastIno }: { readonly what: string; readonly lastIno: number },
): Map<number, TmpfsNode> {
  const fault = (rule: string) => new ErrnoError('EIO', undefined, `${what} is damaged: ${rule}`)
  const nodes = new Map<number, TmpfsNode>()
  const root = filesystem.root as TmpfsNode
  filesystem.restore(lastIno, (make) => {
    for (const [ino, inode] of stored) {
      if (!inode.kind) throw fault(`inode ${ino} has no attributes`)
      if (ino === root.ino && inode.kind !== root.kind) throw fault(`its root is no ${root.kind}`)
      const node = restoreAttributes(root, ino, inode, make)
      nodes.set(ino, node)
      if (node.kind === 'file' && inode.value > 0) node.makeData().size = inode.value
    }
  })
  const names = new Map<number, number>()
  for (const [ino, inode] of stored) {
    const directory = nodes.get(ino)!
    if (directory.kind !== 'directory') continue
    restoreNames(directory, inode, (number) => nodes.get(number)?.kind)
    for (const entry of directory.entries(0) as Iterable<Entry>) {
      entry.inode = nodes.get(entry.ino)
      if (!entry.inode) throw fault(`"${entry.name}" in inode ${ino} leads to inode ${entry.ino}, which is not there`)
      names.set(entry.ino, (names.get(entry.ino) ?? 0) + 1)
    }
  }
  for (const [ino, node] of nodes) {
    const count = names.get(ino) ?? 0
    // The root has a name of its own, but for a directory.
    const wanted = (node.kind === 'directory' ? 1 : node.nlink) - (node === root ? 1 : 0)
    if (count !== wanted) throw fault(`inode ${ino} has ${count} names, and says ${node.nlink} links`)
  }
  return nodes
}
