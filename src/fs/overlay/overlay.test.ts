import { describe, expect, test } from 'vitest'
import { AT_FDCWD, W_OK } from '../../abi/linux.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { overlayOf, testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { dir, find, linkTo, opaqueDir, picture, Shell, type Tree, whiteout } from '../../testing/trees.ts'
import type { DirectoryInode, Filesystem, Inode } from '../../vfs/inode.ts'
import { Attempt, type WouldBlock } from '../../vfs/waiting.ts'
import { ContentReaders } from '../gofer/content.ts'
import { goferType } from '../gofer/gofer.ts'
import { type OverlayLayers, overlayType } from './overlay.ts'

const nothing = (): never => {
  throw new Error('nothing is to be read from outside')
}
const request = { source: 'none', data: '', uid: 0, gid: 0, dev: 77, clock: testVfs().clock }

describe('making an overlay', () => {
  const vfs = testVfs()
  const layer = (tree: Tree = {}) => tmpfsOf(vfs, tree).root
  const detail = (internal: unknown, data = '') => {
    try {
      overlayType.mount({ ...request, internal, data })
      return 'mounted'
    } catch (failure) {
      const { code, detail } = failure as { code: string; detail: string }
      return `${code} ${detail}`
    }
  }

  test.each<[string, unknown, string, RegExp]>([
    ['B073 no layers', undefined, '', /^EINVAL overlay: wants its layers/],
    ['B073 something that is no layers', { lowers: 'x' }, '', /^EINVAL overlay: wants its layers/],
    ['B074 no lower layer', { upper: layer(), lowers: [] }, '', /^EINVAL overlay: wants a lower layer/],
    ['B074 one lower layer and no upper', { lowers: [layer()] }, '', /^EINVAL overlay: wants two lower layers/],
    ['B074 501 lower layers', { lowers: Array(501).fill(layer()) }, '', /^EINVAL overlay: takes at most 500/],
    [
      'B077 a whiteout as root',
      { upper: find(layer({ w: whiteout }), 'w'), lowers: [layer()] },
      '',
      /^EINVAL.*whiteout/,
    ],
    ['B073 an unknown option', { upper: layer(), lowers: [layer()] }, 'metacopy=on', /^EINVAL.*"metacopy=on": unknown/],
    ['B070 lower layers in both forms', { lowers: [layer(), layer()] }, 'lowerdir=/a', /^EINVAL.*given twice/],
    ['B070 an upper in both forms', { upper: layer(), lowers: [layer()] }, 'upperdir=/a', /^EINVAL.*given twice/],
    ['a relative layer', { lowers: [layer(), layer()] }, 'upperdir=a', /^EINVAL.*absolute/],
    ['B072 a workdir alone', { lowers: [layer(), layer()] }, 'workdir=/w', /^EINVAL.*workdir/],
    ['B079 userxattr with a value', { upper: layer(), lowers: [layer()] }, 'userxattr=on', /^EINVAL.*takes no value/],
  ])('%s is refused', (_, internal, data, expected) => {
    expect(detail(internal, data)).toMatch(expected)
  })

  test('B074 500 lower layers are taken, and the one at the bottom is seen', () => {
    const bottom = layer({ f: 'deep' })
    const layers: OverlayLayers = { lowers: [...Array<Inode>(499).fill(layer()), bottom] }
    const { root } = overlayType.mount({ ...request, internal: layers })
    expect(picture(root)).toEqual({ f: 'file deep' })
  })

  test('an overlay as the upper is refused, as it can hold no whiteouts', () => {
    const { root } = overlayType.mount({ ...request, internal: { upper: layer(), lowers: [layer()] } })
    expect(detail({ upper: root, lowers: [layer()] })).toMatch(/^EINVAL.*cannot be the upper/)
  })

  test('an overlay as a lower layer shows what it shows itself', () => {
    const inner = overlayType.mount({
      ...request,
      internal: { upper: layer({ a: whiteout, d: opaqueDir }), lowers: [layer({ a: 'x', b: 'y', 'd/no': '' })] },
    })
    const { root } = overlayType.mount({
      ...request,
      internal: { upper: layer(), lowers: [inner.root, layer({ 'd/f': 'z' })] },
    })
    expect(picture(root)).toEqual({ b: 'file y', d: 'dir', 'd/f': 'file z' })
  })

  test('B078 the root may be a file, which is written in the upper', () => {
    const upper = find(layer({ f: 'upper' }), 'f')!
    const lower = find(layer({ f: 'lower' }), 'f')!
    const { root } = overlayType.mount({ ...request, internal: { upper, lowers: [lower] } })
    expect(picture(root)).toEqual({ '': 'file upper' })
    if (root.kind === 'file') root.write!(new Uint8Array([0x55]), 0, 1, 0, new Attempt())
    expect([picture(upper), picture(lower)]).toEqual([{ '': 'file Upper' }, { '': 'file lower' }])
  })

  test('B080 B088 a name may be as long as any layer takes; a layer that takes less does not have it', () => {
    const long = 'n'.repeat(300)
    const wide = vfs.newFilesystem({ type: 'tmpfs', internal: { nameMax: 400 } }).filesystem
    ;(wide.root as DirectoryInode).create!(long, { kind: 'file', mode: 0o644, uid: 0, gid: 0, now: 0n }, new Attempt())
    const narrow = layer() as DirectoryInode
    const strict = new Proxy(narrow, {
      get: (target, key) =>
        key === 'lookup'
          ? (name: string) => {
              if (name.length > 255) throw new Error('asked for a name that is too long')
              return target.lookup(name, new Attempt())
            }
          : typeof Reflect.get(target, key) === 'function'
            ? Reflect.get(target, key).bind(target)
            : Reflect.get(target, key),
    })
    const superblock = vfs.newFilesystem({ type: 'overlay', internal: { upper: strict, lowers: [narrow, wide.root] } })
    const shell = new Shell(vfs, superblock)
    expect(superblock.filesystem.nameMax).toBe(400)
    expect(shell.exists(long)).toBe(true)
    expect(() => shell.write(`${long}2`, 'x')).toThrow('ENAMETOOLONG')
    expect(() => shell.chmod(long, 0o600)).toThrow('ENAMETOOLONG')
    expect(() => shell.unlink(long)).toThrow('ENAMETOOLONG')
  })

  test('B082 B133 options and usage are those of the top layer, the type is overlayfs', () => {
    const top = tmpfsOf(vfs, {}, 'size=64k,mode=700')
    const filesystem = overlayType.mount({ ...request, internal: { upper: top.root, lowers: [layer()] } })
    expect(filesystem.options).toBe(top.options)
    expect(filesystem.usage()).toEqual({ ...top.usage(), type: 0x794c7630 })
    const readonly = overlayType.mount({ ...request, internal: { lowers: [top.root, layer()] } })
    expect(readonly.options).toBe(top.options)
    expect(top.options).toMatch(/size=64k/)
  })

  test("B083 sync is the upper's, and nothing without one", () => {
    let synced = 0
    const upper = layer()
    const counting = { ...upper.filesystem, sync: () => synced++ } as unknown as Filesystem
    const seen = new Proxy(upper, {
      get: (target, key) => (key === 'filesystem' ? counting : Reflect.get(target, key, target)),
    })
    const lower = layer()
    overlayType.mount({ ...request, internal: { upper: seen, lowers: [lower] } }).sync?.(new Attempt())
    expect(synced).toBe(1)
    overlayType.mount({ ...request, internal: { lowers: [seen, lower] } }).sync?.(new Attempt())
    expect(synced).toBe(1)
  })

  test('the layers are let go when the overlay is released', () => {
    let released = 0
    const internal = { upper: layer(), lowers: [layer()], release: () => released++ }
    overlayType.mount({ ...request, internal }).release?.()
    expect(released).toBe(1)
  })
})

