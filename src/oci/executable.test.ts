/** How the program of a process is found: execvp(3), the rows of C18. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import type { ErrnoError } from '../abi/errno.ts'
import { bootWorld, type World as Kernel, treeOf } from '../host/world.ts'
import { inWorld, outcome, type World } from '../testing/host-world.ts'
import { findExecutable } from './executable.ts'
import { parseProcess, SpecError } from './spec.ts'

const WASM = '\0asm'

/** A world with a PATH of three directories; `find` gives the path that was found, or the error. */
function searching(check: (world: World, find: (name: string, path?: string, uid?: number) => unknown) => void): void {
  inWorld({}, (world) => {
    for (const dir of ['/a', '/b', '/c']) world.mkdir(dir)
    check(world, (name, path = '/a:/b:/c', uid = 0) => {
      const { task } = uid === 0 ? world : world.as(uid)
      try {
        return findExecutable(task, name, [`PATH=${path}`]).path
      } catch (error) {
        const { code, path: at, detail } = error as ErrnoError
        return `${code}: ${at}: ${detail}`
      }
    })
  })
}

test('C246 C247 C249 every directory of the first PATH is searched, in order; relative and empty ones are passed over', () => {
  searching((world, find) => {
    world.write('/b/tool', WASM, 0o755)
    world.write('/c/tool', WASM, 0o755)
    expect(find('tool')).toBe('/b/tool')
    expect(find('tool', '/c:/b')).toBe('/c/tool')
    expect(find('tool', '/a/')).toContain('ENOENT')
    expect(find('tool', '/b//')).toBe('/b/tool')
    world.task.chdir('/b')
    expect(find('tool', ':.:b')).toBe(
      'ENOENT: tool: not in its PATH :.:b, of which "", ".", "b" is not absolute and was passed over',
    )
    const twice = findExecutable(world.task, 'tool', ['HOME=/', 'PATH=/c', 'PATH=/b'])
    expect(twice.path).toBe('/c/tool')
  })
  const { warnings } = parseProcess({ args: ['a'], env: ['PATH=/bin::lib'] })
  expect(warnings).toEqual(['env: PATH has "", "lib", which is not absolute: no program is searched for there'])
})

test('C248 without a PATH nothing is searched, and the error says so', () => {
  inWorld({}, (world) => {
    world.write('/tool', WASM, 0o755)
    const search = () => findExecutable(world.task, 'tool', ['HOME=/'])
    expect(search).toThrow('no PATH in its environment')
  })
})

test('C250 C251 C254 what may not be run is passed over, be it a directory; if nothing else is found, EACCES tells of it', () => {
  searching((world, find) => {
    world.mkdir('/a/tool')
    world.write('/b/tool', 'text', 0o644)
    expect(find('tool', '/a')).toBe('EACCES: /a/tool: it is a directory')
    expect(find('tool')).toBe('EACCES: /b/tool: it is no program: it has no x bit')
    world.write('/c/tool', WASM, 0o711)
    expect(find('tool')).toBe('/c/tool')
    world.mknod('/a/pipe', 'fifo')
    expect(find('pipe')).toBe('EACCES: /a/pipe: it is not a regular file')
    world.chmod('/c/tool', 0o600)
    expect(find('tool', '/c', 1000)).toBe('EACCES: /c/tool: its permissions do not let this user run it')
    world.mkdir('/shut', 0o700)
    world.write('/shut/other', WASM, 0o755)
    expect(find('other', '/a:/shut:/b', 1000)).toContain('EACCES')
    expect(find('nothing', '/a:/b', 1000)).toContain('ENOENT')
    // A path of which a part is no directory is passed over, too.
    world.write('/file')
    expect(find('tool', '/file:/c')).toBe('/c/tool')
  })
})

test('C252 C253 C255 links are followed, those that lead nowhere passed over; the path found is the one in PATH; ELOOP ends the search', () => {
  searching((world, find) => {
    const { task } = world
    world.write('/c/real', WASM, 0o755)
    task.symlinkat('/gone', -100, '/a/tool')
    task.symlinkat('../c/real', -100, '/b/tool')
    expect(find('tool')).toBe('/b/tool')
    expect(findExecutable(task, 'tool', ['PATH=/a:/b']).file.dentry.inode).toBe(world.inode('/c/real'))
    task.symlinkat('round', -100, '/a/round')
    world.write('/b/round', WASM, 0o755)
    expect(find('round')).toContain('ELOOP')
  })
})

