/** Terminals of processes, and the /dev/pts of their container. On platform inline, where a process runs when its test is over. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { AT_FDCWD, O_RDONLY, O_RDWR } from '../abi/linux.ts'
import type { StdioEntry } from '../abi/wire.ts'
import { bootWorld, treeOf, type World } from '../host/world.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import { makeDevice } from '../vfs/kinds.ts'
import { endClean } from './test-world.ts'

let world: World
beforeEach(async () => {
  world = bootWorld()
  const cat = new Uint8Array(readFileSync(await buildGuest('cat.c')))
  world.runtime.provide('app', treeOf({ 'bin/cat': cat, note: 'a note\n' }))
})
afterEach(() => endClean(world))

async function container(mounts: readonly object[] = []) {
  await world.runtime.create('c', { root: { path: 'app' }, mounts })
  await world.start('c')
}

/** A process that is there, and what its page gets to see. */
async function exec(spec: object = { terminal: true }, redirected: readonly (StdioEntry | undefined)[] = []) {
  const screen: string[] = []
  const process = await world.runtime.exec(
    'c',
    { args: ['/bin/cat', '/note'], ...spec },
    {
      stdin: { initial: new Uint8Array(), more: true },
      redirected,
      stdout: (bytes) => void screen.push(Buffer.from(bytes).toString()),
      stderr() {},
      progress() {},
    },
  )
  return { process, task: process.task, shown: () => screen.splice(0).join('') }
}

const names = async () => (await world.runtime.files('c').readdir('/dev/pts', false)).map(({ name }) => name)
const outcome = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return (error as { code: string }).code
  }
}
const say = (task: Task, path: string, text: string) => {
  const fd = task.openat(3, path, O_RDWR, 0)
  task.writev(fd, Buffer.from(text), [0, text.length])
  task.close(fd)
}

test('B168 B163 the terminal of a process has a name in /dev/pts; its streams, /dev/tty, /dev/console and /dev/stdin lead there', async () => {
  await container()
  const user = { uid: 7, gid: 8 }
  const { process, task, shown } = await exec({ terminal: true, user })
  const other = await exec()
  expect(await names()).toEqual(['ptmx', '0', '1'])
  expect(await world.runtime.files('c').stat('/dev/pts/0')).toMatchObject({ mode: 0o20600, uid: 7, gid: 8, ino: 3 })
  for (const fd of [0, 1, 2]) expect(task.readlinkat(3, `proc/self/fd/${fd}`)).toBe('/dev/pts/0')
  expect(task.fstat(1)).toEqual(task.fstatat(3, 'dev/pts/0', 0))
  expect(task.fstat(0).rdev).toBe(makeDevice(136, 0))
  expect(other.task.readlinkat(3, 'proc/self/fd/1')).toBe('/dev/pts/1')
  for (const path of ['dev/tty', 'dev/stdin', 'dev/fd/2', 'dev/pts/0']) say(task, path, `${path}\n`)
  expect(shown()).toBe('dev/tty\r\ndev/stdin\r\ndev/fd/2\r\ndev/pts/0\r\n')
  // As at a Linux shell, which says /dev/console is the superuser's.
  expect(outcome(() => say(task, 'dev/console', 'x'))).toBe('EACCES')
  say(other.task, 'dev/console', 'other')
  expect([shown(), other.shown()]).toEqual(['', 'other'])
  expect(outcome(() => task.openat(3, 'dev/pts/1', O_RDONLY, 0))).toBe('EACCES')
  await Promise.all([process.exited, other.process.exited])
  expect(other.shown()).toBe('a note\r\n')
  expect(await names()).toEqual(['ptmx'])
})

test('a terminal whose page hangs up is gone at once', async () => {
  await container()
  const { process, task } = await exec()
  process.terminal!.hangUp()
  expect(await names()).toEqual(['ptmx'])
  expect(task.readlinkat(3, 'proc/self/fd/0')).toBe('/dev/pts/0 (deleted)')
  expect(outcome(() => task.openat(3, 'dev/tty', O_RDONLY, 0))).toBe('ENXIO')
  expect(outcome(() => task.openat(3, 'proc/self/fd/0', O_RDONLY, 0))).toBe('EIO')
  expect(await process.exited).toMatchObject({ signal: 'SIGHUP' })
})