describe('what is seen', () => {
  test.each<[string, Tree, Tree[], Record<string, string>]>([
    ['B084 the first file hides what is below', { f: 'up' }, [{ f: 'mid' }, { 'f/x': 'low' }], { f: 'file up' }],
    ['B084 a whiteout hides all below', { f: whiteout, d: whiteout }, [{ f: 'mid' }, { 'd/x': '' }], {}],
    [
      'B085 directories merge',
      { 'd/a': '1' },
      [{ 'd/b': '2' }, { 'd/c': '3' }],
      { d: 'dir', 'd/a': 'file 1', 'd/b': 'file 2', 'd/c': 'file 3' },
    ],
    ['B085 an opaque directory merges with nothing', { d: opaqueDir }, [{ 'd/b': '2' }], { d: 'dir' }],
    [
      'B085 an opaque lower directory ends the merge',
      { 'd/a': '1' },
      [{ d: opaqueDir, 'd/b': '2' }, { 'd/c': '3' }],
      { d: 'dir', 'd/a': 'file 1', 'd/b': 'file 2' },
    ],
    ['B085 a file ends the merge', { 'd/a': '1' }, [{ d: 'file' }, { 'd/c': '3' }], { d: 'dir', 'd/a': 'file 1' }],
    [
      'B085 a lower whiteout ends the merge',
      { 'd/a': '1' },
      [{ d: whiteout }, { 'd/c': '3' }],
      { d: 'dir', 'd/a': 'file 1' },
    ],
    [
      'B086 a lower whiteout hides what is still lower',
      {},
      [{ f: whiteout }, { f: 'low', 'd/x': '' }],
      { d: 'dir', 'd/x': 'file' },
    ],
    [
      'a device that is no whiteout is shown',
      { c: { kind: 'char', rdev: 0x500 } },
      [{ b: { kind: 'block', rdev: 0 } }],
      { b: 'block 0', c: 'char 1280' },
    ],
    [
      'links and other kinds are shown',
      {},
      [{ l: linkTo('f'), p: { kind: 'fifo' }, s: { kind: 'socket' } }],
      { l: 'link f', p: 'fifo', s: 'socket' },
    ],
  ])('%s', (_, upper, lowers, expected) => {
    const { root } = overlayOf({ upper, lowers })
    expect(picture(root)).toEqual(expected)
    // The same by looking each name up where no listing is known.
    const { root: other } = overlayOf({ upper, lowers })
    for (const path of Object.keys({ ...upper, ...Object.assign({}, ...lowers) })) {
      expect([path, find(other, path) !== undefined]).toEqual([path, path in expected])
    }
  })

  test('B087 mode and owner are those of the topmost layer that has the file', () => {
    const { shell } = overlayOf({
      upper: { d: { kind: 'directory', mode: 0o711, uid: 3, gid: 4 } },
      lowers: [
        { d: { kind: 'directory', mode: 0o700, uid: 5 }, f: { kind: 'file', mode: 0o640, uid: 6, gid: 7 } },
        { f: 'x' },
      ],
    })
    expect(shell.stat('d')).toMatchObject({ mode: 0o040711, uid: 3, gid: 4 })
    expect(shell.stat('f')).toMatchObject({ mode: 0o100640, uid: 6, gid: 7 })
  })

  test('B081 a caller is judged by the overlay, whatever the layers say of the mounter', () => {
    const overlay = overlayOf({
      upperData: 'mode=777',
      lowers: [{ 'd/f': { kind: 'file', mode: 0o600, uid: 1 }, 'd/g': { kind: 'file', mode: 0o600, uid: 2 } }],
    })
    const user = overlay.shellOf(1)
    user.write('d/f', 'mine')
    expect(() => user.write('d/g', 'not mine')).toThrow('EACCES')
    expect(() => user.write('d/new', 'in a directory of root')).toThrow('EACCES')
    user.mkdir('own')
    expect(find(overlay.upper, 'own')).toMatchObject({ uid: 1, gid: 1 })
  })

  test('what several layers have to be waited for is asked for at once', () => {
    const { root } = overlayOf({ lowers: [{ 'd/a': '' }, { 'd/b': '' }, { 'd/c': '' }], lowerVeil: { cold: true } })
    const attempt = new Attempt()
    const waitsOf = (read: () => unknown) => {
      try {
        read()
      } catch (failure) {
        return (failure as WouldBlock).queues.length
      }
      return 0
    }
    expect(waitsOf(() => root.lookup('d', attempt))).toBe(3)
    const d = root.lookup('d', attempt)
    if (d?.kind !== 'directory') throw new Error('no directory')
    expect(waitsOf(() => d.entries(0, attempt))).toBe(3)
    expect([...d.entries(0, attempt)].map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  test('the same file is the same inode, however often it is looked up and whatever its name', () => {
    const { root } = overlayOf({ upper: { a: 'x', b: { kind: 'file', sameAs: 'a' } }, lowers: [{ 'd/f': 'y' }] })
    expect(find(root, 'd/f')).toBe(find(root, 'd/f'))
    expect(find(root, 'b')).toBe(find(root, 'a'))
  })

  test('B104 B131 without an upper nothing can be changed', () => {
    const vfs = testVfs()
    const lowers = [tmpfsOf(vfs, { f: 'x' }).root, tmpfsOf(vfs, { g: 'y' }).root]
    const superblock = vfs.newFilesystem({ type: 'overlay', internal: { lowers } })
    const shell = new Shell(vfs, superblock)
    expect(superblock.filesystem.readonly).toBe(true)
    expect(shell.list('.')).toEqual(['f', 'g'])
    for (const change of [
      () => shell.write('f', 'z'),
      () => shell.write('new', 'z'),
      () => shell.chmod('g', 0o600),
      () => shell.unlink('f'),
      () => shell.rename('f', 'h'),
      () => shell.link('f', 'h'),
    ]) {
      expect(change).toThrow('EROFS')
    }
    expect(() => find(superblock.filesystem.root, 'f')!.xattrs!.set('user.a', new Uint8Array(1))).toThrow('EROFS')
  })

  test('A389 B104 that a filesystem cannot be written is said before a missing permission, unlike that a mount is read-only', () => {
    const vfs = testVfs()
    const tree = { f: { kind: 'file', mode: 0o644, content: 'x' } } as const
    const lowers = [tmpfsOf(vfs, tree).root, tmpfsOf(vfs, {}).root]
    const stranger = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal: { lowers } }), 1000)
    expect(() => stranger.write('f', 'y')).toThrow('EROFS')
    expect(() => stranger.call((task) => task.faccessat(AT_FDCWD, 'f', W_OK, 0))).toThrow('EROFS')
    const layers = { upper: tmpfsOf(vfs, tree).root, lowers }
    const onMount = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal: layers }), 1000)
    onMount.task.root.mount.setFlags({ readonly: true })
    expect(() => onMount.write('f', 'y')).toThrow('EACCES')
    expect(() => onMount.call((task) => task.faccessat(AT_FDCWD, 'f', W_OK, 0))).toThrow('EACCES')
  })
})

