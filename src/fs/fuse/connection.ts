/**
 * The line between the kernel and one FUSE server: requests go out in their order, replies come in any.
 *
 * Invariants: nothing but INIT goes out before its reply is in. A request waits to go out, or is out, or is done, and is done
 * once: by its reply, by the end of the line, or because nobody wants it any more before it went out. What a server says that
 * does not answer a request that is out, or not as the request asks, is an error of its write(2) and changes nothing else.
 *
 * Facts: linux/fuse.h, fuse(4), and what Linux's fs/fuse/dev.c answers; figures of gVisor's fsimpl/fuse.
 */

import { type Errno, ErrnoError, errnoName } from '../../abi/errno.ts'
import {
  FUSE_ASYNC_READ,
  FUSE_BIG_WRITES,
  FUSE_INT_REQ_BIT,
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_MAX_PAGES,
  FUSE_MIN_READ_BUFFER,
  FUSE_PAGE,
  FUSE_PARALLEL_DIROPS,
  inHeader,
  initIn,
  initOut,
  interruptIn,
  Op,
  type Opcode,
  outHeader,
  writeIn,
} from '../../abi/fuse.ts'
import { type Caller, WaitQueue, WouldBlock } from '../../vfs/waiting.ts'

/** Requests that are under way at a time; who asks for more waits. */
const MOST_REQUESTS = 10_000
/** Linux's default of fs.fuse.max_pages_limit: the most that one request carries. */
const MOST_PAGES = 256
/** What a server may send for a reply before the kernel takes it for none: Linux's bounds of -errno. */
const LAST_ERRNO = 511

/** How long a reply may be behind its header. */
export interface ReplyLength {
  readonly least: number
  readonly most: number
}

export const exactly = (size: number): ReplyLength => ({ least: size, most: size })
export const atMost = (size: number): ReplyLength => ({ least: 0, most: size })
export const NOTHING = exactly(0)

export interface Message {
  readonly op: Opcode
  readonly nodeid: bigint
  /** What is behind the header. */
  readonly body: Uint8Array
  /** Left out: it has no reply (FORGET). */
  readonly reply?: ReplyLength
}

export class Request {
  readonly unique: bigint
  readonly op: Opcode
  readonly bytes: Uint8Array
  readonly reply: ReplyLength | undefined
  /** Woken when it is done. */
  readonly queue = new WaitQueue()
  state: 'waiting' | 'out' | 'done' = 'waiting'
  error: Errno | undefined
  /** What is behind the header of the reply. */
  body: Uint8Array = NO_BYTES
  /** What tells the server that nobody waits for this any more. */
  interrupt: Request | undefined
  /** Called once, when it is done. */
  whenDone: ((request: Request) => void) | undefined

  constructor(unique: bigint, { op, nodeid, body, reply }: Message, caller: Caller | undefined) {
    this.unique = unique
    this.op = op
    this.reply = reply
    this.bytes = new Uint8Array(inHeader.size + body.length)
    const { uid = 0, gid = 0 } = caller?.credentials ?? {}
    const len = this.bytes.length
    inHeader.put(this.bytes, 0, { len, opcode: op, unique, nodeid, uid, gid, pid: caller?.pid ?? 0 })
    this.bytes.set(body, inHeader.size)
  }
}

const NO_BYTES = new Uint8Array(0)

export class Connection {
  /** Woken when there is something for the server to read, or nothing will ever be. */
  readonly readable = new WaitQueue()
  /** Operations that the server does not have: it said ENOSYS. */
  readonly missing = new Set<Opcode>()
  /** Bytes of data in one WRITE, one READ. */
  maxWrite = FUSE_PAGE
  maxRead = FUSE_PAGE * MOST_PAGES
  /** A server says that something changed. Errors: ENOENT for what the kernel does not know; EINVAL. */
  onNotify: ((code: number, body: Uint8Array) => void) | undefined
  #state: 'unmounted' | 'starting' | 'ready' | 'refused' | 'aborted' | 'gone' = 'unmounted'
  #lastUnique = 0n
  /** For the server to read, in this order. */
  readonly #waiting = new Set<Request>()
  /** What waits for the reply to INIT. */
  readonly #held = new Set<Request>()
  readonly #out = new Map<bigint, Request>()
  readonly #room = new WaitQueue()

