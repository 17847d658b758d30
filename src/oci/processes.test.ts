/** Processes that are connected: with pipes, with files of their container, with each other. On platform inline. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { StdioEntry } from '../abi/wire.ts'
import { bootWorld, type Finished, treeOf, type World } from '../host/world.ts'
import { endClean } from './test-world.ts'

let world: World

beforeEach(async () => {
  world = bootWorld()
  world.runtime.provide('bin', treeOf({ p: new Uint8Array(readFileSync(await buildGuest('process.c'))) }))
  await world.runtime.create('a', { mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
  await world.start('a')
})

afterEach(() => endClean(world))

/** Runs the test program with these arguments and descriptors. */
const run = (args: readonly string[], stdio: readonly (StdioEntry | undefined)[] = [], more = {}): Promise<Finished> =>
  world.exec('a', { args: ['/bin/p', ...args], ...more }, '', stdio)

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )
const utf8 = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const read = async (path: string) => text(await world.runtime.files('a').readFile(path))

describe('a pipe', () => {
  test('carries what one process writes to the next, which finds the end when the last writer has gone', async () => {
    const pipe = world.runtime.pipes.make()
    expect(await run(['lines', '3', 'hello'], [undefined, { pipe, end: 'write' }])).toMatchObject({
      ...{ stdout: '', stderr: '', exitCode: 0 },
    })
    const reader = await run(['copy'], [{ pipe, end: 'read' }])
    expect(reader).toMatchObject({ stdout: 'hello\nhello\nhello\n', stderr: '18 bytes\n', exitCode: 0 })
    await expect(run(['copy'], [{ pipe, end: 'read' }])).rejects.toMatchObject({ code: 'EPIPE' })
  })

  test('gives EPIPE, and no signal, to who writes when nobody is left to read', async () => {
    const pipe = world.runtime.pipes.make()
    world.runtime.pipes.close(pipe, 'read')
    const writer = await run(['lines', '3', 'hello'], [undefined, { pipe, end: 'write' }])
    expect(writer).toMatchObject({ stderr: 'write: Broken pipe\n', exitCode: 1 })
    expect(writer.signal).toBeUndefined()
  })

  test('is EAGAIN on inline while it is empty and has a writer, and when it is full after 64 KiB', async () => {
    const pipe = world.runtime.pipes.make()
    const reader = await run(['copy'], [{ pipe, end: 'read' }])
    expect(reader).toMatchObject({ stderr: 'read: Resource temporarily unavailable\n', exitCode: 1 })
    const full = world.runtime.pipes.make()
    const writer = await run(['lines', '2000', 'x'.repeat(63)], [undefined, { pipe: full, end: 'write' }])
    expect(writer).toMatchObject({ stderr: 'write: Resource temporarily unavailable\n', exitCode: 1 })
    const { stdout } = await run(['copy'], [{ pipe: full, end: 'read' }])
    expect(stdout).toHaveLength(65_536)
    for (const end of ['read', 'write'] as const) world.runtime.pipes.close(pipe, end)
  })

  test('is read and written by the page, whose calls wait, and are cancelled when it closes its end', async () => {
    const { pipes } = world.runtime
    const pipe = pipes.make()
    const reading = pipes.read(pipe)
    await pipes.write(pipe, utf8('from the page'))
    expect(text(await reading)).toBe('from the page')
    const large = utf8('0123456789'.repeat(20_000))
    const writing = pipes.write(pipe, large)
    let got = ''
    while (got.length < large.length) got += text(await pipes.read(pipe))
    await writing
    expect(got).toBe(text(large))
    const waiting = failure(pipes.read(pipe))
    pipes.close(pipe, 'read')
    expect(await waiting).toMatchObject({ code: 'ECANCELED', message: expect.stringContaining('the pipe was closed') })
    expect(await failure(pipes.write(pipe, utf8('x')))).toMatchObject({ code: 'EPIPE' })
    pipes.close(pipe, 'write')
    expect(await failure(pipes.write(pipe, utf8('x')))).toMatchObject({ code: 'EPIPE' })
  })

  test('that the page uses stays open for it when a process gets the same end', async () => {
    const { pipes } = world.runtime
    const pipe = pipes.make()
    pipes.use(pipe, 'write')
    await run(['lines', '1', 'first'], [undefined, { pipe, end: 'write' }])
    await run(['lines', '1', 'second'], [undefined, { pipe, end: 'write' }])
    await pipes.write(pipe, utf8('third'))
    pipes.close(pipe, 'write')
    const { stdout } = await run(['copy'], [{ pipe, end: 'read' }])
    expect(stdout).toBe('first\nsecond\nthird')
  })

  test('stays whole when a process that was to have an end of it does not start', async () => {
    const pipe = world.runtime.pipes.make()
    const copy = [undefined, { pipe, end: 'write' }, { path: '/no/such/file', flags: O_WRONLY, mode: 0 }] as const
    expect(await failure(run(['lines', '1', 'x'], copy))).toMatchObject({ code: 'ENOENT' })
    const reader = await run(['copy'], [{ pipe, end: 'read' }])
    expect(reader.stderr).toBe('read: Resource temporarily unavailable\n')
    world.runtime.pipes.close(pipe, 'write')
  })

  test('may be a further descriptor, behind those of the preopened directories', async () => {
    const pipe = world.runtime.pipes.make()
    const stdio: (StdioEntry | undefined)[] = []
    stdio[7] = { pipe, end: 'write' }
    stdio[9] = 7
    expect(await run(['to', '9', 'said'], stdio)).toMatchObject({ exitCode: 0 })
    expect(text(await world.runtime.pipes.read(pipe))).toBe('said')
    expect(text(await world.runtime.pipes.read(pipe))).toBe('')
    world.runtime.pipes.close(pipe, 'read')
  })
})

