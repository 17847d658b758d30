/**
 * Blobs, gzip and digests for moving layers: the browser's own, and a library's digests where it has none (crypto.subtle is for
 * secure contexts only, and a page may be served over plain http).
 */

import { toHex } from '../abi/hex.ts'
import type { BlobLike } from '../abi/tree.ts'
import type { ArchiveHost, DigestAlgorithm } from '../oci/archive/host.ts'

/** Larger contents are digested piece by piece: crypto.subtle wants them in one. */
const MOST_AT_ONCE = 512 * 2 ** 20

export interface ArchiveHostOptions {
  /** As of ArchiveHost; a function that gives the promise back if left out. */
  readonly awaited?: ArchiveHost['awaited']
  /** False where there is no FileReaderSync. */
  readonly readsInPlace?: boolean
  /** False: as if the page were not secure. */
  readonly subtle?: boolean
}

export function createArchiveHost(options: ArchiveHostOptions = {}): ArchiveHost {
  const { awaited = (work) => work, readsInPlace = typeof FileReaderSync === 'function', subtle = true } = options

  async function* chunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    const reader = stream.getReader()
    try {
      for (;;) {
        const { done, value } = await awaited(reader.read())
        if (done) return
        yield value
      }
    } finally {
      reader.cancel().catch(() => {})
    }
  }

  async function digest(algorithm: DigestAlgorithm, content: BlobLike | readonly Uint8Array[]): Promise<string> {
    const blob =
      'slice' in content && 'type' in content ? (content as Blob) : new Blob([...(content as readonly BlobPart[])])
    const name = algorithm === 'sha256' ? 'SHA-256' : 'SHA-512'
    if (subtle && globalThis.crypto?.subtle && blob.size <= MOST_AT_ONCE) {
      return toHex(new Uint8Array(await crypto.subtle.digest(name, await blob.arrayBuffer())))
    }
    const hashes = await import('@noble/hashes/sha2.js')
    const hash = hashes[algorithm].create()
    for await (const chunk of chunks(blob.stream())) hash.update(chunk)
    return toHex(hash.digest())
  }

  return {
    readsInPlace,
    awaited,
    bytes: async (blob, start, end) =>
      new Uint8Array(await awaited((blob.slice(start, end) as unknown as Blob).arrayBuffer())),
    stream: (blob) => chunks((blob as unknown as Blob).stream()),
    gunzip: (blob) => chunks((blob as unknown as Blob).stream().pipeThrough(new DecompressionStream('gzip'))),
    gzip(parts) {
      const stream = new Blob([...parts] as BlobPart[]).stream().pipeThrough(new CompressionStream('gzip'))
      return awaited(new Response(stream).blob())
    },
    digest: (algorithm, content) => awaited(digest(algorithm, content)),
    blob: (parts, type) => new Blob([...parts] as BlobPart[], { type }),
  }
}

declare const FileReaderSync: unknown
