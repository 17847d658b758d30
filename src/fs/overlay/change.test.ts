/** Changes of names: what the overlay shows afterwards, and what the upper layer holds for it. */

import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/linux.ts'
import { overlayOf } from '../../testing/overlays.ts'
import {
  dir,
  find,
  inodesOf,
  linkTo,
  opaqueDir,
  type Planted,
  picture,
  type Shell,
  type Tree,
  whiteout,
} from '../../testing/trees.ts'
import { Attempt } from '../../vfs/waiting.ts'

const kinds: Record<string, { planted: Planted; shown: string; make: (shell: Shell, path: string) => void }> = {
  file: { planted: 'text', shown: 'file text', make: (shell, path) => shell.write(path, 'text') },
  symlink: { planted: linkTo('to'), shown: 'link to', make: (shell, path) => shell.symlink('to', path) },
  fifo: { planted: { kind: 'fifo' }, shown: 'fifo', make: (shell, path) => shell.mknod(path, 'fifo') },
  socket: { planted: { kind: 'socket' }, shown: 'socket', make: (shell, path) => shell.mknod(path, 'socket') },
  char: { planted: { kind: 'char', rdev: 9 }, shown: 'char 9', make: (shell, path) => shell.mknod(path, 'char', 9) },
  block: {
    planted: { kind: 'block', rdev: 9 },
    shown: 'block 9',
    make: (shell, path) => shell.mknod(path, 'block', 9),
  },
  directory: { planted: dir, shown: 'dir', make: (shell, path) => shell.mkdir(path) },
}

/** Where a file `n` is. `covered`: a lower layer has the name, so it must be hidden when the file goes. */
const places: Record<string, { upper: boolean; lower: boolean; covered: boolean }> = {
  'in the upper': { upper: true, lower: false, covered: false },
  'in a lower layer': { upper: false, lower: true, covered: true },
  'in both': { upper: true, lower: true, covered: true },
}

const cases = Object.entries(kinds).flatMap(([kind, { planted, shown }]) =>
  Object.entries(places).map(([place, { upper, lower, covered }]) => {
    const setup = { upper: upper ? { n: planted } : {}, lowers: [lower ? { n: planted } : {}, {}] }
    return { kind, place, shown, covered, setup, name: `a ${kind} ${place}` }
  }),
)

/** The raw picture of a directory that was moved: it merges with nothing any more. */
const moved = (shown: string) => (shown === 'dir' ? 'dir opaque' : shown)

