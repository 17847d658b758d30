/** proc and sysfs of a container, read by guests and by the page; the texts are parsed as those of a Linux are, where there is one. */

import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR } from '../abi/linux.ts'
import { bootWorld, treeOf, type World } from '../host/world.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'

let world: World

beforeAll(async () => {
  world = bootWorld()
  const cat = new Uint8Array(readFileSync(await buildGuest('cat.c')))
  world.runtime.provide('app', treeOf({ 'bin/cat': cat, note: 'a note' }))
  for (const id of ['c', 'other']) {
    await world.runtime.create(id, { root: { path: 'app' }, hostname: 'box' })
    await world.start(id)
  }
}, 60_000)

afterAll(() => world.close())

const user = (uid: number) => ({ user: { uid, gid: uid } })

/** What a guest finds in files, or what it says of them. */
async function cat(path: string, process: object = {}): Promise<string> {
  const { stdout, stderr } = await world.exec('c', { args: ['/bin/cat', path], ...process })
  return stdout || stderr
}

const files = () => world.runtime.files('c')
const names = async (path: string) =>
  (await files().readdir(path, false)).map((entry) => (entry as { name: string }).name ?? entry)

/** The names in front of the colons. */
const keys = (text: string) => text.split('\n').flatMap((line) => /^([^:]+):/.exec(line)?.[1]?.trim() ?? [])

/** A Linux to compare with: the formats are its. */
const linux = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)

