/**
 * Makes the mounts of a container from its spec: the root; then the mounts, those with short destinations first; then, unless the
 * spec speaks of it, /tmp.
 *
 * Invariant: either the namespace is complete, or an error that names the mount was thrown and nothing is left of it.
 */

import type { Inode } from '../../vfs/inode.ts'
import type { MountNamespace } from '../../vfs/mount.ts'
import { releaseNamespace } from '../../vfs/mount-tree.ts'
import { rootHints } from '../root-hints.ts'
import type { Spec } from '../spec.ts'
import { mountInternalTmp } from './internal-tmp.ts'
import { applyLinux } from './linux-files.ts'
import { loadTypes } from './load-types.ts'
import { makeMountPoint } from './mount-point.ts'
import { type Known, type PreparedMount, prepareMounts } from './prepare.ts'
import { emptyNamespace, putRoot, ROOT, type Root, type RootPlan } from './root.ts'
import { type Fill, SetUp, type SetUpOptions } from './set-up.ts'
import { mountSubmount } from './submount.ts'
import { EROFS } from './types.ts'
import type { UppersConfig } from './uppers.ts'
import { acquireUpper, acquireVolume } from './volumes.ts'

export interface MounterOptions extends SetUpOptions {
  readonly uppers: UppersConfig
  /** A snapshot that the root's upper starts with. */
  readonly restore?: Fill | undefined
  /** Whether there is a /tmp that the spec does not speak of; what is in /tmp decides if left out. */
  readonly internalTmp?: boolean | undefined
}

/** What a spec's mounts become. */
export interface Mounted {
  readonly namespace: MountNamespace
  readonly root: Root
  readonly uppers: UppersConfig
  /** The roots of the filesystems in memory that were made for it, by what their mounts are found again by. */
  readonly memory: Map<string, Inode>
}

/** What a spec's mounts are to become. */
export interface MountPlan {
  readonly root: Omit<RootPlan, 'restore'>
  /** In the order they are made. */
  readonly mounts: readonly PreparedMount[]
}

/** Errors: those of prepareMounts. */
export function planMounts(spec: Spec, known: Known, warn: (warning: string) => void): MountPlan {
  const hints = rootHints(spec.annotations)
  const { mounts, upper } = prepareMounts(spec, known, warn)
  const readonly = spec.root?.readonly === true
  return {
    root: {
      source: hints?.source ?? spec.root?.path,
      readonly,
      upper: hints?.overlay && !readonly ? hints.overlay.upper : upper,
      verity: hints?.verity,
      image: hints?.image === true,
    },
    mounts,
  }
}

/**
 * Errors: ErrnoError with syscall `mount`, the destination as `path`, and the mount's place in the spec in `detail`; plain ones
 * for uppers that do not fit the spec.
 */
export async function mountAll(spec: Spec, options: MounterOptions): Promise<Mounted> {
  const setUp = new SetUp(options)
  const { root, mounts } = planMounts(spec, options, options.warn)
  const rootType = root.image ? { is: EROFS } : {}
  await loadTypes([{ place: ROOT, destination: '/', verity: root.verity, ...rootType }, ...mounts], options)
  const plan = { ...root, restore: options.restore }
  if (plan.restore && (!plan.upper || plan.upper.volume !== undefined)) {
    throw new Error('a snapshot restores an upper layer in memory, and the root of this container has none')
  }
  try {
    if (plan.upper) await acquireUpper(setUp, ROOT, '/', plan.upper)
    for (const mount of mounts) await acquireVolume(setUp, mount)
    const made = await mountOn(setUp, spec, { plan, mounts, internalTmp: options.internalTmp })
    return { ...made, uppers: options.uppers, memory: setUp.memory }
  } finally {
    setUp.end()
  }
}

interface Planned {
  readonly plan: RootPlan
  readonly mounts: readonly PreparedMount[]
  readonly internalTmp: boolean | undefined
}

async function mountOn(
  setUp: SetUp,
  spec: Spec,
  { plan, mounts, internalTmp }: Planned,
): Promise<Pick<Mounted, 'namespace' | 'root'>> {
  const namespace = await setUp.at(ROOT, '/', () => emptyNamespace(setUp.vfs))
  try {
    const root = await setUp.at(ROOT, '/', () => putRoot(namespace, setUp, plan))
    setUp.enter(namespace)
    for (const mount of mounts) {
      await setUp.at(mount.place, mount.destination, () => mountSubmount(setUp, mount))
    }
    await setUp.at('internal /tmp', '/tmp', () => mountInternalTmp(setUp, spec, internalTmp))
    const cwd = spec.process?.cwd
    if (cwd !== undefined) await setUp.at('process.cwd', cwd, () => makeMountPoint(setUp.task, cwd, 'directory'))
    await applyLinux(setUp, spec.linux ?? {})
    return { namespace, root }
  } catch (error) {
    releaseNamespace(namespace)
    throw error
  }
}
