/**
 * A FUSE server for tests that passes everything on to another filesystem of the same kernel: what libfuse's passthrough is.
 * It acts when it is told to, so a test decides what a caller sees that waits.
 */

import { ErrnoError, errnoNumber } from '../abi/errno.ts'
import * as wire from '../abi/fuse.ts'
import { S_IFMT } from '../abi/linux.ts'
import type { Stat } from '../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { splitTime } from '../fs/fuse/attributes.ts'
import type { Connection } from '../fs/fuse/connection.ts'
import { readLink, statOf } from '../vfs/attributes.ts'
import type { Context } from '../vfs/context.ts'
import type { FileDescription } from '../vfs/description.ts'
import type { Inode } from '../vfs/inode.ts'
import { allocate, listDirectory, read, write } from '../vfs/io.ts'
import { kindOf, packDevice, typeBits, unpackDevice } from '../vfs/kinds.ts'
import { type Mount, VirtualDentry } from '../vfs/mount.ts'
import { linkTo, makeDirectory, makeNode, makeSymlink, removeDirectory, rename, unlink } from '../vfs/names.ts'
import { openAt, openExisting } from '../vfs/open.ts'
import { resolve } from '../vfs/path-walk.ts'
import { setAttributes } from '../vfs/set-attributes.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { Attempt } from '../vfs/waiting.ts'

const { Op } = wire
const NO_BYTES = new Uint8Array(0)

interface Node {
  readonly place: VirtualDentry
  lookups: bigint
}

export interface PassthroughOptions {
  /** Seconds for which the kernel may keep what it was told. */
  readonly valid?: bigint
  /** What it answers is changed on the way, so that the kernel may forget what it was never told. */
  readonly changed?: boolean
}

/** The server's end of a connection, or somebody in between. */
export type Line = Pick<Connection, 'hasNext' | 'next' | 'answer'>

export class Passthrough {
  readonly connection: Line
  /** Requests that were read, by opcode. */
  readonly asked: number[] = []
  readonly #vfs: Vfs
  readonly #mount: Mount
  readonly #valid: bigint
  readonly #changed: boolean
  readonly #nodes = new Map<bigint, Node>()
  readonly #ids = new Map<Inode, bigint>()
  readonly #files = new Map<bigint, FileDescription>()
  #last = 1n

  /** `mount` is given up when the kernel says DESTROY. */
  constructor(vfs: Vfs, mount: Mount, connection: Line, { valid = 0n, changed = false }: PassthroughOptions = {}) {
    this.#vfs = vfs
    this.#mount = mount
    this.connection = connection
    this.#valid = valid
    this.#changed = changed
    this.#nodes.set(wire.FUSE_ROOT_ID, { place: new VirtualDentry(mount, mount.root), lookups: 1n })
    this.#ids.set(mount.root.inode, wire.FUSE_ROOT_ID)
  }

