/**
 * FUSE filesystems that somebody outside the kernel serves, by the names that mounts say: `fuse:NAME`.
 *
 * Invariant: a name stands for one filesystem, which is there from its first mount until its server goes; containers share it.
 */

import { ErrnoError } from '../abi/errno.ts'
import { Connection } from '../fs/fuse/connection.ts'
import type { Mount, Superblock } from '../vfs/mount.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { isName, LETTERS } from './names.ts'

const PREFIX = 'fuse:'

interface Served {
  readonly connection: Connection
  mounted?: { readonly superblock: Superblock; readonly data: string; readonly hold: Mount }
}

export class FuseServers {
  readonly #vfs: Vfs
  readonly #served = new Map<string, Served>()

  constructor(vfs: Vfs) {
    this.#vfs = vfs
  }

  /** The kernel's end of the line to a server, which is to speak once something is mounted. Errors: EINVAL, EEXIST. */
  serve(name: string): Connection {
    if (!isName(name)) throw new ErrnoError('EINVAL', name, `the name of a FUSE filesystem is made of ${LETTERS}`)
    if (this.#served.has(name)) throw new ErrnoError('EEXIST', name, 'a FUSE filesystem of this name is served already')
    const connection = new Connection()
    this.#served.set(name, { connection })
    return connection
  }

  /** Its server goes: what is mounted answers ENOTCONN from now on, and the name is free. */
  end(name: string): void {
    const served = this.#served.get(name)
    if (!served) return
    this.#served.delete(name)
    served.connection.abort()
    if (served.mounted) this.#vfs.discard(served.mounted.hold)
  }

  /** What a mount's source names; undefined for a source that is no name of this kind. */
  static nameOf(source: string | undefined): string | undefined {
    return source?.startsWith(PREFIX) ? source.slice(PREFIX.length) : undefined
  }

  /** Errors: ENOENT for a name that nobody serves; EINVAL for options, or others than those of the first mount. */
  superblock(name: string, data: string): Superblock {
    const served = this.#served.get(name)
    if (!served) throw new ErrnoError('ENOENT', undefined, `nobody serves "${PREFIX}${name}": call sandbox.fuse first`)
    if (!served.mounted) {
      const source = PREFIX + name
      const { connection } = served
      const superblock = this.#vfs.newFilesystem({ type: 'fuse', source, data, internal: { connection } })
      served.mounted = { superblock, data, hold: this.#vfs.newMount(superblock, { source }) }
    } else if (served.mounted.data !== data) {
      throw new ErrnoError('EINVAL', undefined, `"${PREFIX}${name}" is mounted with options "${served.mounted.data}"`)
    }
    return served.mounted.superblock
  }

  endAll(): void {
    for (const name of [...this.#served.keys()]) this.end(name)
  }
}