describe('proc', () => {
  test('B171 B173 the root holds its files, then self, then a directory for each process', async () => {
    const listed = await names('/proc')
    const wanted =
      'cmdline cpuinfo devices filesystems loadavg sys bus fs irq meminfo modules mounts net stat sysrq-trigger uptime version cgroups'
    for (const name of wanted.split(' ')) expect(listed).toContain(name)
    expect(listed.slice(-2)).toEqual(['self', 'thread-self'])
    expect(await files().readlink('/proc/mounts')).toBe('self/mounts')
    expect(await files().readlink('/proc/net')).toBe('self/net')
    await expect(files().readFile('/proc/nothing')).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(files().readFile('/proc/99/stat')).rejects.toMatchObject({ code: 'ENOENT' })
    // The page is no process of the container.
    await expect(files().readlink('/proc/self')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('B171 loadavg, uptime, meminfo, stat and cpuinfo are as Linux writes them', async () => {
    expect(await cat('/proc/loadavg')).toMatch(/^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+\/\d+ \d+\n$/)
    expect(await cat('/proc/uptime')).toMatch(/^\d+\.\d\d \d+\.\d\d\n$/)
    expect(await cat('/proc/version')).toMatch(/^Linux version \d+\.\d+\.\d+\S* /)
    const memory = await cat('/proc/meminfo')
    for (const line of memory.trim().split('\n')) expect(line).toMatch(/^[\w()]+: +\d+ kB$/)
    const [total, free] = [/MemTotal: +(\d+)/, /MemFree: +(\d+)/].map((field) => Number(field.exec(memory)![1]))
    expect(free).toBeGreaterThan(0)
    expect(free).toBeLessThan(total!)
    const stat = await cat('/proc/stat')
    expect(stat).toMatch(/^cpu {2}(\d+ ){9}\d+\ncpu0 (\d+ ){9}\d+\n/)
    expect(Number(/btime (\d+)/.exec(stat)![1]) * 1000).toBeLessThanOrEqual(Date.now())
    expect((await cat('/proc/cpuinfo')).match(/^processor\t: \d+$/gm)).toHaveLength(readCpus(stat))
    const theirs = linux('/proc/meminfo')
    if (theirs) for (const key of keys(memory)) expect(keys(theirs)).toContain(key)
  })

  const readCpus = (stat: string) => stat.match(/^cpu\d+ /gm)!.length

  test('B171 filesystems are the types that are registered; hostname is the spec’s', async () => {
    const types = (await cat('/proc/filesystems')).split('\n')
    for (const type of ['proc', 'sysfs', 'tmpfs', 'overlay']) expect(types).toContain(`nodev\t${type}`)
    expect(await cat('/proc/sys/kernel/hostname')).toBe('box\n')
    expect(await cat('/proc/sys/kernel/random/uuid')).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab]/)
  })

  test('B172 a process finds itself: its command line, environment, status and limits', async () => {
    const args = ['/bin/cat', '/proc/self/cmdline']
    expect((await world.exec('c', { args })).stdout).toBe('/bin/cat\0/proc/self/cmdline\0')
    expect(await cat('/proc/self/environ', { env: ['A=1', 'B=2'] })).toBe('A=1\0B=2\0')
    expect(await cat('/proc/thread-self/comm')).toBe('cat\n')
    const status = await cat('/proc/self/status', { user: { uid: 5, gid: 6, umask: 0o27, additionalGids: [7, 8] } })
    for (const line of ['Name:\tcat', 'Umask:\t0027', 'Uid:\t5\t5\t5\t5', 'Gid:\t6\t6\t6\t6', 'Groups:\t7 8 ']) {
      expect(status.split('\n')).toContain(line)
    }
    expect(Number(/VmRSS:\s+(\d+) kB/.exec(status)![1])).toBeGreaterThan(64)
    const stat = await cat('/proc/self/stat')
    expect(stat).toMatch(/^\d+ \(cat\) R 0 /)
    expect(stat.split(' ')).toHaveLength(52)
    const limits = await cat('/proc/self/limits', { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 20, hard: 30 }] })
    expect(limits).toContain('Max open files            20                   30                   files     \n')
    const theirs = linux('/proc/self/status')
    if (theirs) for (const key of keys(status)) expect(keys(theirs)).toContain(key)
    const theirLimits = linux('/proc/self/limits')
    const labels = (text: string) => text.split('\n').map((line) => line.slice(0, 26))
    if (theirLimits) expect(labels(limits)).toEqual(labels(theirLimits))
  })

  test('B172 a process has one pid: the state, the process and proc have the same', async () => {
    await world.runtime.create('init', { root: { path: 'app' }, process: { args: ['/bin/cat', '/proc/self/stat'] } })
    const seen: Uint8Array[] = []
    const init = await world.runtime.start('init', {
      stdin: { initial: new Uint8Array(), more: false },
      stdout: (bytes) => void seen.push(bytes.slice()),
      stderr() {},
      progress() {},
    })
    expect(world.runtime.state('init').pid).toBe(init!.pid)
    await init!.exited
    expect(Buffer.concat(seen).toString()).toMatch(new RegExp(`^${init!.pid} \\(cat\\) `))
    await world.runtime.delete('init', true)
  })

  test('A292 A296 mounts and mountinfo agree with the mount table', async () => {
    const mounts = (await cat('/proc/self/mounts'))
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
    const table = world.runtime.mounts('c')
    expect(mounts.map(([, path, type]) => `${path} ${type}`)).toEqual(
      table.map(({ destination, type }) => `${destination} ${type}`),
    )
    const ids = (await cat('/proc/self/mountinfo'))
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[0]))
    expect(ids).toEqual(table.map(({ id }) => id))
  })

  test('B174 nothing in it is made, removed, renamed', async () => {
    const code = (work: Promise<unknown>) =>
      work.then(
        () => 'ok',
        (error: { code: string }) => error.code,
      )
    expect(await code(files().mkdir('/proc/x', 0o755, false))).toBe('ENOENT')
    expect(await code(files().unlink('/proc/uptime'))).toBe('EPERM')
    expect(await code(files().rename('/proc/uptime', '/proc/version'))).toBe('EPERM')
    expect(await code(files().rmdir('/proc/sys'))).toBe('EPERM')
  })
})

test('B176 sysfs is the fixed tree, readable, and nobody’s to change', async () => {
  expect((await names('/sys')).sort()).toEqual('block bus class dev devices firmware fs kernel module power'.split(' '))
  expect(await names('/sys/dev')).toEqual(['block', 'char'])
  for (const file of ['online', 'possible', 'present']) {
    expect(await cat(`/sys/devices/system/cpu/${file}`)).toMatch(/^0(-\d+)?\n$/)
  }
  const refused = (work: Promise<unknown>) => expect(work).rejects.toMatchObject({ code: 'EPERM' })
  await refused(files().mkdir('/sys/x', 0o755, false))
  await refused(files().unlink('/sys/devices/system/cpu/online'))
  const { mode } = (await files().stat('/sys/devices/system/cpu/online'))!
  expect(mode & 0o777).toBe(0o444)
  expect((await files().stat('/sys/devices'))!.mode & 0o777).toBe(0o755)
})

