/**
 * What the inodes of a store take and refer to, counted item by item before any of them is made.
 *
 * Invariant: `open` of an inode is how many names it still lacks for the links that it says it has.
 */

import type { FileKind } from '../../abi/syscalls.ts'
import { countBits } from '../../vfs/pages.ts'
import { costOf } from './attributes.ts'
import { SHORT_SYMLINK } from './inodes.ts'
import { type Measure, partOfCookie, partOfPage, type Touched } from './items.ts'
import type { Segments } from './segments.ts'

/** Inodes whose numbers lie together, as they do in a chunk. */
export const INODES = 256
export const groupOf = (ino: number) => Math.floor(ino / INODES)

export class Group {
  readonly number: number
  readonly kinds: (FileKind | undefined)[] = new Array(INODES).fill(undefined)
  readonly open = new Int32Array(INODES)
  /** Of each the last item that is about it, by its number from 1 on; 0: there is none, or the inode is in memory. */
  readonly last = new Int32Array(INODES)
  /** Why nothing is known of its inodes. */
  lost: string | undefined
  constructor(number: number) {
    this.number = number
  }
}

export class Groups {
  readonly #groups = new Map<number, Group>()

  get(ino: number): Group | undefined {
    return this.#groups.get(groupOf(ino))
  }

  make(ino: number): Group {
    const number = groupOf(ino)
    let group = this.#groups.get(number)
    if (!group) {
      group = new Group(number)
      this.#groups.set(number, group)
    }
    return group
  }

  values(): Iterable<Group> {
    return this.#groups.values()
  }
}

export class Tally implements Measure {
  inodes = 0
  blocks = 0
  attributeBytes = 0
  readonly #groups: Groups
  readonly #segments: Segments
  #ino = 0
  #group!: Group
  #sign = 1
  #touched: Touched | undefined
  #lastPart = 0

  constructor(groups: Groups, segments: Segments) {
    this.#groups = groups
    this.#segments = segments
  }

  /** What comes next is of an inode, and counts once (1), is taken back (-1), or is only gone over (0). `touched` hears of its parts. */
  of(ino: number, group: Group, sign: 1 | 0 | -1, touched?: Touched): this {
    this.#ino = ino
    this.#group = group
    this.#sign = sign
    this.#touched = touched
    this.#lastPart = 0
    touched?.(ino, 0)
    return this
  }

  inode(ino: number, kind: FileKind, nlink: number): void {
    const slot = ino % INODES
    const { kinds, open } = this.#group
    if (this.#sign > 0) kinds[slot] = kind
    this.inodes += this.#sign
    open[slot]! += this.#sign * (kind === 'directory' ? 1 : nlink)
  }

  target(length: number): void {
    if (length >= SHORT_SYMLINK) this.blocks += this.#sign
  }

  attribute(name: string, length: number): void {
    this.attributeBytes += this.#sign * costOf(name, length)
  }

  name(ino: number, cookie: number): void {
    if (this.#touched) this.#touch(partOfCookie(cookie))
    if (this.#sign !== 0) this.#groups.make(ino).open[ino % INODES]! -= this.#sign
  }

  page(index: number, present: number, length: number, segment: number): void {
    if (this.#touched) this.#touch(partOfPage(index))
    if (this.#sign === 0) return
    this.blocks += this.#sign * countBits(present)
    if (length > 0) this.#segments.expect(segment, length, this.#group.number, this.#sign)
  }

  #touch(part: number): void {
    if (part === this.#lastPart) return
    this.#lastPart = part
    this.#touched?.(this.#ino, part)
  }
}
