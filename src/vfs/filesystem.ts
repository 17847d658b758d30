/**
 * Filesystem types by name, as `mount -t` knows them.
 *
 * Invariant: a name is registered once; the first registration stays.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Clock } from '../abi/platform.ts'
import type { Context } from './context.ts'
import type { Filesystem, Inode } from './inode.ts'
import type { Attempt } from './waiting.ts'

/** What a mount asks of a type. */
export interface MountRequest {
  /** As written in the mount: a device, a directory, or anything the type understands. */
  readonly source: string
  /** Comma-separated options of the type itself (`size=1m,mode=755`); ro, noexec and so on are the mount's. */
  readonly data: string
  /** Who mounts: owner of a new root. */
  readonly uid: number
  readonly gid: number
  readonly clock: Clock
  /** The new instance's device number; it returns it on release. */
  readonly dev: number
  /** What the kernel itself hands over and no text can say: layers, trees. The type says what it takes. */
  readonly internal?: unknown
  /** Who mounts: whose descriptors options such as `fd=3` mean, and among whose processes it is. */
  readonly by?: Context | undefined
  /** What a path means to who mounts, kept alive until it is released: for options such as `lower_path=/data`. */
  readonly hold?: ((path: string) => Held) | undefined
  /** What the mount holds while it waits; left out, it cannot wait. */
  readonly attempt?: Attempt | undefined
}

export interface Held {
  readonly inode: Inode
  readonly release: () => void
}

export interface FilesystemType {
  readonly name: string
  /** May be mounted by a request from a guest. */
  readonly userMountable: boolean
  /** Shown in /proc/filesystems. */
  readonly userListable: boolean
  readonly requiresDevice?: boolean
  /**
   * A filesystem of the type's own choice: a new one, or one that is mounted elsewhere or endures.
   * Errors: EINVAL for options that the type does not know or can't read, with the option in `detail`.
   */
  mount(request: MountRequest): Filesystem
  /** Brings the type's code, for one whose code is not there from the start. To be awaited before it is mounted. */
  load?(): Promise<void>
  /** The registry goes away. */
  release?(): void
}

/**
 * A type whose code is a file of its own, which is loaded when something of this type is first mounted: for types that most
 * containers do without. One is registered as any other, in a line (see `fuse` in oci/runtime.ts), and nothing else of the
 * kernel imports its code:
 *
 *     types.register(onDemand('fuse', async () => (await import(…)).fuseType))
 */
export function onDemand(
  name: string,
  load: () => Promise<FilesystemType>,
  shown: Omit<FilesystemType, 'name' | 'mount' | 'load' | 'release'> = { userMountable: true, userListable: true },
): FilesystemType {
  let loaded: FilesystemType | undefined
  return {
    ...{ ...shown, name },
    async load() {
      loaded ??= await load()
    },
    mount(request) {
      if (!loaded) throw new ErrnoError('ENODEV', undefined, `the code of filesystem type "${name}" is not loaded`)
      return loaded.mount(request)
    },
    release: () => loaded?.release?.(),
  }
}

export class FilesystemTypes {
  readonly #types = new Map<string, FilesystemType>()

  /** Errors: a plain Error when the name is taken: that is a bug of the caller. */
  register(type: FilesystemType): void {
    if (this.#types.has(type.name)) throw new Error(`filesystem type ${type.name} is registered already`)
    this.#types.set(type.name, type)
  }

  /** The type of a name; only what is before the first dot counts (`tmpfs.scratch` is a tmpfs). */
  lookup(name: string): FilesystemType | undefined {
    const dot = name.indexOf('.')
    return this.#types.get(dot < 0 ? name : name.slice(0, dot))
  }

  /**
   * The type for a mount. A guest's request must not tell a hidden type from an unknown one.
   * Errors: ENODEV.
   */
  require(name: string, request: { internal: boolean }): FilesystemType {
    const type = this.lookup(name)
    if (!type || !(request.internal || type.userMountable)) {
      throw new ErrnoError('ENODEV', undefined, `no filesystem type "${name}"`)
    }
    return type
  }

  /** The text of /proc/filesystems: filesystems(5). */
  list(): string {
    let text = ''
    for (const type of this.#types.values()) {
      if (type.userListable) text += `${type.requiresDevice ? '' : 'nodev'}\t${type.name}\n`
    }
    return text
  }

  release(): void {
    for (const type of this.#types.values()) type.release?.()
    this.#types.clear()
  }
}
