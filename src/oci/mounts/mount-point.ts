/**
 * The place that a mount goes to: what is there, or what is made there.
 *
 * Links are followed inside the container's root, wherever they stand, and what a dangling one names is made. Where the
 * filesystem refuses to make something there is a synthetic entry, which nobody but the container sees.
 *
 * Invariant: a read-only mount is writable only while something is made in it or taken back, also when that fails.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Context } from '../../vfs/context.ts'
import { isMagic } from '../../vfs/magic-link.ts'
import type { Mount, VirtualDentry } from '../../vfs/mount.ts'
import { makeDirectory, makeNode, removeDirectory, unlink } from '../../vfs/names.ts'
import { PathWalk, resolve } from '../../vfs/path-walk.ts'
import { makeSynthetic } from '../../vfs/synthetic.ts'

type Kind = 'directory' | 'file'

export interface MountPoint {
  readonly place: VirtualDentry
  /** Takes back what was made. */
  undo(): void
}

export interface MountPointOptions {
  /** What is missing is made in no filesystem. */
  readonly synthetic?: boolean
}

/**
 * What is there may be of the other kind; who mounts on it is told. Errors: those of the walk; ENOSPC; EBUSY where a read-only
 * mount cannot be made so again. What was made is taken back then.
 */
export function makeMountPoint(
  context: Context,
  path: string,
  kind: Kind,
  { synthetic = false }: MountPointOptions = {},
): MountPoint {
  const making = new Making(context, synthetic)
  try {
    return { place: making.walk(path, kind), undo: () => making.undo() }
  } catch (error) {
    making.undo()
    throw error
  }
}

/** As path_resolution(7) has it. */
const MOST_LINKS = 40

class Making {
  readonly #context: Context
  readonly #synthetic: boolean
  readonly #undo: (() => void)[] = []

  constructor(context: Context, synthetic: boolean) {
    this.#context = context
    this.#synthetic = synthetic
  }

  /** Goes along a path component by component and makes those that are missing, the last one of this kind. */
  walk(path: string, kind: Kind): VirtualDentry {
    const context = this.#context
    const names = componentsOf(path)
    let place = context.root
    let links = 0
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const walk = new PathWalk(context, place, name)
      walk.toParent()
      const entry = walk.last === 'name' ? walk.lookup() : undefined
      if (walk.last === 'name' && !entry) {
        place = this.#make(place, name, names.length > 0 ? 'directory' : kind)
      } else if (entry?.inode.kind === 'symlink' && entry.mounts === 0 && !isMagic(entry.inode)) {
        if (++links > MOST_LINKS) throw new ErrnoError('ELOOP', path)
        const target = entry.inode.readlink(context.attempt, context)
        if (target === '') throw new ErrnoError('ENOENT', path)
        if (target.startsWith('/')) place = context.root
        names.unshift(...componentsOf(target))
      } else place = resolve(context, place, name, true)
    }
    return place
  }

  #make(at: VirtualDentry, name: string, kind: Kind): VirtualDentry {
    const context = this.#context
    if (!this.#synthetic) {
      try {
        whileWritable(at.mount, () => {
          if (kind === 'directory') makeDirectory(context, at, name, 0o755)
          else makeNode(context, at, name, 'file', 0o644)
          const remove = kind === 'directory' ? removeDirectory : unlink
          this.#undo.push(() => whileWritable(at.mount, () => remove(context, at, name)))
        })
        return resolve(context, at, name, false)
      } catch (error) {
        if (!(error instanceof ErrnoError && REFUSALS.has(error.code))) throw error
      }
    }
    const made = makeSynthetic(at, name, kind, context.clock.coarse())
    this.#undo.push(() => at.mount.synthetic?.remove(made.dentry))
    return made
  }

  undo(): void {
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        undo()
      } catch {
        // It must wait, or cannot be: what was made is in the way of nobody, and why the mount failed is what is told.
      }
    }
  }
}

/** Errors: EBUSY for a file that was opened for writing meanwhile. */
function whileWritable(mount: Mount, change: () => void): void {
  const { flags } = mount
  if (flags.readonly) mount.setFlags({ ...flags, readonly: false })
  try {
    change()
  } finally {
    if (flags.readonly) mount.setFlags(flags)
  }
}

/** How a filesystem says that nothing is made in it, whatever the name. */
const REFUSALS: ReadonlySet<string> = new Set(['EPERM', 'EROFS', 'EACCES', 'ENOENT', 'EOPNOTSUPP'])

const componentsOf = (path: string) => path.split('/').filter((name) => name !== '')
