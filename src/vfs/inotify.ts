/**
 * inotify(7): a stream of what happens to the files that it watches.
 *
 * Invariants: watch descriptors start at 1 and are never used twice. An event equal to the last one in the queue is not added.
 * The queue never holds more than MAX_QUEUED events and one that says so. When the instance is released it watches nothing.
 */

import { ErrnoError } from '../abi/errno.ts'
import { POLLIN } from '../abi/linux.ts'
import {
  IN_ALL_EVENTS,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
} from '../abi/linux-waiting.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import type { Inode, Stream } from './inode.ts'
import type { Superblock } from './mount.ts'
import { WaitQueue, WouldBlock } from './waiting.ts'
import { type Watch, Watches, type Watching } from './watches.ts'

/** Linux's fs.inotify.max_queued_events. */
export const MAX_QUEUED = 16_384

const HEADER = 16
const KEPT_BITS = IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT

interface Event {
  readonly wd: number
  readonly mask: number
  readonly cookie: number
  readonly name: string
  /** The name in UTF-8, padded with NULs to a multiple of 16, at least one; nothing if there is no name. */
  readonly bytes: Uint8Array
}

const NO_NAME = new Uint8Array()

function paddedName(name: string): Uint8Array {
  if (name === '') return NO_NAME
  const bytes = encodeUtf8(name)
  const padded = new Uint8Array(Math.ceil((bytes.length + 1) / HEADER) * HEADER)
  padded.set(bytes)
  return padded
}

class InotifyWatch implements Watch {
  readonly instance: Inotify
  readonly wd: number
  readonly superblock: Superblock
  readonly inode: Inode
  mask: number

  constructor(instance: Inotify, wd: number, superblock: Superblock, inode: Inode, mask: number) {
    this.instance = instance
    this.wd = wd
    this.superblock = superblock
    this.inode = inode
    this.mask = mask
  }

  hear(event: number, cookie: number, name: string): void {
    this.instance.enqueue(this.wd, event, cookie, name)
    if (this.mask & IN_ONESHOT) this.instance.remove(this.wd)
  }

  ended(event: number): void {
    if (event !== IN_IGNORED) this.instance.enqueue(this.wd, event, 0, '')
    this.instance.forget(this.wd)
  }
}

export class Inotify implements Stream {
  readonly queue = new WaitQueue()
  readonly #watching: Watching
  readonly #watches = new Map<number, InotifyWatch>()
  #lastWd = 0
  #events: Event[] = []
  #bytes = 0

  constructor(watching: Watching) {
    this.#watching = watching
  }

  /**
   * Watches an inode for the events of a mask, and gives the watch descriptor: the same one for an inode that is watched
   * already, whose mask is replaced or, with IN_MASK_ADD, added to. Errors: EEXIST with IN_MASK_CREATE if it is watched already.
   */
  add(superblock: Superblock, inode: Inode, mask: number): number {
    for (const watch of superblock.watches?.of(inode) ?? []) {
      if (!(watch instanceof InotifyWatch) || watch.instance !== this) continue
      if (mask & IN_MASK_CREATE) throw new ErrnoError('EEXIST')
      watch.mask = (mask & KEPT_BITS) | (mask & IN_MASK_ADD ? watch.mask : 0)
      return watch.wd
    }
    const watch = new InotifyWatch(this, ++this.#lastWd, superblock, inode, mask & KEPT_BITS)
    this.#watches.set(watch.wd, watch)
    superblock.watches ??= new Watches(this.#watching)
    superblock.watches.add(watch)
    return watch.wd
  }

  /** Errors: EINVAL for a watch descriptor that is not in use. */
  remove(wd: number): void {
    const watch = this.#watches.get(wd)
    if (!watch) throw new ErrnoError('EINVAL')
    watch.superblock.watches?.remove(watch)
    this.forget(wd)
  }

  /** A watch is over: the last that is heard of it. */
  forget(wd: number): void {
    this.#watches.delete(wd)
    this.enqueue(wd, IN_IGNORED, 0, '')
  }

  enqueue(wd: number, mask: number, cookie: number, name: string): void {
    const last = this.#events.at(-1)
    // As Linux compares: not by the cookie, and IN_IGNORED is never the same twice.
    if (last && last.wd === wd && last.mask === mask && last.name === name && mask !== IN_IGNORED) return
    if (this.#events.length < MAX_QUEUED) this.#push({ wd, mask, cookie, name, bytes: paddedName(name) })
    else if (last?.mask !== IN_Q_OVERFLOW) {
      this.#push({ wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: '', bytes: NO_NAME })
    }
    this.queue.wake()
  }

  #push(event: Event): void {
    this.#events.push(event)
    this.#bytes += HEADER + event.bytes.length
  }

  /** As many whole events as fit. Errors: EAGAIN; EINVAL where the first does not fit. */
  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    if (this.#events.length === 0) {
      if (nonblocking) throw new ErrnoError('EAGAIN')
      throw new WouldBlock([this.queue])
    }
    const view = new DataView(memory.buffer, memory.byteOffset)
    let done = 0
    let count = 0
    for (const { wd, mask, cookie, bytes } of this.#events) {
      if (done + HEADER + bytes.length > length) break
      const start = at + done
      view.setInt32(start, wd, true)
      view.setUint32(start + 4, mask, true)
      view.setUint32(start + 8, cookie, true)
      view.setUint32(start + 12, bytes.length, true)
      memory.set(bytes, start + HEADER)
      done += HEADER + bytes.length
      count++
    }
    if (count === 0) throw new ErrnoError('EINVAL')
    this.#events.splice(0, count)
    this.#bytes -= done
    return done
  }

  poll(): number {
    return this.#events.length > 0 ? POLLIN : 0
  }

  get available(): number {
    return this.#bytes
  }

  release(): void {
    for (const watch of this.#watches.values()) watch.superblock.watches?.remove(watch)
    this.#watches.clear()
    this.#events = []
    this.#bytes = 0
  }
}
