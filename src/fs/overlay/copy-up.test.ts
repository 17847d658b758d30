import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { AT_EMPTY_PATH, O_APPEND, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../abi/linux.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { overlayOf, testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { find, linkTo, type Planted, picture, Shell, type Tree, textOf } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode, FilesystemUsage, NewInode, PageSource } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'

const times = { atime: 1_234_567_890n, mtime: 987_654_321n }
const attributes = {
  mode: 0o4751,
  uid: 11,
  gid: 22,
  ...times,
  xattrs: { 'user.note': 'kept', 'trusted.overlay.opaque': 'n' },
}

const lower: Tree = {
  file: { kind: 'file', text: 'text', ...attributes },
  symlink: { kind: 'symlink', target: 'to', ...attributes },
  fifo: { kind: 'fifo', ...attributes },
  socket: { kind: 'socket', ...attributes },
  char: { kind: 'char', rdev: 7, ...attributes },
  block: { kind: 'block', rdev: 8, ...attributes },
  directory: { kind: 'directory', ...attributes },
  'directory/child': 'stays',
}
const kinds = ['file', 'symlink', 'fifo', 'socket', 'char', 'block', 'directory']

describe.each(kinds)('a lower %s', (kind) => {
  test('B102 B105 B106 B107 is copied up (a fifo and a socket too, as on Linux) with mode, owner, times and attributes, parents first; ctime is now', () => {
    const nested = Object.fromEntries(Object.entries(lower).map(([path, what]) => [`p/q/${path}`, what]))
    const parent: Planted = { kind: 'directory', mode: 0o2711, uid: 5, gid: 6, ...times }
    const overlay = overlayOf({ lowers: [{ p: parent, 'p/q': parent, ...nested }] })
    const { shell, upper } = overlay
    const before = shell.stat(`p/q/${kind}`)
    // Lower directories' times moved as their children were planted.
    const parents = ['p', 'p/q'].map((path) => ({ ...shell.stat(path), nlink: 1 }))
    overlay.clock.now += 5n
    shell.call((task) => task.fchownat(-100, `p/q/${kind}`, -1, 33, 0x100))
    const copy = find(upper, `p/q/${kind}`)!
    // chown(2) takes the set-id bits away, but a directory's.
    const mode = kind === 'directory' ? 0o4751 : 0o751
    expect(copy).toMatchObject({ kind, uid: 11, gid: 33, ...times, rdev: before.rdev, ctime: overlay.clock.now })
    expect(copy.mode & 0o7777).toBe(mode)
    expect([...copy.xattrs!.keys()].filter((name) => name !== 'trusted.overlay.ino')).toEqual(['user.note'])
    expect(copy.xattrs!.get('user.note')).toEqual(encodeUtf8('kept'))
    expect(shell.stat(`p/q/${kind}`)).toMatchObject({ ...times, ino: before.ino, dev: before.dev, rdev: before.rdev })
    if (copy.kind === 'file') expect(textOf(copy)).toBe('text')
    if (copy.kind === 'symlink') expect(shell.readlink(`p/q/${kind}`)).toBe('to')
    expect(Object.keys(picture(upper))).toEqual(['p', 'p/q', `p/q/${kind}`])
    // The parents were copied as they are, and making the copy was no change of theirs.
    const { blocks, size, ctime, btime, ...same } = parents[1]!
    expect(shell.stat('p/q')).toMatchObject(same)
    expect(find(upper, 'p')).toMatchObject({ mode: 0o042711, uid: 5, gid: 6, mtime: parents[0]!.mtime })
  })

  test('B101 is not copied up by reading, stat, attributes or O_PATH', () => {
    const { shell, upper, root } = overlayOf({ lowers: [lower] })
    shell.stat(kind)
    find(root, kind)!.xattrs?.get('user.note')
    if (kind === 'file') shell.read(kind)
    if (kind === 'symlink') shell.readlink(kind)
    if (kind === 'directory') shell.list(kind)
    shell.close(shell.open(kind, 0o10000000 | 0o400000))
    // No pipe or device is behind these names here; that they were to be opened is enough.
    if (['fifo', 'char', 'block'].includes(kind)) expect(() => shell.open(kind, O_WRONLY)).toThrow()
    expect(picture(upper)).toEqual({})
  })
})

describe('B100 what copies up', () => {
  test.each<[string, (shell: Shell) => void, Record<string, string>]>([
    ['a write', (shell) => shell.write('d/f', 'T', 0), { d: 'dir', 'd/f': 'file Text' }],
    ['opening for writing', (shell) => shell.close(shell.open('d/f', O_WRONLY)), { d: 'dir', 'd/f': 'file text' }],
    ['opening for both', (shell) => shell.close(shell.open('d/f', O_RDWR)), { d: 'dir', 'd/f': 'file text' }],
    ['open with O_TRUNC', (shell) => shell.close(shell.open('d/f', O_WRONLY | O_TRUNC)), { d: 'dir', 'd/f': 'file' }],
    ['truncate', (shell) => shell.truncate('d/f', 2), { d: 'dir', 'd/f': 'file te' }],
    ['open with O_TRUNC for reading', (s) => s.close(s.open('d/f', O_TRUNC)), { d: 'dir', 'd/f': 'file' }],
    ['chown', (s) => s.call((task) => task.fchownat(-100, 'd/f', 1, 1, 0)), { d: 'dir', 'd/f': 'file text' }],
    ['utimes', (shell) => shell.utimes('d/f', 1n, 2n), { d: 'dir', 'd/f': 'file text' }],
    ['chmod', (shell) => shell.chmod('d/f', 0o600), { d: 'dir', 'd/f': 'file text' }],
    ['utimes of a link', (shell) => shell.utimes('d/l', 1n, 2n), { d: 'dir', 'd/l': 'link f' }],
    ['link', (shell) => shell.link('d/f', 'g'), { d: 'dir', 'd/f': 'file text', g: 'file text' }],
    ['rename', (shell) => shell.rename('d/f', 'g'), { d: 'dir', 'd/f': 'whiteout', g: 'file text' }],
    ['creating below', (shell) => shell.mkdir('d/e/g'), { d: 'dir', 'd/e': 'dir', 'd/e/g': 'dir opaque' }],
    ['fallocate', (shell) => allocate(shell, 'd/f'), { d: 'dir', 'd/f': 'file text' }],
  ])('%s', (_, change, raw) => {
    const overlay = overlayOf({ lowers: [{ 'd/f': 'text', 'd/l': linkTo('f'), 'd/e': { kind: 'directory' } }] })
    change(overlay.shell)
    expect(picture(overlay.upper)).toEqual(raw)
    expect(picture(overlay.lowers[0]!)).toMatchObject({ 'd/f': 'file text', 'd/l': 'link f' })
  })

  const allocate = (shell: Shell, path: string) => {
    const fd = shell.open(path, O_RDWR)
    shell.call((task) => task.fallocate(fd, 1, 0, 4))
    shell.close(fd)
  }

  test('B131 setting or removing an attribute copies up; reading one sees the top layer', () => {
    const { root, upper } = overlayOf({
      lowers: [
        {
          f: { kind: 'file', xattrs: { 'user.a': '1', 'user.b': '2' } },
          g: { kind: 'file', xattrs: { 'user.a': '1' } },
        },
      ],
    })
    const { xattrs } = find(root, 'f')!
    expect(xattrs!.get('user.a')).toEqual(encodeUtf8('1'))
    expect(picture(upper)).toEqual({})
    xattrs!.set('user.a', encodeUtf8('3'))
    expect(picture(upper)).toEqual({ f: 'file' })
    expect(xattrs!.get('user.a')).toEqual(encodeUtf8('3'))
    expect(find(root, 'g')!.xattrs!.delete('user.a')).toBe(true)
    expect([...find(root, 'g')!.xattrs!.keys()]).toEqual([])
    expect([...find(root, 'f')!.xattrs!.keys()]).toEqual(['user.a', 'user.b'])
  })
})

test.each([
  ['B130 B132', '', 'trusted.overlay.', 'user.overlay.'],
  ['B079 B130 B132', 'userxattr', 'user.overlay.', 'trusted.overlay.'],
])('%s with options "%s" attributes %s* are the overlay\'s own, %s* are ordinary', (_, data, own, ordinary) => {
  const overlay = overlayOf({
    data,
    upper: { d: { kind: 'directory', xattrs: { [`${own}opaque`]: 'y' } } },
    lowers: [{ 'd/hidden': '', f: { kind: 'file', xattrs: { [`${ordinary}x`]: '1' } } }],
  })
  const d = find(overlay.root, 'd')!.xattrs!
  expect(overlay.shell.list('d')).toEqual([])
  expect([...d.keys()]).toEqual([])
  for (const use of [
    () => d.get(`${own}opaque`),
    () => d.set(`${own}x`, new Uint8Array(1)),
    () => d.delete(`${own}opaque`),
  ]) {
    expect(use).toThrow('EOPNOTSUPP')
  }
  overlay.shell.chmod('f', 0o600)
  expect([...find(overlay.root, 'f')!.xattrs!.keys()]).toEqual([`${ordinary}x`])
})

test('B107 an upper without attributes takes the file without them', () => {
  const overlay = overlayOf({
    lowers: [{ f: { kind: 'file', text: 'x', xattrs: { 'user.a': '1' } } }],
    upperVeil: { without: ['xattrs'] },
  })
  const before = overlay.shell.stat('f').ino
  overlay.shell.chmod('f', 0o600)
  expect(picture(overlay.upper)).toEqual({ f: 'file x' })
  expect(overlay.shell.stat('f').ino).toBe(before)
  expect(() => find(overlay.root, 'f')!.xattrs!.set('user.b', new Uint8Array(1))).toThrow('EOPNOTSUPP')
})

test.each([
  ['user.note', 'copied'],
  ['security.capability', 'EOPNOTSUPP'],
])('B107 where the upper refuses %s the copy-up is %s', (name, expected) => {
  const vfs = testVfs()
  const upper = tmpfsOf(vfs, {}).root as DirectoryInode
  const refusing = new Proxy(upper, {
    get(target, key) {
      if (key !== 'createUnnamed') {
        const value = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return (what: NewInode, attempt: Attempt) => {
        const file = target.createUnnamed!(what, attempt)
        const set = (name: string) => {
          if (!name.startsWith('trusted.')) throw new ErrnoError('EOPNOTSUPP')
        }
        return Object.defineProperty(file, 'xattrs', {
          value: { get: () => undefined, set, delete: () => false, keys: () => [] },
        })
      }
    },
  })
  const lower = tmpfsOf(vfs, { f: { kind: 'file', text: 'x', xattrs: { [name]: '1' } } }).root
  const shell = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal: { upper: refusing, lowers: [lower] } }))
  if (expected === 'copied') shell.chmod('f', 0o600)
  else expect(() => shell.chmod('f', 0o600)).toThrow(expected)
  expect(picture(upper)).toEqual(expected === 'copied' ? { f: 'file x' } : {})
})

