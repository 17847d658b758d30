/** An inode whose attributes are kept in memory, and in nothing else: of files that the kernel makes and forgets. */

import type { FileKind } from '../abi/syscalls.ts'
import { ATIME, type AttributeChanges, CTIME, type Filesystem, MTIME } from './inode.ts'
import { typeBits } from './kinds.ts'

export class MemoryInode<Kind extends FileKind> {
  readonly filesystem: Filesystem
  readonly ino: number
  readonly kind: Kind
  readonly rdev: number
  mode: number
  uid = 0
  gid = 0
  nlink = 1
  readonly blocks = 0
  atime: bigint
  mtime: bigint
  ctime: bigint
  readonly btime: bigint

  /** `mode` are permission bits. */
  constructor(filesystem: Filesystem, ino: number, kind: Kind, mode: number, now: bigint, rdev = 0) {
    this.filesystem = filesystem
    this.ino = ino
    this.kind = kind
    this.rdev = rdev
    this.mode = typeBits(kind) | mode
    this.atime = now
    this.mtime = now
    this.ctime = now
    this.btime = now
  }

  get size(): number {
    return 0
  }

  setAttributes({ mode, uid, gid, atime, mtime, ctime }: AttributeChanges): void {
    if (mode !== undefined) this.mode = typeBits(this.kind) | mode
    if (uid !== undefined) this.uid = uid
    if (gid !== undefined) this.gid = gid
    if (atime !== undefined) this.atime = atime
    if (mtime !== undefined) this.mtime = mtime
    if (ctime !== undefined) this.ctime = ctime
  }

  touch(which: number, now: bigint): void {
    if (which & ATIME) this.atime = now
    if (which & MTIME) this.mtime = now
    if (which & CTIME) this.ctime = now
  }
}
