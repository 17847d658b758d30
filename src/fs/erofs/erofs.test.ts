/** EROFS images: those that a writer of our own makes, those of mkfs.erofs where it is installed, and damaged ones. */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY } from '../../abi/linux.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { newVfs } from '../../testing/conformance/arenas.ts'
import { erofsImage, type ImageForm, resum } from '../../testing/erofs-image.ts'
import { erofsOver, sourceOf } from '../../testing/erofs-world.ts'
import { readAll } from '../../testing/sealed.ts'
import { dir, find, linkTo, none, picture, plant, Shell, type Tree, textOf } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode, Inode } from '../../vfs/inode.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { WaitQueue, WouldBlock } from '../../vfs/waiting.ts'

const LONG = 'n'.repeat(255)
const ACL = String.fromCharCode(2, 0, 0, 0, 1, 0, 6, 0, 127, 127, 127, 127, 4, 0, 4, 0, 127, 127, 127, 127)
const MANY = Array.from({ length: 500 }, (_, i) => `many/${'abc'.repeat(i % 7)}${i}`)

const TREE: Tree = {
  a: 'some text',
  ab: { kind: 'file', text: 'x', mode: 0o4751, uid: 7, gid: 8, mtime: 1_234_567_890_123_456_789n },
  old: { kind: 'file', text: 'before 1970', mtime: -5_000_000_000n },
  'sub/empty': '',
  'sub/deep/er': 'down',
  'sub/none': dir,
  [LONG]: 'long name',
  'große Dateien/ünï': 'u',
  block: 'B'.repeat(4096),
  big: `${'0123456789abcdef'.repeat(2000)}end`,
  sparse: `begin${'\0'.repeat(20_000)}end`,
  link: linkTo('sub/deep/er'),
  farlink: linkTo(`${'x/'.repeat(1900)}y`),
  again: { kind: 'file', sameAs: 'a' },
  fifo: { kind: 'fifo' },
  null: { kind: 'char', rdev: makeDevice(1, 3) },
  disk: { kind: 'block', rdev: makeDevice(259, 70_000) },
  attributed: {
    kind: 'file',
    text: 'A',
    xattrs: { 'user.k': 'v', 'trusted.t': 'T'.repeat(100), 'security.s': '', 'system.posix_acl_access': ACL },
  },
  'attributed too': { kind: 'directory', xattrs: { 'user.k': 'of a directory', 'system.posix_acl_default': ACL } },
  ...Object.fromEntries(MANY.map((name) => [name, name])),
}

/** A tree in memory and the image of it. */
function made(tree: Tree = TREE, form: ImageForm = {}) {
  const vfs = newVfs()
  const kept = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' }))
  const root = kept.root.inode as DirectoryInode
  plant(root, tree)
  const image = erofsImage(root, form)
  return { vfs, root, image, mounted: () => erofsOver(vfs, image).root.inode as DirectoryInode }
}

const xattrsOf = (inode: Inode) =>
  Object.fromEntries([...(inode.xattrs?.keys() ?? [])].sort().map((name) => [name, inode.xattrs!.get(name)]))

const codeOf = (act: () => unknown): string => {
  try {
    act()
    return 'ok'
  } catch (error) {
    if (error instanceof ErrnoError) return error.code
    throw error
  }
}

const failureOf = (act: () => unknown): ErrnoError => {
  try {
    act()
  } catch (error) {
    expect(error).toBeInstanceOf(ErrnoError)
    return error as ErrnoError
  }
  return expect.unreachable('it succeeded')
}

const FORMS: [string, ImageForm][] = [
  ['last bytes behind inodes', {}],
  ['blocks alone', { layout: 'plain' }],
  ['chunks', { layout: 'chunks' }],
  ['chunks by indexes', { layout: 'chunk-indexes' }],
  ['inodes of 32 bytes', { compact: true }],
  ['blocks of 512 bytes', { blockBits: 9 }],
  ['blocks of 64 KiB, in chunks', { blockBits: 16, layout: 'chunks' }],
  ['attributes that are shared', { shared: true }],
]

