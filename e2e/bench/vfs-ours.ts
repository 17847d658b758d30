/** Ours for the VFS benchmark: a task of root's on a tmpfs, its system calls called directly. */
import { AT_FDCWD } from '../../src/abi/linux.ts'
import { DeviceRegistry } from '../../src/devices/device-registry.ts'
import { tmpfsType } from '../../src/fs/tmpfs/tmpfs.ts'
import { createClock } from '../../src/host/clock.ts'
import { Task } from '../../src/kernel/task.ts'
import { credentialsOf } from '../../src/vfs/context.ts'
import { VirtualDentry } from '../../src/vfs/mount.ts'
import { resolve } from '../../src/vfs/path-walk.ts'
import { Vfs } from '../../src/vfs/vfs.ts'

export interface Ours {
  readonly task: Task
  /** Mounts an empty tmpfs on each of so many new directories, whose paths, of one length, it gives. */
  mountMany(count: number): string[]
}

export function makeOurs(): Ours {
  const vfs = new Vfs(createClock(), new DeviceRegistry())
  vfs.types.register(tmpfsType)
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  vfs.newNamespace(mount)
  const task = new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root) })
  return {
    task,
    mountMany(count) {
      task.mkdirat(AT_FDCWD, '/mounts', 0o755)
      const paths = Array.from({ length: count }, (_, i) => `/mounts/${String(i).padStart(4, '0')}`)
      for (const path of paths) {
        task.mkdirat(AT_FDCWD, path, 0o755)
        vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' })), resolve(task, task.root, path, true))
      }
      return paths
    },
  }
}
