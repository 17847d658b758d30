/** Shows one file: as text or as an image if it is one, else as hex. Only as much is read as is shown. */
import type { Container } from '../src/client/index.ts'
import { decodeText, HEX_LIMIT, hexDump, howToShow, imageType, TEXT_LIMIT } from './contents.ts'
import { byId, element, messageOf } from './dom.ts'
import { formatBytes } from './format.ts'
import { nameOf } from './tree-model.ts'

export class FileView {
  readonly #head = byId('viewer-head', HTMLElement)
  readonly #pane = byId('viewer', HTMLElement)
  readonly #empty = this.#pane.innerHTML
  #path: string | undefined
  /** Grows with each file asked for, so that a slow one does not overwrite a later one. */
  #turn = 0
  #imageUrl: string | undefined

  get path(): string | undefined {
    return this.#path
  }

  close(): void {
    this.#turn++
    this.#path = undefined
    this.#show('No file open')
    this.#pane.innerHTML = this.#empty
  }

  /** Reads and shows a file; if it cannot be read, says why in its place. A refresh keeps the place one has scrolled to. */
  async open(container: Container, path: string): Promise<void> {
    const turn = ++this.#turn
    const again = this.#path === path
    const { scrollTop, scrollLeft } = this.#pane
    this.#path = path
    try {
      const { head, body } = await read(container, path)
      if (turn !== this.#turn) return
      this.#show(head, body)
      this.#pane.scrollTo(again ? { top: scrollTop, left: scrollLeft } : { top: 0, left: 0 })
    } catch (error) {
      if (turn !== this.#turn) return
      this.#show(path, element('p', { class: 'empty fault' }, messageOf(error)))
    }
  }

  #show(head: string, body?: HTMLElement): void {
    if (this.#imageUrl) URL.revokeObjectURL(this.#imageUrl)
    this.#imageUrl = body instanceof HTMLImageElement ? body.src : undefined
    this.#head.textContent = head
    this.#head.title = head
    this.#pane.replaceChildren(...(body ? [body] : []))
  }
}

async function read(container: Container, path: string): Promise<{ head: string; body: HTMLElement }> {
  const stats = await container.fs.stat(path)
  const link = await container.fs.readlink(path).catch(() => undefined)
  const name = link === undefined ? path : `${path} → ${link}`
  if (!stats.isFile()) {
    const what = stats.isDirectory() ? 'a directory' : 'not a regular file'
    return { head: name, body: element('p', { class: 'empty' }, `This is ${what}; there are no contents to show.`) }
  }
  const start = await readStart(container, path, TEXT_LIMIT)
  const size = Math.max(stats.size, start.length)
  const shown = howToShow(start, size)
  const head = (how: string) => `${name} · ${formatBytes(size)} · ${how}`
  const type = imageType(start)
  if (shown === 'image' && type) {
    const bytes = size > start.length ? await container.fs.readFile(path) : start
    const src = URL.createObjectURL(new Blob([bytes as BlobPart], { type }))
    return { head: head(type), body: element('img', { src, alt: `The picture in ${nameOf(path)}` }) }
  }
  if (shown === 'text') {
    const text = decodeText(start, size > start.length) ?? ''
    if (size === 0) return { head: head('empty'), body: element('p', { class: 'empty' }, 'The file is empty.') }
    return { head: head(size > start.length ? 'text, the first 1 MiB' : 'text'), body: element('pre', {}, text) }
  }
  const part = start.subarray(0, HEX_LIMIT)
  return { head: head(size > part.length ? 'hex, the first 4 KiB' : 'hex'), body: element('pre', {}, hexDump(part)) }
}

async function readStart(container: Container, path: string, limit: number): Promise<Uint8Array> {
  const handle = await container.fs.open(path, 'r')
  try {
    const buffer = new Uint8Array(limit)
    let length = 0
    while (length < limit) {
      const { bytesRead } = await handle.read(buffer, length, limit - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return buffer.subarray(0, length)
  } finally {
    await handle.close()
  }
}
