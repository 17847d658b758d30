/** A block of a directory: entries of one size, in the order of their names' bytes, and behind them the names. */

import { NAME_MAX } from '../../abi/linux.ts'
import { damaged, u64 } from './image.ts'

const ENTRY = 12

export interface Entry {
  readonly name: Uint8Array
  readonly nid: number
  /** What the entry says that the file is, by number: `kinds` of nodes.ts. */
  readonly type: number
}

export class DirectoryBlock {
  /** How many entries it has: one at least. */
  readonly count: number
  readonly #view: DataView<ArrayBuffer>
  readonly #bytes: Uint8Array
  readonly #where: string

  /** Errors: EUCLEAN. */
  constructor(view: DataView<ArrayBuffer>, where: string) {
    this.#view = view
    this.#bytes = new Uint8Array(view.buffer)
    this.#where = where
    const first = view.byteLength < ENTRY ? 0 : view.getUint16(8, true)
    if (first < ENTRY || first % ENTRY !== 0 || first > view.byteLength) {
      throw damaged(where, `its names begin at byte ${first}`)
    }
    this.count = first / ENTRY
  }

  /** Errors: EUCLEAN for a name that cannot be. */
  name(index: number): Uint8Array {
    const start = this.#nameAt(index)
    let end = this.#bytes.length
    if (index + 1 < this.count) end = this.#nameAt(index + 1)
    else {
      const nul = this.#bytes.indexOf(0, start)
      if (nul >= 0) end = nul
    }
    const name = this.#bytes.subarray(start, Math.max(start, end))
    if (name.length === 0 || name.length > NAME_MAX || name.includes(0) || name.includes(0x2f)) {
      throw damaged(this.#where, `the name of entry ${index} is none`)
    }
    return name
  }

  #nameAt(index: number): number {
    const at = this.#view.getUint16(index * ENTRY + 8, true)
    if (at < this.count * ENTRY || at > this.#bytes.length) {
      throw damaged(this.#where, `the name of entry ${index} is at byte ${at}`)
    }
    return at
  }

  /** Errors: EUCLEAN. */
  entry(index: number): Entry {
    const at = index * ENTRY
    return {
      name: this.name(index),
      nid: u64(this.#view, at, this.#where),
      type: this.#view.getUint8(at + 10),
    }
  }

  /** The last entry whose name is not behind this one; undefined if all are. */
  last(name: Uint8Array): number | undefined {
    let from = 0
    let to = this.count
    while (from < to) {
      const middle = (from + to) >> 1
      if (compare(this.name(middle), name) <= 0) from = middle + 1
      else to = middle
    }
    return from === 0 ? undefined : from - 1
  }

  /** Where the entry `index` begins in the block: it tells entries apart. */
  static positionOf(index: number): number {
    return index * ENTRY
  }

  /** The first entry that begins at `position` or behind it. */
  static indexFrom(position: number): number {
    return Math.ceil(position / ENTRY)
  }
}

/** The order of names: by their bytes, a name before those that it is the beginning of. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
