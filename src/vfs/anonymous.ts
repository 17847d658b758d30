/**
 * Files without a name: what a descriptor refers to when it is a pipe, a terminal or a host's stream. They live in a
 * filesystem of the kernel's own, which is mounted nowhere (Linux's pipefs and anon_inodefs).
 */

import { ErrnoError } from '../abi/errno.ts'
import { O_ACCMODE, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import { Dentry } from './dentry.ts'
import { FileDescription } from './description.ts'
import type { Filesystem, SpecialInode, Stream } from './inode.ts'
import { MemoryInode } from './memory-inode.ts'
import { Mount, Superblock, VirtualDentry } from './mount.ts'
import { Pipe } from './pipe.ts'
import { simpleUsage } from './statfs.ts'

export class AnonymousFiles {
  readonly #mount: Mount
  #lastIno = 1

  constructor(dev: number, now: bigint) {
    const filesystem: Filesystem = {
      type: 'pipefs',
      dev,
      readonly: false,
      get root() {
        return root
      },
      usage: () => simpleUsage(0x50495045),
    }
    const root = new AnonymousInode(filesystem, 1, 'fifo', 0o600, now)
    this.#mount = new Mount(0, new Superblock(filesystem, () => {}), new Dentry('', undefined, root), 'none', {})
  }

  /**
   * An open file over a stream; `label` is what a path to it shows, a pipe's is `pipe:[7]`. `flags` as for open(2). `reopen` gives
   * the stream of a further open file, which /proc/PID/fd leads to; left out, it cannot be opened again.
   */
  open(
    stream: Stream,
    kind: SpecialInode['kind'],
    flags: number,
    label: string,
    now: bigint,
    rdev = 0,
    reopen?: () => Stream,
  ): FileDescription {
    const { filesystem } = this.#mount.superblock
    const inode = new AnonymousInode(filesystem, ++this.#lastIno, kind, 0o600, now, rdev)
    inode.reopen = () => {
      if (!reopen) throw new ErrnoError('ENXIO')
      return reopen()
    }
    const name = kind === 'fifo' ? `pipe:[${inode.ino}]` : label
    return new FileDescription(new VirtualDentry(this.#mount, new Dentry(name, undefined, inode)), flags, stream)
  }

  /** Both ends of a new pipe. `flags` are O_NONBLOCK or 0. */
  openPipe(by: { readonly uid: number; readonly gid: number }, flags: number, now: bigint) {
    const open = this.newPipe(by, now)
    return { reads: open(flags | O_RDONLY), writes: open(flags | O_WRONLY) }
  }

  /** A new pipe: one inode, of which every call opens an end. `unused` is called when the last one is closed. */
  newPipe(
    by: { readonly uid: number; readonly gid: number },
    now: bigint,
    unused?: () => void,
  ): (flags: number) => FileDescription {
    const inode = new AnonymousInode(this.#mount.superblock.filesystem, ++this.#lastIno, 'fifo', 0o600, now)
    inode.uid = by.uid
    inode.gid = by.gid
    const place = new VirtualDentry(this.#mount, new Dentry(`pipe:[${inode.ino}]`, undefined, inode))
    const pipe = new Pipe(unused)
    inode.reopen = (flags) => {
      const access = flags & O_ACCMODE
      return pipe.open({ reads: access !== O_WRONLY, writes: access !== O_RDONLY })
    }
    return (flags) => {
      const writes = (flags & O_ACCMODE) === O_WRONLY
      return new FileDescription(place, flags, pipe.open({ reads: !writes, writes }))
    }
  }

  /** How many are open. */
  get users(): number {
    return this.#mount.users
  }
}

class AnonymousInode extends MemoryInode<SpecialInode['kind']> implements SpecialInode {
  reopen?: (flags: number) => Stream
}