describe.each(cases)('$name', ({ kind, setup, shown, covered }) => {
  const remove = (shell: Shell, path: string) => (kind === 'directory' ? shell.rmdir(path) : shell.unlink(path))
  const left: Record<string, string> = covered ? { n: 'whiteout' } : {}

  test('B118 B119 removed: a whiteout stays only where a lower layer has the name', () => {
    const overlay = overlayOf(setup)
    remove(overlay.shell, 'n')
    expect(picture(overlay.root)).toEqual({})
    expect(picture(overlay.upper)).toEqual(left)
    expect(picture(overlay.again().root)).toEqual({})
    expect(() => remove(overlay.shell, 'n')).toThrow('ENOENT')
  })

  test.each(Object.keys(kinds))(
    'B114 B115 removed and made anew as a %s: nothing of the old one shows through',
    (other) => {
      const lowers = setup.lowers.map((tree) => ('n' in tree && kind === 'directory' ? { ...tree, 'n/old': '' } : tree))
      const overlay = overlayOf({ ...setup, lowers })
      if (kind === 'directory' && covered) overlay.shell.unlink('n/old')
      remove(overlay.shell, 'n')
      kinds[other]!.make(overlay.shell, 'n')
      const expected = { n: kinds[other]!.shown }
      expect(picture(overlay.root)).toEqual(expected)
      expect(picture(overlay.again().root)).toEqual(expected)
      expect(picture(overlay.upper)).toEqual({ n: moved(kinds[other]!.shown) })
    },
  )

  test('B121 B122 renamed: a whiteout stays where a lower layer has the name (as Linux; gVisor leaves one always)', () => {
    const overlay = overlayOf(setup)
    const { ino } = overlay.shell.stat('n')
    overlay.shell.rename('n', 'm')
    expect(picture(overlay.root)).toEqual({ m: shown })
    expect(picture(overlay.upper)).toEqual({ m: moved(shown), ...left })
    expect(overlay.shell.stat('m').ino).toBe(ino)
    expect(picture(overlay.again().root)).toEqual({ m: shown })
  })

  test('B123 renamed over a name that was removed', () => {
    const overlay = overlayOf({ ...setup, lowers: [...setup.lowers, { 'm/x': 'old' }] })
    overlay.shell.unlink('m/x')
    overlay.shell.rmdir('m')
    overlay.shell.rename('n', 'm')
    expect(picture(overlay.upper)).toEqual({ m: moved(shown), ...left })
    expect(picture(overlay.again().root)).toEqual({ m: shown })
  })

  test.each(Object.keys(places))('B123 renamed over a file of its kind that is %s', (where) => {
    const { upper, lower } = places[where]!
    const other: Planted = kind === 'directory' ? dir : 'other'
    const overlay = overlayOf({
      upper: { ...setup.upper, ...(upper && { m: other }) },
      lowers: [...setup.lowers, lower ? { m: other, ...(kind === 'directory' && { 'm/x': '' }) } : {}],
    })
    if (lower && kind === 'directory') overlay.shell.unlink('m/x')
    overlay.shell.rename('n', 'm')
    expect(picture(overlay.root)).toEqual({ m: shown })
    expect(picture(overlay.upper)).toEqual({ m: moved(shown), ...left })
    expect(picture(overlay.again().root)).toEqual({ m: shown })
  })

  test('exchanged with another: both stay, no whiteout is left', () => {
    const overlay = overlayOf({ ...setup, lowers: [...setup.lowers, { 'm/x': 'deep' }] })
    overlay.shell.rename('n', 'm', RENAME_EXCHANGE)
    const expected = { m: shown, n: 'dir', 'n/x': 'file deep' }
    expect(picture(overlay.root)).toEqual(expected)
    expect(picture(overlay.upper)).toEqual({ m: moved(shown), n: 'dir opaque', 'n/x': 'file deep' })
    expect(picture(overlay.again().root)).toEqual(expected)
  })
})

describe.each(cases.filter(({ kind }) => kind !== 'directory'))('$name', ({ setup, shown }) => {
  test('B126 linked: both names are one file in the upper', () => {
    const overlay = overlayOf(setup)
    overlay.shell.link('n', 'm')
    expect(picture(overlay.root)).toEqual({ m: shown, n: shown })
    expect(picture(overlay.upper)).toEqual({ m: shown, n: shown })
    expect(find(overlay.upper, 'm')).toBe(find(overlay.upper, 'n'))
    expect(find(overlay.root, 'm')).toBe(find(overlay.root, 'n'))
    const { root } = overlay.again()
    expect(find(root, 'm')).toBe(find(root, 'n'))
  })
})

