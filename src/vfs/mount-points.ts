/**
 * What removing and moving names has to do with mounts: checked before (prepare), made true after (commit).
 *
 * A call that does it in one turn needs no more than the functions: nothing comes between its checks and its act. One that must
 * wait for a reply in between holds a NameChange, which keeps others from mounting on the names meanwhile.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Dentry } from './dentry.ts'
import type { MountNamespace, Superblock } from './mount.ts'
import { detachFrom } from './mount-tree.ts'
import { WaitQueue } from './waiting.ts'

/**
 * A name that is to be removed, replaced or moved is no mount point in the caller's namespace; it may be one in others.
 * Errors: EBUSY.
 */
export function requireNotMounted(
  namespace: MountNamespace | undefined,
  superblock: Superblock,
  entry: Dentry,
  path?: string,
): void {
  if (entry.mounts === 0) return
  for (const mount of superblock.points.get(entry) ?? []) {
    if (mount.namespace !== undefined && mount.namespace === namespace) throw new ErrnoError('EBUSY', path)
  }
}

/** The name was removed, or the file replaced: it is dead, and what other namespaces have mounted on it goes with it. */
export function commitDelete(superblock: Superblock, entry: Dentry): void {
  entry.die()
  if (entry.mounts > 0) detachFrom(superblock, entry)
}

/** A backend says that the name is gone, without having been asked to remove it: so are those below it. */
export function invalidate(superblock: Superblock, entry: Dentry): void {
  for (const child of entry.children?.values() ?? []) invalidate(superblock, child)
  commitDelete(superblock, entry)
}

/** A change of names that was checked and not made yet. Ends with one call of `commit…` or `abort`. */
export class NameChange {
  readonly #superblock: Superblock
  readonly #entries: readonly Dentry[]
  readonly #queue = new WaitQueue()

  /** The entry to be removed; or the one to be moved and, where there is one, that in its place. Errors: EBUSY. */
  constructor(namespace: MountNamespace | undefined, superblock: Superblock, ...entries: readonly Dentry[]) {
    for (const entry of entries) requireNotMounted(namespace, superblock, entry)
    this.#superblock = superblock
    this.#entries = entries
    for (const entry of entries) superblock.pinned.set(entry, this.#queue)
  }

  abort(): void {
    for (const entry of this.#entries) this.#superblock.pinned.delete(entry)
    this.#queue.wake()
  }

  commitDelete(): void {
    commitDelete(this.#superblock, this.#entries[0]!)
    this.abort()
  }

  /** The first entry got this name; what had it is replaced. */
  commitRename(parent: Dentry, name: string): void {
    const [moved, replaced] = this.#entries
    if (replaced) commitDelete(this.#superblock, replaced)
    moved!.move(parent, name)
    this.abort()
  }

  /** The two entries swapped their names: neither is dead. */
  commitExchange(exchange: (a: Dentry, b: Dentry) => void): void {
    exchange(this.#entries[0]!, this.#entries[1]!)
    this.abort()
  }
}
