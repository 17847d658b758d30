/**
 * The page's half and the service of the kernel's half, joined by real MessagePorts, over a small working runtime: its
 * programs are functions, its containers share the files of one tmpfs.
 */

import fc from 'fast-check'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { ErrnoError } from '../abi/errno.ts'
import type { Tree } from '../abi/tree.ts'
import type { ExitStatus, PlatformName } from '../abi/wire.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { Connection } from '../fs/fuse/connection.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { createClock } from '../host/clock.ts'
import type { RunningProcess } from '../host/process-port.ts'
import { type Boot, type ServedRuntime, serveKernel } from '../host/service.ts'
import { createTimer } from '../host/timer.ts'
import { Files } from '../kernel/files.ts'
import { HostPipes } from '../kernel/host-pipes.ts'
import type { ProcessStdio } from '../kernel/process.ts'
import { Task } from '../kernel/task.ts'
import { parseProcess, parseSpec } from '../oci/spec.ts'
import type { Volumes } from '../oci/volumes.ts'
import { credentialsOf } from '../vfs/context.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { Vfs } from '../vfs/vfs.ts'
import type { Container } from './container.ts'
import { Sandbox } from './sandbox.ts'

interface Io {
  readonly args: readonly string[]
  readonly stdio: ProcessStdio
  /** The next piece of input, undefined at its end. */
  read(): Promise<Uint8Array | undefined>
}

/** Ends with the number that it gives. */
type Program = (io: Io) => Promise<number> | number

const utf8 = (text: string) => new TextEncoder().encode(text)

const programs: Record<string, Program> = {
  echo({ args, stdio }) {
    stdio.stdout(utf8(`${args.slice(1).join(' ')}\n`))
    return 0
  },
  async cat({ stdio, read }) {
    for (let piece = await read(); piece; piece = await read()) stdio.stdout(piece)
    return 0
  },
  both({ stdio }) {
    stdio.stderr(utf8('bad\n'))
    stdio.stdout(utf8('good\n'))
    return 3
  },
  forever: () => new Promise(() => {}),
}

class FakeRuntime implements ServedRuntime {
  readonly volumes = { calls: {} as Volumes['calls'], flush() {}, onDirty() {} }
  readonly provided = new Map<string, Tree>()
  readonly running = new Map<number, (status: ExitStatus) => void>()
  readonly ids = new Map<string, unknown>()
  readonly #files: Files
  readonly pipes: HostPipes
  readonly fuse = { serve: () => new Connection(), end() {} }
  panicked: string | undefined
  onPanic: (reason: string) => void = () => {}

  async mount(): Promise<never[]> {
    return []
  }

  images(): Promise<never> {
    throw new Error('it has no images')
  }

  checkpoints(): Promise<never> {
    throw new Error('it has no checkpoints')
  }

  stopped = false
  onShutdown: () => Promise<void> = async () => {}

