/**
 * poll_oneoff: any mixture of clocks and descriptors becomes one poll(2) with one deadline, so that a guest sleeps in
 * the kernel and never spins.
 */
import { wasi } from '@bjorn3/browser_wasi_shim'
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, SEEK_CUR } from '../abi/linux.ts'
import type { PollRequest } from '../abi/syscalls.ts'
import { WouldBlock } from '../vfs/waiting.ts'
import type { Context } from './context.ts'
import { E, SUCCESS } from './errno.ts'
import type { Layout } from './layout.ts'
import { row, type Table } from './table.ts'

const EVENT_SIZE = 32
/** The last moment that a deadline, which travels as an i64, can be: in the year 2262 or later. */
const NEVER = 2n ** 63n - 1n
/** More than any guest has descriptors: RLIMIT_NOFILE, where poll(2) answers EINVAL too. */
const MAX_SUBSCRIPTIONS = 65_536

interface Subscription {
  readonly userdata: bigint
  readonly type: number
  /** A clock's deadline on the monotonic clock. */
  readonly deadline: bigint | undefined
  readonly fd: number
  /** Found wrong before anything is waited for. */
  readonly error: number
}

export function pollFunction(context: Context, { subscriptionSize, clockAt }: Layout): Table {
  const { syscalls, memory, descriptors, clock } = context

  /** Where a clock reads 0, on the monotonic clock. Those of the processor go as clock_time_get tells them. */
  function zeroOf(id: number, now: { monotonic: bigint; realtime: bigint }): bigint | undefined {
    switch (id) {
      case wasi.CLOCKID_REALTIME:
        return now.monotonic - now.realtime
      case wasi.CLOCKID_MONOTONIC:
        return 0n
      case wasi.CLOCKID_PROCESS_CPUTIME_ID:
      case wasi.CLOCKID_THREAD_CPUTIME_ID:
        return context.started
      default:
        return undefined
    }
  }

  function subscription(at: number, now: { monotonic: bigint; realtime: bigint }): Subscription | undefined {
    const { view } = memory
    const userdata = view.getBigUint64(at, true)
    const type = view.getUint8(at + 8)
    if (type === wasi.EVENTTYPE_CLOCK) {
      const id = view.getUint32(at + clockAt, true)
      const time = view.getBigUint64(at + clockAt + 8, true)
      const absolute = (view.getUint16(at + clockAt + 24, true) & wasi.SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME) !== 0
      const zero = zeroOf(id, now)
      if (zero === undefined) return { userdata, type, deadline: undefined, fd: -1, error: E.EINVAL }
      const due = (absolute ? zero : now.monotonic) + time
      return { userdata, type, deadline: due < NEVER ? due : NEVER, fd: -1, error: 0 }
    }
    if (type !== wasi.EVENTTYPE_FD_READ && type !== wasi.EVENTTYPE_FD_WRITE) return undefined
    const fd = view.getInt32(at + 16, true)
    return { userdata, type, deadline: undefined, fd, error: 0 }
  }

  /** EBADF is poll's to find (POLLNVAL); a missing right is ours. */
  function rightsError(fd: number): number {
    return descriptors.has(fd) ? descriptors.check(fd, wasi.RIGHTS_POLL_FD_READWRITE) : 0
  }

  /** What fd_read would give: exact for a file, otherwise at least one byte. */
  function readable(fd: number, events: number): number {
    if (descriptors.filetype(fd) !== wasi.FILETYPE_REGULAR_FILE) return events & POLLIN ? 1 : 0
    return Math.max(0, syscalls.fstat(fd).size - syscalls.lseek(fd, 0, SEEK_CUR))
  }

  function writeEvent(at: number, from: Subscription, error: number, bytes: number, flags: number): void {
    const { view } = memory
    view.setBigUint64(at, from.userdata, true)
    view.setUint16(at + 8, error, true)
    view.setUint16(at + 10, from.type, true)
    view.setUint32(at + 12, 0, true)
    memory.setU64(at + 16, bytes)
    view.setUint32(at + 24, flags, true)
    view.setUint32(at + 28, 0, true)
  }

  function ready(from: Subscription, at: number, events: number): boolean {
    if (events === 0) return false
    if (events & POLLNVAL) {
      writeEvent(at, from, E.EBADF, 0, 0)
      return true
    }
    const bytes = from.type === wasi.EVENTTYPE_FD_READ ? readable(from.fd, events) : 0
    const hangup = events & (POLLHUP | POLLERR) ? wasi.EVENTRWFLAGS_FD_READWRITE_HANGUP : 0
    writeEvent(at, from, 0, bytes, hangup)
    return true
  }

  return {
    poll_oneoff: row(['in:ptr', 'out:ptr', 'nsubscriptions', 'nevents:ptr'], (from, out, count, nevents) => {
      from >>>= 0
      out >>>= 0
      count >>>= 0
      nevents >>>= 0
      if (count === 0 || count > MAX_SUBSCRIPTIONS) return E.EINVAL
      if (!memory.fits(from, count * subscriptionSize) || !memory.fits(out, count * EVENT_SIZE)) return E.EFAULT
      if (!memory.fits(nevents, 4)) return E.EFAULT

      const now = context.pollStart ?? { monotonic: clock.monotonic(), realtime: clock.realtime() }
      context.pollStart = undefined
      const subscriptions: Subscription[] = []
      const requests: PollRequest[] = []
      let deadline: bigint | undefined
      for (let i = 0; i < count; i++) {
        const read = subscription(from + i * subscriptionSize, now)
        if (read === undefined) return E.EINVAL
        const error = read.error || (read.fd < 0 ? 0 : rightsError(read.fd))
        subscriptions.push(error === read.error ? read : { ...read, error })
        if (error !== 0) deadline = now.monotonic
        else if (read.deadline === undefined) {
          requests.push({ fd: read.fd, events: read.type === wasi.EVENTTYPE_FD_READ ? POLLIN : POLLOUT })
        } else if (deadline === undefined || read.deadline < deadline) deadline = read.deadline
      }

      let answers: readonly number[]
      try {
        answers = syscalls.poll(requests, deadline)
      } catch (error) {
        if (error instanceof WouldBlock) context.pollStart = now
        throw error
      }

      let written = 0
      let next = 0
      const passed = clock.monotonic()
      for (const sub of subscriptions) {
        const at = out + written * EVENT_SIZE
        if (sub.error !== 0) writeEvent(at, sub, sub.error, 0, 0)
        else if (sub.deadline === undefined) {
          if (!ready(sub, at, answers[next++]!)) continue
        } else if (sub.deadline > passed) continue
        else writeEvent(at, sub, 0, 0, 0)
        written++
      }
      if (written === 0) written = earliestClock(subscriptions, deadline, out)
      memory.view.setUint32(nevents, written, true)
      return SUCCESS
    }),
  }

  /** The kernel's clock may be a tick ahead of the guest's: a poll that came back empty came back for its deadline. */
  function earliestClock(subscriptions: readonly Subscription[], deadline: bigint | undefined, out: number): number {
    const first = subscriptions.find((sub) => sub.deadline !== undefined && sub.deadline === deadline)
    if (first === undefined) return 0
    writeEvent(out, first, 0, 0, 0)
    return 1
  }
}
