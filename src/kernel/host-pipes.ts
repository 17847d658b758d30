/**
 * Pipes that the page makes and hands to processes of any container: pipe(7), held together by a number.
 *
 * Invariants: the page holds each end from the start, so that a pipe whose first process has not come yet is neither at its
 * end nor broken. A process that gets an end takes that hold over when it starts, unless the page uses the end itself. Once
 * nobody has an end, the pipe is gone.
 */

import { ErrnoError } from '../abi/errno.ts'
import { O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import type { PipeEndName } from '../abi/wire.ts'
import type { FileDescription } from '../vfs/description.ts'
import type { Vfs } from '../vfs/vfs.ts'
import type { Attempt } from '../vfs/waiting.ts'
import { attempted, Cancellation, type Waiting } from './attempts.ts'

/** The page's hand on one end. */
interface Hold {
  file: FileDescription | undefined
  /** The page reads or writes here itself. */
  used: boolean
  /** Ends its calls that wait. */
  readonly closing: Cancellation
}

interface HostPipe {
  readonly open: (flags: number) => FileDescription
  readonly holds: Readonly<Record<PipeEndName, Hold>>
}

const ENDS = { read: O_RDONLY, write: O_WRONLY } as const
/** Bytes that one read gives at most: as many as a pipe holds. */
const PIECE = 65_536
const OWNER = { uid: 0, gid: 0 }

export class HostPipes {
  readonly #vfs: Vfs
  readonly #waiting: Waiting
  readonly #pipes = new Map<number, HostPipe>()
  #last = 0

  constructor(vfs: Vfs, waiting: Waiting) {
    this.#vfs = vfs
    this.#waiting = waiting
  }

  /** Makes a pipe and gives its number. */
  make(): number {
    const id = ++this.#last
    const open = this.#vfs.anonymousFiles.newPipe(OWNER, this.#vfs.clock.coarse(), () => this.#pipes.delete(id))
    const hold = (end: PipeEndName): Hold => ({ file: open(ENDS[end]), used: false, closing: new Cancellation() })
    this.#pipes.set(id, { open, holds: { read: hold('read'), write: hold('write') } })
    return id
  }

  /** An end for a process, which is `handOver`'d once the process is there. Errors: EPIPE for a pipe that is gone. */
  open(id: number, end: PipeEndName): FileDescription {
    return this.#get(id).open(ENDS[end])
  }

  /** A process has an end. */
  handOver(id: number, end: PipeEndName): void {
    const hold = this.#pipes.get(id)?.holds[end]
    if (hold && !hold.used) letGo(hold)
  }

  /** The page will use this end itself. Errors: EPIPE. */
  use(id: number, end: PipeEndName): void {
    const { open, holds } = this.#get(id)
    const hold = holds[end]
    hold.closing.check()
    hold.used = true
    hold.file ??= open(ENDS[end])
  }

  /** Up to 64 KiB, none at the end. Errors: ECANCELED once it is closed. */
  async read(id: number): Promise<Uint8Array> {
    const { stream, closing } = this.#used(id, 'read')
    const bytes = new Uint8Array(PIECE)
    const read = (attempt: Attempt) => stream.read!(bytes, 0, bytes.length, false, attempt)
    const count = await attempted(this.#waiting, read, closing)
    return bytes.slice(0, count)
  }

  /** Errors: EPIPE where nobody is left to read; ECANCELED once it is closed. */
  async write(id: number, bytes: Uint8Array): Promise<void> {
    const { stream, closing } = this.#used(id, 'write')
    let done = 0
    // A reader that leaves in the middle ends a write short; the next one says why.
    while (done < bytes.length) {
      const write = (attempt: Attempt) => stream.write!(bytes, done, bytes.length - done, false, attempt)
      done += await attempted(this.#waiting, write, closing)
    }
  }

  /** The page lets go of an end; of one that is gone there is nothing to let go of. */
  close(id: number, end: PipeEndName): void {
    const hold = this.#pipes.get(id)?.holds[end]
    if (!hold) return
    hold.closing.cancel('the pipe was closed')
    letGo(hold)
  }

  closeAll(): void {
    for (const id of [...this.#pipes.keys()]) {
      this.close(id, 'read')
      this.close(id, 'write')
    }
  }

  #get(id: number): HostPipe {
    const pipe = this.#pipes.get(id)
    if (!pipe) throw new ErrnoError('EPIPE', undefined, 'all ends of the pipe were closed')
    return pipe
  }

  #used(id: number, end: PipeEndName) {
    this.use(id, end)
    const { file, closing } = this.#get(id).holds[end]
    return { stream: file!.stream!, closing }
  }
}

function letGo(hold: Hold): void {
  const { file } = hold
  hold.file = undefined
  file?.release()
}
