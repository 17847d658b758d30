/**
 * What files.ts does between its system calls: on a task's tmpfs, and where a call's answer must be odd, on a task that answers
 * so. That its results and errors are those of node is checked through the page's half, in client/file-system.test.ts.
 */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { ErrnoError } from '../abi/errno.ts'
import { O_CREAT, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { Syscalls } from '../abi/syscalls.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { createClock } from '../host/clock.ts'
import { credentialsOf } from '../vfs/context.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { Vfs } from '../vfs/vfs.ts'
import { Files, type HostSyscalls } from './files.ts'
import { Task } from './task.ts'

let task: Task
let calls: number

beforeEach(() => {
  const vfs = new Vfs(createClock(), new DeviceRegistry())
  vfs.types.register(tmpfsType)
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  vfs.newNamespace(mount)
  task = new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root) })
  calls = 0
})

afterEach(() => {
  expect(task.root.mount.users).toBe(2)
  task.release()
})

/** Files over the task, some of whose system calls are replaced. */
function filesWith(odd: Partial<Syscalls> = {}): Files {
  const syscalls = new Proxy(task as HostSyscalls, {
    get: (target, name) => {
      const own = odd[name as keyof Syscalls] ?? target[name as keyof Syscalls]
      return (own as (...args: unknown[]) => unknown).bind(target)
    },
  })
  return new Files(async (operation) => {
    calls++
    try {
      return operation(syscalls)
    } finally {
      task.settle()
    }
  })
}

const utf8 = (text: string) => new TextEncoder().encode(text)
const write = (files: Files, path: string, text: string) =>
  files.writeFile(path, utf8(text), O_WRONLY | O_CREAT | O_TRUNC, 0o666)

test('a large file is read into a buffer of exactly its size, in pieces of at most 1 MiB', async () => {
  const bytes = new Uint8Array(3_500_000).map((_, i) => i % 251)
  const lengths: number[] = []
  const files = filesWith({
    readv(fd, memory, ranges) {
      lengths.push(ranges[1]!)
      return task.readv(fd, memory, ranges)
    },
  })
  await files.writeFile('/big', bytes, O_WRONLY | O_CREAT, 0o666)
  const read = await files.readFile('/big')
  expect(Buffer.compare(read, bytes)).toBe(0)
  expect(read.buffer.byteLength).toBe(bytes.length)
  expect(Math.max(...lengths)).toBe(1 << 20)
})

test.each([
  ['grows', 'and much more'.repeat(20_000)],
  ['shrinks', ''],
])('a file that %s while it is read is read to its present end', async (_, rest) => {
  const files = filesWith()
  await write(files, '/file', 'x'.repeat(100))
  let changed = false
  const racing = filesWith({
    fstat(fd) {
      const stat = task.fstat(fd)
      if (!changed) {
        changed = true
        const other = task.openat(-100, '/file', O_WRONLY | O_TRUNC, 0)
        const bytes = utf8(`new ${rest}`)
        task.writev(other, bytes, [0, bytes.length])
        task.close(other)
      }
      return stat
    },
  })
  const read = await racing.readFile('/file')
  expect(new TextDecoder().decode(read)).toBe(`new ${rest}`)
  expect(read.buffer.byteLength).toBe(read.length)
})

test('a file that does not tell its size, as those of /proc, is read to its end', async () => {
  const text = 'line\n'.repeat(3000)
  await write(filesWith(), '/file', text)
  const files = filesWith({ fstat: (fd) => ({ ...task.fstat(fd), size: 0 }) })
  expect(new TextDecoder().decode(await files.readFile('/file'))).toBe(text)
})

test('a write that the kernel takes in parts is written whole, one that it takes nothing of is EIO', async () => {
  const halves = filesWith({
    writev: (fd, memory, [start, length]) => task.writev(fd, memory, [start!, Math.ceil(length! / 2)]),
  })
  await write(halves, '/file', 'abcdefg')
  expect(new TextDecoder().decode(await halves.readFile('/file'))).toBe('abcdefg')
  await expect(write(filesWith({ writev: () => 0 }), '/file', 'x')).rejects.toMatchObject({
    code: 'EIO',
    syscall: 'write',
  })
})

test('read gives what is there without asking again, where it is less than was asked for', async () => {
  const files = filesWith()
  await write(files, '/file', 'abc')
  const fd = await files.open('/file', 0, 0)
  calls = 0
  expect(new TextDecoder().decode(await files.read(fd, 10, 1))).toBe('bc')
  expect(calls).toBe(1)
  expect(await files.read(fd, 0, null)).toHaveLength(0)
  await files.close(fd)
})

