/**
 * Fetches files behind URLs, whole: by fetch where a guest can wait for it, by a synchronous request where none can.
 * Small ones are kept as bytes, large ones as Blobs, which the browser may keep on disk.
 */

import type { UrlReader, UrlResult } from '../fs/gofer/readers.ts'

export interface UrlProgress {
  readonly url: string
  /** Bytes. */
  readonly loaded: number
  /** Bytes; undefined while nobody knows. */
  readonly total: number | undefined
  /** The last report of this fetch, whether it succeeded or not. */
  readonly done: boolean
}

export type OnProgress = (progress: UrlProgress) => void

/** A file up to this size stays in memory: a call to read a Blob costs most of a millisecond. */
const SMALL = 256 * 1024

/** Milliseconds between two reports: a page can't show more. */
const REPORT_EVERY = 100

/** For platforms that can wait. */
export function createFetchReader(onProgress?: OnProgress): UrlReader {
  return { fetch: (url, size) => reported(url, size, onProgress, (progress) => download(url, progress)) }
}

/** For the platform that can't. Works in Workers only. */
export function createXhrReader(onProgress?: OnProgress): UrlReader {
  return {
    fetch(url, size) {
      const progress = new Progress(url, size, onProgress)
      try {
        const bytes = request(url)
        progress.loaded = bytes.length
        return keep([bytes], bytes.length)
      } finally {
        progress.end()
      }
    },
  }
}

async function reported(
  url: string,
  size: number | undefined,
  onProgress: OnProgress | undefined,
  work: (progress: Progress) => Promise<UrlResult>,
): Promise<UrlResult> {
  const progress = new Progress(url, size, onProgress)
  try {
    return await work(progress)
  } finally {
    progress.end()
  }
}

async function download(url: string, progress: Progress): Promise<UrlResult> {
  const response = await fetch(url).catch((failure) => {
    throw new Error(unreachable(failure))
  })
  if (!response.ok) throw new Error(statusOf(response))
  progress.total ??= lengthOf(response)
  const chunks: Uint8Array<ArrayBuffer>[] = []
  const reader = response.body?.getReader()
  while (reader) {
    const { value, done } = await reader.read().catch((failure) => {
      throw new Error(`the connection broke after ${progress.loaded} bytes (${messageOf(failure)})`)
    })
    if (done) break
    chunks.push(value)
    progress.add(value.length)
  }
  return keep(chunks, progress.loaded)
}

function request(url: string): Uint8Array<ArrayBuffer> {
  const xhr = new XMLHttpRequest()
  xhr.open('GET', url, false)
  xhr.responseType = 'arraybuffer'
  try {
    xhr.send()
  } catch (failure) {
    throw new Error(unreachable(failure))
  }
  if (xhr.status < 200 || xhr.status > 299) throw new Error(statusOf(xhr))
  return new Uint8Array(xhr.response as ArrayBuffer)
}

function keep(chunks: Uint8Array<ArrayBuffer>[], size: number): UrlResult {
  if (size > SMALL) return new Blob(chunks)
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** The reports of one fetch: the first at once, then a few a second, and a last one. */
class Progress {
  readonly #url: string
  readonly #onProgress: OnProgress | undefined
  #reported = 0
  loaded = 0
  total: number | undefined

  constructor(url: string, total: number | undefined, onProgress: OnProgress | undefined) {
    this.#url = url
    this.total = total
    this.#onProgress = onProgress
    this.#report(false)
  }

  add(bytes: number): void {
    this.loaded += bytes
    if (performance.now() - this.#reported >= REPORT_EVERY) this.#report(false)
  }

  end(): void {
    this.#report(true)
  }

  #report(done: boolean): void {
    this.#reported = performance.now()
    if (this.total !== undefined && this.loaded > this.total) this.total = undefined
    this.#onProgress?.({ url: this.#url, loaded: this.loaded, total: this.total, done })
  }
}

/** Content-Length counts the bytes on the wire, so it tells nothing of a compressed file. */
function lengthOf({ headers }: Response): number | undefined {
  const length = headers.get('Content-Length')
  return length === null || headers.has('Content-Encoding') ? undefined : Number(length)
}

function statusOf({ status, statusText }: { status: number; statusText: string }): string {
  return `HTTP ${status} ${statusText}`.trimEnd()
}

/** Browsers do not tell a script more than this. */
function unreachable(failure: unknown): string {
  return `no answer: the server can't be reached, or does not allow this page to read the file (CORS) (${messageOf(failure)})`
}

function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure)
}
