import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { O_CREAT, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import { inWorld, outcome } from '../../testing/host-world.ts'
import { overlayOf, testVfs } from '../../testing/overlays.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { formatTmpfsOptions, parseTmpfsOptions } from './options.ts'
import { type Tmpfs, tmpfsTypeOf } from './tmpfs.ts'

const GIB = 2 ** 30
const faultOf = (data: string, memory?: number) => outcome(() => parseTmpfsOptions(data, memory))

describe('options', () => {
  test('B001 B002 mode is octal and masked, uid and gid are decimal; size, nr_blocks, nr_inodes and noswap are known', () => {
    expect(parseTmpfsOptions('mode=17755,uid=10,gid=20')).toEqual({ mode: 0o7755, uid: 10, gid: 20 })
    expect(parseTmpfsOptions('size=8k,nr_inodes=5,noswap')).toEqual({ size: 8192, inodes: 5 })
    expect(parseTmpfsOptions('nr_blocks=3')).toEqual({ size: 3 * 4096 })
    for (const data of ['huge=always', 'Size=1k', 'foo', 'noswap=1']) expect(faultOf(data), data).toBe('EINVAL')
  })

  test('B003 a mode or an id that is no number is EINVAL', () => {
    const bad = ['mode', 'mode=', 'mode=8', 'mode=0x1', 'uid=', 'uid=-1', 'uid=a', 'gid=1.5', 'gid=4294967295']
    for (const data of bad) expect(faultOf(data), data).toBe('EINVAL')
    expect(parseTmpfsOptions('uid=4294967294').uid).toBe(4_294_967_294)
  })

  test('B004 of repeated keys the last counts, size and nr_blocks being one', () => {
    expect(parseTmpfsOptions('mode=700,mode=755').mode).toBe(0o755)
    expect(parseTmpfsOptions('size=4k,nr_blocks=3').size).toBe(3 * 4096)
    expect(parseTmpfsOptions('nr_blocks=3,size=4k').size).toBe(4096)
  })

  test.each([
    ['1', 4096],
    ['4096', 4096],
    ['5000', 8192],
    ['1k', 4096],
    ['2M', 2 * 2 ** 20],
    ['3g', 3 * GIB],
    ['1T', 2 ** 40],
    ['1p', 2 ** 50],
    ['1e', 2 ** 60],
  ])('B005 B006 size=%s is %i bytes, in whole pages', (text, bytes) => {
    expect(parseTmpfsOptions(`size=${text}`).size).toBe(bytes)
  })

  test('B005 a size without a number, with two suffixes or beyond 64 bits is EINVAL', () => {
    for (const data of ['size', 'size=', 'size=k', 'size=5e3', 'size=1kk', 'size=-1', 'size=1.5k', 'size=16e']) {
      expect(faultOf(data, GIB), data).toBe('EINVAL')
    }
  })

  test('B007 a percentage is one of memory, and of sizes only', () => {
    expect(parseTmpfsOptions('size=50%', GIB).size).toBe(GIB / 2)
    for (const data of ['nr_blocks=50%', 'nr_inodes=50%', 'size=%']) expect(faultOf(data, GIB), data).toBe('EINVAL')
    // There is nothing to take it of.
    expect(faultOf('size=50%')).toBe('EINVAL')
  })

  test('B010 what was given is printed, in one order, sizes in KiB', () =>
    inWorld({}, (root) => {
      const optionsOf = (data: string) =>
        root.vfs.newFilesystem({ type: 'tmpfs', data, uid: 5, gid: 6 }).filesystem.options
      expect(optionsOf('gid=2,uid=1,mode=755,nr_inodes=1k,size=1m')).toBe(
        'size=1024k,nr_inodes=1024,mode=755,uid=1,gid=2',
      )
      expect(optionsOf('')).toBe('')
      expect(optionsOf('mode=0700')).toBe('mode=700')
      expect(formatTmpfsOptions({ size: 0, inodes: 0 })).toBe('size=0k,nr_inodes=0')
    }))
})

describe('limits', () => {
  const inMemory = (memory: number | undefined, data: string, check: (blocks: number, files: number) => void) =>
    inWorld({ data, tmpfs: tmpfsTypeOf(memory) }, (root) => {
      const { blocks, files } = root.host.statfs('/')
      check(blocks, files)
    })

  test('B008 B009 by default a tmpfs takes half of memory, and an inode for each page of that', () => {
    inMemory(2 ** 20, '', (blocks, files) => expect([blocks, files]).toEqual([128, 128]))
    inMemory(2 ** 20, 'size=4k,nr_inodes=3', (blocks, files) => expect([blocks, files]).toEqual([1, 3]))
    inMemory(2 ** 20, 'size=0,nr_inodes=0', (blocks, files) => expect([blocks, files]).toEqual([2 ** 38, 0]))
    inMemory(undefined, '', (blocks, files) => expect([blocks, files]).toEqual([2 ** 38, 0]))
  })

  test('B008 the kernel may do without the default', () =>
    inWorld({ tmpfs: tmpfsTypeOf(2 ** 20) }, (root) => {
      const { filesystem } = root.vfs.newFilesystem({ type: 'tmpfs', internal: { defaultLimits: false } })
      expect(filesystem.usage()).toMatchObject({ blocks: 2 ** 38, files: 0 })
    }))

  test('B006 size=0 has no limit', () =>
    inWorld({ data: 'size=0,nr_inodes=0', tmpfs: tmpfsTypeOf(8192) }, (root) => {
      root.write('/f', 'x'.repeat(100_000))
      expect(root.stat('/f').size).toBe(100_000)
    }))

  test('B009 D099 the root is one of the inodes; a creation past them is ENOSPC until one is gone', () =>
    inWorld({ data: 'nr_inodes=3' }, (root) => {
      root.write('/a')
      root.mkdir('/b')
      expect(outcome(() => root.write('/c'))).toBe('ENOSPC')
      expect(outcome(() => root.mkdir('/c'))).toBe('ENOSPC')
      expect(outcome(() => root.task.linkat(-100, '/a', -100, '/a2', 0))).toBe('ok')
      root.task.unlinkat(-100, '/b', 0x200)
      expect(outcome(() => root.write('/c'))).toBe('ok')
    }))

  test('B044 a symlink of 128 bytes takes a page, one of 127 and names of other kinds take none', () =>
    inWorld({ data: 'size=4k' }, (root) => {
      const free = () => root.host.statfs('/').blocksFree
      root.task.symlinkat('x'.repeat(127), -100, '/short')
      root.mkdir('/d')
      root.task.linkat(-100, '/short', -100, '/link', 0)
      expect(free()).toBe(1)
      root.task.symlinkat('é'.repeat(64), -100, '/long')
      expect(free()).toBe(0)
      expect(outcome(() => root.task.symlinkat('y'.repeat(128), -100, '/more'))).toBe('ENOSPC')
      root.task.unlinkat(-100, '/long', 0)
      expect(free()).toBe(1)
    }))

  test('B045 the space of a file that is open outlives its last name', () =>
    inWorld({ data: 'size=4k' }, (root) => {
      const fd = root.open('/f', O_CREAT | O_RDWR)
      root.put(fd, 'text')
      root.task.unlinkat(-100, '/f', 0)
      expect(root.host.statfs('/').blocksFree).toBe(0)
      const bytes = new Uint8Array(4)
      expect(root.task.preadv(fd, bytes, [0, 4], 0)).toBe(4)
      root.task.close(fd)
      expect(root.host.statfs('/').blocksFree).toBe(1)
    }))
})

describe('the root', () => {
  test('B011 it is 01777 for a directory, 0777 for others, and belongs to who mounts', () =>
    inWorld({}, (root) => {
      const made = (internal?: object, data = '') =>
        root.vfs.newFilesystem({ type: 'tmpfs', uid: 5, gid: 6, data, internal }).filesystem.root
      expect(made()).toMatchObject({ mode: 0o041777, uid: 5, gid: 6 })
      expect(made({ rootKind: 'file' })).toMatchObject({ mode: 0o100777, uid: 5, gid: 6 })
      expect(made({ rootKind: 'symlink', rootTarget: 'x' })).toMatchObject({ mode: 0o120777 })
      expect(made({}, 'mode=700,uid=1,gid=2')).toMatchObject({ mode: 0o040700, uid: 1, gid: 2 })
    }))

  test('B012 it is a directory, a file or a symlink with a target', () =>
    inWorld({}, (root) => {
      const make = (internal: object) => root.vfs.newFilesystem({ type: 'tmpfs', internal }).filesystem.root
      const link = make({ rootKind: 'symlink', rootTarget: 'target' })
      expect(link.kind === 'symlink' && link.readlink(root.task.attempt)).toBe('target')
      expect(make({}).kind).toBe('directory')
      expect(make({ rootKind: 'file' }).kind).toBe('file')
      const used = root.vfs.anonymousDevices.inUse
      for (const rootKind of ['fifo', 'char', 'socket']) expect(() => make({ rootKind })).toThrow('as root')
      expect(root.vfs.anonymousDevices.inUse).toBe(used)
    }))

  test('B013 one that is a file is mounted on a file, and read and written at its path', () =>
    inWorld({}, (root) => {
      root.write('/f', 'below')
      const filesystem = root.vfs.newFilesystem({ type: 'tmpfs', internal: { rootKind: 'file' } })
      root.vfs.attach(root.vfs.newMount(filesystem), root.place('/f'))
      expect(root.read('/f')).toBe('')
      const fd = root.open('/f', O_WRONLY)
      root.put(fd, 'above')
      root.task.close(fd)
      expect(root.read('/f')).toBe('above')
      expect(root.stat('/f')).toMatchObject({ ino: 1, dev: filesystem.filesystem.dev })
    }))

  test('B014 B015 the kernel may give it another type name and other longest names', () =>
    inWorld({}, (root) => {
      const internal = { type: 'posing', nameMax: 10 }
      const made = root.vfs.newFilesystem({ type: 'tmpfs', internal })
      expect(made.filesystem.type).toBe('posing')
      root.mkdir('/m')
      root.vfs.attach(root.vfs.newMount(made), root.place('/m'))
      root.write('/m/0123456789')
      expect(outcome(() => root.write('/m/0123456789a'))).toBe('ENAMETOOLONG')
      expect(root.host.statfs('/m').nameLength).toBe(10)
      expect(outcome(() => root.write(`/${'x'.repeat(255)}`))).toBe('ok')
      expect(outcome(() => root.write(`/${'x'.repeat(256)}`))).toBe('ENAMETOOLONG')
    }))
})

describe('inodes', () => {
  test('B017 numbers start at the root with 1, grow, and are not used again', () =>
    inWorld({}, (root) => {
      expect(root.stat('/').ino).toBe(1)
      root.write('/a')
      root.write('/b')
      expect([root.stat('/a').ino, root.stat('/b').ino]).toEqual([2, 3])
      root.task.unlinkat(-100, '/b', 0)
      root.write('/c')
      expect(root.stat('/c').ino).toBe(4)
    }))

  test('B018 B019 B020 B021 B023 times, sizes, link counts and numbers of what was just made', () =>
    inWorld({}, (root) => {
      const { now } = root.clock
      root.mkdir('/d')
      root.mkdir('/d/sub')
      root.write('/d/f')
      root.task.symlinkat('é/x', -100, '/d/l')
      root.mknod('/d/p', 'fifo')
      root.mknod('/d/c', 'char', 0o600, makeDevice(4, 65))
      for (const path of ['/d', '/d/f', '/d/p']) {
        expect(root.stat(path)).toMatchObject({ atime: now, btime: now, mtime: now, ctime: now, blksize: 4096 })
      }
      expect(root.stat('/d')).toMatchObject({ size: 20 * 7, nlink: 3, blocks: 0 })
      expect(root.task.fstatat(-100, '/d/l', 0x100).size).toBe(4)
      expect(root.stat('/d/p')).toMatchObject({ size: 0, rdev: 0, nlink: 1 })
      expect(root.stat('/d/c')).toMatchObject({ size: 0, rdev: makeDevice(4, 65) })
      root.task.unlinkat(-100, '/d/sub', 0x200)
      expect(root.stat('/d')).toMatchObject({ size: 20 * 6, nlink: 2 })
    }))
})

describe('whiteouts', () => {
  test('B066 the whiteouts of an overlay cost one inode in all, given back with the last of them', () => {
    const { shell, upperFilesystem, upper } = overlayOf({
      lowers: [{ a: '1', b: '2', 'd/c': '3', 'd/e': '4' }],
      upperData: 'nr_inodes=20',
    })
    const used = () => (upperFilesystem as Tmpfs).usage()
    const before = used().filesFree
    for (const name of ['a', 'b']) shell.call((task) => task.unlinkat(-100, name, 0))
    expect(used().filesFree).toBe(before - 1)
    const none = shell.task.attempt
    expect(upper.lookup('a', none)).toBe(upper.lookup('b', none))
    expect(upper.lookup('a', none)).toMatchObject({ kind: 'char', rdev: 0, mode: 0o020000, nlink: 2 })
    shell.write('a', 'again')
    shell.write('b', 'again')
    expect(used().filesFree).toBe(before - 2)
    shell.call((task) => task.unlinkat(-100, 'a', 0))
    expect(used().filesFree).toBe(before - 2)
  })

  test('a device 0:0 that a user makes is a node of its own', () =>
    inWorld({}, (root) => {
      root.mknod('/a', 'char', 0)
      root.mknod('/b', 'char', 0)
      expect(root.stat('/a').ino).not.toBe(root.stat('/b').ino)
    }))
})

test('B016 contents are there before the mount is given back; if they fail, so does the mount, and nothing is left', () => {
  const vfs = testVfs()
  const fill = (root: Inode) => {
    ;(root as DirectoryInode).create!('f', { kind: 'file', mode: 0o644, uid: 0, gid: 0, now: 0n }, new Attempt())
  }
  const { filesystem } = vfs.newFilesystem({ type: 'tmpfs', internal: { contents: fill } })
  expect((filesystem.root as DirectoryInode).lookup('f', new Attempt())?.kind).toBe('file')
  const before = vfs.superblocks.size
  const failing = (root: Inode) => {
    fill(root)
    throw new ErrnoError('EINVAL', 'f', 'archive entry 0: broken')
  }
  expect(() => vfs.newFilesystem({ type: 'tmpfs', internal: { contents: failing } })).toThrow('archive entry 0: broken')
  expect(vfs.superblocks.size).toBe(before)
})
