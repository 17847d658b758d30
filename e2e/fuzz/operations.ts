/**
 * Random sequences of file operations, as data: a sequence is made first and run afterwards, once on Linux and once on ours.
 *
 * Always true: an operation depends on nothing that an earlier one gave. Open files are referred to by slot, and a path is
 * text in which a leading `@` stands for the absolute path of the sequence's own directory. No path leads out of it by more
 * than `DEPTH` steps, unless a chain of links is longer than chance makes it.
 */
import fc from 'fast-check'
import {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
} from '../../src/abi/linux.ts'
import { TIMES } from './trace.mjs'

interface On {
  /** Index into the users of `trace.mjs`: whose credentials it runs with. */
  readonly as: number
}
type OnSlot<Call extends string, More = unknown> = On & { readonly call: Call; readonly slot: number } & More
type OnPath<Call extends string, More = unknown> = On & { readonly call: Call; readonly path: string } & More
/** Two paths; of a symlink, `path` is its target. */
type OnPaths<Call extends string> = OnPath<Call, { readonly to: string }>
/** Bytes of these lengths, at the descriptor's own position or at `offset`. */
interface Transfer {
  readonly lengths: readonly number[]
  readonly offset: number | null
}
interface Owner {
  readonly uid: number
  readonly gid: number
}
/** Seconds since the epoch. */
interface Times {
  readonly atime: number
  readonly mtime: number
}

export type Operation =
  | OnPath<'open', { readonly slot: number; readonly flags: number; readonly mode: number }>
  | OnSlot<'close' | 'fstat' | 'fsync'>
  | OnSlot<'read', Transfer>
  | OnSlot<'write', Transfer & { readonly fill: number }>
  | OnSlot<'ftruncate', { readonly size: number }>
  | OnSlot<'fchmod', { readonly mode: number }>
  | OnSlot<'fchown', Owner>
  | OnSlot<'futimes', Times>
  | OnPath<'stat' | 'lstat' | 'readlink' | 'readdir' | 'unlink' | 'rmdir'>
  | OnPath<'mkdir' | 'chmod' | 'access', { readonly mode: number }>
  | OnPath<'chown' | 'lchown', Owner>
  | OnPath<'utimes' | 'lutimes', Times>
  | OnPaths<'rename' | 'link' | 'symlink'>
  /** What is there becomes a layer below what follows: files are closed, and a file keeps but its first name. */
  | (On & { readonly call: 'layer' })

export interface Sequence {
  readonly umask: number
  /** Of the directory that it runs in. */
  readonly mode: number
  readonly operations: readonly Operation[]
}

/** How many directories lie between the sequence's own and the rest of the machine. */
export const DEPTH = 8
export const SLOTS = 4

/** A draw among values, each as likely as its weight. */
const among = <T>(...choices: (readonly [weight: number, value: T])[]) =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))

const plainName = among([8, 'a'], [6, 'b'], [4, 'c'], [1, 'd'])
const name = fc.oneof(
  { weight: 40, arbitrary: plainName },
  { weight: 2, arbitrary: among([4, '.'], [3, '..'], [1, '']) },
  {
    weight: 1,
    arbitrary: among([1, 'n'.repeat(255)], [1, 'n'.repeat(256)], [1, 'é'.repeat(127)], [1, 'é'.repeat(128)]),
  },
)
const relative = fc
  .tuple(
    among([30, ''], [3, '@/'], [2, './'], [1, '../'], [1, '@//..//'], [1, './'.repeat(2047)]),
    fc.oneof(
      { weight: 10, arbitrary: fc.tuple(name) },
      { weight: 8, arbitrary: fc.tuple(plainName, name) },
      { weight: 3, arbitrary: fc.tuple(plainName, name, name) },
      { weight: 1, arbitrary: fc.array(name, { minLength: 0, maxLength: 5 }) },
    ),
    among([20, ''], [2, '/'], [1, '/.'], [1, '//'], [1, '/..']),
  )
  .map(([start, names, end]) => `${start}${names.join('/')}${end}`)
  // Absolute paths are below the sequence's directory: the machine's own root is none of its business.
  .map((path) => (path.startsWith('/') ? `@${path}` : path))
const target = fc.oneof(
  { weight: 6, arbitrary: plainName },
  { weight: 4, arbitrary: relative },
  {
    weight: 1,
    arbitrary: among([3, '..'], [2, '.'], [2, '../a'], [1, ''], [1, 't'.repeat(127)], [1, 't'.repeat(128)]),
  },
)

const slot = fc.nat(SLOTS - 1)
const createMode = among([6, 0o666], [2, 0o600], [1, 0o644], [1, 0o6777], [1, 0o2755], [1, 0o7777], [1, 0], [1, 0o400])
const directoryMode = among(
  [8, 0o777],
  [2, 0o755],
  [1, 0o700],
  [2, 0o1777],
  [2, 0o2777],
  [1, 0o7777],
  [1, 0],
  [1, 0o333],
)
const anyMode = fc.oneof(
  createMode,
  directoryMode,
  among([1, 0o4755], [1, 0o2745], [1, 0o6711], [1, 0o111], [1, 0o070]),
)
const flag = (weight: number, bits: number) => among([weight, 0], [1, bits])
const flags = fc
  .tuple(
    among([4, 0], [4, O_WRONLY], [6, O_RDWR], [1, 3]),
    among([2, 0], [3, O_CREAT]),
    flag(5, O_EXCL),
    flag(4, O_TRUNC),
    flag(4, O_APPEND),
    flag(8, O_NOFOLLOW),
    flag(9, O_DIRECTORY),
    flag(12, O_NOATIME),
    flag(14, O_PATH),
    flag(14, O_TMPFILE),
    flag(14, O_NONBLOCK | O_SYNC),
  )
  .map((bits) => bits.reduce((all, each) => all | each, 0))