describe('the directories of the root', () => {
  test("are a program's, with any working directory, also where its user may not read one: that is told when it goes there", async () => {
    const files = world.runtime.files('a')
    await files.mkdir('/private', 0o700, false)
    await files.mkdir('/passage', 0o711, false)
    await files.mkdir('/home', 0o711, false)
    for (const path of ['/private/f', '/passage/f', '/home/f'])
      await files.writeFile(path, utf8(`${path}\n`), O_CREAT | O_WRONLY, 0o644)
    world.runtime.provide('cat', treeOf({ cat: new Uint8Array(readFileSync(await buildGuest('cat.c'))) }))
    await world.runtime.mount('a', { destination: '/cat', type: 'bind', source: 'cat' })
    const args = ['/cat/cat', 'f', '/passage/f', '/private/f']
    expect(await world.exec('a', { args, cwd: '/home', user: { uid: 1000, gid: 1000 } })).toMatchObject({
      ...{ stdout: '/home/f\n/passage/f\n', stderr: 'cat: /private/f: Permission denied\n' },
    })
  })
})

describe('a descriptor', () => {
  const to = (path: string, flags = O_TRUNC): StdioEntry => ({ path, flags: O_WRONLY | O_CREAT | flags, mode: 0o666 })

  test('may be a file, as of <, > and >> of a shell, from the working directory on', async () => {
    await run(['lines', '2', 'one'], [undefined, to('out')], { cwd: '/work' })
    await run(['lines', '1', 'two'], [undefined, to('/work/out', O_APPEND)])
    expect(await read('/work/out')).toBe('one\none\ntwo\n')
    const { mode } = await world.runtime.files('a').stat('/work/out')
    expect(mode & 0o777).toBe(0o644)
    const end = await run(['copy'], [{ path: '/work/out', flags: O_RDONLY, mode: 0 }, to('/copy'), 1])
    expect(end).toMatchObject({ stdout: '', stderr: '', exitCode: 0 })
    expect(await read('/copy')).toBe('one\none\ntwo\n12 bytes\n')
  })

  test('may be nothing: an end to read, and a hole to write to', async () => {
    expect(await run(['copy'], ['ignore', undefined, 'ignore'])).toMatchObject({ stdout: '', stderr: '', exitCode: 0 })
    expect(await run(['lines', '10', 'unheard'], [undefined, 'ignore'])).toMatchObject({ stdout: '', exitCode: 0 })
  })

  test("may be the page's stream a second time", async () => {
    expect(await run(['copy'], ['ignore', undefined, 1])).toMatchObject({ stdout: '0 bytes\n', stderr: '' })
  })

  test('C223 that cannot be opened keeps the program from running, and leaves nothing open. C223 ours: of a process, when the mounts are there', async () => {
    const { vfs } = world.runtime
    const open = () => [...vfs.superblocks].map(({ opens, filesystem }) => `${filesystem.type} ${opens}`)
    const before = [open(), vfs.tasks.size]
    expect(await failure(run(['copy'], [{ path: '/no', flags: O_RDONLY, mode: 0 }]))).toMatchObject({
      ...{ code: 'ENOENT', path: '/no' },
    })
    expect(await failure(run(['copy'], [undefined, to('/made'), to('/bin/p')]))).toMatchObject({ code: 'EROFS' })
    expect(await failure(run(['copy'], [{ pipe: 77, end: 'read' }]))).toMatchObject({ code: 'EPIPE' })
    expect([open(), vfs.tasks.size]).toEqual(before)
  })

  test.each([
    ['of a preopened directory', 3, 'ignore', /stdio\[3\] is taken: 3 to 3 .* use 4 or more/],
    ['beyond the limit', 9, 'ignore', /stdio\[9\] is beyond the 8 descriptors/],
    ['what is no descriptor', 1, -1, /stdio\[1\] says -1, which must be a lower descriptor/],
    ['nor a number of one', 1, 0.5, /stdio\[1\] says 0.5, which must be a lower descriptor/],
    ['the same as itself', 1, 1, /stdio\[1\] says 1, which must be a lower descriptor/],
    ['the same as one that is not open', 6, 5, /stdio\[6\] says 5, which must be a lower descriptor that is open/],
  ] as const)('is refused with the reason: %s', async (_, fd, entry, message) => {
    const stdio: (StdioEntry | undefined)[] = []
    stdio[fd] = entry
    const error = await failure(run(['copy'], stdio, { limits: { openFiles: 8 } }))
    expect(error).toMatchObject({ code: 'EINVAL', message: expect.stringMatching(message) })
  })

  test('is there for each stream and directory, or the program does not run', async () => {
    const error = await failure(run(['copy'], [], { limits: { openFiles: 3 } }))
    expect(error).toMatchObject({ code: 'EMFILE', message: expect.stringContaining('starts with 4 descriptors') })
    const end = await run(['open', '/bin/p'], [], { limits: { openFiles: 6 } })
    expect(end.stdout).toBe('2, then No file descriptors available\n')
  })
})

