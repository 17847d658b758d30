/** Processes that are connected: with pipes, with files of their container, with each other. On platform inline. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { StdioEntry } from '../abi/wire.ts'
import { bootWorld, type Finished, treeOf, type World } from '../host/world.ts'

let world: World

beforeEach(async () => {
  world = bootWorld()
  world.runtime.provide('bin', treeOf({ p: new Uint8Array(readFileSync(await buildGuest('process.c'))) }))
  await world.runtime.create('a', { mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
  await world.start('a')
})

afterEach(async () => {
  await world.close()
  expect(world.runtime.vfs.superblocks.size).toBe(0)
  expect(world.runtime.vfs.anonymousFiles.users).toBe(0)
})

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

  test('that cannot be opened keeps the program from running, and leaves nothing open', async () => {
    expect(await failure(run(['copy'], [{ path: '/no', flags: O_RDONLY, mode: 0 }]))).toMatchObject({
      ...{ code: 'ENOENT', path: '/no' },
    })
    expect(await failure(run(['copy'], [undefined, to('/made'), to('/bin/p')]))).toMatchObject({ code: 'EROFS' })
    expect(await failure(run(['copy'], [{ pipe: 77, end: 'read' }]))).toMatchObject({ code: 'EPIPE' })
  })

  test.each([
    ['of a preopened directory', 3, 'ignore', /stdio\[3\] is taken: 3 to 3 .* use 4 or more/],
    ['beyond the limit', 9, 'ignore', /stdio\[9\] is beyond the 8 descriptors/],
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

  test('the page and a program meet at a FIFO', async () => {
    const files = world.runtime.files('a')
    await files.mkfifo('/fifo', 0o600)
    const reading = files.readFile('/fifo')
    await run(['lines', '2', 'through'], [undefined, { path: '/fifo', flags: O_WRONLY, mode: 0 }])
    expect(text(await reading)).toBe('through\nthrough\n')
  })
})
