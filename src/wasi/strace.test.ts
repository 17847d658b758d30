import { expect, test } from 'vitest'
import { importsOf } from './preview1.ts'
import { strace } from './strace.ts'
import { OUT, TestGuest } from './test-guest.ts'

/** A guest whose calls are told. */
function traced(options: { calls?: readonly string[] } = {}) {
  const g = new TestGuest()
  const lines: string[] = []
  const table = strace(g.wasi.table, (line) => lines.push(line), {
    ...options,
    memory: () => g.bytes,
    preopens: g.world.preopens,
  })
  g.wasi.wasiImport = importsOf(table) as typeof g.wasi.wasiImport
  /** What was told since the last time. */
  const told = () => lines.splice(0)
  return { g, told }
}

test('an open tells its directory, path, flags and what it gave, and later calls where the descriptor leads', () => {
  const { g, told } = traced()
  const fd = g.open('a.txt', { oflags: 1, follow: 1 })
  expect(fd).toBe(4)
  g.write(fd, 'hello\n')
  g.call('fd_seek', fd, 0n, 0, OUT)
  g.readText(fd, 100)
  g.call('fd_tell', fd, OUT)
  g.call('fd_filestat_set_size', fd, 2n)
  g.call('fd_fdstat_set_flags', fd, 5)
  g.call('fd_close', fd)
  g.call('fd_close', fd)
  expect(told()).toEqual([
    'path_open(3</>, "a.txt", O_RDWR|O_CREAT) = 4',
    'fd_write(4</a.txt>, "hello\\n", 6) = 6',
    'fd_seek(4</a.txt>, 0, SEEK_SET) = 0',
    'fd_read(4</a.txt>, "hello\\n", 100) = 6',
    'fd_tell(4</a.txt>) = 6',
    'fd_filestat_set_size(4</a.txt>, 2) = 0',
    'fd_fdstat_set_flags(4</a.txt>, O_APPEND|O_NONBLOCK) = 0',
    'fd_close(4</a.txt>) = 0',
    'fd_close(4) = -1 EBADF (Bad file descriptor)',
  ])
  g.world.release()
})

test.each([
  [{ rights: 0n, oflags: 1 }, 'O_RDONLY|O_CREAT'],
  [{ rights: 2n }, 'O_RDONLY'],
  [{ rights: 64n, oflags: 9 }, 'O_WRONLY|O_CREAT|O_TRUNC'],
  [{ rights: 66n, oflags: 1, fdflags: 1 }, 'O_RDWR|O_CREAT|O_APPEND'],
  [{ rights: 2n, follow: 0 }, 'O_RDONLY|O_NOFOLLOW'],
])('flags of an open are those of open(2): %o', (options, flags) => {
  const { g, told } = traced()
  g.world.writeFile('/f', '')
  const fd = g.open('f', { follow: 1, ...options })
  expect(told()).toEqual([`path_open(3</>, "f", ${flags}) = ${fd}`])
  g.world.release()
})

test('a failure has its name and the words of strerror', () => {
  const { g, told } = traced()
  g.call('path_filestat_get', 3, 1, 'näme', OUT)
  g.call('path_create_directory', 3, 'd')
  g.call('path_create_directory', 3, 'd')
  g.call('path_unlink_file', 3, 'd')
  g.call('fd_seek', 3, -1n, 7, OUT)
  expect(told()).toEqual([
    'path_filestat_get(3</>, AT_SYMLINK_FOLLOW, "näme", 0x200) = -1 ENOENT (No such file or directory)',
    'path_create_directory(3</>, "d") = 0',
    'path_create_directory(3</>, "d") = -1 EEXIST (File exists)',
    'path_unlink_file(3</>, "d") = -1 EISDIR (Is a directory)',
    'fd_seek(3</>, -1, 7) = -1 EINVAL (Invalid argument)',
  ])
  g.world.release()
})

test('a text is cut after 32 bytes, not through a character, and what is no text is told in octal', () => {
  const { g, told } = traced()
  g.write(1, 'a tab\t, a "quote", a \\ and much more')
  g.write(1, `${'x'.repeat(31)}ü and more`)
  const [at] = g.put(Uint8Array.of(0xff, 0x41, 0, 0x0a))
  g.transfer('fd_write', 1, at, 4)
  expect(told()).toEqual([
    'fd_write(1<stdout>, "a tab\\t, a \\"quote\\", a \\\\ and much "..., 36) = 36',
    `fd_write(1<stdout>, "${'x'.repeat(31)}"..., 42) = 42`,
    'fd_write(1<stdout>, "\\377A\\0\\n", 4) = 4',
  ])
  g.write(1, '\x001\x00a\v\f\x1b[0m\x7f8')
  expect(told()).toEqual(['fd_write(1<stdout>, "\\0001\\0a\\v\\f\\33[0m\\1778", 12) = 12'])
  g.world.release()
})