describe('a library', () => {
  async function started(more: object = {}) {
    world.runtime.provide('lib', treeOf({ l: new Uint8Array(readFileSync(await buildGuest('library.c'))) }))
    const mounts = [
      { destination: '/lib', type: 'bind', source: 'lib' },
      { destination: '/work', type: 'tmpfs' },
    ]
    await world.runtime.create('lib', { mounts })
    await world.start('lib')
    let said = ''
    const stdio = {
      ...{ stdin: { initial: new Uint8Array(), more: false }, stderr() {}, progress() {} },
      stdout: (bytes: Uint8Array) => {
        said += text(bytes.slice())
      },
    }
    const process = await world.runtime.exec('lib', { args: ['/lib/l'], ...more }, stdio)
    const call = (name: string, ...args: (number | bigint)[]) => process.request({ call: name, args })
    return { process, call, said: () => said }
  }

  test('is initialized once, then does what it is asked, one after another, and its memory is seen', async () => {
    const { process, call, said } = await started()
    expect(await call('count')).toBe(101)
    expect([await call('count'), await call('add', 2n ** 40n, 1), await call('half', 3)]).toEqual([
      102,
      2n ** 40n + 1n,
      1.5,
    ])
    const at = (await call('room', 5)) as number
    await process.request({ at, bytes: utf8('hello') })
    expect(await call('upper', at, 4)).toBeUndefined()
    expect(text((await process.request({ at, length: 5 })) as Uint8Array)).toBe('HELLo')
    expect(await call('save', at, 5)).toBe(0)
    expect(text(await world.runtime.files('lib').readFile('/work/saved'))).toBe('HELLo')
    expect(await Promise.all([call('slow', 1), call('slow', 2)])).toEqual([1, 2])
    expect(said()).toBe('1 begins\n1 ends\n2 begins\n2 ends\n')
    process.kill(15)
    expect(await process.exited).toMatchObject({ exitCode: 143, signal: 'SIGTERM' })
    expect(await failure(call('count'))).toMatchObject({ code: 'ESRCH' })
  })

  test('refuses what cannot be done, and lives on', async () => {
    const { process, call } = await started()
    expect(await failure(call('nothing'))).toMatchObject({
      code: 'ENOENT',
      message: expect.stringMatching(/exports no function of this name; it exports .*count/),
    })
    expect(await failure(call('_initialize'))).toMatchObject({ code: 'ENOENT' })
    expect(await failure(call('add', 1, 2))).toMatchObject({ code: 'EINVAL' })
    for (const at of [-1, 2 ** 32]) {
      expect(await failure(process.request({ at, length: 1 }))).toMatchObject({ code: 'EFAULT' })
      expect(await failure(process.request({ at, bytes: utf8('x') }))).toMatchObject({ code: 'EFAULT' })
    }
    expect(await call('count')).toBe(101)
  })

  test.each([
    ['a trap', 'trap', [], { signal: 'SIGABRT', reason: expect.stringContaining('unreachable') }],
    ['an exit', 'leave', [7], { exitCode: 7 }],
  ] as const)('ends with %s, which the call and those behind it learn', async (_, name, args, end) => {
    const { process, call } = await started()
    const calls = [failure(call(name, ...args)), failure(call('count'))]
    for (const error of await Promise.all(calls))
      expect(error).toMatchObject({ code: 'ESRCH', message: expect.stringContaining('the process has ended') })
    expect(await process.exited).toMatchObject(end)
  })

  test('has a deadline like any process', async () => {
    const { process, call } = await started({ limits: { wallTime: 20 } })
    expect(await process.exited).toMatchObject({ signal: 'SIGKILL', reason: expect.stringContaining('20 ms') })
    expect(await failure(call('count'))).toMatchObject({ code: 'ESRCH', message: expect.stringContaining('20 ms') })
  })
})

