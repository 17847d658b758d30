/**
 * Programs in threads of the page's own, on the files of a container: browser_wasi_shim as it is, with our descriptors in its list, and
 * our WASI in its place. The kernel, the threads and the programs are real.
 */
import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import type { Process, ProcessStdio } from '../kernel/process.ts'
import { Serving } from '../kernel/serving.ts'
import { createClock } from './clock.ts'
import { HostDoorbell } from './doorbell.ts'
import { createWorkerRunner } from './guest-workers.ts'
import { createMacrotasks } from './macrotask.ts'
import { createTimer } from './timer.ts'
import { asShimFds, WASI } from './wasi-library.ts'
import { bootWorld, treeOf, type World } from './world.ts'

const shim = import.meta.resolve('@bjorn3/browser_wasi_shim')
const clock = createClock()
const macrotasks = createMacrotasks()
let library: string
let world: World
let said: string
const threads: Worker[] = []

beforeAll(async () => {
  const lib = { entry: new URL('./wasi-library.ts', import.meta.url).pathname, formats: ['cjs' as const] }
  const output = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib } })
  library = (output as { output: { code: string }[] }[])[0]!.output[0]!.code
})
beforeEach(async () => {
  const serving = new Serving({
    ...{ doorbell: new HostDoorbell(), clock, timer: createTimer(clock), now: () => performance.now() },
    macrotask: () => macrotasks.next(),
  })
  const noThread = () => {
    throw new Error('the kernel starts no threads here')
  }
  world = bootWorld({ runner: createWorkerRunner(serving, noThread) })
  world.runtime.provide('given', treeOf({ 'hello.txt': 'hello\n', 'more/file.txt': 'more\n' }))
  await world.runtime.create('c', {
    mounts: [{ destination: '/given', type: 'bind', source: 'given', options: ['ro'] }],
  })
  await world.start('c')
})
afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.terminate()))
  await world.close()
})
afterAll(() => macrotasks.close())

function join(process: object = {}, redirected: ProcessStdio['redirected'] = []): Promise<Process> {
  said = ''
  const stdout = (bytes: Uint8Array) => {
    said += new TextDecoder().decode(bytes)
  }
  const stdin = { initial: new TextEncoder().encode('typed\n'), more: false }
  return world.runtime.join(
    'c',
    { args: ['mine'], ...process },
    { stdin, redirected, stdout, stderr: stdout, progress() {} },
  )
}

/** Runs a script in a thread of its own that has the connection, the shim and our library; gives what it returns. */
function inThread(process: Process, script: string, module?: Uint8Array): Promise<unknown> {
  const workerData = { connection: process.joined!.connection, module, shim }
  const code = `const { parentPort, workerData } = require('node:worker_threads')
    ${library}
    const { asShimFds, WASI, KernelFd } = exports
    const { connection, module } = workerData
    const start = async (wasi) => {
      const imports = { wasi_snapshot_preview1: wasi.wasiImport }
      return wasi.start(await WebAssembly.instantiate(new WebAssembly.Module(module), imports))
    }
    import(workerData.shim).then(async (shim) => parentPort.postMessage(await (async () => { ${script} })()))`
  const thread = new Worker(code, { eval: true, workerData })
  threads.push(thread)
  return new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
}

const guest = async (name: string) => readFileSync(await buildGuest(name))

test("browser_wasi_shim's WASI runs a program on the container's files, which is a process of it", async () => {
  const process = await join({ cwd: '/', env: ['A=b'] })
  const script = `
    const fds = asShimFds(connection)
    const wasi = new shim.WASI(['cat', '/given/hello.txt', '/given/no', '/given/more/file.txt'], connection.env, fds, { debug: false })
    return start(wasi)`
  expect(await inThread(process, script, await guest('cat.c'))).toBe(1)
  expect(said).toBe('hello\ncat: /given/no: No such file or directory\nmore\n')
  const seen = await world.runtime.files('c').readFile(`/proc/${process.pid}/cmdline`)
  expect(new TextDecoder().decode(seen)).toBe('mine\0')
  expect(process.joined!.connection).toMatchObject({ args: ['mine'], env: ['A=b'], descriptors: [0, 1, 2, 3] })
  world.runtime.leave('c', process.pid, 1)
  expect(await process.exited).toMatchObject({ exitCode: 1 })
})

test('our WASI in its place has all of preview1, and tells each call if it is to', async () => {
  const process = await join({ cwd: '/' })
  const script = `
    const lines = []
    console.log = (line) => lines.push(line)
    const code = await start(new WASI(['cat'], [], asShimFds(connection), { debug: true }))
    return { code, lines: lines.filter((line) => line.startsWith('fd_read')) }`
  expect(await inThread(process, script, await guest('cat.c'))).toEqual({
    code: 0,
    lines: [
      expect.stringMatching(/^fd_read\(0<.*, "typed\\n", 65536\) = 6 /),
      expect.stringMatching(/^fd_read\(0<.*, "", 65536\) = 0 /),
    ],
  })
  expect(said).toBe('typed\n')
})

