/**
 * A mounted FUSE filesystem: its nodes by the numbers that the server gives them, and what is asked of any of them.
 *
 * Invariant: the table holds one node for a number; a number that comes back for another file (another generation or type) is
 * another node, and the old one answers EIO from then on.
 */

import { ErrnoError } from '../../abi/errno.ts'
import {
  accessIn,
  attrOut,
  entryOut,
  FUSE_ROOT_ID,
  type FuseAttr,
  forgetIn,
  getattrIn,
  Notify,
  notifyDelete,
  notifyInvalEntry,
  notifyInvalInode,
  Op,
  statfsOut,
  type Values,
} from '../../abi/fuse.ts'
import { S_IFDIR } from '../../abi/linux.ts'
import type { Clock } from '../../abi/platform.ts'
import type { Filesystem, FilesystemUsage } from '../../vfs/inode.ts'
import { kindOf } from '../../vfs/kinds.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { type Attributes, attributesOf, lie, spanOf } from './attributes.ts'
import { Calls, type Question } from './calls.ts'
import { type Connection, exactly, NOTHING } from './connection.ts'
import { FuseDirectory } from './directory.ts'
import { FuseFile, FuseSpecial, FuseSymlink } from './files.ts'
import { nameOf } from './listing.ts'
import type { FuseNode } from './node.ts'
import { type FuseOptions, formatFuseOptions } from './options.ts'

const FUSE_SUPER_MAGIC = 0x65735546

export type FuseInode = FuseDirectory | FuseFile | FuseSymlink | FuseSpecial
export type Entry = FuseAttr & Values<{ nodeid: 'u64'; generation: 'u64' }> & Validity
interface Validity {
  readonly entryValid: bigint
  readonly entryValidNsec: number
  readonly attrValid: bigint
  readonly attrValidNsec: number
}

export class FuseFilesystem implements Filesystem {
  readonly type = 'fuse'
  readonly readonly = false
  readonly dev: number
  readonly root: FuseInode
  readonly options: string
  readonly decides: boolean
  readonly connection: Connection
  readonly #calls: Calls
  readonly #clock: Clock
  readonly #options: FuseOptions
  readonly #nodes = new Map<bigint, FuseInode>()
  /** Numbers that stand for another file by now. */
  readonly #bad = new WeakSet<FuseNode>()

  constructor(connection: Connection, options: FuseOptions, dev: number, clock: Clock) {
    this.connection = connection
    this.dev = dev
    this.options = formatFuseOptions(options)
    this.decides = !options.defaultPermissions
    this.#calls = new Calls(connection)
    this.#clock = clock
    this.#options = options
    this.root = this.#make(FUSE_ROOT_ID, 0n, rootAttributes(options))
    this.root.names = 1
    this.#nodes.set(FUSE_ROOT_ID, this.root)
    connection.onNotify = (code, body) => this.#notified(code, body)
    connection.start(options.maxRead)
  }

