import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { E } from './errno.ts'
import { OUT, TestGuest } from './test-guest.ts'
import { TestWorld } from './test-world.ts'

const guests: TestGuest[] = []
function guest(options: ConstructorParameters<typeof TestGuest>[0] = {}): TestGuest {
  const made = new TestGuest(options)
  guests.push(made)
  return made
}
afterEach(() => {
  for (const { world } of guests.splice(0)) world.release()
})

describe('paths', () => {
  test('A372 a path that is not UTF-8 is EILSEQ, one with a NUL EINVAL', () => {
    const g = guest()
    g.bytes.set([0x61, 0xff, 0x62, 0, 0x63], 2000)
    expect(g.call('path_create_directory', 3, 2000, 3)).toBe(E.EILSEQ)
    expect(g.call('path_create_directory', 3, 2002, 3)).toBe(E.EINVAL)
    expect(g.call('path_symlink', 2000, 3, 3, 'name')).toBe(E.EILSEQ)
    expect(g.call('path_create_directory', 3, 'é'.repeat(3000))).toBe(E.ENAMETOOLONG)
  })

  test('A366 A367 A368 a path that leaves the preopen is refused, even if it would come back', () => {
    const g = guest({ world: new TestWorld({ preopen: '/work' }) })
    const { host } = g.world
    host.mkdirat(-100, '/work/sub', 0o755)
    g.world.writeFile('/work/file', 'in')
    g.world.writeFile('/secret', 'out')
    host.symlinkat('/work/file', -100, '/work/absolute')
    host.symlinkat('../secret', -100, '/work/climbs')
    host.symlinkat('../file', -100, '/work/sub/within')
    expect(g.open('file')).toBeGreaterThan(3)
    expect(g.open('sub/../file')).toBeGreaterThan(3)
    expect(g.open('sub/within', { follow: 1 })).toBeGreaterThan(3)
    for (const path of ['../secret', '../work/file', 'sub/../../work/file', '/work/file', '/', '..'])
      expect([path, g.open(path)]).toEqual([path, -E.ENOTCAPABLE])
    for (const path of ['absolute', 'climbs', 'climbs/x'])
      expect([path, g.open(path, { follow: 1 })]).toEqual([path, -E.ENOTCAPABLE])
    expect(g.open('climbs')).toBe(-E.ELOOP)
  })

  test("A369 '..' leads over the root of a mount inside the preopen", () => {
    const g = guest({ world: new TestWorld({ preopen: '/work' }) })
    g.world.host.mkdirat(-100, '/work/mnt', 0o755)
    g.world.mountAt('/work/mnt')
    g.world.host.mkdirat(-100, '/work/mnt/sub', 0o755)
    g.world.writeFile('/work/file', 'outside')
    expect(g.readText(g.open('mnt/sub/../../file'), 10)).toBe('outside')
    expect(g.open('mnt/../..')).toBe(-E.ENOTCAPABLE)
  })

  test("A370 a preopen on the root of a mount does not let '..' climb to the mount below it", () => {
    const g = guest({ world: new TestWorld({ preopen: '/work', mounted: true }) })
    g.world.writeFile('/secret', 'out')
    g.world.host.mkdirat(-100, '/work/sub', 0o755)
    expect(g.open('../secret')).toBe(-E.ENOTCAPABLE)
    expect(g.open('sub/../../secret')).toBe(-E.ENOTCAPABLE)
    expect(g.call('path_filestat_get', 3, 0, 'sub/..', OUT)).toBe(0)
  })

  test('A378 names do not move between two mounts', () => {
    const g = guest()
    g.call('path_create_directory', 3, 'mnt')
    g.world.mountAt('/mnt')
    g.world.writeFile('/file', 'x')
    expect(g.call('path_rename', 3, 'file', 3, 'mnt/file')).toBe(E.EXDEV)
    expect(g.call('path_link', 3, 0, 'file', 3, 'mnt/file')).toBe(E.EXDEV)
    expect(g.world.readFile('/file')).toBe('x')
  })

  test('an absolute link can be made below the root of the container only, where it can be followed', () => {
    const inside = guest({ world: new TestWorld({ preopen: '/work' }) })
    expect(inside.call('path_symlink', '/etc', 3, 'link')).toBe(E.ENOTCAPABLE)
    const root = guest()
    root.world.writeFile('/file', 'text')
    expect(root.call('path_symlink', '/file', 3, 'link')).toBe(0)
    expect(root.readText(root.open('link', { follow: 1 }), 10)).toBe('text')
  })

  test('A137 a link is not read into no bytes', () => {
    const g = guest()
    g.call('path_symlink', 'target', 3, 'link')
    expect(g.call('path_readlink', 3, 'link', 3000, 0, OUT)).toBe(E.EINVAL)
    expect(g.call('path_readlink', 3, 'missing', 3000, 0, OUT)).toBe(E.EINVAL)
  })

  test('A138 a link is cut silently when its target does not fit', () => {
    const g = guest()
    g.call('path_symlink', 'tärget', 3, 'link')
    expect(g.call('path_readlink', 3, 'link', 3000, 4, OUT)).toBe(0)
    expect([g.u32(), g.read(3000, 4)]).toEqual([4, 'tär'])
    expect(g.call('path_readlink', 3, 'link', 3000, 100, OUT)).toBe(0)
    expect([g.u32(), g.read(3000, 7)]).toEqual([7, 'tärget'])
  })

  test('A373 a directory cannot be created by opening it, and without "follow" a link is not opened', () => {
    const g = guest()
    expect(g.open('new', { oflags: 1 | 2 })).toBe(-E.EINVAL)
    expect(g.call('path_filestat_get', 3, 0, 'new', OUT)).toBe(E.ENOENT)
    g.call('path_symlink', 'target', 3, 'link')
    expect(g.open('link')).toBe(-E.ELOOP)
    expect(g.open('link', { follow: 1 })).toBe(-E.ENOENT)
    expect(g.open('x', { oflags: 16 })).toBe(-E.EINVAL)
    expect(g.open('x', { fdflags: 32 })).toBe(-E.EINVAL)
  })

  test('A378 names move between two preopens on the same mount', () => {
    const world = new TestWorld({ preopen: '/a' })
    world.host.mkdirat(-100, '/b', 0o755)
    const fd = world.host.openat(-100, '/b', 0, 0)
    const file = world.host.descriptors.get(fd)
    file.refs++
    expect(world.guest.descriptors.add(file)).toBe(4)
    world.host.close(fd)
    const g = guest({ world, preopens: [...world.preopens, { fd: 4, name: '/b' }] })
    world.writeFile('/a/x', '1')
    expect(g.call('path_link', 3, 0, 'x', 4, 'y')).toBe(0)
    expect(g.call('path_rename', 3, 'x', 4, 'z')).toBe(0)
    expect([world.readFile('/b/y'), world.readFile('/b/z')]).toEqual(['1', '1'])
  })
})

