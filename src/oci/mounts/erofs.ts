/** Mounts of EROFS images, which are files of the bundle. */

import { ErrnoError } from '../../abi/errno.ts'
import type { Mount, MountFlags, VirtualDentry } from '../../vfs/mount.ts'
import type { PreparedMount } from './prepare.ts'
import type { SetUp } from './set-up.ts'

/** A mount of type `erofs`: its source is found as that of a bind is. It is read-only whatever its options say. */
export function erofs(setUp: SetUp, { spec: { source }, place, options: { flags } }: PreparedMount): Mount {
  if (!source) throw new ErrnoError('EINVAL', undefined, 'an erofs mount needs its image as source, such as NAME/PATH')
  if (flags.readonly === false) setUp.warn(`${place}.options: an erofs image is read-only; mount an overlay over it`)
  return imageMount(setUp, setUp.find(source), { source, flags })
}

/**
 * A mount, attached nowhere, of the image that a file is.
 * Errors: EINVAL for what is no file, one that may change, or no image; EUCLEAN, EIO. Throws WouldBlock while it is fetched.
 */
export function imageMount(
  { vfs, attempt }: Pick<SetUp, 'vfs' | 'attempt'>,
  { dentry: { inode } }: VirtualDentry,
  { source, flags }: { readonly source: string; readonly flags: MountFlags },
): Mount {
  const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `erofs image "${source}": ${rule}`)
  if (inode.kind !== 'file') throw fault(`it must be a file, and is a ${inode.kind}`)
  const internal = inode.immutableSource?.(attempt)
  if (!internal) throw fault('it must be a file that nothing can change, such as one of the bundle')
  const superblock = vfs.newFilesystem({ type: 'erofs', source, internal, attempt })
  return vfs.newMount(superblock, { source, flags: { ...flags, readonly: true } })
}
