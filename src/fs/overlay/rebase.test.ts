/** Commit and discard of an overlay in use, and what is told to have changed. */

import { describe, expect, test } from 'vitest'
import { AT_FDCWD, AT_REMOVEDIR, O_RDONLY, O_RDWR } from '../../abi/linux.ts'
import { archived, unarchived } from '../../oci/archive/test-archives.ts'
import { overlayOf, type TestOverlay } from '../../testing/overlays.ts'
import { dir, find, linkTo, picture, type Tree } from '../../testing/trees.ts'
import type { Inode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { diffUpper } from './diff.ts'
import { commitUpper, discardUpper } from './rebase.ts'

const none = new Attempt()
const lower: Tree = {
  'etc/a': 'a',
  'etc/b': 'b',
  'lib/x': 'x',
  'lib/deep/y': 'y',
  bin: linkTo('usr/bin'),
  'usr/bin/tool': { kind: 'file', text: 'tool', mode: 0o755 },
}

/** Every kind of change, made by system calls. */
function changed(): TestOverlay {
  const overlay = overlayOf({ lowers: [lower] })
  const { shell } = overlay
  shell.write('/etc/a', 'changed')
  shell.write('/etc/new', 'new')
  shell.call((task) => task.unlinkat(AT_FDCWD, '/etc/b', 0))
  for (const path of ['/lib/deep/y', '/lib/x']) shell.call((task) => task.unlinkat(AT_FDCWD, path, 0))
  for (const path of ['/lib/deep', '/lib']) shell.call((task) => task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR))
  shell.call((task) => task.mkdirat(AT_FDCWD, '/lib', 0o755))
  shell.write('/lib/z', 'z')
  shell.call((task) => task.fchmodat(AT_FDCWD, '/usr/bin/tool', 0o700, 0))
  shell.call((task) => task.linkat(AT_FDCWD, '/etc/new', AT_FDCWD, '/etc/other', 0))
  shell.call((task) => task.renameat2(AT_FDCWD, '/bin', AT_FDCWD, '/moved', 0))
  return overlay
}

/** The layer that a commit puts below. */
const layerOf = ({ upper }: TestOverlay) => unarchived(archived(upper, 'layer'), 'layer').root

function kill(overlay: TestOverlay, names: readonly (readonly string[])[]): void {
  const { root } = overlay.shell.task.root.mount
  for (const way of names) {
    let dentry: typeof root | undefined = root
    for (const name of way) dentry = dentry?.children?.get(name)
    dentry?.die()
  }
}

const commit = (overlay: TestOverlay) => kill(overlay, commitUpper(overlay.filesystem, layerOf(overlay), none))
const discard = (overlay: TestOverlay, keeps = (_: string) => false) =>
  kill(overlay, discardUpper(overlay.filesystem, keeps, none))