describe('calls that ask for more than there is', () => {
  test('a write of several ranges is whole; of a thousand that are the same memory it is as much as the memory has', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    const size = g.bytes.length
    const write = (count: number, length: number) => {
      for (let i = 0; i < count; i++) {
        g.view.setUint32(65_536 + i * 8, 0, true)
        g.view.setUint32(65_536 + i * 8 + 4, length, true)
      }
      return [g.call('fd_write', fd, 65_536, count, OUT), g.u32()]
    }
    expect(write(2, size / 2)).toEqual([0, size])
    expect(write(1024, size)).toEqual([0, size])
    expect(write(1, size)).toEqual([0, size])
    expect([g.call('fd_filestat_get', fd, 1024), g.u64(1024 + 32)]).toEqual([0, BigInt(3 * size)])
  })

  test.each([
    ['1 TiB', 0n, 1n << 40n],
    ['64 GiB far out', 1n << 50n, 1n << 36n],
    ['all that can be named', 0n, (1n << 53n) - 1n],
  ])('allocating %s where the filesystem has no limit is ENOSPC, and takes nothing', (_, offset, length) => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    const blocks = () => g.world.host.fstatat(-100, '/f', 0).blocks
    expect(g.call('fd_allocate', fd, offset, length)).toBe(E.ENOSPC)
    expect(blocks()).toBe(0)
    // A file may be filled by several calls, up to the same limit.
    expect(g.call('fd_allocate', fd, 0n, 1n << 30n)).toBe(0)
    expect(g.call('fd_allocate', fd, 1n << 40n, 1n << 34n)).toBe(E.ENOSPC)
    expect(blocks()).toBe(2 ** 21)
  })
})

