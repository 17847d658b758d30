/**
 * devtmpfs: a tmpfs that has a node for each device, and the links and directories that programs expect below /dev.
 *
 * Two types make it. `devtmpfs` is one instance, which all its mounts show and which outlives them, as on Linux; `dev`, which
 * the kernel alone may mount, is a new one each time, so that containers do not see each other's nodes.
 */

import type { DeviceRegistry } from '../../devices/device-registry.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import type { Inode, NewInode } from '../../vfs/inode.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import type { TmpfsDirectory } from '../tmpfs/inodes.ts'
import { parseTmpfsOptions } from '../tmpfs/options.ts'
import { Tmpfs, type TmpfsSetup } from '../tmpfs/tmpfs.ts'

/** What the kernel may ask of a `dev` that its options can't say. */
export interface DevInternal {
  /** Permission bits of /dev/shm; 0755 if left out. */
  readonly shmMode?: number | undefined
  /** Is given the root when all is made. */
  readonly contents?: ((root: Inode) => void) | undefined
}

const TYPE = 'devtmpfs'

const LINKS = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
}

/** Both types, of the devices that are registered when they are mounted. They know the options of a tmpfs. */
export function devtmpfsTypes(devices: DeviceRegistry): readonly FilesystemType[] {
  let shared: Devtmpfs | undefined
  return [
    {
      name: TYPE,
      userMountable: true,
      userListable: true,
      /** Options count for the mount that comes first. */
      mount(request) {
        parseTmpfsOptions(request.data)
        shared ??= create(devices, request, true)
        return shared
      },
    },
    { name: 'dev', userMountable: false, userListable: false, mount: (request) => create(devices, request, false) },
  ]
}

class Devtmpfs extends Tmpfs {
  readonly enduring: boolean

  constructor(setup: TmpfsSetup, enduring: boolean) {
    super(setup)
    this.enduring = enduring
  }
}

function create(devices: DeviceRegistry, { data, dev, clock, internal }: MountRequest, enduring: boolean): Devtmpfs {
  const { shmMode = 0o755, contents } = (internal ?? {}) as DevInternal
  const given = parseTmpfsOptions(data)
  const now = clock.coarse()
  const made = new Devtmpfs({ mode: 0o755, ...given, given, type: TYPE, dev, now }, enduring)
  const root = made.root as TmpfsDirectory
  const add = (within: TmpfsDirectory, name: string, what: Omit<NewInode, 'uid' | 'gid' | 'now'>) =>
    within.lookup(name) ?? within.create(name, { uid: 0, gid: 0, now, ...what })
  const addDirectory = (within: TmpfsDirectory, name: string, mode = 0o755) =>
    add(within, name, { kind: 'directory', mode }) as TmpfsDirectory
  const addLink = (within: TmpfsDirectory, name: string, target: string) =>
    add(within, name, { kind: 'symlink', mode: 0o777, target })
  for (const { kind, path, major, minor = 0, mode = 0o600 } of devices.all()) {
    if (path === undefined) continue
    const names = path.split('/')
    const name = names.pop()!
    const directory = names.reduce((within, each) => addDirectory(within, each), root)
    add(directory, name, { kind, mode, rdev: makeDevice(major, minor) })
    addLink(addDirectory(root, kind), `${major}:${minor}`, `../${path}`)
  }
  for (const [name, target] of Object.entries(LINKS)) addLink(root, name, target)
  addDirectory(root, 'shm', shmMode)
  addDirectory(root, 'pts')
  contents?.(root)
  return made
}
