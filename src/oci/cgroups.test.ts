/** Control groups of containers: what a spec limits, and what guests and the page find and change in files. On platform inline. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { O_WRONLY } from '../abi/linux.ts'
import { bootWorld, type Finished, treeOf, type World } from '../host/world.ts'
import { Site } from './checkpoint/test-world.ts'
import { endClean } from './test-world.ts'

let world: World
beforeEach(async () => {
  world = bootWorld()
  const program = async (source: string) => new Uint8Array(readFileSync(await buildGuest(source)))
  world.runtime.provide('app', treeOf({ process: await program('process.c'), cat: await program('cat.c') }))
})
afterEach(async () => {
  await endClean(world)
  expect(world.runtime.system.cgroups.text).not.toMatch(/\t[1-9]\d*\t\d+\t1/)
})

const MOUNT = { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' }
const PIDS = '/sys/fs/cgroup/pids'
const MEMORY = '/sys/fs/cgroup/memory'

async function start(id: string, spec: object = {}): Promise<string[]> {
  const { warnings } = await world.runtime.create(id, { root: { path: 'app' }, mounts: [MOUNT], ...spec })
  await world.start(id)
  return warnings
}
const run = (id: string, args: readonly string[], more: object = {}): Promise<Finished> =>
  world.exec(id, { args: [`/${args[0]}`, ...args.slice(1)], ...more })
const read = async (id: string, path: string) => new TextDecoder().decode(await world.runtime.files(id).readFile(path))
const write = (id: string, path: string, text: string) =>
  world.runtime.files(id).writeFile(path, new TextEncoder().encode(text), O_WRONLY, 0)
const AS_THEY_ARE = { stdin: { initial: new Uint8Array(), more: false }, stdout() {}, stderr() {}, progress() {} }
/** A process that is there, and runs when the test waits for it. */
const begin = (id: string, ...args: string[]) => world.runtime.exec(id, { args: ['/process', ...args] }, AS_THEY_ARE)

describe('the limits of a spec', () => {
  test('hold for all processes of the container together, and are not warned about: of a process too many is EAGAIN', async () => {
    const resources = { pids: { limit: 2 }, memory: { limit: 64 << 20 } }
    expect(await start('a', { linux: { resources } })).toEqual([])
    const there = [await begin('a', 'copy'), await begin('a', 'copy')]
    await expect(begin('a', 'copy')).rejects.toMatchObject({
      code: 'EAGAIN',
      message: expect.stringContaining('the cgroup /a may have 2 processes (pids.max), and has as many'),
    })
    for (const { exited } of there) await exited
    expect((await run('a', ['process', 'copy'])).exitCode).toBe(0)
    expect(await read('a', `${PIDS}/pids.events`)).toBe('max 1\n')
    expect(await read('a', `${PIDS}/pids.max`)).toBe('2\n')
    expect(await read('a', `${MEMORY}/memory.limit_in_bytes`)).toBe(`${64 << 20}\n`)
  })

  test('hold without a mount that shows them, and 0 and -1 are none', async () => {
    await start('a', { mounts: [], linux: { resources: { pids: { limit: 1 }, memory: { limit: -1 } } } })
    const first = await begin('a', 'copy')
    await expect(begin('a', 'copy')).rejects.toMatchObject({ code: 'EAGAIN' })
    await first.exited
    await start('b', { linux: { resources: { pids: { limit: 0 } } } })
    expect(await read('b', `${PIDS}/pids.max`)).toBe('max\n')
    expect(await read('b', `${MEMORY}/memory.limit_in_bytes`)).toBe('9223372036854771712\n')
  })

  test('a program gets no more memory than its cgroup may have, and does not run if it starts with more', async () => {
    await start('a', { linux: { resources: { memory: { limit: 60 * 65_536 } } } })
    expect((await run('a', ['process', 'grow'])).stdout).toMatch(/^\d+ blocks, 60 pages\n$/)
    expect((await run('a', ['process', 'grow'], { limits: { memoryPages: 40 } })).stdout).toMatch(/ 40 pages\n$/)
    await start('small', { linux: { resources: { memory: { limit: 65_536 } } } })
    const none = await run('small', ['process', 'grow'])
    expect(none).toMatchObject({ exitCode: 126 })
    expect(none.reason).toContain('may have 1 (process.limits.memoryPages, or its cgroup)')
  })

  test('several containers of one cgroupsPath share them', async () => {
    const linux = { cgroupsPath: '/pod/shared', resources: { pids: { limit: 1 } } }
    await start('a', { linux })
    await start('b', { linux: { cgroupsPath: 'pod/shared' } })
    expect(await read('b', `${PIDS}/pids.max`)).toBe('1\n')
    await run('b', ['process', 'copy'])
    const first = await begin('a', 'copy')
    await expect(begin('b', 'copy')).rejects.toMatchObject({ code: 'EAGAIN' })
    await first.exited
    await world.runtime.delete('a', true)
    expect(await read('b', `${PIDS}/pids.max`)).toBe('1\n')
  })
})

