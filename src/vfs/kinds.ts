/** The kinds of files and the bits of st_mode that say them: inode(7). */

import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../abi/linux.ts'
import type { FileKind } from '../abi/syscalls.ts'

const bits: Record<FileKind, number> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  char: S_IFCHR,
  block: S_IFBLK,
}

const kinds = new Map(Object.entries(bits).map(([kind, type]) => [type, kind as FileKind]))

/** The S_IF… bits of a kind. */
export const typeBits = (kind: FileKind): number => bits[kind]

/** The kind that a mode's S_IFMT bits say, or undefined. */
export const kindOf = (mode: number): FileKind | undefined => kinds.get(mode & S_IFMT)

/** A device number as stat reports it, and its parts: makedev(3). */
export const makeDevice = (major: number, minor: number): number => major * 0x100000 + minor
export const majorOf = (rdev: number): number => Math.floor(rdev / 0x100000)
export const minorOf = (rdev: number): number => rdev % 0x100000

/** A device number in 32 bits, as the kernel writes it down: linux/kdev_t.h, new_encode_dev. */
export function packDevice(rdev: number): number {
  const minor = minorOf(rdev)
  return ((minor & 0xff) | (majorOf(rdev) << 8) | ((minor & ~0xff) << 12)) >>> 0
}

export const unpackDevice = (packed: number): number =>
  makeDevice((packed >>> 8) & 0xfff, (packed & 0xff) | ((packed >>> 12) & 0xfff00))
