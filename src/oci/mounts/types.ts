/** What a mount of a spec becomes, by its type: one table. A type that is not in it, or that the kernel lacks, is skipped with a warning. */

import { ErrnoError } from '../../abi/errno.ts'
import { AT_FDCWD } from '../../abi/linux.ts'
import type { CgroupFilesystem } from '../../fs/cgroup/cgroup.ts'
import { CONTROLLERS } from '../../fs/cgroup/hierarchy.ts'
import { parseOverlayOptions } from '../../fs/overlay/options.ts'
import type { FilesystemTypes } from '../../vfs/filesystem.ts'
import { type Mount, VirtualDentry } from '../../vfs/mount.ts'
import { resolve } from '../../vfs/path-walk.ts'
import { FuseServers } from '../fuse-servers.ts'
import { erofs } from './erofs.ts'
import { overlayOf, overMemory, volumeAsUpper, withUpper } from './layering.ts'
import { CACHE_BYTES, OF_VOLUME } from './options.ts'
import type { PreparedMount } from './prepare.ts'
import type { SetUp } from './set-up.ts'
import { verityByPath } from './verity.ts'

export interface MountType {
  /** What mount(2) calls the type that is mounted. */
  readonly filesystem: string
  /** Options of the type itself; others are unknown to it. */
  readonly data: readonly string[]
  /** Its options are KEY or KEY=VALUE. */
  readonly plainData?: boolean
  /** A mount that is attached nowhere yet. */
  make(setUp: SetUp, mount: PreparedMount): Mount
}

/** A type that says by itself what is in it, of the container's processes where it tells of some. */
const kernelType = (filesystem: string, ...data: readonly string[]): MountType => ({
  filesystem,
  data,
  plainData: data.length > 0,
  make: ({ vfs, processes }, { spec, options }) => {
    const source = spec.source || filesystem
    const superblock = vfs.newFilesystem({ type: filesystem, data: options.data, source, internal: processes })
    return vfs.newMount(superblock, { source, flags: options.flags })
  },
})

const OF_TMPFS = ['size', 'nr_blocks', 'nr_inodes', 'mode', 'uid', 'gid', 'noswap']

export const TMPFS: MountType = {
  filesystem: 'tmpfs',
  data: [...OF_TMPFS, CACHE_BYTES, ...OF_VOLUME],
  plainData: true,
  make: tmpfs,
}

export const EROFS: MountType = { filesystem: 'erofs', data: [], make: erofs }

const TYPES: Readonly<Record<string, MountType>> = {
  tmpfs: TMPFS,
  bind: { filesystem: 'gofer', data: [], make: bind },
  overlay: {
    filesystem: 'overlay',
    data: ['lowerdir', 'upperdir', 'workdir', 'userxattr', CACHE_BYTES, ...OF_VOLUME],
    make: overlay,
  },
  proc: kernelType('proc'),
  sysfs: kernelType('sysfs'),
  // As gVisor has it: what is bound has the type `none` in many specs, and says so by an option.
  none: kernelType('sysfs'),
  // An instance of its own: containers do not share their nodes.
  devtmpfs: { filesystem: 'dev', data: OF_TMPFS, plainData: true, make: dev },
  devpts: kernelType('devpts', 'newinstance', 'ptmxmode', 'mode', 'uid', 'gid', 'max'),
  cgroup: { filesystem: 'cgroup', data: ['all', ...CONTROLLERS], plainData: true, make: cgroup },
  mqueue: kernelType('mqueue'),
  erofs: EROFS,
  verity: {
    filesystem: 'verity',
    data: ['root_hash', 'root_name', 'lower_path', 'dentry_cache_limit'],
    make: verityByPath,
  },
  fuse: {
    filesystem: 'fuse',
    data: ['fd', 'rootmode', 'user_id', 'group_id', 'default_permissions', 'allow_other', 'max_read', 'subtype'],
    plainData: true,
    make: fuse,
  },
}

/** What a type means; undefined for one that is not there. Names are matched exactly. */
export function mountType(name: string, registered: FilesystemTypes): MountType | undefined {
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
  return type && registered.lookup(type.filesystem) ? type : undefined
}

export function mountTypes(registered: FilesystemTypes): string[] {
  return Object.keys(TYPES).filter((name) => mountType(name, registered))
}

