/** verity over a tmpfs: what it shows, what it refuses, and that nothing that is changed below gets past it. */

import { sha256 } from '@noble/hashes/sha2.js'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../abi/linux.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { HostCalls } from '../../kernel/host-calls.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { newVfs } from '../../testing/conformance/arenas.ts'
import { Passthrough } from '../../testing/fuse-passthrough.ts'
import {
  allFlips,
  contentFlip,
  everything,
  type Flip,
  readAll,
  seal,
  verityOver,
  waited,
} from '../../testing/sealed.ts'
import { dir, find, linkTo, none, picture, plant, Shell, type Tree, textOf, veiled } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode, Inode } from '../../vfs/inode.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { Connection } from '../fuse/connection.ts'
import { fuseType } from '../fuse/fuse.ts'
import { HashTree, levelsOf, TreeBuilder } from './hash-tree.ts'

const SMALL: Tree = {
  a: 'some text',
  'sub/b': { kind: 'file', text: 'x', mode: 0o640, uid: 7, gid: 8, mtime: 1_234_567_890n, xattrs: { 'user.k': 'v' } },
  'sub/empty': '',
  'sub/deep': dir,
  link: linkTo('sub/b'),
  fifo: { kind: 'fifo' },
}

function world(tree: Tree = SMALL) {
  const vfs = newVfs()
  const lower = vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' })
  const root = lower.root.inode as DirectoryInode
  const keep = vfs.newMount(lower)
  plant(root, tree)
  return {
    vfs,
    lower,
    root,
    /** Nothing is left. */
    end() {
      vfs.discard(keep)
      expect(vfs.superblocks.size).toBe(0)
      expect(vfs.anonymousDevices.inUse).toBe(1)
    },
  }
}

function sealedWorld(tree?: Tree) {
  const made = world(tree)
  const hash = seal(made.vfs, made.root)
  const shell = () => new Shell(made.vfs, verityOver(made.vfs, made.root, { hash }))
  return { ...made, hash, shell }
}

const failure = (act: () => unknown): ErrnoError | undefined => {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof ErrnoError) return error
    throw error
  }
}

/** Whether all can be read, through a new mount: the error if not. */
function readThrough(vfs: Vfs, root: Inode, hash: string): ErrnoError | undefined {
  return failure(() => {
    const superblock = verityOver(vfs, root, { hash })
    const mount = vfs.newMount(superblock)
    try {
      readAll(superblock.root.inode)
    } finally {
      vfs.discard(mount)
    }
  })
}

/** The flips that nobody noticed, and errors that were no EIO. */
function unnoticed(flips: Iterable<Flip>, vfs: Vfs, root: Inode, hash: string): { count: number; wrong: string[] } {
  const wrong: string[] = []
  let count = 0
  for (const { what, flip } of flips) {
    count++
    const back = flip()
    const error = readThrough(vfs, root, hash)
    if (error?.code !== 'EIO' || !error.detail?.startsWith('verity: /'))
      wrong.push(`${what}: ${error?.message ?? 'read'}`)
    back()
  }
  return { count, wrong }
}

