/**
 * What the server calls an open file: its handle, and reading, writing and listing by it.
 *
 * Invariants: a handle is released once, when its description is closed for good, or, without a description, when the attempt
 * that made it ends; FLUSH goes before.
 */

import { copyBytes } from '../../abi/copy-bytes.ts'
import { ErrnoError } from '../../abi/errno.ts'
import { FUSE_FSYNC_FDATASYNC, flushIn, fsyncIn, Op, readIn, releaseIn, writeIn, writeOut } from '../../abi/fuse.ts'
import type { ListedEntry, OpenDirectory, OpenFile } from '../../vfs/inode.ts'
import { type Attempt, after, InFlight, Missing } from '../../vfs/waiting.ts'
import { lie } from './attributes.ts'
import { atMost, exactly, type Message, NOTHING } from './connection.ts'
import type { FuseDirectory } from './directory.ts'
import type { FuseFile } from './files.ts'
import type { FuseInode } from './filesystem.ts'
import { type Listed, readEntries } from './listing.ts'

/** Bytes of a listing that are asked for at a time. */
const LISTING = 64 * 1024
/** Entries of one directory: a server that goes on listing is not believed. */
const MOST_ENTRIES = 1_000_000
const NO_BYTES = new Uint8Array(0)

abstract class FuseHandle {
  /** undefined: the server does not want to hear of openings. */
  readonly fh: bigint | undefined
  protected readonly flags: number
  #descriptions = 0
  #released = false
  /** What was written since the last FLUSH is not flushed. */
  protected flushed = true

  constructor(fh: bigint | undefined, flags: number, attempt: Attempt) {
    this.fh = fh
    this.flags = flags
    attempt.onEnd(() => {
      if (this.#descriptions === 0) this.release()
    })
  }

  abstract get node(): FuseInode

  opened(): void {
    this.#descriptions++
    this.flushed = false
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    if (!this.flushed) this.tellFlush()
    if (this.fh !== undefined) this.node.filesystem.connection.tell(this.releaseMessage(this.fh))
  }

  protected abstract releaseMessage(fh: bigint): Message
  protected tellFlush(): void {}

  protected syncBy(op: typeof Op.FSYNC | typeof Op.FSYNCDIR, dataOnly: boolean, attempt: Attempt): void {
    const { node } = this
    node.filesystem.ask(node, attempt, {
      op,
      nodeid: node.nodeid,
      key: String(dataOnly),
      body: fsyncIn.bytes({ fh: this.fh ?? 0n, fsyncFlags: dataOnly ? FUSE_FSYNC_FDATASYNC : 0 }),
      reply: NOTHING,
      take: () => {},
      unsupported: () => {},
    })
  }
}

const releaseMessage = (op: typeof Op.RELEASE | typeof Op.RELEASEDIR, nodeid: bigint, fh: bigint, flags: number) => ({
  op,
  nodeid,
  body: releaseIn.bytes({ fh, flags }),
  reply: NOTHING,
})

export class FileHandle extends FuseHandle implements OpenFile {
  readonly node: FuseFile

  constructor(node: FuseFile, fh: bigint | undefined, flags: number, attempt: Attempt) {
    super(fh, flags, attempt)
    this.node = node
    node.handles.add(this)
  }

  static releaseOf(nodeid: bigint, fh: bigint, flags: number): Message {
    return releaseMessage(Op.RELEASE, nodeid, fh, flags)
  }

  protected releaseMessage(fh: bigint): Message {
    return FileHandle.releaseOf(this.node.nodeid, fh, this.flags)
  }

  override release(): void {
    this.node.handles.delete(this)
    super.release()
  }

  /** All pieces that are there by what is known of the size are asked for at once; behind it, one after the other. */
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    if (length === 0) return 0
    const { maxRead } = this.node.filesystem.connection
    const likely = Math.min(length, this.node.size - offset)
    const missing = new Missing()
    const parts: (Uint8Array | undefined)[] = []
    let asked = 0
    do {
      const size = Math.min(maxRead, length - asked)
      parts.push(missing.try(() => this.#piece(asked, offset, size, attempt)))
      asked += size
    } while (asked < likely)
    missing.wait()
    let done = 0
    for (let i = 0; ; i++) {
      const size = Math.min(maxRead, length - done)
      const part = parts[i] ?? this.#piece(done, offset, size, attempt)
      copyBytes(part, 0, memory, at + done, part.length)
      done += part.length
      if (part.length < size || done === length) return done
    }
  }

  /** What was read before an error is told as a short read; who reads on hears the error. */
  #piece(done: number, offset: number, size: number, attempt: Attempt): Uint8Array {
    try {
      return this.#read(offset + done, size, attempt)
    } catch (failure) {
      if (done > 0 && failure instanceof ErrnoError) return NO_BYTES
      throw failure
    }
  }

  #read(offset: number, size: number, attempt: Attempt): Uint8Array {
    const { node, fh = 0n, flags } = this
    return node.filesystem.ask(node, attempt, {
      op: Op.READ,
      nodeid: node.nodeid,
      key: `${fh} ${offset} ${size}`,
      body: readIn.bytes({ fh, offset: BigInt(offset), size, flags }),
      reply: atMost(size),
      take: (body) => {
        // Its atime may have moved.
        node.expire()
        return body
      },
    })
  }

