/** The form: the chosen program and what it is run with. It tells faults at the fields, and remembers itself over a reload. */
import { parseWords, quoteWord } from './argv.ts'
import { programFault, programName } from './contents.ts'
import { byId, element, messageOf, onDrop, onPress } from './dom.ts'
import { parseEnvironment } from './environment.ts'
import { formatBytes, formatProgress } from './format.ts'
import { type FormValues, Memory, type Program } from './memory.ts'
import type { RunRequest } from './session.ts'

const exampleUrl = './example/hello.wasm'
const exampleInput = 'one line\nand another\n'

export class SetupForm {
  readonly #memory = new Memory()
  readonly #args = byId('args', HTMLInputElement)
  readonly #cwd = byId('cwd', HTMLInputElement)
  readonly #env = byId('env', HTMLTextAreaElement)
  readonly #stdin = byId('stdin', HTMLTextAreaElement)
  readonly #terminal = byId('terminal-switch', HTMLInputElement)
  readonly #name = byId('program-name', HTMLElement)
  readonly #note = byId('program-note', HTMLElement)
  #program: Program | undefined
  #typesAhead = false
  #fetching: Promise<boolean> | undefined

  /** `onTerminal` is called when programs are to have a terminal from now on. */
  constructor(onTerminal: () => void) {
    const file = byId('program-file', HTMLInputElement)
    onPress(byId('program-choose', HTMLButtonElement), () => file.click())
    file.addEventListener('change', () => {
      if (file.files?.[0]) void this.choose(file.files[0])
      file.value = ''
    })
    onPress(byId('program-example', HTMLButtonElement), () => void this.useExample())
    onDrop(byId('program-drop', HTMLElement), { drop: ([first]) => first && void this.choose(first) })
    this.#terminal.addEventListener('change', () => this.#terminal.checked && onTerminal())
    for (const field of [this.#args, this.#cwd, this.#env, this.#stdin, this.#terminal])
      field.addEventListener('input', () => {
        this.#check()
        this.#memory.saveForm(this.#values())
      })
    this.#check()
  }

  /** Fills in what was remembered, unless something has been typed or chosen meanwhile. */
  async restore(): Promise<void> {
    const [form, program] = await Promise.all([this.#memory.form(), this.#memory.program()])
    const { args, cwd, env, stdin } = this.#values()
    if (form && args + env + stdin === '' && cwd === '/') this.#fill(form)
    if (program && !this.#program) await this.#setProgram(program)
  }

  /** Whether programs at a terminal get the standard input of the form, because they cannot wait for keys. */
  set typesAhead(typesAhead: boolean) {
    this.#typesAhead = typesAhead
    this.#check()
  }

  async choose(file: File): Promise<void> {
    const program = { name: programName(file.name), blob: file }
    this.#memory.saveProgram(program)
    await this.#setProgram(program)
  }

  /**
   * Gets the example program; what is in the fields stays, and where nothing is, it shows what can be there. False where it
   * did not come.
   */
  useExample(): Promise<boolean> {
    const fetching = this.#fetchExample().finally(() => {
      if (this.#fetching === fetching) this.#fetching = undefined
    })
    this.#fetching = fetching
    return fetching
  }

  async #fetchExample(): Promise<boolean> {
    this.#name.textContent = 'hello'
    this.#say('Loading the example…')
    try {
      const program = { name: 'hello', blob: await download(exampleUrl, (text) => this.#say(text)) }
      this.#memory.saveProgram(program)
      await this.#setProgram(program)
    } catch (error) {
      this.#name.textContent = this.#program?.name ?? 'No program chosen'
      this.#say(`The example could not be loaded: ${messageOf(error)}`, true)
      return false
    }
    const { args, cwd, env, stdin } = this.#values()
    if (args + env + stdin === '') {
      const { terminal } = this.#values()
      this.#fill({ args: "--name 'dear reader'", cwd, env: 'GREETING=Hello', stdin: exampleInput, terminal })
      this.#memory.saveForm(this.#values())
    }
    return true
  }

  /**
   * What is to be run, once an example that was asked for is there; undefined if that did not come, or if the form has a
   * fault, which it then shows and moves to.
   */
  async request(): Promise<RunRequest | undefined> {
    if ((await this.#fetching) === false) return undefined
    const faulty = this.#check()
    if (!this.#program) {
      this.#say('Choose a .wasm file first, or use the example.', true)
      byId('program-choose', HTMLButtonElement).focus()
      return undefined
    }
    const words = parseWords(this.#args.value)
    const environment = parseEnvironment(this.#env.value)
    if (faulty || 'fault' in words || 'fault' in environment) {
      faulty?.focus()
      return undefined
    }
    const { program, args, env } = { program: this.#program, args: words.words, env: environment.env }
    const { cwd, stdin, terminal } = this.#values()
    return { program, args, env, cwd, stdin, terminal }
  }

  async #setProgram(program: Program): Promise<void> {
    this.#program = program
    const { name, blob } = program
    this.#name.textContent = name
    this.#name.title = name
    this.#check()
    const head = await blob
      .slice(0, 8)
      .arrayBuffer()
      .then((buffer) => new Uint8Array(buffer))
      .catch(() => undefined)
    if (this.#program !== program) return
    const fault = head ? programFault(head) : 'The file cannot be read any more. Choose it again.'
    this.#say(fault ?? `${formatBytes(blob.size)}, runs as /bin/${name}`, fault !== undefined)
  }

  #values(): Required<FormValues> {
    const [args, cwd, env, stdin] = [this.#args.value, this.#cwd.value, this.#env.value, this.#stdin.value]
    return { args, cwd, env, stdin, terminal: this.#terminal.checked }
  }

  #fill({ args, cwd, env, stdin, terminal = false }: FormValues): void {
    this.#args.value = args
    this.#cwd.value = cwd
    this.#env.value = env
    this.#stdin.value = stdin
    this.#terminal.checked = terminal
    this.#check()
  }

  /** Tells the faults at their fields; gives the first faulty field. */
  #check(): HTMLElement | undefined {
    const words = parseWords(this.#args.value)
    const environment = parseEnvironment(this.#env.value)
    const cwd = this.#cwd.value
    const terminal = this.#terminal.checked
    // Not disabled: who is in it keeps the focus, and what it says can be read.
    this.#stdin.readOnly = terminal && !this.#typesAhead
    const ok = [
      note(this.#args, 'fault' in words ? words.fault : undefined, ...argvLine(this.#program?.name, words)),
      note(
        this.#cwd,
        cwd.startsWith('/') ? undefined : 'Begin with a slash: it is a path in the container.',
        'A folder of the container, made if it is missing',
      ),
      note(
        this.#env,
        'fault' in environment ? environment.fault : undefined,
        'fault' in environment
          ? ''
          : environment.env.length === 1
            ? '1 variable'
            : `${environment.env.length} variables`,
      ),
      note(
        this.#stdin,
        undefined,
        terminal
          ? this.#typesAhead
            ? TYPED_AHEAD
            : 'Not used: you type in the terminal'
          : inputLine(this.#stdin.value),
      ),
    ]
    return [this.#args, this.#cwd, this.#env, this.#stdin][ok.indexOf(false)]
  }

  #say(text: string, fault = false): void {
    this.#note.textContent = text
    this.#note.title = text
    this.#note.classList.toggle('fault', fault)
  }
}

const TYPED_AHEAD = 'Read as if typed: platform inline cannot wait for keys'

function inputLine(stdin: string): string {
  const bytes = new TextEncoder().encode(stdin).length
  return bytes === 0 ? 'Empty: the program finds the end at once' : `${formatBytes(bytes)}, given from the start`
}

/** The program's argv as boxes, each a word as it would be quoted. */
function argvLine(name: string | undefined, words: ReturnType<typeof parseWords>): (Node | string)[] {
  if ('fault' in words) return []
  const argv = [name ?? 'program', ...words.words]
  return [
    element('span', { class: 'visually-hidden' }, 'Runs as: '),
    ...argv.flatMap((word) => [element('span', { class: 'word' }, quoteWord(word)), ' ']),
  ]
}

/** Writes the line under a field; false if it is a fault. */
function note(field: HTMLElement, fault: string | undefined, ...hint: (Node | string)[]): boolean {
  const line = byId(`${field.id}-note`, HTMLElement)
  line.classList.toggle('fault', fault !== undefined)
  line.replaceChildren(...(fault === undefined ? hint : [fault]))
  line.title = line.textContent ?? ''
  field.setAttribute('aria-invalid', String(fault !== undefined))
  return fault === undefined
}

async function download(url: string, progress: (text: string) => void): Promise<Blob> {
  const response = await fetch(url)
  if (!response.ok || !response.body) throw new Error(`the server answered ${response.status} ${response.statusText}`)
  const total = Number(response.headers.get('Content-Length')) || undefined
  const parts: Uint8Array<ArrayBuffer>[] = []
  let loaded = 0
  const reader = response.body.getReader()
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value)
    loaded += next.value.length
    progress(`Loading the example, ${formatProgress(loaded, total)}`)
  }
  return new Blob(parts, { type: 'application/wasm' })
}