describe('what it shows', () => {
  test('B184 the files of the lower filesystem, without the trees that lie beside them', () => {
    const { root, shell, end } = sealedWorld()
    expect(
      [...everything(root)]
        .map(({ path }) => path)
        .filter((path) => path.includes('.merkle'))
        .sort(),
    ).toEqual([
      '/.merkle.verity.a',
      '/.merkle.verity.fifo',
      '/.merkle.verity.link',
      '/.merkle.verity.sub',
      '/.merkleroot.verity.root',
      '/sub/.merkle.verity.b',
      '/sub/.merkle.verity.deep',
      '/sub/.merkle.verity.empty',
    ])
    const seen = shell()
    expect(picture(seen.place('/').dentry.inode)).toEqual({
      a: 'file some text',
      fifo: 'fifo',
      link: 'link sub/b',
      sub: 'dir',
      'sub/b': 'file x',
      'sub/deep': 'dir',
      'sub/empty': 'file',
    })
    expect(seen.list('/')).toEqual(['a', 'fifo', 'link', 'sub'])
    expect(seen.exists('/.merkle.verity.a')).toBe(false)
    expect(seen.stat('/sub/b')).toMatchObject({
      mode: 0o100640,
      uid: 7,
      gid: 8,
      mtime: 1_234_567_890n,
      size: 1,
      nlink: 1,
    })
    expect(seen.stat('/sub').nlink).toBe(3)
    expect(seen.read('/link')).toBe('x')
    expect(seen.place('/sub/b').dentry.inode.xattrs!.get('user.k')).toEqual(encodeUtf8('v'))
    seen.end()
    end()
  })

  test('equal files have equal hashes, whatever order they came in', () => {
    const one = sealedWorld({ a: 'x', b: 'y', 'd/e': 'z' })
    const other = sealedWorld({ 'd/e': 'z', b: 'y', a: 'x' })
    expect(one.hash).toBe(other.hash)
    expect(one.hash).not.toBe(sealedWorld({ a: 'x', b: 'y', 'd/f': 'z' }).hash)
  })

  test('B185 nothing can be changed', () => {
    const { shell, end } = sealedWorld()
    const seen = shell()
    const calls = new HostCalls(seen.task)
    const fd = seen.open('/a', O_RDONLY)
    const refused: Record<string, () => unknown> = {
      create: () => seen.open('/new', O_CREAT | O_RDWR),
      write: () => seen.open('/a', O_WRONLY),
      cut: () => seen.open('/a', O_RDONLY | O_TRUNC),
      truncate: () => seen.truncate('/a', 0),
      mkdir: () => seen.mkdir('/d'),
      mknod: () => seen.mknod('/n', 'fifo'),
      symlink: () => seen.symlink('x', '/s'),
      link: () => seen.link('/a', '/l'),
      unlink: () => seen.unlink('/a'),
      rmdir: () => seen.rmdir('/sub/deep'),
      rename: () => seen.rename('/a', '/z'),
      chmod: () => seen.chmod('/a', 0o600),
      fchmod: () => seen.call(() => calls.fchmod(fd, 0o600)),
      fchown: () => seen.call(() => calls.fchown(fd, 1, 1)),
      utimes: () => seen.utimes('/a', 1n, 1n),
      futimens: () => seen.call(() => calls.futimens(fd, 1n, 1n)),
      setxattr: () => seen.call(() => calls.setxattr('/a', 'user.x', encodeUtf8('x'), 0)),
      removexattr: () => seen.call(() => calls.removexattr('/sub/b', 'user.k')),
    }
    const codes = Object.entries(refused).map(([name, call]) => [name, failure(call)?.code])
    expect(codes).toEqual(Object.keys(refused).map((name) => [name, 'EROFS']))
    expect(failure(() => seen.pwrite(fd, 'x', 0))?.code).toBe('EBADF')
    seen.close(fd)
    seen.end()
    end()
  })

  test('E021 every part of a file reads as it is, from any offset and of any length', () => {
    const bytes = Uint8Array.from({ length: 3 * 4096 + 100 }, (_, i) => (i * 7) ^ (i >> 8))
    const { vfs, root, end } = world({ f: '' })
    const file = find(root, 'f') as FileInode
    file.write!(bytes, 0, bytes.length, 0, none)
    const hash = seal(vfs, root)
    const superblock = verityOver(vfs, root, { hash })
    const mount = vfs.newMount(superblock)
    const seen = find(superblock.root.inode, 'f') as FileInode
    fc.assert(
      fc.property(fc.nat(bytes.length + 10), fc.nat(3 * 4096), fc.nat(9), (offset, length, at) => {
        const memory = new Uint8Array(length + 20).fill(0xee)
        const count = seen.read(memory, at, length, offset, none)
        const expected = bytes.subarray(offset, offset + length)
        expect(count).toBe(expected.length)
        expect(Buffer.compare(memory.subarray(at, at + count), expected)).toBe(0)
        expect(memory.subarray(0, at).every((byte) => byte === 0xee)).toBe(true)
        expect(memory.subarray(at + count).every((byte) => byte === 0xee)).toBe(true)
      }),
      { numRuns: 500 },
    )
    vfs.discard(mount)
    end()
  })
})

