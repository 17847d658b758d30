/**
 * The output pane: draws an OutputLog at most once a frame, follows its end unless one has scrolled away, and saves it.
 *
 * Invariant: the pane's children are the drawn pieces, in order, with ids firstDrawn, firstDrawn + 1, …
 */
import { byId, element, onPress, saveAs, setEnabled } from './dom.ts'
import { formatBytes, formatCount } from './format.ts'
import { OutputLog, type Piece, type StreamName } from './output-log.ts'

export class OutputView {
  readonly #pane = byId('output', HTMLElement)
  readonly #leftOut = byId('output-left-out', HTMLElement)
  readonly #welcome = byId('welcome', HTMLElement)
  readonly #save = byId('output-save', HTMLButtonElement)
  #log = new OutputLog()
  #firstDrawn = 0
  #lastKind: string | undefined
  #scheduled = false
  #following = true

  constructor() {
    this.#pane.addEventListener('scroll', () => {
      this.#following = this.#pane.scrollTop + this.#pane.clientHeight > this.#pane.scrollHeight - 24
    })
    byId('output-filter', HTMLFieldSetElement).addEventListener('change', () => {
      this.#pane.dataset.show = this.#shown() ?? 'both'
      this.#schedule()
    })
    onPress(this.#save, () => {
      const stream = this.#shown()
      saveAs(`${stream ?? 'output'}.txt`, this.#log.download(stream) as BlobPart[])
    })
    onPress(byId('output-clear', HTMLButtonElement), () => this.clear())
  }

  /** An empty pane, for a new run. */
  clear(): void {
    this.#welcome.hidden = true
    this.#log = new OutputLog()
    this.#firstDrawn = 0
    this.#lastKind = undefined
    this.#following = true
    this.#pane.replaceChildren()
    this.#schedule()
  }

  /** Whether there are two streams to choose from; at a terminal there is one. */
  set streams(streams: boolean) {
    const filter = byId('output-filter', HTMLFieldSetElement)
    filter.disabled = !streams
    filter.title = streams ? '' : 'A terminal has one stream for both'
    if (!streams) {
      const both = filter.querySelector<HTMLInputElement>('[value=both]')
      if (both) both.checked = true
      this.#pane.dataset.show = 'both'
    }
  }

  /** Where the page is one column, brings the pane into sight. */
  reveal(): void {
    this.#pane.closest('.panel')?.scrollIntoView({ block: 'nearest' })
  }

  push(stream: StreamName, bytes: Uint8Array): void {
    this.#log.push(stream, bytes)
    this.#schedule()
  }

  /** The program's output is complete. */
  end(): void {
    this.#log.end()
    this.#schedule()
  }

  /** A line of the page's own. */
  note(text: string): void {
    this.#welcome.hidden = true
    this.#log.note(text)
    this.#schedule()
  }

  #shown(): StreamName | undefined {
    const value = document.querySelector<HTMLInputElement>('input[name=stream]:checked')?.value
    return value === 'stdout' || value === 'stderr' ? value : undefined
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const draw = () => {
      this.#scheduled = false
      this.#draw()
    }
    // A hidden page has no frames; it need not keep up, but what it holds stays bounded by the log itself.
    requestAnimationFrame(draw)
  }

  #draw(): void {
    const { pieces, hiddenChars, lostBytes } = this.#log
    const first = pieces[0]?.id ?? 0
    // Pieces that were pushed out, drawn or not.
    while (this.#firstDrawn < first) {
      this.#pane.firstElementChild?.remove()
      this.#firstDrawn++
      if (!this.#pane.firstElementChild) this.#firstDrawn = first
    }
    const drawn = this.#pane.childElementCount
    if (drawn > 0) grow(this.#pane.lastElementChild as HTMLElement, pieces[drawn - 1] as Piece)
    const added = pieces.slice(drawn).map((piece) => {
      const opens = piece.kind !== this.#lastKind
      this.#lastKind = piece.kind
      return element('div', { class: `piece ${piece.kind}${opens ? ' opens' : ''}` }, piece.text)
    })
    this.#pane.append(...added)
    if (this.#following) this.#pane.scrollTop = this.#pane.scrollHeight

    this.#leftOut.hidden = hiddenChars === 0
    if (hiddenChars > 0) {
      const lost = lostBytes > 0 ? `; Download has the first ${formatBytes(this.#log.received() - lostBytes)}` : ''
      this.#leftOut.textContent = `The first ${formatCount(hiddenChars)} characters are not shown${lost}`
    }
    const received = this.#log.received(this.#shown())
    setEnabled(
      this.#save,
      received > 0,
      received > 0 ? `${formatBytes(received)} of output` : 'There is no output to download',
    )
  }
}

/** The piece drawn last may have got longer. */
function grow(drawn: HTMLElement, piece: Piece): void {
  const node = drawn.firstChild as Text
  if (node.length < piece.text.length) node.appendData(piece.text.slice(node.length))
}
