/** What a server says of a file: its attributes, checked, and how long they hold. */

import { ErrnoError } from '../../abi/errno.ts'
import type { FuseAttr } from '../../abi/fuse.ts'
import { S_IFMT } from '../../abi/linux.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { kindOf, unpackDevice } from '../../vfs/kinds.ts'

const SECOND = 1_000_000_000n

export interface Attributes {
  readonly kind: FileKind
  readonly ino: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  size: number
  readonly blocks: number
  readonly rdev: number
  readonly atime: bigint
  readonly mtime: bigint
  readonly ctime: bigint
}

/** Errors: EIO for a type that there is not, a size that no file has. */
export function attributesOf(attr: FuseAttr, nodeid: bigint): Attributes {
  const kind = kindOf(attr.mode)
  if (kind === undefined || attr.mode & ~(S_IFMT | 0o7777)) throw lie(`a mode of 0${attr.mode.toString(8)}`)
  if (attr.size > BigInt(Number.MAX_SAFE_INTEGER)) throw lie(`a size of ${attr.size}`)
  return {
    kind,
    ino: Number(attr.ino || nodeid),
    mode: attr.mode,
    uid: attr.uid,
    gid: attr.gid,
    nlink: attr.nlink,
    size: Number(attr.size),
    blocks: Number(attr.blocks),
    rdev: unpackDevice(attr.rdev),
    atime: timeOf(attr.atime, attr.atimensec),
    mtime: timeOf(attr.mtime, attr.mtimensec),
    ctime: timeOf(attr.ctime, attr.ctimensec),
  }
}

/** Of times that 64 bits of nanoseconds hold. */
const LAST_TIME = 2n ** 63n - 1n

/** Nanoseconds: what a server says of more than a second counts as none, as in Linux's fuse_change_attributes. */
function timeOf(seconds: bigint, nanoseconds: number): bigint {
  const time = seconds * SECOND + BigInt(Math.min(nanoseconds, 999_999_999))
  if (time > LAST_TIME) return LAST_TIME
  return time < -LAST_TIME ? -LAST_TIME : time
}

/** Seconds and nanoseconds of a time. */
export function splitTime(time: bigint): { seconds: bigint; nanoseconds: number } {
  const nanoseconds = ((time % SECOND) + SECOND) % SECOND
  return { seconds: (time - nanoseconds) / SECOND, nanoseconds: Number(nanoseconds) }
}

/** How long something holds, in nanoseconds. */
export const spanOf = (seconds: bigint, nanoseconds: number): bigint => seconds * SECOND + BigInt(nanoseconds)

/** The server said something that can't be: the caller hears EIO, nothing else is harmed. */
export const lie = (what: string) => new ErrnoError('EIO', undefined, `the FUSE server says ${what}`)
