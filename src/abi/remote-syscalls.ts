/** The guest's end of a channel: system calls that block the guest's thread until the kernel has answered. */
import { ANSWERED, CALL, DEAD, IDLE, REQUESTED, STATE, STATUS } from './channel.ts'
import {
  type ArgumentKind,
  type CallName,
  callNumbers,
  DATA_SIZE,
  LISTING,
  Message,
  signatures,
} from './channel-codec.ts'
import { ErrnoError, errnoName } from './errno.ts'
import { POLLIN } from './linux.ts'
import type { DirectoryEntry, PollRequest, Stat, Syscalls } from './syscalls.ts'

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

  /** readv(2) and its like, in as many calls as the data area makes necessary: of a file, all that was asked for is moved. */
  #move(name: CallName, fd: number, memory: Uint8Array, ranges: readonly number[], offset?: number): number {
    const message = this.#message
    const reads = signatures[name].args[1] === 'out'
    let left = ranges
    let done = 0
    for (;;) {
      message.rewind()
      message.putNumber(fd)
      if (reads) message.putRoom(left)
      else message.putBytes(memory, left)
      if (offset !== undefined) message.putNumber(offset + done)
      try {
        this.#ask(callNumbers[name])
      } catch (error) {
        if (done === 0) throw error
        return done
      }
      const length = message.number()
      if (reads) message.scatter(length, memory, left)
      done += length
      if (length < DATA_SIZE) return done
      left = behind(length, left)
      // A stream that has no more now would wait for it, and what was read is enough.
      if (left.length === 0 || (reads && !this.poll([{ fd, events: POLLIN }], 0n)[0])) return done
    }
  }

  readv(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.#move('readv', fd, memory, ranges)
  }
  preadv(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.#move('preadv', fd, memory, ranges, offset)
  }
  writev(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.#move('writev', fd, memory, ranges)
  }
  pwritev(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.#move('pwritev', fd, memory, ranges, offset)
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

/** Ranges without their first bytes. */
function behind(bytes: number, ranges: readonly number[]): readonly number[] {
  const left: number[] = []
  for (let i = 0; i < ranges.length; i += 2) {
    const skipped = Math.min(bytes, ranges[i + 1]!)
    bytes -= skipped
    if (skipped < ranges[i + 1]!) left.push(ranges[i]! + skipped, ranges[i + 1]! - skipped)
  }
  return left
}

function putArgument(message: Message, kind: ArgumentKind, value: number | string | bigint | undefined): void {
  if (kind === 'text') message.putText(value as string)
  else if (kind === 'time') message.putTime(value as bigint | undefined)
  else message.putNumber(value as number)
}
