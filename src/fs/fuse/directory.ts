/**
 * Directories of a FUSE filesystem: which names lead where, as far as the server said and as long as that holds.
 *
 * Invariants: `#names` holds what a dentry may exist of; each entry counts among the `names` of its node. A name that is being
 * changed is busy: nobody else looks it up before the outcome is known. An entry has its cookie for as long as it is listed.
 */

import { concatBytes } from '../../abi/byte-parts.ts'
import { ErrnoError } from '../../abi/errno.ts'
import {
  createIn,
  createOut,
  entryOut,
  linkIn,
  mkdirIn,
  mknodIn,
  Op,
  type Opcode,
  openIn,
  openOut,
  rename2In,
  renameIn,
} from '../../abi/fuse.ts'
import {
  O_ACCMODE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_RDONLY,
  O_TRUNC,
  RENAME_EXCHANGE,
} from '../../abi/linux.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import type { DirectoryInode, Inode, ListedEntry, NewInode, OpenDirectory } from '../../vfs/inode.ts'
import { packDevice, typeBits } from '../../vfs/kinds.ts'
import { type Attempt, WaitQueue, WouldBlock } from '../../vfs/waiting.ts'
import { lie, spanOf } from './attributes.ts'
import { exactly, NOTHING } from './connection.ts'
import type { FuseFile } from './files.ts'
import type { Entry, FuseInode } from './filesystem.ts'
import { DirectoryHandle, FileHandle } from './handles.ts'
import type { Listed } from './listing.ts'
import { FuseNode } from './node.ts'

interface Name {
  /** undefined: the server said that there is none. */
  readonly inode: FuseInode | undefined
  /** Until when (monotonic) that holds. */
  until: bigint
}

/** Who changes a name, and who waits for the outcome. */
interface Busy {
  readonly attempt: Attempt
  readonly queue: WaitQueue
}

/** Flags of open(2) that the kernel has done already when a server hears of it. */
const DONE_HERE = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC

export class FuseDirectory extends FuseNode implements DirectoryInode {
  readonly kind = 'directory'
  readonly #names = new Map<string, Name>()
  /** Where it is: a directory has one name, the last that the server said; undefined of the root, and where it has none. */
  #place: { readonly parent: FuseDirectory; readonly name: string } | undefined
  readonly #busy = new Map<string, Busy>()
  /** Of names that were listed. */
  #cookies = new Map<string, number>()
  #lastCookie = 2

  lookup(name: string, attempt: Attempt): FuseInode | undefined {
    const { filesystem } = this
    filesystem.admit(this, attempt)
    const busy = this.#busy.get(name)
    if (busy && busy.attempt !== attempt) throw new WouldBlock([busy.queue])
    const known = this.#names.get(name)
    if (known && filesystem.now() < known.until) return known.inode
    try {
      return filesystem.ask(this, attempt, {
        op: Op.LOOKUP,
        nodeid: this.nodeid,
        key: name,
        body: cString(name),
        reply: exactly(entryOut.size),
        take: (body) => this.#looked(name, body, attempt),
        unwanted: (body) => filesystem.forgetEntry(body),
      })
    } catch (failure) {
      if (!(failure instanceof ErrnoError && failure.code === 'ENOENT')) throw failure
      this.#set(name, undefined)
      return undefined
    }
  }