test('who opens /dev/ptmx finds in fdinfo which terminal it is, as on Linux', async () => {
  await container()
  const { process, task } = await exec({})
  const master = task.openat(3, 'dev/ptmx', O_RDWR, 0)
  const fdinfo = task.openat(3, `proc/self/fdinfo/${master}`, O_RDONLY, 0)
  const memory = new Uint8Array(200)
  const text = Buffer.from(memory.subarray(0, task.readv(fdinfo, memory, [0, 200]))).toString()
  expect(text).toMatch(/^pos:\t0\nflags:\t0\d+\nmnt_id:\t\d+\nino:\t2\ntty-index:\t0\n$/)
  expect(task.readlinkat(3, `proc/self/fd/${master}`)).toBe('/dev/pts/ptmx')
  await process.exited
  expect(await names()).toEqual(['ptmx'])
})

test('a terminal that is served is one for who gets it as its streams: it shows, controls, and ends what runs at it', async () => {
  await container()
  const { vfs } = world.runtime
  const first = await exec({})
  const server = new Task({ vfs, credentials: credentialsOf(0, 0), root: first.task.root })
  await first.process.exited
  const master = server.openat(AT_FDCWD, '/dev/ptmx', O_RDWR, 0)
  const screen = new Uint8Array(100)
  const shown = () => outcome(() => Buffer.from(screen.subarray(0, server.readv(master, screen, [0, 100]))).toString())
  const stdio = [{ path: '/dev/pts/0', flags: O_RDWR, mode: 0 }, 0, 0]
  const client = await exec({}, stdio)
  say(client.task, 'dev/tty', 'hello\n')
  await client.process.exited
  expect([shown(), shown()]).toEqual(['hello\r\na note\r\n', 'EIO'])
  const killed = await exec({}, stdio)
  server.writev(master, Uint8Array.of(3), [0, 1])
  expect(await killed.process.exited).toMatchObject({ signal: 'SIGINT' })
  const left = await exec({}, stdio)
  server.release()
  expect(await left.process.exited).toMatchObject({ signal: 'SIGHUP' })
  expect(await names()).toEqual(['ptmx'])
})

test('terminals of a container are not those of another, and have a name only where its /dev/pts is a devpts', async () => {
  await container([{ destination: '/dev/pts', type: 'bind', source: 'app' }])
  const { process, task } = await exec()
  expect(task.readlinkat(3, 'proc/self/fd/0')).toBe('tty')
  await world.runtime.create('d', {})
  expect((await world.runtime.files('d').readdir('/dev/pts', false)).map(({ name }) => name)).toEqual(['ptmx'])
  await process.exited
})

test('B166 a terminal for which no number is free is an error, and leaves nothing', async () => {
  await container([{ destination: '/dev/pts', type: 'devpts', options: ['max=1', 'mode=0620', 'gid=5'] }])
  const first = await exec()
  expect(await world.runtime.files('c').stat('/dev/pts/0')).toMatchObject({ mode: 0o20620, gid: 5 })
  await expect(exec()).rejects.toMatchObject({ code: 'ENOSPC' })
  await first.process.exited
  const again = await exec()
  await again.process.exited
})

test('the mandatory /dev and /dev/pts are there for all users, and leave no trace in what they are mounted on', async () => {
  await container()
  const { process, task } = await exec({ user: { uid: 7, gid: 7 } })
  expect(task.fstatat(3, 'dev/ptmx', 0).mode).toBe(0o20666)
  task.close(task.openat(3, 'dev/ptmx', O_RDWR, 0))
  await process.exited
  const places = world.runtime.mounts('c').map(({ destination }) => destination)
  expect(new Set(places)).toEqual(new Set(['/', '/proc', '/sys', '/dev', '/dev/pts', '/tmp']))
  const images = await world.runtime.images()
  expect((await images.diff('c')).map(({ path }) => path).filter((path) => !/^\/?tmp/.test(path))).toEqual([])
})
