/** When a file's timestamps move: inode(7), and mount(8) on relatime, noatime and strictatime. */

import type { Clock } from '../abi/platform.ts'
import { ATIME, type Inode } from './inode.ts'
import type { Mount } from './mount.ts'

const DAY = 86_400_000_000_000n

/** A read of the file happened through this mount. */
export function touchAccessTime(by: { readonly clock: Clock }, mount: Mount, inode: Inode): void {
  if (mount.flags.noatime || mount.readonly) return
  const now = by.clock.coarse()
  const { atime } = inode
  if (atime === now) return
  if (mount.flags.strictatime || atime <= inode.mtime || atime <= inode.ctime || now - atime >= DAY) {
    inode.touch(ATIME, now)
  }
}