describe('rights', () => {
  const READ = 2n
  const WRITE = 64n

  test('A375 without the right to write a descriptor refuses with ENOTCAPABLE', () => {
    const g = guest({ world: new TestWorld({ preopen: '/work', readOnly: true }) })
    g.world.writeFile('/work/file', 'text')
    expect(g.call('path_create_directory', 3, 'd')).toBe(E.ENOTCAPABLE)
    expect(g.call('path_unlink_file', 3, 'file')).toBe(E.ENOTCAPABLE)
    expect(g.open('file', { rights: READ | WRITE, inheriting: 0n })).toBe(-E.ENOTCAPABLE)
    expect(g.open('new', { oflags: 1, rights: READ, inheriting: 0n })).toBe(-E.ENOTCAPABLE)
    expect(g.open('file', { oflags: 8, rights: READ, inheriting: 0n })).toBe(-E.ENOTCAPABLE)
    const fd = g.open('file', { rights: READ, inheriting: 0n })
    expect(g.readText(fd, 9)).toBe('text')
    expect(g.write(fd, 'x')).toBe(-E.ENOTCAPABLE)
    expect(g.call('fd_filestat_set_size', fd, 0n)).toBe(E.ENOTCAPABLE)
    expect(g.world.readFile('/work/file')).toBe('text')
  })

  test('A376 a descriptor passes on no more than it may, and shrinks only', () => {
    const g = guest()
    g.call('path_create_directory', 3, 'd')
    const dir = g.open('d', { oflags: 2, rights: ~WRITE, inheriting: READ })
    expect(g.open('f', { dir, oflags: 1, rights: READ | WRITE, inheriting: 0n })).toBe(-E.ENOTCAPABLE)
    expect(g.open('f', { dir, oflags: 1, rights: READ, inheriting: READ | WRITE })).toBe(-E.ENOTCAPABLE)
    const fd = g.open('f', { dir, oflags: 1, rights: READ, inheriting: READ })
    expect(fd).toBeGreaterThan(3)
    expect(g.call('fd_fdstat_set_rights', fd, READ | WRITE, READ)).toBe(E.ENOTCAPABLE)
    expect(g.call('fd_fdstat_set_rights', fd, 0n, 0n)).toBe(0)
    expect(g.readText(fd, 1)).toBe(-E.ENOTCAPABLE)
    expect(g.call('fd_fdstat_set_rights', fd, READ, 0n)).toBe(E.ENOTCAPABLE)
  })

  test('the right to seek includes that to tell, and not the other way', () => {
    const g = guest()
    const [SEEK, TELL] = [4n, 32n]
    const seeks = g.open('f', { oflags: 1, rights: SEEK, inheriting: 0n })
    expect([g.call('fd_seek', seeks, 9n, 0, OUT), g.call('fd_tell', seeks, OUT), g.u64()]).toEqual([0, 0, 9n])
    const tells = g.open('f', { rights: TELL, inheriting: 0n })
    expect([g.call('fd_tell', tells, OUT), g.call('fd_seek', tells, 0n, 1, OUT)]).toEqual([0, 0])
    expect(g.call('fd_seek', tells, 9n, 0, OUT)).toBe(E.ENOTCAPABLE)
  })

  test('a number that is used again has no memory of the descriptor before it', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1, rights: READ, inheriting: 0n })
    expect(g.write(fd, 'x')).toBe(-E.ENOTCAPABLE)
    expect(g.call('fd_close', fd)).toBe(0)
    expect(g.write(fd, 'x')).toBe(-E.EBADF)
    expect(g.open('f')).toBe(fd)
    expect(g.write(fd, 'x')).toBe(1)
  })

  test('a directory has no rights that only files have, a file none that only directories have', () => {
    const g = guest()
    g.call('path_create_directory', 3, 'd')
    for (const [path, oflags, has, lacks] of [
      ['d', 0, 1n << 14n, 1n << 2n],
      ['d', 2, 1n << 14n, 1n << 22n],
      ['f', 1, 1n << 2n, 1n << 14n],
    ] as const) {
      const fd = g.open(path, { oflags, rights: path === 'd' ? 0x3fff_ffffn & ~WRITE : 0x3fff_ffffn })
      expect(g.call('fd_fdstat_get', fd, OUT)).toBe(0)
      const rights = g.u64(OUT + 8)
      expect([path, rights & has, rights & lacks]).toEqual([path, has, 0n])
    }
  })

  test('A380 a terminal is a character device without the right to seek, by which libc knows it', () => {
    const g = guest()
    for (const fd of [0, 1, 2]) {
      expect(g.call('fd_fdstat_get', fd, OUT)).toBe(0)
      expect([g.bytes[OUT], g.u64(OUT + 8) & (4n | 32n)]).toEqual([2, 0n])
    }
    g.world.host.mknodat(-100, '/fifo', 'fifo', 0o644)
    expect(g.call('path_filestat_get', 3, 0, 'fifo', OUT)).toBe(0)
    expect(g.bytes[OUT + 16]).toBe(0)
    g.world.host.mknodat(-100, '/tty', 'char', 0o644, (5 << 8) | 0)
    expect(g.call('path_filestat_get', 3, 0, 'tty', OUT)).toBe(0)
    expect(g.bytes[OUT + 16]).toBe(2)
  })
})