test('C243 C244 a name with a slash is no name for PATH: it is walked as it stands. Ours: what is wrong with it is told at once', () => {
  searching((world, find) => {
    world.mkdir('/b/sub')
    world.write('/b/sub/tool', WASM, 0o755)
    world.task.chdir('/b')
    expect(find('/b/sub/tool')).toBe('/b/sub/tool')
    expect(find('./sub/tool')).toBe('./sub/tool')
    expect(find('sub/../sub/tool')).toBe('sub/../sub/tool')
    expect(find('sub/tool', '/a')).toBe('sub/tool')
    expect(outcome(() => findExecutable(world.task, '/b/none', []))).toBe('ENOENT')
    expect(outcome(() => findExecutable(world.task, './sub', []))).toBe('EACCES')
  })
})

test('C241 C242 args[0] names the program, and a process without arguments is a faulty one', () => {
  expect(() => parseProcess({ args: [] })).toThrow(SpecError)
  expect(() => parseProcess({})).toThrow('args: is required')
  inWorld({}, (world) => {
    expect(() => findExecutable(world.task, '', ['PATH=/'])).toThrow('the name of the program is empty')
  })
})

let kernel: Kernel

beforeEach(() => {
  kernel = bootWorld()
})

afterEach(() => kernel.close())

test('C007 C256 C257 the search is the last thing done, as the user of the process, in its root: what a mount holds is found; a module runs without an x bit', async () => {
  const { runtime } = kernel
  const hello = new Uint8Array(readFileSync(await buildGuest('hello.c')))
  runtime.provide('tools', treeOf({ 'bin/hello': hello }))
  const process = { args: ['hello'], env: ['PATH=/opt/bin'], user: { uid: 1000, gid: 1000 } }
  const mounts = [{ destination: '/opt', type: 'bind', source: 'tools' }]
  await runtime.create('found', { mounts, process })
  await runtime.create('lost', { mounts: [{ destination: '/opt', type: 'tmpfs' }], process })
  await runtime.create('shut', { mounts: [{ destination: '/opt', type: 'tmpfs', options: ['mode=700'] }], process })
  await runtime.files('shut').mkdir('/opt/bin', 0o755, false)
  await runtime.files('shut').writeFile('/opt/bin/hello', hello, 0o1101, 0o755)
  const end = await ((await kernel.start('found')) as { exited: Promise<{ exitCode?: number }> }).exited
  expect(end.exitCode).toBe(0)
  expect(runtime.mounts('lost').some(({ destination }) => destination === '/opt')).toBe(true)
  await expect(kernel.start('lost')).rejects.toThrow('not in its PATH /opt/bin')
  await expect(kernel.start('shut')).rejects.toMatchObject({ code: 'EACCES' })
  expect((await runtime.files('found').stat('/opt/bin/hello')).mode & 0o777).toBe(0o644)
})

test('C224 each container searches its own mounts, from its own root', async () => {
  const { runtime } = kernel
  const hello = new Uint8Array(readFileSync(await buildGuest('hello.c')))
  runtime.provide('tools', treeOf({ 'bin/hello': hello }))
  runtime.provide('image', { entries: [{ path: 'bin', kind: 'symlink', target: '/opt/bin' }] })
  const root = { path: 'image', readonly: true }
  const process = { args: ['hello'], env: ['PATH=/bin'] }
  const bind = (destination: string) => [{ destination, type: 'bind', source: 'tools' }]
  const specs = { first: bind('/elsewhere'), child: bind('/opt'), last: [] }
  for (const [id, mounts] of Object.entries(specs)) await runtime.create(id, { root, mounts, process })
  const codes = await Promise.all(
    Object.keys(specs).map(async (id) => {
      const started = (await kernel.start(id).catch(({ code }) => ({ exited: { exitCode: code } }))) as {
        exited: Promise<{ exitCode: unknown }> | { exitCode: unknown }
      }
      return (await started.exited).exitCode
    }),
  )
  expect(codes).toEqual(['ENOENT', 0, 'ENOENT'])
})
