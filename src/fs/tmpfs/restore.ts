/** Makes the files of a tmpfs from what is stored of them: in the records of a volume, or in a checkpoint. */

import { ErrnoError } from '../../abi/errno.ts'
import type { Entry, TmpfsDirectory, TmpfsFile, TmpfsNode } from './inodes.ts'
import type { StoredInode, StoredPage } from './items.ts'
import { Kept, type Segments } from './segments.ts'
import type { Tmpfs } from './tmpfs.ts'

export interface Restoring {
  /** What an error calls the store. */
  readonly what: string
  /** New inodes have numbers above it. */
  readonly lastIno: number
  /** Where the pages lie; left out, none of the inodes has any. */
  readonly segments?: Segments
}

/** All inodes by their numbers, the root among them. Errors: EIO for a tree that does not hold together: nothing is guessed. */
export function restoreFiles(
  filesystem: Tmpfs,
  stored: ReadonlyMap<number, StoredInode>,
  { what, lastIno, segments }: Restoring,
): Map<number, TmpfsNode> {
  const fault = (rule: string) => new ErrnoError('EIO', undefined, `${what} is damaged: ${rule}`)
  const nodes = new Map<number, TmpfsNode>()
  const root = filesystem.root as TmpfsNode
  filesystem.restore(lastIno, (make) => {
    for (const [ino, inode] of stored) {
      const { kind, mode, uid, gid, target, value } = inode
      if (!kind) throw fault(`inode ${ino} has no attributes`)
      const [atime, mtime, ctime, btime] = inode.times as [bigint, bigint, bigint, bigint]
      const isRoot = ino === root.ino
      if (isRoot && kind !== root.kind) throw fault(`its root is no ${root.kind}`)
      const node = isRoot ? root : make(ino, { kind, mode: mode & 0o7777, uid, gid, target, rdev: value, now: btime })
      node.setAttributes({ mode: mode & 0o7777, uid, gid, atime, mtime, ctime })
      node.nlink = inode.nlink
      node.btime = btime
      for (const [name, bytes] of inode.xattrs ?? []) node.xattrs.set(name, bytes)
      nodes.set(ino, node)
      if (node.kind === 'file') restoreData(node, inode, segments)
    }
  })
  const names = new Map<number, number>()
  for (const [ino, inode] of stored) {
    if (inode.kind !== 'directory') continue
    const entries: Entry[] = []
    for (const [name, { ino: number, cookie }] of inode.names ?? []) {
      const node = nodes.get(number)
      if (!node) throw fault(`"${name}" in inode ${ino} leads to inode ${number}, which is not there`)
      entries.push({ name, ino: number, kind: node.kind, cookie, inode: node })
      names.set(number, (names.get(number) ?? 0) + 1)
    }
    entries.sort((a, b) => a.cookie - b.cookie)
    const directory = nodes.get(ino) as TmpfsDirectory
    directory.restore(entries, inode.value)
  }
  for (const [ino, node] of nodes) {
    const count = names.get(ino) ?? 0
    // The root has a name of its own, but for a directory.
    const wanted = (node.kind === 'directory' ? 1 : node.nlink) - (node === root ? 1 : 0)
    if (count !== wanted) throw fault(`inode ${ino} has ${count} names, and says ${node.nlink} links`)
  }
  return nodes
}

function restoreData(file: TmpfsFile, { value: size, pages }: StoredInode, segments: Segments | undefined): void {
  if (size === 0 && !pages) return
  const data = file.makeData()
  data.size = size
  if (!segments) return
  pages?.forEach((index, page) => {
    data.restore(index, page.present, page.end, keptOf(file, index, page, segments))
  })
}

function keptOf(file: TmpfsFile, index: number, page: StoredPage, segments: Segments): Kept {
  const { length, offset, hash } = page
  // A segment that is missing is a fault of the page, which whoever reads it is told.
  const segment =
    length === 0
      ? undefined
      : (segments.byId.get(page.segment) ?? segments.add(page.segment, 0, new Uint8Array(0), true))
  const kept = new Kept(segment, offset, length, hash, file, index)
  segments.enter(kept)
  return kept
}