describe('open descriptions', () => {
  test('B110 a reader follows a copy-up: it keeps its place and sees what is written then', () => {
    const { shell } = overlayOf({ lowers: [{ f: 'old text' }] })
    const reader = shell.open('f', O_RDONLY | O_APPEND)
    const bytes = new Uint8Array(4)
    shell.call((task) => task.readv(reader, bytes, [0, 4]))
    shell.write('f', 'NEW ', 4)
    shell.call((task) => task.readv(reader, bytes, [0, 4]))
    expect(new TextDecoder().decode(bytes)).toBe('NEW ')
    expect(shell.call((task) => task.getfl(reader))).toBe(O_RDONLY | O_APPEND)
    shell.close(reader)
  })

  /** What a change leaves: a whiteout, which is an inode. */
  const withWhiteout = (usage: FilesystemUsage) => ({ ...usage, filesFree: usage.filesFree - 1 })

  test('a lower file that was removed while open can still be written, cut and changed, and its space returns', () => {
    const overlay = overlayOf({ lowers: [{ f: 'old text' }], upperData: 'size=1m,nr_inodes=100' })
    const { shell } = overlay
    const before = overlay.upperFilesystem.usage()
    const fd = shell.open('f', O_RDWR)
    const { ino } = shell.stat('f')
    shell.unlink('f')
    expect(shell.call((task) => task.fstat(fd))).toMatchObject({ ino, nlink: 0 })
    shell.pwrite(fd, 'NEW', 0)
    expect(shell.pread(fd)).toBe('NEW text')
    shell.call((task) => task.ftruncate(fd, 5))
    shell.call((task) => task.fchmodat(fd, '', 0o611, AT_EMPTY_PATH))
    expect(shell.call((task) => task.fstat(fd))).toMatchObject({ ino, nlink: 0, size: 5, mode: 0o100611 })
    expect(picture(overlay.upper)).toEqual({ f: 'whiteout' })
    shell.close(fd)
    expect(overlay.upperFilesystem.usage()).toEqual(withWhiteout(before))
  })

  test.each<[string, readonly string[]]>([
    ['', []],
    [', where the upper makes no nameless files', ['createUnnamed']],
  ])('B109 what was removed while open for reading is copied up without a name when it is changed%s', (_, without) => {
    const overlay = overlayOf({
      lowers: [{ f: 'old text', d: { kind: 'directory' } }],
      upperData: 'nr_inodes=100',
      upperVeil: { without },
    })
    const { shell } = overlay
    const before = overlay.upperFilesystem.usage()
    const fds = [shell.open('f', O_RDONLY), shell.open('d', O_RDONLY)] as const
    shell.unlink('f')
    shell.rmdir('d')
    for (const fd of fds) {
      shell.call((task) => task.fchmodat(fd, '', 0o700, AT_EMPTY_PATH))
      expect(shell.call((task) => task.fstat(fd))).toMatchObject({ nlink: 0 })
    }
    expect(shell.pread(fds[0])).toBe('old text')
    expect(picture(overlay.upper)).toEqual({ d: 'whiteout', f: 'whiteout' })
    for (const path of ['f', 'd']) expect(() => shell.chmod(path, 0o700)).toThrow('ENOENT')
    for (const fd of fds) shell.close(fd)
    expect(overlay.upperFilesystem.usage()).toEqual(withWhiteout(before))
  })

  test('a file that is open in the upper counts there as open', () => {
    const overlay = overlayOf({ lowers: [{ f: 'text' }], upperData: 'size=1m,nr_inodes=100' })
    const { shell } = overlay
    const before = overlay.upperFilesystem.usage()
    const fd = shell.open('f', O_RDONLY)
    shell.chmod('f', 0o600)
    shell.unlink('f')
    const opensOf = (inode: unknown) => (inode as { opens: number }).opens
    expect([opensOf(find(overlay.lowers[0]!, 'f'))]).toEqual([0])
    expect(shell.pread(fd)).toBe('text')
    expect(overlay.upperFilesystem.usage().filesFree).toBe(before.filesFree - 2)
    shell.close(fd)
    // What is left is the whiteout.
    expect(overlay.upperFilesystem.usage().filesFree).toBe(before.filesFree - 1)
  })
})

