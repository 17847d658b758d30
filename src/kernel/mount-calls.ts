/**
 * The system calls about mounts, for the host's tasks: a guest has none of them. Descriptors of the new mount API hold either a
 * filesystem that is being configured, or a tree of mounts that is attached nowhere and goes when the descriptor is closed.
 */

import { ErrnoError } from '../abi/errno.ts'
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH, O_RDWR, POLLNVAL } from '../abi/linux.ts'
import {
  AT_NO_AUTOMOUNT,
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOVE_MOUNT_F_AUTOMOUNTS,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_F_SYMLINKS,
  MOVE_MOUNT_T_AUTOMOUNTS,
  MOVE_MOUNT_T_EMPTY_PATH,
  MOVE_MOUNT_T_SYMLINKS,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  UMOUNT_NOFOLLOW,
} from '../abi/mount-flags.ts'
import { FileDescription } from '../vfs/description.ts'
import type { Stream } from '../vfs/inode.ts'
import { type MountNamespace, type MountOwner, VirtualDentry } from '../vfs/mount.ts'
import {
  cloneTree,
  dissolve,
  type MountArguments,
  mountAt,
  moveMount,
  newAnonymous,
  requireMountPrivilege,
  unmountAt,
} from '../vfs/mount-operations.ts'
import { mountInfoText, mountsText } from '../vfs/mount-text.ts'
import { changeRoot, cloneNamespace, pivotRoot } from '../vfs/namespaces.ts'
import { workingDirectory } from '../vfs/path-print.ts'
import { resolve } from '../vfs/path-walk.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { WaitQueue } from '../vfs/waiting.ts'
import { FilesystemConfig } from './filesystem-config.ts'
import type { Task } from './task.ts'

export class MountCalls {
  readonly #vfs: Vfs
  readonly #task: Task

  constructor(vfs: Vfs, task: Task) {
    this.#vfs = vfs
    this.#task = task
  }