describe('descriptors', () => {
  test('A365 preopens are told by number and name; the first other descriptor ends the list', () => {
    const g = guest({ world: new TestWorld({ preopen: '/work', name: '/hüme' }) })
    expect(g.call('fd_prestat_get', 3, OUT)).toBe(0)
    expect([g.u32(), g.u32(OUT + 4)]).toEqual([0, 6])
    expect(g.call('fd_prestat_dir_name', 3, 3000, 6)).toBe(0)
    expect(g.read(3000, 6)).toBe('/hüme')
    expect(g.call('fd_prestat_dir_name', 3, 3000, 5)).toBe(E.ENAMETOOLONG)
    expect(g.call('fd_prestat_get', 4, OUT)).toBe(E.EBADF)
    expect(g.call('fd_close', 3)).toBe(0)
    expect(g.call('fd_prestat_get', 3, OUT)).toBe(E.EBADF)
  })

  test('A379 renumbering onto an open descriptor closes it; onto an unused number is EBADF', () => {
    const g = guest()
    g.world.writeFile('/a', 'A')
    g.world.writeFile('/b', 'B')
    const [a, b] = [g.open('a'), g.open('b')]
    expect(g.call('fd_renumber', a, 99)).toBe(E.EBADF)
    expect(g.call('fd_renumber', 99, a)).toBe(E.EBADF)
    expect(g.call('fd_renumber', a, b)).toBe(0)
    expect(g.readText(b, 5)).toBe('A')
    expect(g.call('fd_close', a)).toBe(E.EBADF)
    expect(g.call('fd_renumber', b, b)).toBe(0)
    expect(g.readText(b, 5)).toBe('')
  })

  test('offsets and sizes beyond what is possible are told as Linux tells them', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    g.write(fd, 'abc')
    g.view.setUint32(0, 100, true)
    g.view.setUint32(4, 8, true)
    const negative = -1n
    const huge = 2n ** 62n
    expect(g.call('fd_pread', fd, 0, 1, negative, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_pread', fd, 0, 1, huge, OUT)).toBe(0)
    expect(g.u32()).toBe(0)
    expect(g.call('fd_pwrite', fd, 0, 1, negative, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_pwrite', fd, 0, 1, huge, OUT)).toBe(E.EFBIG)
    expect(g.call('fd_filestat_set_size', fd, negative)).toBe(E.EINVAL)
    expect(g.call('fd_filestat_set_size', fd, huge)).toBe(E.EFBIG)
    expect(g.call('fd_allocate', fd, 0n, 0n)).toBe(E.EINVAL)
    expect(g.call('fd_allocate', fd, huge, 1n)).toBe(E.EFBIG)
    expect(g.call('fd_seek', fd, -4n, 1, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_seek', fd, 0n, 3, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_seek', fd, huge, 0, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_tell', fd, OUT)).toBe(0)
    expect([g.u64(), g.world.readFile('/f')]).toEqual([3n, 'abc'])
  })

  test('B035 a read or write that would end beyond the last offset there is is EINVAL, an allocation EFBIG', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    g.view.setUint32(0, 100, true)
    g.view.setUint32(4, 8, true)
    const last = 2n ** 63n - 1n
    expect(g.call('fd_pread', fd, 0, 1, last - 7n, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_pwrite', fd, 0, 1, last - 7n, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_pread', fd, 0, 1, last - 8n, OUT)).toBe(0)
    expect(g.u32()).toBe(0)
    expect(g.call('fd_pwrite', fd, 0, 1, last - 8n, OUT)).toBe(E.EFBIG)
    expect(g.call('fd_pread', fd, 0, 0, last, OUT)).toBe(0)
    expect(g.call('fd_allocate', fd, last - 7n, 8n)).toBe(E.EFBIG)
    expect(g.world.readFile('/f')).toBe('')
  })

  test('status flags are told and can change', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1, fdflags: 1 })
    g.write(fd, 'abc')
    expect(g.call('fd_seek', fd, 0n, 0, OUT)).toBe(0)
    g.write(fd, 'def')
    expect(g.world.readFile('/f')).toBe('abcdef')
    const flags = () => {
      g.call('fd_fdstat_get', fd, OUT)
      return g.view.getUint16(OUT + 2, true)
    }
    expect(flags()).toBe(1)
    expect(g.call('fd_fdstat_set_flags', fd, 4 | 2)).toBe(0)
    expect(flags()).toBe(4 | 2)
    expect(g.call('fd_fdstat_set_flags', fd, 16)).toBe(0)
    expect(flags()).toBe(16 | 8)
    expect(g.call('fd_fdstat_set_flags', fd, 32)).toBe(E.EINVAL)
  })

  test('there are no sockets', () => {
    const g = guest()
    expect(g.call('sock_shutdown', 1, 1)).toBe(E.ENOTSOCK)
    expect(g.call('sock_shutdown', 50, 1)).toBe(E.EBADF)
    expect(g.call('sock_recv', 1, 0, 0, 0, 0, 0)).toBe(E.ENOTSOCK)
    expect(g.call('sock_send', 1, 0, 0, 0, 0)).toBe(E.ENOTSOCK)
    expect(g.call('sock_accept', 1, 0, OUT)).toBe(E.ENOTSOCK)
  })
})

describe('times', () => {
  const stat = (g: TestGuest, path: string) => {
    expect(g.call('path_filestat_get', 3, 0, path, OUT)).toBe(0)
    return { atim: g.u64(OUT + 40), mtim: g.u64(OUT + 48), ctim: g.u64(OUT + 56) }
  }

  test('are set to the nanosecond, to now, or left alone', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    const before = stat(g, 'f')
    g.world.clock.now += 5_000_000n
    expect(g.call('fd_filestat_set_times', fd, 1_234_567_890_123_456_789n, 7n, 1)).toBe(0)
    expect(stat(g, 'f')).toMatchObject({ atim: 1_234_567_890_123_456_789n, mtim: before.mtim })
    expect(g.call('path_filestat_set_times', 3, 0, 'f', 0n, 3n, 2 | 4)).toBe(0)
    expect(stat(g, 'f')).toEqual({ atim: before.mtim + 5_000_000n, mtim: 3n, ctim: before.mtim + 5_000_000n })
  })

  test('A374 both given and now is EINVAL', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    for (const flags of [3, 12, 15, 16]) {
      expect(g.call('fd_filestat_set_times', fd, 1n, 1n, flags)).toBe(E.EINVAL)
      expect(g.call('path_filestat_set_times', 3, 0, 'f', 1n, 1n, flags)).toBe(E.EINVAL)
    }
  })
})