  constructor() {
    const clock = createClock()
    const vfs = new Vfs(clock, new DeviceRegistry())
    this.pipes = new HostPipes(vfs, { clock, timer: createTimer(clock) })
    vfs.types.register(tmpfsType)
    const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
    vfs.newNamespace(mount)
    const task = new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root) })
    this.#files = new Files(async (operation) => {
      try {
        return operation(task)
      } finally {
        task.settle()
      }
    })
  }

  provide(name: string, tree: Tree) {
    this.provided.set(name, tree)
  }
  async create(id: string, value: unknown) {
    const { spec, warnings } = parseSpec(value)
    this.ids.set(id, spec)
    return { warnings }
  }
  async start(id: string, stdio: ProcessStdio) {
    const { process } = this.ids.get(id) as { process?: unknown }
    return process === undefined ? undefined : this.exec(id, process, stdio)
  }
  async exec(_id: string, value: unknown, stdio: ProcessStdio): Promise<RunningProcess> {
    const { process, warnings } = parseProcess(value)
    const program = programs[process.args[0]!]
    if (!program) throw new ErrnoError('ENOENT', process.args[0])
    stdio.progress({ stage: 'compile', path: process.args[0]! })
    const input: (Uint8Array | undefined)[] = [stdio.stdin.initial]
    if (!stdio.stdin.more) input.push(undefined)
    let arrived = () => {}
    const read = async () => {
      while (input.length === 0) await new Promise<void>((resolve) => (arrived = resolve))
      return input[0] === undefined ? undefined : input.shift()
    }
    const feed = (piece: Uint8Array | undefined) => {
      input.push(piece)
      arrived()
    }
    const pid = this.running.size + 1
    const exited = new Promise<ExitStatus>((resolve) => {
      this.running.set(pid, resolve)
      Promise.resolve()
        .then(() => program({ args: process.args, stdio, read }))
        .then((exitCode) => resolve({ exitCode, wallTime: 1, syscalls: 2 }))
    })
    return { pid, exited, warnings, feed, endInput: () => feed(undefined) }
  }
  join(): Promise<never> {
    throw new ErrnoError('EOPNOTSUPP', undefined, 'nobody can join it')
  }
  leave() {}
  kill(_id: string, signal: string | number, pid?: number) {
    const status = { exitCode: 137, signal: String(signal), wallTime: 1, syscalls: 2 }
    for (const [each, end] of this.running) if (pid === undefined || each === pid) end(status)
  }
  async request() {
    return undefined
  }
  stats() {
    return { calls: { fd_read: 1 }, bytesRead: 2, bytesWritten: 0, kernelTime: 0.5 }
  }
  async delete(id: string, force: boolean) {
    if (!this.ids.delete(id) && !force) throw new Error(`there is no container "${id}"`)
  }
  state(id: string) {
    if (!this.ids.has(id)) throw new Error(`there is no container "${id}"`)
    return { ociVersion: '1.2.0', id, status: 'created' as const, bundle: '/', annotations: {} }
  }
  containers() {
    return [...this.ids.keys()].map((id) => this.state(id))
  }
  mounts() {
    return [{ id: 1, parent: 0, destination: '/', type: 'tmpfs', source: 'none', options: ['rw'] }]
  }
  files() {
    return this.#files
  }
  async shutdown() {
    await this.onShutdown()
    this.stopped = true
  }
}

let runtime: FakeRuntime
const sandboxes: Sandbox[] = []

afterEach(async () => {
  for (const sandbox of sandboxes.splice(0)) await sandbox.shutdown({ force: true })
})

const bootOn =
  (platform: PlatformName): Boot =>
  () => {
    runtime = new FakeRuntime()
    return { runtime, report: { platform, reason: 'as the test wants it', available: [platform] } }
  }

async function booted(platform: PlatformName = 'worker') {
  const { port1, port2 } = new MessageChannel()
  serveKernel(bootOn(platform), port2)
  const sandbox = await Sandbox.boot({ worker: () => port1 })
  sandboxes.push(sandbox)
  return { sandbox, kernelPort: port2, container: await sandbox.create('one', {}) }
}

/** A Worker whose thread is this one. */
class FakeWorker extends EventTarget {
  static last: FakeWorker | undefined
  terminated = false
  readonly url: URL | undefined
  port: MessagePort | undefined
  serve: ((port: MessagePort) => void) | undefined

  constructor(
    url?: URL,
    serve: ((port: MessagePort) => void) | undefined = (port) => serveKernel(bootOn('jspi'), port),
  ) {
    super()
    FakeWorker.last = this
    this.url = url
    this.serve = typeof serve === 'function' ? (serve as () => void) : (port) => serveKernel(bootOn('jspi'), port)
  }
  postMessage(_message: unknown, ports: MessagePort[]) {
    this.port = ports[0]
    this.serve?.(ports[0]!)
  }
  terminate() {
    this.terminated = true
    this.port?.close()
  }
  fail(message = '') {
    this.dispatchEvent(Object.assign(new Event('error'), { message }))
  }
}

