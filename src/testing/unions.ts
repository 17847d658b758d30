/**
 * Cases of overlays: layers, what is done to them, and what comes of it: answers, the merged view, the upper's raw content.
 * A case runs here on ours, and by linux/unions.py on Linux's overlayfs; both tell it in the same words.
 */

import { ErrnoError } from '../abi/errno.ts'
import { AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_DIRECTORY, S_IFMT } from '../abi/linux.ts'
import type { FileKind } from '../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { HostCalls } from '../kernel/host-calls.ts'
import type { Inode } from '../vfs/inode.ts'
import { makeDevice } from '../vfs/kinds.ts'
import { overlayOf } from './overlays.ts'
import { inodesOf, none, type Planted, type Shell, type Tree, textOf, type Veil } from './trees.ts'

/** By path: `file TEXT`, `dir`, `opaque`, `link TARGET`, `fifo`, `socket`, `char`, `block`, `whiteout`, `same PATH` (a hard link). */
export type Layer = Readonly<Record<string, string>>

export type UnionOperation = readonly [name: string, ...args: (string | number)[]]

export interface UnionCase {
  readonly upper: Layer
  /** The topmost first. */
  readonly lowers: readonly Layer[]
  readonly operations: readonly UnionOperation[]
}

export interface UnionOutcome {
  /** `ok`, what was read, or an error's name. */
  readonly results: readonly string[]
  /** A line for each file: path, kind, mode, owner if not root, `now` if its mtime is not as planted, content, attributes. */
  readonly merged: readonly string[]
  /** The same of the upper layer, with whiteouts, `opaque` and the number of names. */
  readonly upper: readonly string[]
  /** Whether what was there before and after has its inode number still. */
  readonly inos: Readonly<Record<string, string>>
  /** Linux lists whiteouts of a directory that merges with nothing, and takes it for full. */
  readonly phantom?: boolean
}

const THEN = 1_000_000_000_000n
const NULL = makeDevice(1, 3)
const LOOP = makeDevice(7, 0)

function plantedOf(what: string): Planted {
  const [kind = '', ...rest] = what.split(' ')
  const text = rest.join(' ')
  const times = { atime: THEN, mtime: THEN }
  switch (kind) {
    case 'file':
      return { kind, text, ...times }
    case 'dir':
      return { kind: 'directory', ...times }
    case 'opaque':
      return { kind: 'directory', xattrs: { 'trusted.overlay.opaque': 'y' }, ...times }
    case 'link':
      return { kind: 'symlink', target: text, mode: 0o777, ...times }
    case 'whiteout':
      return { kind: 'char', rdev: 0, mode: 0, ...times }
    case 'same':
      return { kind: 'file', sameAs: text }
    default:
      return {
        kind: kind as FileKind,
        mode: 0o644,
        rdev: kind === 'char' ? NULL : kind === 'block' ? LOOP : 0,
        ...times,
      }
  }
}

const treeOf = (layer: Layer): Tree =>
  Object.fromEntries(Object.entries(layer).map(([path, what]) => [path, plantedOf(what)]))

/** What comes of a case on ours. */
export function runUnion({ upper, lowers, operations }: UnionCase, lowerVeil?: Veil): UnionOutcome {
  const overlay = overlayOf({
    upper: treeOf(upper),
    lowers: lowers.map(treeOf),
    ...(lowerVeil && { lowerVeil }),
  })
  // Planting moved the times of directories.
  for (const root of [overlay.upper, ...overlay.lowers]) {
    for (const inode of inodesOf(root)) inode.setAttributes({ atime: THEN, mtime: THEN }, none)
  }
  overlay.clock.now = 2n * THEN
  const { shell } = overlay
  const before = inosOf(shell, '.', '')
  const lowersBefore = JSON.stringify(overlay.lowers.map((root) => pictureOf(root, true)))
  const results = operations.map((operation) => answer(shell, operation))
  const after = inosOf(shell, '.', '')
  const outcome = {
    results,
    merged: pictureOf(overlay.root, false),
    upper: pictureOf(overlay.upper, true),
    inos: Object.fromEntries(
      [...before].flatMap(([path, ino]) =>
        after.has(path) ? [[path, after.get(path) === ino ? 'kept' : 'changed']] : [],
      ),
    ),
  }
  if (JSON.stringify(overlay.lowers.map((root) => pictureOf(root, true))) !== lowersBefore)
    throw new Error('a lower layer has changed')
  const again = pictureOf(overlay.again().root, false)
  if (again.join('\n') !== outcome.merged.join('\n')) {
    throw new Error(`mounted anew it shows\n${again.join('\n')}\nnot\n${outcome.merged.join('\n')}`)
  }
  return outcome
}

