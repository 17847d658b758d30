/** Random operations on an overlay and on a plain copy of what it shows: the same results, the same tree at the end. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/linux.ts'
import { type OverlaySetup, overlayOf, testVfs } from '../../testing/overlays.ts'
import { dir, inodesOf, linkTo, opaqueDir, picture, plant, Shell, type Tree, whiteout } from '../../testing/trees.ts'

const upper: Tree = {
  a: opaqueDir,
  'a/x': 'upper ax',
  b: dir,
  'b/y': whiteout,
  'b/z': 'upper bz',
  c: whiteout,
  d: 'upper d',
}
const middle: Tree = {
  'a/hidden': 'no',
  'b/x': 'middle bx',
  'b/y': 'hidden',
  'b/c': dir,
  'b/c/y': 'middle bcy',
  'c/x': 'hidden',
  e: opaqueDir,
  'e/x': 'middle ex',
  x: linkTo('b/x'),
  y: { kind: 'fifo' },
  z: whiteout,
}
const bottom: Tree = {
  'b/x': 'hidden',
  'b/c/x': 'bottom bcx',
  'b/c/z/x': 'bottom bczx',
  'b/d': 'bottom bd',
  'c/y/z': 'hidden',
  'd/x': 'hidden',
  'e/y': 'hidden',
  z: 'hidden',
}
/** What they show together. */
const merged: Tree = {
  a: dir,
  'a/x': 'upper ax',
  b: dir,
  'b/x': 'middle bx',
  'b/z': 'upper bz',
  'b/c': dir,
  'b/c/x': 'bottom bcx',
  'b/c/y': 'middle bcy',
  'b/c/z/x': 'bottom bczx',
  'b/d': 'bottom bd',
  d: 'upper d',
  e: dir,
  'e/x': 'middle ex',
  x: linkTo('b/x'),
  y: { kind: 'fifo' },
}

type Operation = (shell: Shell) => unknown

/** Half of them of files that are there at the start. */
const path = fc.oneof(
  fc.constantFrom(...Object.keys(merged)),
  fc
    .array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'x', 'y', 'z'), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.join('/')),
)
const text = fc.constantFrom('', 'short', 'a longer text')

const named = (name: string, operation: Operation) => ({ name, run: operation })
const operation = fc.oneof(
  fc.tuple(path, text).map(([p, t]) => named(`write ${p} '${t}'`, (s) => s.write(p, t))),
  fc.tuple(path, text).map(([p, t]) => named(`patch ${p} '${t}'`, (s) => s.write(p, t, 3))),
  path.map((p) => named(`read ${p}`, (s) => s.read(p))),
  fc.tuple(path, fc.nat(12)).map(([p, n]) => named(`truncate ${p} ${n}`, (s) => s.truncate(p, n))),
  path.map((p) => named(`mkdir ${p}`, (s) => s.mkdir(p))),
  path.map((p) => named(`rmdir ${p}`, (s) => s.rmdir(p))),
  path.map((p) => named(`unlink ${p}`, (s) => s.unlink(p))),
  path.map((p) => named(`mkfifo ${p}`, (s) => s.mknod(p, 'fifo'))),
  path.map((p) => named(`chmod ${p}`, (s) => s.chmod(p, 0o700))),
  path.map((p) => named(`list ${p}`, (s) => s.list(p, 60).sort())),
  path.map((p) => named(`stat ${p}`, (s) => brief(s, p))),
  fc.tuple(path, path).map(([p, q]) => named(`symlink ${p} ${q}`, (s) => s.symlink(p, q))),
  fc.tuple(path, path).map(([p, q]) => named(`link ${p} ${q}`, (s) => s.link(p, q))),
  ...[0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE].map((flags) =>
    fc.tuple(path, path).map(([p, q]) => named(`rename ${p} ${q} ${flags}`, (s) => s.rename(p, q, flags))),
  ),
)

const brief = (shell: Shell, at: string) => {
  const { mode, nlink, size } = shell.stat(at)
  return (mode & 0o170000) === 0o040000 ? { mode } : { mode, nlink, size }
}

