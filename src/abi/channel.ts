/**
 * System calls over shared memory: a guest in its own Worker asks, the kernel answers, and the guest waits in between.
 *
 * One SharedArrayBuffer per task is its channel; one more, the doorbell, is for all guests of a kernel. The doorbell is a
 * counter: a guest publishes its request and then adds one and wakes the kernel; the kernel reads the counter before it
 * looks at the channels and sleeps only while the counter stays the same, so no ring is lost. It is never reset.
 *
 * Invariants: a request counts only once the state word says REQUESTED, which is written last; the answer likewise.
 * Whose turn it is follows from the state word alone. A dead channel stays dead.
 */
import {
  type ArgumentKind,
  type CallName,
  CHANNEL_SIZE,
  callNames,
  callNumbers,
  LISTING,
  Message,
  signatures,
} from './channel-codec.ts'
import { ErrnoError, errnoName, errnoNumber } from './errno.ts'
import type { DirectoryEntry, PollRequest, Stat, Syscalls } from './syscalls.ts'

/** Words of a channel's header. */
const STATE = 0
const CALL = 1
/** 0, or the Linux number of the error. */
const STATUS = 2

const IDLE = 0
const REQUESTED = 1
const ANSWERED = 2
const DEAD = 3

export const createChannel = (): SharedArrayBuffer => new SharedArrayBuffer(CHANNEL_SIZE)
export const createDoorbell = (): SharedArrayBuffer => new SharedArrayBuffer(4)

/** How the guest's side waits for its answer. Tests answer here, on the same thread. */
export type WaitForAnswer = (state: Int32Array, index: number, while_: number) => void

const waitAtomically: WaitForAnswer = (state, index, while_) => {
  Atomics.wait(state, index, while_)
}

/** The guest's end: every call blocks its thread until the kernel has answered. */
export class RemoteSyscalls implements Syscalls {
  readonly #state: Int32Array
  readonly #doorbell: Int32Array
  readonly #message: Message
  readonly #wait: WaitForAnswer

  constructor(channel: SharedArrayBuffer, doorbell: SharedArrayBuffer, wait: WaitForAnswer = waitAtomically) {
    this.#state = new Int32Array(channel, 0, 4)
    this.#doorbell = new Int32Array(doorbell)
    this.#message = new Message(channel)
    this.#wait = wait
  }

  /** Publishes the request that `#message` holds and waits; afterwards `#message` holds the answer. */
  #ask(call: number): void {
    const state = this.#state
    state[CALL] = call
    if (Atomics.compareExchange(state, STATE, IDLE, REQUESTED) !== IDLE) this.#stop()
    Atomics.add(this.#doorbell, 0, 1)
    Atomics.notify(this.#doorbell, 0)
    for (;;) {
      const now = Atomics.load(state, STATE)
      if (now === ANSWERED) break
      if (now === DEAD) this.#stop()
      this.#wait(state, STATE, REQUESTED)
    }
    const status = state[STATUS]!
    this.#message.rewind()
    if (Atomics.compareExchange(state, STATE, ANSWERED, IDLE) === DEAD) this.#stop()
    if (status !== 0) throw new ErrnoError(errnoName(status))
  }

  /** The kernel has ended this guest: nothing it does counts any more, so its thread rests until it is terminated. */
  #stop(): never {
    for (;;) this.#wait(this.#state, STATE, DEAD)
  }

