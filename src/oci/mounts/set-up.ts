/** What the steps of making one container's mounts share. */

import { ErrnoError } from '../../abi/errno.ts'
import { untilDone, type Waiting } from '../../kernel/attempts.ts'
import type { PidNamespace } from '../../kernel/pid-namespace.ts'
import { Task } from '../../kernel/task.ts'
import { type Context, credentialsOf } from '../../vfs/context.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import type { MountNamespace, VirtualDentry } from '../../vfs/mount.ts'
import { resolve } from '../../vfs/path-walk.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { Attempt } from '../../vfs/waiting.ts'
import type { Bundle } from '../bundle.ts'
import type { ContainerCgroups } from '../container-cgroups.ts'
import type { FuseServers } from '../fuse-servers.ts'
import type { Acquired, Volumes } from '../volumes.ts'
import type { SharedVolumes } from './shared-volumes.ts'

/** Makes the files of a new filesystem. */
export type Fill = (root: DirectoryInode, attempt: Attempt) => void

export interface SetUpOptions {
  readonly vfs: Vfs
  readonly bundle: Bundle
  readonly waiting: Waiting
  readonly volumes: Volumes
  readonly shared: SharedVolumes
  /** Whose processes a proc shows. */
  readonly processes: PidNamespace
  /** Which part of a hierarchy a cgroup shows. */
  readonly cgroups: ContainerCgroups
  /** What fills a filesystem in memory before it is mounted, by what its mount is found again by; `/` is the root. */
  readonly contents: (unique: string) => Fill | undefined
  readonly fuse: FuseServers
  /** Ends the sandbox; `reason` is for a person. */
  readonly panic: (reason: string) => void
  readonly warn: (warning: string) => void
  /** The process for which something is mounted. */
  readonly by?: Context | undefined
}

export class SetUp {
  readonly vfs: Vfs
  readonly bundle: Bundle
  readonly volumes: Volumes
  readonly shared: SharedVolumes
  readonly processes: PidNamespace
  readonly cgroups: ContainerCgroups
  readonly fuse: FuseServers
  readonly panic: (reason: string) => void
  readonly by: Context | undefined
  readonly warn: (warning: string) => void
  /** What steps hold while they wait. */
  readonly attempt = new Attempt()
  /** The volumes of the spec, opened, by the place of their mount. */
  readonly acquired = new Map<string, Acquired>()
  /** The roots of the filesystems in memory that were made, by what their mounts are found again by. */
  readonly memory = new Map<string, Inode>()
  readonly #waiting: Waiting
  readonly #contents: SetUpOptions['contents']
  #task: Task | undefined

  constructor(options: SetUpOptions) {
    const { vfs, bundle, waiting, volumes, shared, processes, cgroups, fuse, panic, contents, warn, by } = options
    this.cgroups = cgroups
    this.fuse = fuse
    this.panic = panic
    this.by = by
    this.vfs = vfs
    this.bundle = bundle
    this.volumes = volumes
    this.shared = shared
    this.processes = processes
    this.#contents = contents
    this.warn = warn
    this.#waiting = waiting
  }

  /** From now on steps walk and make things in this namespace. */
  enter({ rootPlace }: MountNamespace): void {
    this.#task = new Task({ vfs: this.vfs, credentials: credentialsOf(0, 0), root: rootPlace, umask: 0 })
  }

  /** The superuser in the namespace. Preconditions: `enter` was called. */
  get task(): Task {
    return this.#task!
  }

  /** Lets go of what only the set-up needed: what is mounted stays. */
  end(): void {
    this.#task?.release()
    for (const { mount } of this.acquired.values()) this.vfs.discard(mount)
  }

  /** What fills a new filesystem in memory, if anything does. */
  contents(unique: string, fill = this.#contents(unique)): ((root: Inode) => void) | undefined {
    return fill && ((root) => fill(root as DirectoryInode, this.attempt))
  }

  /** The same for one that is the container's own, which is noted. `instead` fills it if given. */
  fill(unique: string, instead?: Fill): (root: Inode) => void {
    const contents = this.contents(unique, instead)
    return (root) => {
      this.memory.set(unique, root)
      contents?.(root)
    }
  }

  /** Runs one step, over as many restarts as it takes; its error says which mount it was. */
  async at<T>(place: string, destination: string, step: () => T): Promise<T> {
    try {
      return await untilDone(this.#waiting, step, () => this.attempt.end())
    } catch (error) {
      throw namedError(error, place, destination)
    }
  }

  /** A bind's source or an overlay's layer: an absolute path in the container's tree so far, or a name in the bundle. */
  find(source: string): VirtualDentry {
    const { task } = this
    if (!source.startsWith('/')) return this.bundle.find(source, this.attempt)
    try {
      return resolve(task, task.root, source, true)
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
      const why = error.detail ?? (error.code === 'ENOENT' ? NOT_YET : error.code)
      throw new ErrnoError(error.code, source, `source ${source}: ${why}`)
    }
  }

  /** As find, for a place that must be a directory; `what` names it in the error. */
  layer(what: string, path: string): VirtualDentry {
    return requireDirectory(this.find(path), what, path)
  }

  /** As layer, but an image's name stands for all of its layers, the topmost first. */
  layers(what: string, path: string): readonly VirtualDentry[] {
    if (path.startsWith('/')) return [this.layer(what, path)]
    const places = this.bundle.layers(path, this.attempt)
    for (const place of places) requireDirectory(place, what, path)
    return places
  }
}

const NOT_YET = 'not in the container as mounted so far; shorter destinations are mounted first'

/** An error with the mount that it is about. */
export function namedError(error: unknown, place: string, destination: string): unknown {
  if (!(error instanceof ErrnoError)) return error
  const detail = error.detail ?? (error.path === undefined ? undefined : `at ${error.path}`)
  const named = new ErrnoError(error.code, destination, `${place}${detail === undefined ? '' : `: ${detail}`}`)
  named.syscall = 'mount'
  return named
}

/** Errors: ENOTDIR, `what` being the option that names the place by `path`. */
export function requireDirectory(place: VirtualDentry, what: string, path: string): VirtualDentry {
  if (place.dentry.inode.kind === 'directory') return place
  throw new ErrnoError('ENOTDIR', undefined, `${what} "${path}" is no directory`)
}
