/**
 * A file behind a URL, as a source: fetched whole, once, when it is first needed.
 *
 * Invariant: at most one fetch is under way, and none follows one that succeeded. A failed one is remembered, so that a
 * program that reads on past an error asks no server again, until `retry`, or a call with `again` that has not waited for it.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { UrlContent } from '../../abi/tree.ts'
import type { PageSource } from '../../vfs/inode.ts'
import { type Attempt, WaitQueue, WouldBlock } from '../../vfs/waiting.ts'
import type { BlobCache } from './blob-source.ts'
import { MemorySource } from './memory-source.ts'
import { messageOf, type UrlReader, type UrlResult } from './readers.ts'

export class UrlSource implements PageSource {
  readonly #reader: UrlReader
  readonly #blobs: BlobCache
  readonly #url: string
  readonly #size: number | undefined
  readonly #queue = new WaitQueue()
  #loading = false
  #content: PageSource | undefined
  #failure: string | undefined

  constructor(reader: UrlReader, blobs: BlobCache, { url, size }: UrlContent) {
    this.#reader = reader
    this.#blobs = blobs
    this.#url = url
    this.#size = size
  }

  /** 0 while nobody knows it: the tree did not say, and the content is not here. */
  get size(): number {
    return this.#size ?? this.#content?.size ?? 0
  }

  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): void {
    this.content(attempt, { again: true }).read(memory, at, length, offset, attempt)
  }

  /**
   * The content; throws WouldBlock until it is here.
   * Errors: EIO with the URL and the reason. With `again` the reason is never one that was there before this call.
   */
  content(attempt: Attempt, { again }: { again: boolean }): PageSource {
    if (this.#content) return this.#content
    const call = attempt.note(this, () => ({ waited: false }))
    if (again && !call.waited) this.retry()
    if (!this.#loading && this.#failure === undefined) this.#load()
    if (this.#loading) {
      call.waited = true
      throw new WouldBlock([this.#queue])
    }
    if (!this.#content) throw new ErrnoError('EIO', undefined, `${this.#url}: ${this.#failure}`)
    return this.#content
  }

  /** Forgets a failure: the next who needs the content asks the server again. */
  retry(): void {
    this.#failure = undefined
  }

  #load(): void {
    try {
      const result = this.#reader.fetch(this.#url, this.#size)
      if (result instanceof Promise) this.#await(result)
      else this.#accept(result)
    } catch (failure) {
      this.#refuse(failure)
    }
  }

  #await(reply: Promise<UrlResult>): void {
    const settle = (change: () => void) => {
      this.#loading = false
      change()
      this.#queue.wake()
    }
    this.#loading = true
    reply.then(
      (result) => settle(() => this.#accept(result)),
      (failure) => settle(() => this.#refuse(failure)),
    )
  }

  #accept(result: UrlResult): void {
    const content = result instanceof Uint8Array ? new MemorySource(result) : this.#blobs.source(result, this.#url)
    if (this.#size === undefined || this.#size === content.size) this.#content = content
    else this.#failure = `the server sent ${content.size} bytes where the tree says ${this.#size}`
  }

  #refuse(failure: unknown): void {
    this.#failure = messageOf(failure)
  }
}