describe('listings', () => {
  test("B091 the upper's names come first in its order, then each layer's new ones; duplicates once, whiteouts never", () => {
    const { shell } = overlayOf({
      upper: { z: '', gone: whiteout, m: '' },
      lowers: [
        { y: '', z: '', gone: '', gone2: whiteout },
        { a: '', y: '', gone2: '' },
      ],
    })
    expect(shell.list('.')).toEqual(['z', 'm', 'y', 'a'])
  })

  test('B093 a listing in progress loses and repeats nothing that stays, whatever else changes', () => {
    const { shell } = overlayOf({ upper: { u1: '', u2: '', u3: '' }, lowers: [{ l1: '', l2: '', l3: '', l4: '' }] })
    const fd = shell.open('.', 0)
    const next = (cookie: number) => shell.call((task) => task.getdents(fd, cookie, 60))
    const first = next(2)
    expect(first.map(({ name }) => name)).toEqual(['u1', 'u2', 'u3'])
    shell.unlink('u1')
    shell.unlink('l1')
    shell.rename('u2', 'moved')
    shell.write('l2', 'copied up')
    shell.write('new', '')
    shell.rename('l4', 'l3')
    const rest: string[] = []
    for (let cookie = first.at(-1)!.cookie; ; ) {
      const entries = next(cookie)
      if (entries.length === 0) break
      for (const entry of entries) {
        expect(entry.cookie).toBeGreaterThan(cookie)
        cookie = entry.cookie
        rest.push(entry.name)
      }
    }
    expect(rest).toEqual(['l2', 'l3', 'moved', 'new'])
    shell.close(fd)
  })

  test('an entry keeps its cookie while others come and go', () => {
    const { shell, root } = overlayOf({ lowers: [{ keep: '', other: '' }] })
    const cookieOf = (name: string) => [...root.entries(0, new Attempt())].find((each) => each.name === name)?.cookie
    const cookie = cookieOf('keep')
    for (let i = 0; i < 200; i++) shell.write(`f${i}`, '')
    for (let i = 0; i < 200; i++) shell.unlink(`f${i}`)
    shell.write('keep', 'copied up')
    shell.rename('other', 'elsewhere')
    expect(cookieOf('keep')).toBe(cookie)
  })

  test('B093 a directory is merged once: listing it in pieces, and after a change, asks the layers no more', () => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`f${i}`, '']))
    let asked = 0
    const vfs = testVfs()
    const upper = tmpfsOf(vfs, {}).root
    const lower = tmpfsOf(vfs, many).root
    const counting = new Proxy(lower as DirectoryInode, {
      get(target, key) {
        if (key === 'entries') asked++
        const value = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const shell = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal: { upper, lowers: [counting] } }))
    expect(shell.list('.', 200).length).toBe(2000)
    shell.unlink('f7')
    shell.write('new', '')
    const after = shell.list('.', 200)
    expect([after.length, after.at(-1), asked]).toEqual([2000, 'new', 1])
  })

  test('B094 a listing tells the numbers that stat tells (unlike gVisor, like Linux with xino)', () => {
    const { shell } = overlayOf({ upper: { u: '', 'd/x': '' }, lowers: [{ l: '', 'd/y': '', 'e/z': '' }] })
    shell.write('l', 'copied up')
    shell.rename('e', 'f')
    for (const at of ['.', 'd', 'f']) {
      const fd = shell.open(at, 0)
      for (const { name, ino } of shell.call((task) => task.getdents(fd, 2, 4096))) {
        expect([name, ino]).toEqual([name, shell.stat(`${at}/${name}`).ino])
      }
      shell.close(fd)
    }
  })

  test('B095 a directory of several layers has one link; others count their subdirectories, as on Linux', () => {
    const { shell } = overlayOf({
      lowers: [
        { 'a/s': dir, 'b/x': '' },
        { 'a/t': dir, 'c/s': dir },
      ],
    })
    shell.mkdir('new')
    shell.mkdir('new/s')
    const links = () => ['a', 'b', 'c', 'new'].map((path) => shell.stat(path).nlink)
    expect(links()).toEqual([1, 2, 3, 3])
    shell.chmod('c', 0o700)
    expect(links()).toEqual([1, 2, 1, 3])
  })
})

