/** Makes the files of a layer in a directory that is empty and can be written to: an upper, a tmpfs. */

import { ErrnoError } from '../../abi/errno.ts'
import { writeAll } from '../../fs/overlay/copy-up.ts'
import type { DirectoryInode, FileInode, Inode, NewInode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'

const PIECE = 256 * 1024

/**
 * Copies everything, whiteouts and marks too, with modes, owners, times, attributes and hard links. Sizes are charged to
 * `to` as if the files were written there. Errors: ENOSPC and the like with the path; what was made until then stays, so
 * whoever calls throws the directory away.
 */
export function restore(from: DirectoryInode, to: DirectoryInode, now: bigint, attempt: Attempt): void {
  const made = new Map<Inode, Inode>()
  const buffer = new Uint8Array(PIECE)

  const copyInto = (source: DirectoryInode, target: DirectoryInode, path: string) => {
    for (const { name } of source.entries(0, attempt)) {
      const inode = source.lookup(name, attempt)!
      try {
        const there = made.get(inode)
        if (there) {
          target.link!(name, there, attempt)
          continue
        }
        const copy = target.create!(name, newInode(inode), attempt)
        if (inode.kind !== 'directory' && inode.nlink > 1) made.set(inode, copy)
        if (inode.kind === 'file') copyData(inode, copy as FileInode)
        if (inode.kind === 'directory') copyInto(inode, copy as DirectoryInode, `${path}${name}/`)
        copyAttributes(inode, copy)
      } catch (failure) {
        if (failure instanceof ErrnoError && failure.path === undefined) failure.path = path + name
        throw failure
      }
    }
  }

  const newInode = (inode: Inode): NewInode => ({
    kind: inode.kind,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    now,
    ...(inode.kind === 'symlink' && { target: inode.readlink(attempt) }),
    ...((inode.kind === 'char' || inode.kind === 'block') && { rdev: inode.rdev }),
  })

  const copyData = (source: FileInode, target: FileInode) => {
    const { size } = source
    for (let at = source.nextData?.(0, attempt) ?? (source.nextData ? size : 0); at < size; ) {
      const end = source.nextHole?.(at, attempt) ?? size
      while (at < end) {
        const count = source.read(buffer, 0, Math.min(PIECE, end - at), at, attempt)
        if (count === 0) throw new ErrnoError('EIO', undefined, 'the archive is shorter than it was')
        writeAll(target, buffer, count, at, attempt)
        at += count
      }
      at = source.nextData?.(end, attempt) ?? size
    }
    if (target.size !== size) target.truncate!(size, attempt)
  }

  const copyAttributes = (source: Inode, target: Inode) => {
    if (source.hasXattrs && source.xattrs) {
      for (const name of source.xattrs.keys()) target.xattrs?.set(name, source.xattrs.get(name)!.slice())
    }
    target.setAttributes({ mode: source.mode & 0o7777, atime: source.mtime, mtime: source.mtime }, attempt)
  }

  copyInto(from, to, '')
  to.setAttributes({ uid: from.uid, gid: from.gid }, attempt)
  copyAttributes(from, to)
}
