/** Random cases of overlays: layers with whiteouts and opaque directories in them, and operations on the names that they have. */
import {
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from '../../src/abi/linux.ts'
import type { Layer, UnionCase, UnionOperation } from '../../src/testing/unions.ts'
import { mulberry32 } from './random.ts'

const OPERATIONS = 8

/** The case of a seed. Devices are not among the files: which can be opened is the machine's affair. */
export function randomUnion(seed: number): UnionCase {
  const random = mulberry32(seed)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!
  const path = () => Array.from({ length: pick([1, 1, 2, 2, 2, 3]) }, () => pick(['a', 'a', 'b', 'c'])).join('/')
  const layer = (files: number, kinds: readonly string[]): Layer => {
    const made: Record<string, string> = {}
    for (let i = 0; i < files; i++) {
      const at = path()
      const parents = at.split('/').map((_, depth, parts) => parts.slice(0, depth + 1).join('/'))
      if (Object.keys(made).some((other) => other.startsWith(`${at}/`)) || made[at] !== undefined) continue
      if (parents.slice(0, -1).some((above) => made[above] !== undefined && !/^(dir|opaque)$/.test(made[above])))
        continue
      for (const above of parents.slice(0, -1)) made[above] ??= 'dir'
      const kind = pick(kinds)
      const linked = Object.keys(made).find((other) => made[other]!.startsWith('file'))
      if (kind === 'file') made[at] = `file ${at}${files}`
      else if (kind === 'link') made[at] = `link ${pick(['a', 'c', 'b/c'])}`
      else if (kind !== 'same') made[at] = kind
      else if (linked !== undefined) made[at] = `same ${linked}`
    }
    return made
  }
  const usual = ['file', 'file', 'file', 'dir', 'dir', 'link', 'fifo', 'same', 'whiteout', 'whiteout', 'opaque']
  const operation = (): UnionOperation => {
    const at = path()
    switch (pick([...'ooowwmmsltuuuuurrrnnnnnnnxcCtdT'])) {
      case 'o':
        return [
          'open',
          at,
          O_NONBLOCK | pick([O_RDONLY, O_RDWR, O_WRONLY | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_TRUNC]),
        ]
      case 'w':
        return ['write', at, O_NONBLOCK | O_WRONLY | pick([0, O_CREAT, O_APPEND, O_TRUNC | O_CREAT]), 'NEW']
      case 'm':
        return ['mkdir', at]
      case 's':
        return ['symlink', 'a', at]
      case 'l':
        return ['link', at, path()]
      case 't':
        return ['truncate', at, 1]
      case 'u':
        return ['unlink', at]
      case 'r':
        return ['rmdir', at]
      case 'n':
        return ['rename', at, path(), pick([0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE])]
      case 'x':
        return [pick(['setxattr', 'removexattr']), at, 'user.a']
      case 'c':
        return ['chmod', at, 0o640]
      case 'C':
        return ['lchown', at, 7, 8]
      case 'd':
        return ['readdir', at]
      default:
        return ['utimes', at]
    }
  }
  return {
    upper: layer(pick([0, 3, 6]), usual),
    lowers: Array.from({ length: pick([1, 2, 3]) }, (_, i) => layer(5 + i, usual)),
    operations: Array.from({ length: 1 + Math.floor(random() * OPERATIONS) }, operation),
  }
}

/** Leaves out operations and files for as long as `fails` says so. */
export async function shortestUnion(
  given: UnionCase,
  fails: (each: UnionCase) => Promise<boolean>,
): Promise<UnionCase> {
  let best = given
  const without = (layer: Layer, path: string): Layer =>
    Object.fromEntries(
      Object.entries(layer).filter(
        ([at, what]) => !`${at}/`.startsWith(`${path}/`) && !`${what}/`.startsWith(`same ${path}/`),
      ),
    )
  for (let shorter = true; shorter; ) {
    shorter = false
    const { upper, lowers, operations } = best
    const candidates: UnionCase[] = [
      ...operations.map((_, i) => ({ ...best, operations: operations.filter((_, at) => at !== i) })),
      ...Object.keys(upper).map((path) => ({ ...best, upper: without(upper, path) })),
      ...lowers.flatMap((layer, i) =>
        Object.keys(layer).map((path) => ({ ...best, lowers: lowers.with(i, without(layer, path)) })),
      ),
    ]
    for (const each of candidates) {
      if (!(await fails(each))) continue
      best = each
      shorter = true
      break
    }
  }
  return best
}
