/** What a process's descriptors refer to where they are no streams of the page's: pipes, files, nothing. */

import { ErrnoError } from '../abi/errno.ts'
import { O_RDWR, POLLIN, POLLOUT } from '../abi/linux.ts'
import type { StdioEntry } from '../abi/wire.ts'
import type { FileDescription } from '../vfs/description.ts'
import type { Stream } from '../vfs/inode.ts'
import { makeDevice } from '../vfs/kinds.ts'
import { openAt } from '../vfs/open.ts'
import { WaitQueue } from '../vfs/waiting.ts'
import type { HostPipes } from './host-pipes.ts'
import type { Task } from './task.ts'

/** By descriptor: an open file, the same as a lower descriptor, or undefined for the page's stream. */
export type Redirections = readonly (FileDescription | number | undefined)[]

/**
 * Opens what descriptors are to be, with the rights and the working directory of the process's task; `step` makes a call that
 * may have to wait. What was opened is the caller's to release. `preopens`: how many descriptors from 3 on are taken.
 * Errors: EINVAL for a number that cannot be used; those of open(2); EPIPE.
 */
export async function openAll(
  task: Task,
  entries: readonly (StdioEntry | undefined)[],
  pipes: HostPipes,
  preopens: number,
  step: <T>(operation: () => T) => Promise<T>,
): Promise<Redirections> {
  requireNumbers(entries, preopens, task.descriptors.limit)
  const opened: (FileDescription | number | undefined)[] = []
  try {
    for (const entry of entries) opened.push(await openOne(task, entry, pipes, step))
  } catch (error) {
    releaseAll(opened)
    throw error
  }
  return opened
}

/** The process has its descriptors: of the pipes among them it holds the ends now, and no longer the page. */
export function handOverPipes(entries: readonly (StdioEntry | undefined)[], pipes: HostPipes): void {
  for (const entry of entries) if (typeof entry === 'object' && 'pipe' in entry) pipes.handOver(entry.pipe, entry.end)
}

export function releaseAll(files: Redirections): void {
  for (const file of files) if (typeof file === 'object') file.release()
}

function openOne(
  task: Task,
  entry: StdioEntry | undefined,
  pipes: HostPipes,
  step: <T>(operation: () => T) => Promise<T>,
): Promise<FileDescription> | FileDescription | number | undefined {
  if (entry === undefined || typeof entry === 'number') return entry
  if (entry === 'ignore') {
    const { anonymousFiles, clock } = task.vfs
    return anonymousFiles.open(
      new Nothing(),
      'char',
      O_RDWR,
      '/dev/null',
      clock.coarse(),
      makeDevice(1, 3),
      () => new Nothing(),
    )
  }
  if ('pipe' in entry) return pipes.open(entry.pipe, entry.end)
  const { path, flags, mode } = entry
  return step(() => task.unconfined(() => openAt(task, () => task.cwd, path, flags, mode)))
}

function requireNumbers(entries: readonly (StdioEntry | undefined)[], preopens: number, limit: number): void {
  const fault = (fd: number, rule: string) => new ErrnoError('EINVAL', undefined, `stdio[${fd}] ${rule}`)
  if (limit < 3 + preopens)
    throw new ErrnoError('EMFILE', undefined, `a process starts with ${3 + preopens} descriptors and may have ${limit}`)
  for (const [fd, entry] of entries.entries()) {
    if (entry === undefined) continue
    if (fd >= limit) throw fault(fd, `is beyond the ${limit} descriptors that the process may have`)
    if (fd >= 3 && fd < 3 + preopens) {
      throw fault(
        fd,
        `is taken: 3 to ${2 + preopens} are the process's preopened directories; use ${3 + preopens} or more`,
      )
    }
    const isLower = (other: number) => Number.isInteger(other) && other >= 0 && other < fd
    if (typeof entry === 'number' && !(isLower(entry) && (entry < 3 || entries[entry] !== undefined))) {
      throw fault(fd, `says ${entry}, which must be a lower descriptor that is open`)
    }
  }
}

/** Nothing to read, and nowhere to write to: null(4), without a /dev in the container. */
class Nothing implements Stream {
  readonly queue = new WaitQueue()

  read(): number {
    return 0
  }

  write(_memory: Uint8Array, _at: number, length: number): number {
    return length
  }

  poll(): number {
    return POLLIN | POLLOUT
  }
}
