/** What the options of a spec's mount mean: mount(8), runtime-spec config.md "Mounts". */

import { ErrnoError } from '../../abi/errno.ts'
import type { MountFlags } from '../../vfs/mount.ts'
import { type PropagationOption, propagationOption } from './propagation.ts'

export interface MountOptions {
  readonly flags: MountFlags
  /** Options that belong to the filesystem type, in the order given, as its mount takes them. */
  readonly data: string
  readonly recursive: boolean
  readonly takeover: boolean
  readonly rescue: boolean
  /** Set once it is mounted. */
  readonly propagation: PropagationOption | undefined
}

type Flags = { -readonly [K in keyof MountFlags]: MountFlags[K] }

/** runtime-spec config.md, "Linux mount options". Of each pair the last one counts. */
const switches: Record<string, (flags: Flags) => void> = {
  ro: (flags) => (flags.readonly = true),
  rw: (flags) => (flags.readonly = false),
  noexec: (flags) => (flags.noexec = true),
  exec: (flags) => (flags.noexec = false),
  nosuid: (flags) => (flags.nosuid = true),
  suid: (flags) => (flags.nosuid = false),
  nodev: (flags) => (flags.nodev = true),
  dev: (flags) => (flags.nodev = false),
  noatime: (flags) => (flags.noatime = true),
  atime: (flags) => (flags.noatime = false),
  strictatime: (flags) => {
    flags.strictatime = true
    flags.noatime = false
  },
  nostrictatime: (flags) => (flags.strictatime = false),
  relatime: (flags) => (flags.strictatime = false),
  nodiratime: (flags) => (flags.nodiratime = true),
  diratime: (flags) => (flags.nodiratime = false),
}

/** Of a volume: it is taken from whoever has it; where it is damaged beyond telling what was committed last, what was before is shown. */
const TAKEOVER = 'takeover'
const RESCUE = 'rescue'
export const OF_VOLUME: readonly string[] = [TAKEOVER, RESCUE]
/** Of a volume: how much of what is on disk is in memory, too. */
export const CACHE_BYTES = 'cacheBytes'

/**
 * Reads a mount's options; those of its type itself are as `type` has them. An unknown one is left out and warned about, with its
 * place. Errors: EINVAL for one with several `=` where the type's own options have at most one.
 */
export function mountOptions(
  given: readonly string[],
  type: { readonly data: readonly string[]; readonly plainData?: boolean },
  place: string,
  warn: (warning: string) => void,
): MountOptions {
  const flags: Flags = {}
  const data: string[] = []
  let recursive = false
  const ofVolume = new Set<string>()
  let propagation: PropagationOption | undefined
  for (const [i, option] of given.entries()) {
    const set = Object.hasOwn(switches, option) ? switches[option] : undefined
    const spreading = propagationOption(option)
    const [key, ...values] = option.split('=')
    if (type.plainData && values.length > 1) {
      throw new ErrnoError('EINVAL', undefined, `options[${i}]: "${option}" is not KEY=VALUE`)
    }
    if (set) set(flags)
    else if (spreading) propagation = spreading
    else if (option === 'bind' || option === 'rbind') recursive = option === 'rbind'
    else if (OF_VOLUME.includes(option) && type.data.includes(option)) ofVolume.add(option)
    else if (type.data.includes(key!)) data.push(option)
    else if (option !== 'defaults') warn(`${place}.options[${i}]: unknown option "${option}", ignored`)
  }
  const [takeover, rescue] = [ofVolume.has(TAKEOVER), ofVolume.has(RESCUE)]
  return { flags, data: data.join(','), recursive, takeover, rescue, propagation }
}
