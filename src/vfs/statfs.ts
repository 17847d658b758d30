/** statfs(2) and what statx(2) knows more than stat(2). */

import type { Stat } from '../abi/syscalls.ts'
import { statOf } from './attributes.ts'
import type { FilesystemUsage } from './inode.ts'
import type { Mount, VirtualDentry } from './mount.ts'
import type { Attempt } from './waiting.ts'

/** Bits of `StatFs.flags`: statfs(2), and linux/statfs.h for the first, which says that the others mean something. */
export const ST_VALID = 0x20
export const ST_RDONLY = 0x1
export const ST_NOSUID = 0x2
export const ST_NODEV = 0x4
export const ST_NOEXEC = 0x8
export const ST_NOATIME = 0x400
export const ST_RELATIME = 0x1000

/** What a filesystem that takes no space says of itself, by its magic number: Linux's simple_statfs. */
export const simpleUsage = (type: number): FilesystemUsage => ({
  ...{ type, blockSize: 4096 },
  ...{ blocks: 0, blocksFree: 0, files: 0, filesFree: 0 },
})

export interface StatFs extends FilesystemUsage {
  /** For others than root: the same here. */
  readonly blocksAvailable: number
  /** Two halves of an identity: the device number and 0. */
  readonly fsid: readonly [number, number]
  /** Longest name, in bytes of UTF-8. */
  readonly nameLength: number
  readonly fragmentSize: number
  readonly flags: number
}

/** The filesystem that a place is in, with the flags of the mount that it is seen through. */
export function statFsOf({ superblock, flags, readonly }: Mount, attempt?: Attempt): StatFs {
  const { filesystem, nameMax } = superblock
  const usage = filesystem.usage(attempt)
  let bits = ST_VALID
  if (readonly) bits |= ST_RDONLY
  if (flags.nosuid) bits |= ST_NOSUID
  if (flags.nodev) bits |= ST_NODEV
  if (flags.noexec) bits |= ST_NOEXEC
  if (flags.noatime) bits |= ST_NOATIME
  else if (!flags.strictatime) bits |= ST_RELATIME
  return {
    ...usage,
    blocksAvailable: usage.blocksFree,
    fsid: [filesystem.dev, 0],
    nameLength: nameMax,
    fragmentSize: usage.blockSize,
    flags: bits,
  }
}

/** STATX_BASIC_STATS, STATX_BTIME and STATX_MNT_ID. */
const STATX_ALL = 0x7ff | 0x800 | 0x1000

export interface Statx extends Stat {
  /** Which fields hold, as STATX_… bits: all of them, whatever was asked for. */
  readonly mask: number
  readonly mountId: number
}

export const statxOf = ({ mount, dentry }: VirtualDentry): Statx => ({
  ...statOf(dentry.inode),
  mask: STATX_ALL,
  mountId: mount.id,
})