  #make(nodeid: bigint, generation: bigint, attributes: Attributes): FuseInode {
    const { kind } = attributes
    if (kind === 'directory') return new FuseDirectory(this, nodeid, generation, attributes)
    if (kind === 'file') return new FuseFile(this, nodeid, generation, attributes)
    if (kind === 'symlink') return new FuseSymlink(this, nodeid, generation, attributes)
    return new FuseSpecial(this, nodeid, generation, attributes, kind)
  }

  now(): bigint {
    return this.#clock.monotonic()
  }

  /** Who may enter: fuse(4), allow_other. Errors: EACCES; EIO for a node that is another file by now. */
  admit(node: FuseNode, { caller }: Attempt): void {
    if (this.#bad.has(node)) throw new ErrnoError('EIO', undefined, 'the FUSE server uses its number for another file')
    if (this.#options.allowOther || !caller) return
    const { uid, gid, realUid, realGid } = caller.credentials
    const { userId, groupId } = this.#options
    if (uid !== userId || realUid !== userId || gid !== groupId || realGid !== groupId)
      throw new ErrnoError('EACCES', undefined, 'mounted without allow_other')
  }

  ask<T>(node: FuseNode, attempt: Attempt, question: Question<T>): T {
    this.admit(node, attempt)
    return this.#calls.ask(attempt, question)
  }

  change<T>(attempt: Attempt, question: Question<T>, settled?: () => void): T {
    return this.#calls.change(attempt, question, settled)
  }

  /** The attributes hold, or were asked for in this attempt. */
  refresh(node: FuseNode, attempt: Attempt): void {
    this.admit(node, attempt)
    if (this.now() < node.until || this.#calls.fresh(attempt).has(node)) return
    this.#calls.ask(attempt, {
      op: Op.GETATTR,
      nodeid: node.nodeid,
      body: getattrIn.bytes({}),
      ...this.attributesReply(node as FuseInode, attempt),
    })
  }

  /** What a reply with attributes does. */
  attributesReply(node: FuseNode, attempt?: Attempt): Pick<Question<void>, 'reply' | 'take'> {
    return {
      reply: exactly(attrOut.size),
      take: (body) => {
        const said = attrOut.read(body)
        const attributes = attributesOf(said, node.nodeid)
        if (attributes.kind !== (node as FuseInode).kind) {
          this.#bad.add(node)
          throw lie(`that a ${(node as FuseInode).kind} is a ${attributes.kind} now`)
        }
        node.learn(attributes, this.now() + spanOf(said.attrValid, said.attrValidNsec))
        if (attempt) this.#calls.fresh(attempt).add(node)
      },
    }
  }

  /**
   * The node of an entry that the server named, once more. Errors: EIO for the root's number, none, and attributes that can't be.
   */
  nodeOf(entry: Entry, attempt?: Attempt): FuseInode {
    const { nodeid, generation } = entry
    if (nodeid === 0n || nodeid === FUSE_ROOT_ID) throw lie(`that a name leads to node ${nodeid}`)
    let node = this.#nodes.get(nodeid)
    let attributes: Attributes
    try {
      attributes = attributesOf(entry, nodeid)
    } catch (failure) {
      // The server counts it as named all the same.
      if (node) node.lookups++
      else this.forget(nodeid, 1n)
      throw failure
    }
    if (node && (node.generation !== generation || node.kind !== attributes.kind)) {
      this.#bad.add(node)
      this.forget(nodeid, node.lookups)
      node = undefined
    }
    if (!node) {
      node = this.#make(nodeid, generation, attributes)
      this.#nodes.set(nodeid, node)
    }
    node.lookups++
    node.learn(attributes, this.now() + spanOf(entry.attrValid, entry.attrValidNsec))
    if (attempt) this.#calls.fresh(attempt).add(node)
    return node
  }

  /** The server need not know it for us any more, so many times. */
  forget(nodeid: bigint, lookups: bigint): void {
    this.connection.tell({ op: Op.FORGET, nodeid, body: forgetIn.bytes({ nlookup: lookups }) })
  }

  /** What a reply has named that came when nobody wanted it. */
  forgetEntry(body: Uint8Array): void {
    const { nodeid } = entryOut.read(body)
    if (nodeid !== 0n && nodeid !== FUSE_ROOT_ID) this.forget(nodeid, 1n)
  }

  forgetIfUnused(node: FuseNode): void {
    if (node.names > 0 || node.opens > 0 || this.#nodes.get(node.nodeid) !== node) return
    this.#nodes.delete(node.nodeid)
    this.forget(node.nodeid, node.lookups)
    if (node instanceof FuseDirectory) node.dropAll()
  }

  access(node: FuseNode, mask: number, attempt: Attempt): void {
    if (!this.decides) return
    this.ask(node, attempt, {
      op: Op.ACCESS,
      nodeid: node.nodeid,
      key: String(mask),
      body: accessIn.bytes({ mask }),
      reply: NOTHING,
      take: () => {},
      unsupported: () => {},
    })
  }

  usage(attempt?: Attempt): FilesystemUsage {
    if (!attempt) return NO_USAGE
    return this.ask<FilesystemUsage>(this.root, attempt, {
      op: Op.STATFS,
      nodeid: FUSE_ROOT_ID,
      body: new Uint8Array(0),
      reply: exactly(statfsOut.size),
      take: (body) => {
        const { bsize, frsize, blocks, bfree, files, ffree } = statfsOut.read(body)
        return {
          type: FUSE_SUPER_MAGIC,
          blockSize: frsize || bsize || 512,
          blocks: Number(blocks),
          blocksFree: Number(bfree),
          files: Number(files),
          filesFree: Number(ffree),
        }
      },
      unsupported: () => NO_USAGE,
    })
  }

  release(): void {
    this.connection.end()
  }

  /** Errors: ENOENT for what the kernel does not know; EINVAL for another notification, or a wrong length. */
  #notified(code: number, body: Uint8Array): void {
    if (code === Notify.INVAL_INODE && body.length === notifyInvalInode.size) {
      this.#known(notifyInvalInode.read(body).ino).expire()
      return
    }
    const struct = code === Notify.INVAL_ENTRY ? notifyInvalEntry : code === Notify.DELETE ? notifyDelete : undefined
    if (!struct || body.length <= struct.size) throw new ErrnoError('EINVAL')
    const { parent, namelen } = struct.read(body)
    // A NUL follows the name.
    if (body.length !== struct.size + namelen + 1) throw new ErrnoError('EINVAL')
    const directory = this.#known(parent)
    if (!(directory instanceof FuseDirectory)) throw new ErrnoError('ENOTDIR')
    directory.expireName(nameOf(body.subarray(struct.size, struct.size + namelen)))
  }

  #known(nodeid: bigint): FuseInode {
    const node = this.#nodes.get(nodeid)
    if (!node) throw new ErrnoError('ENOENT')
    return node
  }
}

const NO_USAGE: FilesystemUsage = {
  ...{ type: FUSE_SUPER_MAGIC, blockSize: 512, blocks: 0, blocksFree: 0, files: 0, filesFree: 0 },
}

function rootAttributes({ rootMode, userId, groupId }: FuseOptions): Attributes {
  const kind = kindOf(rootMode)!
  return {
    ...{ kind, ino: 1, mode: rootMode, uid: userId, gid: groupId },
    ...{ nlink: rootMode & S_IFDIR ? 2 : 1, size: 0, blocks: 0, rdev: 0 },
    ...{ atime: 0n, mtime: 0n, ctime: 0n },
  }
}
