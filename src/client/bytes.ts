/** Bytes on their way to the kernel. */

import { wrongType } from './errors.ts'

/** Data that comes in pieces. */
export type Pieces =
  | Blob
  | ReadableStream<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array | string>

/** How errors name what bytesOf takes. */
export const bytesOrText = 'of type string or an instance of ArrayBuffer, TypedArray, or DataView'

/** Bytes of our own, which may be transferred: the caller's stay as they are. Text becomes UTF-8. */
export function bytesOf(data: unknown, name: string): Uint8Array<ArrayBuffer> {
  if (typeof data === 'string') return new TextEncoder().encode(data)
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0))
  // Not slice(): that of node's Buffer is a view.
  if (ArrayBuffer.isView(data)) return new Uint8Array(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  throw wrongType(name, bytesOrText, data)
}

/** Whether data comes in pieces, rather than as one text or array of bytes. */
export const inPieces = (data: unknown): data is Pieces =>
  data instanceof Blob ||
  data instanceof ReadableStream ||
  (typeof data === 'object' &&
    data !== null &&
    !ArrayBuffer.isView(data) &&
    (Symbol.asyncIterator in data || Symbol.iterator in data))

/** Gives data piece by piece. */
export async function* piecesOf(data: unknown, name: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const source = data instanceof Blob ? data.stream() : data
  if (source instanceof ReadableStream) {
    // By its reader: not all browsers can iterate a stream.
    const reader = source.getReader()
    let next = await reader.read()
    try {
      for (; !next.done; next = await reader.read()) yield bytesOf(next.value, name)
    } finally {
      if (!next.done) reader.cancel().catch(() => {})
    }
  } else if (inPieces(source)) {
    for await (const piece of source as AsyncIterable<unknown>) yield bytesOf(piece, name)
  } else yield bytesOf(source, name)
}

/** All of the data in one array. */
export async function collected(data: unknown, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts = []
  for await (const piece of piecesOf(data, name)) parts.push(piece)
  return parts.length === 1 ? parts[0]! : new Uint8Array(await new Blob(parts).arrayBuffer())
}
