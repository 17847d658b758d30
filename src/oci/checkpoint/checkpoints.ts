/**
 * Checkpoints of containers: the files of all of them as they are at one moment, on their way out and in. All of this folder is
 * loaded when it is first needed.
 */

import type {
  CheckpointCalls,
  CheckpointOptions,
  KeptCheckpoint,
  RestoreOptions,
  RestoreReport,
} from '../../abi/checkpoints.ts'
import { ErrnoError } from '../../abi/errno.ts'
import type { Parts } from '../../abi/images.ts'
import type { BlobLike } from '../../abi/tree.ts'
import type { Answers, FlagOptions } from '../../abi/wire.ts'
import type { KeyValueStore } from '../../fs/tmpfs/key-value-store.ts'
import { attempted } from '../../kernel/attempts.ts'
import type { ArchiveHost } from '../archive/host.ts'
import type { Bundle } from '../bundle.ts'
import type { Container } from '../container.ts'
import type { Runtime } from '../runtime.ts'
import { checkName } from '../volumes.ts'
import { readCheckpoint } from './format.ts'
import { KeptCheckpoints } from './kept.ts'
import { restore } from './restore.ts'
import { planOf, save, volumesOf } from './save.ts'

export interface CheckpointsOptions {
  readonly runtime: Runtime
  readonly bundle: Bundle
  readonly archives: ArchiveHost
  /** Where they are kept, opened. */
  readonly records: () => KeyValueStore
  readonly flags: FlagOptions
  /** The containers that are there. */
  readonly all: () => readonly Container[]
  /** Errors: ENOENT. */
  readonly container: (id: string) => Container
}

export class Checkpoints implements Answers<CheckpointCalls> {
  readonly #options: CheckpointsOptions
  /** One is kept at a time. */
  #keeping: Promise<unknown> = Promise.resolve()

  constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  /**
   * Its bytes. When they are given, all that they refer to in volumes is on disk, and the checkpoint, too, if it is to be kept.
   * Errors: ENOENT, EINVAL; those of `save`, of committing volumes and of keeping.
   */
  async save({ containers, keep }: CheckpointOptions): Promise<Parts> {
    const { runtime, bundle, archives, all, container } = this.#options
    if (keep !== undefined) checkName(keep, 'checkpoint')
    const { vfs, shared, waiting, volumes, system } = runtime
    const known = { vfs, shared }
    const chosen = () => {
      const some = containers ? [...new Set(containers)].map(container) : all()
      if (some.length === 0) throw new ErrnoError('EINVAL', undefined, 'there is no container to save')
      return some
    }
    // There may be no storage for volumes, nor any need of it.
    const wanted = chosen().some((each) => volumesOf(planOf(each, known)).length > 0)
    const ids = wanted ? await volumes.ids() : new Map<string, string>()
    const blob = (parts: readonly Uint8Array[]) => archives.blob(parts, '')
    const saved = await attempted(waiting, (attempt) => {
      const now = Number(vfs.clock.realtime() / 1_000_000n)
      return save(chosen(), { known, bundle, volumes: ids, blob, now, attempt })
    })
    await volumes.commit(saved.volumes)
    const { parts, time } = saved
    if (keep !== undefined)
      await this.#kept((kept) => kept.keep(parts, { name: keep, time, containers: saved.containers }, system.entropy))
    return parts
  }

  /** Errors: ENOENT for none of the name; EIO for what is damaged, cut off or of another format; those of `restore`. */
  async restore(source: BlobLike | string, options: RestoreOptions): Promise<RestoreReport> {
    const { archives } = this.#options
    const read = await (typeof source === 'string'
      ? this.#kept((kept) => readCheckpoint(kept.read(source)))
      : readCheckpoint(archives.stream(source)))
    return restore(read, options, this.#options)
  }

  list(): Promise<readonly KeptCheckpoint[]> {
    return this.#kept((kept) => kept.list())
  }

  remove(name: string): Promise<void> {
    return this.#kept((kept) => kept.remove(name))
  }

  #kept<T>(work: (kept: KeptCheckpoints) => Promise<T>): Promise<T> {
    const { records, archives } = this.#options
    const turn = this.#keeping.then(async () => {
      const store = records()
      try {
        return await work(new KeptCheckpoints(store, archives))
      } finally {
        await store.close()
      }
    })
    this.#keeping = turn.catch(() => {})
    return turn
  }
}
