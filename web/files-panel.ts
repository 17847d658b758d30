/** The files of the container: the tree with its actions, the line that says what became of them, and the viewer. */
import type { Container, MountInfo } from '../src/client/index.ts'
import { askName, confirmed } from './ask.ts'
import { byId, messageOf, onDrop, onPress, saveAs, setEnabled } from './dom.ts'
import { FileView } from './file-view.ts'
import { formatBytes, formatCount, formatProgress } from './format.ts'
import { isReadOnly } from './mounts.ts'
import { writeBlob } from './session.ts'
import { join, nameOf, parentOf, type Row, TreeModel } from './tree-model.ts'
import { TreeView } from './tree-view.ts'

export class FilesPanel {
  #model = new TreeModel()
  readonly #view: TreeView
  readonly #viewer = new FileView()
  readonly #status = byId('files-status', HTMLElement)
  readonly #buttons = {
    upload: byId('file-upload', HTMLButtonElement),
    mkdir: byId('file-mkdir', HTMLButtonElement),
    download: byId('file-download', HTMLButtonElement),
    remove: byId('file-delete', HTMLButtonElement),
    refresh: byId('file-refresh', HTMLButtonElement),
  }
  #container: Container | undefined
  #mounts: readonly MountInfo[] = []

  constructor() {
    const tree = byId('tree', HTMLElement)
    this.#view = new TreeView(tree, this.#model, {
      select: () => this.#select(),
      activate: (row) => this.#container && void this.#viewer.open(this.#container, row.path),
      toggle: (row) => void this.#toggle(row),
      remove: () => this.#buttons.remove.click(),
      noteOf: (row) => this.#noteOf(row),
    })
    const input = byId('file-input', HTMLInputElement)
    onPress(this.#buttons.upload, () => input.click())
    input.addEventListener('change', () => {
      void this.#upload([...(input.files ?? [])], this.#directory())
      input.value = ''
    })
    onDrop(tree, {
      drop: (files, at) => void this.#upload(files, this.#directoryAt(at)),
      over: (at) => this.#view.markDrop(at && this.#directoryAt(at)),
    })
    onPress(this.#buttons.mkdir, () => void this.#makeDirectory())
    onPress(this.#buttons.download, () => void this.#download())
    onPress(this.#buttons.remove, () => void this.#remove())
    onPress(this.#buttons.refresh, () => void this.refresh(this.#mounts))
    this.#updateButtons()
  }

  /** Shows the files of another container, or of none while there is none. */
  async attach(container: Container | undefined, mounts: readonly MountInfo[]): Promise<void> {
    this.#container = container
    for (const directory of this.#model.openDirectories()) this.#model.forget(directory)
    this.#viewer.close()
    this.#say('')
    await this.refresh(mounts)
  }

  /** Reads again what can be seen: a program may have changed it. */
  async refresh(mounts: readonly MountInfo[]): Promise<void> {
    this.#mounts = mounts
    await Promise.all(this.#model.openDirectories().map((directory) => this.#list(directory)))
    this.#view.draw()
    this.#updateButtons()
    const { path } = this.#viewer
    if (path === undefined || !this.#container) return
    const gone = await this.#container.fs.lstat(path).then(
      () => false,
      () => true,
    )
    if (gone) this.#viewer.close()
    else await this.#viewer.open(this.#container, path)
  }

  async #list(directory: string): Promise<void> {
    if (!this.#container) return
    try {
      const entries = await this.#container.fs.readdir(directory, { withFileTypes: true })
      this.#model.setListing(
        directory,
        entries.map((entry) => ({
          name: entry.name,
          kind: entry.isDirectory()
            ? 'directory'
            : entry.isSymbolicLink()
              ? 'symlink'
              : entry.isFile()
                ? 'file'
                : 'special',
        })),
      )
    } catch (error) {
      this.#model.forget(directory)
      this.#say(messageOf(error), true)
    }
  }

  async #toggle(row: Row): Promise<void> {
    if (row.expanded) this.#model.shut(row.path)
    else if (!this.#model.open(row.path)) await this.#list(row.path)
    this.#view.draw()
    this.#updateButtons()
  }

  #noteOf({ path, kind }: Row): string {
    if (kind === 'symlink') return 'link'
    if (kind === 'special') return 'special'
    const mount = this.#mounts.findLast(({ destination }) => destination === path)
    return mount ? `${mount.type}${mount.options.includes('ro') ? ', read-only' : ''}` : ''
  }

  #select(): void {
    const path = this.#model.selected ?? '/'
    this.#say(isReadOnly(path, this.#mounts) ? `${path} (read-only)` : path)
    this.#updateButtons()
  }

  #selectedRow(): Row | undefined {
    return this.#model.rowOf(this.#model.selected ?? '')
  }

  /** Where new files go: the selected directory, or that of the selected file. */
  #directory(): string {
    return directoryOf(this.#selectedRow())
  }

  #directoryAt(target: Element): string {
    return directoryOf(this.#view.rowAt(target))
  }

  #updateButtons(): void {
    const row = this.#selectedRow()
    const directory = this.#directory()
    const { upload, mkdir, download, remove, refresh } = this.#buttons
    const absent = this.#container ? undefined : 'The sandbox is not running'
    const readOnly = (path: string) => (isReadOnly(path, this.#mounts) ? `${path} is read-only` : undefined)
    const set = (button: HTMLButtonElement, obstacle: string | undefined, title: string) =>
      setEnabled(button, obstacle === undefined, obstacle ?? title)
    set(upload, absent ?? readOnly(directory), `Upload files into ${directory}`)
    set(mkdir, absent ?? readOnly(directory), `Make a folder in ${directory}`)
    const noFile = row && row.expanded === undefined ? undefined : 'Select a file first'
    set(download, absent ?? noFile, `Download ${row?.path}`)
    const mounted = this.#mounts.some(({ destination }) => destination === row?.path)
    const cannotRemove = !row
      ? 'Select a file or folder first'
      : mounted
        ? `${row.path} is a mount point`
        : readOnly(row.path)
    set(remove, absent ?? cannotRemove, `Delete ${row?.path}`)
    set(refresh, absent, 'Read the open folders again')
  }

  #say(text: string, fault = false): void {
    this.#status.textContent = text
    this.#status.title = text
    this.#status.classList.toggle('fault', fault)
  }

  /** Does something to the files, shows the result, and says what happened. */
  async #change(work: (container: Container) => Promise<string | undefined>): Promise<void> {
    const container = this.#container
    if (!container) return
    try {
      const said = await work(container)
      if (said === undefined) return
      await this.refresh(this.#mounts)
      this.#view.reveal()
      this.#say(said)
    } catch (error) {
      await this.refresh(this.#mounts)
      this.#say(messageOf(error), true)
    }
  }

  async #upload(files: readonly File[], directory: string): Promise<void> {
    if (isReadOnly(directory, this.#mounts))
      return this.#say(`${directory} is read-only: nothing can be uploaded there.`, true)
    await this.#change(async (container) => {
      let done = 0
      let bytes = 0
      for (const file of files) {
        const path = join(directory, file.name)
        const present = await container.fs.lstat(path).catch(() => undefined)
        const replace = {
          title: `Replace ${path}?`,
          text: 'A file with this name is there already.',
          action: 'Replace',
        }
        if (present?.isDirectory()) throw new Error(`${path} is a folder; rename the file before you upload it.`)
        if (present && !(await confirmed(replace))) continue
        await writeBlob(container, path, file, (loaded) =>
          this.#say(`Uploading ${path}, ${formatProgress(loaded, file.size)}`),
        )
        if (directory !== '/') this.#model.open(directory)
        await this.#list(directory)
        this.#model.select(path)
        done++
        bytes += file.size
      }
      if (done === 0) return undefined
      const what = done === 1 ? (this.#model.selected ?? '') : `${formatCount(done)} files to ${directory}`
      return `Uploaded ${what}, ${formatBytes(bytes)}`
    })
  }

  async #makeDirectory(): Promise<void> {
    const directory = this.#directory()
    const name = await askName({
      title: 'New folder',
      text: `It is made in ${directory}.`,
      label: 'Name',
      action: 'Make folder',
      check: (name) => {
        if (name === '') return 'Give it a name.'
        if (name.includes('/')) return 'A name has no slash in it.'
        return name === '.' || name === '..' ? `“${name}” always exists.` : undefined
      },
    })
    if (name === undefined) return
    await this.#change(async ({ fs }) => {
      const path = join(directory, name)
      await fs.mkdir(path)
      if (directory !== '/') this.#model.open(directory)
      await this.#list(directory)
      this.#model.select(path)
      return `Made ${path}`
    })
    byId('tree', HTMLElement).focus()
  }

  async #download(): Promise<void> {
    const path = this.#selectedRow()?.path
    const container = this.#container
    if (path === undefined || !container) return
    try {
      const parts: BlobPart[] = []
      const { size } = await container.fs.stat(path)
      let loaded = 0
      const reader = container.fs.createReadStream(path).getReader()
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        parts.push(next.value as BlobPart)
        loaded += next.value.length
        this.#say(`Reading ${path}, ${formatProgress(loaded, size)}`)
      }
      saveAs(nameOf(path), parts)
      this.#say(`Downloaded ${path}, ${formatBytes(loaded)}`)
    } catch (error) {
      this.#say(messageOf(error), true)
    }
  }

  async #remove(): Promise<void> {
    const row = this.#selectedRow()
    if (!row) return
    const text = row.kind === 'directory' ? 'Everything in it is deleted, too.' : 'There is no way to get it back.'
    if (!(await confirmed({ title: `Delete ${row.path}?`, text, action: 'Delete' }))) return
    await this.#change(async ({ fs }) => {
      await fs.rm(row.path, { recursive: true })
      return `Deleted ${row.path}`
    })
    byId('tree', HTMLElement).focus()
  }
}

function directoryOf(row: Row | undefined): string {
  if (!row) return '/'
  return row.kind === 'directory' ? row.path : parentOf(row.path)
}
