/**
 * Makes the mounts of a container from its spec: the root, then the mounts, those with short destinations first.
 *
 * Invariant: either the namespace is complete, or an error that names the mount was thrown and nothing is left of it.
 */

import { ErrnoError } from '../abi/errno.ts'
import { AT_FDCWD, O_CREAT, O_WRONLY } from '../abi/linux.ts'
import { utf8Length } from '../abi/utf8.ts'
import { parseOverlayOptions } from '../fs/overlay/options.ts'
import type { OverlayLayers } from '../fs/overlay/overlay.ts'
import { untilDone, type Waiting } from '../kernel/attempts.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import type { DirectoryInode, Inode } from '../vfs/inode.ts'
import { type Mount, type MountFlags, type MountNamespace, VirtualDentry } from '../vfs/mount.ts'
import { releaseNamespace, releaseTree } from '../vfs/mount-tree.ts'
import { resolve } from '../vfs/path-walk.ts'
import { makeParents } from '../vfs/places.ts'
import { spread } from '../vfs/propagation.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { Attempt } from '../vfs/waiting.ts'
import type { Bundle } from './bundle.ts'
import { type MountOptions, mountOptions } from './mount-options.ts'
import { cleanPath, isBind, type MountSpec, type Spec } from './spec.ts'
import { type Acquired, type Volumes, volumeName } from './volumes.ts'

/** What a mount of the spec is to become. */
interface PreparedMount {
  readonly spec: MountSpec
  /** Its place in the spec, for messages: `mounts[2]`. */
  readonly place: string
  readonly destination: string
}

export interface MounterOptions {
  readonly vfs: Vfs
  readonly bundle: Bundle
  readonly waiting: Waiting
  readonly volumes: Volumes
  readonly warn: (warning: string) => void
  /** Fills the root's upper before it is mounted. */
  readonly restore?: ((upper: DirectoryInode, attempt: Attempt) => void) | undefined
}

/** What a spec's mounts become. */
export interface Mounted {
  readonly namespace: MountNamespace
  /** The lower layers of the root, the topmost first; undefined for a root that is no overlay. They live as long as it does. */
  readonly rootLowers: readonly Mount[] | undefined
}

export class Mounter {
  readonly #vfs: Vfs
  readonly #bundle: Bundle
  readonly #waiting: Waiting
  readonly #warn: (warning: string) => void
  readonly #restore: MounterOptions['restore']
  #rootLowers: readonly Mount[] | undefined
  readonly #volumes: Volumes
  /** Those of the spec, opened, by the place of their mount. */
  readonly #acquired = new Map<string, Acquired>()
  /** Walks and makes things in the new namespace, as its superuser. */
  #task!: Task
  /** What the steps before there is a task, that is the root's, hold while they wait. */
  readonly #attempt = new Attempt()

  constructor(options: MounterOptions) {
    this.#vfs = options.vfs
    this.#bundle = options.bundle
    this.#waiting = options.waiting
    this.#warn = options.warn
    this.#restore = options.restore
    this.#volumes = options.volumes
  }

