/**
 * mqueue: the message queues of a container as files (mq_overview(7)). A file that is made is a queue, and says how it stands.
 *
 * Invariants: all mounts of one namespace show the same queues, as long as one is there. Queues are empty: preview1 has no call
 * that sends a message, and files of this kind are not written to.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import type {
  DirectoryInode,
  FileInode,
  Filesystem,
  FilesystemUsage,
  Inode,
  ListedEntry,
  NewInode,
} from '../../vfs/inode.ts'
import { MemoryInode } from '../../vfs/memory-inode.ts'
import { simpleUsage } from '../../vfs/statfs.ts'

/** MQUEUE_MAGIC (linux/magic.h). */
const MAGIC = 0x19800202
/** What a name adds to the size of the directory, and the size that stat tells of a queue (ipc/mqueue.c). */
const NAME_SIZE = 20
const FILE_SIZE = 80
/** Linux's fs.mqueue.queues_max. */
const MOST_QUEUES = 256

const STATUS = encodeUtf8('QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n')

/** Its queues are those of what a mount hands over as `internal`; those that hand over nothing share theirs. */
export function mqueueType(): FilesystemType {
  const live = new Map<unknown, Mqueue>()
  return {
    name: 'mqueue',
    userMountable: true,
    userListable: true,
    mount(request) {
      const { data, internal } = request
      if (data !== '') throw new ErrnoError('EINVAL', undefined, `mqueue takes no options: "${data}"`)
      let mqueue = live.get(internal)
      if (!mqueue) {
        mqueue = new Mqueue(request, () => live.delete(internal))
        live.set(internal, mqueue)
      }
      return mqueue
    },
  }
}

class Mqueue implements Filesystem {
  readonly type = 'mqueue'
  readonly dev: number
  readonly readonly = false
  readonly root: QueueDirectory
  readonly release: () => void

  constructor({ dev, clock }: MountRequest, release: () => void) {
    this.dev = dev
    this.release = release
    this.root = new QueueDirectory(this, clock.coarse())
  }

  usage(): FilesystemUsage {
    return simpleUsage(MAGIC)
  }
}

class QueueDirectory extends MemoryInode<'directory'> implements DirectoryInode {
  readonly makes = 'file'
  readonly #queues = new Map<string, Queue>()
  #lastIno: number

  constructor(filesystem: Filesystem, now: bigint) {
    super(filesystem, 1, 'directory', 0o1777, now)
    this.nlink = 2
    this.#lastIno = this.ino
  }

  override get size(): number {
    return (2 + this.#queues.size) * NAME_SIZE
  }

  lookup(name: string): Inode | undefined {
    return this.#queues.get(name)
  }

  /** A queue's inode number says when it was made, and so where it stands. */
  *entries(after: number): Generator<ListedEntry> {
    for (const [name, { ino }] of this.#queues) {
      if (ino + 1 > after) yield { name, ino, kind: 'file', cookie: ino + 1 }
    }
  }

  isEmpty(): boolean {
    return this.#queues.size === 0
  }

  create(name: string, { mode, uid, gid, now }: NewInode): Inode {
    if (this.#queues.size === MOST_QUEUES) throw new ErrnoError('ENOSPC', name, `there are ${MOST_QUEUES} queues`)
    const queue = new Queue(this.filesystem, ++this.#lastIno, 'file', mode, now)
    queue.setAttributes({ uid, gid })
    this.#queues.set(name, queue)
    return queue
  }

  unlink(name: string, inode: Inode): void {
    this.#queues.delete(name)
    ;(inode as Queue).nlink = 0
  }
}

class Queue extends MemoryInode<'file'> implements FileInode {
  override get size(): number {
    return FILE_SIZE
  }

  read(memory: Uint8Array, at: number, length: number, offset: number): number {
    const bytes = STATUS.subarray(offset, offset + length)
    memory.set(bytes, at)
    return bytes.length
  }

  write(): number {
    throw new ErrnoError('EINVAL', undefined, 'a queue takes messages, not bytes')
  }

  truncate(): void {}
}