describe('what is not as it was', () => {
  test('B188 B189 E080 one bit of anything, each in turn: content, attributes, names, targets, entries, trees', () => {
    const { vfs, root, hash, end } = sealedWorld()
    expect(readThrough(vfs, root, hash)).toBeUndefined()
    const { count, wrong } = unnoticed(allFlips(root), vfs, root, hash)
    expect(wrong).toEqual([])
    expect(count).toBeGreaterThan(10_000)
    expect(readThrough(vfs, root, hash)).toBeUndefined()
    end()
  }, 120_000)

  test('B188 any bit of a larger tree, at random', () => {
    const names = Array.from({ length: 60 }, (_, i) => `d${i % 7}/e${i % 3}/file-${i}`)
    const { vfs, root, end } = world(Object.fromEntries(names.map((name, i) => [name, `${name} `.repeat(i * i * 3)])))
    const hash = seal(vfs, root)
    const files = [...everything(root)].flatMap(({ path, inode }) =>
      inode.kind === 'file' && inode.size ? [{ path, inode }] : [],
    )
    expect(Math.max(...files.map(({ inode }) => inode.size))).toBeGreaterThan(100_000)
    const random = fc.sample(fc.tuple(fc.nat(files.length - 1), fc.double({ min: 0, max: 0.999999, noNaN: true })), {
      numRuns: 60,
      seed: 8,
    })
    const flips = random.map(([n, where]) =>
      contentFlip(files[n]!.path, files[n]!.inode, Math.floor(where * files[n]!.inode.size * 8)),
    )
    expect(unnoticed(flips, vfs, root, hash)).toEqual({ count: 60, wrong: [] })
    end()
  }, 60_000)

  test('B188 a hash that is another one', () => {
    const { vfs, root, hash } = sealedWorld()
    for (let bit = 0; bit < 256; bit++) {
      const digit = Number.parseInt(hash[bit >> 2]!, 16) ^ (1 << (bit & 3))
      const turned = hash.slice(0, bit >> 2) + digit.toString(16) + hash.slice((bit >> 2) + 1)
      expect(readThrough(vfs, root, turned)?.detail).toBe('verity: /: its tree is damaged')
    }
  })

  test.each<[string, (root: DirectoryInode) => void, (shell: Shell) => unknown, string]>([
    [
      'a byte',
      (root) => write(root, 'a', 'S', 0),
      (seen) => seen.read('/a'),
      '/a: its bytes from 0 to 8 are not what was measured',
    ],
    ['a longer file', (root) => write(root, 'a', '!', 9), (seen) => seen.read('/a'), '/a: its size is 10, and was 9'],
    [
      'a mode',
      (root) => find(root, 'sub/b')!.setAttributes({ mode: 0o644 }, none),
      (seen) => seen.stat('/sub/b'),
      '/sub/b: its mode is 100644, and was 100640',
    ],
    [
      'an owner',
      (root) => find(root, 'a')!.setAttributes({ uid: 3 }, none),
      (seen) => seen.stat('/a'),
      '/a: its owner is 3, and was 0',
    ],
    [
      'an attribute',
      (root) => void find(root, 'sub/b')!.xattrs!.set('user.k', encodeUtf8('w')),
      (seen) => seen.stat('/sub/b'),
      '/sub/b: its extended attributes have changed',
    ],
    [
      'a removed file',
      (root) => root.unlink!('a', find(root, 'a')!, none),
      (seen) => seen.stat('/a'),
      '/a: is missing',
    ],
    [
      'a removed file, listed',
      (root) => root.unlink!('a', find(root, 'a')!, none),
      (seen) => seen.list('/'),
      '/a: is missing',
    ],
    ['a new file', (root) => plant(root, { new: 'x' }), (seen) => seen.stat('/new'), '/new: was not there'],
    [
      'a new file, listed',
      (root) => plant(root, { 'sub/new': 'x' }),
      (seen) => seen.list('/sub'),
      '/sub/new: was not there',
    ],
    [
      'another kind',
      (root) => replace(root, 'fifo', 'file'),
      (seen) => seen.list('/'),
      '/fifo: is a file, and was a fifo',
    ],
    [
      'a removed tree',
      (root) => root.unlink!('.merkle.verity.a', find(root, '.merkle.verity.a')!, none),
      (seen) => seen.stat('/a'),
      '/a: its tree is missing',
    ],
    [
      'a longer tree',
      (root) => write(root, '.merkle.verity.a', '!', 300),
      (seen) => seen.stat('/a'),
      '/a: its tree has 301 bytes, and had',
    ],
  ])('B188 B189 E021 is told by what it is and where: %s', (_, change, look, message) => {
    const { root, shell, end } = sealedWorld()
    const seen = shell()
    change(root)
    expect(failure(() => look(seen))).toMatchObject({
      code: 'EIO',
      detail: expect.stringContaining(`verity: ${message}`),
    })
    seen.end()
    end()
  })

  test('B189 what was looked at before is looked at again', () => {
    const { root, shell, end } = sealedWorld()
    const seen = shell()
    readAll(seen.place('/').dentry.inode)
    const fd = seen.open('/a', O_RDONLY)
    expect(seen.pread(fd)).toBe('some text')
    write(root, 'a', 'S', 0)
    expect(failure(() => seen.pread(fd))?.code).toBe('EIO')
    write(root, 'a', 's', 0)
    expect(seen.pread(fd)).toBe('some text')
    find(root, 'a')!.setAttributes({ gid: 3 }, none)
    expect(failure(() => seen.stat('/a'))?.detail).toContain('its group is 3, and was 0')
    root.unlink!('link', find(root, 'link')!, none)
    expect(failure(() => seen.stat('/link'))?.detail).toContain('/link: is missing')
    seen.close(fd)
    seen.end()
    end()
  })

  test('B189 a name that nothing has is just not there', () => {
    const { shell, end } = sealedWorld()
    const seen = shell()
    expect(failure(() => seen.stat('/none'))?.code).toBe('ENOENT')
    seen.end()
    end()
  })

  test('B189 only the blocks that are read are looked at, and nothing of those that are wrong is seen', () => {
    const { vfs, root, end } = world({ f: 'x'.repeat(5 * 4096) })
    const hash = seal(vfs, root)
    write(root, 'f', 'y', 2 * 4096 + 17)
    const superblock = verityOver(vfs, root, { hash })
    const mount = vfs.newMount(superblock)
    const file = find(superblock.root.inode, 'f') as FileInode
    const memory = new Uint8Array(5 * 4096)
    expect(file.read(memory, 0, 2 * 4096, 0, none)).toBe(2 * 4096)
    expect(file.read(memory, 0, 10, 3 * 4096, none)).toBe(10)
    memory.fill(1)
    expect(failure(() => file.read(memory, 0, 3 * 4096, 4096, none))?.code).toBe('EIO')
    expect(memory.subarray(0, 3 * 4096).every((byte) => byte === 0)).toBe(true)
    memory.fill(1)
    expect(failure(() => file.read(memory, 5, 3, 2 * 4096, none))?.code).toBe('EIO')
    expect(memory.subarray(5, 8)).toEqual(new Uint8Array(3))
    vfs.discard(mount)
    end()
  })

  test('B188 E080 with panic the one who mounts is told', () => {
    const { vfs, root, hash, end } = sealedWorld()
    const said: string[] = []
    const seen = new Shell(vfs, verityOver(vfs, root, { hash, panic: (reason) => void said.push(reason) }))
    write(root, 'a', 'S', 0)
    expect(failure(() => seen.read('/a'))?.code).toBe('EIO')
    expect(said).toEqual(['verity: /a: its bytes from 0 to 8 are not what was measured'])
    seen.end()
    end()
  })
})

