/** The volumes that a spec's mounts name: opened before anything is mounted, for that takes time. */

import { parseOverlayOptions } from '../../fs/overlay/options.ts'
import { volumeName } from '../volumes.ts'
import type { PreparedMount } from './prepare.ts'
import { namedError, type SetUp } from './set-up.ts'
import type { Upper } from './uppers.ts'

/** Opens the volume that a mount names, if it does. Errors: those of Volumes.acquire, with the mount's place. */
export async function acquireVolume(setUp: SetUp, mount: PreparedMount): Promise<void> {
  const { type, place, destination, options, upper } = mount
  const { flags, data, takeover } = options
  if (upper) return acquireUpper(setUp, place, destination, upper)
  try {
    const volume = volumeOf(mount)
    if (volume === undefined) return
    const alone = type === 'overlay'
    const how = { readonly: flags.readonly === true, takeover, alone, data: alone ? 'mode=755' : data }
    setUp.acquired.set(place, await setUp.volumes.acquire(volume, how))
  } catch (error) {
    throw namedError(error, place, destination)
  }
}

/** Opens the volume that takes the changes of a mount, if one does. Errors: as acquireVolume. */
export async function acquireUpper(
  { acquired, volumes }: SetUp,
  place: string,
  destination: string,
  { volume, size }: Upper,
): Promise<void> {
  if (volume === undefined) return
  const data = `mode=755${size === undefined ? '' : `,size=${size}`}`
  try {
    acquired.set(place, await volumes.acquire(volume, { readonly: false, takeover: false, alone: true, data }))
  } catch (error) {
    throw namedError(error, place, destination)
  }
}

/** The volume that a mount names as its own, whatever takes its changes. */
export function volumeOf({ type, spec, options }: PreparedMount): string | undefined {
  if (type === 'tmpfs') return volumeName(spec.source)
  if (type === 'overlay') return volumeName(parseOverlayOptions(options.data, { names: true }).upperdir)
  return undefined
}
