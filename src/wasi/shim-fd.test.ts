import { type Fd, File, type Inode, PreopenDirectory, type wasi as shim, WASI } from '@bjorn3/browser_wasi_shim'
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest'
import { E } from './errno.ts'
import { KernelFd } from './shim-fd.ts'
import { TestGuest } from './test-guest.ts'
import { TestWorld } from './test-world.ts'

let world: TestWorld | undefined
afterEach(() => world?.release())

/** A guest on the plain shim, whose preopen is ours. */
function shimGuest(beside: readonly Fd[] = []): { g: TestGuest; wasi: WASI; world: TestWorld } {
  world = new TestWorld()
  const fds = [0, 1, 2].map((fd) => new KernelFd(world!.guest, fd))
  const wasi = new WASI(['prog'], [], [...fds, new KernelFd(world.guest, 3, '/'), ...beside], { debug: false })
  const g = new TestGuest({ world })
  wasi.initialize({ exports: { memory: g.memory as unknown as WebAssembly.Memory } })
  // The driver's own preview1 gives way to the shim's.
  g.wasi.wasiImport = wasi.wasiImport
  return { g, wasi, world }
}

const OUT = 512

describe('the plain shim over the sandbox', () => {
  test('opens, writes, seeks, reads and stats files', () => {
    const { g, world } = shimGuest()
    const fd = g.open('file', { oflags: 1 })
    expect(g.write(fd, 'hällo')).toBe(6)
    expect(g.call('fd_seek', fd, 1n, 0, OUT)).toBe(0)
    expect(g.readText(fd, 10)).toBe('ällo')
    expect(world.readFile('/file')).toBe('hällo')
    world.clock.now += 77n
    expect(g.call('fd_filestat_set_times', fd, 0x1122334455667788n, 5n, 1 | 4)).toBe(0)
    expect(g.call('fd_filestat_get', fd, OUT)).toBe(0)
    expect([g.u64(OUT + 32), g.u64(OUT + 40), g.u64(OUT + 48)]).toEqual([6n, 0x1122334455667788n, 5n])
    expect(g.call('fd_close', fd)).toBe(0)
    expect(g.open('missing')).toBe(-E.ENOENT)
    expect(g.open('../x')).toBe(-E.ENOTCAPABLE)
  })

  test('knows its preopen by name, and stdio as terminals', () => {
    const { g } = shimGuest()
    expect(g.call('fd_prestat_get', 3, OUT)).toBe(0)
    expect(g.u32(OUT + 4)).toBe(1)
    expect(g.call('fd_prestat_get', 1, OUT)).toBe(E.EBADF)
    expect(g.call('fd_fdstat_get', 1, OUT)).toBe(0)
    expect([g.bytes[OUT], g.u64(OUT + 8) & 4n]).toEqual([2, 0n])
    expect(g.write(1, 'out')).toBe(3)
    expect(world!.stdout.text).toBe('out')
    expect(g.readText(0, 3)).toBe(-E.EAGAIN)
  })

  test('renames in one step, and a rename that fails changes nothing', () => {
    const { g, world } = shimGuest()
    world.writeFile('/a', 'A')
    world.host.mkdirat(-100, '/d', 0o755)
    world.writeFile('/d/x', 'X')
    expect(g.call('path_rename', 3, 'a', 3, 'b')).toBe(0)
    expect(world.readFile('/b')).toBe('A')
    expect(g.call('path_rename', 3, 'a', 3, 'c')).toBe(E.ENOENT)
    expect(g.call('path_rename', 3, 'b', 3, 'd')).toBe(E.EISDIR)
    expect([world.readFile('/b'), world.readFile('/d/x')]).toEqual(['A', 'X'])
    expect(g.call('path_rename', 3, 'd', 3, 'e')).toBe(0)
    expect(world.readFile('/e/x')).toBe('X')
  })

  test('links, makes and removes', () => {
    const { g, world } = shimGuest()
    world.writeFile('/a', 'A')
    expect(g.call('path_link', 3, 0, 'a', 3, 'b')).toBe(0)
    expect(g.call('path_filestat_get', 3, 0, 'b', OUT)).toBe(0)
    expect(g.u64(OUT + 24)).toBe(2n)
    expect(g.call('path_link', 3, 0, 'a', 3, 'b')).toBe(E.EEXIST)
    expect(g.call('path_create_directory', 3, 'd')).toBe(0)
    expect(g.call('path_unlink_file', 3, 'd')).toBe(E.EISDIR)
    expect(g.call('path_remove_directory', 3, 'd')).toBe(0)
    expect(g.call('path_unlink_file', 3, 'a')).toBe(0)
    expect(world.readFile('/b')).toBe('A')
    world.host.symlinkat('b', -100, '/link')
    expect(g.call('path_readlink', 3, 'link', 3000, 10, OUT)).toBe(0)
    expect([g.u32(), g.read(3000, 1)]).toEqual([1, 'b'])
  })

  test('lists a directory whole, also one of many entries', () => {
    const { g, world } = shimGuest()
    const names = Array.from({ length: 400 }, (_, i) => `file-${i}`)
    world.host.mkdirat(-100, '/d', 0o755)
    for (const name of names) world.writeFile(`/d/${name}`, '')
    const fd = g.open('d', { oflags: 2, rights: 1n << 14n })
    expect(g.call('fd_readdir', fd, 65_536, 65_536, 0n, OUT)).toBe(0)
    const seen: string[] = []
    for (let at = 65_536; at < 65_536 + g.u32(); ) {
      const length = g.u32(at + 16)
      seen.push(g.read(at + 24, length))
      at += 24 + length
    }
    expect(new Set(seen)).toEqual(new Set(['.', '..', ...names]))
    expect(seen).toHaveLength(402)
  })

  test('beside a directory of the shim’s own: from there EXDEV, to there a name for the place, and nothing is thrown', () => {
    const theirs = new PreopenDirectory('/theirs', new Map([['t', new File(Buffer.from('T'))]]))
    const { g, world } = shimGuest([theirs])
    world.writeFile('/a', 'A')
    world.writeFile('/b', 'B')
    expect(g.call('path_rename', 4, 't', 3, 't')).toBe(E.EXDEV)
    expect(g.call('path_link', 4, 0, 't', 3, 't')).toBe(E.EXDEV)
    expect(g.call('path_link', 3, 0, 'a', 4, 'a')).toBe(0)
    expect(g.call('path_rename', 3, 'b', 4, 'b')).toBe(0)
    expect(world.readFile('/b')).toBe('B')
    const read = (name: string) => {
      const fd = g.open(name, { dir: 4, rights: 2n })
      return fd < 0 ? fd : g.readText(fd, 10)
    }
    expect(['t', 'a', 'b'].map(read)).toEqual(['T', 'A', 'B'])
    expect(g.call('path_unlink_file', 3, 'b')).toBe(0)
    expect([read('b'), g.call('path_filestat_get', 4, 0, 'b', OUT), g.bytes[OUT + 16]]).toEqual([-E.ENOENT, 0, 0])
    expect(g.call('fd_readdir', 4, 65_536, 65_536, 0n, OUT)).toBe(0)
    expect(g.call('path_unlink_file', 4, 'b')).toBe(0)
  })

  test('a size that is none is as large as an iovec could say', () => {
    const { world } = shimGuest()
    world.writeFile('/a', 'A')
    const file = new KernelFd(world.guest, 3, '/').path_open(0, 'a', 0, 2n, 0n, 0).fd_obj!
    expect([file.fd_pread(-1, 0n).data, file.fd_read(-1).data]).toEqual([Uint8Array.of(65), Uint8Array.of(65)])
  })

  test('one that was closed leaves alone who has its number now', () => {
    const { world } = shimGuest()
    world.writeFile('/a', 'A')
    world.writeFile('/b', 'B')
    const directory = new KernelFd(world.guest, 3, '/')
    const open = (path: string) => directory.path_open(0, path, 0, 2n, 0n, 0).fd_obj!
    const a = open('a')
    const number = a.fd
    expect(a.fd_close()).toBe(0)
    const b = open('b')
    expect(b.fd).toBe(number)
    expect([a.fd_close(), a.fd_read(1).ret, a.fd_filestat_get(), a.fd_fdstat_get()]).toEqual([
      ...[E.EBADF, E.EBADF, { ret: E.EBADF, filestat: null }, { ret: E.EBADF, fdstat: null }],
    ])
    expect(b.fd_read(1).data).toEqual(Uint8Array.of(66))
  })

  test('answers are of the shim’s types', () => {
    type Answer<K extends keyof KernelFd> = KernelFd[K] extends (...args: never[]) => infer R ? R : never
    expectTypeOf<Answer<'path_open'>['fd_obj']>().toEqualTypeOf<KernelFd | null>()
    expectTypeOf<Answer<'fd_readdir_single'>['dirent']>().toEqualTypeOf<shim.Dirent | null>()
    expectTypeOf<Answer<'path_readlink'>['data']>().toEqualTypeOf<string | null>()
    expectTypeOf<Answer<'path_lookup'>['inode_obj']>().toExtend<Inode | null>()
  })
})
