/**
 * The page's end of a FUSE filesystem: what the kernel asks in the wire protocol of linux/fuse.h is asked of the page's operations.
 *
 * Always true: each request is answered once, also where an operation fails; one that is slow keeps no other from its answer.
 */

import { type Errno, errnoOf } from '../../abi/errno.ts'
import * as wire from '../../abi/fuse.ts'
import { O_ACCMODE, O_RDONLY, S_IFDIR, S_IFLNK, S_IFREG } from '../../abi/linux.ts'
import { BufferedFile } from './buffered-file.ts'
import { type Node, Nodes } from './nodes.ts'
import type { FuseAttributes, FuseEntry, FuseOperations, FuseRequest, FuseServerOptions } from './operations.ts'

const { Op } = wire

export interface FuseServer {
  /** For a mount: `{ type: 'fuse', source, destination }`. */
  readonly source: string
  /** Ends it: programs see ENOTCONN. */
  end(): void
}

export function serveFuse(
  name: string,
  port: MessagePort,
  operations: FuseOperations,
  options: FuseServerOptions,
): FuseServer {
  const server = new Server(operations, options.timeout ?? 0)
  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    port.postMessage(null)
    server.abortAll()
    // What was posted goes out first.
    setTimeout(() => port.close())
  }
  port.onmessage = async ({ data }: MessageEvent<Uint8Array | null>) => {
    if (data === null) return end()
    const reply = await server.answer(data)
    if (reply && !ended) port.postMessage(reply, [reply.buffer])
  }
  return { source: `fuse:${name}`, end }
}

const MUTATIONS = [
  ...(['write', 'writeFile', 'create', 'truncate', 'unlink', 'mkdir', 'rmdir', 'rename', 'symlink', 'link'] as const),
  ...(['chmod', 'chown', 'utimens'] as const),
]
const KINDS = { file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK } as const
const MODES = { file: 0o644, directory: 0o755, symlink: 0o777 } as const
const NO_BYTES = new Uint8Array(0)

/** What a description of a file or directory has. */
interface Open {
  readonly node: Node
  /** The page's. */
  readonly handle?: unknown
  readonly content?: BufferedFile
  listing?: readonly { readonly name: string; readonly kind: keyof typeof KINDS }[]
}

class Failure extends Error {
  readonly code: Errno
  constructor(code: Errno) {
    super(code)
    this.code = code
  }
}

class Server {
  readonly #operations: FuseOperations
  readonly #valid: { entryValid: bigint; entryValidNsec: number; attrValid: bigint; attrValidNsec: number }
  readonly #nodes = new Nodes()
  readonly #open = new Map<bigint, Open>()
  readonly #running = new Map<bigint, AbortController>()
  readonly #readonly: boolean
  #lastHandle = 0n

