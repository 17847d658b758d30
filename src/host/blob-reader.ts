/** Reads Blobs and Files within the call, as a Worker can (https://w3c.github.io/FileAPI/#FileReaderSync). */

import type { BlobReader } from '../fs/gofer/readers.ts'

/** Of the WebWorker library, which the DOM library, that this folder compiles with, leaves out. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer
}

/** Works in Workers only. */
export function createBlobReader(): BlobReader {
  const reader = new FileReaderSync()
  return {
    read(blob, start, length) {
      try {
        return new Uint8Array(reader.readAsArrayBuffer(blob.slice(start, start + length) as Blob))
      } catch (failure) {
        throw new Error(reasonOf(failure))
      }
    },
  }
}

function reasonOf(failure: unknown): string {
  if (!(failure instanceof DOMException)) return String(failure)
  if (failure.name === 'NotReadableError')
    return 'it was changed on disk, or may not be read any more, since the page handed it in'
  if (failure.name === 'NotFoundError') return 'it was removed from disk since the page handed it in'
  return `${failure.name}: ${failure.message}`
}
