/**
 * A tree of files with tasks of several users working in it, for tests of calls that only the host makes. When the test
 * ends nothing may be left open.
 */

import { expect } from 'vitest'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { FileKind } from '../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { HostCalls } from '../kernel/host-calls.ts'
import { Task, type TaskOptions } from '../kernel/task.ts'
import { type Credentials, credentialsOf } from '../vfs/context.ts'
import type { FilesystemType } from '../vfs/filesystem.ts'
import type { Inode } from '../vfs/inode.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { resolve } from '../vfs/path-walk.ts'
import { Vfs } from '../vfs/vfs.ts'
import { TestClock } from './overlays.ts'

/** A task with the host's calls beside it, and files by their text. */
export class Actor {
  readonly task: Task
  readonly host: HostCalls

  constructor(task: Task) {
    this.task = task
    this.host = new HostCalls(task)
  }

  open(path: string, flags = O_RDONLY, mode = 0o644): number {
    return this.task.openat(AT_FDCWD, path, flags, mode)
  }

  write(path: string, text = '', mode = 0o644): void {
    const fd = this.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode)
    if (text !== '') this.put(fd, text)
    this.task.close(fd)
  }

  /** Writes at the descriptor's position. */
  put(fd: number, text: string): number {
    const bytes = encodeUtf8(text)
    return this.task.writev(fd, bytes, [0, bytes.length])
  }

  /** Reads up to `length` bytes at the descriptor's position. */
  get(fd: number, length = 1000): string {
    const bytes = new Uint8Array(length)
    return decodeUtf8(bytes, 0, this.task.readv(fd, bytes, [0, length]))!
  }

  read(path: string): string {
    const fd = this.open(path)
    try {
      return this.get(fd)
    } finally {
      this.task.close(fd)
    }
  }

  mkdir(path: string, mode = 0o755): void {
    this.task.mkdirat(AT_FDCWD, path, mode)
  }

  mknod(path: string, kind: FileKind, mode = 0o644, rdev = 0): void {
    this.task.mknodat(AT_FDCWD, path, kind, mode, rdev)
  }

  chmod(path: string, mode: number): void {
    this.task.fchmodat(AT_FDCWD, path, mode, 0)
  }

  chown(path: string, uid: number, gid: number): void {
    this.task.fchownat(AT_FDCWD, path, uid, gid, 0)
  }

  /** Permission, set-id and sticky bits. */
  mode(path: string): number {
    return this.task.fstatat(AT_FDCWD, path, 0).mode & 0o7777
  }

  stat(path: string) {
    return this.task.fstatat(AT_FDCWD, path, 0)
  }

  place(path: string): VirtualDentry {
    return resolve(this.task, this.task.root, path, true)
  }

  inode(path: string): Inode {
    return this.place(path).dentry.inode
  }
}

export interface World extends Actor {
  readonly vfs: Vfs
  readonly clock: TestClock
  readonly devices: DeviceRegistry
  /** A task of another user, in the same tree. */
  as(uid: number, more?: Partial<Credentials>, options?: Partial<TaskOptions>): Actor
}

export interface WorldOptions {
  /** Options of the tmpfs at the root. */
  readonly data?: string
  readonly tmpfs?: FilesystemType
  readonly types?: readonly FilesystemType[]
}

/** Runs a test as root, with umask 0, in a tmpfs; checks that no open file and no user of a mount is left. */
export function inWorld(options: WorldOptions, test: (world: World) => void): void {
  const clock = new TestClock()
  const devices = new DeviceRegistry()
  const vfs = new Vfs(clock, devices)
  for (const type of [options.tmpfs ?? tmpfsType, ...(options.types ?? [])]) vfs.types.register(type)
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: options.data ?? 'mode=755' }))
  const root = new VirtualDentry(mount, mount.root)
  const namespace = vfs.newNamespace(mount)
  const tasks: Task[] = []
  const taskOf = (credentials: Credentials, more?: Partial<TaskOptions>) => {
    const task = new Task({ vfs, credentials, root, umask: 0, ...more })
    tasks.push(task)
    return task
  }
  const as = (uid: number, more?: Partial<Credentials>, taskOptions?: Partial<TaskOptions>) =>
    new Actor(taskOf({ ...credentialsOf(uid, uid), ...more }, taskOptions))
  test(Object.assign(new Actor(taskOf(credentialsOf(0, 0))), { vfs, clock, devices, as }))
  for (const task of tasks) task.release()
  for (const each of namespace.all()) {
    expect({ users: each.users, writers: each.writers, opens: each.superblock.opens }).toEqual({
      users: 0,
      writers: 0,
      opens: 0,
    })
  }
}

/** The code of the error that an operation throws, or 'ok'. */
export function outcome(operation: () => unknown): string {
  try {
    operation()
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