  constructor(operations: FuseOperations, timeout: number) {
    this.#operations = operations
    this.#readonly = !MUTATIONS.some((name) => operations[name])
    const seconds = BigInt(Math.floor(timeout))
    const nanoseconds = Math.floor((timeout % 1) * 1e9)
    this.#valid = {
      ...{ entryValid: seconds, attrValid: seconds },
      ...{ entryValidNsec: nanoseconds, attrValidNsec: nanoseconds },
    }
  }

  abortAll(): void {
    for (const controller of this.#running.values()) controller.abort()
  }

  /** The reply to a request; undefined where there is none. */
  async answer(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { opcode, unique, nodeid, uid, gid, pid } = wire.inHeader.read(bytes)
    const body = bytes.subarray(wire.inHeader.size)
    if (opcode === Op.FORGET) {
      this.#nodes.forget(nodeid, wire.forgetIn.read(body).nlookup)
      return undefined
    }
    if (opcode === Op.INTERRUPT) {
      this.#running.get(wire.interruptIn.read(body).unique)?.abort()
      return undefined
    }
    const controller = new AbortController()
    this.#running.set(unique, controller)
    let result: Uint8Array = NO_BYTES
    let error = 0
    try {
      result = await this.#do(opcode, this.#node(nodeid), body, { uid, gid, pid, signal: controller.signal })
    } catch (failure) {
      error = -numberOf(failure)
    } finally {
      this.#running.delete(unique)
    }
    const reply = new Uint8Array(wire.outHeader.size + result.length)
    wire.outHeader.put(reply, 0, { len: reply.length, error, unique })
    reply.set(result, wire.outHeader.size)
    return reply
  }

  #node(id: bigint): Node {
    const node = this.#nodes.get(id === 0n ? 1n : id)
    if (!node) throw new Failure('ESTALE')
    return node
  }

  /** An operation of the page. Errors: EROFS where it has none that changes anything; EOPNOTSUPP. */
  #need<Name extends keyof FuseOperations>(name: Name): NonNullable<FuseOperations[Name]> {
    const operation = this.#operations[name]
    if (!operation) throw new Failure(this.#readonly ? 'EROFS' : 'EOPNOTSUPP')
    return (operation as (...args: unknown[]) => unknown).bind(this.#operations) as NonNullable<FuseOperations[Name]>
  }

  async #do(opcode: number, node: Node, body: Uint8Array, request: FuseRequest): Promise<Uint8Array> {
    const nodes = this.#nodes
    const path = () => nodes.path(node)
    const texts = (behind = 0) => new TextDecoder().decode(body.subarray(behind)).split('\0')
    switch (opcode) {
      case Op.INIT: {
        const flags = wire.initIn.read(body).flags & (wire.FUSE_MAX_PAGES | wire.FUSE_ASYNC_READ)
        return wire.initOut.bytes({ major: 7, minor: 38, flags, maxPages: 256, maxWrite: 1 << 20, timeGran: 1 })
      }
      case Op.DESTROY:
        return NO_BYTES
      case Op.LOOKUP:
        return this.#entry(node, texts()[0]!, request)
      case Op.GETATTR:
        return this.#attributes(node, request)
      case Op.SETATTR:
        await this.#setAttributes(node, wire.setattrIn.read(body), request)
        return this.#attributes(node, request)
      case Op.READLINK:
        return new TextEncoder().encode(await this.#need('readlink')(path(), request))
      case Op.SYMLINK: {
        const [name, target] = texts() as [string, string]
        await this.#need('symlink')(target, nodes.pathIn(node, name), request)
        return this.#entry(node, name, request)
      }
      case Op.MKDIR: {
        const [name] = texts(wire.mkdirIn.size) as [string]
        await this.#need('mkdir')(nodes.pathIn(node, name), wire.mkdirIn.read(body).mode & 0o7777, request)
        return this.#entry(node, name, request)
      }
      case Op.UNLINK:
      case Op.RMDIR: {
        const [name] = texts() as [string]
        await this.#need(opcode === Op.UNLINK ? 'unlink' : 'rmdir')(nodes.pathIn(node, name), request)
        nodes.remove(node, name)
        return NO_BYTES
      }
      case Op.RENAME:
      case Op.RENAME2: {
        const struct = opcode === Op.RENAME ? wire.renameIn : wire.rename2In
        const { newdir, flags = 0 } = struct.read(body) as { newdir: bigint; flags?: number }
        const [from, to] = texts(struct.size) as [string, string]
        const target = this.#node(newdir)
        const exchange = (flags & 2) !== 0
        await this.#need('rename')(nodes.pathIn(node, from), nodes.pathIn(target, to), exchange, request)
        nodes.move(node, from, target, to, exchange)
        return NO_BYTES
      }
      case Op.LINK: {
        const [name] = texts(wire.linkIn.size) as [string]
        const existing = this.#node(wire.linkIn.read(body).oldnodeid)
        await this.#need('link')(nodes.path(existing), nodes.pathIn(node, name), request)
        return this.#entry(node, name, request)
      }
      case Op.OPEN:
        return this.#opened(node, await this.#openFile(node, wire.openIn.read(body).flags, request))
      case Op.CREATE: {
        const { flags, mode } = wire.createIn.read(body)
        const [name] = texts(wire.createIn.size) as [string]
        return this.#create(node, name, flags, mode & 0o7777, request)
      }
      case Op.OPENDIR:
        return this.#opened(node, {})
      case Op.READDIR: {
        const { fh, offset, size } = wire.readIn.read(body)
        return this.#list(node, this.#handle(fh), Number(offset), size, request)
      }
      case Op.READ: {
        const { fh, offset, size } = wire.readIn.read(body)
        const { content, handle } = this.#handle(fh)
        if (content) return content.read(Number(offset), size)
        const bytes = await this.#need('read')(path(), Number(offset), size, handle, request)
        return bytes.length > size ? bytes.subarray(0, size) : bytes
      }
      case Op.WRITE: {
        const { fh, offset } = wire.writeIn.read(body)
        const { content, handle } = this.#handle(fh)
        const bytes = body.slice(wire.writeIn.size)
        if (content) {
          content.write(bytes, Number(offset))
          return wire.writeOut.bytes({ size: bytes.length })
        }
        const taken = await this.#need('write')(path(), bytes, Number(offset), handle, request)
        return wire.writeOut.bytes({ size: typeof taken === 'number' ? taken : bytes.length })
      }
      case Op.FLUSH:
      case Op.FSYNC: {
        const open = this.#handle(wire.flushIn.read(body).fh)
        if (open.content) await this.#store(node, open.content, request)
        else await this.#operations[opcode === Op.FLUSH ? 'flush' : 'fsync']?.(path(), open.handle, request)
        return NO_BYTES
      }
      case Op.RELEASE:
      case Op.RELEASEDIR: {
        const { fh } = wire.releaseIn.read(body)
        await this.#release(fh, request)
        return NO_BYTES
      }
      case Op.STATFS:
        return this.#usage(request)
      default:
        throw new Failure('ENOSYS')
    }
  }

  #handle(fh: bigint): Open {
    const open = this.#open.get(fh)
    if (!open) throw new Failure('EBADF')
    return open
  }

  #opened(node: Node, open: Omit<Open, 'node'>): Uint8Array {
    const fh = ++this.#lastHandle
    this.#open.set(fh, { ...open, node })
    return wire.openOut.bytes({ fh })
  }

  async #openFile(node: Node, flags: number, request: FuseRequest): Promise<Omit<Open, 'node'>> {
    const path = this.#nodes.path(node)
    const { open, read, readFile } = this.#operations
    if ((flags & O_ACCMODE) !== O_RDONLY && !this.#operations.write) this.#need('writeFile')
    if (read || !readFile) return { handle: await open?.call(this.#operations, path, flags, request) }
    // It is kept between two that open it while it is read.
    const content = node.content ?? (await this.#whole(path, request))
    node.content ??= content
    node.content.users++
    return { content: node.content }
  }

  async #whole(path: string, request: FuseRequest): Promise<BufferedFile> {
    const content = await this.#operations.readFile!(path, request)
    if (content === undefined) throw new Failure('ENOENT')
    return new BufferedFile(typeof content === 'string' ? new TextEncoder().encode(content) : content)
  }

  async #create(parent: Node, name: string, flags: number, mode: number, request: FuseRequest): Promise<Uint8Array> {
    const path = this.#nodes.pathIn(parent, name)
    const { create, writeFile } = this.#operations
    let handle: unknown
    if (create) handle = await create.call(this.#operations, path, mode, flags, request)
    else {
      this.#need('writeFile')
      await writeFile!.call(this.#operations, path, new Uint8Array(0), request)
    }
    const entry = await this.#entry(parent, name, request)
    const node = this.#node(wire.entryOut.read(entry).nodeid)
    const open = create && this.#operations.write ? { handle } : await this.#openFile(node, flags, request)
    const opened = this.#opened(node, open)
    const both = new Uint8Array(entry.length + opened.length)
    both.set(entry)
    both.set(opened, entry.length)
    return both
  }

  async #store(node: Node, content: BufferedFile, request: FuseRequest): Promise<void> {
    if (node.gone) return
    await content.flush((bytes) => this.#need('writeFile')(this.#nodes.path(node), bytes, request))
  }

  async #release(fh: bigint, request: FuseRequest): Promise<void> {
    const { node, content, handle } = this.#handle(fh)
    this.#open.delete(fh)
    if (!content) {
      if (handle !== undefined) await this.#operations.release?.(this.#nodes.path(node), handle)
      return
    }
    content.users--
    if (content.users === 0 && node.content === content) delete node.content
    await this.#store(node, content, request)
  }

  async #list(node: Node, open: Open, offset: number, room: number, request: FuseRequest): Promise<Uint8Array> {
    if (offset === 0 || !open.listing) open.listing = await this.#listing(node, request)
    const bytes = new Uint8Array(room)
    let at = 0
    for (let i = offset; i < open.listing.length; i++) {
      const { name, kind } = open.listing[i]!
      const text = new TextEncoder().encode(name)
      const size = wire.direntSize(text.length)
      if (at + size > room) break
      const entry = { ino: 0n, off: BigInt(i + 1), namelen: text.length, type: KINDS[kind] >>> 12 }
      wire.dirent.put(bytes, at, entry)
      bytes.set(text, at + wire.dirent.size)
      at += size
    }
    return bytes.subarray(0, at)
  }

  async #listing(node: Node, request: FuseRequest): Promise<NonNullable<Open['listing']>> {
    const entries = await this.#need('readdir')(this.#nodes.path(node), request)
    if (entries === undefined) throw new Failure('ENOTDIR')
    const found = await Promise.all([...entries].map((entry) => this.#listed(node, entry, request)))
    return found.filter((entry) => entry !== undefined)
  }

  async #listed(parent: Node, entry: FuseEntry, request: FuseRequest) {
    if (typeof entry !== 'string') return entry
    try {
      const { kind = 'file' } = (await this.#look(this.#nodes.pathIn(parent, entry), request)) ?? {}
      return { name: entry, kind }
    } catch {
      // It went meanwhile, or nobody may look at it: it is listed all the same.
      return { name: entry, kind: 'file' } as const
    }
  }

  /** What is at a path; undefined: nothing. */
  async #look(path: string, request: FuseRequest): Promise<FuseAttributes | undefined> {
    const operations = this.#operations
    if (operations.getattr) {
      try {
        return await operations.getattr(path, request)
      } catch (failure) {
        if (codeOf(failure) === 'ENOENT') return undefined
        throw failure
      }
    }
    try {
      if ((await operations.readdir?.(path, request)) !== undefined) return { kind: 'directory' }
    } catch (failure) {
      const code = codeOf(failure)
      if (code !== 'ENOTDIR' && code !== 'ENOENT') throw failure
    }
    try {
      const content = await operations.readFile?.(path, request)
      if (content === undefined) return undefined
      return { size: typeof content === 'string' ? new TextEncoder().encode(content).length : content.length }
    } catch (failure) {
      if (codeOf(failure) === 'ENOENT') return undefined
      throw failure
    }
  }

  async #entry(parent: Node, name: string, request: FuseRequest): Promise<Uint8Array> {
    const said = await this.#look(this.#nodes.pathIn(parent, name), request)
    if (!said) throw new Failure('ENOENT')
    const node = this.#nodes.named(parent, name)
    return wire.entryOut.bytes({ nodeid: node.id, ...this.#valid, ...attributesOf(node, said) })
  }

  async #attributes(node: Node, request: FuseRequest): Promise<Uint8Array> {
    // One that was removed while it is open is what programs have written.
    const said = await this.#look(this.#nodes.path(node), request)
    if (!said && !node.content && node.id !== 1n) throw new Failure('ENOENT')
    const otherwise: FuseAttributes = node.id === 1n ? { kind: 'directory' } : { nlink: 0 }
    return wire.attrOut.bytes({ ...this.#valid, ...attributesOf(node, said ?? otherwise) })
  }

  async #setAttributes(node: Node, asked: ReturnType<typeof wire.setattrIn.read>, request: FuseRequest): Promise<void> {
    const path = this.#nodes.path(node)
    const is = (bit: number) => (asked.valid & bit) !== 0
    if (is(wire.FATTR_SIZE)) await this.#resize(node, path, Number(asked.size), request)
    if (is(wire.FATTR_MODE)) await this.#need('chmod')(path, asked.mode & 0o7777, request)
    if (is(wire.FATTR_UID | wire.FATTR_GID)) {
      const [uid, gid] = [is(wire.FATTR_UID) ? asked.uid : -1, is(wire.FATTR_GID) ? asked.gid : -1]
      await this.#need('chown')(path, uid, gid, request)
    }
    if (is(wire.FATTR_ATIME | wire.FATTR_MTIME)) {
      const atime = is(wire.FATTR_ATIME) ? asked.atime * SECOND + BigInt(asked.atimensec) : undefined
      const mtime = is(wire.FATTR_MTIME) ? asked.mtime * SECOND + BigInt(asked.mtimensec) : undefined
      await this.#need('utimens')(path, atime, mtime, request)
    }
  }

  async #resize(node: Node, path: string, size: number, request: FuseRequest): Promise<void> {
    if (node.content) {
      this.#need('writeFile')
      node.content.resize(size)
      return
    }
    if (this.#operations.truncate) return this.#operations.truncate(path, size, request)
    this.#need('writeFile')
    if (!this.#operations.readFile) throw new Failure('EOPNOTSUPP')
    const content = await this.#whole(path, request)
    content.resize(size)
    await this.#store(node, content, request)
  }

  async #usage(request: FuseRequest): Promise<Uint8Array> {
    const usage = await this.#operations.statfs?.(request)
    if (!usage) throw new Failure('ENOSYS')
    const { blockSize = 4096, blocks, blocksFree, files = 0, filesFree = 0 } = usage
    const bfree = BigInt(blocksFree)
    const counts = { blocks: BigInt(blocks), bfree, bavail: bfree, files: BigInt(files), ffree: BigInt(filesFree) }
    return wire.statfsOut.bytes({ ...counts, bsize: blockSize, frsize: blockSize, namelen: 255 })
  }
}

const SECOND = 1_000_000_000n

function attributesOf(node: Node, said: FuseAttributes): Partial<wire.FuseAttr> {
  const { kind = 'file', uid = 0, gid = 0, nlink = kind === 'directory' ? 2 : 1, mtime } = said
  const size = node.content?.length ?? said.size ?? 0
  const modified = nanoseconds(mtime ?? node.since)
  const [accessed, changed] = [nanoseconds(said.atime ?? modified), nanoseconds(said.ctime ?? modified)]
  return {
    ...{ ino: node.id, size: BigInt(size), blocks: BigInt(Math.ceil(size / 512)), blksize: 4096 },
    ...{ mode: KINDS[kind] | ((said.mode ?? MODES[kind]) & 0o7777), nlink, uid, gid },
    ...{ atime: accessed / SECOND, mtime: modified / SECOND, ctime: changed / SECOND },
    atimensec: Number(accessed % SECOND),
    mtimensec: Number(modified % SECOND),
    ctimensec: Number(changed % SECOND),
  }
}

function nanoseconds(time: number | bigint | Date): bigint {
  return typeof time === 'bigint' ? time : BigInt(Math.round(Number(time) * 1000)) * 1000n
}

const codeOf = (failure: unknown) => (failure as { code?: unknown } | undefined)?.code

/** Of what an operation threw; the largest that Linux has is below 512. */
function numberOf(failure: unknown): number {
  const code = codeOf(failure)
  const number = typeof code === 'string' ? errnoOf(code) : undefined
  if (number !== undefined && number < 512) return number
  console.error('an operation of a FUSE filesystem failed, which programs see as EIO:', failure)
  return 5
}
