/** F_SETFL of fcntl(2). */

import { ErrnoError } from '../abi/errno.ts'
import { O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME, O_NONBLOCK, O_SYNC } from '../abi/linux.ts'
import type { Context } from './context.ts'
import type { FileDescription } from './description.ts'
import { isOwner } from './permissions.ts'

/** What Linux lets change, and O_SYNC (which holds O_DSYNC), which WASI lets a guest set. */
const SETTABLE = O_APPEND | O_ASYNC | O_NONBLOCK | O_NOATIME | O_DIRECT | O_SYNC

/**
 * Sets the flags that may change; others keep their value.
 * Errors: EPERM for O_NOATIME on another's file, if it was not set; EINVAL for O_DIRECT where there is no direct I/O.
 */
export function setStatusFlags(context: Context, file: FileDescription, flags: number): void {
  const set = flags & ~file.flags
  if (set & O_NOATIME && !isOwner(context.credentials, file.inode)) throw new ErrnoError('EPERM')
  if (flags & O_DIRECT && !allowsDirect(file)) throw new ErrnoError('EINVAL')
  file.flags = (file.flags & ~SETTABLE) | (flags & SETTABLE)
}

/** Regular files, which are in memory anyway, and pipes, which Linux turns into packets. */
const allowsDirect = ({ inode: { kind } }: FileDescription) => kind === 'file' || kind === 'fifo'