const size = among(
  [3, 0],
  [2, 1],
  [2, 100],
  [1, 4095],
  [2, 4096],
  [1, 4097],
  [1, 8192],
  [1, 65_535],
  [1, 65_536],
  [1, 70_000],
  [1, 200_000],
)
const length = among([4, 1], [4, 10], [4, 100], [2, 4096], [2, 5000], [1, 65_536], [1, 70_001])
const transfer = fc.record({
  lengths: fc.oneof(
    { weight: 6, arbitrary: fc.tuple(length) },
    { weight: 1, arbitrary: fc.array(fc.oneof(length, fc.constant(0)), { minLength: 2, maxLength: 3 }) },
  ),
  offset: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 2, arbitrary: size }),
})
const id = among([3, -1], [2, 0], [3, 1000], [2, 1001], [1, 2000])
const owner = { uid: id, gid: id }
const time = fc.constantFrom(...TIMES)
const times = { atime: time, mtime: time }

const as = among([4, 0], [3, 1], [2, 2])
/** Ours takes set-id bits from a file that root changes, too (A361 of the spec); Linux spares root. So root changes none here. */
const writer = among([3, 1], [2, 2])
const sparing = <T extends { as: number; flags: number }>(open: T): T =>
  open.as === 0 ? { ...open, flags: open.flags & ~O_TRUNC } : open
const one = <C extends string>(call: C) => ({ as, call: fc.constant(call) })
const at = <C extends string>(call: C) => ({ ...one(call), path: relative })
const on = <C extends string>(call: C) => ({ ...one(call), slot })

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 16, arbitrary: fc.record({ ...at('open'), slot, flags, mode: createMode }).map(sparing) },
  { weight: 5, arbitrary: fc.record(on('close')) },
  { weight: 6, arbitrary: fc.tuple(fc.record(on('read')), transfer).map(([a, b]) => ({ ...a, ...b })) },
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.record({ ...on('write'), as: writer, fill: fc.integer({ min: 1, max: 9 }) }), transfer)
      .map(([a, b]) => ({ ...a, ...b })),
  },
  { weight: 4, arbitrary: fc.record({ ...on('ftruncate'), size, as: writer }) },
  { weight: 3, arbitrary: fc.record(on('fstat')) },
  { weight: 1, arbitrary: fc.record(on('fsync')) },
  { weight: 2, arbitrary: fc.record({ ...on('fchmod'), mode: anyMode }) },
  { weight: 2, arbitrary: fc.record({ ...on('fchown'), ...owner }) },
  { weight: 2, arbitrary: fc.record({ ...on('futimes'), ...times }) },
  { weight: 4, arbitrary: fc.record(at('stat')) },
  { weight: 4, arbitrary: fc.record(at('lstat')) },
  { weight: 3, arbitrary: fc.record(at('readlink')) },
  { weight: 4, arbitrary: fc.record(at('readdir')) },
  { weight: 7, arbitrary: fc.record(at('unlink')) },
  { weight: 5, arbitrary: fc.record(at('rmdir')) },
  { weight: 10, arbitrary: fc.record({ ...at('mkdir'), mode: directoryMode }) },
  { weight: 4, arbitrary: fc.record({ ...at('chmod'), mode: anyMode }) },
  { weight: 3, arbitrary: fc.record({ ...at('access'), mode: fc.nat(7) }) },
  { weight: 3, arbitrary: fc.record({ ...at('chown'), ...owner }) },
  { weight: 1, arbitrary: fc.record({ ...at('lchown'), ...owner }) },
  { weight: 3, arbitrary: fc.record({ ...at('utimes'), ...times }) },
  { weight: 1, arbitrary: fc.record({ ...at('lutimes'), ...times }) },
  { weight: 12, arbitrary: fc.record({ ...at('rename'), to: relative }) },
  { weight: 8, arbitrary: fc.record({ ...at('link'), to: relative }) },
  { weight: 7, arbitrary: fc.record({ ...one('symlink'), path: target, to: relative }) },
)

const some = fc.array(operation, { minLength: 1, maxLength: 40, size: 'max' })

/** Sequences in which a layer is made so many times. */
export const sequencesOf = (layers: number): fc.Arbitrary<Sequence> =>
  fc.record({
    umask: among([5, 0o022], [2, 0], [1, 0o077], [1, 0o127]),
    mode: among([6, 0o777], [2, 0o1777], [2, 0o2777], [1, 0o755]),
    operations: fc
      .tuple(...Array.from({ length: layers + 1 }, () => some))
      .map((parts) => parts.flatMap((part, i): Operation[] => (i === 0 ? part : [{ as: 0, call: 'layer' }, ...part]))),
  })