  /** mount(2). Errors: as mountAt. */
  mount(target: string, args: MountArguments): void {
    mountAt(this.#vfs, this.#task, this.#task.cwd, target, args)
  }

  /** umount2(2). Errors: EINVAL for MNT_FORCE and MNT_EXPIRE, which nothing here could honour; as unmountAt. */
  umount2(path: string, flags = 0): void {
    if (flags & ~(MNT_DETACH | UMOUNT_NOFOLLOW)) throw new ErrnoError('EINVAL', path)
    unmountAt(this.#task, this.#task.cwd, path, flags)
  }

  pivotRoot(newRoot: string, putOld: string): void {
    pivotRoot(this.#vfs, this.#task, this.#task.cwd, newRoot, putOld)
  }

  chroot(path: string): void {
    changeRoot(this.#task, path)
  }

  /** getcwd(2). Errors: ENOENT, ERANGE. */
  getcwd(size: number): string {
    return workingDirectory(this.#task.cwd, this.#task.root, size)
  }

  /** unshare(2) with CLONE_NEWNS, and under a new `owner` with CLONE_NEWUSER. Errors: EPERM, also for a new owner in a chroot; ENOSPC. */
  unshare(owner?: MountOwner): void {
    const { namespace } = this.#task
    requireMountPrivilege(this.#task)
    if (!namespace) throw new ErrnoError('EINVAL', undefined, 'the task is in no mount namespace')
    if (owner && !this.#task.root.equals(namespace.rootPlace)) throw new ErrnoError('EPERM', undefined, 'chrooted')
    const options = owner ? { owner } : {}
    this.#task.setNamespace(cloneNamespace(this.#vfs, namespace, [this.#task], options))
  }

  /** What the task finds in /proc/self/mounts and /proc/self/mountinfo. */
  get mounts(): string {
    const { namespace, root } = this.#task
    return namespace ? mountsText(namespace, root) : ''
  }

  get mountinfo(): string {
    const { namespace, root } = this.#task
    return namespace ? mountInfoText(namespace, root) : ''
  }

  /** open_tree(2). Errors: EINVAL for flags; EPERM; those of the walk; as cloneTree. */
  openTree(dirfd: number, path: string, flags: number): number {
    const known =
      AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE
    const clones = (flags & OPEN_TREE_CLONE) !== 0
    if (flags & ~known || (flags & AT_RECURSIVE && !clones)) throw new ErrnoError('EINVAL', path)
    if (clones) requireMountPrivilege(this.#task)
    this.#task.descriptors.requireRoom()
    const place = this.#find(dirfd, path, (flags & AT_EMPTY_PATH) !== 0, (flags & AT_SYMLINK_NOFOLLOW) === 0)
    if (!clones) return this.#task.descriptors.add(new FileDescription(place, O_PATH))
    return this.#hold(cloneTree(this.#vfs, this.#task, place, (flags & AT_RECURSIVE) !== 0))
  }

  /** move_mount(2), without MOVE_MOUNT_SET_GROUP and MOVE_MOUNT_BENEATH. Errors: EINVAL for flags; EPERM; as moveMount. */
  moveMount(fromfd: number, fromPath: string, tofd: number, toPath: string, flags: number): void {
    const links = MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_T_SYMLINKS
    const automounts = MOVE_MOUNT_F_AUTOMOUNTS | MOVE_MOUNT_T_AUTOMOUNTS
    requireMountPrivilege(this.#task)
    if (flags & ~(links | automounts | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
      throw new ErrnoError('EINVAL')
    const has = (flag: number) => (flags & flag) !== 0
    const from = this.#find(fromfd, fromPath, has(MOVE_MOUNT_F_EMPTY_PATH), has(MOVE_MOUNT_F_SYMLINKS))
    const to = this.#find(tofd, toPath, has(MOVE_MOUNT_T_EMPTY_PATH), has(MOVE_MOUNT_T_SYMLINKS))
    moveMount(this.#vfs, this.#task, from, to)
  }

  /** fsopen(2). Errors: EPERM, EINVAL, ENODEV. */
  fsopen(type: string, flags: number): number {
    requireMountPrivilege(this.#task)
    if (flags & ~FSOPEN_CLOEXEC) throw new ErrnoError('EINVAL', type)
    this.#vfs.types.require(type, { internal: false })
    this.#task.descriptors.requireRoom()
    const config = new FilesystemConfig(this.#vfs, type, this.#task)
    const now = this.#task.clock.coarse()
    return this.#task.descriptors.add(
      this.#vfs.anonymousFiles.open(config, 'char', O_RDWR, 'anon_inode:[fscontext]', now),
    )
  }

  /** fsconfig(2). Errors: EBADF; EINVAL for another file; EOPNOTSUPP for a command that is not one; EBUSY, EINVAL as FilesystemConfig. */
  fsconfig(fd: number, command: number, key = '', value = ''): void {
    const config = this.#config(fd)
    if (command === FSCONFIG_SET_FLAG) config.setFlag(key)
    else if (command === FSCONFIG_SET_STRING) config.setString(key, value)
    else if (command === FSCONFIG_CMD_CREATE) config.create()
    else throw new ErrnoError('EOPNOTSUPP', key)
  }

  /** fsmount(2): a descriptor for the new filesystem, mounted nowhere. Errors: EPERM, EBADF, EINVAL, EBUSY the second time. */
  fsmount(fd: number, flags: number, attributes: number): number {
    requireMountPrivilege(this.#task)
    const times = attributes & MOUNT_ATTR__ATIME
    const known =
      MOUNT_ATTR_RDONLY |
      MOUNT_ATTR_NOSUID |
      MOUNT_ATTR_NODEV |
      MOUNT_ATTR_NOEXEC |
      MOUNT_ATTR__ATIME |
      MOUNT_ATTR_NODIRATIME
    const unclear = times !== 0 && times !== MOUNT_ATTR_NOATIME && times !== MOUNT_ATTR_STRICTATIME
    if (flags & ~FSMOUNT_CLOEXEC || attributes & ~known || unclear) throw new ErrnoError('EINVAL')
    const config = this.#config(fd)
    this.#task.descriptors.requireRoom()
    const tree = config.mount({
      readonly: (attributes & MOUNT_ATTR_RDONLY) !== 0,
      nosuid: (attributes & MOUNT_ATTR_NOSUID) !== 0,
      nodev: (attributes & MOUNT_ATTR_NODEV) !== 0,
      noexec: (attributes & MOUNT_ATTR_NOEXEC) !== 0,
      noatime: times === MOUNT_ATTR_NOATIME,
      nodiratime: (attributes & MOUNT_ATTR_NODIRATIME) !== 0,
      strictatime: times === MOUNT_ATTR_STRICTATIME,
    })
    return this.#hold(newAnonymous(this.#task, tree))
  }

  /** A descriptor for the root of a tree that is attached nowhere. */
  #hold(namespace: MountNamespace): number {
    const { root } = namespace
    return this.#task.descriptors.add(
      new FileDescription(new VirtualDentry(root, root.root), O_PATH, new HeldTree(namespace)),
    )
  }

  #config(fd: number): FilesystemConfig {
    const { stream } = this.#task.descriptors.get(fd)
    if (!(stream instanceof FilesystemConfig)) throw new ErrnoError('EINVAL')
    return stream
  }

  #find(dirfd: number, path: string, mayBeEmpty: boolean, follow: boolean): VirtualDentry {
    const { cwd, descriptors } = this.#task
    const from = dirfd === AT_FDCWD ? cwd : descriptors.get(dirfd)
    const start = new VirtualDentry(from.mount, from.dentry)
    if (path === '' && mayBeEmpty) return start
    return resolve(this.#task, start, path, follow)
  }
}

/** What a descriptor does for the tree that it holds: closed, it lets go of it. */
class HeldTree implements Stream {
  readonly queue = new WaitQueue()
  readonly #namespace: MountNamespace

  constructor(namespace: MountNamespace) {
    this.#namespace = namespace
  }

  poll(): number {
    return POLLNVAL
  }

  release(): void {
    dissolve(this.#namespace)
  }
}