describe('options and the root', () => {
  const { vfs, root, hash } = sealedWorld()
  const mount = (data: string, internal: unknown = { lower: root }) =>
    failure(() => vfs.discard(vfs.newMount(vfs.newFilesystem({ type: 'verity', data, internal }))))
  const HEX = '0'.repeat(64)

  test.each<[data: string, detail: string]>([
    ['root_hash=123', '"root_hash=123": wants 64 hexadecimal digits'],
    [`root_hash=${'g'.repeat(64)}`, 'wants 64 hexadecimal digits'],
    [`root_hash=${HEX}0`, 'wants 64 hexadecimal digits'],
    ['root_hash=YWJj=', '"root_hash=YWJj=": wants 64 hexadecimal digits'],
    ['root_name=', '"root_name=": wants a name'],
    ['root_name=a/b', 'wants a name, or /'],
    ['dentry_cache_limit=x', '"dentry_cache_limit=x": wants a number'],
    ['dentry_cache_limit=-1', 'wants a number'],
    ['dentry_cache_limit=', 'wants a number'],
    ['lower_path=', 'wants a path'],
    ['size=1', '"size=1": unknown; verity knows root_hash, root_name, lower_path, dentry_cache_limit'],
    ['ro', '"ro": unknown'],
    ['lower_path=/x', 'the lower directory is given twice'],
  ])('B186 %s is refused', (data, detail) => {
    expect(mount(data)).toMatchObject({ code: 'EINVAL', detail: expect.stringContaining(detail) })
  })

  test('B186 neither a lower directory nor its path is refused', () => {
    expect(mount(`root_hash=${hash}`, null)).toMatchObject({
      code: 'EINVAL',
      detail: expect.stringContaining('lower_path=PATH'),
    })
  })

  test('B186 the others are taken, the last of each; the name is `root` unless it is said', () => {
    expect(mount(`root_hash=${hash}`)).toBeUndefined()
    expect(
      mount(`root_name=other,root_name=root,dentry_cache_limit=100,root_hash=${HEX},root_hash=${hash.toUpperCase()}`),
    ).toBeUndefined()
  })

  test('B191 B184 a mount by path finds its lower directory, keeps it, and answers with errors', () => {
    const made = sealedWorld({ 'data/f': 'x', m: dir })
    const { vfs } = made
    const below = find(made.root, 'data')!
    const own = seal(vfs, below)
    const shell = new Shell(vfs, made.lower)
    const calls = new MountCalls(vfs, shell.task)
    calls.mount('/m', { type: 'verity', data: `lower_path=/data,root_hash=${own}`, flags: 0 })
    expect(shell.read('/m/f')).toBe('x')
    write(below as DirectoryInode, 'f', 'y', 0)
    expect(failure(() => shell.read('/m/f'))).toMatchObject({ code: 'EIO' })
    expect(calls.mounts).toContain(`verity ro,relatime,root_hash=${own},root_name=root`)
    expect(failure(() => calls.mount('/m', { type: 'verity', data: 'lower_path=/none', flags: 0 }))?.code).toBe(
      'ENOENT',
    )
    calls.umount2('/m')
    shell.end()
    made.end()
  })

  test.each([['a'], ['link'], ['fifo']])('B207 a root that is no directory (%s) is refused', (name) => {
    expect(failure(() => verityOver(vfs, find(root, name)!, { hash }))).toMatchObject({
      code: 'EINVAL',
      detail: expect.stringContaining('the root must be a directory'),
    })
  })

  test('B208 a root whose tree is missing is refused, unless trees may be built: then it is made, or emptied', () => {
    const { vfs, root, end } = world({ f: 'x' })
    expect(failure(() => verityOver(vfs, root, { hash }))).toMatchObject({
      code: 'EIO',
      detail: 'verity: /: its tree is missing',
    })
    const said: string[] = []
    expect(failure(() => verityOver(vfs, root, { hash, panic: (reason) => void said.push(reason) }))?.code).toBe('EIO')
    expect(said).toEqual(['verity: /: its tree is missing'])
    vfs.discard(vfs.newMount(verityOver(vfs, root)))
    expect(find(root, '.merkleroot.verity.root')).toMatchObject({ kind: 'file', size: 0 })
    const own = seal(vfs, root)
    expect((find(root, '.merkleroot.verity.root') as FileInode).size).toBeGreaterThan(0)
    expect(readThrough(vfs, root, own)).toBeUndefined()
    vfs.discard(vfs.newMount(verityOver(vfs, root)))
    expect((find(root, '.merkleroot.verity.root') as FileInode).size).toBe(0)
    end()
  })

  test('B184 the root of a container is called /, and its tree by no name', () => {
    const { vfs, root, end } = world({ f: 'x' })
    const own = seal(vfs, root, '/')
    expect(find(root, '.merkleroot.verity.')).toBeDefined()
    const superblock = verityOver(vfs, root, { hash: own, name: '/' })
    expect(picture(superblock.root.inode)).toEqual({ f: 'file x' })
    vfs.discard(vfs.newMount(superblock))
    end()
  })
})

