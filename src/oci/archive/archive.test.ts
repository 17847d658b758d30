/** Layers to archives and back: what each row of D5 says is kept is there, and bytes are equal. */

import { unpackTar } from 'modern-tar'
import { describe, expect, test } from 'vitest'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { overlayOf, testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { dir, find, linkTo, opaqueDir, picture, type Tree, textOf, whiteout } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode } from '../../vfs/inode.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { restore } from './restore.ts'
import { archived, unarchived } from './test-archives.ts'

const none = new Attempt()
const long = 'a/'.repeat(60) + 'b'.repeat(200)

/** One of everything. */
const everything: Tree = {
  'etc/passwd': {
    kind: 'file',
    text: 'root:x:0:0\n',
    mode: 0o640,
    uid: 1000,
    gid: 100,
    mtime: 1_700_000_000_123_456_789n,
  },
  'bin/su': { kind: 'file', text: '#!', mode: 0o4755, mtime: 5n },
  'bin/link': linkTo('../etc/passwd'),
  'bin/far': linkTo('x'.repeat(300)),
  'dev/null': { kind: 'char', rdev: makeDevice(1, 3), mode: 0o666 },
  'dev/loop0': { kind: 'block', rdev: makeDevice(7, 0), mode: 0o660 },
  'run/pipe': { kind: 'fifo', mode: 0o600 },
  tmp: { kind: 'directory', mode: 0o1777 },
  [long]: 'long name\n',
  'grüße/日本/🎉': 'not ASCII\n',
  'etc/shadow': { kind: 'file', sameAs: 'etc/passwd' },
  'old/times': { kind: 'file', mtime: -1_500_000_000n },
  'big/ids': { kind: 'file', uid: 4_000_000_000, gid: 3_000_000 },
  'x/attr': {
    kind: 'file',
    text: 'x',
    xattrs: { 'user.note': 'text', 'user.empty': '', 'user.a=b': 'odd', 'user.ü': 'ü' },
  },
  gone: whiteout,
  'etc/gone too': whiteout,
  opaque: opaqueDir,
  'opaque/new': 'new\n',
}

const upperOf = (tree: Tree) => tmpfsOf(testVfs(), tree).root as DirectoryInode

/** To compare: item by item takes a second for 100 KB. */
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** Everything that stat and the rest tell, by path, but for numbers and times that an archive has not. */
function facts(root: DirectoryInode): Record<string, unknown> {
  const seen: Record<string, unknown> = {}
  for (const path of ['', ...Object.keys(picture(root))]) {
    const { kind, mode, uid, gid, nlink, rdev, mtime, size, xattrs } = find(root, path)!
    const attributes = xattrs ? Object.fromEntries([...xattrs.keys()].map((key) => [key, [...xattrs.get(key)!]])) : {}
    const whole = kind === 'directory' ? {} : { nlink: rdev === 0 && kind === 'char' ? 'any' : nlink, size }
    seen[path] = { kind, mode, uid, gid, rdev, mtime, attributes, ...whole }
  }
  return seen
}

describe.each(['snapshot', 'layer'] as const)('a %s', (form) => {
  test('D058 D053 D054 keeps kinds, modes, owners, times, hard links, devices, attributes and odd names', () => {
    const upper = upperOf(everything)
    const layer = unarchived(archived(upper, form), form)
    const deleted = (root: DirectoryInode) => ({ ...facts(root), gone: 0, 'etc/gone too': 0 })
    expect(deleted(layer.root)).toEqual(deleted(upper))
    expect(picture(layer.root)).toEqual(picture(upper))
  })

  test.each([1, 7, 512, 1000, 1 << 20])('reads the same from pieces of %d bytes', (piece) => {
    const bytes = archived(upperOf(everything), form)
    expect(hexOf(archived(unarchived(bytes, form, piece).root, form))).toBe(hexOf(bytes))
  })

  test('D065 is the same bytes after a way back: of the layer itself, and of an upper made from it', () => {
    const bytes = archived(upperOf(everything), form)
    const layer = unarchived(bytes, form)
    expect(hexOf(archived(layer.root, form))).toBe(hexOf(bytes))
    const again = upperOf({})
    restore(layer.root, again, 9n, none)
    expect(hexOf(archived(again, form))).toBe(hexOf(bytes))
  })

  test('D054 leaves sockets out, and says so', () => {
    const skipped: string[] = []
    const bytes = archived(upperOf({ 'run/sock': { kind: 'socket' }, 'run/pid': '1' }), form, skipped)
    expect(picture(unarchived(bytes, form).root)).toEqual({ run: 'dir', 'run/pid': 'file 1' })
    expect(skipped).toEqual(['run/sock'])
  })

  test('holes stay holes, and cost nothing', () => {
    const upper = upperOf({ big: '' })
    const file = find(upper, 'big') as FileInode
    file.truncate!(2 ** 40, none)
    file.write!(encodeUtf8('start'), 0, 5, 0, none)
    file.write!(encodeUtf8('far'), 0, 3, 2 ** 39, none)
    const bytes = archived(upper, form)
    expect(bytes.length).toBeLessThan(20_000)
    const layer = unarchived(bytes, form)
    const read = find(layer.root, 'big') as FileInode
    expect([read.size, read.nextHole!(0, none), read.nextData!(4096, none)]).toEqual([2 ** 40, 4096, 2 ** 39])
    const memory = new Uint8Array(8).fill(9)
    read.read(memory, 0, 8, 2 ** 39 - 2, none)
    expect([...memory]).toEqual([0, 0, 102, 97, 114, 0, 0, 0])
    const again = upperOf({})
    restore(layer.root, again, 9n, none)
    expect((find(again, 'big') as FileInode).blocks).toBe(16)
    expect(hexOf(archived(again, form))).toBe(hexOf(bytes))
  })
})

