/**
 * What annotations say of a container's root, as gVisor has them: `dev.gvisor.spec.rootfs.source`, `.type`, `.overlay`,
 * `.options` and `.directfs`. They go before the spec's `root.path`.
 *
 * Other than in gVisor the source is what `root.path` may be, a name in the bundle, since there are no paths of a host.
 */

import { readChoice, type Upper } from './mounts/uppers.ts'
import { type CrossFault, isPlainObject, quote } from './validate.ts'

const PREFIX = 'dev.gvisor.spec.rootfs.'

export interface RootHints {
  readonly source: string
  /** What takes the changes; undefined for none. Left out: as for other roots. */
  readonly overlay?: { readonly upper: Upper | undefined }
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
      return value === 'bind' ? undefined : `must be "bind", there is no ${quote(value)} here`
    case 'overlay': {
      const upper = readChoice(value)
      return typeof upper === 'string' ? upper : undefined
    }
    case 'options': {
      const wrong = value.split(',').find((option) => !/^size=./.test(option))
      return wrong === undefined ? undefined : `knows size=BYTES, not ${quote(wrong)}`
    }
    case 'directfs':
      return value === 'default' || value === 'off' ? undefined : 'must be "default" or "off"'
    default:
      return 'is no annotation of a root: there are source, type, overlay, options, directfs'
  }
}

/** Preconditions: rootHintFaults finds none. undefined where there are none of these annotations. */
export function rootHints(annotations: Readonly<Record<string, string>> = {}): RootHints | undefined {
  const field = (name: string) => annotations[PREFIX + name]
  const source = field('source')
  if (source === undefined) return undefined
  const size = field('options')?.split(',').at(-1)?.slice('size='.length)
  const overlay = field('overlay')
  if (overlay === undefined && size === undefined) return { source }
  const upper = readChoice(overlay ?? 'memory') as Upper | undefined
  return { source, overlay: { upper: upper && { ...upper, ...(size !== undefined && { size }) } } }
}