test('a path and data outside the memory are told by their addresses, and nothing is thrown', () => {
  const { g, told } = traced()
  const end = g.bytes.length
  g.call('path_create_directory', 3, end - 1, 5)
  g.transfer('fd_write', 1, end, 5)
  expect(told()).toEqual([
    `path_create_directory(3</>, 0x${(end - 1).toString(16)}) = -1 EFAULT (Bad address)`,
    'fd_write(1<stdout>, 0x0, 1) = -1 EFAULT (Bad address)',
  ])
  g.world.release()
})

test('two paths, links and names of numbers are told', () => {
  const { g, told } = traced()
  g.call('path_symlink', 'target', 3, 'link')
  g.call('path_readlink', 3, 'link', OUT, 100, OUT + 200)
  g.call('path_rename', 3, 'link', 3, 'other')
  g.call('path_link', 3, 0, 'other', 3, 'again')
  g.call('clock_time_get', 1, 0n, OUT)
  g.call('sched_yield')
  expect(told()).toEqual([
    'path_symlink("target", 3</>, "link") = 0',
    'path_readlink(3</>, "link", 0x200, 100) = 6',
    'path_rename(3</>, "link", 3</>, "other") = 0',
    'path_link(3</>, 0, "other", 3</>, "again") = 0',
    'clock_time_get(CLOCK_MONOTONIC, 0, 1000000000) = 0',
    'sched_yield() = 0',
  ])
  g.world.release()
})

test('descriptors keep their paths when they are renumbered, and below directories that were opened', () => {
  const { g, told } = traced()
  g.call('path_create_directory', 3, 'd')
  const dir = g.open('./d/', { oflags: 2, follow: 1, rights: 0x3fff_bf00n })
  const a = g.open('x', { oflags: 1, dir, follow: 1 })
  const b = g.open('y', { oflags: 1, follow: 1 })
  g.call('fd_renumber', b, a)
  told()
  g.call('fd_sync', a)
  g.call('fd_sync', b)
  g.open('z', { oflags: 1, dir, follow: 1 })
  g.call('fd_sync', b)
  expect(told()).toEqual([
    `fd_sync(${a}</y>) = 0`,
    `fd_sync(${b}) = -1 EBADF (Bad file descriptor)`,
    `path_open(${dir}</d>, "z", O_RDWR|O_CREAT) = ${b}`,
    `fd_sync(${b}</d/z>) = 0`,
  ])
  g.world.release()
})

test('a name that holds a newline or what else is no plain text is told on one line, in texts and behind descriptors', () => {
  const { g, told } = traced()
  const fd = g.open('a\nb"c>d\\e\x01f\x015\x018é', { oflags: 1 })
  g.call('fd_sync', fd)
  const shown = String.raw`a\nb\"c>d\\e\1f\0015\18é`
  expect(told()).toEqual([
    `path_open(3</>, "${shown}", O_RDWR|O_CREAT|O_NOFOLLOW) = ${fd}`,
    `fd_sync(${fd}</${shown.replace('>', String.raw`\76`)}>) = 0`,
  ])
  g.world.release()
})

test('only the calls asked for are told, and the paths of descriptors are known all the same', () => {
  const { g, told } = traced({ calls: ['fd_write'] })
  const fd = g.open('a', { oflags: 1 })
  g.write(fd, 'x')
  expect(told()).toEqual(['fd_write(4</a>, "x", 1) = 1'])
  g.world.release()
})

test('the time that a call took stands behind it, with the time that it waited', () => {
  const g = new TestGuest({ waits: true })
  const lines: string[] = []
  const { clock, stdin } = g.world
  const now = () => clock.now
  const table = strace(g.wasi.table, (line) => lines.push(line), { memory: () => g.bytes, now })
  g.wasi.wasiImport = importsOf(table) as typeof g.wasi.wasiImport
  g.readText(0, 5)
  expect(lines).toEqual([])
  clock.now += 1_500_012_345n
  stdin.put('hi')
  g.readText(0, 5)
  g.call('sched_yield')
  expect(lines).toEqual(['fd_read(0<stdin>, "hi", 5) = 2 <1.500012>', 'sched_yield() = 0 <0.000000>'])
  g.world.release()
})