  write(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): number {
    this.node.filesystem.admit(this.node, attempt)
    const { maxWrite } = this.node.filesystem.connection
    // What is sent later must be what it is now.
    const bytes = length > maxWrite ? memory.slice(at, at + length) : memory.subarray(at, at + length)
    return this.#writeFrom(bytes, 0, offset, attempt)
  }

  #writeFrom(bytes: Uint8Array, done: number, offset: number, attempt: Attempt): number {
    const piece = bytes.subarray(done, done + this.node.filesystem.connection.maxWrite)
    const write = () => this.#write(piece, offset + done, attempt)
    return after(done === 0 ? write : orNothing(write), (count) => {
      const all = done + count
      return count < piece.length || all === bytes.length ? all : this.#writeFrom(bytes, all, offset, attempt)
    })
  }

  #write(bytes: Uint8Array, offset: number, attempt: Attempt): number {
    const { node, fh = 0n, flags } = this
    const body = new Uint8Array(writeIn.size + bytes.length)
    writeIn.put(body, 0, { fh, offset: BigInt(offset), size: bytes.length, flags })
    body.set(bytes, writeIn.size)
    this.flushed = false
    return node.filesystem.change(attempt, {
      op: Op.WRITE,
      nodeid: node.nodeid,
      body,
      reply: exactly(writeOut.size),
      take: (reply) => {
        const { size } = writeOut.read(reply)
        if (size > bytes.length || size === 0) throw lie(`that it wrote ${size} bytes of ${bytes.length}`)
        node.wroteTo(offset + size)
        return size
      },
      unwanted: () => node.expire(),
    })
  }

  flush(attempt: Attempt): void {
    const { node, fh = 0n } = this
    node.filesystem.ask(node, attempt, {
      op: Op.FLUSH,
      nodeid: node.nodeid,
      key: String(fh),
      body: flushIn.bytes({ fh }),
      reply: NOTHING,
      take: () => {},
      unsupported: () => {},
    })
    this.flushed = true
  }

  protected override tellFlush(): void {
    const { node, fh = 0n } = this
    const { connection } = node.filesystem
    if (connection.missing.has(Op.FLUSH)) return
    connection.tell({ op: Op.FLUSH, nodeid: node.nodeid, body: flushIn.bytes({ fh }), reply: NOTHING })
  }

  sync(dataOnly: boolean, attempt: Attempt): void {
    this.syncBy(Op.FSYNC, dataOnly, attempt)
  }
}

/** What was written before an error is told as a short write; who writes on hears the error. */
function orNothing(write: () => number): () => number {
  return () => {
    try {
      return write()
    } catch (thrown) {
      if (thrown instanceof InFlight) throw new InFlight(thrown.queues, orNothing(thrown.finish as () => number))
      if (thrown instanceof ErrnoError) return 0
      throw thrown
    }
  }
}

/** A listing as far as it was read, and from where it goes on; undefined: it is whole. */
const beginning = () => ({ found: [] as Listed[], asked: new Set<bigint>(), next: 0n as bigint | undefined })

export class DirectoryHandle extends FuseHandle implements OpenDirectory {
  readonly node: FuseDirectory
  #listing: readonly ListedEntry[] | undefined

  constructor(node: FuseDirectory, fh: bigint | undefined, flags: number, attempt: Attempt) {
    super(fh, flags, attempt)
    this.node = node
  }

  static releaseOf(nodeid: bigint, fh: bigint, flags: number): Message {
    return releaseMessage(Op.RELEASEDIR, nodeid, fh, flags)
  }

  protected releaseMessage(fh: bigint): Message {
    return DirectoryHandle.releaseOf(this.node.nodeid, fh, this.flags)
  }

  /** The whole listing is read when it is begun; who goes on sees it as it was then. */
  *entries(cookie: number, attempt: Attempt): Iterable<ListedEntry> {
    if (cookie <= 2 || !this.#listing) this.#listing = this.#whole(attempt)
    for (const entry of this.#listing) if (entry.cookie > cookie) yield entry
  }

  /** As far as it was read in this attempt it is not gone through again. */
  #whole(attempt: Attempt): ListedEntry[] {
    const whole = attempt.note(this, beginning)
    while (whole.next !== undefined) {
      if (whole.asked.has(whole.next) || whole.found.length > MOST_ENTRIES) throw lie('a listing that has no end')
      const { entries, next } = this.#read(whole.next, attempt)
      whole.asked.add(whole.next)
      for (const entry of entries) whole.found.push(entry)
      whole.next = next
    }
    return this.node.withCookies(whole.found)
  }

  #read(offset: bigint, attempt: Attempt): { entries: Listed[]; next: bigint | undefined } {
    const { node, fh = 0n, flags } = this
    const entries: Listed[] = []
    return node.filesystem.ask(node, attempt, {
      op: Op.READDIR,
      nodeid: node.nodeid,
      key: `${fh} ${offset}`,
      body: readIn.bytes({ fh, offset, size: LISTING, flags }),
      reply: atMost(LISTING),
      take: (body) => {
        node.expire()
        return { next: readEntries(body, entries), entries }
      },
    })
  }

  flush(): void {}

  sync(dataOnly: boolean, attempt: Attempt): void {
    this.syncBy(Op.FSYNCDIR, dataOnly, attempt)
  }
}