describe('directories', () => {
  test('B126 linking a directory is refused', () => {
    const { shell } = overlayOf({ lowers: [{ 'd/x': '' }] })
    expect(() => shell.link('d', 'e')).toThrow('EPERM')
  })

  test('B119 a directory with nothing but whiteouts is empty, and they go with it', () => {
    const overlay = overlayOf({ upper: { 'd/own': '', 'd/gone': whiteout }, lowers: [{ 'd/gone': '', 'd/x': '' }] })
    expect(() => overlay.shell.rmdir('d')).toThrow('ENOTEMPTY')
    overlay.shell.unlink('d/own')
    expect(() => overlay.shell.rmdir('d')).toThrow('ENOTEMPTY')
    overlay.shell.unlink('d/x')
    overlay.shell.rmdir('d')
    expect(picture(overlay.root)).toEqual({})
    expect(picture(overlay.upper)).toEqual({ d: 'whiteout' })
  })

  test('B119 whiteouts in a lower layer do not count either', () => {
    const overlay = overlayOf({ lowers: [{ 'd/x': whiteout }, { 'd/x': 'y' }] })
    overlay.shell.rmdir('d')
    expect(picture(overlay.upper)).toEqual({ d: 'whiteout' })
  })

  test('B116 a directory made beside lower ones is opaque, for what a layer may get there later', () => {
    const overlay = overlayOf({ lowers: [{ f: '' }] })
    overlay.shell.mkdir('d')
    expect(picture(overlay.upper)).toEqual({ d: 'dir opaque' })
  })

  test('B121 a merged directory is renamed as a whole: all below it is copied up, and nothing stays behind', () => {
    const overlay = overlayOf({
      upper: { 'd/u': 'up', 'd/gone': whiteout, 'd/s/u': 'up' },
      lowers: [
        { 'd/m': 'mid', 'd/s/m': 'mid', 'd/l': linkTo('m') },
        { 'd/gone': '', 'd/s/t/f': 'low', 'd/u': 'hidden', 'e/x': 'in the way' },
      ],
    })
    const { shell } = overlay
    shell.unlink('e/x')
    shell.rename('d', 'e')
    const below = {
      l: 'link m',
      m: 'file mid',
      s: 'dir',
      's/m': 'file mid',
      's/t': 'dir',
      's/t/f': 'file low',
      's/u': 'file up',
      u: 'file up',
    }
    const expected = Object.fromEntries(Object.entries(below).map(([path, what]) => [`e/${path}`, what]))
    expect(picture(overlay.root)).toEqual({ e: 'dir', ...expected })
    expect(picture(overlay.upper)).toEqual({ d: 'whiteout', e: 'dir opaque', 'e/gone': 'whiteout', ...expected })
    expect(picture(overlay.again().root)).toEqual({ e: 'dir', ...expected })
    shell.unlink('e/s/t/f')
    shell.rmdir('e/s/t')
    expect(shell.exists('e/s/t')).toBe(false)
    expect(picture(find(overlay.upper, 'e/s')!)).toEqual({ m: 'file mid', u: 'file up' })
  })

  test('B121 a directory of the upper that moves under merged ones shows nothing of theirs', () => {
    const overlay = overlayOf({ upper: { 'u/own': 'x' }, lowers: [{ 'p/d/old': '', 'p/keep': '' }] })
    overlay.shell.unlink('p/d/old')
    overlay.shell.rename('u', 'p/d')
    const expected = { p: 'dir', 'p/d': 'dir', 'p/d/own': 'file x', 'p/keep': 'file' }
    expect(picture(overlay.root)).toEqual(expected)
    expect(picture(overlay.again().root)).toEqual(expected)
    expect(picture(overlay.upper)).toEqual({ p: 'dir', 'p/d': 'dir opaque', 'p/d/own': 'file x' })
  })

  test('B115 B121 an upper without attributes gets whiteouts instead of opaque marks, at every depth', () => {
    const lower: Tree = { 'd/a': '', 'd/s/b': '', 'd/s/t/c': '', 'd/s/t/d': '', 'd/f': '' }
    const overlay = overlayOf({
      upper: { 'u/s/t/c': 'own', 'u/f/x': 'own' },
      lowers: [lower],
      upperVeil: { without: ['xattrs'] },
    })
    const { shell } = overlay
    shell.mkdir('away')
    shell.rename('d', 'away/d')
    shell.rename('u', 'd')
    const expected = {
      d: 'dir',
      'd/f': 'dir',
      'd/f/x': 'file own',
      'd/s': 'dir',
      'd/s/t': 'dir',
      'd/s/t/c': 'file own',
    }
    const raw = { ...expected, 'd/a': 'whiteout', 'd/s/b': 'whiteout', 'd/s/t/d': 'whiteout' }
    const only = (shown: Record<string, string>) =>
      Object.fromEntries(Object.entries(shown).filter(([path]) => !path.startsWith('away')))
    expect(only(picture(overlay.root))).toEqual(expected)
    expect(only(picture(overlay.upper))).toEqual(raw)
    expect(only(picture(overlay.again().root))).toEqual(expected)
    // What is made over such a whiteout and removed again leaves one.
    shell.write('d/s/b', 'new')
    shell.unlink('d/s/b')
    expect(only(picture(overlay.again().root))).toEqual(expected)
    shell.rename('d', 'gone')
    shell.mkdir('d')
    expect(only(picture(overlay.again().root))).toMatchObject({ d: 'dir', gone: 'dir' })
    expect(overlay.again().shell.list('d')).toEqual([])
  })

  test('B128 nothing is made in, linked into or moved to a directory that was removed', () => {
    const overlay = overlayOf({ lowers: [{ d: dir, f: '' }] })
    const d = find(overlay.root, 'd')
    const f = find(overlay.root, 'f')!
    overlay.shell.rmdir('d')
    if (d?.kind !== 'directory') throw new Error('no directory')
    const attempt = new Attempt()
    const what = { kind: 'file', mode: 0o644, uid: 0, gid: 0, now: 0n } as const
    expect(() => d.create!('x', what, attempt)).toThrow('ENOENT')
    expect(() => d.link!('x', f, attempt)).toThrow('ENOENT')
    expect(() => overlay.root.rename!('f', f, d, 'x', undefined, attempt)).toThrow('ENOENT')
    expect([d.lookup('x', attempt), [...d.entries(0, attempt)], d.nlink]).toEqual([undefined, [], 0])
  })
})