  /** Writes the arguments of a call that moves no bytes, makes it, and reads its answer. */
  #call(name: CallName, ...args: readonly (number | string | bigint | undefined)[]): unknown {
    const message = this.#message
    const signature = signatures[name]
    message.rewind()
    for (let i = 0; i < args.length; i++) putArgument(message, signature.args[i]!, args[i])
    this.#ask(callNumbers[name])
    switch (signature.result) {
      case 'number':
        return message.number()
      case 'text':
        return message.text()
      case 'stat':
        return message.stat()
      default:
        return undefined
    }
  }

  #read(name: CallName, fd: number, memory: Uint8Array, ranges: readonly number[], offset?: number): number {
    const message = this.#message
    message.rewind()
    message.putNumber(fd)
    message.putRoom(ranges)
    if (offset !== undefined) message.putNumber(offset)
    this.#ask(callNumbers[name])
    const length = message.number()
    message.scatter(length, memory, ranges)
    return length
  }

  #write(name: CallName, fd: number, memory: Uint8Array, ranges: readonly number[], offset?: number): number {
    const message = this.#message
    message.rewind()
    message.putNumber(fd)
    message.putBytes(memory, ranges)
    if (offset !== undefined) message.putNumber(offset)
    this.#ask(callNumbers[name])
    return message.number()
  }

  readv(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.#read('readv', fd, memory, ranges)
  }
  preadv(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.#read('preadv', fd, memory, ranges, offset)
  }
  writev(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.#write('writev', fd, memory, ranges)
  }
  pwritev(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.#write('pwritev', fd, memory, ranges, offset)
  }

  /** In as many calls as the data area makes necessary: a short listing would mean that the directory ends. */
  getdents(fd: number, cookie: number, bytes: number): readonly DirectoryEntry[] {
    const message = this.#message
    const all: DirectoryEntry[] = []
    let after = cookie
    let left = bytes
    do {
      const wanted = Math.min(left, LISTING)
      message.rewind()
      message.putNumber(fd)
      message.putNumber(after)
      message.putNumber(wanted)
      this.#ask(callNumbers.getdents)
      const { entries, size } = message.entries()
      all.push(...entries)
      left -= size
      if (size < wanted || entries.length === 0) break
      after = entries[entries.length - 1]!.cookie
    } while (left > 0)
    return all
  }

  poll(requests: readonly PollRequest[], deadline: bigint | undefined): readonly number[] {
    const message = this.#message
    message.rewind()
    message.putRequests(requests)
    message.putTime(deadline)
    this.#ask(callNumbers.poll)
    return message.numbers()
  }

  openat(dirfd: number, path: string, flags: number, mode: number): number {
    return this.#call('openat', dirfd, path, flags, mode) as number
  }
  close(fd: number): void {
    this.#call('close', fd)
  }
  lseek(fd: number, offset: number, whence: number): number {
    return this.#call('lseek', fd, offset, whence) as number
  }
  fstat(fd: number): Stat {
    return this.#call('fstat', fd) as Stat
  }
  fstatat(dirfd: number, path: string, flags: number): Stat {
    return this.#call('fstatat', dirfd, path, flags) as Stat
  }
  mkdirat(dirfd: number, path: string, mode: number): void {
    this.#call('mkdirat', dirfd, path, mode)
  }
  unlinkat(dirfd: number, path: string, flags: number): void {
    this.#call('unlinkat', dirfd, path, flags)
  }
  renameat2(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void {
    this.#call('renameat2', olddirfd, oldpath, newdirfd, newpath, flags)
  }
  linkat(olddirfd: number, oldpath: string, newdirfd: number, newpath: string, flags: number): void {
    this.#call('linkat', olddirfd, oldpath, newdirfd, newpath, flags)
  }
  symlinkat(target: string, dirfd: number, path: string): void {
    this.#call('symlinkat', target, dirfd, path)
  }
  readlinkat(dirfd: number, path: string): string {
    return this.#call('readlinkat', dirfd, path) as string
  }
  ftruncate(fd: number, size: number): void {
    this.#call('ftruncate', fd, size)
  }
  fallocate(fd: number, mode: number, offset: number, length: number): void {
    this.#call('fallocate', fd, mode, offset, length)
  }
  fsync(fd: number): void {
    this.#call('fsync', fd)
  }
  fdatasync(fd: number): void {
    this.#call('fdatasync', fd)
  }
  utimensat(dirfd: number, path: string, atime: bigint, mtime: bigint, flags: number): void {
    this.#call('utimensat', dirfd, path, atime, mtime, flags)
  }
  fchmodat(dirfd: number, path: string, mode: number, flags: number): void {
    this.#call('fchmodat', dirfd, path, mode, flags)
  }
  fchownat(dirfd: number, path: string, uid: number, gid: number, flags: number): void {
    this.#call('fchownat', dirfd, path, uid, gid, flags)
  }
  faccessat(dirfd: number, path: string, mode: number, flags: number): void {
    this.#call('faccessat', dirfd, path, mode, flags)
  }
  getfl(fd: number): number {
    return this.#call('getfl', fd) as number
  }
  setfl(fd: number, flags: number): void {
    this.#call('setfl', fd, flags)
  }
  renumber(from: number, to: number): void {
    this.#call('renumber', from, to)
  }
}