function inosOf(shell: Shell, path: string, prefix: string, found = new Map<string, number>()): Map<string, number> {
  for (const name of shell.list(path)) {
    const { ino, mode } = shell.stat(`${path}/${name}`)
    found.set(prefix + name, ino)
    if ((mode & S_IFMT) === 0o040000) inosOf(shell, `${path}/${name}`, `${prefix}${name}/`, found)
  }
  return found
}

function pictureOf(root: Inode, raw: boolean, prefix = ''): string[] {
  if (root.kind !== 'directory') return []
  const names = [...root.entries(0, none)].map(({ name }) => name).sort()
  return names.flatMap((name) => {
    const inode = root.lookup(name, none)!
    return [`${prefix}${name}: ${inWords(inode, raw)}`, ...pictureOf(inode, raw, `${prefix}${name}/`)]
  })
}

const KINDS: Partial<Record<Inode['kind'], string>> = { directory: 'dir', symlink: 'link' }

function inWords(inode: Inode, raw: boolean): string {
  const { kind, mode, uid, gid, mtime, nlink, rdev } = inode
  if (kind === 'char' && rdev === 0) return 'whiteout'
  const owner = uid === 0 && gid === 0 ? '' : `${uid}:${gid}`
  const parts = [KINDS[kind] ?? kind, (mode & 0o7777).toString(8), owner, mtime === THEN ? '' : 'now']
  if (inode.kind === 'file') parts.push(textOf(inode), raw && nlink > 1 ? `x${nlink}` : '')
  if (inode.kind === 'symlink') parts.push(inode.readlink(none))
  if (kind === 'char' || kind === 'block') parts.push(rdev === NULL ? '1:3' : '7:0')
  const names = [...(inode.xattrs?.keys() ?? [])].sort()
  parts.push(...names.filter((name) => name.startsWith('user.')))
  if (raw && names.includes('trusted.overlay.opaque')) parts.push('opaque')
  return parts.filter((part) => part !== '').join(' ')
}

function answer(shell: Shell, operation: UnionOperation): string {
  try {
    return perform(shell, operation)
  } catch (failure) {
    if (failure instanceof ErrnoError) return failure.code
    throw failure
  }
}

function perform(shell: Shell, [name, ...args]: UnionOperation): string {
  const [path, second] = args as [string, string]
  const number = (i: number) => args[i] as number
  const host = <T>(call: (host: HostCalls) => T) => shell.call((task) => call(new HostCalls(task)))
  switch (name) {
    case 'open':
      shell.close(shell.open(path, number(1), 0o644))
      break
    case 'write': {
      const fd = shell.open(path, number(1), 0o644)
      const bytes = encodeUtf8(args[2] as string)
      try {
        shell.call((task) => task.writev(fd, bytes, [0, bytes.length]))
      } finally {
        shell.close(fd)
      }
      break
    }
    case 'mkdir':
      shell.mkdir(path)
      break
    case 'mknod':
      shell.mknod(path, second === 'whiteout' ? 'char' : (second as FileKind), second === 'char' ? NULL : 0)
      break
    case 'symlink':
      shell.symlink(path, second)
      break
    case 'link':
      shell.link(path, second)
      break
    case 'unlink':
      shell.unlink(path)
      break
    case 'rmdir':
      shell.call((task) => task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR))
      break
    case 'rename':
      shell.rename(path, second, number(2))
      break
    case 'chmod':
      shell.chmod(path, number(1))
      break
    case 'chown':
    case 'lchown':
      shell.call((task) =>
        task.fchownat(AT_FDCWD, path, number(1), number(2), name === 'chown' ? 0 : AT_SYMLINK_NOFOLLOW),
      )
      break
    case 'utimes':
      shell.utimes(path, 5_000_000_000n, 5_000_000_000n)
      break
    case 'truncate':
      shell.truncate(path, number(1))
      break
    case 'setxattr':
      host((calls) => calls.lsetxattr(path, second, encodeUtf8('v'), 0))
      break
    case 'getxattr': {
      const value = new Uint8Array(100)
      return (
        decodeUtf8(
          value,
          0,
          host((calls) => calls.lgetxattr(path, second, value)),
        ) ?? ''
      )
    }
    case 'removexattr':
      host((calls) => calls.lremovexattr(path, second))
      break
    case 'listxattr': {
      const list = new Uint8Array(1000)
      const text =
        decodeUtf8(
          list,
          0,
          host((calls) => calls.llistxattr(path, list)),
        ) ?? ''
      return text.split('\0').filter(Boolean).sort().join(' ')
    }
    case 'readdir':
      shell.close(shell.open(path, O_DIRECTORY))
      return shell.list(path).sort().join(' ')
    case 'stat':
      shell.stat(path)
      break
    case 'readlink':
      return shell.readlink(path)
    case 'access':
      shell.call((task) => task.faccessat(AT_FDCWD, path, number(1), 0))
      break
    default:
      throw new Error(`no operation ${name}`)
  }
  return 'ok'
}