describe('listings', () => {
  interface Dirent {
    readonly next: bigint
    readonly ino: bigint
    readonly type: number
    readonly name: string
  }

  /** Lists a directory as readdir(3) does: whole entries only, on from the last one's cookie. */
  function list(g: TestGuest, fd: number, size: number): Dirent[] {
    const found: Dirent[] = []
    for (let cookie = 0n; ; ) {
      const at = 4096
      g.bytes.fill(0xee, at, at + size + 8)
      expect(g.call('fd_readdir', fd, at, size, cookie, OUT)).toBe(0)
      const used = g.u32()
      expect(used).toBeLessThanOrEqual(size)
      expect(g.bytes[at + size]).toBe(0xee)
      let whole = 0
      for (let p = at; p + 24 <= at + used; ) {
        const length = g.view.getUint32(p + 16, true)
        if (p + 24 + length > at + used) break
        cookie = g.u64(p)
        found.push({ next: cookie, ino: g.u64(p + 8), type: g.bytes[p + 20]!, name: g.read(p + 24, length) })
        p += 24 + length
        whole++
      }
      if (used < size) return found
      expect(whole, 'a buffer for one entry brings the listing on').toBeGreaterThan(0)
    }
  }

  test('A377 A381 every entry comes once whatever the size of the buffer, with the inode number that stat tells', () => {
    const g = guest()
    g.call('path_create_directory', 3, 'd')
    const names = [
      'a',
      'ö'.repeat(60),
      'x'.repeat(200),
      'link',
      'sub',
      ...Array.from({ length: 30 }, (_, i) => `file${i}`),
    ]
    for (const name of names.filter((n) => n !== 'link' && n !== 'sub')) g.world.writeFile(`/d/${name}`, '')
    g.call('path_symlink', 'a', 3, 'd/link')
    g.call('path_create_directory', 3, 'd/sub')
    const fd = g.open('d', { oflags: 2, rights: 1n << 14n, inheriting: 0n })
    fc.assert(
      fc.property(fc.integer({ min: 24 + 200, max: 3000 }), (size) => {
        const found = list(g, fd, size)
        expect(found.slice(0, 2).map((e) => e.name)).toEqual(['.', '..'])
        expect(new Set(found.map((e) => e.name))).toEqual(new Set(['.', '..', ...names]))
        expect(found).toHaveLength(names.length + 2)
        for (const { name, ino, type } of found.slice(2)) {
          expect(g.call('path_filestat_get', 3, 0, `d/${name}`, OUT)).toBe(0)
          expect([name, ino, type]).toEqual([name, g.u64(OUT + 8), g.bytes[OUT + 16]!])
        }
      }),
      { numRuns: 40 },
    )
  })

  test('A377 the last entry is cut where the buffer ends, and what is there is right', () => {
    const g = guest()
    g.call('path_create_directory', 3, 'd')
    g.world.writeFile('/d/näme', '')
    const fd = g.open('d', { oflags: 2, rights: 1n << 14n })
    expect(g.call('fd_readdir', fd, 4096, 1000, 0n, OUT)).toBe(0)
    const whole = g.u32()
    const bytes = g.bytes.slice(4096, 4096 + whole)
    expect(whole).toBe(24 * 3 + 1 + 2 + 5)
    for (let size = 0; size <= whole; size++) {
      g.bytes.fill(0xee, 4096, 6000)
      expect(g.call('fd_readdir', fd, 4096, size, 0n, OUT)).toBe(0)
      expect([size, g.u32()]).toEqual([size, size])
      expect(g.bytes.slice(4096, 4096 + size)).toEqual(bytes.slice(0, size))
      expect(g.bytes[4096 + size]).toBe(0xee)
    }
    expect(g.call('fd_readdir', fd, 4096, 100, -1n, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_readdir', fd, g.bytes.length - 10, 11, 0n, OUT)).toBe(E.EFAULT)
  })
})
