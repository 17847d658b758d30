/**
 * The trees of files and the images that the page handed in, by name: what `root.path` and the relative sources of mounts
 * refer to.
 *
 * Invariant: a tree, or a layer of an image, is one filesystem however many containers and mounts show it; it lives as
 * long as its name or a mount of it.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Tree } from '../abi/tree.ts'
import { credentialsOf } from '../vfs/context.ts'
import { type Mount, VirtualDentry } from '../vfs/mount.ts'
import { resolve } from '../vfs/path-walk.ts'
import type { Vfs } from '../vfs/vfs.ts'
import type { Attempt } from '../vfs/waiting.ts'

/** What has a name. The mounts are attached nowhere: they keep the filesystems alive and are where paths into them start. */
interface Provided {
  /** Of a tree one; of an image its layers, the topmost first. */
  readonly layers: readonly Mount[]
  /** All of it as one. */
  readonly view: Mount
}

export class Bundle {
  readonly #vfs: Vfs
  readonly #provided = new Map<string, Provided>()

  constructor(vfs: Vfs) {
    this.#vfs = vfs
  }

  /** Errors: EINVAL for a name with a slash, `.`, `..` or none; EEXIST for one that is taken; EINVAL for a faulty tree. */
  provide(name: string, tree: Tree): void {
    this.requireFree(name)
    const mount = this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'gofer', internal: tree }))
    this.#provided.set(name, { layers: [mount], view: mount })
  }

  /** Gives a name to mounts that are layers of an image, the topmost first; they are the bundle's from then on. Errors: as provide. */
  provideLayers(name: string, layers: readonly Mount[]): void {
    this.requireFree(name)
    this.#provided.set(name, { layers, view: this.#viewOf(layers) })
  }

  /** An overlay that shows layers and takes no changes. */
  #viewOf(layers: readonly Mount[]): Mount {
    const held = layers.map(({ superblock, root }) => this.#vfs.newMount(superblock, { root }))
    const lowers = layers.map(({ root }) => root.inode)
    if (lowers.length === 1) {
      // An overlay wants two; and a layer alone would show its deletions as devices.
      const empty = this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' }))
      held.push(empty)
      lowers.push(empty.root.inode)
    }
    const release = () => {
      for (const mount of held) this.#vfs.discard(mount)
    }
    return this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'overlay', internal: { lowers, release } }))
  }

  has(name: string): boolean {
    return this.#provided.has(name)
  }

  /** A place in what has a name, or undefined if it is not there. Errors: as find, but for ENOENT. */
  findIn(name: string, path: string, attempt: Attempt): VirtualDentry | undefined {
    try {
      return this.find(`${name}/${path}`, attempt)
    } catch (error) {
      if (error instanceof ErrnoError && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Errors: EINVAL for what is no name, EEXIST for one that is taken. */
  requireFree(name: string): void {
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
      throw new ErrnoError('EINVAL', name, 'a name in the bundle is one path component')
    }
    if (this.#provided.has(name)) throw new ErrnoError('EEXIST', name, 'the bundle has a tree of this name')
  }

  /** Takes a name back; containers that were made from it go on. Errors: ENOENT. */
  remove(name: string): void {
    this.#release(this.#require(name, name))
    this.#provided.delete(name)
  }

  /** The layers of what has a name, the topmost first; of a path in it, that place alone. Errors: as find. */
  layers(source: string, attempt: Attempt): readonly VirtualDentry[] {
    const provided = this.#provided.get(source)
    if (!provided) return [this.find(source, attempt)]
    return provided.layers.map((mount) => new VirtualDentry(mount, mount.root))
  }

  /**
   * The place that `name` or `name/path` denotes. Links inside the tree are followed and cannot leave it.
   * Errors: ENOENT, with the names that there are; those of the walk; WouldBlock while a URL is fetched.
   */
  find(source: string, attempt: Attempt): VirtualDentry {
    const slash = source.indexOf('/')
    const name = slash < 0 ? source : source.slice(0, slash)
    const { view: mount } = this.#require(name, source)
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

  /** What has a name; `source` is for the error. */
  #require(name: string, source: string): Provided {
    const provided = this.#provided.get(name)
    if (provided) return provided
    const names = [...this.#provided.keys()].map((each) => `"${each}"`).join(', ')
    throw new ErrnoError('ENOENT', source, `the bundle has no tree "${name}"; it has ${names || 'none'}`)
  }

  #release({ layers, view }: Provided): void {
    for (const mount of new Set([...layers, view])) this.#vfs.discard(mount)
  }

  release(): void {
    for (const provided of this.#provided.values()) this.#release(provided)
    this.#provided.clear()
  }
}
