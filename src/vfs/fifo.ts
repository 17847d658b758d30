/**
 * FIFOs: names for pipes, fifo(7). All who have a FIFO's inode open share one pipe, which lives as long as one of them does.
 *
 * Invariant: an open that waits for its partner has its end of the pipe already, and keeps it, with the place that its path
 * led to, in its Attempt: so the partner finds it, and the name may be gone when the partner has come.
 */

import { ErrnoError } from '../abi/errno.ts'
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import type { Context } from './context.ts'
import { FileDescription } from './description.ts'
import type { Inode } from './inode.ts'
import type { Superblock, VirtualDentry } from './mount.ts'
import { Pipe } from './pipe.ts'
import { type Attempt, WouldBlock } from './waiting.ts'

/** An open that waits. */
interface HalfOpen {
  readonly file: FileDescription
  readonly pipe: Pipe
  readonly hasPartner: () => boolean
  /** The description has become the caller's. */
  done: boolean
}

/**
 * Opens a FIFO. A reader waits for a writer and a writer for a reader; who opens for both waits for nobody. `path` is for errors.
 * Errors: EINVAL for the access mode 3; ENXIO for a writer that must not wait and has no reader.
 */
export function openFifo(context: Context, place: VirtualDentry, flags: number, path: string): FileDescription {
  const access = flags & O_ACCMODE
  const nonblocking = (flags & O_NONBLOCK) !== 0
  if (access === O_ACCMODE) throw new ErrnoError('EINVAL', path)
  const { superblock } = place.mount
  const { inode } = place.dentry
  const there = superblock.fifos?.get(inode)
  if (access === O_WRONLY && nonblocking && !there?.readers) throw new ErrnoError('ENXIO', path)
  const pipe = there ?? makePipe(superblock, inode)
  const { readerGeneration, writerGeneration } = pipe
  const alone = access === O_RDONLY ? pipe.writers === 0 : access === O_WRONLY && pipe.readers === 0
  const end = pipe.open({ reads: access !== O_WRONLY, writes: access !== O_RDONLY, quiet: alone })
  const file = new FileDescription(place, flags, end)
  if (!alone || nonblocking) return file
  const { attempt } = context
  const hasPartner = () =>
    access === O_RDONLY ? pipe.writerGeneration !== writerGeneration : pipe.readerGeneration !== readerGeneration
  const half = attempt.note<HalfOpen>(openFifo, () => ({ file, pipe, hasPartner, done: false }))
  attempt.onEnd(() => {
    if (!half.done) file.release()
  })
  throw new WouldBlock([pipe.opening])
}

/** The file of a FIFO's open that had to wait in this attempt; undefined if there was none. */
export function resumeFifo(attempt: Attempt): FileDescription | undefined {
  const half = attempt.noted<HalfOpen>(openFifo)
  if (half === undefined || half.done) return undefined
  if (!half.hasPartner()) throw new WouldBlock([half.pipe.opening])
  half.done = true
  return half.file
}

function makePipe(superblock: Superblock, inode: Inode): Pipe {
  superblock.fifos ??= new Map()
  const { fifos } = superblock
  const pipe = new Pipe(() => {
    fifos.delete(inode)
    if (fifos.size === 0) superblock.fifos = undefined
  })
  fifos.set(inode, pipe)
  return pipe
}
