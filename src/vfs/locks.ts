/**
 * Advisory locks: flock(2) on whole files, fcntl(2) on ranges of bytes, for a process or for an open file ("OFD").
 *
 * Locks belong to an inode; those of flock(2) and those of fcntl(2) do not know each other. Who holds one is told by identity:
 * an open file for flock(2) and OFD locks, a process's descriptor table for the others.
 *
 * Invariants: a superblock has an InodeLocks for an inode exactly while it is locked. The ranges of one owner do not
 * overlap, and those of one kind do not touch. Nobody waits for a lock in a circle of processes.
 */

import { ErrnoError } from '../abi/errno.ts'
import { LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN } from '../abi/linux-waiting.ts'
import type { Attachment, FileDescription } from './description.ts'
import type { Inode } from './inode.ts'
import type { Superblock } from './mount.ts'
import { type Attempt, WaitQueue, WouldBlock } from './waiting.ts'

/** What stands for a process or an open file. */
export type LockOwner = object

/** Bytes from `start` to `end`, which is the first byte behind, or Infinity. */
export interface RangeLock {
  readonly owner: LockOwner
  /** What F_GETLK tells of the owner: a process id, or -1 for an open file. */
  readonly pid: number
  readonly exclusive: boolean
  readonly start: number
  readonly end: number
}

export class InodeLocks {
  /** flock(2): one exclusive one, or any number of shared ones. */
  readonly whole = new Map<FileDescription, { readonly exclusive: boolean }>()
  /** Those of fcntl(2), by their start. */
  ranges: RangeLock[] = []
  /** Woken when a lock is given up or weakened. */
  readonly queue = new WaitQueue()
}

function locksOf({ mount, inode }: FileDescription): InodeLocks {
  const { superblock } = mount
  superblock.locks ??= new Map()
  const there = superblock.locks.get(inode)
  if (there) return there
  const locks = new InodeLocks()
  superblock.locks.set(inode, locks)
  return locks
}

function forgetIfFree(superblock: Superblock, inode: Inode): void {
  const locks = superblock.locks?.get(inode)
  if (!locks || locks.whole.size > 0 || locks.ranges.length > 0) return
  superblock.locks!.delete(inode)
  if (superblock.locks!.size === 0) superblock.locks = undefined
}

/** Errors: EBADF for a descriptor that only names a file; ENOLCK for what takes no locks. */
export function requireLockable(file: FileDescription): void {
  if (file.isPath) throw new ErrnoError('EBADF')
  if (file.inode.filesystem.lockless || (file.stream && !file.stream.lockable)) throw new ErrnoError('ENOLCK')
}

/** Ends the locks that an open file owns. */
const ownLocks: Attachment = {
  detached(file) {
    unlockWhole(file)
    dropRanges(file, file)
  },
}

/**
 * flock(2). To change the kind of a lock is to give it up first, so it may be lost.
 * Errors: EINVAL for another operation; EBADF, ENOLCK; EAGAIN with LOCK_NB.
 */
export function lockWhole(file: FileDescription, operation: number): void {
  const kind = operation & ~LOCK_NB
  if (kind !== LOCK_SH && kind !== LOCK_EX && kind !== LOCK_UN) throw new ErrnoError('EINVAL')
  requireLockable(file)
  const exclusive = kind === LOCK_EX
  const held = file.mount.superblock.locks?.get(file.inode)?.whole.get(file)
  if (held && kind !== LOCK_UN && held.exclusive === exclusive) return
  if (held) unlockWhole(file)
  if (kind === LOCK_UN) return
  const there = file.mount.superblock.locks?.get(file.inode)
  for (const other of there?.whole.values() ?? []) {
    if (!exclusive && !other.exclusive) continue
    if (operation & LOCK_NB) throw new ErrnoError('EAGAIN')
    throw new WouldBlock([there!.queue])
  }
  locksOf(file).whole.set(file, { exclusive })
  file.attach(ownLocks)
}

function unlockWhole(file: FileDescription): void {
  const { superblock } = file.mount
  const locks = superblock.locks?.get(file.inode)
  if (!locks?.whole.delete(file)) return
  forgetIfFree(superblock, file.inode)
  locks.queue.wake()
}

const conflicts = (a: RangeLock, b: RangeLock): boolean =>
  a.owner !== b.owner && (a.exclusive || b.exclusive) && a.start < b.end && b.start < a.end

/** The first lock that keeps `wanted` from being had, by its start; undefined if there is none. */
export function conflictingRange(file: FileDescription, wanted: RangeLock): RangeLock | undefined {
  return file.mount.superblock.locks?.get(file.inode)?.ranges.find((lock) => conflicts(lock, wanted))
}

