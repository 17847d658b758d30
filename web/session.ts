/**
 * A booted sandbox with the playground's one container, and what the page does with it: put a program into /bin, run it, begin
 * again. Files live in the container's memory, so a new session has none of them.
 */
import {
  type Container,
  type ExitStatus,
  type Process,
  Sandbox,
  type Terminal,
  type WindowSize,
} from '../src/client/index.ts'
import { formatProgress } from './format.ts'
import type { Program } from './memory.ts'
import type { StreamName } from './output-log.ts'

/** How far something has come: a sentence, and a part of 1 where it is known. */
export interface Step {
  readonly text: string
  readonly part?: number | undefined
}

export interface RunRequest {
  readonly program: Program
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly stdin: string
  readonly terminal: boolean
}

/** Where a program's terminal is shown and typed at. */
export interface Screen {
  readonly size: WindowSize
  /** Resolves when everything was shown. */
  attach(terminal: Terminal): Promise<void>
}

export interface RunEvents {
  readonly step: (step: Step) => void
  readonly output: (stream: StreamName, bytes: Uint8Array) => void
  /** Of a program that is to have a terminal; its output goes there. */
  readonly screen: Screen | undefined
}

export class Session {
  readonly sandbox: Sandbox
  readonly container: Container
  #running: Process | undefined
  #installed: Program | undefined

  private constructor(sandbox: Sandbox, container: Container) {
    this.sandbox = sandbox
    this.container = container
  }

  /** `example` is the source of the example program, to be found under /example. */
  static async open(example: string | undefined): Promise<Session> {
    const sandbox = await Sandbox.boot(example === undefined ? {} : { bundle: { example: { 'hello.c': example } } })
    const examples = { destination: '/example', type: 'bind', source: 'example', options: ['ro'] }
    const container = await sandbox.create('playground', {
      ociVersion: '1.2.0',
      hostname: 'playground',
      mounts: [
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] },
        ...(example === undefined ? [] : [examples]),
      ],
    })
    await container.start()
    for (const directory of ['/bin', '/home']) await container.fs.mkdir(directory, { recursive: true })
    return new Session(sandbox, container)
  }

  /** Where a program lands. */
  static pathOf(program: Program): string {
    return `/bin/${program.name}`
  }

  /** Rejects where the program cannot be written or started. Else gives how it ended, after all of its output. */
  async run({ program, args, env, cwd, stdin }: RunRequest, events: RunEvents): Promise<ExitStatus> {
    const { step, output, screen } = events
    const path = Session.pathOf(program)
    await this.#install(program, step)
    step({ text: `Starting ${path}` })
    const process = await this.container.exec(
      { args: [path, ...args], env: [...env], cwd, ...(screen && atTerminal(screen.size)) },
      {
        ...(this.typesAhead || !screen ? { stdin } : {}),
        onProgress: ({ stage, path, loaded, total }) =>
          step({
            text: `${stage === 'fetch' ? 'Reading' : 'Compiling'} ${path}${loaded === undefined ? '' : `, ${formatProgress(loaded, total)}`}`,
            part: loaded !== undefined && total ? loaded / total : undefined,
          }),
      },
    )
    this.#running = process
    step({ text: `Running ${path}`, part: 1 })
    try {
      if (process.terminal) await screen?.attach(process.terminal)
      else
        await Promise.all([
          pump(process.stdout, (bytes) => output('stdout', bytes)),
          pump(process.stderr, (bytes) => output('stderr', bytes)),
        ])
      return await process.wait()
    } finally {
      this.#running = undefined
    }
  }

  /** Programs cannot wait for keys: all that is typed at a terminal is given at the start. */
  get typesAhead(): boolean {
    return this.sandbox.platform === 'inline'
  }

  /** Asks the kernel to end the running program. It cannot hear this while the program computes in its own thread. */
  async stop(): Promise<void> {
    await this.#running?.kill('SIGKILL')
  }

  /** Ends the sandbox and all that is in it, busy or not. */
  async close(): Promise<void> {
    await this.sandbox.shutdown({ force: true })
  }

  /** Writes the program unless it is there already. */
  async #install(program: Program, step: (step: Step) => void): Promise<void> {
    const path = Session.pathOf(program)
    const { fs } = this.container
    const present = await fs.stat(path).catch(() => undefined)
    if (this.#installed === program && present?.size === program.blob.size) return
    await fs.mkdir('/bin', { recursive: true })
    await writeBlob(this.container, path, program.blob, (loaded) =>
      step({
        text: `Copying to ${path}, ${formatProgress(loaded, program.blob.size)}`,
        part: loaded / program.blob.size,
      }),
    )
    await fs.chmod(path, 0o755)
    this.#installed = program
  }
}

/** Writes a file piece by piece, telling the bytes that are done. */
export async function writeBlob(
  container: Container,
  path: string,
  blob: Blob,
  progress: (loaded: number) => void,
): Promise<void> {
  let loaded = 0
  const counted = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      loaded += chunk.length
      controller.enqueue(chunk)
      progress(loaded)
    },
  })
  await blob.stream().pipeThrough(counted).pipeTo(container.fs.createWriteStream(path))
}

const atTerminal = ({ columns, rows }: WindowSize) => ({
  terminal: true,
  consoleSize: { width: columns, height: rows },
})

async function pump(stream: ReadableStream<Uint8Array>, take: (bytes: Uint8Array) => void): Promise<void> {
  const reader = stream.getReader()
  for (let next = await reader.read(); !next.done; next = await reader.read()) take(next.value)
}