describe('building trees', () => {
  test('B187 B190 without a hash files are shown as they are until they are measured, and only then', () => {
    const { vfs, root, end } = world()
    const shell = new Shell(vfs, verityOver(vfs, root))
    const measured = (path: string, buffer = new Uint8Array(32)) => {
      const fd = shell.open(path, O_RDONLY)
      try {
        return shell.call((task) => task.measureVerity(fd, buffer))
      } finally {
        shell.close(fd)
      }
    }
    const enable = (path: string) => {
      const fd = shell.open(path, O_RDONLY)
      try {
        shell.call((task) => task.enableVerity(fd))
      } finally {
        shell.close(fd)
      }
    }
    expect(shell.read('/a')).toBe('some text')
    write(root, 'a', 'S', 0)
    expect(shell.read('/a')).toBe('Some text')
    expect(failure(() => measured('/a'))?.code).toBe('ENODATA')
    enable('/a')
    expect(measured('/a')).toBe(32)
    expect(failure(() => measured('/a', new Uint8Array(31)))?.code).toBe('EOVERFLOW')
    expect(failure(() => enable('/a'))?.code).toBe('EEXIST')
    expect(failure(() => shell.open('/a', O_WRONLY))?.code).toBe('EROFS')
    write(root, 'a', 's', 0)
    expect(failure(() => shell.read('/a'))?.code).toBe('EIO')
    write(root, 'a', 'S', 0)
    // A file that comes, or changes, before its directory is measured is in it.
    plant(root, { late: 'late' })
    expect(shell.read('/late')).toBe('late')
    enable('/')
    expect(measured('/late')).toBe(32)
    const digest = new Uint8Array(32)
    measured('/', digest)
    expect(readThrough(vfs, root, Buffer.from(digest).toString('hex'))).toBeUndefined()
    plant(root, { later: 'later' })
    expect(failure(() => measured('/later'))?.code).toBe('ENODATA')
    shell.end()
    end()
  })

  test('B187 B190 with a hash nothing can be measured any more; elsewhere there is no such call', () => {
    const { vfs, lower, shell, end } = sealedWorld()
    const seen = shell()
    const fd = seen.open('/a', O_RDONLY)
    expect(failure(() => seen.task.enableVerity(fd))?.code).toBe('EEXIST')
    seen.close(fd)
    seen.end()
    const plain = new Shell(vfs, lower)
    const other = plain.open('/a', O_RDONLY)
    expect(failure(() => plain.task.enableVerity(other))?.code).toBe('ENOTTY')
    expect(failure(() => plain.task.measureVerity(other, new Uint8Array(32)))?.code).toBe('ENOTTY')
    plain.close(other)
    plain.end()
    end()
  })

  test('measuring again, after a change, gives a hash for what is there now', () => {
    const { vfs, root, hash, end } = sealedWorld({ f: 'x'.repeat(10_000), g: 'g' })
    write(root, 'f', 'y', 0)
    const again = seal(vfs, root)
    expect(again).not.toBe(hash)
    expect(readThrough(vfs, root, again)).toBeUndefined()
    write(root, 'f', 'x', 0)
    expect(seal(vfs, root)).toBe(hash)
    end()
  })

  test.each<[string, Tree, object, string]>([
    ['a name too long for its tree', { ['n'.repeat(241)]: 'x' }, {}, 'ENAMETOOLONG'],
    ['a socket', { s: { kind: 'socket' } }, {}, 'EOPNOTSUPP'],
    ['a lower filesystem that takes none', { f: 'x' }, { without: ['create'] }, 'EROFS'],
    ['a full one', { f: 'x' }, { before: (change: string) => void (change === 'write' && full()) }, 'ENOSPC'],
  ])('%s is refused', (_, tree, veil, code) => {
    const { vfs, root, end } = world(tree)
    expect(failure(() => seal(vfs, veiled(root as Inode, veil)))?.code).toBe(code)
    for (const { filesystem } of vfs.superblocks) if (filesystem.type === 'verity') filesystem.release?.()
    if (code === 'EROFS') end()
  })

  test('where all must be waited for, one call measures all, and another reads it', () => {
    const text = 'x'.repeat(600_000)
    const { vfs, root, end } = world({ ...SMALL, large: text })
    const cold = veiled(root as Inode, { cold: true, coldPages: true })
    const hash = seal(vfs, cold)
    expect(readThrough(vfs, root, hash)).toBeUndefined()
    const warm = seal(vfs, root)
    expect(warm).toBe(hash)
    const seen = new Shell(
      vfs,
      waited((attempt) => verityOver(vfs, cold, { hash, attempt })),
    )
    expect(seen.read('/large')).toBe(text)
    expect(seen.list('/sub')).toEqual(['b', 'deep', 'empty'])
    expect(seen.read('/link')).toBe('x')
    expect(seen.waits).toBeGreaterThan(5)
    write(root, 'large', 'y', 500_000)
    expect(failure(() => seen.read('/large'))?.code).toBe('EIO')
    seen.end()
    end()
  })
})