test('what has more memory than a limit that was set meanwhile is ended, with the reason', async () => {
  await start('a')
  const process = await world.runtime.exec(
    'a',
    { args: ['/process', 'grow'], limits: { memoryPages: 200 } },
    AS_THEY_ARE,
  )
  await write('a', `${MEMORY}/memory.limit_in_bytes`, '8M')
  const { signal, reason } = await process.exited
  expect(signal).toBe('SIGKILL')
  expect(reason).toBe(`the processes of the cgroup /a had more than ${8 << 20} bytes of memory (memory.limit_in_bytes)`)
  expect(await read('a', `${MEMORY}/memory.oom_control`)).toContain('oom_kill 1\n')
  expect(Number(await read('a', `${MEMORY}/memory.max_usage_in_bytes`))).toBe(200 * 65_536)
  expect(await read('a', `${MEMORY}/memory.usage_in_bytes`)).toBe('0\n')
})

test('D085 C194 a container sees its own group of each controller, and proc tells where its processes are', async () => {
  await start('a')
  await start('b', { linux: { cgroupsPath: '/deep/b' } })
  const { stdout } = await run('a', ['cat', '/proc/self/cgroup'])
  const controllers = ['cpuset', 'cpu', 'cpuacct', 'memory', 'devices', 'pids', 'job']
  const lines = stdout.trim().split('\n')
  expect(lines.map((line) => line.slice(0, 2))).toEqual(['7:', '6:', '5:', '4:', '3:', '2:', '1:'])
  expect(lines.map((line) => line.slice(2)).sort()).toEqual(controllers.map((controller) => `${controller}:/a`).sort())
  expect((await run('b', ['cat', '/proc/self/cgroup'])).stdout).toContain(':pids:/deep/b\n')
  expect((await run('a', ['cat', `${PIDS}/cgroup.procs`])).stdout).toMatch(/^\d+\n$/)
  expect((await run('a', ['cat', `${PIDS}/pids.current`])).stdout).toBe('1\n')
  expect(Number((await run('a', ['cat', `${MEMORY}/memory.usage_in_bytes`])).stdout) % 65_536).toBe(0)
  expect(Number(await read('a', '/sys/fs/cgroup/cpuacct/cpuacct.usage'))).toBeGreaterThan(0)
  const info = (await run('a', ['cat', '/proc/self/mountinfo'])).stdout
  expect(info).toMatch(/ \/a \/sys\/fs\/cgroup\/pids rw,relatime - cgroup cgroup rw,pids\n/)
  expect((await run('a', ['cat', '/proc/cgroups'])).stdout).toMatch(/^memory\t[1-7]\t4\t1$/m)
  expect((await run('a', ['cat', '/proc/filesystems'])).stdout).toContain('nodev\tcgroup\n')
  await start('none', { mounts: [] })
  const entries = await world.runtime.files('none').readdir('/sys/fs', false)
  expect(entries.map(({ name }) => name)).toEqual(['cgroup'])
})

test('B180 B181 B182 groups below a container’s are made, take its processes and limit them, and go with it', async () => {
  await start('a')
  await start('b')
  const files = world.runtime.files('a')
  await files.mkdir(`${PIDS}/job`, 0o755, false)
  const process = await begin('a', 'copy')
  await write('a', `${PIDS}/job/cgroup.procs`, String(process.pid))
  expect(await read('a', `${PIDS}/cgroup.procs`)).toBe('')
  expect(await read('a', `${PIDS}/pids.current`)).toBe('1\n')
  expect(await read('a', `/proc/${process.pid}/cgroup`)).toContain(':pids:/a/job\n')
  await expect(files.rmdir(`${PIDS}/job`)).rejects.toMatchObject({ code: 'EBUSY' })
  await process.exited
  await world.runtime.delete('a', true)
  expect(await read('b', '/proc/cgroups')).toMatch(/^pids\t[1-7]\t2\t1$/m)
})

test('a mount that is read-only keeps the superuser of a container from its limits', async () => {
  await start('a', { mounts: [{ ...MOUNT, options: ['ro', 'nosuid', 'memory'] }] })
  await expect(write('a', `${PIDS}/pids.max`, '5')).rejects.toMatchObject({ code: 'EROFS' })
})

test('a mount of cgroups that comes later shows the group of the processes that are there', async () => {
  await start('a', { mounts: [] })
  const process = await begin('a', 'copy')
  await world.runtime.mount('a', { destination: '/pids', type: 'cgroup', options: ['pids'] })
  expect(await read('a', '/pids/cgroup.procs')).toBe(`${process.pid}\n`)
  await process.exited
})

test('a container that is restored in another tab has the limits of its spec there', async () => {
  const site = new Site()
  const first = site.tab()
  await first.create('c', { mounts: [MOUNT], linux: { resources: { pids: { limit: 3 } } } })
  const mounts = first.mounts('c')
  const saved = await first.save()
  await first.end()
  const second = site.tab()
  expect(await second.restore(saved)).toMatchObject({ containers: [{ id: 'c', warnings: [] }] })
  expect(second.mounts('c')).toEqual(mounts)
  expect(await second.read('c', `${PIDS}/pids.max`)).toBe('3\n')
})
