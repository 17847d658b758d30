/** What a tree's content needs of the machine: two small interfaces, which `host/` implements. */

import type { BlobLike } from '../../abi/tree.ts'

export interface BlobReader {
  /**
   * Exactly the bytes from `start`, in an array of their own.
   * Errors: an Error whose message tells a person why, such as that the file was changed on disk.
   */
  read(blob: BlobLike, start: number, length: number): Uint8Array
}

export type UrlResult = Uint8Array | BlobLike

export interface UrlReader {
  /**
   * The whole content behind an absolute URL: at once where the platform can't wait, or else a promise of it.
   * `size` is what the tree says, for the progress report.
   * Errors, thrown or by rejection: an Error whose message tells a person why, such as `HTTP 404 Not Found`.
   */
  fetch(url: string, size: number | undefined): UrlResult | Promise<UrlResult>
}

/** What to tell of something that a reader threw. */
export function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure)
}
