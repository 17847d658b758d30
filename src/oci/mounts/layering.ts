/**
 * Putting layers over each other: the overlays of roots, binds and mounts of type overlay.
 *
 * Invariant: the mounts that keep the layers alive are attached nowhere, and go when the overlay's filesystem does.
 */

import type { OverlayLayers } from '../../fs/overlay/overlay.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import { type Mount, type MountFlags, VirtualDentry } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'

export interface Layering {
  readonly vfs: Vfs
  /** The topmost first. */
  readonly lowers: readonly VirtualDentry[]
  readonly source: string
  readonly flags?: MountFlags
  /** Options of the overlay. */
  readonly data?: string
  /** Is given the mounts that hold the lowers, the topmost first. */
  readonly holding?: ((lowers: readonly Mount[]) => void) | undefined
}

/** An overlay whose upper is a tmpfs of its own, of the kind and with the owner and mode of the top lower. `fill` makes its content. */
export function overMemory(layering: Layering, fill?: (upper: DirectoryInode) => void): Mount {
  const { vfs, lowers } = layering
  const { kind, mode, uid, gid } = lowers[0]!.dentry.inode
  const superblock = vfs.newFilesystem({
    type: 'tmpfs',
    data: `mode=${(mode & 0o7777).toString(8)},uid=${uid},gid=${gid}`,
    internal: {
      rootKind: kind === 'directory' ? 'directory' : 'file',
      contents: fill && ((root: Inode) => fill(root as DirectoryInode)),
    },
  })
  return overlayOf(new VirtualDentry(vfs.newMount(superblock), superblock.root), layering)
}

/** An overlay of places. An upper whose mount is attached nowhere is the overlay's own from then on, also if this fails. */
export function overlayOf(upper: VirtualDentry, { vfs, lowers, source, flags, data, holding }: Layering): Mount {
  const held = lowers.map(({ mount, dentry }) => vfs.newMount(mount.superblock, { root: dentry }))
  holding?.([...held])
  held.push(upper.mount.parent || upper.mount.namespace ? vfs.newMount(upper.mount.superblock) : upper.mount)
  const release = () => {
    for (const mount of held) vfs.discard(mount)
  }
  const layers: OverlayLayers = {
    upper: upper.dentry.inode,
    lowers: lowers.map(({ dentry }) => dentry.inode),
    release,
  }
  try {
    const superblock = vfs.newFilesystem({ type: 'overlay', source, data: data ?? '', internal: layers })
    return vfs.newMount(superblock, { source, flags: flags ?? {} })
  } catch (error) {
    release()
    throw error
  }
}
