/**
 * What annotations say of a container's root, as gVisor has them: `dev.gvisor.spec.rootfs.source`, `.type`, `.overlay`,
 * `.options` and `.directfs`. They go before the spec's `root.path`.
 *
 * `.options` may hold `verity.roothash=HEX` and `verity.action=error`, as those of a mount: the tree is checked then.
 *
 * Type `erofs` is an EROFS image, `bind` anything else.
 *
 * Other than in gVisor the source is what `root.path` may be, a name in the bundle, since there are no paths of a host.
 */

import type { ErrnoError } from '../abi/errno.ts'
import { readChoice, type Upper } from './mounts/uppers.ts'
import { isVerityOption, type Verity, verityOptions } from './mounts/verity.ts'
import { type CrossFault, isPlainObject, quote } from './validate.ts'

const PREFIX = 'dev.gvisor.spec.rootfs.'

export interface RootHints {
  readonly source: string
  /** What takes the changes; undefined for none. Left out: as for other roots. */
  readonly overlay?: { readonly upper: Upper | undefined }
  readonly verity?: Verity | undefined
  /** The source is the file of an EROFS image, not a tree. */
  readonly image: boolean
}

/** What is wrong with the annotations about the root, each of which must be right. */
export function* rootHintFaults(annotations: unknown): Iterable<CrossFault> {
  if (!isPlainObject(annotations)) return
  const given = Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX))
  if (given.length === 0) return
  for (const [key, value] of given) {
    if (typeof value !== 'string') continue
    const rule = faultOf(key.slice(PREFIX.length), value)
    if (rule !== undefined) yield { at: [key], rule }
  }
  for (const field of ['source', 'type']) {
    if (annotations[PREFIX + field] === undefined) yield { at: [PREFIX + field], rule: 'is required beside the others' }
  }
}

function faultOf(field: string, value: string): string | undefined {
  switch (field) {
    case 'source':
      if (value === '' || value.startsWith('/')) return 'must be the name of a tree in the bundle'
      return undefined
    case 'type':
      return value === 'bind' || value === 'erofs' ? undefined : `must be "bind" or "erofs", not ${quote(value)}`
    case 'overlay': {
      const upper = readChoice(value)
      return typeof upper === 'string' ? upper : undefined
    }
    case 'options': {
      const options = value.split(',')
      const wrong = options.find((option) => !isVerityOption(option) && !/^size=./.test(option))
      if (wrong !== undefined)
        return `knows size=BYTES, verity.roothash=HEX and verity.action=ACTION, not ${quote(wrong)}`
      return faultOfVerity(options)
    }
    case 'directfs':
      return value === 'default' || value === 'off' ? undefined : 'must be "default" or "off"'
    default:
      return 'is no annotation of a root: there are source, type, overlay, options, directfs'
  }
}

function faultOfVerity(options: readonly string[]): string | undefined {
  let fault: string | undefined
  const warn = (_: number, rule: string) => {
    fault = rule
  }
  try {
    verityOptions(options, warn)
    return fault
  } catch (error) {
    return (error as ErrnoError).detail
  }
}

/** Preconditions: rootHintFaults finds none. undefined where there are none of these annotations. */
export function rootHints(annotations: Readonly<Record<string, string>> = {}): RootHints | undefined {
  const field = (name: string) => annotations[PREFIX + name]
  const source = field('source')
  if (source === undefined) return undefined
  const options = field('options')?.split(',') ?? []
  const size = options.findLast((option) => option.startsWith('size='))?.slice('size='.length)
  const verity = verityOptions(options, () => {})
  const image = field('type') === 'erofs'
  const overlay = field('overlay')
  if (overlay === undefined && size === undefined) return { source, verity, image }
  const upper = readChoice(overlay ?? 'memory') as Upper | undefined
  return { source, verity, image, overlay: { upper: upper && { ...upper, ...(size !== undefined && { size }) } } }
}