test('over a FUSE filesystem all is checked; it takes no trees', () => {
  // FUSE shows no extended attributes here.
  const { vfs, root, lower, hash, end } = sealedWorld({ a: 'x', 'sub/b': 'x', 'sub/c': '', link: linkTo('sub/b') })
  vfs.types.register(fuseType)
  const connection = new Connection()
  const server = new Passthrough(vfs, vfs.newMount(lower), connection, { valid: 0n })
  const served = vfs.newFilesystem({ type: 'fuse', internal: { connection } })
  const plain = new Shell(vfs, served)
  plain.watch = () => void server.serve()
  plain.stat('/')
  expect(failure(() => verityOver(vfs, served.root.inode))?.code).toBe('EOPNOTSUPP')
  const mounted = plain.call(({ attempt }) => verityOver(vfs, served.root.inode, { hash, attempt }))
  const seen = new Shell(vfs, mounted)
  seen.watch = () => void server.serve()
  expect(seen.read('/link')).toBe('x')
  expect(seen.list('/sub')).toEqual(['b', 'c'])
  expect(seen.waits).toBeGreaterThan(2)
  write(root, 'sub/b', 'y', 0)
  expect(failure(() => seen.read('/sub/b'))?.code).toBe('EIO')
  plant(root, { 'sub/new': 'x' })
  expect(failure(() => seen.list('/sub'))?.detail).toBe('verity: /sub/new: was not there')
  for (const shell of [seen, plain]) shell.end()
  server.serve()
  end()
})

