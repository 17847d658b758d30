/**
 * Arenas of this kernel: a Vfs of their own with tmpfs and overlay, a clock that only `tick` moves, and one filesystem as the root.
 *
 * Invariant: a call that must wait is made again until it is done, and while it waits nothing has changed (where the arena can
 * see all: a tmpfs). When an arena has ended nothing is left of it: no open file, no mount, no filesystem, no device number.
 */

import { DeviceRegistry } from '../../devices/device-registry.ts'
import { memoryDevices } from '../../devices/memory-devices.ts'
import { overlayType } from '../../fs/overlay/overlay.ts'
import { tmpfsType } from '../../fs/tmpfs/tmpfs.ts'
import { HostCalls } from '../../kernel/host-calls.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { Task } from '../../kernel/task.ts'
import { credentialsOf } from '../../vfs/context.ts'
import type { Filesystem } from '../../vfs/inode.ts'
import { type Mount, type MountNamespace, type Superblock, topmost, type VirtualDentry } from '../../vfs/mount.ts'
import { unmount } from '../../vfs/mount-operations.ts'
import { releaseNamespace } from '../../vfs/mount-tree.ts'
import { requireExecutable } from '../../vfs/open.ts'
import { resolve } from '../../vfs/path-walk.ts'
import { Vfs } from '../../vfs/vfs.ts'
import { WouldBlock } from '../../vfs/waiting.ts'
import { TestClock } from '../overlays.ts'
import { inodesOf } from '../trees.ts'
import { pictureOf } from './picture.ts'
import type { Arena, Credentials, Mounts, SpecTask } from './spec.ts'

/** What an arena has as its root: a mount in a namespace of its own, and where in it `/` is. */
export interface Ground {
  readonly root: VirtualDentry
  readonly namespace: MountNamespace
  /** The tmpfs of which nothing may be lost or changed while a call waits. */
  readonly watched?: Filesystem | undefined
  /** But a call may hold space of it: what it copies up has no name yet. */
  readonly mayHoldSpace?: boolean
  /** Lets those act whom a call waits for. */
  readonly serve?: () => void
}

/** Makes the ground. `data` are the options of a tmpfs. */
export type Lay = (vfs: Vfs, data: string) => Ground

const MILLISECOND = 1_000_000n

/** No two bytes in a row are the same. */
const entropy = {
  next: 0,
  fill(bytes: Uint8Array) {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.next = (this.next + 101) % 251
  },
}

/** A Vfs with what the specs need, and a clock that stands. */
export function newVfs(clock = new TestClock()): Vfs {
  const devices = new DeviceRegistry()
  for (const device of memoryDevices(entropy)) devices.register(device)
  const vfs = new Vfs(clock, devices)
  vfs.types.register(tmpfsType)
  vfs.types.register(overlayType)
  return vfs
}

/** A ground that is one filesystem. */
export function ground(vfs: Vfs, superblock: Superblock, watched?: Filesystem): Ground {
  const mount = vfs.newMount(superblock)
  const namespace = vfs.newNamespace(mount)
  return { root: namespace.rootPlace, namespace, watched }
}

export class KernelArena implements Arena {
  readonly mounts: Mounts
  readonly #clock = new TestClock()
  readonly #vfs = newVfs(this.#clock)
  readonly #mounted: Mount[] = []
  #ground: Ground
  #tasks: Task[] = []
  #caller: Task | undefined

