/** The mount table as data: proc_pid_mountinfo(5). */

import type { MountInfo } from '../abi/wire.ts'
import type { Mount, MountFlags, MountNamespace } from '../vfs/mount.ts'

/** The mounts of a namespace in the order they were made. */
export function mountInfo(namespace: MountNamespace): MountInfo[] {
  return [...namespace.all()]
    .map((mount) => ({
      id: mount.id,
      parent: mount.parent?.id ?? mount.id,
      destination: mountPath(mount),
      type: mount.superblock.filesystem.type,
      source: mount.source,
      options: [...flagNames(mount), ...(mount.superblock.filesystem.options?.split(',').filter(Boolean) ?? [])],
    }))
    .sort((a, b) => a.id - b.id)
}

function* flagNames(mount: Mount): Generator<string> {
  yield mount.readonly ? 'ro' : 'rw'
  const names: (keyof MountFlags)[] = ['nosuid', 'nodev', 'noexec', 'noatime', 'strictatime']
  for (const name of names) if (mount.flags[name]) yield name
}

/** Where a mount is, from the namespace's root. */
function mountPath(mount: Mount): string {
  const names: string[] = []
  let at = mount
  let dentry = at.point
  while (dentry && at.parent) {
    if (dentry === at.parent.root) {
      at = at.parent
      dentry = at.point
    } else {
      names.unshift(dentry.name)
      dentry = dentry.parent
    }
  }
  return `/${names.join('/')}`
}