/** An outcome as one text: results, merged view, upper, whose number changed. */
export function tell({ results, merged, upper, inos }: UnionOutcome): string {
  const changed = Object.keys(inos)
    .filter((path) => inos[path] === 'changed')
    .sort()
  return [results.join(', '), merged.join('; '), upper.join('; '), changed.join(' ')].join(' | ')
}

/**
 * What ours is to do where Linux did that. Where Linux moves a directory by leaving a `redirect` to its old place, ours moves all
 * that is in it (B121): the upper then holds what the merged view shows there, and merges with nothing.
 */
export function expectedOf(linux: UnionOutcome): UnionOutcome {
  const { moved, isBelow } = movedOf(linux)
  if (moved.length === 0) return { ...linux, upper: linux.upper.map((line) => line.replace(/ redirect$/, '')) }
  const kept = linux.upper.filter((line) => !isBelow(line))
  const upper = kept
    .map((line) => line.replace(/( opaque)? redirect$/, ' opaque'))
    .concat(linux.merged.filter(isBelow))
    .sort((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1))
  return { ...linux, upper }
}

/** Ours without what `expectedOf` cannot tell of moved directories: marks that hide nothing there any more, counts of names. */
export function comparable(ours: UnionOutcome, linux: UnionOutcome): UnionOutcome {
  const { isBelow } = movedOf(linux)
  const upper = ours.upper
    .filter((line) => !(isBelow(line) && line.endsWith(': whiteout')))
    .map((line) => (isBelow(line) ? line.replace(/ opaque$| x\d+(?= |$)/, '') : line))
  // A file with several names that was copied with its directory has a number of its own now.
  const inos = Object.fromEntries(
    Object.entries(ours.inos).map(([path, fate]) => [path, isBelow(path) ? linux.inos[path]! : fate]),
  )
  return { ...ours, upper, inos }
}

/** Linux without what it copied up or marked for an operation that then failed, and ours did not: nobody can see it. */
export function withoutVainCopies(linux: UnionOutcome, ours: UnionOutcome): UnionOutcome {
  if (!linux.results.some((result) => /^E[A-Z]+$/.test(result))) return linux
  const paths = new Set(ours.upper.map(pathOf))
  const unmarked = (line: string) => line.replace(/ opaque$/, '')
  const upper = linux.upper
    .filter((line) => paths.has(pathOf(line)) || !linux.merged.includes(unmarked(line)))
    .map((line) => (ours.upper.includes(unmarked(line)) ? unmarked(line) : line))
  return { ...linux, upper }
}

/** The directories that Linux moved by a redirect; one of a move that failed was not. */
function movedOf({ upper, results }: UnionOutcome) {
  const none = results.every((result) => /^E[A-Z]+$/.test(result))
  const moved = (none ? [] : upper)
    .filter((line) => line.endsWith(' redirect'))
    .map((line) => line.slice(0, line.indexOf(':')))
  return { moved, isBelow: (line: string) => moved.some((path) => line.startsWith(`${path}/`)) }
}

/** Sorted as a tree is: a directory, then what is in it. */
const pathOf = (line: string) => line.slice(0, line.indexOf(':')).replaceAll('/', '\0')
