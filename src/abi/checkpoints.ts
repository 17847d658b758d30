/** What the page and the kernel say to each other about checkpoints: the wire types, which a structured clone can carry. */

import type { Parts } from './images.ts'
import type { BlobLike } from './tree.ts'

export interface CheckpointOptions {
  /** The ids of the containers to save; all of the sandbox if left out. */
  readonly containers?: readonly string[]
  /** Keeps it in the browser, too, under this name: letters, digits, `_ . + -`. One of that name is replaced. */
  readonly keep?: string
}

/** A checkpoint that the browser keeps for the site. */
export interface KeptCheckpoint {
  readonly name: string
  /** Milliseconds since the epoch: the moment that it is of. */
  readonly time: number
  /** Bytes. */
  readonly size: number
  readonly containers: readonly string[]
}

/** What a difference between the saved spec and the one that is given does. */
export type SpecValidation = 'ignore' | 'warning' | 'enforce'

export interface RestoreOptions {
  /**
   * Specs to restore containers with, by their ids, instead of the saved ones. They may differ in the sources of mounts; what
   * other differences do is for `validation` to say.
   */
  readonly specs?: Readonly<Record<string, unknown>>
  /** `enforce`, or what the flag `restore-spec-validation` says, if left out. */
  readonly validation?: SpecValidation
}

/** A file or directory whose name was removed while a process held it. It has no name in the restored container either. */
export interface Orphan {
  readonly container: string
  /** What its path was, with ` (deleted)` behind it. */
  readonly path: string
  readonly kind: 'file' | 'directory'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of a file. */
  readonly size: number
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  /** The processes that held it. */
  readonly pids: readonly number[]
  /** What was in the file; undefined for a directory. */
  readonly content?: BlobLike
}

export interface RestoredContainer {
  readonly id: string
  readonly warnings: readonly string[]
}

export interface RestoreReport {
  readonly containers: readonly RestoredContainer[]
  readonly orphans: readonly Orphan[]
}

/** The calls about checkpoints. */
export interface CheckpointCalls {
  save(options: CheckpointOptions): Parts
  /** Of one that was given, or one that is kept, by its name. */
  restore(source: BlobLike | string, options: RestoreOptions): RestoreReport
  list(): readonly KeptCheckpoint[]
  remove(name: string): void
}

export type CheckpointCall = keyof CheckpointCalls