function putArgument(message: Message, kind: ArgumentKind, value: number | string | bigint | undefined): void {
  if (kind === 'text') message.putText(value as string)
  else if (kind === 'time') message.putTime(value as bigint | undefined)
  else message.putNumber(value as number)
}

/** The kernel's end of one channel. */
export class ServedChannel {
  readonly #state: Int32Array
  readonly #message: Message

  constructor(channel: SharedArrayBuffer) {
    this.#state = new Int32Array(channel, 0, 4)
    this.#message = new Message(channel)
  }

  /** Whether a request was published and not answered yet. */
  get requested(): boolean {
    return Atomics.load(this.#state, STATE) === REQUESTED
  }

  /** The name of the requested call. */
  get call(): CallName | undefined {
    return callNames[this.#state[CALL]!]
  }

  /** Requests are ignored from now on; the guest rests until its thread is terminated. */
  kill(): void {
    Atomics.store(this.#state, STATE, DEAD)
    Atomics.notify(this.#state, STATE)
  }

  /**
   * Runs the published request and publishes the answer. What is thrown and is no ErrnoError is thrown on: a WouldBlock
   * or InFlight leaves the request as it is, to be served again or `finish`ed (the caller settles it then); so does a
   * fault of the kernel, for which `fail` is there.
   * Preconditions: `requested`.
   */
  serve(syscalls: Syscalls): void {
    const message = this.#message
    try {
      const name = this.call
      if (name === undefined) throw new ErrnoError('ENOSYS')
      message.rewind()
      const args: unknown[] = []
      for (const kind of signatures[name].args) readArgument(message, kind, args)
      this.finish((syscalls[name] as (...args: unknown[]) => unknown).apply(syscalls, args))
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
      this.fail(error.code)
    }
  }

  /** Answers the published request with a result that came another way than through `serve`. */
  finish(result: unknown): void {
    const message = this.#message
    message.rewind()
    switch (signatures[this.call!].result) {
      case 'number':
        message.putNumber(result as number)
        break
      case 'text':
        message.putText(result as string)
        break
      case 'stat':
        message.putStat(result as Stat)
        break
      case 'entries':
        message.putEntries(result as readonly DirectoryEntry[])
        break
      case 'numbers':
        message.putNumbers(result as readonly number[])
        break
      case 'nothing':
    }
    this.#publish(0)
  }

  /** Answers the published request with an error. */
  fail(code: ErrnoError['code']): void {
    this.#publish(errnoNumber(code))
  }

  #publish(status: number): void {
    const state = this.#state
    state[STATUS] = status
    if (Atomics.compareExchange(state, STATE, REQUESTED, ANSWERED) === REQUESTED) Atomics.notify(state, STATE)
  }
}

/** Reads an argument; `in` and `out` become two, the data area and the range in it. */
function readArgument(message: Message, kind: ArgumentKind, into: unknown[]): void {
  switch (kind) {
    case 'number':
      into.push(message.number())
      break
    case 'time':
      into.push(message.time())
      break
    case 'text':
      into.push(message.text())
      break
    case 'requests':
      into.push(message.requests())
      break
    default:
      into.push(message.data, message.ranges())
  }
}