  /** Requests that wait for the server or for a reply. */
  get active(): number {
    return this.#waiting.size + this.#held.size + this.#out.size
  }

  get isMounted(): boolean {
    return this.#state !== 'unmounted'
  }

  /** Something can be read. */
  get hasNext(): boolean {
    return this.#waiting.size > 0
  }

  /** Nothing will be read or written any more. */
  get isOver(): boolean {
    return this.#state === 'aborted' || this.#state === 'gone'
  }

  /** The filesystem is mounted. `maxRead` is the mount's option. */
  start(maxRead: number): void {
    this.#state = 'starting'
    this.maxRead = Math.min(this.maxRead, maxRead)
    const body = initIn.bytes({
      major: FUSE_KERNEL_VERSION,
      minor: FUSE_KERNEL_MINOR_VERSION,
      maxReadahead: this.maxRead,
      flags: FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES,
    })
    const init = this.#request({ op: Op.INIT, nodeid: 0n, body, reply: atMost(initOut.size) }, undefined)
    init.whenDone = (request) => this.#begin(request)
    this.#enqueue(init)
  }

  #begin({ error, body }: Request): void {
    if (this.#state !== 'starting') return
    const said = initOut.read(body)
    // Servers older than 7.9 have shorter attributes.
    const speaks = !error && body.length >= 8 && said.major === FUSE_KERNEL_VERSION && said.minor >= 9
    if (!speaks) {
      this.#state = 'refused'
      this.#endAll('ECONNREFUSED')
      return
    }
    this.#state = 'ready'
    const pages = said.flags & FUSE_MAX_PAGES ? Math.min(Math.max(said.maxPages, 1), MOST_PAGES) : 32
    this.maxWrite = Math.max(FUSE_PAGE, Math.min(said.maxWrite, pages * FUSE_PAGE))
    this.maxRead = Math.min(this.maxRead, pages * FUSE_PAGE)
    const held = [...this.#held]
    this.#held.clear()
    for (const request of held) this.#enqueue(request)
  }

  /**
   * Asks the server. Errors: ENOTCONN when the server is gone, ECONNREFUSED when the two do not speak one language.
   * Throws WouldBlock while there are too many requests.
   */
  ask(message: Message, caller: Caller | undefined): Request {
    if (this.#state === 'refused') throw new ErrnoError('ECONNREFUSED')
    if (this.isOver) throw new ErrnoError('ENOTCONN')
    if (this.active >= MOST_REQUESTS) throw new WouldBlock([this.#room])
    const request = this.#request(message, caller)
    this.#enqueue(request)
    return request
  }

  /** Tells the server something that nobody waits for; nothing if there is no server. */
  tell(message: Message): void {
    if (this.#state === 'starting' || this.#state === 'ready') this.#enqueue(this.#request(message, undefined))
  }

  #request(message: Message, caller: Caller | undefined): Request {
    this.#lastUnique += 2n
    return new Request(this.#lastUnique, message, caller)
  }

  #enqueue(request: Request): void {
    if (this.#state === 'starting' && request.op !== Op.INIT) {
      this.#held.add(request)
      return
    }
    this.#waiting.add(request)
    this.readable.wake()
  }

  /** Nobody waits for a request any more: it does not go out, or the server is told that it may leave it. */
  abandon(request: Request): void {
    if (request.state === 'done') return
    if (request.state === 'waiting') {
      this.#waiting.delete(request)
      this.#held.delete(request)
      this.#done(request, 'EINTR')
    } else this.#interrupt(request)
  }

  #interrupt(request: Request): void {
    if (this.missing.has(Op.INTERRUPT) || request.interrupt?.state === 'waiting') return
    const body = interruptIn.bytes({ unique: request.unique })
    const message = { op: Op.INTERRUPT, nodeid: 0n, body }
    request.interrupt = new Request(request.unique | FUSE_INT_REQ_BIT, message, undefined)
    this.#enqueue(request.interrupt)
  }

  /** The least that the server must read at a time: any request fits. */
  get readBuffer(): number {
    return Math.max(FUSE_MIN_READ_BUFFER, inHeader.size + writeIn.size + (this.#state === 'ready' ? this.maxWrite : 0))
  }

  /** The next request for the server, of at most `room` bytes; undefined when there is none. Errors: ENODEV, ECONNABORTED. */
  next(room = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    for (;;) {
      if (this.#state === 'gone' && this.#waiting.size === 0) throw new ErrnoError('ENODEV')
      if (this.#state === 'aborted') throw new ErrnoError('ECONNABORTED')
      const [request] = this.#waiting
      if (!request) return undefined
      this.#waiting.delete(request)
      if (request.bytes.length > room) {
        this.#done(request, 'EIO')
        continue
      }
      request.state = 'out'
      if (request.reply) this.#out.set(request.unique, request)
      else this.#done(request)
      return request.bytes
    }
  }

  /** What the server says. Errors: EINVAL for what is no reply or not this request's; ENOENT for no such request. */
  answer(bytes: Uint8Array): void {
    if (bytes.length < outHeader.size) throw new ErrnoError('EINVAL')
    const { len, error, unique } = outHeader.read(bytes)
    if (len !== bytes.length) throw new ErrnoError('EINVAL')
    const body = bytes.subarray(outHeader.size)
    if (unique === 0n) {
      if (!this.onNotify) throw new ErrnoError('EINVAL')
      this.onNotify(error, body)
      return
    }
    if (error > 0 || error < -LAST_ERRNO) throw new ErrnoError('EINVAL')
    if (unique & FUSE_INT_REQ_BIT) {
      this.#interruptAnswered(unique, error)
      return
    }
    const request = this.#out.get(unique)
    if (!request) throw new ErrnoError('ENOENT')
    this.#out.delete(unique)
    const { least, most } = error < 0 ? NOTHING : request.reply!
    if (body.length < least || body.length > most) {
      this.#done(request, 'EIO')
      throw new ErrnoError('EINVAL')
    }
    const code = error < 0 ? errnoName(-error) : undefined
    if (code === 'ENOSYS') this.missing.add(request.op)
    request.body = body
    this.#done(request, code)
  }

  #interruptAnswered(unique: bigint, error: number): void {
    const request = this.#out.get(unique & ~FUSE_INT_REQ_BIT)
    if (!request) throw new ErrnoError('ENOENT')
    if (!request.interrupt) throw new ErrnoError('EINVAL')
    const code = errnoName(-error)
    if (code === 'ENOSYS') this.missing.add(Op.INTERRUPT)
    else if (code === 'EAGAIN') this.#interrupt(request)
  }

  #done(request: Request, error?: Errno): void {
    if (request.interrupt) this.#waiting.delete(request.interrupt)
    request.state = 'done'
    request.error = error
    request.whenDone?.(request)
    request.queue.wake()
    this.#room.wake()
  }

  /** Ends all that goes on. What INIT holds up was never asked, and has an error of its own. */
  #endAll(error: Errno, held = error): void {
    const begun = [...this.#waiting, ...this.#out.values()]
    const notBegun = [...this.#held]
    this.#waiting.clear()
    this.#held.clear()
    this.#out.clear()
    for (const request of begun) if (request.state !== 'done') this.#done(request, error)
    for (const request of notBegun) if (request.state !== 'done') this.#done(request, held)
    this.readable.wake()
  }

  /** The server is gone. The errors are Linux's: fuse_abort_conn, and fuse_get_req for who waits for INIT. */
  abort(): void {
    if (this.#state === 'aborted') return
    this.#state = 'aborted'
    this.#endAll('ECONNABORTED', 'ENOTCONN')
  }

  /** The last mount is gone. The server can still read that, and then that nothing more will come. */
  end(): void {
    if (this.isOver) return
    const wasReady = this.#state === 'ready'
    this.#endAll('ENOTCONN')
    if (wasReady) this.tell({ op: Op.DESTROY, nodeid: 0n, body: NO_BYTES, reply: NOTHING })
    this.#state = 'gone'
  }
}
