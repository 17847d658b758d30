/**
 * What the page remembers over a reload, in IndexedDB: the form as it was typed, and the chosen program. A browser that stores
 * nothing (private windows, a full disk) is no fault of the page's: it then starts empty.
 */
import { createStore, get, set, type UseStore } from 'idb-keyval'

export interface FormValues {
  readonly args: string
  readonly cwd: string
  readonly env: string
  readonly stdin: string
  /** Left out by what was remembered before there were terminals. */
  readonly terminal?: boolean
}

/** A program that can be run: its name under /bin, and its bytes. */
export interface Program {
  readonly name: string
  readonly blob: Blob
}

export class Memory {
  readonly #store: UseStore | undefined
  readonly #waiting = new Map<string, unknown>()
  #writing = false

  constructor() {
    try {
      this.#store = createStore('runtab-playground', 'form')
    } catch {
      // Without IndexedDB nothing is remembered.
    }
  }

  form(): Promise<FormValues | undefined> {
    return this.#get('form')
  }

  program(): Promise<Program | undefined> {
    return this.#get('program')
  }

  saveForm(values: FormValues): void {
    this.#set('form', values)
  }

  saveProgram(program: Program): void {
    this.#set('program', program)
  }

  async #get<T>(key: string): Promise<T | undefined> {
    try {
      return this.#store && (await get<T>(key, this.#store))
    } catch {
      return undefined
    }
  }

  /** Writes at once, and while a write is under way only the newest value of each key waits. */
  async #set(key: string, value: unknown): Promise<void> {
    this.#waiting.set(key, value)
    if (this.#writing || !this.#store) return
    this.#writing = true
    for (const [next, newest] of this.#waiting) {
      this.#waiting.delete(next)
      await set(next, newest, this.#store).catch(() => {})
    }
    this.#writing = false
  }
}