test('B117 a device 0:0 cannot be made: it would be a whiteout', () => {
  const { shell } = overlayOf({ lowers: [{}] })
  expect(() => shell.mknod('w', 'char', 0)).toThrow('EPERM')
  shell.mknod('b', 'block', 0)
  expect(shell.list('.')).toEqual(['b'])
})

test('B124 NOREPLACE looks at what is shown: a whiteout is no file', () => {
  const overlay = overlayOf({ upper: { gone: whiteout }, lowers: [{ gone: '', f: 'x', there: '' }] })
  expect(() => overlay.shell.rename('f', 'there', RENAME_NOREPLACE)).toThrow('EEXIST')
  overlay.shell.rename('f', 'gone', RENAME_NOREPLACE)
  expect(picture(overlay.root)).toEqual({ gone: 'file x', there: 'file' })
})

test('B127 what is made in a setgid directory of a lower layer takes its group', () => {
  const { shell } = overlayOf({ lowers: [{ d: { kind: 'directory', mode: 0o2777, gid: 42 } }] })
  shell.write('d/f', '')
  shell.mkdir('d/s')
  expect([shell.stat('d/f').gid, shell.stat('d/s').gid, shell.stat('d/s').mode & 0o2000]).toEqual([42, 42, 0o2000])
})

test('a nameless file is in the upper, and may get a name', () => {
  const overlay = overlayOf({ lowers: [{ 'd/x': '' }] })
  const fd = overlay.shell.call((task) => task.openat(-100, 'd', 0o20200000 | 2, 0o600))
  overlay.shell.pwrite(fd, 'hello', 0)
  expect(picture(overlay.upper)).toEqual({})
  overlay.shell.call((task) => task.linkat(fd, '', -100, 'd/named', 0x1000))
  overlay.shell.close(fd)
  expect(picture(overlay.root)).toEqual({ d: 'dir', 'd/named': 'file hello', 'd/x': 'file' })
})

