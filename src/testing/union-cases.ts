/** The cases that are recorded from Linux: each operation, on each kind of file, at each place in the layers. */

import {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  R_OK,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  W_OK,
  X_OK,
} from '../abi/linux.ts'
import type { Layer, UnionCase, UnionOperation } from './unions.ts'

const KINDS = ['file', 'dir', 'full', 'link', 'char', 'fifo', 'socket'] as const
type Kind = (typeof KINDS)[number]

/** What is hidden can be told apart by these. */
const HIDDEN: readonly Kind[] = ['file', 'full', 'link']

const N = 'p/n'

/** A file of a kind, and what is in it, which tells the layer. */
function file(kind: Kind, layer: string): Layer {
  switch (kind) {
    case 'file':
      return { [N]: `file ${layer}` }
    case 'full':
      return { [N]: 'dir', [`${N}/${layer}`]: 'file x' }
    case 'link':
      return { [N]: `link ${layer}` }
    default:
      return { [N]: kind }
  }
}

type Layers = Pick<UnionCase, 'upper' | 'lowers'>

const places: Readonly<Record<string, { readonly kinds: readonly Kind[]; layers(kind: Kind): Layers }>> = {
  'in the upper': { kinds: KINDS, layers: (kind) => ({ upper: file(kind, 'up'), lowers: [{}] }) },
  'in a lower': { kinds: KINDS, layers: (kind) => ({ upper: {}, lowers: [file(kind, 'low')] }) },
  'in both': { kinds: KINDS, layers: (kind) => ({ upper: file(kind, 'up'), lowers: [file(kind, 'low')] }) },
  'in the upper, over a lower directory': {
    kinds: ['file', 'link'],
    layers: (kind) => ({ upper: file(kind, 'up'), lowers: [file('full', 'low')] }),
  },
  'in a merged directory': {
    kinds: KINDS,
    layers: (kind) => ({ upper: { 'p/u': 'file u' }, lowers: [{ 'p/m': 'file m' }, file(kind, 'low')] }),
  },
  'in two lowers': { kinds: HIDDEN, layers: (kind) => ({ upper: {}, lowers: [file(kind, 'mid'), file(kind, 'low')] }) },
  'in an opaque directory': {
    kinds: ['file', 'full'],
    layers: (kind) => ({ upper: { p: 'opaque', ...file(kind, 'up') }, lowers: [file('full', 'low')] }),
  },
  'below a whiteout': {
    kinds: HIDDEN,
    layers: (kind) => ({ upper: { [N]: 'whiteout' }, lowers: [file(kind, 'low')] }),
  },
  'below an opaque directory': {
    kinds: HIDDEN,
    layers: (kind) => ({ upper: { p: 'opaque' }, lowers: [file(kind, 'low')] }),
  },
  'below a whiteout in a lower': {
    kinds: HIDDEN,
    layers: (kind) => ({ upper: {}, lowers: [{ [N]: 'whiteout' }, file(kind, 'low')] }),
  },
}

interface Doing {
  readonly operations: readonly UnionOperation[]
  /** What else there is. */
  readonly upper?: Layer
  readonly lower?: Layer
}

const on = (...operation: UnionOperation): Doing => ({ operations: [operation] })
const open = (flags: number): Doing => on('open', N, flags | O_NONBLOCK)
const rename = (to: string, flags = 0): Doing => on('rename', N, to, flags)