describe('the tree over a content', () => {
  test.each([
    [0, []],
    [1, []],
    [4096, []],
    [4097, [2]],
    [128 * 4096, [128]],
    [128 * 4096 + 1, [129, 2]],
    [2 ** 30, [262_144, 2048, 16]],
  ])('of %i bytes has levels of %j hashes', (size, levels) => {
    expect(levelsOf(size)).toEqual(levels)
  })

  test('reading from end to end reads and hashes each block once; from many places, the path to each', () => {
    const size = 129 * 4096
    let hashes = 0
    const digest = (bytes: Uint8Array) => {
      hashes++
      return sha256(bytes)
    }
    const builder = new TreeBuilder(digest, size)
    builder.push(new Uint8Array(size))
    const { content, levels } = builder.end()
    expect(hashes).toBe(129 + 2 + 1)
    const { root, end } = world({ tree: '' })
    const file = find(root, 'tree') as FileInode
    let at = 0
    for (const level of levels) at += file.write!(level, 0, level.length, at, none)
    const tree = new HashTree(digest, { file, start: 0, size, content }, () => expect.unreachable())
    hashes = 0
    tree.load(128, 128, none)
    expect(hashes).toBe(2)
    expect(tree.firstWrong(128, new Uint8Array(4096), 0, 4096)).toBeUndefined()
    tree.load(0, 128, none)
    expect(hashes).toBe(4)
    tree.load(0, 128, none)
    expect(hashes).toBe(4)
    end()
  })
})

