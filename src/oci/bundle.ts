/**
 * The trees of files that the page handed in, by name: what `root.path` and the relative sources of mounts refer to.
 *
 * Invariant: a tree is one filesystem however many containers and mounts show it; it is made when it is first needed, and
 * lives as long as its name or a mount of it.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Tree } from '../abi/tree.ts'
import { credentialsOf } from '../vfs/context.ts'
import { type Mount, VirtualDentry } from '../vfs/mount.ts'
import { resolve } from '../vfs/path-walk.ts'
import type { Vfs } from '../vfs/vfs.ts'
import type { Attempt } from '../vfs/waiting.ts'

export class Bundle {
  readonly #vfs: Vfs
  readonly #trees = new Map<string, Tree>()
  /** A mount of each tree in use, attached nowhere: it keeps the filesystem alive and is where paths into it start. */
  readonly #mounts = new Map<string, Mount>()

  constructor(vfs: Vfs) {
    this.#vfs = vfs
  }

  /** Errors: EINVAL for a name with a slash, `.`, `..` or none; EEXIST for one that is taken; EINVAL for a faulty tree. */
  provide(name: string, tree: Tree): void {
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
      throw new ErrnoError('EINVAL', name, 'the name of a tree is one path component')
    }
    if (this.#trees.has(name)) throw new ErrnoError('EEXIST', name, 'the bundle has a tree of this name')
    this.#mounts.set(name, this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'gofer', internal: tree })))
    this.#trees.set(name, tree)
  }

  /**
   * The place that `name` or `name/path` denotes. Links inside the tree are followed and cannot leave it.
   * Errors: ENOENT, with the names that there are; those of the walk; WouldBlock while a URL is fetched.
   */
  find(source: string, attempt: Attempt): VirtualDentry {
    const slash = source.indexOf('/')
    const name = slash < 0 ? source : source.slice(0, slash)
    const mount = this.#mounts.get(name)
    if (!mount) {
      const names = [...this.#trees.keys()].map((each) => `"${each}"`).join(', ')
      throw new ErrnoError('ENOENT', source, `the bundle has no tree "${name}"; it has ${names || 'none'}`)
    }
    const root = new VirtualDentry(mount, mount.root)
    const path = source.slice(name.length).replace(/^\/+/, '')
    if (path === '') return root
    const { clock, devices } = this.#vfs
    return resolve(
      { clock, devices, credentials: credentialsOf(0, 0), root, confined: false, attempt },
      root,
      path,
      true,
    )
  }

  release(): void {
    for (const mount of this.#mounts.values()) this.#vfs.discard(mount)
    this.#mounts.clear()
    this.#trees.clear()
  }
}
