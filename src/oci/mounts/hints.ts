/**
 * Mount hints: annotations `dev.gvisor.spec.mount.NAME.FIELD` that say how a volume is shared by the containers of a sandbox.
 * The fields are gVisor's: source, type (tmpfs, bind), share (container, pod, shared), options.
 *
 * Always true: a name or a source that cannot be meant is a fault of the spec (hintFaults); a field that is merely no good
 * is told and left out, and so is a hint that lacks one it needs. Nothing depends on the order of the annotations.
 */

import { type CrossFault, quote } from '../validate.ts'
import { namesVolume } from '../volumes.ts'

export interface MountHint {
  readonly name: string
  /** Which mounts of a spec are meant: those of this very source. */
  readonly source: string
  readonly type: 'tmpfs' | 'bind'
  readonly share: 'container' | 'pod' | 'shared'
  readonly options: readonly string[]
}

const PREFIX = 'dev.gvisor.spec.mount.'
const FIELDS = ['source', 'type', 'share', 'options']

/** The keys of a hint, as they stand in the annotations, but for the field. */
export const hintKey = (name: string) => PREFIX + name

/** Whether the value of an annotation is the source of a hint. */
export const isSourceKey = (key: string) => key.startsWith(PREFIX) && key.endsWith('.source')

/** What is wrong with the hints of a spec: names, and two of one source. */
export function* hintFaults(annotations: Readonly<Record<string, unknown>>): Iterable<CrossFault> {
  const sources = new Map<string, string>()
  for (const key of Object.keys(annotations).sort()) {
    if (!key.startsWith(PREFIX)) continue
    const parts = key.slice(PREFIX.length).split('.')
    const [name, field] = parts
    if (parts.length !== 2) yield { at: [key], rule: `must be ${PREFIX}NAME.FIELD, and a name holds no dot` }
    else if (name === '') yield { at: [key], rule: 'must have a name before its field' }
    else if (field === 'source') {
      const source = annotations[key] as string
      const other = sources.get(source)
      if (other !== undefined && source !== '') {
        yield { at: [key], rule: `${quote(source)} is the source of the hint "${other}" too` }
      }
      sources.set(source, name!)
    }
  }
}

/** The hints of a spec whose annotations have no faults. */
export function readHints(
  annotations: Readonly<Record<string, string>>,
  warn: (warning: string) => void,
): readonly MountHint[] {
  const found = new Map<string, Map<string, string>>()
  for (const key of Object.keys(annotations).sort()) {
    if (!key.startsWith(PREFIX)) continue
    const [name, field] = key.slice(PREFIX.length).split('.') as [string, string]
    const fields = found.get(name) ?? new Map<string, string>()
    found.set(name, fields)
    const rule = faultOf(field, annotations[key]!)
    if (rule) warn(`annotations[${JSON.stringify(key)}]: ${rule}, ignored`)
    else fields.set(field, annotations[key]!)
  }
  const hints: MountHint[] = []
  for (const [name, fields] of found) {
    const missing = ['source', 'type', 'share'].filter((field) => !fields.has(field))
    if (missing.length > 0) {
      warn(`annotations: the mount hint "${name}" has no ${missing.join(', no ')}, ignored`)
      continue
    }
    const options = fields.get('options')?.split(',').filter(Boolean) ?? []
    hints.push({
      name,
      source: fields.get('source')!,
      type: fields.get('type') as MountHint['type'],
      share: fields.get('share') as MountHint['share'],
      options: options.sort(),
    })
  }
  return hints
}

/** What is wrong with one field. */
function faultOf(field: string, value: string): string | undefined {
  switch (field) {
    case 'source':
      if (value === '') return 'a source must not be empty'
      return namesVolume(value) ? 'a volume of the site is shared by its name, without a hint' : undefined
    case 'type':
      return oneOf(value, ['tmpfs', 'bind'])
    case 'share':
      return oneOf(value, ['container', 'pod', 'shared'])
    case 'options':
      return undefined
    default:
      return `unknown field; there are ${FIELDS.join(', ')}`
  }
}

const oneOf = (value: string, values: readonly string[]) =>
  values.includes(value) ? undefined : `${quote(value)} must be one of ${values.join(', ')}`
