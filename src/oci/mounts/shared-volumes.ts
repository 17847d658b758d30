/**
 * The volumes that the containers of a sandbox share by hints: each is one tmpfs, of which every container mounts a replica.
 *
 * Invariants: there is one hint for a source, whichever container brought it. A volume is made when a mount is first of its
 * source, and lives until the sandbox ends, whatever becomes of the containers that show it.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Inode } from '../../vfs/inode.ts'
import type { Mount, MountFlags } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { hintKey, type MountHint } from './hints.ts'
import { mountOptions } from './options.ts'
import { type MountType, TMPFS } from './types.ts'

/** What fills a new filesystem before it is mounted, if anything does. */
export type Contents = ((root: Inode) => void) | undefined

export class SharedVolumes {
  readonly #vfs: Vfs
  readonly #hints = new Map<string, MountHint>()
  readonly #masters = new Map<string, Mount>()

  constructor(vfs: Vfs) {
    this.#vfs = vfs
  }

  /**
   * Takes the hints of new containers, beside those that there are. Errors: EEXIST for one that says of a source, or of a
   * name, something else than one before, and then none is taken. Gives what takes back those that are new, with what was made
   * by them.
   */
  enter(hints: readonly MountHint[]): () => void {
    const added: MountHint[] = []
    const takeBack = () => {
      for (const { source, name } of added) {
        this.#hints.delete(source)
        const master = this.#masters.get(name)
        if (master) this.#vfs.discard(master)
        this.#masters.delete(name)
      }
    }
    for (const hint of hints) {
      const other = this.#otherThan(hint)
      if (other) {
        takeBack()
        throw new ErrnoError(
          'EEXIST',
          hint.source,
          `annotations of ${hintKey(hint.name)}: the sandbox has a volume "${other.name}" of source ${other.source} with other fields`,
        )
      }
      if (this.#hints.has(hint.source)) continue
      this.#hints.set(hint.source, hint)
      added.push(hint)
    }
    return takeBack
  }

  /** The hint of the same source or name that says something else. */
  #otherThan(hint: MountHint): MountHint | undefined {
    const said = JSON.stringify(hint)
    for (const known of this.#hints.values()) {
      if (known.source !== hint.source && known.name !== hint.name) continue
      if (JSON.stringify(known) !== said) return known
    }
    return undefined
  }

  /** The hint by which mounts of a source are replicas of a volume; others are mounts like any. */
  hintOf(source: string | undefined): MountHint | undefined {
    const hint = source === undefined ? undefined : this.#hints.get(source)
    return hint && isShared(hint) ? hint : undefined
  }

  get hints(): readonly MountHint[] {
    return [...this.#hints.values()]
  }

  /** The volumes that were made, by their names. */
  get masters(): ReadonlyMap<string, Mount> {
    return this.#masters
  }

  /**
   * A mount of the volume, with flags of its own.
   * Errors: EINVAL for one that allows what the volume does not; those of the volume's options when it is made.
   */
  replica(hint: MountHint, flags: MountFlags, warn: (warning: string) => void, contents?: Contents): Mount {
    let master = this.#masters.get(hint.name)
    const options = mountOptions(hint.options, { data: TMPFS.data }, hintKey(hint.name), master ? () => {} : warn)
    for (const flag of ['readonly', 'noexec', 'nosuid', 'noatime'] as const) {
      if (!options.flags[flag] || flags[flag]) continue
      const name = flag === 'readonly' ? 'ro' : flag
      throw new ErrnoError('EINVAL', undefined, `the volume "${hint.name}" is ${name}, and this mount of it is not`)
    }
    if (!master) {
      const { source } = hint
      const superblock = this.#vfs.newFilesystem({ type: 'tmpfs', data: options.data, source, internal: { contents } })
      master = this.#vfs.newMount(superblock, { source })
      this.#masters.set(hint.name, master)
    }
    return this.#vfs.newMount(master.superblock, { source: hint.source, flags })
  }

  /** The sandbox ends. */
  release(): void {
    for (const master of this.#masters.values()) this.#vfs.discard(master)
    this.#masters.clear()
    this.#hints.clear()
  }
}

/** What a volume is found again by when it is restored: no destination is like that. */
export const sharedId = (name: string) => `hint:${name}`

/** What a mount is that a hint is for. */
export const REPLICA: MountType = {
  ...TMPFS,
  make: (setUp, { hint, options }) =>
    setUp.shared.replica(hint!, options.flags, setUp.warn, setUp.contents(sharedId(hint!.name))),
}

/** A tmpfs for who is in the sandbox. What is shared beyond it, and a bind, is what the spec's mount itself says. */
const isShared = ({ type, share }: MountHint) => type === 'tmpfs' && share !== 'shared'