const doings: Readonly<Record<string, Doing>> = {
  'open for reading': open(O_RDONLY),
  'open for writing': open(O_WRONLY),
  'open for both': open(O_RDWR),
  'open with O_TRUNC': open(O_WRONLY | O_TRUNC),
  'open for reading with O_TRUNC': open(O_TRUNC),
  'open with O_APPEND': open(O_WRONLY | O_APPEND),
  'open with O_CREAT': open(O_WRONLY | O_CREAT),
  'open with O_EXCL': open(O_WRONLY | O_CREAT | O_EXCL),
  'open with O_CREAT and O_TRUNC': open(O_RDWR | O_CREAT | O_TRUNC),
  'open as a directory': open(O_DIRECTORY),
  'open with O_NOFOLLOW': open(O_WRONLY | O_NOFOLLOW),
  'open with O_PATH': open(O_PATH | O_NOFOLLOW),
  write: on('write', N, O_WRONLY | O_NONBLOCK, 'NEW'),
  append: on('write', N, O_WRONLY | O_APPEND | O_NONBLOCK, 'NEW'),
  mkdir: on('mkdir', N),
  'mknod of a fifo': on('mknod', N, 'fifo'),
  'mknod of a device 0:0': on('mknod', N, 'whiteout'),
  symlink: on('symlink', 'to', N),
  'link to another name': on('link', N, 'p/z'),
  'link from another name': { operations: [['link', 't', N]], lower: { t: 'file target' } },
  unlink: on('unlink', N),
  rmdir: on('rmdir', N),
  'rm -r and write': {
    operations: [
      ['unlink', N],
      ['unlink', `${N}/low`],
      ['unlink', `${N}/mid`],
      ['unlink', `${N}/up`],
      ['rmdir', N],
      ['write', N, O_WRONLY | O_CREAT | O_NONBLOCK, 'NEW'],
    ],
  },
  'rm -r and mkdir': {
    operations: [
      ['unlink', N],
      ['unlink', `${N}/low`],
      ['unlink', `${N}/mid`],
      ['unlink', `${N}/up`],
      ['rmdir', N],
      ['mkdir', N],
    ],
  },
  'rename within its directory': rename('p/z'),
  'rename to another directory': rename('z'),
  'rename without replacing': rename('p/z', RENAME_NOREPLACE),
  'rename over a lower file': { ...rename('t'), lower: { t: 'file target' } },
  'rename over an upper file': { ...rename('t'), upper: { t: 'file target' } },
  'rename over an empty lower directory': { ...rename('e'), lower: { e: 'dir' } },
  'rename over an empty upper directory': { ...rename('e'), upper: { e: 'dir' } },
  'rename over a directory of whiteouts': { ...rename('e'), upper: { 'e/w': 'whiteout' }, lower: { 'e/w': 'file x' } },
  'rename over a full lower directory': { ...rename('d'), lower: { 'd/x': 'file x' } },
  'rename over a whiteout': { ...rename('g'), upper: { g: 'whiteout' }, lower: { 'g/x': 'file x' } },
  'rename of a lower file over it': { operations: [['rename', 't', N, 0]], lower: { t: 'file target' } },
  'rename of a lower directory over it': { operations: [['rename', 'd', N, 0]], lower: { 'd/x': 'file x' } },
  'rename of an upper directory over it': { operations: [['rename', 'd', N, 0]], upper: { 'd/x': 'file x' } },
  'exchange with a lower file': { ...rename('t', RENAME_EXCHANGE), lower: { t: 'file target' } },
  'exchange with a lower directory': { ...rename('d', RENAME_EXCHANGE), lower: { 'd/x': 'file x' } },
  chmod: on('chmod', N, 0o640),
  chown: on('chown', N, 7, 8),
  lchown: on('lchown', N, 7, 8),
  utimes: on('utimes', N),
  truncate: on('truncate', N, 1),
  'truncate to more': on('truncate', N, 5),
  setxattr: on('setxattr', N, 'user.a'),
  getxattr: on('getxattr', N, 'user.a'),
  removexattr: on('removexattr', N, 'user.a'),
  listxattr: on('listxattr', N),
  readdir: on('readdir', N),
  'readdir of its directory': on('readdir', 'p'),
  stat: on('stat', N),
  readlink: on('readlink', N),
  'access for reading': on('access', N, R_OK),
  'access for writing': on('access', N, W_OK),
  'access for running': on('access', N, X_OK),
}

/** Devices are not opened: which there are is the machine's affair. */
const opens = ({ operations }: Doing) => operations.some(([name]) => name === 'open' || name === 'write')

/** By name: what is done, to what, and where that is. */
export function unionCases(): ReadonlyMap<string, UnionCase> {
  const cases = new Map<string, UnionCase>()
  for (const [doing, what] of Object.entries(doings)) {
    for (const [place, { kinds, layers }] of Object.entries(places)) {
      for (const kind of kinds) {
        if (kind === 'char' && opens(what)) continue
        const { upper, lowers } = layers(kind)
        const [bottom, ...above] = lowers.toReversed()
        cases.set(`${doing}: a ${kind} ${place}`, {
          upper: { ...upper, ...what.upper },
          lowers: [...above.toReversed(), { ...bottom, ...what.lower }],
          operations: what.operations,
        })
      }
    }
  }
  return cases
}