/** A value, or the name of an error. */
function outcome(run: () => unknown): unknown {
  try {
    return run() ?? 'done'
  } catch (failure) {
    return (failure as { code?: string }).code ?? failure
  }
}

/** All that a guest sees of a tree but the numbers: kinds, contents, modes, link counts of files. */
function visible(shell: Shell, at = '.'): Record<string, unknown> {
  const seen: Record<string, unknown> = {}
  for (const name of shell.list(at).sort()) {
    const below = at === '.' ? name : `${at}/${name}`
    const about = brief(shell, below)
    const kind = about.mode & 0o170000
    if (kind === 0o040000) Object.assign(seen, { [below]: about }, visible(shell, below))
    else if (kind === 0o100000) seen[below] = { ...about, text: shell.read(below) }
    else if (kind === 0o120000) seen[below] = { ...about, target: shell.readlink(below) }
    else seen[below] = about
  }
  return seen
}

/** The numbers of all files, checked to be told alike by listings and to be unique but for names of one file. */
function numbers(shell: Shell, at = '.'): Record<string, number> {
  const seen: Record<string, number> = {}
  const fd = shell.open(at, 0)
  const entries = shell.call((task) => task.getdents(fd, 2, 1 << 20))
  shell.close(fd)
  for (const { name, ino, kind } of entries) {
    const below = at === '.' ? name : `${at}/${name}`
    seen[below] = shell.stat(below).ino
    expect([below, ino]).toEqual([below, seen[below]])
    if (kind === 'directory') Object.assign(seen, numbers(shell, below))
  }
  return seen
}

const arrangements: Record<string, Partial<OverlaySetup>> = {
  'a plain upper': {},
  'cold lower layers': { lowerVeil: { cold: true } },
  'an upper without attributes': {
    upper: { ...upper, a: dir, 'a/hidden': whiteout },
    upperVeil: { without: ['xattrs'] },
  },
  'an upper that can neither make nameless files nor adopt, under cold layers': {
    upperVeil: { without: ['createUnnamed', 'adopt'] },
    lowerVeil: { cold: true },
  },
}

const INODES = 1000

describe.each(Object.entries(arrangements))('with %s', (_, arrangement) => {
  const without = arrangement.upperVeil?.without ?? []
  test('B084 B085 B086 B087 B114 B118 B119 B121 B123 B126 random operations see and leave what they would on a copy', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const upperData = `mode=755,nr_inodes=${INODES}`
        const overlay = overlayOf({ upper, upperData, lowers: [middle, bottom], ...arrangement })
        const vfs = testVfs()
        const plain = vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' })
        plant(plain.filesystem.root, merged)
        const copy = new Shell(vfs, plain)
        // Seen by another overlay, so that this one knows no listing when the operations begin.
        expect(visible(overlay.again().shell)).toEqual(visible(copy))
        const lowersBefore = overlay.lowers.map((root) => picture(root))
        if (!without.includes('createUnnamed')) {
          let before: unknown
          overlay.shell.watch = (moment) => {
            if (moment === 'call') before = picture(overlay.upper)
            else expect(picture(overlay.upper)).toEqual(before)
          }
        }
        for (const { name, run } of operations) {
          const expected = outcome(() => run(copy))
          expect([name, outcome(() => run(overlay.shell))]).toEqual([name, expected])
        }
        overlay.shell.watch = undefined
        expect(visible(overlay.shell)).toEqual(visible(copy))
        expect(overlay.lowers.map((root) => picture(root))).toEqual(lowersBefore)

        // Another overlay over the same layers shows the same tree, with the same numbers.
        const ino = numbers(overlay.shell)
        const again = overlay.again()
        expect(visible(again.shell)).toEqual(visible(copy))
        if (!without.includes('xattrs')) expect(numbers(again.shell)).toEqual(ino)

        // Nothing is held that has no name.
        expect(overlay.upperFilesystem.usage().filesFree).toBe(INODES - inodesOf(overlay.upper).size)
      }),
      { numRuns: 150 },
    )
  })
})