describe('an image', () => {
  test.each(FORMS)('D031 %s: shows the files that it was made of', (_, form) => {
    const { root, mounted } = made(TREE, form)
    const shown = mounted()
    expect(picture(shown)).toEqual(picture(root))
    const numbers = new Map<number, string>()
    for (const path of ['', ...Object.keys(picture(root))]) {
      const [was, is] = [find(root, path)!, find(shown, path)!]
      expect([is.mode, is.uid, is.gid, is.nlink, is.rdev]).toEqual([was.mode, was.uid, was.gid, was.nlink, was.rdev])
      expect(xattrsOf(is)).toEqual(xattrsOf(was))
      if (is.kind !== 'directory') expect(is.size).toBe(was.size)
      expect(is.mtime).toBe(form.compact ? 1_700_000_000_000_000_000n : was.mtime)
      expect([is.atime, is.ctime, is.btime]).toEqual([is.mtime, is.mtime, is.mtime])
      if (path !== 'again') expect(numbers.get(is.ino)).toBeUndefined()
      numbers.set(is.ino, path)
    }
    expect(find(shown, 'again')).toBe(find(shown, 'a'))
    expect(shown.filesystem.usage(none)).toMatchObject({
      type: 0xe0f5e1e2,
      blockSize: 2 ** (form.blockBits ?? 12),
      blocksFree: 0,
      files: numbers.size,
    })
  })

  test('D031 reads from anywhere to anywhere, across blocks, chunks and what is behind the inode', () => {
    for (const [, form] of FORMS) {
      const { mounted } = made({ big: TREE.big!, sparse: TREE.sparse! }, form)
      const shown = mounted()
      for (const name of ['big', 'sparse']) {
        const whole = TREE[name] as string
        const file = find(shown, name) as FileInode
        for (const [offset, length] of [
          [0, 1],
          [510, 4],
          [4095, 2],
          [4090, 9000],
          [whole.length - 2, 10],
          [whole.length, 1],
        ]) {
          const bytes = new Uint8Array(length! + 2).fill(1)
          const count = file.read(bytes, 1, length!, offset!, none)
          expect(decodeUtf8(bytes, 1, count)).toBe(whole.slice(offset, offset! + length!))
          expect([bytes[0], ...bytes.subarray(1 + count)].every((byte) => byte === 1)).toBe(true)
        }
      }
    }
  })

  test('D032 a name is found among those that it begins, or that begin it, in directories of many blocks', () => {
    const prefixes = Array.from({ length: 200 }, (_, i) => 'p'.repeat(i + 1))
    const names = [...prefixes, ...prefixes.map((name) => `${name}.`), ...MANY.map((name) => name.slice(5))]
    for (const blockBits of [9, 12]) {
      const { mounted } = made(Object.fromEntries([...new Set(names)].map((name) => [name, name])), { blockBits })
      const shown = mounted()
      for (const name of names) {
        expect(textOf(find(shown, name) as FileInode)).toBe(name)
        if (!names.includes(`${name}x`)) expect(shown.lookup(`${name}x`, none)).toBeUndefined()
      }
      for (const name of ['\x01', 'o', 'p'.repeat(201), 'zzz', '~', 'ü', '-'])
        expect(shown.lookup(name, none)).toBeUndefined()
    }
  })

  test('D031 a listing goes on from every entry', () => {
    const shown = made(TREE, { blockBits: 9 }).mounted()
    const many = find(shown, 'many') as DirectoryInode
    const all = [...many.entries(0, none)]
    expect(all).toHaveLength(MANY.length)
    for (const [i, { cookie }] of all.entries()) {
      expect(cookie).toBeGreaterThanOrEqual(i === 0 ? 3 : all[i - 1]!.cookie + 1)
      expect([...many.entries(cookie, none)][0]).toEqual(all[i + 1])
    }
    expect([many.isEmpty(none), (find(shown, 'sub/none') as DirectoryInode).isEmpty(none)]).toEqual([false, true])
  })

  test('D028 D029 nothing in it can be changed; what is asked before that comes before', () => {
    const { vfs, image } = made()
    const shell = new Shell(vfs, erofsOver(vfs, image))
    const codes = [
      () => shell.mkdir('/a'),
      () => shell.mkdir('/new'),
      () => shell.write('/new', 'x'),
      () => shell.open('/a', O_WRONLY),
      () => shell.open('/sub', O_WRONLY),
      () => shell.unlink('/a'),
      () => shell.rename('/a', '/b'),
      () => shell.link('/a', '/ab'),
      () => shell.symlink('x', '/new'),
      () => shell.call((task) => task.fchmodat(AT_FDCWD, '/a', 0, 0)),
      () => shell.call((task) => task.fchmodat(AT_FDCWD, '/missing', 0, 0)),
      () => shell.call((task) => task.truncate('/a', 0)),
      () => shell.call((task) => task.truncate('/sub', 0)),
      () => find(shell.place('/').dentry.inode, 'attributed')!.xattrs!.set('user.k', encodeUtf8('w')),
      () => find(shell.place('/').dentry.inode, 'attributed')!.xattrs!.delete('user.k'),
      () => shell.open('/a', O_RDONLY | O_CREAT),
    ].map(codeOf)
    expect(codes).toEqual([
      ...['EEXIST', 'EROFS', 'EROFS', 'EROFS', 'EISDIR', 'EROFS', 'EROFS', 'EEXIST', 'EROFS'],
      ...['EROFS', 'ENOENT', 'EROFS', 'EISDIR', 'EROFS', 'EROFS', 'ok'],
    ])
    shell.call((task) => task.settle())
    shell.task.release()
  })

  test('D035 is read where it is needed and nowhere else', () => {
    const { vfs, image } = made({ ...TREE, huge: 'h'.repeat(3_000_000) })
    const whole = sourceOf(image)
    let bytes = 0
    const counting: typeof whole = {
      size: whole.size,
      read(memory, at, length, offset, attempt) {
        bytes += length
        whole.read(memory, at, length, offset, attempt)
      },
    }
    const root = erofsOver(vfs, counting).root.inode
    expect(textOf(find(root, 'sub/deep/er') as FileInode)).toBe('down')
    expect(bytes).toBeLessThan(30_000)
    expect(image.length).toBeGreaterThan(3_000_000)
  })

  test('D024 may have to be waited for at every read', () => {
    const { vfs, root, image } = made()
    const warm = sourceOf(image)
    let cold = false
    const seen = new Set<string>()
    const source: typeof warm = {
      size: warm.size,
      read(memory, at, length, offset, attempt) {
        const range = `${offset} ${length}`
        if (cold && !seen.has(range)) {
          seen.add(range)
          throw new WouldBlock([new WaitQueue()])
        }
        warm.read(memory, at, length, offset, attempt)
      },
    }
    const shell = new Shell(vfs, erofsOver(vfs, source))
    cold = true
    for (const path of ['a', 'big', 'sub/deep/er', 'many/0', 'attributed'])
      expect(shell.read(`/${path}`)).toBe(textOf(find(root, path) as FileInode))
    expect(shell.readlink('/farlink')).toBe(`${'x/'.repeat(1900)}y`)
    expect(shell.waits).toBeGreaterThan(20)
    shell.end()
  })
})