test('with our WASI a program sleeps, which the shim cannot', async () => {
  const process = await join({ cwd: '/' })
  const before = clock.monotonic()
  const script = 'return start(new WASI(["process", "sleep", "30"], [], asShimFds(connection)))'
  expect(await inThread(process, script, await guest('process.c'))).toBe(0)
  expect(said).toBe('slept\n')
  expect(clock.monotonic() - before).toBeGreaterThanOrEqual(30_000_000n)
})

test('a list may hold descriptors of the shim beside ours, if it is the shim that takes it', async () => {
  const process = await join({ cwd: '/' })
  const script = `
    const fds = asShimFds(connection)
    const own = new shim.PreopenDirectory('/own', new Map([['a', new shim.File(new TextEncoder().encode('in memory\\n'))]]))
    let refused
    try { new WASI([], [], [...fds, own]) } catch (error) { refused = String(error) }
    const code = await start(new shim.WASI(['cat', '/own/a', '/given/hello.txt'], [], [...fds, own], { debug: false }))
    return { code, refused }`
  expect(await inThread(process, script, await guest('cat.c'))).toEqual({
    code: 0,
    refused: expect.stringMatching(/^TypeError: fds\[4\] is not the descriptor of that number that asShimFds gave/),
  })
  expect(said).toBe('in memory\nhello\n')
})

test('what it makes is there for others, and what it was given beside its directories it has at its number', async () => {
  const process = await join({ cwd: '/' }, [
    undefined,
    undefined,
    undefined,
    undefined,
    { path: '/out', flags: 0o101, mode: 0o644 },
  ])
  const script = `
    const fds = asShimFds(connection)
    const { ret, fd_obj } = fds[3].path_open(0, 'made', 1, 0x40n, 0n, 0)
    fd_obj.fd_write(new TextEncoder().encode('made'))
    fds[4].fd_write(new TextEncoder().encode('by number'))
    return [ret, fds.length, fds[0].fd, fds[3].fd_prestat_get().prestat.inner.pr_name.length]`
  expect(await inThread(process, script)).toEqual([0, 5, 0, 1])
  const read = async (path: string) => new TextDecoder().decode(await world.runtime.files('c').readFile(path))
  expect([await read('/made'), await read('/out')]).toEqual(['made', 'by number'])
})

test('a kill ends it, wherever its thread is; nothing that the thread still does counts', async () => {
  const process = await join({ cwd: '/', limits: { memoryPages: 5 } })
  expect(process.warnings).toEqual([expect.stringMatching(/^limits.memoryPages: has no effect/)])
  const script = `
    const fds = asShimFds(connection)
    parentPort.postMessage('runs')
    for (let n = 0; ; n++) fds[3].path_create_directory('d' + n)`
  expect(await inThread(process, script)).toBe('runs')
  world.runtime.kill('c', 'SIGTERM', process.pid)
  expect(await process.exited).toMatchObject({ exitCode: 143, signal: 'SIGTERM' })
  const files = world.runtime.files('c')
  const count = (await files.readdir('/', false)).length
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect((await files.readdir('/', false)).length).toBe(count)
  await expect(process.request({ call: 'f', args: [] })).rejects.toMatchObject({ code: 'ESRCH' })
})

test('what makes no sense is refused, with the reason', async () => {
  const { runtime } = world
  const process = await join({ cwd: '/' })
  for (const code of [-1, 256, 0.5, '0'])
    expect(() => runtime.leave('c', process.pid, code as number)).toThrow(/exit code/)
  expect(() => runtime.leave('c', 999, 0)).toThrow(/ESRCH/)
  runtime.leave('c', process.pid, 0)
  expect(await process.exited).toMatchObject({ exitCode: 0 })
  expect(() => runtime.leave('c', process.pid, 0)).toThrow(/ESRCH/)
  await expect(join({ args: [] })).rejects.toThrow()
  await expect(join({ cwd: '/given/hello.txt' })).rejects.toMatchObject({ code: 'ENOTDIR' })
  for (const none of [undefined, null, {}, { channel: new ArrayBuffer(8) }])
    expect(() => asShimFds(none as never)).toThrow(/takes the connection of a process/)
  expect(() => new WASI([], [], [])).toThrow(/fds\[0\]/)

  const inline = bootWorld()
  await inline.runtime.create('c', {})
  await inline.start('c')
  const stdio = { stdin: { initial: new Uint8Array(), more: false }, stdout() {}, stderr() {}, progress() {} }
  await expect(inline.runtime.join('c', { args: ['x'] }, stdio)).rejects.toMatchObject({ code: 'EOPNOTSUPP' })
  await inline.close()
})