describe('device and inode numbers', () => {
  test('B096 directories keep their number over copy-up and renaming, and one device is told for all', () => {
    const overlay = overlayOf({ lowers: [{ 'd/e/f': 'x' }, { 'd/e/g': 'y' }] })
    const { shell } = overlay
    const before = ['d', 'd/e'].map((path) => shell.stat(path))
    shell.write('d/e/new', '')
    expect(['d', 'd/e'].map((path) => shell.stat(path).ino)).toEqual(before.map(({ ino }) => ino))
    shell.rename('d', 'moved')
    const after = ['moved', 'moved/e'].map((path) => shell.stat(path))
    expect(after.map(({ ino }) => ino)).toEqual(before.map(({ ino }) => ino))
    expect(['.', 'moved', 'moved/e/f', 'moved/e/new'].map((path) => shell.stat(path).dev)).toEqual(
      Array(4).fill(overlay.filesystem.dev),
    )
    expect(overlay.again().shell.stat('moved/e').ino).toBe(before[1]!.ino)
  })

  test('B097 B098 files with one name keep their number over copy-up, as on Linux with xino (gVisor changes it); files of two layers never share one', () => {
    const { shell } = overlayOf({ upper: { u: '' }, lowers: [{ a: '' }, { b: '' }] })
    const before = ['u', 'a', 'b'].map((path) => shell.stat(path).ino)
    expect(new Set(before).size).toBe(3)
    shell.write('a', 'x')
    shell.write('b', 'x')
    shell.write('c', 'x')
    expect(['u', 'a', 'b'].map((path) => shell.stat(path).ino)).toEqual(before)
    expect(before).not.toContain(shell.stat('c').ino)
  })

  test('B099 names of one lower file part at copy-up: the copied one gets a number of its own', () => {
    const { shell } = overlayOf({ lowers: [{ a: 'old', b: { kind: 'file', sameAs: 'a' } }] })
    const before = shell.stat('a')
    expect([shell.stat('b').ino, shell.stat('b').nlink]).toEqual([before.ino, 2])
    const entry = (name: string) => {
      const fd = shell.open('.', 0)
      const entries = shell.call((task) => task.getdents(fd, 2, 4096))
      shell.close(fd)
      return entries.find((each) => each.name === name)?.ino
    }
    expect(entry('a')).toBe(before.ino)
    shell.write('a', 'new')
    expect([shell.read('a'), shell.read('b')]).toEqual(['new', 'old'])
    expect(shell.stat('b').ino).toBe(before.ino)
    expect(shell.stat('a').ino).not.toBe(before.ino)
    expect(entry('a')).toBe(shell.stat('a').ino)
    expect(shell.stat('a').nlink).toBe(1)
  })

  test("numbers of a layer that are too large to put behind the layer's get one of their own, and keep it", () => {
    const vfs = testVfs()
    const lower = tmpfsOf(vfs, { a: '', b: '' }).root as DirectoryInode
    const far = new Proxy(lower, {
      get(target, key) {
        const value = Reflect.get(target, key, target)
        if (key === 'lookup') {
          return (name: string) => {
            const inode = target.lookup(name, new Attempt())
            return (
              inode &&
              new Proxy(inode, {
                get: (t, k) => (k === 'ino' ? 2 ** 50 + Reflect.get(t, 'ino') : Reflect.get(t, k, t)),
              })
            )
          }
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const internal = { upper: tmpfsOf(vfs, {}).root, lowers: [far] }
    const shell = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal }))
    const numbers = ['a', 'b'].map((path) => shell.stat(path).ino)
    expect(new Set(numbers).size).toBe(2)
    expect(numbers.every(Number.isSafeInteger)).toBe(true)
    shell.chmod('a', 0o600)
    expect(['a', 'b'].map((path) => shell.stat(path).ino)).toEqual(numbers)
    // The order in which they are seen has no part in it.
    const again = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal }))
    expect(again.stat('b').ino).toBe(numbers[1])
    expect(again.stat('a').ino).toBe(numbers[0])
  })

  test('B096 B097 numbers of files of a tree that is handed in again are the same, whatever was added or is looked up first', () => {
    const numbersIn = (paths: readonly string[], order: readonly string[]) => {
      const { vfs, upper } = overlayOf({ lowers: [{}] })
      vfs.types.register(goferType(new ContentReaders({ read: nothing }, { fetch: nothing })))
      const entries = paths.map((path) => ({ path, kind: 'file' as const, content: encodeUtf8(path) }))
      const tree = vfs.newFilesystem({ type: 'gofer', internal: { entries } })
      const internal = { upper, lowers: [tree.filesystem.root] }
      const shell = new Shell(vfs, vfs.newFilesystem({ type: 'overlay', internal }))
      return Object.fromEntries(order.map((path) => [path, shell.stat(path).ino]).sort())
    }
    const first = numbersIn(['a', 'd/b', 'd/c'], ['a', 'd', 'd/b', 'd/c'])
    expect(numbersIn(['d/c', 'd/0', 'd/b', 'a'], ['d/c', 'd/b', 'd', 'a'])).toEqual(first)
  })
})