describe('what is no image that can be read', () => {
  const base = () => made({ f: 'x' })
  const changed = (change: (image: Uint8Array, view: DataView) => void, { sum = true } = {}) => {
    const { vfs, image } = base()
    change(image, new DataView(image.buffer))
    if (sum) resum(image)
    return failureOf(() => erofsOver(vfs, image))
  }

  test.each<[string, (image: Uint8Array, view: DataView) => void, string, RegExp]>([
    ['the magic', (image) => image.fill(0, 1024, 1028), 'EINVAL', /no superblock at byte 1024/],
    [
      'compression',
      (_, view) => view.setUint32(1104, 1, true),
      'EINVAL',
      /not supported: compression \(LZ4_0PADDING\)$/,
    ],
    ['several features', (_, view) => view.setUint32(1104, 0x8c, true), 'EINVAL', /DEVICE_TABLE.*; 48-bit addresses/],
    ['a feature of the future', (_, view) => view.setUint32(1104, 0x80008000, true), 'EINVAL', /bit 15; bit 31/],
    ['small blocks', (image) => (image[1036] = 8), 'EINVAL', /blocks of 2\^8 bytes/],
    ['large blocks', (image) => (image[1036] = 17), 'EINVAL', /blocks of 2\^17 bytes/],
    ['blocks of directories', (image) => (image[1114] = 1), 'EINVAL', /blocks of directories/],
    ['a root that is none', (_, view) => view.setUint16(1038, 0, true), 'EUCLEAN', /inode 0: its mode 0/],
    [
      'a root past the end',
      (_, view) => view.setUint16(1038, 65_535, true),
      'EIO',
      /inode 65535: bytes .* past the end/,
    ],
  ])('D025 %s refuses the mount', (_, change, code, detail) => {
    expect(changed(change)).toMatchObject({ code, detail: expect.stringMatching(detail) as string })
  })

  test('D025 a wrong checksum refuses the mount, one that the image does not have does not', () => {
    const flip = (image: Uint8Array) => (image[1024 + 70]! ^= 1)
    const error = changed(flip, { sum: false })
    expect(error).toMatchObject({ code: 'EUCLEAN', detail: 'erofs: the superblock: its checksum is wrong' })
    const { vfs, image } = base()
    flip(image)
    image[1032]! &= ~1
    expect(textOf(find(erofsOver(vfs, image).root.inode, 'f') as FileInode)).toBe('x')
  })

  test('D025 D030 nor is what is too short', () => {
    const { vfs, image } = base()
    for (const length of [0, 1024, 1151]) {
      expect(failureOf(() => erofsOver(vfs, image.slice(0, length)))).toMatchObject({ code: 'EINVAL' })
    }
    expect(failureOf(() => erofsOver(vfs, image.slice(0, 1152))).code).toBe('EIO')
  })
})

