/**
 * An open file: Linux's `struct file`. Descriptors (numbers) refer to it; dup and fork share it, and with it the offset.
 *
 * Invariants: it counts on its mount as a user, and as a writer if it may write and is no device or pipe; it counts on its
 * inode and superblock as open. All of that ends when `refs` reaches 0.
 */

import { O_ACCMODE, O_CREAT, O_EXCL, O_NOCTTY, O_PATH, O_RDWR, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { Dentry } from './dentry.ts'
import type { FileContent, Inode, Stream } from './inode.ts'
import type { Mount, VirtualDentry } from './mount.ts'

const CREATION_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC

export class FileDescription {
  readonly mount: Mount
  readonly dentry: Dentry
  readonly inode: Inode
  /** Access mode and status flags, as F_GETFL tells them. */
  flags: number
  readonly readable: boolean
  readonly writable: boolean
  readonly isPath: boolean
  /** What reads and writes go to, for what is no regular file or directory. */
  readonly stream: Stream | undefined
  /** What reads and writes go to instead of the inode, for a regular file whose content is made for each open file. */
  readonly content: FileContent | undefined
  offset = 0
  refs = 1

  constructor(place: VirtualDentry, flags: number, stream?: Stream) {
    const access = flags & O_ACCMODE
    this.mount = place.mount
    this.dentry = place.dentry
    this.inode = place.dentry.inode
    this.isPath = (flags & O_PATH) !== 0
    this.readable = !this.isPath && (access === 0 || access === O_RDWR)
    this.writable = !this.isPath && (access === O_WRONLY || access === O_RDWR)
    this.flags = flags & ~CREATION_FLAGS
    this.stream = stream
    this.content = this.isPath || this.inode.kind !== 'file' ? undefined : this.inode.content?.()
    this.mount.hold()
    if (this.#countsAsWriter) this.mount.writers++
    this.mount.superblock.opens++
    this.inode.opened?.()
  }

  get #countsAsWriter(): boolean {
    return this.writable && this.stream === undefined
  }

  /** One holder fewer; the last one closes the file. */
  release(): void {
    if (--this.refs > 0) return
    this.stream?.release?.()
    if (this.#countsAsWriter) this.mount.writers--
    this.mount.drop()
    this.inode.closed?.()
    this.mount.superblock.closed()
  }
}
