/**
 * Makes the mounts of a container from its spec: the root; then the mounts, those with short destinations first; then, unless the
 * spec speaks of it, /tmp.
 *
 * Invariant: either the namespace is complete, or an error that names the mount was thrown and nothing is left of it.
 */

import { Task } from '../../kernel/task.ts'
import { credentialsOf } from '../../vfs/context.ts'
import type { Mount, MountNamespace } from '../../vfs/mount.ts'
import { releaseNamespace } from '../../vfs/mount-tree.ts'
import type { Spec } from '../spec.ts'
import { mountInternalTmp } from './internal-tmp.ts'
import { type PreparedMount, prepareMounts } from './prepare.ts'
import { makeRoot, type Restore } from './root.ts'
import { SetUp, type SetUpOptions } from './set-up.ts'
import { mountSubmount } from './submount.ts'
import { acquireVolume } from './volumes.ts'

export interface MounterOptions extends SetUpOptions {
  readonly restore?: Restore | undefined
}

/** What a spec's mounts become. */
export interface Mounted {
  readonly namespace: MountNamespace
  /** The lower layers of the root, the topmost first; undefined for a root that is no overlay. They live as long as it does. */
  readonly rootLowers: readonly Mount[] | undefined
}

/** Errors: ErrnoError with syscall `mount`, the destination as `path`, and the mount's place in the spec in `detail`. */
export async function mountAll(spec: Spec, options: MounterOptions): Promise<Mounted> {
  const setUp = new SetUp(options)
  const mounts = prepareMounts(spec, options.vfs.types, options.warn)
  try {
    for (const mount of mounts) await acquireVolume(setUp, mount)
    return await mountOn(setUp, spec, mounts, options.restore)
  } finally {
    for (const { mount } of setUp.acquired.values()) setUp.vfs.discard(mount)
  }
}

async function mountOn(
  setUp: SetUp,
  spec: Spec,
  mounts: readonly PreparedMount[],
  restore: Restore | undefined,
): Promise<Mounted> {
  const { vfs } = setUp
  const root = await setUp.at('root', '/', () => makeRoot(setUp, spec, restore))
  const namespace = vfs.newNamespace(root.mount)
  setUp.task = new Task({ vfs, credentials: credentialsOf(0, 0), root: namespace.rootPlace, umask: 0 })
  try {
    for (const mount of mounts) {
      await setUp.at(mount.place, mount.destination, () => mountSubmount(setUp, mount))
    }
    await setUp.at('internal /tmp', '/tmp', () => mountInternalTmp(setUp, spec))
    return { namespace, rootLowers: root.lowers }
  } catch (error) {
    releaseNamespace(namespace)
    throw error
  } finally {
    setUp.task.release()
  }
}