describe('an image that is damaged', () => {
  /** What happens to the inode at a path; its bytes are changed, and `act` is done then. */
  function broken(
    tree: Tree,
    path: string,
    change: (inode: DataView, image: DataView, at: number) => void,
    form: ImageForm = {},
    act = (root: Inode) => readAll(find(root, path)!),
  ): ErrnoError {
    const { vfs, image, mounted } = made(tree, form)
    const at = (path === '' ? mounted() : find(mounted(), path)!).ino * 32
    change(new DataView(image.buffer, at), new DataView(image.buffer), at)
    resum(image)
    return failureOf(() => act(erofsOver(vfs, image).root.inode))
  }

  test.each<[string, (inode: DataView) => void, RegExp]>([
    ['compressed', (inode) => inode.setUint16(0, 3, true), /inode \d+: it is compressed/],
    ['compressed, compactly', (inode) => inode.setUint16(0, 7, true), /inode \d+: it is compressed/],
    ['of a layout of the future', (inode) => inode.setUint16(0, 11, true), /the layout 5/],
    ['of a version of the future', (inode) => inode.setUint16(0, 16, true), /its format 16/],
  ])('D027 a file that is %s is not supported, the others are', (_, change, detail) => {
    const tree = { f: 'x', g: 'y' }
    const error = broken(tree, 'f', change, {}, (root) => {
      expect(textOf(find(root, 'g') as FileInode)).toBe('y')
      find(root, 'f')
    })
    expect(error).toMatchObject({ code: 'EOPNOTSUPP', detail: expect.stringMatching(detail) as string })
  })

  test.each<[string, string, string, ImageForm, (inode: DataView, image: DataView, at: number) => void, RegExp]>([
    [
      'a file past the end',
      'block',
      'EIO',
      {},
      (inode) => inode.setUint32(16, 9999, true),
      /inode \d+: bytes 40955904 to/,
    ],
    ['a size past the end', 'block', 'EIO', {}, (inode) => inode.setUint32(8, 1e8, true), /past the end/],
    [
      'a chunk past the end',
      'big',
      'EIO',
      { layout: 'chunks' },
      (inode) => inode.setUint32(64, 9999, true),
      /past the end/,
    ],
    [
      'a chunk elsewhere',
      'big',
      'EOPNOTSUPP',
      { layout: 'chunk-indexes' },
      (inode) => inode.setUint16(66, 1, true),
      /device 1/,
    ],
    [
      'a form of chunks',
      'big',
      'EOPNOTSUPP',
      { layout: 'chunks' },
      (inode) => inode.setUint16(16, 0x40, true),
      /form of chunks/,
    ],
    ['a size that is none', 'a', 'EUCLEAN', {}, (inode) => inode.setUint32(12, 0xffffffff, true), /too large/],
    ['a mode that is none', 'a', 'EUCLEAN', {}, (inode) => inode.setUint16(4, 0o170644, true), /its mode 170644/],
    [
      'another kind',
      'a',
      'EUCLEAN',
      {},
      (inode) => inode.setUint16(4, 0o120644, true),
      /"a" is said to be a file, and is a symlink/,
    ],
    ['last bytes across blocks', 'a', 'EUCLEAN', {}, (inode) => inode.setUint32(8, 4095, true), /across two blocks/],
    ['an empty target', 'link', 'EUCLEAN', {}, (inode) => inode.setUint32(8, 0, true), /target of 0 bytes/],
    [
      'a long target',
      'farlink',
      'EUCLEAN',
      {},
      (inode) => inode.setUint32(8, 4096, true),
      /target of 4096 bytes|across two/,
    ],
    ['a NUL in a target', 'link', 'EUCLEAN', {}, (inode) => inode.setUint8(64, 0), /NUL/],
    ['a target of other bytes', 'link', 'EILSEQ', {}, (inode) => inode.setUint8(64, 0xff), /not UTF-8/],
    ['attributes past the end', 'block', 'EIO', {}, (inode) => inode.setUint16(2, 65_535, true), /past the end/],
    [
      'a shared attribute past the end',
      'attributed',
      'EIO',
      { shared: true },
      (inode) => inode.setUint32(76, 1e9, true),
      /past/,
    ],
    [
      'too many shared attributes',
      'attributed',
      'EUCLEAN',
      {},
      (inode) => inode.setUint8(68, 255),
      /255 shared attributes/,
    ],
    [
      'an attribute that is cut off',
      'attributed',
      'EUCLEAN',
      {},
      (inode) => inode.setUint16(78, 65_535, true),
      /cut off/,
    ],
    ['a long prefix', 'attributed', 'EOPNOTSUPP', {}, (inode) => inode.setUint8(77, 0x81), /long names/],
    ['an attribute without a name', 'attributed', 'EUCLEAN', {}, (inode) => inode.setUint8(76, 0), /cannot be/],
    [
      'names nowhere',
      'sub',
      'EUCLEAN',
      {},
      (inode) => inode.setUint16(72, 13, true),
      /block 0 of directory inode \d+: its names/,
    ],
    ['no entries', 'sub', 'EUCLEAN', {}, (inode) => inode.setUint16(72, 0, true), /names begin at byte 0/],
    ['an empty directory', 'sub', 'ok', {}, (inode) => inode.setUint32(8, 0, true), /^$/],
    [
      'a name past the block',
      'sub',
      'EUCLEAN',
      {},
      (inode) => inode.setUint16(84, 60_000, true),
      /entry 1 is at byte 60000/,
    ],
    [
      'a slash in a name',
      'sub/none',
      'EUCLEAN',
      {},
      (inode) => inode.setUint8(64 + 25, 0x2f),
      /name of entry 1 is none/,
    ],
    ['a file past all', 'sub', 'EUCLEAN', {}, (inode) => inode.setUint32(64 + 24 + 4, 0xffffffff, true), /too large/],
    ['a file past the end', 'sub', 'EIO', {}, (inode) => inode.setUint32(64 + 24, 0xffffff, true), /past the end/],
  ])('D030 %s: %s is %s, with what and where', (_, path, code, form, change, detail) => {
    if (code === 'ok') {
      // Linux shows it empty as well.
      expect(() => broken(TREE, path, change, form)).toThrow('it succeeded')
      return
    }
    expect(broken(TREE, path, change, form)).toMatchObject({ code, detail: expect.stringMatching(detail) as string })
  })

  test('D030 names out of order are told when they are listed', () => {
    const swap = (inode: DataView) => {
      const [a, b] = [inode.getUint8(64 + 48 + 3), inode.getUint8(64 + 48 + 4)]
      inode.setUint8(64 + 48 + 3, b)
      inode.setUint8(64 + 48 + 4, a)
    }
    const error = broken({ 'd/a': '', 'd/b': '' }, 'd', swap, {}, (root) => [
      ...(find(root, 'd') as DirectoryInode).entries(0, none),
    ])
    expect(error).toMatchObject({
      code: 'EUCLEAN',
      detail: expect.stringMatching(/not in order at entry 3 of block 0/) as string,
    })
  })

  test('D030 a directory that is in itself, above itself or in two places is refused', () => {
    const tree = { 'd/e/f': 'x', 'd/g/h': 'y' }
    const { mounted } = made(tree)
    const nids = Object.fromEntries(['d', 'd/e', 'd/g'].map((path) => [path, find(mounted(), path)!.ino]))
    const root = mounted().ino
    // Entries of `d`: `.`, `..`, `e`, `g`.
    for (const [entry, nid] of [
      [2, nids.d],
      [2, root],
      [3, nids['d/e']],
    ]) {
      const point = (inode: DataView) => inode.setUint32(64 + entry! * 12, nid!, true)
      const error = broken(tree, 'd', point, {}, (shown) => readAll(shown))
      expect(error).toMatchObject({ code: 'EUCLEAN', detail: expect.stringMatching(/in two places/) as string })
    }
  })

  test('D030 cut anywhere, it gives what is there and errors for the rest', () => {
    const { vfs, image } = made(TREE, { blockBits: 9 })
    for (let length = image.length - 1; length > 1152; length -= 1531) {
      expect(['EIO', 'EUCLEAN']).toContain(codeOf(() => readAll(erofsOver(vfs, image.slice(0, length)).root.inode)))
    }
  })

  test('D030 with any bit of its metadata flipped it gives files or errors, and nothing else', () => {
    const small: Tree = { ...TREE, big: 'b'.repeat(6000), sparse: 's', farlink: linkTo('x'), block: 'b' }
    for (const name of MANY.slice(20)) delete (small as Record<string, unknown>)[name]
    let refused = 0
    let tried = 0
    for (const [, form] of FORMS) {
      if (form.blockBits === 16) continue
      const { vfs, image } = made(small, form)
      let random = 12345
      for (let i = 0; i < 100; i++) {
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
        const at = 1024 + ((random >>> 8) % Math.min(image.length - 1024, 8192))
        const bit = 1 << (random & 7)
        image[at]! ^= bit
        resum(image)
        const code = codeOf(() => walk(erofsOver(vfs, image).root.inode))
        if (code !== 'ok') refused++
        tried++
        image[at]! ^= bit
      }
    }
    expect(tried).toBe(700)
    expect(refused).toBeGreaterThan(20)
  })
})