test('B134 fsync of what was never copied up succeeds', () => {
  const { shell } = overlayOf({ lowers: [{ 'd/f': '' }] })
  for (const path of ['d', 'd/f']) {
    const fd = shell.open(path, O_RDONLY)
    shell.call((task) => task.fsync(fd))
    shell.close(fd)
  }
  expect(shell.exists('d/f')).toBe(true)
})

/** A lower layer whose file's pages are counted, and can be had by reference or not. */
function counted(size: number, byReference: boolean) {
  const vfs = testVfs()
  const upper = tmpfsOf(vfs, {}, 'size=256k')
  const root = tmpfsOf(vfs, { f: '' }).root as DirectoryInode
  const file = find(root, 'f') as FileInode
  file.truncate!(size, new Attempt())
  file.write!(encodeUtf8('begin'), 0, 5, 0, new Attempt())
  file.write!(encodeUtf8('end'), 0, 3, size - 3, new Attempt())
  const told = { bytes: 0 }
  const lowerFile: FileInode = new Proxy(file, {
    get(target, key) {
      if (key === 'read') {
        return (memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt) => {
          told.bytes += length
          return target.read(memory, at, length, offset, attempt)
        }
      }
      if (key === 'immutableSource') return byReference ? () => source : undefined
      const value = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const source: PageSource = { size, read: (...args) => void lowerFile.read(...args) }
  const lowerRoot = new Proxy(root, {
    get: (target, key) => (key === 'lookup' ? () => lowerFile : Reflect.get(target, key, target)),
  })
  const shell = new Shell(
    vfs,
    vfs.newFilesystem({ type: 'overlay', internal: { upper: upper.root, lowers: [lowerRoot] } }),
  )
  return { shell, told, upper }
}

describe('data', () => {
  const LARGE = 1 << 20

  test('a file that the upper can refer to is copied up without reading it, and takes no space until it is written', () => {
    const { shell, told, upper } = counted(LARGE, true)
    const { blocksFree } = upper.usage()
    shell.chmod('f', 0o600)
    expect([told.bytes, upper.usage().blocksFree]).toEqual([0, blocksFree])
    shell.write('f', 'BEGIN', 0)
    expect(shell.read('f').slice(0, 8)).toBe('BEGIN\0\0\0')
    expect(shell.read('f').slice(-3)).toBe('end')
  })

  test('otherwise its data is copied, but not its holes', () => {
    const { shell, told, upper } = counted(LARGE, false)
    const { blocksFree } = upper.usage()
    shell.chmod('f', 0o600)
    expect(told.bytes).toBeLessThanOrEqual(2 * 65_536)
    expect(upper.usage().blocksFree).toBe(blocksFree - 2)
    expect(shell.read('f').length).toBe(LARGE)
    expect([shell.read('f').slice(0, 5), shell.read('f').slice(-3)]).toEqual(['begin', 'end'])
  })

  test.each([true, false])('O_TRUNC reads none of what it drops (by reference: %s)', (byReference) => {
    const { shell, told } = counted(LARGE, byReference)
    shell.write('f', 'new')
    expect([shell.read('f'), told.bytes]).toEqual(['new', 0])
  })

  test('a file can be cut or grown on the way', () => {
    for (const [size, expected] of [
      [3, 'beg'],
      [5, 'begin'],
      [LARGE + 2, 'end\0\0'],
    ] as const) {
      const { shell } = counted(LARGE, false)
      shell.truncate('f', size)
      expect(shell.stat('f').size).toBe(size)
      expect(shell.read('f').slice(-5)).toBe(expected)
    }
  })

  test('B108 a file that finds no space leaves nothing in the upper, and is still the lower one', () => {
    const text = 'x'.repeat(300_000)
    for (const without of [[], ['createUnnamed']]) {
      const overlay = overlayOf({ lowers: [{ 'd/f': text }], upperData: 'size=256k', upperVeil: { without } })
      const before = overlay.upperFilesystem.usage()
      expect(() => overlay.shell.write('d/f', 'y', 0)).toThrow('ENOSPC')
      expect(picture(overlay.upper)).toEqual(without.length === 0 ? {} : { d: 'dir' })
      expect(overlay.upperFilesystem.usage()).toEqual(before)
      expect(overlay.shell.read('d/f')).toBe(text)
    }
  })
})
