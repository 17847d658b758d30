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

/** Firefox throws exceptions of its own, which are no Errors, for what FileAPI calls NotReadableError and NotFoundError. */
function reasonOf(failure: unknown): string {
  const { name, message } = failure as { name?: string; message?: string }
  if (name === 'NotFoundError' || name === 'NS_ERROR_FILE_NOT_FOUND')
    return 'it was removed since the page handed it in'
  if (name === 'NotReadableError' || name === 'NS_ERROR_FAILURE') {
    return 'it was changed on disk since the page handed it in, or may not be read any more'
  }
  return `${name}: ${message}`
}
