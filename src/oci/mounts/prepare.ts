/** The mounts of a container as they will be made: what each is, and their order. */

import { utf8Length } from '../../abi/utf8.ts'
import type { FilesystemTypes } from '../../vfs/filesystem.ts'
import { cleanPath, isBind, type MountSpec, type Spec } from '../spec.ts'
import { namesVolume } from '../volumes.ts'
import { type CompiledMount, compileMounts } from './compile.ts'
import type { MountHint } from './hints.ts'
import { type MountOptions, mountOptions } from './options.ts'
import { namedError } from './set-up.ts'
import { REPLICA, type SharedVolumes } from './shared-volumes.ts'
import { type MountType, mountType, mountTypes } from './types.ts'
import { type DealtBind, dealUppers, type Upper, type UppersConfig } from './uppers.ts'
import { isVerityOption, type Verity, verityOptions } from './verity.ts'

/** What a mount is to become. */
export interface PreparedMount {
  readonly spec: MountSpec
  /** For messages, such as `mounts[2]`. */
  readonly place: string
  /** The spec does not speak of it. */
  readonly mandatory: boolean
  /** A clean absolute path. */
  readonly destination: string
  /** Its name in the table of types: a bind by its options is one, and that of a volume is a tmpfs. */
  readonly type: string
  readonly is: MountType
  readonly options: MountOptions
  /** What takes the changes of a bind; undefined for one without a layer. */
  readonly upper?: Upper | undefined
  /** It is checked against a hash. */
  readonly verity: Verity | undefined
  /** It is a replica of a volume that containers share. */
  readonly hint: MountHint | undefined
  /** What it is found again by when it is restored: its destination, and from the second of one destination on a number. */
  readonly unique: string
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

/** What a mount may be. */
export interface Known {
  readonly vfs: { readonly types: FilesystemTypes }
  readonly shared: Pick<SharedVolumes, 'hintOf'>
  readonly uppers: UppersConfig
  /** As compileMounts has it. */
  readonly alone?: boolean
}

/** Errors: EINVAL for options of a type that are none, with the mount's place; those of dealUppers. */
export function prepareMounts(spec: Spec, known: Known, warn: (warning: string) => void): Prepared {
  const seen = new Map<string, number>()
  const prepared = compileMounts(spec, known.vfs.types, known.alone).flatMap((mount) => {
    const destination = cleanPath(mount.spec.destination)
    const before = seen.get(destination) ?? 0
    seen.set(destination, before + 1)
    const unique = before === 0 ? destination : `${destination}#${before + 1}`
    try {
      return prepareMount({ ...mount, destination, unique }, known, warn) ?? []
    } catch (error) {
      throw namedError(error, mount.place, destination)
    }
  })
  const binds = prepared.flatMap((mount) => (mount.type === 'bind' ? [dealtBind(mount)] : []))
  // Dealt in the order of the spec, so before they are sorted.
  const dealt = dealUppers(known.uppers, spec.root?.readonly === true, binds)
  const mounts = prepared.map((mount) => ({ ...mount, upper: dealt.binds.get(mount.place) }))
  mounts.sort((a, b) => utf8Length(a.destination) - utf8Length(b.destination))
  return { mounts, upper: dealt.root }
}

function dealtBind({ spec, place, destination, options }: PreparedMount): DealtBind {
  const fromBundle = !spec.source?.startsWith('/')
  return { place, destination, readonly: options.flags.readonly === true, fromBundle }
}

/** What is bound from a volume is the volume. */
const bindType = ({ source }: MountSpec) => (namesVolume(source) ? 'tmpfs' : 'bind')

/** undefined for a type that is skipped. Errors: EINVAL. */
function prepareMount(
  { spec, place, mandatory, destination, unique }: CompiledMount & Pick<PreparedMount, 'destination' | 'unique'>,
  { vfs: { types }, shared }: Known,
  warn: (warning: string) => void,
): PreparedMount | undefined {
  const given = spec.options ?? []
  // Also of a type that is skipped, as gVisor has it.
  const verity = verityOptions(given, (option, rule) => warn(`${place}.options[${option}]: ${rule}`))
  const hint = shared.hintOf(spec.source)
  const type = hint ? hint.type : isBind(spec) ? bindType(spec) : (spec.type ?? '')
  const is = hint ? REPLICA : mountType(type, types)
  if (!is) {
    const named = type === '' ? 'no type' : `unknown type "${type}"`
    warn(`${place}.type: ${named}, the mount on ${destination} is skipped; there are ${mountTypes(types).join(', ')}`)
    return undefined
  }
  // The others keep their numbers in messages.
  const others = given.map((option) => (isVerityOption(option) ? 'defaults' : option))
  const options = mountOptions(others, is, place, warn)
  return { spec, place, mandatory, destination, type, is, options, verity, hint, unique }
}
