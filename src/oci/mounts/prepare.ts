/** The mounts of a spec as they will be made: what each is, and their order. */

import { utf8Length } from '../../abi/utf8.ts'
import { cleanPath, isBind, type MountSpec, type Spec } from '../spec.ts'
import { type MountOptions, mountOptions } from './options.ts'
import { mountType, mountTypes } from './types.ts'

/** What a mount of the spec is to become. */
export interface PreparedMount {
  readonly spec: MountSpec
  /** Its place in the spec, for messages: `mounts[2]`. */
  readonly place: string
  /** A clean absolute path. */
  readonly destination: string
  /** As the table of types has it; a bind by its options is one. */
  readonly type: string
  readonly options: MountOptions
}

/** In the order they are made: by the length of their clean destination in bytes, those of one length as given. */
export function prepareMounts({ mounts = [] }: Spec, warn: (warning: string) => void): PreparedMount[] {
  const prepared = mounts.flatMap((spec, i) => prepareMount(spec, `mounts[${i}]`, warn) ?? [])
  return prepared.sort((a, b) => utf8Length(a.destination) - utf8Length(b.destination))
}

/** undefined for a type that is skipped. */
function prepareMount(spec: MountSpec, place: string, warn: (warning: string) => void): PreparedMount | undefined {
  const destination = cleanPath(spec.destination)
  const type = isBind(spec) ? 'bind' : (spec.type ?? '')
  const known = mountType(type)
  if (!known) {
    const named = type === '' ? 'no type' : `unknown type "${type}"`
    warn(`${place}.type: ${named}, the mount on ${destination} is skipped; there are ${mountTypes().join(', ')}`)
    return undefined
  }
  return { spec, place, destination, type, options: mountOptions(spec.options ?? [], known.data, place, warn) }
}
