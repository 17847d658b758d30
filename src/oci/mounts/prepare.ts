/** The mounts of a container as they will be made: what each is, and their order. */

import { utf8Length } from '../../abi/utf8.ts'
import type { FilesystemTypes } from '../../vfs/filesystem.ts'
import { cleanPath, isBind, type MountSpec, type Spec } from '../spec.ts'
import { type CompiledMount, compileMounts } from './compile.ts'
import { type MountOptions, mountOptions } from './options.ts'
import { namedError } from './set-up.ts'
import { type MountType, mountType, mountTypes } from './types.ts'
import { type DealtBind, dealUppers, type Upper, type UppersConfig } from './uppers.ts'

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
  /** What takes the changes of a bind; undefined for one without a layer. */
  readonly upper?: Upper | undefined
}

export interface Prepared {
  /**
   * In the order they are made: by the length of their clean destination in bytes, those of one length as given. So a mount
   * comes before those inside it.
   */
  readonly mounts: readonly PreparedMount[]
  /** What takes the changes of the root. */
  readonly upper: Upper | undefined
}

/** Errors: EINVAL for options of a type that are none, with the mount's place; those of dealUppers. */
export function prepareMounts(
  spec: Spec,
  uppers: UppersConfig,
  types: FilesystemTypes,
  warn: (warning: string) => void,
): Prepared {
  const prepared = compileMounts(spec, types).flatMap((mount) => prepareMount(mount, types, warn) ?? [])
  const binds = prepared.flatMap((mount) => (mount.type === 'bind' ? [dealtBind(mount)] : []))
  // Dealt in the order of the spec, so before they are sorted.
  const dealt = dealUppers(uppers, spec.root?.readonly === true, binds)
  const mounts = prepared.map((mount) => ({ ...mount, upper: dealt.binds.get(mount.place) }))
  mounts.sort((a, b) => utf8Length(a.destination) - utf8Length(b.destination))
  return { mounts, upper: dealt.root }
}

function dealtBind({ spec, place, destination, options }: PreparedMount): DealtBind {
  const fromBundle = !spec.source?.startsWith('/')
  return { place, destination, readonly: options.flags.readonly === true, fromBundle }
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
