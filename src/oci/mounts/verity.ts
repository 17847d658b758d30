/**
 * What of a container's files is checked against a hash: mounts of type `verity`, by path, and mounts of other types with options
 * `verity.…`, as gVisor has both; and the root, by an annotation.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { VerityLower } from '../../fs/verity/verity.ts'
import { type Mount, VirtualDentry } from '../../vfs/mount.ts'
import { withUpper } from './layering.ts'
import type { PreparedMount } from './prepare.ts'
import type { SetUp } from './set-up.ts'

/** What the options `verity.…` ask for. */
export interface Verity {
  /** In hexadecimal digits; empty: trees may be built. */
  readonly rootHash: string
  /** What a file that is not as it was does: give an error, or end the sandbox. */
  readonly action: 'error' | 'panic'
}

const PREFIX = 'verity.'

export const isVerityOption = (option: string): boolean => option.startsWith(PREFIX)

/**
 * Of several of one key the last counts. `warn` hears of an action that there is not, which is taken for `panic`. undefined: none of
 * these options is given. Errors: EINVAL for one without a value, or of another key.
 */
export function verityOptions(
  options: readonly string[],
  warn: (option: number, rule: string) => void,
): Verity | undefined {
  let verity: Verity | undefined
  for (const [i, option] of options.entries()) {
    if (!isVerityOption(option)) continue
    const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `options[${i}]: "${option}" ${rule}`)
    const equals = option.indexOf('=')
    if (equals < 0) throw fault('has no value')
    const key = option.slice(0, equals).trim()
    const value = option.slice(equals + 1).trim()
    verity ??= { rootHash: '', action: 'panic' }
    if (key === 'verity.roothash') verity = { ...verity, rootHash: value }
    else if (key === 'verity.action') {
      if (value !== 'error' && value !== 'panic') warn(i, `unknown action "${value}", taken for "panic"`)
      verity = { ...verity, action: value === 'error' ? 'error' : 'panic' }
    } else throw fault('is unknown: there are verity.roothash and verity.action')
  }
  return verity
}

/** A mount of type `verity`: `lower_path` is found as the source of a bind is. What is not as it was gives an error. */
export function verityByPath(setUp: SetUp, { spec, options: { data, flags } }: PreparedMount): Mount {
  const { vfs, attempt } = setUp
  const source = spec.source ?? 'verity'
  const hold = (path: string) => vfs.hold(setUp.find(path))
  return vfs.newMount(vfs.newFilesystem({ type: 'verity', data, source, hold, attempt }), { source, flags })
}

/** A mount of any type, checked: its files are the lower ones, and the layer that takes changes, if there is one, is over that. */
export function verified(setUp: SetUp, mount: PreparedMount & { readonly verity: Verity }): Mount {
  const { vfs } = setUp
  const { is, place, destination, spec, options, upper, unique } = mount
  const { flags } = options
  const source = spec.source ?? mount.type
  const made = is.make(setUp, { ...mount, upper: undefined })
  try {
    const name = destination.slice(destination.lastIndexOf('/') + 1) || '/'
    const over = verityOver(setUp, new VirtualDentry(made, made.root), mount.verity, { name, source, flags })
    if (!upper) return over
    try {
      const lowers = [new VirtualDentry(over, over.root)]
      return withUpper(setUp, { place, upper }, { vfs, lowers, source, flags }, setUp.fill(unique))
    } finally {
      vfs.discard(over)
    }
  } finally {
    vfs.discard(made)
  }
}

/** A mount, attached nowhere, of what is at a place, checked. `name` is what the root's tree is found by. */
export function verityOver(
  setUp: SetUp,
  lower: VirtualDentry,
  { rootHash, action }: Verity,
  {
    name,
    ...mount
  }: { readonly name: string } & Pick<NonNullable<Parameters<SetUp['vfs']['newMount']>[1]>, 'source' | 'flags'>,
): Mount {
  const { vfs, attempt, panic } = setUp
  const data = `root_hash=${rootHash},root_name=${name}`
  const { inode, release } = vfs.hold(lower)
  const internal: VerityLower = { lower: inode, release, panic: action === 'panic' ? panic : undefined }
  try {
    return vfs.newMount(vfs.newFilesystem({ type: 'verity', data, internal, attempt }), mount)
  } catch (error) {
    release()
    throw error
  }
}
