/** The mount table as data, for the page: proc_pid_mountinfo(5). */

import type { MountInfo } from '../abi/wire.ts'
import type { MountNamespace } from '../vfs/mount.ts'
import { flagNames, mountEntries } from '../vfs/mount-text.ts'

/** The mounts of a namespace in the order they were made. */
export function mountInfo(namespace: MountNamespace): MountInfo[] {
  return mountEntries(namespace, namespace.rootPlace).map(({ mount, path }) => ({
    id: mount.id,
    parent: mount.parent?.id ?? mount.id,
    destination: path,
    type: mount.superblock.filesystem.type,
    source: mount.source,
    options: [
      mount.readonly ? 'ro' : 'rw',
      ...flagNames(mount).filter((name) => name !== 'relatime'),
      ...(mount.flags.strictatime ? ['strictatime'] : []),
      ...(mount.superblock.filesystem.options?.split(',').filter(Boolean) ?? []),
    ],
  }))
}
