/**
 * The names of a directory in the order of their cookies, kept up to date by every change instead of being merged again.
 *
 * Invariants: cookies grow with time and are never given twice; an entry keeps its cookie for life; a name that is
 * replaced (rename over it) passes its cookie on, as Linux's simple_offset_rename does. A listing in progress therefore
 * sees each name that is there all the time exactly once.
 */

import type { FileKind } from '../../abi/syscalls.ts'
import { FIRST_COOKIE, type ListedEntry } from '../../vfs/inode.ts'

interface Slot extends ListedEntry {
  ino: number
  kind: FileKind
  removed: boolean
}

export class Listing {
  /** By cookie; some removed. */
  #slots: Slot[] = []
  /** Made when a name is first asked for: most listings are only read. */
  #byName: Map<string, Slot> | undefined
  #size = 0
  #next = FIRST_COOKIE

  get size(): number {
    return this.#size
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  get #names(): Map<string, Slot> {
    if (this.#byName) return this.#byName
    this.#byName = new Map()
    for (const slot of this.#slots) if (!slot.removed) this.#byName.set(slot.name, slot)
    return this.#byName
  }

  /** Enters a name, or gives an entered one to another file. */
  set(name: string, ino: number, kind: FileKind): void {
    const known = this.#names.get(name)
    if (known) {
      known.ino = ino
      known.kind = kind
    } else this.add(name, ino, kind)
  }

  /** Enters a name that is new. */
  add(name: string, ino: number, kind: FileKind): void {
    const slot = { name, ino, kind, cookie: this.#next++, removed: false }
    this.#slots.push(slot)
    this.#byName?.set(name, slot)
    this.#size++
  }

  remove(name: string): void {
    const slot = this.#names.get(name)
    if (!slot) return
    this.#names.delete(name)
    slot.removed = true
    this.#size--
    const removed = this.#slots.length - this.#size
    if (removed > 32 && removed > this.#size) this.#slots = this.#slots.filter((each) => !each.removed)
  }

  /** Takes the names of another listing; those that both have keep their cookies. */
  become(other: Listing): void {
    for (const name of [...this.#names.keys()]) if (!other.has(name)) this.remove(name)
    for (const { name, ino, kind } of other.after(0)) this.set(name, ino, kind)
  }

  *after(cookie: number): Generator<ListedEntry, void> {
    const slots = this.#slots
    for (let i = firstAfter(slots, cookie); i < slots.length; i++) {
      const slot = slots[i]!
      if (!slot.removed) yield slot
    }
  }
}

/** The index of the first slot whose cookie is greater. */
function firstAfter(slots: readonly Slot[], cookie: number): number {
  if (cookie < FIRST_COOKIE) return 0
  let low = 0
  let high = slots.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (slots[middle]!.cookie > cookie) high = middle
    else low = middle + 1
  }
  return low
}
