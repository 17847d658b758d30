/** The mounts of a container as they will be made: what each is, and their order. */

import { utf8Length } from '../../abi/utf8.ts'
import type { FilesystemTypes } from '../../vfs/filesystem.ts'
import { cleanPath, isBind, type MountSpec, type Spec } from '../spec.ts'
import { type CompiledMount, compileMounts } from './compile.ts'
import { type MountOptions, mountOptions } from './options.ts'
import { namedError } from './set-up.ts'
import { type MountType, mountType, mountTypes } from './types.ts'

/** What a mount is to become. */
export interface PreparedMount {
  readonly spec: MountSpec
  /** For messages, such as `mounts[2]`. */
  readonly place: string
  /** The spec does not speak of it. */
  readonly mandatory: boolean
  /** A clean absolute path. */
  readonly destination: string
  /** Its name in the table of types; a bind by its options is one. */
  readonly type: string
  readonly is: MountType
  readonly options: MountOptions
}

/**
 * In the order they are made: by the length of their clean destination in bytes, those of one length as given.
 * Errors: EINVAL for options of a type that are none, with the mount's place.
 */
export function prepareMounts(spec: Spec, types: FilesystemTypes, warn: (warning: string) => void): PreparedMount[] {
  const prepared = compileMounts(spec, types).flatMap((mount) => prepareMount(mount, types, warn) ?? [])
  return prepared.sort((a, b) => utf8Length(a.destination) - utf8Length(b.destination))
}

/** undefined for a type that is skipped. */
function prepareMount(
  { spec, place, mandatory }: CompiledMount,
  types: FilesystemTypes,
  warn: (warning: string) => void,
): PreparedMount | undefined {
  const destination = cleanPath(spec.destination)
  const type = isBind(spec) ? 'bind' : (spec.type ?? '')
  const is = mountType(type, types)
  if (!is) {
    const named = type === '' ? 'no type' : `unknown type "${type}"`
    warn(`${place}.type: ${named}, the mount on ${destination} is skipped; there are ${mountTypes(types).join(', ')}`)
    return undefined
  }
  try {
    const options = mountOptions(spec.options ?? [], is, place, warn)
    return { spec, place, mandatory, destination, type, is, options }
  } catch (error) {
    throw namedError(error, place, destination)
  }
}