test.each([-1, 1.5, Number.NaN, 2 ** 60])('%d is no size or position', async (bad) => {
  const files = filesWith()
  await write(files, '/file', 'abc')
  const fd = await files.open('/file', 2, 0)
  await expect(files.read(fd, bad, null)).rejects.toMatchObject({ code: 'EINVAL' })
  await expect(files.read(fd, 1, bad)).rejects.toMatchObject({ code: 'EINVAL' })
  await expect(files.write(fd, utf8('x'), bad)).rejects.toMatchObject({ code: 'EINVAL' })
  await expect(files.ftruncate(fd, bad)).rejects.toMatchObject({ code: 'EINVAL' })
  await files.close(fd)
})

test('a file larger than a buffer can be says so', async () => {
  await write(filesWith(), '/file', 'abc')
  const files = filesWith({ fstat: (fd) => ({ ...task.fstat(fd), size: 2 ** 52 }) })
  await expect(files.readFile('/file')).rejects.toMatchObject({ code: 'ERR_FS_FILE_TOO_LARGE' })
})

test('what fails between open and close is told, not that closing failed, too', async () => {
  await write(filesWith(), '/file', 'abc')
  const files = filesWith({
    readv() {
      throw new ErrnoError('EIO')
    },
    close(fd) {
      task.close(fd)
      throw new ErrnoError('ENOSPC')
    },
  })
  await expect(files.readFile('/file')).rejects.toMatchObject({ code: 'EIO', syscall: 'read' })
})

test('an error of close is told where nothing failed before', async () => {
  const files = filesWith({
    close(fd) {
      task.close(fd)
      throw new ErrnoError('ENOSPC')
    },
  })
  await expect(write(files, '/file', 'abc')).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'close' })
})

test('rm of a directory of many files makes a number of calls that grows as they do', async () => {
  const files = filesWith()
  const counts = []
  for (const size of [1000, 10_000]) {
    await files.mkdir('/many', 0o777, false)
    for (let i = 0; i < size; i++) task.close(task.openat(-100, `/many/${i}`, O_WRONLY | O_CREAT, 0o666))
    calls = 0
    await files.rm('/many', true, false)
    counts.push(calls)
    await expect(files.stat('/many')).rejects.toMatchObject({ code: 'ENOENT' })
  }
  expect(counts[1]! / counts[0]!).toBeLessThan(10.5)
})

test('rm removes a deep tree without a deep stack, and lists it level by level', async () => {
  const files = filesWith()
  const depth = 1500
  await files.mkdir('/d'.repeat(depth), 0o777, true)
  expect(await files.readdir('/', true)).toHaveLength(depth)
  await files.rm('/d', true, false)
  expect(await files.readdir('/', false)).toEqual([])
})

test('rm goes on when others remove what it was about to', async () => {
  await filesWith().mkdir('/dir/sub', 0o777, true)
  await write(filesWith(), '/dir/file', '')
  const files = filesWith({
    unlinkat(dirfd, path, flags) {
      task.unlinkat(dirfd, path, flags)
      if (path !== '/dir') throw new ErrnoError('ENOENT')
    },
  })
  await files.rm('/dir', true, false)
  expect(await files.readdir('/', false)).toEqual([])
})

test('a recursive mkdir ends where nothing can be made in a directory that is there, as in /proc', async () => {
  await filesWith().mkdir('/proc', 0o777, false)
  const files = filesWith({
    mkdirat(dirfd, path, mode) {
      if (path.startsWith('/proc/')) throw new ErrnoError('ENOENT')
      task.mkdirat(dirfd, path, mode)
    },
  })
  await expect(files.mkdir('/proc/a/b', 0o777, true)).rejects.toMatchObject({ code: 'ENOENT', path: '/proc/a' })
})

test('a directory of many entries is listed whole, whatever fits into one call', async () => {
  const files = filesWith({ getdents: (fd, cookie) => task.getdents(fd, cookie, 100) })
  for (let i = 0; i < 500; i++) task.close(task.openat(-100, `/${i}`, O_WRONLY | O_CREAT, 0o666))
  const names = (await files.readdir('/', false)).map(({ name }) => name)
  expect(names.sort()).toEqual(Array.from({ length: 500 }, (_, i) => String(i)).sort())
})

test('realpath takes 40 links and refuses 41', async () => {
  const files = filesWith()
  await write(files, '/link0', '')
  for (let i = 1; i <= 41; i++) await files.symlink(`link${i - 1}`, `/link${i}`)
  expect(await files.realpath('/link40')).toBe('/link0')
  await expect(files.realpath('/link41')).rejects.toMatchObject({ code: 'ELOOP', syscall: 'realpath', path: '/link41' })
})

test('a copy is made in pieces, and reads its source to the end even if that tells no size', async () => {
  const bytes = new Uint8Array(2_500_000).map((_, i) => i % 253)
  await filesWith().writeFile('/from', bytes, O_WRONLY | O_CREAT, 0o666)
  const files = filesWith({ fstat: (fd) => ({ ...task.fstat(fd), size: 0 }) })
  await files.copyFile('/from', '/to', false)
  expect(Buffer.compare(await files.readFile('/to'), bytes)).toBe(0)
})
