/**
 * Programs, compiled once: a module is kept for as long as its file is there and has not changed.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Progress } from '../abi/wire.ts'
import { untilDone, type Waiting } from '../kernel/attempts.ts'
import type { GuestRunner } from '../kernel/process.ts'
import type { FileInode } from '../vfs/inode.ts'
import { Attempt } from '../vfs/waiting.ts'
import type { Executable } from './executable.ts'

interface Compiled {
  readonly mtime: bigint
  readonly ctime: bigint
  readonly size: number
  /** By the limit on their memory. */
  readonly programs: Map<number | undefined, Promise<unknown>>
}

/** How many limits of one program are kept compiled in. */
const MOST = 4

/** How much of a file is read between two turns of the event loop's microtasks: a fetch may have to end first. */
const PIECE = 16 << 20

export class Programs {
  readonly #compiled = new WeakMap<FileInode, Compiled>()
  readonly #runner: GuestRunner
  readonly #waiting: Waiting

  constructor(runner: GuestRunner, waiting: Waiting) {
    this.#runner = runner
    this.#waiting = waiting
  }

  /**
   * `memoryPages` is the limit on its memory, if there is one.
   * Errors: EIO and the like from reading it; the runner's error for a file that is no program it can compile.
   */
  async load(
    { path, file }: Executable,
    progress: (progress: Progress) => void,
    memoryPages?: number,
  ): Promise<unknown> {
    const inode = file.dentry.inode as FileInode
    const { programs } = this.#of(inode)
    const known = programs.get(memoryPages)
    if (known) return known
    const program = this.#compile(inode, path, progress, memoryPages)
    programs.set(memoryPages, program)
    if (programs.size > MOST) programs.delete(programs.keys().next().value)
    program.catch(() => programs.delete(memoryPages))
    return program
  }

  /** What was compiled of the file as it is now. */
  #of(inode: FileInode): Compiled {
    const known = this.#compiled.get(inode)
    if (known && known.mtime === inode.mtime && known.ctime === inode.ctime && known.size === inode.size) return known
    const { mtime, ctime, size } = inode
    const fresh = { mtime, ctime, size, programs: new Map() }
    this.#compiled.set(inode, fresh)
    return fresh
  }

  async #compile(
    inode: FileInode,
    path: string,
    progress: (progress: Progress) => void,
    memoryPages: number | undefined,
  ): Promise<unknown> {
    const total = inode.size
    progress({ stage: 'fetch', path, loaded: 0, total })
    const bytes = await this.#read(inode, path)
    progress({ stage: 'compile', path, loaded: total, total })
    return this.#runner.compile(bytes, path, memoryPages)
  }

  async #read(inode: FileInode, path: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(inode.size)
    const attempt = new Attempt()
    let at = 0
    while (at < bytes.length) {
      const from = at
      const read = () => inode.read(bytes, from, Math.min(PIECE, bytes.length - from), from, attempt)
      const count = await untilDone(this.#waiting, read, () => attempt.end())
      if (count === 0) throw new ErrnoError('EIO', path, 'the file was cut while it was read')
      at += count
    }
    return bytes
  }
}
