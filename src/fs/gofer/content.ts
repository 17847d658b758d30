/** From what a tree says of a file's content to a source that reads it: one object per kernel, so that caches are shared. */

import type { TreeContent, UrlContent } from '../../abi/tree.ts'
import type { PageSource } from '../../vfs/inode.ts'
import { BlobCache } from './blob-source.ts'
import { MemorySource } from './memory-source.ts'
import type { BlobReader, UrlReader } from './readers.ts'
import { UrlSource } from './url-source.ts'

export class ContentReaders {
  readonly #blobs: BlobCache
  readonly #urls: UrlReader
  /** By the tree's own object: a tree that is mounted twice, or whose mount had to wait, is fetched once. */
  readonly #fetched = new WeakMap<UrlContent, UrlSource>()

  /** `cacheBytes` is the most that is kept of Blobs' bytes, over all trees; 32 MiB if left out. */
  constructor(blobs: BlobReader, urls: UrlReader, cacheBytes?: number) {
    this.#blobs = new BlobCache(blobs, cacheBytes)
    this.#urls = urls
  }

  /** `label` is what an error calls the content. */
  source(content: TreeContent, label: string): PageSource {
    if (content instanceof Uint8Array) return new MemorySource(content)
    if ('url' in content) return this.url(content)
    return this.#blobs.source(content, label)
  }

  url(content: UrlContent): UrlSource {
    const known = this.#fetched.get(content)
    if (known) return known
    const source = new UrlSource(this.#urls, this.#blobs, content)
    this.#fetched.set(content, source)
    return source
  }
}