describe('a snapshot', () => {
  test("D052 has names that begin with './', directories with a slash, the root as './'", async () => {
    const entries = await unpackTar(archived(upperOf({ 'a/b': 'text', c: dir }), 'snapshot'), { strict: true })
    expect(entries.map(({ header }) => header.name)).toEqual(['./', './a/', './a/b', './c/'])
  })

  test('D053 has the second name of an inode as a link to the first', async () => {
    const entries = await unpackTar(
      archived(upperOf({ one: 'text', 'sub/two': { kind: 'file', sameAs: 'one' } }), 'snapshot'),
    )
    const [, , , link] = entries.map(({ header }) => header)
    expect(link).toMatchObject({ name: './sub/two', type: 'link', linkname: './one' })
  })

  test('D055 D056 of an overlay holds deletions as devices 0:0 and opaque directories by their mark, and nothing else for them', () => {
    const overlay = overlayOf({ lowers: [{ 'etc/a': 'a', 'etc/b': 'b', 'lib/x': 'x' }] })
    overlay.shell.call((task) => task.unlinkat(-100, '/etc/a', 0))
    overlay.shell.call((task) => task.unlinkat(-100, '/lib/x', 0))
    overlay.shell.call((task) => task.unlinkat(-100, '/lib', 0x200))
    overlay.shell.call((task) => task.mkdirat(-100, '/lib', 0o755))
    const layer = unarchived(archived(overlay.upper, 'snapshot'), 'snapshot')
    expect(picture(layer.root)).toEqual({ etc: 'dir', 'etc/a': 'whiteout', lib: 'dir opaque' })
    expect([...find(layer.root, 'etc')!.xattrs!.keys()]).toEqual([])
    const again = overlayOf({ lowers: [{ 'etc/a': 'a', 'etc/b': 'b', 'lib/x': 'x' }] })
    restore(layer.root, again.upper, 9n, none)
    expect(picture(again.again().root)).toEqual({ etc: 'dir', 'etc/b': 'file b', lib: 'dir' })
  })

  test('D055 without deletions there is no device in it', () => {
    const overlay = overlayOf({ lowers: [{ 'etc/a': 'a' }] })
    overlay.shell.write('/etc/a', 'changed')
    expect(Object.values(picture(unarchived(archived(overlay.upper, 'snapshot'), 'snapshot').root))).toEqual([
      'dir',
      'file changed',
    ])
  })

  test('D057 has attributes as records under SCHILY, those that are no text and ACLs encoded', async () => {
    const upper = upperOf({ f: { kind: 'file', xattrs: { 'user.plain': 'text', 'user.a=b': 'text' } } })
    const acl = new Uint8Array([2, 0, 0, 0, 1, 0, 6, 0])
    find(upper, 'f')!.xattrs!.set('system.posix_acl_access', acl)
    const bytes = archived(upper, 'snapshot')
    const [, file] = await unpackTar(bytes, { strict: true })
    expect(file!.header.pax).toMatchObject({
      'SCHILY.xattr.user.plain': 'text',
      'LIBARCHIVE.xattr.user.a%3Db': 'dGV4dA',
      'LIBARCHIVE.xattr.system.posix_acl_access': 'AgAAAAEABgA',
    })
    expect(Object.keys(file!.header.pax!).filter((key) => key.startsWith('SCHILY'))).toEqual([
      'SCHILY.xattr.user.plain',
    ])
    const read = find(unarchived(bytes, 'snapshot').root, 'f')!.xattrs!
    expect(read.get('system.posix_acl_access')).toEqual(acl)
    expect(read.get('user.a=b')).toEqual(encodeUtf8('text'))
  })

  test('D060 is read in any order, hard links last', async () => {
    const { packTar } = await import('modern-tar')
    const bytes = await packTar([
      { header: { name: './d/link', type: 'link', linkname: './d/e/file', size: 0 } },
      { header: { name: './d/e/file', size: 4 }, body: 'text' },
      { header: { name: './d/e/', type: 'directory', size: 0 } },
      { header: { name: './d/', type: 'directory', size: 0 } },
      { header: { name: './', type: 'directory', size: 0 } },
    ])
    const { root } = unarchived(bytes, 'snapshot')
    expect(picture(root)).toEqual({ d: 'dir', 'd/e': 'dir', 'd/e/file': 'file text', 'd/link': 'file text' })
    expect(find(root, 'd/link')!.nlink).toBe(2)
  })

  test.each([
    ['D060 an entry whose directory is missing', './d/file', 'ENOENT', /its directory is not in the archive/],
    ["D061 an entry that is not below './'", 'file', 'ENOENT', /not below '.\/'/],
    ["D061 an entry that goes through '..'", './../file', 'EINVAL', /goes through '..'/],
  ])('%s fails', async (_, name, code, rule) => {
    const { packTar } = await import('modern-tar')
    const bytes = await packTar([{ header: { name: './', type: 'directory', size: 0 } }, { header: { name, size: 0 } }])
    expect(() => unarchived(bytes, 'snapshot')).toThrow(
      expect.objectContaining({ code, path: name, message: expect.stringMatching(rule) }),
    )
  })

  test('D064 a long target of a symbolic link is charged a page once it is restored, and given back with the link', () => {
    const layer = unarchived(
      archived(upperOf({ far: linkTo('t'.repeat(128)), near: linkTo('t') }), 'snapshot'),
      'snapshot',
    )
    const { filesystem } = tmpfsOf(testVfs(), {}, 'size=1m').root
    const root = filesystem.root as DirectoryInode
    const free = filesystem.usage().blocksFree
    restore(layer.root, root, 9n, none)
    expect(filesystem.usage().blocksFree).toBe(free - 1)
    root.unlink!('far', root.lookup('far', none)!, none)
    expect(filesystem.usage().blocksFree).toBe(free)
  })
})