describe('what waits in a container', () => {
  test("ends with its deletion: a page's call on a FIFO, and a program that is to get one", async () => {
    const files = world.runtime.files('a')
    await files.mkfifo('/fifo', 0o600)
    const reading = failure(files.readFile('/fifo'))
    const starting = failure(run(['copy'], [{ path: '/fifo', flags: O_RDONLY, mode: 0 }]))
    await new Promise((resolve) => setTimeout(resolve, 5))
    await world.runtime.delete('a', true)
    const cancelled = { code: 'ECANCELED', message: expect.stringContaining('the container was deleted') }
    expect(await reading).toMatchObject({ ...cancelled, syscall: 'open', path: '/fifo' })
    expect(await starting).toMatchObject(cancelled)
    expect(await failure(files.stat('/'))).toMatchObject(cancelled)
  })

  test('is not waited for when the container ends: a FIFO that is to be a descriptor, a program that is being fetched', async () => {
    await world.runtime.files('a').mkfifo('/fifo', 0o600)
    const onFifo = failure(run(['copy'], [{ path: '/fifo', flags: O_RDONLY, mode: 0 }]))
    await new Promise((resolve) => setTimeout(resolve, 5))
    vi.spyOn(world.runtime.programs, 'load').mockReturnValue(new Promise(() => {}))
    const onFetch = failure(run(['copy']))
    await new Promise((resolve) => setTimeout(resolve, 5))
    world.runtime.kill('a', 'SIGTERM')
    const cancelled = {
      code: 'ECANCELED',
      message: expect.stringContaining('the container ended before the program ran'),
    }
    expect(await Promise.all([onFifo, onFetch])).toMatchObject([cancelled, cancelled])
    expect(world.runtime.vfs.tasks.size).toBe(1)
  })

  test('the page and a program meet at a FIFO', async () => {
    const files = world.runtime.files('a')
    await files.mkfifo('/fifo', 0o600)
    const reading = files.readFile('/fifo')
    await run(['lines', '2', 'through'], [undefined, { path: '/fifo', flags: O_WRONLY, mode: 0 }])
    expect(text(await reading)).toBe('through\nthrough\n')
  })
})
