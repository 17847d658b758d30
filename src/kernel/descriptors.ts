/**
 * A process's descriptors: small numbers that refer to open files.
 *
 * Invariants: a new descriptor gets the smallest free number. Each descriptor holds one reference to its description.
 * The table owns the process's locks of fcntl(2); those on a file go with the first descriptor of it that is closed.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { FileDescription } from '../vfs/description.ts'
import { dropRanges } from '../vfs/locks.ts'

/** RLIMIT_NOFILE where a process's limits say nothing. */
export const DEFAULT_OPEN_FILES = 1024

export class DescriptorTable {
  readonly #files: (FileDescription | undefined)[] = []
  /** RLIMIT_NOFILE: descriptors are lower numbers. */
  readonly limit: number
  /** The process's id, as its locks tell it; 0 for the host's own hand. */
  pid = 0
  /** No number below it is free. */
  #lowest = 0

  constructor(limit = DEFAULT_OPEN_FILES) {
    this.limit = limit
  }

  /** Errors: EBADF. */
  get(fd: number): FileDescription {
    const file = this.#files[fd]
    if (file === undefined) throw new ErrnoError('EBADF')
    return file
  }

  has(fd: number): boolean {
    return this.#files[fd] !== undefined
  }

  /** Errors: EMFILE, before a file is opened that could not be kept. */
  requireRoom(): void {
    let free = this.#lowest
    while (this.#files[free] !== undefined) free++
    this.#lowest = free
    if (free >= this.limit) throw new ErrnoError('EMFILE')
  }

  /** Gives the file the smallest free number; the caller's reference becomes the descriptor's. Errors: EMFILE. */
  add(file: FileDescription): number {
    this.requireRoom()
    this.#files[this.#lowest] = file
    return this.#lowest++
  }

  /** Gives the file this very number. Errors: EBADF for one beyond the limit, as of dup2(2); EBUSY for one that is taken. */
  addAt(fd: number, file: FileDescription): void {
    if (fd >= this.limit) throw new ErrnoError('EBADF')
    if (this.#files[fd] !== undefined) throw new ErrnoError('EBUSY')
    this.#files[fd] = file
  }

  /** Errors: EBADF; those of the file's `flush`, and then the descriptor is closed all the same. */
  close(fd: number): void {
    const file = this.get(fd)
    this.#files[fd] = undefined
    if (fd < this.#lowest) this.#lowest = fd
    this.#let(file)
  }

  #let(file: FileDescription): void {
    if (!file.isPath && file.mount.superblock.locks !== undefined) dropRanges(file, this)
    try {
      file.stream?.flush?.()
    } finally {
      file.release()
    }
  }

  /** Moves `from` onto `to`, which is closed first. Errors: EBADF if either is not open. */
  renumber(from: number, to: number): void {
    const file = this.get(from)
    const old = this.get(to)
    if (from === to) return
    this.#files[to] = file
    this.#files[from] = undefined
    if (from < this.#lowest) this.#lowest = from
    this.#let(old)
  }

  /** Open descriptors, lowest first. */
  *open(): Generator<[fd: number, file: FileDescription]> {
    for (const [fd, file] of this.#files.entries()) if (file) yield [fd, file]
  }

  closeAll(): void {
    for (const [fd] of this.open()) this.close(fd)
  }
}
