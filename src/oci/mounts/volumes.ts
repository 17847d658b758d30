/** The volumes that a spec's mounts name: opened before anything is mounted, for that takes time. */

import { parseOverlayOptions } from '../../fs/overlay/options.ts'
import { type Acquire, volumeName } from '../volumes.ts'
import type { PreparedMount } from './prepare.ts'
import { namedError, type SetUp } from './set-up.ts'
import type { Upper } from './uppers.ts'

/** Opens the volume that a mount names, if it does. Errors: those of Volumes.acquire, with the mount's place. */
export async function acquireVolume(setUp: SetUp, mount: PreparedMount): Promise<void> {
  const { type, place, destination, options, upper } = mount
  const { flags, data, takeover, rescue } = options
  if (upper) return acquireUpper(setUp, place, destination, upper)
  try {
    const volume = volumeOf(mount)
    if (volume === undefined) return
    const alone = type === 'overlay'
    const ofTmpfs = alone ? ofUpper(parseOverlayOptions(data, { names: true })) : data
    const how = { readonly: flags.readonly === true, takeover, rescue, alone, data: ofTmpfs }
    await acquire(setUp, place, volume, how)
  } catch (error) {
    throw namedError(error, place, destination)
  }
}

/** Opens the volume that takes the changes of a mount, if one does. Errors: as acquireVolume. */
export async function acquireUpper(setUp: SetUp, place: string, destination: string, upper: Upper): Promise<void> {
  if (upper.volume === undefined) return
  const how = { readonly: false, takeover: false, rescue: false, alone: true, data: ofUpper(upper) }
  try {
    await acquire(setUp, place, upper.volume, how)
  } catch (error) {
    throw namedError(error, place, destination)
  }
}

async function acquire({ acquired, volumes, warn }: SetUp, place: string, volume: string, how: Acquire): Promise<void> {
  const opened = await volumes.acquire(volume, how)
  acquired.set(place, opened)
  const state = opened.mount.readonly ? 'read-only' : 'mounted'
  for (const fault of opened.damage) warn(`${place}: the volume "${volume}" is ${state}: ${fault}`)
}

/** Options of the tmpfs. */
const ofUpper = ({ size, cacheBytes }: Pick<Upper, 'size' | 'cacheBytes'>) =>
  ['mode=755', size === undefined ? '' : `size=${size}`, cacheBytes === undefined ? '' : `cacheBytes=${cacheBytes}`]
    .filter(Boolean)
    .join(',')

/** The volume that a mount names as its own, whatever takes its changes. */
export function volumeOf({ type, spec, options }: PreparedMount): string | undefined {
  if (type === 'tmpfs') return volumeName(spec.source)
  if (type === 'overlay') return volumeName(parseOverlayOptions(options.data, { names: true }).upperdir)
  return undefined
}
