/** Overlays over tmpfs layers, for tests. */

import type { Clock } from '../abi/platform.ts'
import { type OverlayFilesystem, overlayType } from '../fs/overlay/overlay.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import type { DirectoryInode, Filesystem, Inode } from '../vfs/inode.ts'
import { Vfs } from '../vfs/vfs.ts'
import { plant, Shell, type Tree, type Veil, veiled } from './trees.ts'

/** A clock that a test moves. */
export class TestClock implements Clock {
  now = 1_000_000_000_000n
  realtime(): bigint {
    return this.now
  }
  monotonic(): bigint {
    return this.now
  }
  coarse(): bigint {
    return this.now
  }
}

export interface OverlaySetup {
  readonly upper?: Tree
  readonly lowers: readonly Tree[]
  /** Options of the upper's tmpfs. */
  readonly upperData?: string
  readonly upperVeil?: Veil
  readonly lowerVeil?: Veil
  /** Options of the overlay. */
  readonly data?: string
}

export interface TestOverlay {
  readonly vfs: Vfs
  readonly clock: TestClock
  readonly filesystem: OverlayFilesystem
  readonly root: DirectoryInode
  readonly shell: Shell
  readonly upper: DirectoryInode
  readonly upperFilesystem: Filesystem
  readonly lowers: readonly DirectoryInode[]
  /** A new overlay over the same layers, as after a reload. */
  again(): TestOverlay
  /** By a user who is not root. */
  shellOf(uid: number): Shell
}

/** A Vfs with tmpfs and overlay. */
export function testVfs(clock = new TestClock()): Vfs {
  const vfs = new Vfs(clock, {
    open: () => {
      throw new Error('no device is opened here')
    },
  })
  vfs.types.register(tmpfsType)
  vfs.types.register(overlayType)
  return vfs
}

export function tmpfsOf(vfs: Vfs, tree: Tree, data = 'mode=755'): Filesystem {
  const { filesystem } = vfs.newFilesystem({ type: 'tmpfs', data })
  plant(filesystem.root, tree)
  return filesystem
}

/** An overlay of an upper (empty if left out) and lower trees, the topmost first, mounted as a task's root. */
export function overlayOf(setup: OverlaySetup): TestOverlay {
  const clock = new TestClock()
  const vfs = testVfs(clock)
  const upper = tmpfsOf(vfs, setup.upper ?? {}, setup.upperData ?? 'mode=755')
  const lowers = setup.lowers.map((tree) => tmpfsOf(vfs, tree))
  const veil = <T extends Inode>(inode: T, by: Veil | undefined): T => (by ? veiled(inode, by) : inode)
  const mount = (): TestOverlay => {
    const layers = {
      upper: veil(upper.root, setup.upperVeil),
      lowers: lowers.map(({ root }) => veil(root, setup.lowerVeil)),
    }
    const superblock = vfs.newFilesystem({ type: 'overlay', data: setup.data ?? '', internal: layers })
    const filesystem = superblock.filesystem as OverlayFilesystem
    return {
      vfs,
      clock,
      filesystem,
      root: filesystem.root as DirectoryInode,
      shell: new Shell(vfs, superblock),
      upper: upper.root as DirectoryInode,
      upperFilesystem: upper,
      lowers: lowers.map(({ root }) => root as DirectoryInode),
      again: mount,
      shellOf: (uid) => new Shell(vfs, superblock, uid),
    }
  }
  return mount()
}
