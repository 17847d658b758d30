/** All of a filesystem's state as text, to compare: names, attributes with their times, contents, space, and open files. */

import type { Task } from '../../kernel/task.ts'
import type { Filesystem, Inode } from '../../vfs/inode.ts'
import { none, unveiled } from '../trees.ts'

/** Without its space, if a call may hold some while it waits. Preconditions: `filesystem` never waits. */
export function pictureOf(filesystem: Filesystem, tasks: readonly Task[] = [], mayHoldSpace = false): string {
  const lines: string[] = []
  addTree(lines, '', filesystem.root)
  const { blocksFree, filesFree } = filesystem.usage()
  if (!mayHoldSpace) lines.push(`free: ${blocksFree} blocks, ${filesFree} inodes`)
  for (const [i, { descriptors }] of tasks.entries()) {
    for (const [fd, { offset, flags, refs, inode }] of descriptors.open()) {
      lines.push(`task ${i} fd ${fd}: offset ${offset}, flags ${flags}, refs ${refs}, ${attributes(unveiled(inode))}`)
    }
  }
  return lines.join('\n')
}

function addTree(lines: string[], path: string, inode: Inode): void {
  lines.push(`${path || '/'}: ${attributes(inode)}`)
  if (inode.kind !== 'directory') return
  for (const { name, cookie } of inode.entries(0, none)) {
    lines.push(`${path}/${name} at ${cookie}`)
    addTree(lines, `${path}/${name}`, inode.lookup(name, none)!)
  }
}

function attributes(inode: Inode): string {
  const { ino, mode, uid, gid, nlink, size, blocks, rdev, atime, mtime, ctime } = inode
  const numbers = [ino, mode.toString(8), uid, gid, nlink, size, blocks, rdev, atime, mtime, ctime].join(' ')
  const names = [...(inode.xattrs?.keys() ?? [])].join(' ')
  if (inode.kind === 'symlink') return `${numbers} ${names} -> ${inode.readlink(none)}`
  return inode.kind === 'file' ? `${numbers} ${names} ${contentOf(inode)}` : `${numbers} ${names}`
}

/** Up to 64 KiB as a checksum: enough to see a page that was written. */
function contentOf(file: Inode & { kind: 'file' }): number {
  const bytes = new Uint8Array(Math.min(file.size, 1 << 16))
  file.read(bytes, 0, bytes.length, 0, none)
  return bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 7)
}
