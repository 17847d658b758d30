/**
 * Draws a TreeModel by the tree pattern of the ARIA Authoring Practices: one tab stop, arrows move, the row that a screen reader
 * is on is named by aria-activedescendant. Only rows in sight are drawn, at fixed heights, so ten thousand files cost a screenful.
 */
import { element } from './dom.ts'
import type { Move, Row, TreeModel } from './tree-model.ts'

export interface TreeEvents {
  /** The selection moved, by key or pointer. */
  readonly select: () => void
  /** Enter, Space or a click on a row that is no directory. */
  readonly activate: (row: Row) => void
  /** A directory is to be opened or shut. */
  readonly toggle: (row: Row) => void
  readonly remove: () => void
  /** Words behind a name, such as what is mounted there. */
  readonly noteOf: (row: Row) => string
}

const keys: Readonly<Record<string, Move>> = {
  ArrowDown: 'next',
  ArrowUp: 'previous',
  Home: 'first',
  End: 'last',
  PageDown: 'pageDown',
  PageUp: 'pageUp',
}

/** Letters typed within this many milliseconds make one word. */
const WORD_MS = 700
/** Rows drawn above and below those in sight. */
const MARGIN = 8

export class TreeView {
  readonly #tree: HTMLElement
  readonly #model: TreeModel
  readonly #events: TreeEvents
  readonly #space = element('div', { role: 'presentation' })
  #lastTyped = 0
  #dropRow: Element | undefined

  constructor(tree: HTMLElement, model: TreeModel, events: TreeEvents) {
    this.#tree = tree
    this.#model = model
    this.#events = events
    tree.append(this.#space)
    tree.addEventListener('scroll', () => this.draw(), { passive: true })
    new ResizeObserver(() => this.draw()).observe(tree)
    tree.addEventListener('keydown', (event) => this.#onKey(event))
    tree.addEventListener('focus', () => {
      // By keyboard; a click will select by itself.
      if (model.selected === undefined && tree.matches(':focus-visible') && model.move('first')) this.#selected()
    })
    tree.addEventListener('click', (event) => {
      const row = this.rowAt(event.target as Element)
      if (!row) return
      model.select(row.path)
      this.#selected()
      this.#use(row)
    })
  }

  /** The row that an element of the tree belongs to. */
  rowAt(target: Element): Row | undefined {
    const path = target.closest<HTMLElement>('[role=treeitem]')?.dataset.path
    return path === undefined ? undefined : this.#model.rowOf(path)
  }

  /** Marks the row that a drop would land in. */
  markDrop(path: string | undefined): void {
    this.#dropRow?.classList.remove('drop-here')
    this.#dropRow =
      path === undefined
        ? undefined
        : [...this.#space.children].find((row) => (row as HTMLElement).dataset.path === path)
    this.#dropRow?.classList.add('drop-here')
  }

  draw(): void {
    const rows = this.#model.rows()
    const height = this.#rowHeight()
    const first = Math.max(0, Math.floor(this.#tree.scrollTop / height) - MARGIN)
    const count = Math.ceil(this.#tree.clientHeight / height) + 2 * MARGIN
    const last = Math.min(rows.length, first + count)
    this.#space.style.height = `${rows.length * height}px`
    // A row's element stays where it is and only what it shows changes: nothing slides, and a click that began on it ends on it.
    while (this.#space.childElementCount > last - first) this.#space.lastElementChild?.remove()
    while (this.#space.childElementCount < last - first)
      this.#space.append(element('div', { role: 'treeitem', class: 'tree-row' }))
    for (let i = first; i < last; i++)
      this.#fill(this.#space.children[i - first] as HTMLElement, rows[i] as Row, i, height)
    const at = this.#model.indexOfSelected()
    if (at >= first && at < last) this.#tree.setAttribute('aria-activedescendant', `tree-row-${at}`)
    else this.#tree.removeAttribute('aria-activedescendant')
  }

  /** Scrolls the selected row into sight and draws. */
  reveal(): void {
    const height = this.#rowHeight()
    const top = this.#model.indexOfSelected() * height
    const { scrollTop, clientHeight } = this.#tree
    if (top >= 0 && top < scrollTop) this.#tree.scrollTop = top
    else if (top + height > scrollTop + clientHeight) this.#tree.scrollTop = top + height - clientHeight
    this.draw()
  }

  #fill(drawn: HTMLElement, row: Row, index: number, height: number): void {
    const attributes = {
      id: `tree-row-${index}`,
      'data-path': row.path,
      'aria-level': String(row.level),
      'aria-posinset': String(row.position),
      'aria-setsize': String(row.siblings),
      'aria-selected': String(row.path === this.#model.selected),
      style: `top: ${index * height}px; --depth: ${row.level - 1}`,
      title: row.path,
    }
    for (const [name, value] of Object.entries(attributes)) drawn.setAttribute(name, value)
    if (row.expanded === undefined) drawn.removeAttribute('aria-expanded')
    else drawn.setAttribute('aria-expanded', String(row.expanded))
    const note = [this.#events.noteOf(row), row.empty ? 'empty' : ''].filter((text) => text !== '').join(', ')
    drawn.replaceChildren(
      element('span', { class: 'twisty', 'aria-hidden': 'true' }),
      element('span', { class: 'tree-name' }, row.name),
      element('span', { class: 'tree-note' }, note),
    )
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const row = this.#model.rowOf(this.#model.selected ?? '')
    const move = keys[event.key]
    if (move) this.#moved(this.#model.move(move))
    else if (event.key === 'ArrowRight' && row?.expanded !== undefined) {
      if (row.expanded) this.#moved(this.#model.move('child'))
      else this.#events.toggle(row)
    } else if (event.key === 'ArrowLeft' && row) {
      if (row.expanded) this.#events.toggle(row)
      else this.#moved(this.#model.move('parent'))
    } else if ((event.key === 'Enter' || event.key === ' ') && row) this.#use(row)
    else if (event.key === 'Delete' && row) this.#events.remove()
    else if (event.key.length === 1 && event.key !== ' ') {
      this.#moved(this.#model.typeAhead(event.key, event.timeStamp - this.#lastTyped > WORD_MS))
      this.#lastTyped = event.timeStamp
    } else return
    event.preventDefault()
  }

  #use(row: Row): void {
    if (row.expanded === undefined) this.#events.activate(row)
    else this.#events.toggle(row)
  }

  #moved(moved: boolean): void {
    if (moved) this.#selected()
  }

  #selected(): void {
    this.reveal()
    this.#events.select()
  }

  #rowHeight(): number {
    return Number.parseFloat(getComputedStyle(this.#tree).getPropertyValue('--tree-row')) || 28
  }
}