test('an overlay over it takes changes, and still sees none that were made below', () => {
  const { vfs, root, hash, end } = sealedWorld({ ...SMALL, c: 'cc', large: 'x'.repeat(200_000) })
  const verity = verityOver(vfs, root, { hash })
  const upper = vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' })
  const held = [vfs.newMount(verity), vfs.newMount(upper)]
  const release = () => {
    for (const mount of held) vfs.discard(mount)
  }
  const layers = { upper: upper.root.inode, lowers: [verity.root.inode], release }
  const shell = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal: layers }))
  shell.write('/a', 'changed')
  shell.write('/large', 'y', 100_000)
  expect(shell.read('/a')).toBe('changed')
  expect(shell.read('/large')).toBe(`${'x'.repeat(100_000)}y${'x'.repeat(99_999)}`)
  expect(textOf(find(root, 'a') as FileInode)).toBe('some text')
  write(root, 'sub/b', 'y', 0)
  expect(failure(() => shell.read('/sub/b'))?.code).toBe('EIO')
  write(root, 'c', 'x', 1)
  expect(failure(() => shell.write('/c', 'z', 0))?.code).toBe('EIO')
  plant(root, { 'sub/new': 'x' })
  expect(failure(() => shell.list('/sub'))?.code).toBe('EIO')
  shell.end()
  end()
})

function write(root: DirectoryInode, path: string, text: string, offset: number): void {
  const bytes = encodeUtf8(text)
  ;(find(root, path) as FileInode).write!(bytes, 0, bytes.length, offset, none)
}

function replace(root: DirectoryInode, name: string, kind: 'file'): void {
  const inode = find(root, name)!
  root.unlink!(name, inode, none)
  root.create!(name, { kind, mode: 0o755, uid: 0, gid: 0, now: inode.mtime }, none)
}

function full(): never {
  throw new ErrnoError('ENOSPC')
}
