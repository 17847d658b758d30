/**
 * The root of a container: a tree of the bundle under a layer in memory, a read-only one as it is, or an empty tmpfs.
 */

import type { DirectoryInode } from '../../vfs/inode.ts'
import type { Mount } from '../../vfs/mount.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { Spec } from '../spec.ts'
import { overMemory } from './layering.ts'
import { requireDirectory, type SetUp } from './set-up.ts'

/** Fills the root's upper before it is mounted. */
export type Restore = (upper: DirectoryInode, attempt: Attempt) => void

export interface Root {
  readonly mount: Mount
  /** The lower layers, the topmost first; undefined for a root that is no overlay. They live as long as it does. */
  readonly lowers: readonly Mount[] | undefined
}

export function makeRoot({ vfs, bundle, attempt }: SetUp, { root }: Spec, restore: Restore | undefined): Root {
  if (!root) {
    return { mount: vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' })), lowers: undefined }
  }
  const { path: source } = root
  if (root.readonly) {
    const place = bundle.find(source, attempt)
    requireDirectory(place, 'root.path', source)
    const { superblock } = place.mount
    return {
      mount: vfs.newMount(superblock, { root: place.dentry, source, flags: { readonly: true } }),
      lowers: undefined,
    }
  }
  const lowers = bundle.layers(source, attempt)
  for (const place of lowers) requireDirectory(place, 'root.path', source)
  let held: readonly Mount[] | undefined
  const holding = (mounts: readonly Mount[]) => {
    held = mounts
  }
  const fill = restore && ((upper: DirectoryInode) => restore(upper, attempt))
  return { mount: overMemory({ vfs, lowers, source, holding }, fill), lowers: held }
}