test('B177 sysfs tells the product’s name where the sandbox was booted with one, as Linux does of firmware', async () => {
  await expect(files().stat('/sys/devices/virtual')).rejects.toMatchObject({ code: 'ENOENT' })
  const { runtime, close } = bootWorld({ productName: 'Teapot 418' })
  await runtime.create('c', {})
  const inside = runtime.files('c')
  for (const path of ['/sys/devices/virtual/dmi/id/product_name', '/sys/class/dmi/id/product_name']) {
    expect(Buffer.from(await inside.readFile(path)).toString()).toBe('Teapot 418\n')
  }
  expect((await inside.stat('/sys/class/dmi/id/product_name')).mode & 0o777).toBe(0o444)
  await close()
  expect(() => bootWorld({ productName: 'two\nlines' })).toThrow('productName must be one line of text')
})

const AS_THEY_ARE = {
  stdin: { initial: new TextEncoder().encode('typed'), more: true },
  stdout() {},
  stderr() {},
  progress() {},
}

/** Runs a test with a process of user 7 that is there, and its task; on platform inline it runs when the test is over. */
async function withProcess(run: (pid: number, task: Task) => void): Promise<void> {
  const process = await world.runtime.exec('c', { args: ['/bin/cat', '/note'], ...user(7) }, AS_THEY_ARE)
  run(process.pid, process.task)
  await process.exited
}

const outcome = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return (error as { code: string }).code
  }
}

test('B172 a user does not look into the process of another, whose stat all may read', () =>
  withProcess((pid, { root }) => {
    const other = new Task({ vfs: world.runtime.vfs, credentials: credentialsOf(8, 8), root })
    for (const file of ['environ', 'maps', 'io', 'mem', 'fd']) {
      expect(outcome(() => other.openat(AT_FDCWD, `/proc/${pid}/${file}`, O_RDONLY, 0))).toBe('EACCES')
    }
    for (const link of ['exe', 'cwd', 'root', 'ns/pid']) {
      expect(outcome(() => other.readlinkat(AT_FDCWD, `/proc/${pid}/${link}`))).toBe('EACCES')
    }
    other.close(other.openat(AT_FDCWD, `/proc/${pid}/stat`, O_RDONLY, 0))
    expect(outcome(() => other.fchmodat(AT_FDCWD, `/proc/${pid}/stat`, 0o777, 0))).toBe('EPERM')
    other.release()
  }))

test('a container does not see the processes of another', () =>
  withProcess((pid) => {
    const { vfs } = world.runtime
    const roots = new Set([...vfs.tasks].map(({ root }) => root.mount))
    let there = 0
    for (const task of vfs.tasks) {
      if (!roots.delete(task.root.mount)) continue
      const page = new Task({ vfs, credentials: credentialsOf(0, 0), root: task.root })
      if (outcome(() => page.fstatat(AT_FDCWD, `/proc/${pid}`, 0)) !== 'ENOENT') there++
      page.release()
    }
    expect(there).toBe(1)
  }))

test('B175 A066 A371 D101 links to descriptors lead to removed files and pipes; from a preopen below the root nowhere else', () =>
  withProcess((_pid, task) => {
    const root = task.openat(3, '.', O_RDONLY, 0)
    const files = new Task({ vfs: world.runtime.vfs, credentials: credentialsOf(0, 0), root: task.root })
    files.close(files.openat(AT_FDCWD, '/tmp/f', O_CREAT | O_RDWR, 0o666))
    const fd = task.openat(3, 'tmp/f', O_RDONLY, 0)
    const link = `proc/self/fd/${fd}`
    expect(task.readlinkat(3, link)).toBe('/tmp/f')
    files.unlinkat(AT_FDCWD, '/tmp/f', 0)
    expect(task.readlinkat(3, link)).toBe('/tmp/f (deleted)')
    const again = task.openat(3, link, O_RDONLY, 0)
    expect(task.fstat(again)).toMatchObject({ ino: task.fstat(fd).ino, dev: task.fstat(fd).dev, nlink: 0 })
    task.close(again)
    expect(task.readlinkat(3, 'proc/self/fd/0')).toMatch(/^pipe:\[\d+\]$/)
    const input = task.openat(3, 'proc/self/fd/0', O_RDONLY, 0)
    expect(task.readv(input, new Uint8Array(10), [0, 10])).toBe(5)
    const below = task.openat(3, 'proc', O_RDONLY, 0)
    for (const path of [`self/fd/${fd}`, 'self/root', 'self/cwd/note', 'self/exe', 'self/fd/0']) {
      expect(outcome(() => task.openat(below, path, O_RDONLY, 0))).toBe('ENOTCAPABLE')
    }
    task.close(fd)
    expect(outcome(() => task.readlinkat(3, link))).toBe('ENOENT')
    task.close(root)
    files.release()
  }))