  /** What is open, and the nodes that the kernel has not forgotten: none but the root when nothing of it is in use. */
  get held(): { files: number; nodes: number } {
    return { files: this.#files.size, nodes: this.#nodes.size }
  }

  /** Answers all requests that are there; gives how many. */
  serve(): number {
    let served = 0
    while (this.connection.hasNext) {
      const bytes = this.connection.next()!
      served++
      this.answer(bytes)
    }
    return served
  }

  answer(bytes: Uint8Array): void {
    const header = wire.inHeader.read(bytes)
    const opcode = header.opcode as wire.Opcode
    this.asked.push(opcode)
    if (opcode === Op.FORGET || opcode === Op.INTERRUPT) {
      if (opcode === Op.FORGET) this.#forget(header.nodeid, wire.forgetIn.read(bytes, wire.inHeader.size).nlookup)
      return
    }
    let body: Uint8Array = NO_BYTES
    let error = 0
    try {
      body = this.#do(opcode, header, bytes.subarray(wire.inHeader.size))
    } catch (failure) {
      if (!(failure instanceof ErrnoError)) throw failure
      error = -errnoNumber(failure.code)
    }
    const reply = new Uint8Array(wire.outHeader.size + body.length)
    wire.outHeader.put(reply, 0, { len: reply.length, error, unique: header.unique })
    reply.set(body, wire.outHeader.size)
    this.connection.answer(reply)
  }

  #do(opcode: wire.Opcode, header: ReturnType<typeof wire.inHeader.read>, body: Uint8Array): Uint8Array {
    const { uid, gid, nodeid } = header
    const context: Context = {
      clock: this.#vfs.clock,
      devices: this.#vfs.devices,
      credentials: { uid, gid, realUid: uid, realGid: gid, groups: [], capabilities: -1 },
      root: new VirtualDentry(this.#mount, this.#mount.root),
      confined: false,
      attempt: new Attempt(),
    }
    const place = () => this.#place(nodeid)
    const named = (struct?: wire.Struct<never> | { readonly size: number }) => textsOf(body.subarray(struct?.size ?? 0))
    const entryAt = (name: string) => this.#entry(resolve(context, place(), name, false))
    switch (opcode) {
      case Op.INIT: {
        const flags = wire.initIn.read(body).flags & wire.FUSE_MAX_PAGES
        return wire.initOut.bytes({ major: 7, minor: 38, flags, maxPages: 256, maxWrite: 1 << 20, timeGran: 1 })
      }
      case Op.DESTROY:
        for (const file of this.#files.values()) file.release()
        this.#files.clear()
        this.#nodes.clear()
        this.#vfs.discard(this.#mount)
        return NO_BYTES
      case Op.LOOKUP:
        return entryAt(named()[0]!)
      case Op.GETATTR:
        return this.#attributes(place())
      case Op.SETATTR: {
        const { valid, size, mode, uid, gid, ...times } = wire.setattrIn.read(body)
        const is = (bit: number) => (valid & bit) !== 0
        setAttributes(context, place(), {
          ...(is(wire.FATTR_SIZE) && { size: Number(size) }),
          ...(is(wire.FATTR_MODE) && { mode: mode & 0o7777 }),
          ...(is(wire.FATTR_UID) && { uid }),
          ...(is(wire.FATTR_GID) && { gid }),
          ...(is(wire.FATTR_ATIME) && { atime: times.atime * 1_000_000_000n + BigInt(times.atimensec) }),
          ...(is(wire.FATTR_MTIME) && { mtime: times.mtime * 1_000_000_000n + BigInt(times.mtimensec) }),
        })
        return this.#attributes(place())
      }
      case Op.READLINK:
        return encodeUtf8(readLink(context, place()))
      case Op.SYMLINK: {
        const [name, target] = named() as [string, string]
        makeSymlink(context, target, place, name)
        return entryAt(name)
      }
      case Op.MKNOD: {
        const { mode, rdev } = wire.mknodIn.read(body)
        const [name] = named(wire.mknodIn) as [string]
        const number = unpackDevice(rdev)
        makeNode(context, place(), name, kindOf(mode)!, mode & 0o7777, number)
        return entryAt(name)
      }
      case Op.MKDIR: {
        const [name] = named(wire.mkdirIn) as [string]
        makeDirectory(context, place(), name, wire.mkdirIn.read(body).mode)
        return entryAt(name)
      }
      case Op.UNLINK:
        unlink(context, place(), named()[0]!)
        return NO_BYTES
      case Op.RMDIR:
        removeDirectory(context, place(), named()[0]!)
        return NO_BYTES
      case Op.RENAME:
      case Op.RENAME2: {
        const struct = opcode === Op.RENAME ? wire.renameIn : wire.rename2In
        const { newdir, flags = 0 } = struct.read(body) as { newdir: bigint; flags?: number }
        const [from, to] = named(struct) as [string, string]
        rename(context, place, from, () => this.#place(newdir), to, flags)
        return NO_BYTES
      }
      case Op.LINK: {
        const [name] = named(wire.linkIn) as [string]
        linkTo(context, this.#place(wire.linkIn.read(body).oldnodeid), place(), name)
        return entryAt(name)
      }
      case Op.OPEN:
      case Op.OPENDIR:
        return this.#opened(openExisting(context, place(), wire.openIn.read(body).flags, ''))
      case Op.CREATE: {
        const { flags, mode } = wire.createIn.read(body)
        const [name] = named(wire.createIn) as [string]
        const file = openAt(context, place, name, flags, mode & 0o7777)
        const entry = this.#entry(new VirtualDentry(file.mount, file.dentry))
        const opened = this.#opened(file)
        const both = new Uint8Array(entry.length + opened.length)
        both.set(entry)
        both.set(opened, entry.length)
        return both
      }
      case Op.READ: {
        const { fh, offset, size } = wire.readIn.read(body)
        const memory = new Uint8Array(size)
        return memory.subarray(0, read(context, this.#file(fh), memory, [0, size], Number(offset)))
      }
      case Op.WRITE: {
        const { fh, offset, size } = wire.writeIn.read(body)
        const file = this.#file(fh)
        const done = write(context, file, body, [wire.writeIn.size, size], Number(offset))
        return wire.writeOut.bytes({ size: done })
      }
      case Op.READDIR: {
        const { fh, offset, size } = wire.readIn.read(body)
        return this.#listing(context, this.#file(fh), Number(offset), size)
      }
      case Op.RELEASE:
      case Op.RELEASEDIR: {
        const { fh } = wire.releaseIn.read(body)
        this.#file(fh).release()
        this.#files.delete(fh)
        return NO_BYTES
      }
      case Op.FLUSH:
      case Op.FSYNC:
      case Op.FSYNCDIR:
        this.#file(wire.flushIn.read(body).fh)
        return NO_BYTES
      case Op.FALLOCATE: {
        const { fh, mode, offset, length } = wire.fallocateIn.read(body)
        allocate(context, this.#file(fh), mode, Number(offset), Number(length))
        return NO_BYTES
      }
      case Op.STATFS: {
        const { blocks, blocksFree, files, filesFree, blockSize } = this.#mount.superblock.filesystem.usage()
        const [bfree, ffree] = [BigInt(blocksFree), BigInt(filesFree)]
        const counts = { blocks: BigInt(blocks), bfree, bavail: bfree, files: BigInt(files), ffree }
        return wire.statfsOut.bytes({ ...counts, bsize: blockSize, frsize: blockSize, namelen: 255 })
      }
      default:
        throw new ErrnoError('ENOSYS')
    }
  }

  #place(nodeid: bigint): VirtualDentry {
    const node = this.#nodes.get(nodeid)
    if (!node) throw new ErrnoError('ESTALE')
    return node.place
  }

  #file(fh: bigint): FileDescription {
    const file = this.#files.get(fh)
    if (!file) throw new ErrnoError('EBADF')
    return file
  }

  #opened(file: FileDescription): Uint8Array {
    const fh = ++this.#last
    this.#files.set(fh, file)
    return wire.openOut.bytes({ fh })
  }

  #forget(nodeid: bigint, count: bigint): void {
    const node = this.#nodes.get(nodeid)
    if (!node) return
    node.lookups -= count
    if (node.lookups < 0n && !this.#changed)
      throw new Error(`node ${nodeid} was forgotten more often than it was named`)
    if (node.lookups > 0n) return
    this.#nodes.delete(nodeid)
    this.#ids.delete(node.place.dentry.inode)
  }

  #entry(place: VirtualDentry): Uint8Array {
    const { inode } = place.dentry
    let nodeid = this.#ids.get(inode)
    if (nodeid === undefined) {
      nodeid = ++this.#last
      this.#ids.set(inode, nodeid)
      this.#nodes.set(nodeid, { place, lookups: 0n })
    }
    const node = this.#nodes.get(nodeid)!
    node.lookups++
    const valid = this.#valid
    return wire.entryOut.bytes({ nodeid, entryValid: valid, attrValid: valid, ...attrOf(statOf(inode)) })
  }

  #attributes({ dentry }: VirtualDentry): Uint8Array {
    return wire.attrOut.bytes({ attrValid: this.#valid, ...attrOf(statOf(dentry.inode)) })
  }

  #listing(context: Context, file: FileDescription, after: number, room: number): Uint8Array {
    const bytes = new Uint8Array(room)
    let at = 0
    for (const { name, ino, kind, cookie } of listDirectory(context, file, after, room)) {
      const text = encodeUtf8(name)
      const size = wire.direntSize(text.length)
      if (at + size > room) break
      const type = typeBits(kind) >>> 12
      wire.dirent.put(bytes, at, { ino: BigInt(ino), off: BigInt(cookie), namelen: text.length, type })
      bytes.set(text, at + wire.dirent.size)
      at += size
    }
    return bytes.subarray(0, at)
  }
}

/** The attributes of a file as fuse.h has them. */
export function attrOf(stat: Stat): Partial<wire.FuseAttr> {
  const [atime, mtime, ctime] = [splitTime(stat.atime), splitTime(stat.mtime), splitTime(stat.ctime)]
  return {
    ino: BigInt(stat.ino),
    size: BigInt(stat.size),
    blocks: BigInt(stat.blocks),
    atime: atime.seconds,
    atimensec: atime.nanoseconds,
    mtime: mtime.seconds,
    mtimensec: mtime.nanoseconds,
    ctime: ctime.seconds,
    ctimensec: ctime.nanoseconds,
    mode: stat.mode & (S_IFMT | 0o7777),
    nlink: stat.nlink,
    uid: stat.uid,
    gid: stat.gid,
    rdev: packDevice(stat.rdev),
    blksize: stat.blksize,
  }
}

/** Texts, each with a NUL behind it. */
function textsOf(bytes: Uint8Array): string[] {
  return decodeUtf8(bytes)!.split('\0').slice(0, -1)
}