/** As system calls see it: through everything that is cached. */
function seen({ shell, root }: TestOverlay): Record<string, string> {
  const now: Record<string, string> = {}
  const visit = (path: string) => {
    const fd = shell.open(path === '' ? '/' : path, O_RDONLY)
    const entries = shell.call((task) => task.getdents(fd, 2, Number.POSITIVE_INFINITY))
    shell.close(fd)
    for (const { name, kind } of [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = `${path}/${name}`
      now[inner] = kind === 'file' ? shell.read(inner) : kind
      expect(shell.call((task) => task.fstatat(AT_FDCWD, inner, 0x100)).ino).toBe(
        entries.find((each) => each.name === name)!.ino,
      )
      if (kind === 'directory') visit(inner)
    }
  }
  visit('')
  expect(Object.keys(picture(root as Inode))).toEqual(Object.keys(now).map((path) => path.slice(1)))
  return now
}

describe('commit', () => {
  test('leaves what is seen as it was, and the upper empty', () => {
    const overlay = changed()
    const before = seen(overlay)
    commit(overlay)
    expect(seen(overlay)).toEqual(before)
    expect(picture(overlay.upper)).toEqual({})
    expect(diffUpper(overlay.filesystem, none)).toEqual([])
  })

  test('what was never looked at is the same as well', () => {
    const overlay = changed()
    const again = overlay.again()
    const before = picture(overlay.root)
    commitUpper(again.filesystem, layerOf(again), none)
    expect(picture(again.root)).toEqual(before)
  })

  test('open files, locks and working directories go on; a write goes to the upper again', () => {
    const overlay = changed()
    const { shell } = overlay
    const fd = shell.open('/etc/a', O_RDWR)
    const { ino } = shell.call((task) => task.fstat(fd))
    shell.call((task) => task.chdir('/etc'))
    commit(overlay)
    expect(shell.pread(fd)).toBe('changed')
    expect(shell.read('new')).toBe('new')
    shell.pwrite(fd, 'C', 0)
    expect([shell.pread(fd), shell.read('/etc/a'), shell.call((task) => task.fstat(fd)).ino]).toEqual([
      'Changed',
      'Changed',
      ino,
    ])
    expect(picture(overlay.upper)).toEqual({ etc: 'dir', 'etc/a': 'file Changed' })
    shell.close(fd)
  })

  test('a removed file that is still open is kept by its description', () => {
    const overlay = changed()
    const { shell } = overlay
    const fd = shell.open('/etc/a', O_RDWR)
    shell.call((task) => task.unlinkat(AT_FDCWD, '/etc/a', 0))
    commit(overlay)
    shell.pwrite(fd, 'still', 0)
    expect(shell.pread(fd)).toBe('stilled')
    shell.close(fd)
    expect(picture(overlay.upper)).toEqual({})
  })

  test('names of one file part at the next write, as those of any lower file', () => {
    const overlay = changed()
    const { shell } = overlay
    shell.read('/etc/new')
    shell.read('/etc/other')
    commit(overlay)
    shell.write('/etc/other', 'parted')
    expect([shell.read('/etc/new'), shell.read('/etc/other')]).toEqual(['new', 'parted'])
    shell.call((task) => task.unlinkat(AT_FDCWD, '/etc/other', 0))
    expect(shell.read('/etc/new')).toBe('new')
  })

  test('can be made again and again, each layer on top', () => {
    const overlay = changed()
    for (let i = 0; i < 5; i++) {
      overlay.shell.write('/etc/a', `${i}`)
      overlay.shell.write(`/etc/file${i}`, `${i}`)
      if (i > 0) overlay.shell.call((task) => task.unlinkat(AT_FDCWD, `/etc/file${i - 1}`, 0))
      const before = seen(overlay)
      commit(overlay)
      expect(seen(overlay)).toEqual(before)
    }
    expect(overlay.filesystem.lowers).toHaveLength(6)
    expect(overlay.shell.read('/etc/a')).toBe('4')
  })

  test('a listing that is under way goes on behind the names it gave', () => {
    const overlay = changed()
    const { shell } = overlay
    const fd = shell.open('/etc', O_RDONLY)
    const [first] = shell.call((task) => task.getdents(fd, 2, 1))
    commit(overlay)
    const rest = shell.call((task) => task.getdents(fd, first!.cookie, Number.POSITIVE_INFINITY))
    shell.close(fd)
    expect([first!, ...rest].map(({ name }) => name).sort()).toEqual(['a', 'new', 'other'])
  })

  test('is refused while a socket has a name, and then nothing has changed', () => {
    const overlay = overlayOf({ lowers: [lower], upper: { 'run/sock': { kind: 'socket' }, f: 'f' } })
    const layer = layerOf(overlay)
    expect(() => commitUpper(overlay.filesystem, layer, none)).toThrow(/EBUSY.*'run\/sock'/)
    expect(picture(overlay.upper)).toEqual({ f: 'file f', run: 'dir', 'run/sock': 'socket' })
  })
})

describe('discard', () => {
  test('shows the lower layers again', () => {
    const overlay = changed()
    seen(overlay)
    discard(overlay)
    expect(seen(overlay)).toEqual(seen(overlayOf({ lowers: [lower] })))
    expect(picture(overlay.upper)).toEqual({})
  })

  test('also where nothing was looked at', () => {
    const again = changed().again()
    discardUpper(again.filesystem, () => false, none)
    expect(picture(again.root)).toEqual(picture(overlayOf({ lowers: [lower] }).root))
  })

  test('open files keep what they have, as removed ones do', () => {
    const overlay = changed()
    const { shell } = overlay
    const [a, created] = [shell.open('/etc/a', O_RDWR), shell.open('/etc/new', O_RDWR)]
    discard(overlay)
    expect([shell.pread(a), shell.pread(created), shell.read('/etc/a')]).toEqual(['changed', 'new', 'a'])
    shell.pwrite(a, 'C', 0)
    expect([shell.pread(a), shell.read('/etc/a')]).toEqual(['Changed', 'a'])
    for (const fd of [a, created]) shell.close(fd)
    expect(picture(overlay.upper)).toEqual({})
  })

  test('a working directory that is only in the upper is a removed one', () => {
    const overlay = changed()
    const { shell } = overlay
    shell.call((task) => task.mkdirat(AT_FDCWD, '/etc/made', 0o755))
    shell.call((task) => task.chdir('/etc/made'))
    discard(overlay)
    expect(() => shell.write('f', '')).toThrow('ENOENT')
    expect(shell.read('/etc/a')).toBe('a')
  })

  test('what is kept stays in the upper, with what is above it', () => {
    const overlay = changed()
    overlay.shell.call((task) => task.mkdirat(AT_FDCWD, '/etc/mnt', 0o700))
    seen(overlay)
    discard(overlay, (path) => path === 'etc' || path === 'etc/mnt')
    expect(picture(overlay.upper)).toEqual({ etc: 'dir', 'etc/mnt': 'dir opaque' })
    expect(seen(overlay)).toEqual({ ...seen(overlayOf({ lowers: [lower] })), '/etc/mnt': 'directory' })
  })
})

test('what has changed is told: kinds, sizes, and what was before', () => {
  const { filesystem } = changed()
  const before = (kind: string, size: number) => ({ before: { kind, size } })
  expect(diffUpper(filesystem, none)).toEqual([
    { path: 'bin', change: 'deleted', kind: 'symlink', size: 7 },
    { path: 'etc/a', change: 'changed', kind: 'file', size: 7, ...before('file', 1) },
    { path: 'etc/b', change: 'deleted', kind: 'file', size: 1 },
    { path: 'etc/new', change: 'added', kind: 'file', size: 3 },
    { path: 'etc/other', change: 'added', kind: 'file', size: 3 },
    { path: 'lib/deep', change: 'deleted', kind: 'directory', size: 0 },
    { path: 'lib/x', change: 'deleted', kind: 'file', size: 1 },
    { path: 'lib/z', change: 'added', kind: 'file', size: 1 },
    { path: 'moved', change: 'added', kind: 'symlink', size: 7 },
    { path: 'usr/bin/tool', change: 'changed', kind: 'file', size: 4, ...before('file', 4) },
  ])
})

test('a file that was copied up and not changed is no change; one whose bytes alone changed is', () => {
  const overlay = overlayOf({ lowers: [{ a: 'one', b: 'two', d: dir }] })
  const { shell } = overlay
  for (const path of ['/a', '/b']) shell.close(shell.open(path, O_RDWR))
  find(overlay.root, 'a')!.setAttributes({}, none)
  expect(diffUpper(overlay.filesystem, none)).toEqual([])
  const { mtime } = find(overlay.root, 'b')!
  shell.write('/b', 'TWO')
  find(overlay.root, 'b')!.setAttributes({ mtime }, none)
  expect(diffUpper(overlay.filesystem, none)).toMatchObject([{ path: 'b', change: 'changed', size: 3 }])
})
