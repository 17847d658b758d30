/**
 * Putting layers over each other: the overlays of roots, binds and mounts of type overlay.
 *
 * Invariant: the mounts that keep the layers alive are attached nowhere, and go when the overlay's filesystem does.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { DataCopy } from '../../fs/overlay/copy-up.ts'
import type { OverlayLayers } from '../../fs/overlay/overlay.ts'
import type { FileInode, Inode } from '../../vfs/inode.ts'
import { type Mount, type MountFlags, VirtualDentry } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { Acquired } from '../volumes.ts'
import type { SetUp } from './set-up.ts'
import type { Upper } from './uppers.ts'

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

/** An overlay whose upper is where changes go: in memory, or the volume that was opened for this place. */
export function withUpper(
  { acquired, attempt, warn }: SetUp,
  { place, upper }: { place: string; upper: Upper },
  layering: Layering,
  fill?: (upper: Inode) => void,
): Mount {
  const volume = acquired.get(place)
  if (volume && layering.lowers[0]!.dentry.kind === 'file') {
    warn(
      `${place}: a file has its changes in memory, and not in the volume "${upper.volume}", which is made of directories`,
    )
    return overMemory(attempt, layering, '', fill)
  }
  if (volume) return overlayOf(volumeAsUpper(volume, layering, attempt), layering)
  return overMemory(attempt, layering, upper.size === undefined ? '' : `,size=${upper.size}`, fill)
}

/** The root of a volume as an upper layer: a new one is as the top lower layer is. */
export function volumeAsUpper({ mount, isNew }: Acquired, { vfs, lowers }: Layering, attempt: Attempt): VirtualDentry {
  const { mode, uid, gid, mtime } = lowers[0]!.dentry.inode
  if (isNew) mount.root.inode.setAttributes({ mode: mode & 0o7777, uid, gid, mtime }, attempt)
  return new VirtualDentry(vfs.newMount(mount.superblock), mount.root)
}

/**
 * An overlay whose upper is a tmpfs of its own, of the kind and with the owner, mode and time of the top lower. Of a file it is a copy.
 * `fill` makes its content.
 */
export function overMemory(attempt: Attempt, layering: Layering, options = '', fill?: (upper: Inode) => void): Mount {
  const { vfs, lowers, source } = layering
  const top = lowers[0]!.dentry.inode
  const { kind, mode, uid, gid, mtime } = top
  if (kind !== 'directory' && kind !== 'file') {
    throw new ErrnoError('EINVAL', undefined, `${source} is a ${kind}: only directories and files take an overlay`)
  }
  const superblock = vfs.newFilesystem({
    type: 'tmpfs',
    data: `mode=${(mode & 0o7777).toString(8)},uid=${uid},gid=${gid}${options}`,
    internal: {
      rootKind: kind,
      defaultLimits: false,
      contents: (root: Inode) => {
        // It goes before the lower file, so it has its content from the start.
        if (root.kind === 'file') new DataCopy(root).run(top as FileInode, undefined, attempt)
        root.setAttributes({ mtime }, attempt)
        fill?.(root)
      },
    },
  })
  return overlayOf(new VirtualDentry(vfs.newMount(superblock), superblock.root), layering)
}

/** An overlay of places. An upper whose mount is attached nowhere is the overlay's own from then on, also if this fails. */
export function overlayOf(upper: VirtualDentry, { vfs, lowers, source, flags, data, holding }: Layering): Mount {
  const held = lowers.map(({ mount, dentry }) =>
    vfs.newMount(mount.superblock, { root: dentry, flags: { readonly: true } }),
  )
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