  /** Errors: ErrnoError with syscall `mount`, the destination as `path`, and the mount's place in the spec in `detail`. */
  async mountAll(spec: Spec): Promise<Mounted> {
    const mounts = prepareMounts(spec)
    try {
      for (const mount of mounts) await this.#acquire(mount)
      return await this.#mountOn(spec, mounts)
    } finally {
      for (const { mount } of this.#acquired.values()) this.#vfs.discard(mount)
    }
  }

  async #mountOn(spec: Spec, mounts: readonly PreparedMount[]): Promise<Mounted> {
    const root = await this.#at('root', '/', () => this.#makeRoot(spec))
    const namespace = this.#vfs.newNamespace(root)
    this.#task = new Task({ vfs: this.#vfs, credentials: credentialsOf(0, 0), root: namespace.rootPlace, umask: 0 })
    try {
      for (const mount of mounts) await this.#at(mount.place, mount.destination, () => this.#mount(mount, mounts))
      if (spec.root?.readonly) root.setFlags({ ...root.flags, readonly: true })
      return { namespace, rootLowers: this.#rootLowers }
    } catch (error) {
      releaseNamespace(namespace)
      throw error
    } finally {
      this.#task.release()
    }
  }

  /** Opens the volume that a mount names. */
  async #acquire({ spec, place, destination }: PreparedMount): Promise<void> {
    const name = () => {
      if (spec.type === 'tmpfs') return volumeName(spec.source)
      if (spec.type !== 'overlay') return undefined
      return volumeName(parseOverlayOptions(mountOptions(spec, place, () => {}).data, { names: true }).upperdir)
    }
    try {
      const volume = name()
      if (volume === undefined) return
      const { flags, data, takeover } = mountOptions(spec, place, this.#warn)
      const alone = spec.type === 'overlay'
      const how = { readonly: flags.readonly === true, takeover, alone, data: alone ? 'mode=755' : data }
      this.#acquired.set(place, await this.#volumes.acquire(volume, how))
    } catch (error) {
      throw namedError(error, place, destination)
    }
  }

  /** Runs one step, over as many restarts as it takes; its error says which mount it was. */
  async #at<T>(place: string, destination: string, step: () => T): Promise<T> {
    try {
      return await untilDone(this.#waiting, step, () => this.#attempt.end())
    } catch (error) {
      throw namedError(error, place, destination)
    }
  }

  /** A tree of the bundle under a layer in memory, or an empty tmpfs. */
  #makeRoot(spec: Spec): Mount {
    if (!spec.root) return this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' }))
    const layers = this.#bundle.layers(spec.root.path, this.#attempt)
    for (const place of layers) requireDirectory(place, 'root.path', spec.root.path)
    return this.#overMemory(layers, spec.root.path, {}, '', (lowers) => {
      this.#rootLowers = lowers
    })
  }

  /**
   * An overlay whose upper is a tmpfs of its own, of the kind and with the owner and mode of the top lower. `asRoot` is
   * given the mounts of the lowers; the upper of a root may be restored.
   */
  #overMemory(
    lowers: readonly VirtualDentry[],
    source: string,
    flags: MountFlags,
    data = '',
    asRoot?: (lowers: readonly Mount[]) => void,
  ): Mount {
    const top = lowers[0]!.dentry.inode
    const like = `mode=${(top.mode & 0o7777).toString(8)},uid=${top.uid},gid=${top.gid}`
    const rootKind = top.kind === 'directory' ? 'directory' : 'file'
    const restore = asRoot && this.#restore
    const contents = restore && ((root: Inode) => restore(root as DirectoryInode, this.#attempt))
    const upper = this.#vfs.newFilesystem({ type: 'tmpfs', data: like, internal: { rootKind, contents } })
    return this.#overlayOf(
      new VirtualDentry(this.#vfs.newMount(upper), upper.root),
      lowers,
      source,
      flags,
      data,
      asRoot,
    )
  }

  /** An overlay of places; each keeps its filesystem alive until the overlay is gone. */
  #overlayOf(
    upper: VirtualDentry,
    lowers: readonly VirtualDentry[],
    source: string,
    flags: MountFlags,
    data = '',
    asRoot?: (lowers: readonly Mount[]) => void,
  ): Mount {
    const held = lowers.map(({ mount, dentry }) => this.#vfs.newMount(mount.superblock, { root: dentry }))
    asRoot?.([...held])
    held.push(upper.mount.parent || upper.mount.namespace ? this.#vfs.newMount(upper.mount.superblock) : upper.mount)
    const release = () => {
      for (const mount of held) this.#vfs.discard(mount)
    }
    const layers: OverlayLayers = {
      upper: upper.dentry.inode,
      lowers: lowers.map(({ dentry }) => dentry.inode),
      release,
    }
    try {
      return this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'overlay', source, data, internal: layers }), {
        source,
        flags,
      })
    } catch (error) {
      release()
      throw error
    }
  }

  #mount(mount: PreparedMount, all: readonly PreparedMount[]): void {
    const { spec, place, destination } = mount
    const options = mountOptions(spec, place, this.#warn)
    const made = this.#make(mount, options, all)
    if (!made) return
    // A mount that others will be mounted into is made read-only once their mount points are there.
    made.setFlags({ ...options.flags, readonly: false })
    let at: VirtualDentry
    try {
      at = this.#mountPoint(destination, made.root.inode.kind === 'directory')
    } catch (error) {
      this.#vfs.discard(made)
      throw error
    }
    this.#vfs.attach(made, at)
    const { propagation } = options
    if (propagation) spread(made, propagation.to, propagation.recursive, this.#vfs.numbers.groups)
    const readonly = options.flags.readonly === true || (isBind(spec) && !spec.source?.startsWith('/'))
    try {
      if (readonly) for (const inner of all) if (isBelow(inner.destination, destination)) this.#stub(inner)
    } catch (error) {
      // Also where a stub must wait: the step is made again from its start.
      releaseTree(made)
      throw error
    }
    made.setFlags({ ...options.flags, readonly })
  }

  /** The mount to be attached, or undefined for a type that is skipped with a warning. */
  #make(mount: PreparedMount, options: MountOptions, all: readonly PreparedMount[]): Mount | undefined {
    const { spec, place, destination } = mount
    if (isBind(spec)) return this.#bind(mount, options, all)
    switch (spec.type) {
      case 'tmpfs': {
        const volume = this.#acquired.get(place)
        if (volume) {
          const { superblock } = volume.mount
          return this.#vfs.newMount(superblock, { source: spec.source!, flags: options.flags })
        }
        const superblock = this.#vfs.newFilesystem({
          type: 'tmpfs',
          data: options.data,
          source: spec.source ?? 'tmpfs',
        })
        return this.#vfs.newMount(superblock, { source: spec.source ?? 'tmpfs', flags: options.flags })
      }
      case 'overlay':
        return this.#overlay(mount, options)
      default: {
        const type = spec.type === undefined || spec.type === '' ? 'no type' : `unknown type "${spec.type}"`
        this.#warn(`${place}.type: ${type}, the mount on ${destination} is skipped; there are tmpfs, bind, overlay`)
        return undefined
      }
    }
  }

  #bind(mount: PreparedMount, options: MountOptions, all: readonly PreparedMount[]): Mount {
    const { spec, place, destination } = mount
    const source = spec.source ?? ''
    const from = this.#find(source)
    if (source.startsWith('/')) {
      return this.#vfs.bind(from, { recursive: options.recursive, flags: options.flags, source })
    }
    if (spec.options?.includes('rw')) {
      this.#warn(
        `${place}.options: files of the bundle are read-only; mount an overlay with lowerdir=${source} to change them`,
      )
    }
    const needsStubs = all.some((inner) => isBelow(inner.destination, destination))
    if (needsStubs && from.dentry.inode.kind === 'directory') return this.#overMemory([from], source, options.flags)
    return this.#vfs.newMount(from.mount.superblock, { root: from.dentry, source, flags: options.flags })
  }

  /** Lowers are sources as a bind has them, the top one first; without `upperdir` the upper is in memory. */
  #overlay({ spec, place }: PreparedMount, options: MountOptions): Mount {
    const { lowerdirs, upperdir, workdir, userxattr } = parseOverlayOptions(options.data, { names: true })
    if (!lowerdirs) throw new ErrnoError('EINVAL', undefined, 'an overlay needs lowerdir=NAME[:NAME…] in its options')
    const lowers = lowerdirs.flatMap((path) => this.#layers('lowerdir', path))
    const source = spec.source ?? 'overlay'
    const data = userxattr ? 'userxattr' : ''
    if (upperdir === undefined) return this.#overMemory(lowers, source, options.flags, data)
    const volume = this.#acquired.get(place)
    if (volume) return this.#overlayOf(this.#upperOf(volume, lowers[0]!), lowers, source, options.flags, data)
    const upper = this.#layer('upperdir', upperdir)
    if (upper.mount.readonly) throw new ErrnoError('EROFS', undefined, `upperdir "${upperdir}" is read-only`)
    if (workdir !== undefined) this.#makeWork(workdir)
    return this.#overlayOf(upper, lowers, source, options.flags, data)
  }

  /** Nothing is kept in it; it is made as Linux makes it, where it can be, for who looks for it. */
  #makeWork(workdir: string): void {
    try {
      this.#task.mkdirat(AT_FDCWD, `${workdir}/work`, 0o700)
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
    }
  }

  /** An image's name stands for all of its layers. */
  #layers(option: string, path: string): readonly VirtualDentry[] {
    if (path.startsWith('/')) return [this.#layer(option, path)]
    const places = this.#bundle.layers(path, this.#attempt)
    for (const place of places) requireDirectory(place, option, path)
    return places
  }

  /** The root of a volume as an upper layer: a new one is as the top lower layer is. */
  #upperOf({ mount, isNew }: Acquired, { dentry }: VirtualDentry): VirtualDentry {
    const { mode, uid, gid } = dentry.inode
    if (isNew) mount.root.inode.setAttributes({ mode: mode & 0o7777, uid, gid }, this.#attempt)
    return new VirtualDentry(this.#vfs.newMount(mount.superblock), mount.root)
  }

  #layer(option: string, path: string): VirtualDentry {
    const place = this.#find(path)
    requireDirectory(place, option, path)
    return place
  }

  /** A bind's source or an overlay's layer: an absolute path in the container's tree so far, or a name in the bundle. */
  #find(source: string): VirtualDentry {
    const task = this.#task
    if (!source.startsWith('/')) return this.#bundle.find(source, this.#attempt)
    try {
      return resolve(task, task.root, source, true)
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
      throw new ErrnoError(
        error.code,
        source,
        `source ${source}: ${error.detail ?? 'not in the container as mounted so far'}`,
      )
    }
  }

  /** The place to mount on; it is made, with its parents, where it is missing. */
  #mountPoint(destination: string, directory: boolean): VirtualDentry {
    const task = this.#task
    try {
      return resolve(task, task.root, destination, true)
    } catch (error) {
      if (!(error instanceof ErrnoError && error.code === 'ENOENT')) throw error
    }
    makeParents(task, task.root, destination, 0o755)
    if (directory) task.mkdirat(AT_FDCWD, destination, 0o755)
    else task.close(task.openat(AT_FDCWD, destination, O_CREAT | O_WRONLY, 0o644))
    return resolve(task, task.root, destination, true)
  }

  /** Makes a mount point ahead of its mount, while what it lies in is still writable. */
  #stub(mount: PreparedMount): void {
    const { spec, destination } = mount
    const isFile =
      isBind(spec) && !spec.source?.startsWith('/') && this.#find(spec.source ?? '').dentry.inode.kind !== 'directory'
    this.#mountPoint(destination, !isFile)
  }
}

/** An error with the mount that it is about. */
function namedError(error: unknown, place: string, destination: string): unknown {
  if (!(error instanceof ErrnoError)) return error
  const detail = error.detail ?? (error.path === undefined ? undefined : `at ${error.path}`)
  const named = new ErrnoError(error.code, destination, `${place}${detail === undefined ? '' : `: ${detail}`}`)
  named.syscall = 'mount'
  return named
}

/** The mounts in the order they are made: by the length of their clean destination in bytes, those of one length as given. */
function prepareMounts(spec: Spec): PreparedMount[] {
  const prepared = (spec.mounts ?? []).map((mount, i) => ({
    spec: mount,
    place: `mounts[${i}]`,
    destination: cleanPath(mount.destination),
  }))
  return prepared.sort((a, b) => utf8Length(a.destination) - utf8Length(b.destination))
}

/** Whether a clean path lies below another. */
const isBelow = (path: string, above: string) => path !== above && path.startsWith(above === '/' ? '/' : `${above}/`)

function requireDirectory({ dentry }: VirtualDentry, what: string, path: string): void {
  if (dentry.inode.kind !== 'directory') throw new ErrnoError('ENOTDIR', undefined, `${what} "${path}" is no directory`)
}
