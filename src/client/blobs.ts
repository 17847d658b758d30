/** Bytes that a page hands in, as one Blob: it can go to the kernel without being copied. */

import { wrongType } from './errors.ts'

export type Bytes = Blob | ReadableStream<Uint8Array> | Response | Uint8Array | ArrayBuffer

/** `name` is what an error calls it. Errors: TypeError for anything else, and for a Response that is no success. */
export async function blobOf(bytes: Bytes, name: string): Promise<Blob> {
  if (bytes instanceof Blob) return bytes
  if (bytes instanceof Uint8Array || bytes instanceof ArrayBuffer) return new Blob([bytes as BlobPart])
  if (bytes instanceof ReadableStream) return new Response(bytes).blob()
  if (!(bytes instanceof Response)) {
    throw wrongType(name, 'a Blob, a ReadableStream, a Response, a Uint8Array or an ArrayBuffer', bytes)
  }
  if (!bytes.ok) throw new TypeError(`${bytes.url}: HTTP ${bytes.status} ${bytes.statusText}`)
  return bytes.blob()
}
