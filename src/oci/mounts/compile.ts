/**
 * The mounts that a container gets: those of its spec, and before them the mandatory ones that the spec does not speak of,
 * /proc, /sys, /dev and /dev/pts.
 *
 * As gVisor has it, what a spec mounts on /dev and /dev/pts is a devtmpfs and a devpts whatever it says, unless it is a bind; and
 * cgroups are what the kernel has: where a spec asks for them there is a tmpfs with a directory for each controller.
 */

import { CONTROLLERS } from '../../fs/cgroup/hierarchy.ts'
import type { FilesystemTypes } from '../../vfs/filesystem.ts'
import { cleanPath, isBind, type MountSpec, type Spec } from '../spec.ts'
import { mountType } from './types.ts'

export interface CompiledMount {
  readonly spec: MountSpec
  /** For messages: `mounts[2]` of the spec, or `mandatory mount`. */
  readonly place: string
  /** The spec does not speak of it: it leaves no trace in what it is mounted on. */
  readonly mandatory: boolean
}

/** The types that count on their places. */
const FORCED: Readonly<Record<string, string>> = { '/dev': 'devtmpfs', '/dev/pts': 'devpts' }

const MANDATORY: readonly (readonly [destination: string, type: string, ...options: string[]])[] = [
  ['/proc', 'proc'],
  ['/sys', 'sysfs'],
  ['/dev', 'devtmpfs'],
  // Everybody may make a terminal, as in any container.
  ['/dev/pts', 'devpts', 'ptmxmode=0666'],
]

const CGROUPS = '/sys/fs/cgroup'
const CGROUP_OPTIONS: ReadonlySet<string> = new Set(['all', ...CONTROLLERS])

/**
 * In the order in which they are dealt what is dealt by order. Types that the kernel lacks are neither forced nor mandatory. `alone`:
 * none is added, and a cgroup is one mount where it is asked for.
 */
export function compileMounts({ mounts = [] }: Spec, registered: FilesystemTypes, alone = false): CompiledMount[] {
  const has = (type: string) => mountType(type, registered) !== undefined
  const own: CompiledMount[] = []
  const taken = new Set<string>()
  let cgroups: CompiledMount | undefined
  for (const [i, spec] of mounts.entries()) {
    const place = `mounts[${i}]`
    const destination = cleanPath(spec.destination)
    taken.add(destination)
    const forced = isBind(spec) ? undefined : FORCED[destination]
    if (spec.type === 'cgroup' && !isBind(spec) && !alone) cgroups ??= { spec, place, mandatory: false }
    else own.push({ spec: forced && has(forced) ? { ...spec, type: forced } : spec, place, mandatory: false })
  }
  if (alone) return own
  const added = MANDATORY.filter(([destination, type]) => !taken.has(destination) && has(type))
  const mandatory = added.map(([destination, type, ...options]) => ({
    spec: { destination, type, source: type, options },
    place: 'mandatory mount',
    mandatory: true,
  }))
  return [...(cgroups ? cgroupMounts(cgroups, has('cgroup')) : []), ...mandatory, ...own]
}

/**
 * A mount for each controller, with the flags that the spec has. Where there are no cgroups, what the spec says stands, and is told
 * of as a type that is not there.
 */
function cgroupMounts(asked: CompiledMount, known: boolean): CompiledMount[] {
  if (!known) return [asked]
  const flags = (asked.spec.options ?? []).filter((option) => !CGROUP_OPTIONS.has(option))
  const controllers = CONTROLLERS.map((controller) => ({
    ...asked,
    spec: {
      destination: `${CGROUPS}/${controller}`,
      type: 'cgroup',
      source: 'cgroup',
      options: [...flags, controller],
    },
  }))
  return [{ ...asked, spec: { destination: CGROUPS, type: 'tmpfs', source: 'tmpfs' } }, ...controllers]
}
