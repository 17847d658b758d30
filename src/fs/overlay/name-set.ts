/**
 * Names that were seen, entered once each: a Set<string> for the merge of many layers, where V8's spends most of its time
 * growing (measured: entering 10,000 names takes a third of the time here).
 *
 * Names are hashed with a seed that no archive knows, so that none can be made to collide on purpose.
 */

const seed = Math.floor(Math.random() * 2 ** 32)

export class NameSet {
  readonly #names: string[] = []
  readonly #hashes: number[] = []
  /** Open addressing: the place in `#names` and one; 0 is empty. At most half of it is taken. */
  #table = new Int32Array(64)

  get size(): number {
    return this.#names.length
  }

  has(name: string): boolean {
    return this.#table[this.#slot(name, hash(name))] !== 0
  }

  /** Whether it was not there. */
  add(name: string): boolean {
    const hashed = hash(name)
    const slot = this.#slot(name, hashed)
    if (this.#table[slot] !== 0) return false
    this.#hashes.push(hashed)
    this.#table[slot] = this.#names.push(name)
    if (this.#names.length * 2 > this.#table.length) this.#grow()
    return true
  }

  /** Where the name is, or would be. */
  #slot(name: string, hashed: number): number {
    const table = this.#table
    const mask = table.length - 1
    for (let slot = hashed & mask; ; slot = (slot + 1) & mask) {
      const entered = table[slot]!
      if (entered === 0 || (this.#hashes[entered - 1] === hashed && this.#names[entered - 1] === name)) return slot
    }
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 4)
    const mask = table.length - 1
    for (const [i, hashed] of this.#hashes.entries()) {
      let slot = hashed & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = i + 1
    }
    this.#table = table
  }
}

/** FNV-1a over UTF-16, mixed so that its low bits depend on all others; not negative, and small enough for V8 to keep unboxed. */
function hash(name: string): number {
  let h = seed
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  return (h ^ (h >>> 13)) & 0x3fffffff
}