  /** `over`, where there is one, makes another ground over what was given, in whose place it comes. */
  constructor(lay: Lay, data: string, over?: (vfs: Vfs, below: Ground) => Ground) {
    this.#ground = lay(this.#vfs, data)
    if (over) this.given = () => this.#renew(over)
    const vfs = this.#vfs
    const place = (path: string) => topmost(this.#call(this.#root(), (task) => resolve(task, task.root, path, true)))
    const attach = (mount: Mount, at: VirtualDentry) => {
      vfs.attach(mount, at)
      this.#mounted.push(mount)
    }
    this.mounts = {
      tmpfs(path, data = '') {
        const at = place(path)
        attach(vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data })), at)
      },
      bind: (from, path) => attach(vfs.bind(place(from), { recursive: false }), place(path)),
      remount: (path, options) => place(path).mount.setFlags(options),
      unmount: (path, { lazily = false } = {}) => unmount(place(path).mount, { lazy: lazily }),
    }
  }

  readonly given?: () => void

  #renew(over: (vfs: Vfs, below: Ground) => Ground): void {
    this.#release()
    this.#caller = undefined
    this.#ground = over(this.#vfs, this.#ground)
  }

  #root(): Task {
    this.#caller ??= this.#start({ uid: 0 })
    return this.#caller
  }

  #start({ uid, gid = uid, groups = [], capabilities, fileSize }: Credentials): Task {
    const all = credentialsOf(uid, gid, groups)
    const credentials = capabilities === undefined ? all : { ...all, capabilities }
    const task = new Task({ vfs: this.#vfs, credentials, root: this.#ground.root, fileSize })
    this.#tasks.push(task)
    return task
  }

  task(credentials: Credentials): SpecTask {
    const task = this.#start(credentials)
    const own: Partial<SpecTask> = {
      mknodat: (dirfd, path, kind, mode, rdev) => this.#call(task, () => task.mknodat(dirfd, path, kind, mode, rdev)),
      chroot: (path) => this.#call(task, () => new MountCalls(this.#vfs, task).chroot(path)),
      umask(mask) {
        task.umask = mask
      },
      dup(fd) {
        const file = task.descriptors.get(fd)
        file.refs++
        return task.descriptors.add(file)
      },
      statfs: (path) =>
        this.#call(task, () => {
          const { nameLength, ...stat } = new HostCalls(task).statfs(path)
          return { ...stat, nameMax: nameLength }
        }),
      execute: (path) => this.#call(task, () => requireExecutable(task, resolve(task, task.cwd, path, true))),
    }
    return new Proxy(task as unknown as SpecTask, {
      get: (_, name: keyof SpecTask & keyof Task) =>
        own[name] ??
        ((...args: unknown[]) =>
          this.#call(task, () => (task[name] as (...args: unknown[]) => unknown).apply(task, args))),
    })
  }

  /** Makes a call until it is done. Errors: its own; a plain Error if it changed something and then had to wait. */
  #call<T>(task: Task, operation: (task: Task) => T): T {
    let before: string | undefined
    try {
      for (let tries = 0; tries < 10_000; tries++) {
        before ??= this.#picture()
        try {
          return operation(task)
        } catch (failure) {
          if (!(failure instanceof WouldBlock)) throw failure
          const now = this.#picture()
          if (now !== before) throw new Error(`changed before it had to wait:\n${before}\n->\n${now}`)
          this.#ground.serve?.()
        }
      }
      throw new Error('the call waits for ever')
    } finally {
      task.settle()
    }
  }

  #picture(): string {
    const { watched, mayHoldSpace } = this.#ground
    return watched === undefined ? '' : pictureOf(watched, this.#tasks, mayHoldSpace)
  }

  tick(milliseconds = 4): void {
    this.#clock.now += BigInt(milliseconds) * MILLISECOND
  }

  end(): void {
    const { serve, namespace } = this.#ground
    this.#release()
    serve?.()
    this.#requireAccounts()
    releaseNamespace(namespace)
    serve?.()
    requireNothing('filesystems', this.#vfs.superblocks.size)
    requireNothing('device numbers', this.#vfs.anonymousDevices.inUse - 1)
  }

  #release(): void {
    for (const task of this.#tasks) task.release()
    this.#tasks = []
  }

  /** What is used is what is there: no file is open, and space and inodes are taken by files that have a name only. */
  #requireAccounts(): void {
    const { root, namespace } = this.#ground
    for (const mount of new Set([...this.#mounted, root.mount, ...namespace.all()])) {
      requireNothing(`users of mount ${mount.id}`, mount.users)
      requireNothing(`writers of mount ${mount.id}`, mount.writers)
      const { superblock } = mount
      requireNothing(`open files of ${superblock.filesystem.type}`, superblock.opens)
    }
    for (const { filesystem } of this.#vfs.superblocks) if (filesystem.type === 'tmpfs') requireCounted(filesystem)
  }
}

/** Errors: a plain Error unless a tmpfs is charged with just what it holds. */
function requireCounted(filesystem: Filesystem): void {
  const { blocks, blocksFree, files, filesFree } = filesystem.usage()
  const inodes = [...inodesOf(filesystem.root)]
  const held = inodes.reduce((sum, inode) => sum + inode.blocks / 8, 0)
  requireNothing('blocks charged for nothing', blocks - blocksFree - held)
  if (files > 0) requireNothing('inodes charged for nothing', files - filesFree - inodes.length)
}

function requireNothing(what: string, count: number): void {
  if (count !== 0) throw new Error(`left over: ${count} ${what}`)
}
