/**
 * The file tree without its looks: which directories are open, what is in them, which row is selected. Listings come from
 * outside, when the view has read them; nothing here waits or touches the page.
 *
 * Invariant: `rows()` is the root's children first to last, each open directory followed by its own. The selected path is that of
 * a row, or undefined; if its file has gone, the selection moves to the nearest row that is left.
 */

export interface Entry {
  readonly name: string
  readonly kind: string
}

export interface Row {
  readonly path: string
  readonly name: string
  readonly kind: string
  /** 1 for what lies in the root. */
  readonly level: number
  /** Of directories: whether it is open. */
  readonly expanded: boolean | undefined
  /** An open directory without entries. */
  readonly empty: boolean
  /** Among its siblings, from 1. */
  readonly position: number
  readonly siblings: number
}

export type Move = 'next' | 'previous' | 'first' | 'last' | 'parent' | 'child' | 'pageDown' | 'pageUp'

const PAGE_ROWS = 10

export class TreeModel {
  /** Listings of directories that were read, by path. */
  readonly #listings = new Map<string, readonly Entry[]>()
  readonly #open = new Set<string>(['/'])
  #rows: readonly Row[] | undefined
  #selected: string | undefined
  #typed = ''

  get selected(): string | undefined {
    return this.#selected
  }

  rows(): readonly Row[] {
    this.#rows ??= [...this.#rowsOf('/', 1)]
    return this.#rows
  }

  indexOfSelected(): number {
    return this.rows().findIndex(({ path }) => path === this.#selected)
  }

  rowOf(path: string): Row | undefined {
    return this.rows().find((row) => row.path === path)
  }

  isOpen(path: string): boolean {
    return this.#open.has(path)
  }

  /** The open directories that can be seen, the root first: what a refresh must list again. */
  openDirectories(): string[] {
    return ['/', ...this.rows().flatMap((row) => (row.expanded ? [row.path] : []))]
  }

  /** A directory was read. */
  setListing(directory: string, entries: readonly Entry[]): void {
    const sorted = [...entries].sort(
      (a, b) => Number(isDirectory(b)) - Number(isDirectory(a)) || compare(a.name, b.name),
    )
    this.#change(() => this.#listings.set(directory, sorted))
  }

  /** A directory could not be read: it is shown shut. */
  forget(directory: string): void {
    this.#change(() => {
      this.#listings.delete(directory)
      if (directory !== '/') this.#open.delete(directory)
    })
  }

  /** Opens a directory; false if it was not read yet, so that it shows nothing before setListing. */
  open(directory: string): boolean {
    this.#change(() => this.#open.add(directory))
    return this.#listings.has(directory)
  }

  /** Shuts a directory and forgets what was in it, so that it is read afresh when it is opened again. */
  shut(directory: string): void {
    this.#change(() => {
      this.#open.delete(directory)
      this.#listings.delete(directory)
      if (this.#selected?.startsWith(`${directory}/`)) this.#selected = directory
    })
  }

  select(path: string | undefined): void {
    this.#selected = path
    this.#typed = ''
  }

  /** Moves the selection as a tree's keys do; says whether it moved. */
  move(move: Move): boolean {
    const rows = this.rows()
    const at = this.indexOfSelected()
    const target = at < 0 ? (move === 'last' ? rows.length - 1 : 0) : targetOf(rows, at, move)
    const row = rows[target]
    if (!row || row.path === this.#selected) return false
    this.select(row.path)
    return true
  }

  /** Selects the next row whose name begins with what was typed; typing the same letter again goes through them. */
  typeAhead(character: string, isNewWord: boolean): boolean {
    const c = character.toLowerCase()
    this.#typed = isNewWord || this.#typed === c ? c : this.#typed + c
    const rows = this.rows()
    const typed = this.#typed
    // A longer word may still fit the row on which the first letters landed.
    const start = this.indexOfSelected() + (typed.length === 1 ? 1 : 0)
    for (let i = 0; i < rows.length; i++) {
      const row = rows[(Math.max(0, start) + i) % rows.length] as Row
      if (!row.name.toLowerCase().startsWith(typed)) continue
      this.#selected = row.path
      return true
    }
    return false
  }

  #change(change: () => void): void {
    const before = this.rows()
    const at = this.indexOfSelected()
    change()
    this.#rows = undefined
    if (at < 0 || this.indexOfSelected() >= 0) return
    const left = new Set(this.rows().map(({ path }) => path))
    const near = [...before.slice(at), ...before.slice(0, at).reverse()].find(({ path }) => left.has(path))
    this.#selected = near?.path
  }

  *#rowsOf(directory: string, level: number): Iterable<Row> {
    const entries = this.#listings.get(directory) ?? []
    for (const [i, { name, kind }] of entries.entries()) {
      const path = join(directory, name)
      const expanded = kind === 'directory' ? this.#open.has(path) : undefined
      const empty = expanded === true && this.#listings.get(path)?.length === 0
      yield { path, name, kind, level, expanded, empty, position: i + 1, siblings: entries.length }
      if (expanded) yield* this.#rowsOf(path, level + 1)
    }
  }
}

export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function targetOf(rows: readonly Row[], at: number, move: Move): number {
  const last = rows.length - 1
  const level = (rows[at] as Row).level
  if (move === 'next') return Math.min(last, at + 1)
  if (move === 'previous') return Math.max(0, at - 1)
  if (move === 'pageDown') return Math.min(last, at + PAGE_ROWS)
  if (move === 'pageUp') return Math.max(0, at - PAGE_ROWS)
  if (move === 'first') return 0
  if (move === 'last') return last
  if (move === 'child') return (rows[at + 1]?.level ?? 0) > level ? at + 1 : at
  return Math.max(
    rows.slice(0, at).findLastIndex((row) => row.level < level),
    level === 1 ? at : 0,
  )
}

function isDirectory(entry: Entry): boolean {
  return entry.kind === 'directory'
}

/** By code points, as ls does in the C locale, but with case aside first. */
function compare(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()]
  return x < y ? -1 : x > y ? 1 : a < b ? -1 : Number(a > b)
}
