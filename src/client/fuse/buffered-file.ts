/**
 * A file whose content is read and written whole: what programs that have it open see is here, and is handed back to the page when
 * one of them closes or syncs it.
 */

export class BufferedFile {
  /** Descriptions that have it open. */
  users = 0
  #bytes: Uint8Array<ArrayBuffer>
  #length: number
  /** Changes, and how many of them the page has. */
  #changes = 0
  #stored = 0

  constructor(content: Uint8Array) {
    this.#bytes = content.slice()
    this.#length = content.length
  }

  get length(): number {
    return this.#length
  }

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(Math.min(offset, this.#length), Math.min(offset + length, this.#length))
  }

  write(content: Uint8Array, offset: number): void {
    const end = offset + content.length
    this.#reserve(end)
    this.#bytes.set(content, offset)
    this.#length = Math.max(this.#length, end)
    this.#changes++
  }

  resize(size: number): void {
    this.#reserve(size)
    if (size < this.#length) this.#bytes.fill(0, size, this.#length)
    this.#length = size
    this.#changes++
  }

  /** Hands the content to `store` unless that has it. */
  async flush(store: (content: Uint8Array<ArrayBuffer>) => unknown): Promise<void> {
    if (this.#stored === this.#changes) return
    const before = this.#stored
    this.#stored = this.#changes
    try {
      await store(this.#bytes.slice(0, this.#length))
    } catch (error) {
      this.#stored = before
      throw error
    }
  }

  /** Twice as much as is needed, so that appending is linear. */
  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    const bytes = new Uint8Array(Math.max(size, this.#bytes.length * 2))
    bytes.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = bytes
  }
}
