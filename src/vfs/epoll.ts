/**
 * epoll(7): open files that somebody waits for, together.
 *
 * Invariants: an entry is (open file, number it was added by); it is in its stream's queue as long as it is not disarmed.
 * The ready list holds, in order, all entries whose events may hold; what is on it is asked again before it is told of.
 * An entry goes when its file is closed for good or the instance is.
 */

import { ErrnoError } from '../abi/errno.ts'
import { POLLERR, POLLHUP, POLLIN } from '../abi/linux.ts'
import { EPOLLET, EPOLLONESHOT } from '../abi/linux-waiting.ts'
import type { Attachment, FileDescription } from './description.ts'
import type { Stream } from './inode.ts'
import { type Waiter, WaitQueue } from './waiting.ts'

/** epoll_event. */
export interface EpollEvent {
  /** POLL… bits, EPOLLET, EPOLLONESHOT. */
  readonly events: number
  readonly data: number
}

/** How many instances may watch each other in a row. */
const MAX_LEVELS = 5

/** Reported whether asked for or not. */
const ALWAYS = POLLERR | POLLHUP

class Entry implements Waiter, Attachment {
  readonly epoll: Epoll
  readonly file: FileDescription
  readonly stream: Stream
  readonly fd: number
  events: number
  data: number

  constructor(epoll: Epoll, file: FileDescription, stream: Stream, fd: number, event: EpollEvent) {
    this.epoll = epoll
    this.file = file
    this.stream = stream
    this.fd = fd
    this.events = event.events
    this.data = event.data
  }

  /** A one-shot entry that was told of hears nothing until it is modified. */
  get armed(): boolean {
    return this.events !== 0
  }

  get ready(): number {
    return this.armed ? this.stream.poll() & (this.events | ALWAYS) : 0
  }

  wake(): void {
    this.stream.queue.add(this)
    this.epoll.mayBeReady(this)
  }

  detached(): void {
    this.epoll.drop(this)
  }
}

export class Epoll implements Stream {
  readonly queue = new WaitQueue()
  readonly #entries = new Map<FileDescription, Map<number, Entry>>()
  readonly #ready = new Set<Entry>()
  /** Entries of other instances that watch this one. */
  readonly #watchedBy = new Set<Entry>()

  /** Errors: EPERM for a file that is always ready; ELOOP for a circle or too many levels; EEXIST. */
  add(file: FileDescription, fd: number, event: EpollEvent): void {
    const { stream } = file
    if (!stream) throw new ErrnoError('EPERM')
    if (stream instanceof Epoll) this.#requireNesting(stream)
    const ofFile = this.#entries.get(file)
    if (ofFile?.has(fd)) throw new ErrnoError('EEXIST')
    const entry = new Entry(this, file, stream, fd, event)
    if (ofFile) ofFile.set(fd, entry)
    else this.#entries.set(file, new Map([[fd, entry]]))
    file.attach(entry)
    if (stream instanceof Epoll) stream.#watchedBy.add(entry)
    this.#arm(entry)
  }

  /** Errors: ENOENT. */
  modify(file: FileDescription, fd: number, event: EpollEvent): void {
    const entry = this.#require(file, fd)
    this.#disarm(entry)
    entry.events = event.events
    entry.data = event.data
    this.#arm(entry)
  }

  /** Errors: ENOENT. */
  delete(file: FileDescription, fd: number): void {
    const entry = this.#require(file, fd)
    file.detach(entry)
    this.drop(entry)
  }

  #require(file: FileDescription, fd: number): Entry {
    const entry = this.#entries.get(file)?.get(fd)
    if (!entry) throw new ErrnoError('ENOENT')
    return entry
  }

  /** Takes an entry out of everything but its file. */
  drop(entry: Entry): void {
    this.#disarm(entry)
    if (entry.stream instanceof Epoll) entry.stream.#watchedBy.delete(entry)
    const ofFile = this.#entries.get(entry.file)
    ofFile?.delete(entry.fd)
    if (ofFile?.size === 0) this.#entries.delete(entry.file)
  }

  #arm(entry: Entry): void {
    // Asked for nothing but what is always told, an entry is armed all the same.
    entry.events |= ALWAYS
    entry.stream.queue.add(entry)
    if (entry.ready) this.mayBeReady(entry)
  }

  #disarm(entry: Entry): void {
    entry.stream.queue.remove(entry)
    this.#ready.delete(entry)
  }

  mayBeReady(entry: Entry): void {
    this.#ready.add(entry)
    this.queue.wake()
  }

  /** Up to `limit` entries that are ready, those that were not told of for longest first. */
  collect(limit: number): EpollEvent[] {
    const told: EpollEvent[] = []
    for (const entry of [...this.#ready]) {
      if (told.length === limit) break
      this.#ready.delete(entry)
      const events = entry.ready
      if (events === 0) continue
      told.push({ events, data: entry.data })
      if (entry.events & EPOLLONESHOT) {
        entry.stream.queue.remove(entry)
        entry.events = 0
      } else if (!(entry.events & EPOLLET)) this.#ready.add(entry)
    }
    return told
  }

  /** Readable when any member is ready. */
  poll(): number {
    for (const entry of this.#ready) {
      if (entry.ready) return POLLIN
      this.#ready.delete(entry)
    }
    return 0
  }

  #requireNesting(inner: Epoll): void {
    if (inner.#reaches(this)) throw new ErrnoError('ELOOP')
    if (this.#levelsAbove() + inner.#levelsBelow() > MAX_LEVELS) throw new ErrnoError('ELOOP')
  }

  *#members(): Generator<Epoll> {
    for (const { stream } of [...this.#entries.keys()]) if (stream instanceof Epoll) yield stream
  }

  #reaches(other: Epoll): boolean {
    if (this === other) return true
    for (const member of this.#members()) if (member.#reaches(other)) return true
    return false
  }

  #levelsBelow(): number {
    let deepest = 0
    for (const member of this.#members()) deepest = Math.max(deepest, member.#levelsBelow())
    return deepest + 1
  }

  #levelsAbove(): number {
    let highest = 0
    for (const { epoll } of this.#watchedBy) highest = Math.max(highest, epoll.#levelsAbove())
    return highest + 1
  }

  /** How many entries it has. */
  get size(): number {
    let size = 0
    for (const ofFile of this.#entries.values()) size += ofFile.size
    return size
  }

  release(): void {
    for (const ofFile of [...this.#entries.values()]) {
      for (const entry of [...ofFile.values()]) {
        entry.file.detach(entry)
        this.drop(entry)
      }
    }
  }
}