describe('B108 B114 B119 B123 a change that finds no space leaves everything as it was', () => {
  const setup = {
    upper: {
      d: dir,
      'd/gone': whiteout,
      w: whiteout,
      both: 'upper',
      up: opaqueDir,
      'up/x': 'x',
      'e/gone': whiteout,
      'plain/x': 'x',
    },
    lowers: [
      {
        'd/gone': '',
        'w/x': '',
        both: 'lower',
        low: 'lower',
        'm/a': 'a',
        'm/s/b': 'b',
        'e/gone': '',
        p: { kind: 'fifo' } as const,
      },
    ],
  }
  test.each<[string, (shell: Shell) => void]>([
    ['a file over a whiteout', (shell) => shell.mknod('w', 'file')],
    ['mkdir over a whiteout', (shell) => shell.mkdir('w')],
    ['symlink over a whiteout', (shell) => shell.symlink('x', 'w')],
    ['link over a whiteout', (shell) => shell.link('low', 'w')],
    ['chmod of a lower file', (shell) => shell.chmod('low', 0o600)],
    ['chmod of a lower fifo', (shell) => shell.chmod('p', 0o600)],
    ['truncating a lower file', (shell) => shell.truncate('low', 2)],
    ['unlink of a lower file', (shell) => shell.unlink('low')],
    ['unlink of a file in both', (shell) => shell.unlink('both')],
    ['rmdir of a directory of whiteouts', (shell) => shell.rmdir('d')],
    ['rename of a lower file', (shell) => shell.rename('low', 'new')],
    ['rename of a lower file over a whiteout', (shell) => shell.rename('low', 'w')],
    ['rename of a file over one in both', (shell) => shell.rename('low', 'both')],
    ['rename of a lower directory', (shell) => shell.rename('m', 'new')],
    ['rename of a lower directory over a whiteout', (shell) => shell.rename('m', 'w')],
    ['rename of a lower directory over one of whiteouts', (shell) => shell.rename('m', 'd')],
    ['rename of an upper directory over a whiteout', (shell) => shell.rename('up', 'w')],
    ['rename of a new directory over a whiteout', (shell) => shell.rename('plain', 'w')],
    ['exchange of a lower directory and a file', (shell) => shell.rename('m', 'both', RENAME_EXCHANGE)],
  ])('%s', (_, change) => {
    let failed = 0
    for (const without of [[], ['xattrs'], ['createUnnamed']]) {
      for (let fatal = 1; ; fatal++) {
        let count = 0
        const before = (what: string) => {
          if (armed && ++count === fatal) throw new ErrnoError('ENOSPC', undefined, what)
        }
        let armed = false
        const overlay = overlayOf({ ...setup, upperData: 'mode=755,nr_inodes=99', upperVeil: { without, before } })
        const [shown, raw] = [picture(overlay.root), picture(overlay.upper)]
        const free = overlay.upperFilesystem.usage()
        armed = true
        try {
          change(overlay.shell)
          if (count < fatal) break
        } catch (failure) {
          expect((failure as { code?: string }).code).toBe('ENOSPC')
        }
        armed = false
        failed++
        expect(picture(overlay.root)).toEqual(shown)
        // A copy that was finished may stay, as on Linux: it shows what the lower file shows.
        const after = picture(overlay.upper)
        for (const path in after) if (!(path in raw)) expect([path, after[path]]).toEqual([path, shown[path]])
        expect(after).toMatchObject(raw)
        const copies = Object.keys(after).length - Object.keys(raw).length
        expect(copies).toBeLessThanOrEqual(1)
        expect(overlay.upperFilesystem.usage().filesFree).toBe(free.filesFree - copies)
        // And it can be done afterwards.
        change(overlay.shell)
        expect(picture(overlay.again().root)).toEqual(picture(overlay.root))
        expect(overlay.upperFilesystem.usage().filesFree).toBe(99 - inodesOf(overlay.upper).size)
      }
    }
    expect(failed).toBeGreaterThan(0)
  })
})