/** As readAll, but of a file that says it is large only both ends. */
function walk(inode: Inode): void {
  for (const name of inode.xattrs?.keys() ?? []) inode.xattrs!.get(name)
  if (inode.kind === 'symlink') inode.readlink(none)
  if (inode.kind === 'file') {
    const bytes = new Uint8Array(Math.min(inode.size, 10_000))
    for (const offset of [0, Math.max(0, inode.size - bytes.length)]) inode.read(bytes, 0, bytes.length, offset, none)
  }
  if (inode.kind !== 'directory') return
  for (const { name } of [...inode.entries(0, none)]) walk(inode.lookup(name, none) ?? expect.unreachable(name))
}

function hasTool(): boolean {
  try {
    execFileSync('mkfs.erofs', ['--help'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe.skipIf(!hasTool())('images of mkfs.erofs (skipped where it is not installed)', () => {
  const plantOnDisk = (at: string) => {
    mkdirSync(join(at, 'sub/deep'), { recursive: true })
    mkdirSync(join(at, 'many'))
    for (let i = 0; i < 700; i++) writeFileSync(join(at, 'many', `${'name'.repeat(i % 5)}${i}`), `${i}`)
    writeFileSync(join(at, 'a'), 'some text')
    writeFileSync(join(at, 'sub/deep/big'), Buffer.alloc(100_001, 'content '))
    writeFileSync(join(at, 'sub/block'), Buffer.alloc(8192, 7))
    writeFileSync(join(at, 'sub/holes'), Buffer.concat([Buffer.from('x'), Buffer.alloc(50_000), Buffer.from('y')]))
    writeFileSync(join(at, 'empty'), '')
    symlinkSync('sub/deep/big', join(at, 'link'))
    linkSync(join(at, 'a'), join(at, 'again'))
    chmodSync(join(at, 'a'), 0o4750)
    utimesSync(join(at, 'a'), 1, 1_234_567)
  }

  const compare = (inode: Inode, path: string) => {
    const on = lstatSync(path, { bigint: true })
    expect([inode.mode, inode.uid, inode.gid]).toEqual([Number(on.mode), Number(on.uid), Number(on.gid)])
    expect([path, inode.nlink]).toEqual([path, Number(on.nlink)])
    if (inode.kind === 'symlink') expect(inode.readlink(none)).toBe(readlinkSync(path))
    if (inode.kind === 'file') {
      const bytes = new Uint8Array(inode.size)
      inode.read(bytes, 0, bytes.length, 0, none)
      expect(Buffer.compare(bytes, readFileSync(path))).toBe(0)
    }
    if (inode.kind !== 'directory') return
    const names = readdirSync(path)
    expect([...inode.entries(0, none)].map(({ name }) => name).sort()).toEqual(names.sort())
    for (const name of names) compare(inode.lookup(name, none)!, join(path, name))
  }

  test.each<[string[], boolean]>([
    [[], true],
    [['-Eforce-inode-compact'], false],
    [['-Eforce-inode-extended'], true],
    [['-Enoinline_data'], true],
    [['--chunksize=4096'], true],
    [['--chunksize=65536'], true],
  ])('D031 made with %j show the files that they were made of', (options, hasTimes) => {
    const at = mkdtempSync(join(tmpdir(), 'erofs-'))
    try {
      const files = join(at, 'files')
      plantOnDisk(files)
      execFileSync('mkfs.erofs', ['--quiet', ...options, join(at, 'image'), files], { stdio: 'ignore' })
      const root = erofsOver(newVfs(), new Uint8Array(readFileSync(join(at, 'image')))).root.inode
      compare(root, files)
      if (hasTimes) expect(find(root, 'a')!.mtime).toBe(1_234_567_000_000_000n)
      expect(find(root, 'again')).toBe(find(root, 'a'))
    } finally {
      rmSync(at, { recursive: true })
    }
  })

  test('D025 compressed ones are refused, and it is said why', () => {
    const at = mkdtempSync(join(tmpdir(), 'erofs-'))
    try {
      plantOnDisk(join(at, 'files'))
      execFileSync('mkfs.erofs', ['--quiet', '-zlz4', join(at, 'image'), join(at, 'files')], { stdio: 'ignore' })
      const error = failureOf(() => erofsOver(newVfs(), new Uint8Array(readFileSync(join(at, 'image')))))
      expect(error).toMatchObject({ code: 'EINVAL', detail: expect.stringMatching(/compression/) as string })
    } finally {
      rmSync(at, { recursive: true })
    }
  })
})