/** A process that waits for a range of a file. */
interface WaitingForRange {
  readonly file: FileDescription
  readonly wanted: RangeLock
}

/** The processes of a kernel that wait for ranges, so that none waits in a circle: fcntl(2), EDEADLK. */
export class RangeWaiters {
  readonly #byOwner = new Map<LockOwner, Set<WaitingForRange>>()

  /** How many wait. */
  get size(): number {
    return this.#byOwner.size
  }

  /** Notes, for as long as the attempt lasts, that an owner waits. */
  enter(waiting: WaitingForRange, attempt: Attempt): void {
    attempt.note(this, () => {
      const { owner } = waiting.wanted
      const others = this.#byOwner.get(owner)
      if (others) others.add(waiting)
      else this.#byOwner.set(owner, new Set([waiting]))
      attempt.onEnd(() => {
        const left = this.#byOwner.get(owner)
        left?.delete(waiting)
        if (left?.size === 0) this.#byOwner.delete(owner)
      })
      return waiting
    })
  }

  /** Whether one of those who keep `waiting` from its lock waits, maybe through others, for its owner. */
  closesCircle(waiting: WaitingForRange): boolean {
    const seen = new Set<LockOwner>()
    const left = ownersInTheWay(waiting)
    for (let owner = left.pop(); owner; owner = left.pop()) {
      if (owner === waiting.wanted.owner) return true
      if (seen.has(owner)) continue
      seen.add(owner)
      for (const other of this.#byOwner.get(owner) ?? []) left.push(...ownersInTheWay(other))
    }
    return false
  }
}

function ownersInTheWay({ file, wanted }: WaitingForRange): LockOwner[] {
  const ranges = file.mount.superblock.locks?.get(file.inode)?.ranges ?? []
  return ranges.filter((lock) => conflicts(lock, wanted)).map((lock) => lock.owner)
}

/**
 * Takes a range for its owner, in place of what the owner had of it. `waiters`: wait for it, and say so there; left out,
 * it is now or never. Preconditions: requireLockable; the file's access mode fits. Errors: EAGAIN; EDEADLK.
 */
export function lockRange(file: FileDescription, wanted: RangeLock, attempt: Attempt, waiters?: RangeWaiters): void {
  if (conflictingRange(file, wanted)) {
    if (!waiters) throw new ErrnoError('EAGAIN')
    const waiting = { file, wanted }
    // An open file is no process: who it waits for can't be known, and Linux doesn't look.
    if (wanted.owner !== file) {
      if (waiters.closesCircle(waiting)) throw new ErrnoError('EDEADLK')
      waiters.enter(waiting, attempt)
    }
    throw new WouldBlock([locksOf(file).queue])
  }
  if (wanted.owner === file) file.attach(ownLocks)
  const locks = locksOf(file)
  let { start, end } = wanted
  const others = locks.ranges.filter((lock) => {
    const merges = lock.owner === wanted.owner && lock.exclusive === wanted.exclusive
    if (!merges || lock.start > end || lock.end < start) return true
    start = Math.min(start, lock.start)
    end = Math.max(end, lock.end)
    return false
  })
  const weakened = cut(locks, others, wanted.owner, start, end)
  insert(locks.ranges, { ...wanted, start, end })
  if (weakened) locks.queue.wake()
}

/** Gives up an owner's locks in a range. */
export function unlockRange(file: FileDescription, owner: LockOwner, start: number, end: number): void {
  const { superblock } = file.mount
  const locks = superblock.locks?.get(file.inode)
  if (!locks || !cut(locks, locks.ranges, owner, start, end)) return
  forgetIfFree(superblock, file.inode)
  locks.queue.wake()
}

/** Gives up all of an owner's ranges of a file: so does a process that closes any descriptor of it. */
export function dropRanges(file: FileDescription, owner: LockOwner): void {
  unlockRange(file, owner, 0, Number.POSITIVE_INFINITY)
}

/** Makes `from`, without what `owner` has between `start` and `end`, the inode's ranges. Whether there was any. */
function cut(locks: InodeLocks, from: readonly RangeLock[], owner: LockOwner, start: number, end: number): boolean {
  const left: RangeLock[] = []
  let found = false
  for (const lock of from) {
    if (lock.owner !== owner || lock.start >= end || lock.end <= start) {
      insert(left, lock)
      continue
    }
    found = true
    if (lock.start < start) insert(left, { ...lock, end: start })
    if (lock.end > end) insert(left, { ...lock, start: end })
  }
  locks.ranges = left
  return found
}

function insert(ranges: RangeLock[], lock: RangeLock): void {
  let at = ranges.length
  while (at > 0 && ranges[at - 1]!.start > lock.start) at--
  ranges.splice(at, 0, lock)
}
