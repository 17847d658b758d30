/**
 * An open file: Linux's `struct file`. Descriptors (numbers) refer to it; dup and fork share it, and with it the offset.
 *
 * Invariants: it counts on its mount as a user, and as a writer if it may write and is no device or pipe; it counts on its
 * inode and superblock as open. All of that ends when `refs` reaches 0.
 */

import { O_ACCMODE, O_CREAT, O_EXCL, O_NOCTTY, O_PATH, O_RDWR, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_OPEN } from '../abi/linux-waiting.ts'
import type { Dentry } from './dentry.ts'
import type { FileContent, Inode, OpenDirectory, OpenFile, Stream } from './inode.ts'
import type { Mount, VirtualDentry } from './mount.ts'
import { endIfGone, notifyFile } from './watches.ts'

const CREATION_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC

/** What ends with an open file: its place in an epoll instance, its locks. */
export interface Attachment {
  /** The last descriptor went. Called once, and the attachment is off then. */
  detached(file: FileDescription): void
}

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
  /** What is asked instead of the inode, where that knows its descriptions. */
  readonly handle: OpenFile | OpenDirectory | undefined
  offset = 0
  refs = 1
  #attached: Set<Attachment> | undefined
  /** Watchers were told that it was opened, and will be told that it is closed. */
  #announced = false

  constructor(place: VirtualDentry, flags: number, stream?: Stream, handle?: OpenFile | OpenDirectory) {
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
    this.handle = handle
    handle?.opened()
    this.mount.hold()
    this.dentry.users++
    if (this.#countsAsWriter) this.mount.writers++
    this.mount.superblock.opens++
    this.inode.opened?.()
  }

  /** The same open file, for one more who holds it. */
  again(): this {
    this.refs++
    return this
  }

  get #countsAsWriter(): boolean {
    return this.writable && this.stream === undefined
  }

  /** It was opened by a path, successfully: watchers hear of it, once. */
  announce(): void {
    if (this.isPath || this.#announced) return
    this.#announced = true
    notifyFile(this, IN_OPEN)
  }

  attach(what: Attachment): void {
    this.#attached ??= new Set()
    this.#attached.add(what)
  }

  detach(what: Attachment): void {
    this.#attached?.delete(what)
  }

  /** One holder fewer; the last one closes the file. */
  release(): void {
    if (--this.refs > 0) return
    if (this.#announced) notifyFile(this, this.writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE)
    const attached = this.#attached
    this.#attached = undefined
    if (attached) for (const each of attached) each.detached(this)
    this.stream?.release?.()
    this.handle?.release()
    if (this.#countsAsWriter) this.mount.writers--
    this.mount.drop()
    this.inode.closed?.()
    this.dentry.users--
    endIfGone(this.mount.superblock, this.dentry)
    this.mount.superblock.closed()
  }
}
