/** Small things about elements that every part of the page uses. */

/** The element of index.html with this id; that it is there and of this class is a promise the page makes. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`)
  return found
}

type Child = Node | string

/** An element with attributes and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/** A button that cannot be used keeps its focus and its place in the tab order, so that a keyboard never falls off it. */
export function setEnabled(button: HTMLButtonElement, enabled: boolean, why = ''): void {
  if (enabled) button.removeAttribute('aria-disabled')
  else button.setAttribute('aria-disabled', 'true')
  button.title = why
}

/** Calls back on a click, or Enter or Space, unless the button is off. */
export function onPress(button: HTMLButtonElement, callback: () => void): void {
  button.addEventListener('click', () => {
    if (button.getAttribute('aria-disabled') !== 'true') callback()
  })
}

/** Hands a file to the browser's downloads. */
export function saveAs(name: string, parts: BlobPart[]): void {
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/octet-stream' }))
  element('a', { href: url, download: name }).click()
  // The browser needs the address until it has begun to read.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** An element to drop files on. `over` hears what is under the pointer, or undefined when the drag has left. */
export function onDrop(
  target: HTMLElement,
  { drop, over }: { drop: (files: readonly File[], at: Element) => void; over?: (at: Element | undefined) => void },
): void {
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
  target.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy'
    target.classList.add('dropping')
    over?.(event.target as Element)
  })
  const leave = () => {
    target.classList.remove('dropping')
    over?.(undefined)
  }
  target.addEventListener('dragleave', (event) => {
    if (!target.contains(event.relatedTarget as Node | null)) leave()
  })
  target.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    leave()
    const files = [...(event.dataTransfer?.files ?? [])]
    if (files.length > 0) drop(files, event.target as Element)
  })
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
