/** Files, symbolic links and what else a FUSE filesystem has names for. */

import { ErrnoError } from '../../abi/errno.ts'
import { fallocateIn, Op, openIn, openOut } from '../../abi/fuse.ts'
import { O_CREAT, O_EXCL, O_NOCTTY, O_RDONLY, O_TRUNC, PATH_MAX } from '../../abi/linux.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import type { FileInode, OpenFile, SpecialInode, SymlinkInode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { type Attributes, lie } from './attributes.ts'
import { atMost, exactly, NOTHING } from './connection.ts'
import type { FuseFilesystem } from './filesystem.ts'
import { FileHandle } from './handles.ts'
import { FuseNode } from './node.ts'

/** Flags of open(2) that the kernel has done already when a server hears of it. */
const DONE_HERE = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC

export class FuseFile extends FuseNode implements FileInode {
  readonly kind = 'file'
  readonly handles = new Set<FileHandle>()

  open(flags: number, attempt: Attempt): OpenFile {
    // One that was made to be opened is open.
    const made = attempt.noted<FileHandle>(this)
    if (made) return made
    const asked = flags & ~DONE_HERE
    return this.filesystem.ask(this, attempt, {
      op: Op.OPEN,
      nodeid: this.nodeid,
      key: String(asked),
      body: openIn.bytes({ flags: asked }),
      reply: exactly(openOut.size),
      take: (body) => new FileHandle(this, openOut.read(body).fh, asked, attempt),
      unsupported: () => new FileHandle(this, undefined, asked, attempt),
      unwanted: (body) =>
        this.filesystem.connection.tell(FileHandle.releaseOf(this.nodeid, openOut.read(body).fh, asked)),
    })
  }

  /** By a description that is there for as long as the call. */
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    return this.open(O_RDONLY, attempt).read(memory, at, length, offset, attempt)
  }

  truncate(size: number, attempt: Attempt): void {
    this.setSize(size, attempt)
  }

  allocate(mode: number, offset: number, length: number, attempt: Attempt): void {
    const unsupported = () => {
      throw new ErrnoError('EOPNOTSUPP')
    }
    const [handle] = this.handles
    this.filesystem.change<void>(attempt, {
      op: Op.FALLOCATE,
      nodeid: this.nodeid,
      body: fallocateIn.bytes({ fh: handle?.fh ?? 0n, offset: BigInt(offset), length: BigInt(length), mode }),
      reply: NOTHING,
      take: () => this.expire(),
      unsupported,
      unwanted: () => this.expire(),
    })
  }

  /** Its content reaches to there at least. */
  wroteTo(end: number): void {
    if (end > this.attributes.size) this.attributes.size = end
    this.expire()
  }
}

export class FuseSymlink extends FuseNode implements SymlinkInode {
  readonly kind = 'symlink'

  readlink(attempt: Attempt): string {
    return this.filesystem.ask(this, attempt, {
      op: Op.READLINK,
      nodeid: this.nodeid,
      body: new Uint8Array(0),
      reply: atMost(PATH_MAX - 1),
      take: (body) => {
        this.expire()
        const target = decodeUtf8(body)
        if (target === undefined || target.includes('\0')) throw lie('a link to what no path is')
        return target
      },
    })
  }
}

export class FuseSpecial extends FuseNode implements SpecialInode {
  readonly kind: SpecialInode['kind']

  constructor(
    filesystem: FuseFilesystem,
    nodeid: bigint,
    generation: bigint,
    attributes: Attributes,
    kind: SpecialInode['kind'],
  ) {
    super(filesystem, nodeid, generation, attributes)
    this.kind = kind
  }
}