function tmpfs(setUp: SetUp, { spec, place, unique, options }: PreparedMount): Mount {
  const { vfs, acquired } = setUp
  const source = spec.source ?? 'tmpfs'
  const volume = acquired.get(place)
  const superblock =
    volume?.mount.superblock ??
    vfs.newFilesystem({ type: 'tmpfs', data: options.data, source, internal: { contents: setUp.fill(unique) } })
  return vfs.newMount(superblock, { source, flags: options.flags })
}

/** Of a hierarchy a container sees its own group, and what is below it. */
function cgroup({ vfs, cgroups, task }: SetUp, { spec, options: { data, flags } }: PreparedMount): Mount {
  const source = spec.source || 'cgroup'
  const superblock = vfs.newFilesystem({ type: 'cgroup', data, source })
  const whole = vfs.newMount(superblock)
  try {
    const { path } = cgroups.in((superblock.filesystem as CgroupFilesystem).hierarchy)
    const own = resolve(task, new VirtualDentry(whole, whole.root), `.${path}`, false)
    return vfs.newMount(superblock, { root: own.dentry, source, flags })
  } finally {
    vfs.discard(whole)
  }
}

function dev(setUp: SetUp, { spec, unique, options: { data, flags } }: PreparedMount): Mount {
  const { vfs } = setUp
  const source = spec.source || 'dev'
  const superblock = vfs.newFilesystem({ type: 'dev', data, source, internal: { contents: setUp.fill(unique) } })
  return vfs.newMount(superblock, { source, flags })
}

/** What the page serves under a name, or what a process serves by a descriptor of /dev/fuse. */
function fuse({ vfs, fuse, by }: SetUp, { spec, options: { data, flags } }: PreparedMount): Mount {
  const source = spec.source || 'fuse'
  const name = FuseServers.nameOf(spec.source)
  const superblock =
    name === undefined ? vfs.newFilesystem({ type: 'fuse', data, source, by }) : fuse.superblock(name, data)
  return vfs.newMount(superblock, { source, flags })
}

function bind(setUp: SetUp, { spec, place, upper, unique, options: { flags, recursive } }: PreparedMount): Mount {
  const { vfs } = setUp
  const source = spec.source ?? ''
  const from = setUp.find(source)
  if (upper) return withUpper(setUp, { place, upper }, { vfs, lowers: [from], source, flags }, setUp.fill(unique))
  if (source.startsWith('/')) return vfs.bind(from, { recursive, flags, source })
  // It was asked for.
  if (flags.readonly === false) {
    setUp.warn(
      `${place}.options: files of the bundle are read-only; mount an overlay with lowerdir=${source} to change them`,
    )
  }
  return vfs.newMount(from.mount.superblock, { root: from.dentry, source, flags: { ...flags, readonly: true } })
}

/** Lowers are sources as a bind has them, the top one first; without `upperdir` the upper is in memory. */
function overlay(setUp: SetUp, { spec, place, unique, options: { data, flags } }: PreparedMount): Mount {
  const { vfs } = setUp
  const { lowerdirs, upperdir, workdir, userxattr } = parseOverlayOptions(data, { names: true })
  if (!lowerdirs) throw new ErrnoError('EINVAL', undefined, 'an overlay needs lowerdir=NAME[:NAME…] in its options')
  const lowers = lowerdirs.flatMap((path) => setUp.layers('lowerdir', path))
  const layering = { vfs, lowers, source: spec.source ?? 'overlay', flags, data: userxattr ? 'userxattr' : '' }
  if (upperdir === undefined) return overMemory(setUp.attempt, layering, '', setUp.fill(unique))
  const volume = setUp.acquired.get(place)
  if (volume) return overlayOf(volumeAsUpper(volume, layering, setUp.attempt), layering)
  const upper = setUp.layer('upperdir', upperdir)
  if (upper.mount.readonly) throw new ErrnoError('EROFS', undefined, `upperdir "${upperdir}" is read-only`)
  if (workdir !== undefined) makeWork(setUp, workdir)
  return overlayOf(upper, layering)
}

/** Nothing is kept in it; it is made as Linux makes it, where it can be, for who looks for it. */
function makeWork({ task }: SetUp, workdir: string): void {
  try {
    task.mkdirat(AT_FDCWD, `${workdir}/work`, 0o700)
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error
  }
}