test('D063 numbers and listings follow the order of the archive, so that equal archives have equal ones', () => {
  const bytes = archived(upperOf(everything), 'layer')
  const [one, two] = [unarchived(bytes, 'layer'), unarchived(bytes, 'layer', 100)]
  const numbers = ({ root }: { root: DirectoryInode }) =>
    Object.keys(picture(root)).map((path) => find(root, path)!.ino)
  expect(numbers(one)).toEqual(numbers(two))
  expect([...one.root.entries(0)].map(({ name }) => name)).toEqual([...two.root.entries(0)].map(({ name }) => name))
})

describe('a layer', () => {
  test("has deletions as files named .wh.NAME and a file .wh..wh..opq, names without './'", async () => {
    const upper = upperOf({ 'etc/gone': whiteout, opaque: opaqueDir, 'opaque/new': 'new' })
    const entries = await unpackTar(archived(upper, 'layer'), { strict: true })
    expect(entries.map(({ header }) => header.name)).toEqual([
      ...['./', 'etc/', 'etc/.wh.gone', 'opaque/', 'opaque/.wh..wh..opq', 'opaque/new'],
    ])
  })

  test('a directory that is deleted and made anew in one layer does not merge', async () => {
    const { packTar } = await import('modern-tar')
    const names = ['a/', 'a/new', '.wh.a', 'b', '.wh.b', '.wh.c', 'd/.wh..wh..opq', '.wh..wh.plnk']
    const bytes = await packTar(
      names.map((name) => ({ header: { name, size: 0, type: name.endsWith('/') ? 'directory' : 'file' } })),
    )
    expect(picture(unarchived(bytes, 'layer').root)).toEqual({
      ...{ a: 'dir opaque', 'a/new': 'file', b: 'file', c: 'whiteout', d: 'dir opaque' },
    })
  })

  test('directories on the way are made; binary attributes are kept as they are', async () => {
    const upper = upperOf({ f: 'x' })
    find(upper, 'f')!.xattrs!.set('security.capability', new Uint8Array([1, 0, 0, 2, 0xff, 0x0a, 0]))
    const { root } = unarchived(archived(upper, 'layer'), 'layer')
    expect([...find(root, 'f')!.xattrs!.get('security.capability')!]).toEqual([1, 0, 0, 2, 0xff, 0x0a, 0])
  })

  test("a name that begins with '.wh.' is refused, since it would mean a deletion", () => {
    expect(() => archived(upperOf({ 'a/.wh.b': 'text' }), 'layer')).toThrow(/'a\/.wh.b'/)
    expect(
      textOf(
        find(unarchived(archived(upperOf({ 'a/.wh.b': 'text' }), 'snapshot'), 'snapshot').root, 'a/.wh.b') as FileInode,
      ),
    ).toBe('text')
  })
})

test('what is planted in a layer cannot be changed', () => {
  const { root } = unarchived(archived(upperOf({ f: 'x' }), 'layer'), 'layer')
  expect(() => find(root, 'f')!.xattrs!.set('user.a', new Uint8Array(1))).toThrow('EROFS')
  expect(() => find(root, 'f')!.setAttributes({ mode: 0 }, none)).toThrow('EROFS')
})
