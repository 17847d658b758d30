/** What moving layers needs of the machine: Blobs, gzip and digests. `host/archives.ts` implements it. */

import type { BlobLike } from '../../abi/tree.ts'

export type DigestAlgorithm = 'sha256' | 'sha512'

export interface ArchiveHost {
  /** The bytes of a Blob from `start` to `end`. Errors: an Error that says why it can't be read. */
  bytes(blob: BlobLike, start: number, end: number): Promise<Uint8Array>
  /** All of a Blob, in order. Errors: as `bytes`. */
  stream(blob: BlobLike): AsyncIterable<Uint8Array>
  /** What a Blob of gzip (RFC 1952) holds. Errors: an Error for what is no gzip, damaged or cut off. */
  gunzip(blob: BlobLike): AsyncIterable<Uint8Array>
  /** The same for all parts as one. */
  gzip(parts: readonly (Uint8Array | BlobLike)[]): Promise<BlobLike>
  /** The digest in hexadecimal digits. */
  digest(algorithm: DigestAlgorithm, content: BlobLike | readonly Uint8Array[]): Promise<string>
  /** A Blob of parts, which are copied. */
  blob(parts: readonly (Uint8Array | BlobLike)[], type: string): BlobLike
  /** Whether a Blob can be read within a system call: `content` is then its source. */
  readonly readsInPlace: boolean
  /** Awaits what only the event loop brings, which it must then get its turns for. */
  awaited<T>(work: Promise<T>): Promise<T>
}
