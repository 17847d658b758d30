/**
 * The extended attributes of a tmpfs inode, in memory.
 *
 * Invariant: while the inode lives, the filesystem is charged for what each attribute takes, in bytes, as Linux charges them
 * to `nr_inodes`. Access control lists are free, as they are there; so are trusted.*, which overlays write for themselves.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type { ExtendedAttributes } from '../../vfs/inode.ts'
import type { Tmpfs } from './tmpfs.ts'

/** What the kernel's struct simple_xattr takes besides name and value. */
const OVERHEAD = 40

/** What is charged for an attribute whose value has so many bytes; undefined: it is not there. */
export function costOf(name: string, length: number | undefined): number {
  if (length === undefined || name.startsWith('system.') || name.startsWith('trusted.')) return 0
  return OVERHEAD + utf8Length(name) + 1 + length
}

export class TmpfsAttributes implements ExtendedAttributes {
  readonly #filesystem: Tmpfs
  readonly #values = new Map<string, Uint8Array>()
  readonly #changed: () => void

  /** `changed` hears of every change. */
  constructor(filesystem: Tmpfs, changed: () => void) {
    this.#filesystem = filesystem
    this.#changed = changed
  }

  get(name: string): Uint8Array | undefined {
    return this.#values.get(name)
  }

  /** Errors: ENOSPC, and then the old value stays. */
  set(name: string, value: Uint8Array): void {
    const more = costOf(name, value.length) - costOf(name, this.#values.get(name)?.length)
    if (!this.#filesystem.takeAttributeBytes(more)) throw new ErrnoError('ENOSPC')
    this.#values.set(name, value)
    this.#changed()
  }

  delete(name: string): boolean {
    this.#filesystem.takeAttributeBytes(-costOf(name, this.#values.get(name)?.length))
    this.#changed()
    return this.#values.delete(name)
  }

  keys(): Iterable<string> {
    return this.#values.keys()
  }

  /** The inode goes. */
  release(): void {
    for (const name of [...this.#values.keys()]) this.delete(name)
  }
}