const asWorker = (worker: FakeWorker) => worker as unknown as Worker
const gone = (why: string) => ({ code: 'ERR_KERNEL_GONE', message: `the sandbox's kernel is gone: ${why}` })

describe('booting', () => {
  test('the sandbox says where programs run and why', async () => {
    const { sandbox } = await booted('jspi')
    expect([sandbox.platform, sandbox.reason, sandbox.available]).toEqual(['jspi', 'as the test wants it', ['jspi']])
  })

  test('the platform asked for reaches the kernel, and its refusal the page', async () => {
    const { port1, port2 } = new MessageChannel()
    const boot = vi.fn<Boot>(() => {
      throw new Error('platform "worker" can\'t be used: the page is not cross-origin isolated')
    })
    serveKernel(boot, port2)
    await expect(Sandbox.boot({ worker: () => port1, platform: 'worker' })).rejects.toThrow(
      'platform "worker" can\'t be used: the page is not cross-origin isolated',
    )
    expect(boot).toHaveBeenCalledWith({ platform: 'worker', guests: expect.any(MessagePort) })
  })

  test('without options the Worker is the module beside the package', async () => {
    vi.stubGlobal('Worker', FakeWorker)
    onTestFinished(() => void vi.unstubAllGlobals())
    sandboxes.push(await Sandbox.boot())
    expect(FakeWorker.last!.url!.pathname).toMatch(/\/kernel\.worker\.js$/)
  })

  test('a Worker that does not load is an error with its address', async () => {
    vi.stubGlobal(
      'Worker',
      class extends FakeWorker {
        constructor(url: URL) {
          super(url, () => {})
          setTimeout(() => this.fail())
        }
      },
    )
    onTestFinished(() => void vi.unstubAllGlobals())
    await expect(Sandbox.boot({ worker: 'https://example.org/no.js' })).rejects.toMatchObject(
      gone('its Worker could not be loaded from https://example.org/no.js'),
    )
    expect(FakeWorker.last!.terminated).toBe(true)
  })

  test('what is no Worker is refused', async () => {
    await expect(Sandbox.boot({ worker: 5 as never })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  test('trees are handed over by name, at boot or later', async () => {
    const { port1, port2 } = new MessageChannel()
    serveKernel(bootOn('worker'), port2)
    const sandbox = await Sandbox.boot({ worker: () => port1, bundle: { src: { 'main.c': 'int x;' } } })
    sandboxes.push(sandbox)
    await sandbox.provide('other', { entries: [{ path: 'dir', kind: 'directory' }] })
    expect([...runtime.provided.keys()]).toEqual(['src', 'other'])
    expect(runtime.provided.get('src')!.entries).toMatchObject([{ path: 'main.c', kind: 'file' }])
    expect(runtime.provided.get('other')!.entries).toEqual([{ path: 'dir', kind: 'directory' }])
  })
})

describe('containers', () => {
  test('the warnings of a spec reach the page', async () => {
    const { sandbox } = await booted()
    const container = await sandbox.create('two', { nonsense: 1 } as never)
    expect(container.warnings).toEqual([expect.stringContaining('nonsense')])
  })

  test('the warnings of a process reach the page', async () => {
    const { container } = await booted()
    const typo = { args: ['echo'], limits: { walltime: 5 } }
    expect((await container.exec(typo as never)).warnings).toEqual([
      expect.stringContaining('limits.walltime: unknown field, ignored'),
    ])
    expect((await container.exec({ args: ['echo'] })).warnings).toEqual([])
  })

  test('an invalid spec is one error that lists every fault', async () => {
    const { sandbox } = await booted()
    const error = await sandbox
      .create('two', { mounts: [{ destination: 'a' }, { destination: 5 }] } as never)
      .catch((e) => e)
    expect(error).toBeInstanceOf(Error)
    expect([error.name, error.code, error.faults.map(({ path }: { path: string }) => path)]).toEqual([
      'SpecError',
      'EINVAL',
      ['mounts[0].destination', 'mounts[1].destination'],
    ])
  })

  test('a spec that cannot be sent is an error', async () => {
    const { sandbox } = await booted()
    await expect(sandbox.create('two', { annotations: () => {} } as never)).rejects.toThrow('could not be cloned')
  })

  test('state, mounts and delete are those of the container', async () => {
    const { sandbox, container } = await booted()
    expect((await container.state()).id).toBe('one')
    expect(await sandbox.containers()).toHaveLength(1)
    expect((await container.mounts())[0]!.destination).toBe('/')
    await container.delete()
    await expect(container.state()).rejects.toThrow('there is no container "one"')
    await container.delete({ force: true })
    await expect(container.delete()).rejects.toThrow('there is no container "one"')
  })

  test('files are read and written over the port, errors as those of node', async () => {
    const { container } = await booted()
    const bytes = new Uint8Array(3_000_000).map((_, i) => i)
    await container.fs.writeFile('/big', bytes)
    expect(bytes.length).toBe(3_000_000)
    expect(Buffer.compare(await container.fs.readFile('/big'), bytes)).toBe(0)
    const handle = await container.fs.open('/big')
    expect((await handle.read(new Uint8Array(2_500_000), { position: 1 })).bytesRead).toBe(2_500_000)
    await handle.close()
    const error = await container.fs.rename('/no', '/x').catch((e) => e)
    expect(error).toBeInstanceOf(Error)
    expect({ ...error, message: error.message, text: String(error) }).toEqual({
      code: 'ENOENT',
      errno: -2,
      syscall: 'rename',
      path: '/no',
      dest: '/x',
      message: "ENOENT: no such file or directory, rename '/no' -> '/x'",
      text: "Error: ENOENT: no such file or directory, rename '/no' -> '/x'",
    })
  })
})

describe('processes', () => {
  test('a program runs, its output is text, its end has a status', async () => {
    const { container } = await booted()
    const process = await container.exec({ args: ['echo', 'hello', 'world'] })
    expect(process.pid).toBe(1)
    expect(await process.text()).toBe('hello world\n')
    expect(await process.wait()).toEqual({ exitCode: 0, wallTime: 1, syscalls: 2 })
  })

  test('start runs the process of the spec, or none', async () => {
    const { sandbox, container } = await booted()
    expect(await container.start()).toBeUndefined()
    const other = await sandbox.create('two', { process: { args: ['echo', 'init'] } })
    expect(await (await other.start())!.text()).toBe('init\n')
  })

  test('stdout and stderr are kept apart', async () => {
    const { container } = await booted()
    const process = await container.exec({ args: ['both'] })
    expect(await new Response(process.stderr).text()).toBe('bad\n')
    expect(await process.text()).toBe('good\n')
    expect((await process.wait()).exitCode).toBe(3)
  })

  test('wait resolves though nobody reads, and what was written is there afterwards', async () => {
    const { container } = await booted()
    const process = await container.exec({ args: ['both'] })
    await process.wait()
    expect(await process.text()).toBe('good\n')
  })

  test('a reader that leaves does not stop the process', async () => {
    const { container } = await booted()
    const process = await container.exec({ args: ['cat'] })
    await process.stdout.cancel()
    const writer = process.stdin.getWriter()
    await writer.write('unheard')
    await writer.close()
    expect((await process.wait()).exitCode).toBe(0)
  })

  const inputs = (): [string, NonNullable<Parameters<Container['exec']>[1]>['stdin']][] => [
    ['a text', 'häß'],
    ['bytes', utf8('häß')],
    ['a Blob', new Blob(['hä', 'ß'])],
    ['a stream', new Blob(['häß']).stream()],
    [
      'a stream of texts',
      new ReadableStream<string>({
        start(controller) {
          for (const letter of 'häß') controller.enqueue(letter)
          controller.close()
        },
      }),
    ],
  ]
  test.each(
    (['worker', 'inline'] as const).flatMap((platform) =>
      inputs().map(([name, stdin]) => [name, platform, stdin] as const),
    ),
  )('stdin may be %s, on platform %s', async (_, platform, stdin) => {
    const { container } = await booted(platform)
    const process = await container.exec({ args: ['cat'] }, { stdin: stdin! })
    expect(await process.text()).toBe('häß')
  })

  test('stdin that is neither is refused before anything runs', async () => {
    const { container } = await booted()
    await expect(container.exec({ args: ['cat'] }, { stdin: 5 as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
    expect(runtime.running.size).toBe(0)
  })

  test('a stream that somebody reads already is refused as stdin', async () => {
    for (const platform of ['worker', 'inline'] as const) {
      const { container } = await booted(platform)
      const stdin = new Blob(['x']).stream()
      stdin.getReader()
      await expect(container.exec({ args: ['cat'] }, { stdin })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.stringContaining('options.stdin'),
      })
      expect(runtime.running.size).toBe(0)
    }
  })

  test('a stream that fails as stdin, or gives what cannot be sent, is at its end', async () => {
    const { container } = await booted()
    const stream = (fail: (controller: ReadableStreamDefaultController) => void) =>
      new ReadableStream({
        start: (controller) => controller.enqueue('first'),
        pull: fail,
      })
    const fails: Parameters<typeof stream>[0][] = [
      (controller) => controller.error(new Error('it broke')),
      (controller) => controller.enqueue(5),
    ]
    for (const fail of fails) {
      const process = await container.exec({ args: ['cat'] }, { stdin: stream(fail) })
      expect((await process.wait()).exitCode).toBe(0)
    }
    const process = await container.exec({ args: ['cat'] })
    await expect(process.stdin.getWriter().write(5 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect((await process.wait()).exitCode).toBe(0)
  })

  test('a stream that is stdin is cancelled when the process has ended', async () => {
    const { container } = await booted()
    const cancelled = vi.fn()
    const stdin = new ReadableStream<string>({ start: (controller) => controller.enqueue('unread'), cancel: cancelled })
    const process = await container.exec({ args: ['echo'] }, { stdin })
    await process.wait()
    await vi.waitFor(() => expect(cancelled).toHaveBeenCalledWith(expect.objectContaining({ code: 'EPIPE' })))
  })

  test('process.stdin feeds a process as it runs, on a platform that can wait', async () => {
    const { container } = await booted()
    const process = await container.exec({ args: ['cat'] })
    const writer = process.stdin.getWriter()
    const reader = process.stdout.getReader()
    await writer.write('first')
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('first')
    await writer.write(utf8('second'))
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('second')
    await writer.close()
    expect((await reader.read()).done).toBe(true)
    expect((await process.wait()).exitCode).toBe(0)
  })

  test('on inline a process without input finds the end at once', async () => {
    const { container } = await booted('inline')
    const process = await container.exec({ args: ['cat'] })
    expect(await process.text()).toBe('')
    await expect(process.stdin.getWriter().write('late')).rejects.toMatchObject({ code: 'EPIPE' })
  })

  test('writing to a process that has ended is EPIPE', async () => {
    const { container } = await booted()
    const process = await container.exec({ args: ['echo'] })
    await process.wait()
    await expect(process.stdin.getWriter().write('late')).rejects.toThrow('EPIPE: broken pipe, write')
  })

  test('an end of a pipe that the page writes to is closed by an abort while it waits, and by a write that fails', async () => {
    const { sandbox } = await booted()
    const pipe = await sandbox.pipe()
    const writer = pipe.writable.getWriter()
    const waiting = expect(writer.write(new Uint8Array(65_537))).rejects.toMatchObject({ code: 'ECANCELED' })
    await sandbox.containers()
    await writer.abort()
    await waiting
    const reader = pipe.readable.getReader()
    expect((await reader.read()).value).toHaveLength(65_536)
    expect((await reader.read()).done).toBe(true)

    const other = await sandbox.pipe()
    const wrong = other.writable.getWriter().write(5 as never)
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect((await other.readable.getReader().read()).done).toBe(true)
  })

  test('a pipe of another sandbox is refused, and none of this one stands for it', async () => {
    const [{ sandbox }, { sandbox: other, container }] = [await booted(), await booted()]
    const [pipe] = [await sandbox.pipe(), await other.pipe()]
    for (const stdio of [[pipe], [null, pipe.writeEnd]])
      await expect(container.exec({ args: ['cat'] }, { stdio })).rejects.toMatchObject({
        message: expect.stringContaining('must be a pipe of this sandbox'),
      })
    expect(runtime.running.size).toBe(0)
  })

  test('what is no argument of a library is refused before it gets there', async () => {
    const { container } = await booted()
    const library = await container.exec({ args: ['forever'] })
    const request = vi.spyOn(runtime, 'request')
    const wrong = [
      [library.call(5 as never), '"name"'],
      [library.call('add', 1n, '2' as never), '"args[1]"'],
      [library.call('add', null as never), '"args[0]"'],
      [library.readMemory(8n as never, 4), '"address"'],
      [library.readMemory(8, '4' as never), '"length"'],
      [library.readMemory(1.5, 4), '"address"'],
      [library.writeMemory('8' as never, 'x'), '"address"'],
      [library.writeMemory(8, 4 as never), '"data"'],
    ] as const
    for (const [call, name] of wrong)
      await expect(call).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_/),
        message: expect.stringContaining(name),
      })
    expect(request).not.toHaveBeenCalled()
    await library.call('add', 1n, 2)
    expect(request).toHaveBeenCalledWith('one', library.pid, { call: 'add', args: [1n, 2] })
  })

  test('a wish for a trace that is none is refused before anything runs', async () => {
    const { container } = await booted()
    for (const strace of [5, 'yes', { path: 5 }, { path: 'a\0b' }, { calls: 'fd_read' }, { calls: [5] }])
      await expect(container.exec({ args: ['echo'] }, { strace: strace as never })).rejects.toMatchObject({
        message: expect.stringContaining('options.strace'),
      })
    expect(runtime.running.size).toBe(0)
  })

  test('kill ends one process, or all of the container', async () => {
    const { container } = await booted()
    const one = await container.exec({ args: ['forever'] })
    const two = await container.exec({ args: ['forever'] })
    await two.kill('SIGKILL')
    expect((await two.wait()).signal).toBe('SIGKILL')
    await container.kill()
    expect((await one.wait()).signal).toBe('SIGTERM')
  })

  test('a program that is not there is an error', async () => {
    const { container } = await booted()
    await expect(container.exec({ args: ['nothing'] })).rejects.toMatchObject({ code: 'ENOENT', path: 'nothing' })
    await expect(container.exec({ args: [] })).rejects.toMatchObject({ name: 'SpecError' })
  })

  test('progress is heard before the process runs', async () => {
    const { container } = await booted()
    const heard: unknown[] = []
    const process = await container.exec({ args: ['echo'] }, { onProgress: (progress) => heard.push(progress) })
    await process.wait()
    expect(heard).toEqual([{ stage: 'compile', path: 'echo' }])
  })

  test('output arrives complete and in order, however it is cut, on both streams', async () => {
    const { container } = await booted()
    const pieces = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 300_000 }), fc.boolean()), {
      maxLength: 40,
    })
    await fc.assert(
      fc.asyncProperty(pieces, async (writes) => {
        const written = { stdout: [] as number[], stderr: [] as number[] }
        let next = 0
        programs.random = async ({ stdio }) => {
          const memory = new Uint8Array(300_000)
          for (const [toStderr, length, pause] of writes) {
            const view = memory.subarray(0, length).fill(next)
            const name = toStderr ? 'stderr' : 'stdout'
            written[name].push(...(length > 0 ? [next, length] : []))
            stdio[name](view)
            view.fill(0xee) // only valid during the call
            next = (next + 1) % 200
            if (pause) await null
          }
          return 0
        }
        const process = await container.exec({ args: ['random'] })
        const runs = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
          const bytes = new Uint8Array(await new Response(stream).arrayBuffer())
          const found: number[] = []
          for (let start = 0, end = 0; start < bytes.length; start = end) {
            while (end < bytes.length && bytes[end] === bytes[start]) end++
            found.push(bytes[start]!, end - start)
          }
          return found
        }
        expect({ stdout: await runs(process.stdout), stderr: await runs(process.stderr) }).toEqual(written)
      }),
      { numRuns: 30 },
    )
  })
})