  #looked(name: string, body: Uint8Array, attempt: Attempt): FuseInode | undefined {
    const entry = entryOut.read(body)
    const inode = entry.nodeid === 0n ? undefined : this.#named(entry, attempt)
    this.#set(name, inode, this.#until(entry))
    return inode
  }

  /** What a name leads to by an entry of the server. Errors: as nodeOf; ELOOP for a directory that this one lies in. */
  #named(entry: Entry, attempt: Attempt): FuseInode {
    const inode = this.filesystem.nodeOf(entry, attempt)
    for (let above: FuseDirectory | undefined = this; above; above = above.#place?.parent) {
      if (above !== inode) continue
      this.filesystem.forgetIfUnused(inode)
      throw new ErrnoError('ELOOP', undefined, 'the FUSE server says that a directory lies in itself')
    }
    return inode
  }

  #until({ entryValid, entryValidNsec }: { entryValid: bigint; entryValidNsec: number }): bigint {
    return this.filesystem.now() + spanOf(entryValid, entryValidNsec)
  }

  isCurrent(name: string, inode: Inode, attempt: Attempt): boolean {
    return this.lookup(name, attempt) === inode
  }

  /** From now on the name leads there; what it led to has a name less. */
  #set(name: string, inode: FuseInode | undefined, until = 0n): void {
    const old = this.#names.get(name)?.inode
    if (inode || until > 0n) this.#names.set(name, { inode, until })
    else this.#names.delete(name)
    if (inode === old) return
    if (inode) inode.names++
    if (inode instanceof FuseDirectory) inode.#moveTo({ parent: this, name })
    if (!old) return
    old.names--
    if (old instanceof FuseDirectory && old.#place?.parent === this && old.#place.name === name) old.#place = undefined
    this.filesystem.forgetIfUnused(old)
  }

  /** Its old name leads nowhere: the server has renamed it, as Linux has it in d_splice_alias. */
  #moveTo(place: { readonly parent: FuseDirectory; readonly name: string }): void {
    const before = this.#place
    this.#place = place
    if (before) before.parent.#set(before.name, undefined)
  }

  /** Whoever walks over the name next asks the server. */
  expireName(name: string): void {
    const known = this.#names.get(name)
    if (known) known.until = 0n
  }

  /** Nothing leads here any more. */
  dropAll(): void {
    for (const name of [...this.#names.keys()]) this.#set(name, undefined)
  }

  /** The server decides. */
  isEmpty(): boolean {
    return true
  }

  create(name: string, what: NewInode, attempt: Attempt): Inode {
    const { kind, mode, rdev = 0, target = '', opening } = what
    if (kind === 'directory') return this.#make(Op.MKDIR, name, what, mkdirIn.bytes({ mode }), attempt)
    if (kind === 'symlink') return this.#make(Op.SYMLINK, name, what, undefined, attempt, cString(target))
    const node = { mode: typeBits(kind) | mode, rdev: packDevice(rdev) }
    const mknod = () => this.#make(Op.MKNOD, name, what, mknodIn.bytes(node), attempt)
    if (kind !== 'file' || opening === undefined) return mknod()
    const { filesystem } = this
    const flags = opening & ~(O_CREAT | O_EXCL | O_NOCTTY)
    return filesystem.change<Inode>(
      attempt,
      {
        op: Op.CREATE,
        nodeid: this.nodeid,
        body: joined(createIn.bytes({ flags: opening, mode: node.mode }), cString(name)),
        reply: exactly(createOut.size),
        take: (body) => {
          const { fh } = createOut.read(body)
          const made = this.#made(name, 'file', body, attempt) as FuseFile
          attempt.note(made, () => new FileHandle(made, fh, flags, attempt))
          return made
        },
        unsupported: mknod,
        unwanted: (body) => {
          const { nodeid, fh } = createOut.read(body)
          filesystem.connection.tell(FileHandle.releaseOf(nodeid, fh, flags))
          filesystem.forgetEntry(body)
          this.#changed(name)
        },
      },
      this.#hold(attempt, name),
    )
  }

  #make(
    op: Opcode,
    name: string,
    { kind }: NewInode,
    values: Uint8Array | undefined,
    attempt: Attempt,
    more?: Uint8Array,
  ): FuseInode {
    return this.filesystem.change(
      attempt,
      {
        op,
        nodeid: this.nodeid,
        body: joined(values, cString(name), more),
        reply: exactly(entryOut.size),
        take: (body) => this.#made(name, kind, body, attempt),
        unwanted: (body) => {
          this.filesystem.forgetEntry(body)
          this.#changed(name)
        },
      },
      this.#hold(attempt, name),
    )
  }

  /** Errors: EIO for what is not what was to be made. */
  #made(name: string, kind: NewInode['kind'], body: Uint8Array, attempt: Attempt): FuseInode {
    this.#changed(name)
    const entry = entryOut.read(body)
    const inode = this.#named(entry, attempt)
    // It has a name from now on, or goes.
    this.#set(name, inode, this.#until(entry))
    if (inode.kind === kind) return inode
    this.#set(name, undefined)
    throw lie(`that it made a ${inode.kind} where a ${kind} was asked for`)
  }

  link(name: string, inode: Inode, attempt: Attempt): void {
    const source = inode as FuseInode
    this.filesystem.change<void>(
      attempt,
      {
        op: Op.LINK,
        nodeid: this.nodeid,
        body: joined(linkIn.bytes({ oldnodeid: source.nodeid }), cString(name)),
        reply: exactly(entryOut.size),
        take: (body) => {
          this.#changed(name)
          const entry = entryOut.read(body)
          const linked = this.filesystem.nodeOf(entry, attempt)
          // A server that gives each name a node of its own says the truth of it when it is looked up.
          this.#set(name, source, linked === source ? this.#until(entry) : 1n)
          if (linked !== source) this.filesystem.forgetIfUnused(linked)
        },
        unsupported: () => {
          throw new ErrnoError('EPERM')
        },
        unwanted: (body) => {
          this.filesystem.forgetEntry(body)
          this.#changed(name)
        },
      },
      this.#hold(attempt, name),
    )
  }

  unlink(name: string, inode: Inode, attempt: Attempt): void {
    const gone = () => {
      this.#changed(name)
      ;(inode as FuseInode).expire()
    }
    this.filesystem.change<void>(
      attempt,
      {
        op: inode.kind === 'directory' ? Op.RMDIR : Op.UNLINK,
        nodeid: this.nodeid,
        body: cString(name),
        reply: NOTHING,
        take: () => {
          gone()
          this.#set(name, undefined)
        },
        unwanted: gone,
      },
      this.#hold(attempt, name),
    )
  }

  rename(
    name: string,
    inode: Inode,
    to: DirectoryInode,
    newName: string,
    replaced: Inode | undefined,
    attempt: Attempt,
  ): void {
    const target = to as FuseDirectory
    const body = joined(renameIn.bytes({ newdir: target.nodeid }), cString(name), cString(newName))
    this.#move(Op.RENAME, body, name, target, newName, attempt, () => {
      const { until = 0n } = this.#names.get(name) ?? {}
      ;(replaced as FuseInode | undefined)?.expire()
      target.#set(newName, inode as FuseInode, until)
      this.#set(name, undefined)
    })
  }

  exchange(name: string, inode: Inode, to: DirectoryInode, newName: string, other: Inode, attempt: Attempt): void {
    const target = to as FuseDirectory
    const values = rename2In.bytes({ newdir: target.nodeid, flags: RENAME_EXCHANGE })
    this.#move(Op.RENAME2, joined(values, cString(name), cString(newName)), name, target, newName, attempt, () => {
      const [here, there] = [this.#names.get(name), target.#names.get(newName)]
      this.#names.set(name, { inode: other as FuseInode, until: there?.until ?? 0n })
      target.#names.set(newName, { inode: inode as FuseInode, until: here?.until ?? 0n })
      if (other instanceof FuseDirectory) other.#place = { parent: this, name }
      if (inode instanceof FuseDirectory) inode.#place = { parent: target, name: newName }
    })
  }

  #move(
    op: Opcode,
    body: Uint8Array,
    name: string,
    to: FuseDirectory,
    newName: string,
    attempt: Attempt,
    moved: () => void,
  ): void {
    const changed = () => {
      this.#changed(name)
      to.#changed(newName)
    }
    const release = this.#hold(attempt, name)
    const releaseNew = to.#hold(attempt, newName)
    this.filesystem.change<void>(
      attempt,
      {
        op,
        nodeid: this.nodeid,
        body,
        reply: NOTHING,
        take: () => {
          for (const each of [this.#names.get(name)?.inode, to.#names.get(newName)?.inode]) each?.expire()
          changed()
          moved()
        },
        unsupported: () => {
          throw new ErrnoError('EINVAL')
        },
        unwanted: changed,
      },
      () => {
        release()
        releaseNew()
      },
    )
  }

  /** The name is busy until what is returned is called. */
  #hold(attempt: Attempt, name: string): () => void {
    if (this.#busy.has(name)) return () => {}
    const busy = { attempt, queue: new WaitQueue() }
    this.#busy.set(name, busy)
    return () => {
      if (this.#busy.get(name) !== busy) return
      this.#busy.delete(name)
      busy.queue.wake()
    }
  }

  /** The server has changed the name, or may have. */
  #changed(name: string): void {
    this.expire()
    this.expireName(name)
  }

  open(flags: number, attempt: Attempt): OpenDirectory {
    const asked = (flags & ~DONE_HERE) | O_DIRECTORY
    return this.filesystem.ask(this, attempt, {
      op: Op.OPENDIR,
      nodeid: this.nodeid,
      body: openIn.bytes({ flags: asked }),
      reply: exactly(openOut.size),
      take: (body) => new DirectoryHandle(this, openOut.read(body).fh, asked, attempt),
      unsupported: () => new DirectoryHandle(this, undefined, asked, attempt),
      unwanted: (body) =>
        this.filesystem.connection.tell(DirectoryHandle.releaseOf(this.nodeid, openOut.read(body).fh, asked)),
    })
  }

  /** By a description that is there for as long as the call. */
  entries(after: number, attempt: Attempt): Iterable<ListedEntry> {
    return this.open(O_RDONLY & O_ACCMODE, attempt).entries(after, attempt)
  }

  /** A listing with the cookies that its entries had, or get now, in their order. */
  withCookies(listed: readonly Listed[]): ListedEntry[] {
    const old = this.#cookies
    this.#cookies = new Map()
    const entries: ListedEntry[] = []
    for (const entry of listed) {
      if (this.#cookies.has(entry.name)) continue
      const cookie = old.get(entry.name) ?? ++this.#lastCookie
      this.#cookies.set(entry.name, cookie)
      entries.push({ ...entry, cookie })
    }
    return entries.sort((a, b) => a.cookie - b.cookie)
  }
}

/** Text with a NUL behind it. */
function cString(text: string): Uint8Array {
  return encodeUtf8(`${text}\0`)
}

function joined(...parts: (Uint8Array | undefined)[]): Uint8Array {
  return concatBytes(parts.filter((part) => part !== undefined))
}