describe('the end of a kernel', () => {
  async function onWorker() {
    const worker = new FakeWorker()
    const sandbox = await Sandbox.boot({ worker: asWorker(worker) })
    const container = await sandbox.create('one')
    const process = await container.exec({ args: ['forever'] })
    return { worker, sandbox, container, process }
  }

  test('a Worker that fails rejects what waits for it, and all that comes later', async () => {
    const { worker, sandbox, container, process } = await onWorker()
    runtime.onShutdown = () => new Promise(() => {})
    const pending = [container.state(), process.wait(), process.text(), container.fs.readFile('/x')]
    worker.fail('out of memory')
    for (const each of pending) await expect(each).rejects.toMatchObject(gone('its Worker failed: out of memory'))
    await expect(container.state()).rejects.toMatchObject(gone('its Worker failed: out of memory'))
    await expect(container.exec({ args: ['echo'] })).rejects.toMatchObject({ code: 'ERR_KERNEL_GONE' })
    await expect(process.stdin.getWriter().write('x')).rejects.toMatchObject({ code: 'EPIPE' })
    expect(worker.terminated).toBe(true)
    await sandbox.shutdown()
  })

  test('a message that cannot be read ends it, too', async () => {
    const { worker, process } = await onWorker()
    worker.dispatchEvent(new Event('messageerror'))
    await expect(process.wait()).rejects.toMatchObject(gone('a message to it could not be read'))
  })

  test('a port that closes ends it, where there is no Worker', async () => {
    const { container, kernelPort } = await booted()
    const process = await container.exec({ args: ['forever'] })
    kernelPort.close()
    await expect(process.wait()).rejects.toMatchObject(gone('its port was closed'))
  })

  test('shutdown lets the kernel finish, then ends its Worker; later calls are rejected', async () => {
    const { worker, sandbox, container, process } = await onWorker()
    await sandbox.shutdown()
    expect([runtime.stopped, worker.terminated]).toEqual([true, true])
    await expect(process.wait()).rejects.toMatchObject(gone('the sandbox was shut down'))
    await expect(container.state()).rejects.toMatchObject(gone('the sandbox was shut down'))
    await sandbox.shutdown()
  })

  test('shutdown tells what the kernel could not store, and ends it all the same', async () => {
    const { worker, sandbox } = await onWorker()
    runtime.onShutdown = async () => {
      throw new ErrnoError('ENOSPC')
    }
    await expect(sandbox.shutdown()).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(worker.terminated).toBe(true)
  })

  test('a forced shutdown does not wait for a kernel that never answers', async () => {
    const { worker, sandbox } = await onWorker()
    runtime.onShutdown = () => new Promise(() => {})
    const patient = sandbox.shutdown()
    await sandbox.shutdown({ force: true })
    await patient
    expect(worker.terminated).toBe(true)
  })

  test('await using shuts a sandbox down', async () => {
    const { worker, sandbox } = await onWorker()
    await sandbox[Symbol.asyncDispose]()
    expect(worker.terminated).toBe(true)
  })

  test('nothing is called before boot', async () => {
    const { port1, port2 } = new MessageChannel()
    serveKernel(bootOn('worker'), port2)
    const { Kernel } = await import('./kernel.ts')
    const kernel = new Kernel(() => port1)
    await expect(kernel.call('containers', [])).rejects.toThrow('the sandbox is not booted')
    kernel.end('the test is over')
  })
})
