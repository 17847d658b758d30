/** What the specs run on in this kernel: a tmpfs, a bind of a part of one, overlays, a cold tmpfs, and a type of one's own. */

import { AT_FDCWD } from '../../abi/linux.ts'
import { Connection } from '../../fs/fuse/connection.ts'
import { fuseType } from '../../fs/fuse/fuse.ts'
import type { OverlayLayers } from '../../fs/overlay/overlay.ts'
import { tmpfsType } from '../../fs/tmpfs/tmpfs.ts'
import { Task } from '../../kernel/task.ts'
import { credentialsOf } from '../../vfs/context.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import type { Filesystem, FilesystemUsage, Inode } from '../../vfs/inode.ts'
import { type Mount, type Superblock, VirtualDentry } from '../../vfs/mount.ts'
import { releaseNamespace, releaseTree } from '../../vfs/mount-tree.ts'
import { resolve } from '../../vfs/path-walk.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { erofsImage } from '../erofs-image.ts'
import { erofsOver } from '../erofs-world.ts'
import { Passthrough } from '../fuse-passthrough.ts'
import { scattered } from '../scatter.ts'
import { seal, verityOver } from '../sealed.ts'
import { veiled } from '../trees.ts'
import { type Ground, ground, KernelArena, type Lay } from './arenas.ts'
import type { Ability, Subject } from './spec.ts'

const ALL: readonly Ability[] = [
  ...([
    'root',
    'users',
    'mounts',
    'calls',
    'nodes',
    'quota',
    'tmpfs',
    'times',
    'renumber',
    'execute',
    'own-way',
  ] as const),
]
/** So that the inodes in use can be told. */
const DATA = 'mode=755,nr_inodes=100000'

const tmpfsGround: Lay = (vfs, data) => {
  const superblock = vfs.newFilesystem({ type: 'tmpfs', data: `${DATA},${data}` })
  return ground(vfs, superblock, superblock.filesystem)
}

export const tmpfs: Subject = {
  name: 'tmpfs',
  abilities: new Set(ALL),
  arena: (data = '') => new KernelArena((vfs, all) => ({ ...tmpfsGround(vfs, all), watched: undefined }), data),
}

/** `/` is a directory of a tmpfs, seen through a mount that begins there. */
export const bind: Subject = {
  name: 'a bind of a tmpfs',
  // What the limits leave is told for the whole filesystem, of which the bind shows a part.
  abilities: new Set(ALL.filter((ability) => ability !== 'quota')),
  arena: (data = '') => new KernelArena(bindGround, data),
  differences: {
    'B017 the root': 'the root of a bind is not the root of its filesystem, whose number is 1',
    'B056 the root': 'a listing does not know of mounts: dot dot is the parent in the filesystem, as on Linux',
  },
}

const bindGround: Lay = (vfs, data) => {
  const whole = tmpfsGround(vfs, data)
  const task = new Task({ vfs, credentials: credentialsOf(0, 0), root: whole.root })
  for (const name of ['part', 'seen']) task.mkdirat(AT_FDCWD, name, 0o755)
  const bound = vfs.bind(resolve(task, whole.root, 'part', false), { recursive: false })
  vfs.attach(bound, resolve(task, whole.root, 'seen', false))
  task.release()
  return { root: new VirtualDentry(bound, bound.root), namespace: whole.namespace }
}

const AT_OPEN = 'opening for writing copies up, which gives the copy and its directories a new ctime, as on Linux'
const NO_ATIME = 'when a file was read is not kept: the time of the last change is shown, which is checked'
const LOWER_ATIME = 'reading a lower file leaves its atime, as on Linux: nothing is written below'

/** An overlay with nothing below: all that a spec does happens in the upper layer. */
export const overlayOverNothing: Subject = {
  name: 'an overlay over an empty layer',
  abilities: new Set(ALL.filter((ability) => ability !== 'tmpfs')),
  arena: (data = '') => new KernelArena((vfs, upperData) => overlayGround(vfs, [layer(vfs, '')], upperData), data),
}

/** Runs a spec on an overlay over layers that are made of what it is given; the upper is empty. */
const overGiven = (data: string, layersOf: (vfs: Vfs, given: Mount) => readonly Layer[]): KernelArena =>
  new KernelArena(tmpfsGround, '', (vfs, below) => {
    const given = vfs.newMount(below.root.mount.superblock)
    releaseNamespace(below.namespace)
    return overlayGround(vfs, layersOf(vfs, given), data)
  })

/** What a spec is given lies in the lower layer. */
export const overlayOverAll: Subject = {
  name: 'an overlay over what is given',
  abilities: new Set(ALL.filter((ability) => ability !== 'tmpfs')),
  arena: (data = '') => overGiven(data, (_, given) => [layerOf(given)]),
  differences: {
    'B024 B025 reading moves': LOWER_ATIME,
    'B024 reading at the end': LOWER_ATIME,
    'B024 listing': LOWER_ATIME,
    'A067 B024': LOWER_ATIME,
    'B024 opening and closing': AT_OPEN,
    'B026 writing nothing': AT_OPEN,
    'B026 opening with O_CREAT what is there': AT_OPEN,
    'B026 A209 a change of a file':
      'a directory is copied up with the first change below it, and has a new ctime, as on Linux',
  },
}

/** What a spec is given is spread over three layers, with much else below it that must not be seen. */
export const overlayOverThree: Subject = {
  ...overlayOverAll,
  name: 'an overlay over three layers',
  arena: (data = '') =>
    overGiven(data, (vfs, given) => {
      const layers: Layer[] = []
      scattered(given.root.inode, () => {
        layers.push(layer(vfs, ''))
        return layers.at(-1)!.root
      })
      releaseTree(given)
      return layers
    }),
}

/** What a spec is given lies in a lower layer that must be waited for. */
export const overlayOverCold: Subject = {
  ...overlayOverAll,
  name: 'an overlay over a cold layer',
  arena: (data = '') => overGiven(data, (_, given) => [{ ...layerOf(given), root: veiled(given.root.inode, COLD) }]),
}

/** What a spec is given lies in a lower layer whose files are referred to instead of copied. */
export const overlayByReference: Subject = {
  ...overlayOverAll,
  name: 'an overlay that refers to the data below',
  arena: (data = '') =>
    overGiven(data, (_, given) => [
      { ...layerOf(given), root: veiled(given.root.inode, { cold: true, immutable: true }) },
    ]),
}

/** What is on a mount, checked against the hash of just that; the mount is let go of with it. */
function checked(vfs: Vfs, given: Mount): Superblock {
  const lower = given.root.inode
  const release = () => vfs.discard(given)
  return verityOver(vfs, lower, { hash: seal(vfs, lower), release })
}

/** What a spec is given lies in a lower layer that is checked against the hash of just that. */
export const overlayOverVerity: Subject = {
  ...overlayOverAll,
  name: 'an overlay over a verity',
  arena: (data = '') => overGiven(data, (vfs, given) => [layerOf(vfs.newMount(checked(vfs, given)))]),
}

/** What a spec is given, checked; nothing can be changed. */
export const verity: Subject = {
  name: 'verity',
  abilities: new Set(ALL.filter((ability) => ability !== 'tmpfs' && ability !== 'quota')),
  arena: () =>
    new KernelArena(tmpfsGround, '', (vfs, below) => {
      const given = vfs.newMount(below.root.mount.superblock)
      releaseNamespace(below.namespace)
      return ground(vfs, checked(vfs, given))
    }),
  differences: {
    'B024 B025 reading moves': NO_ATIME,
    'B024 reading at the end': NO_ATIME,
    'B024 listing': NO_ATIME,
    'A067 B024': NO_ATIME,
    'A076 access to a directory': 'it asks whether the directory may be written: EROFS, as on any read-only filesystem',
  },
}

/** What a spec is given, in an image. */
export const erofs: Subject = {
  name: 'erofs',
  abilities: verity.abilities,
  arena: () =>
    new KernelArena(tmpfsGround, '', (vfs, below) => {
      const image = erofsImage(below.root.mount.superblock.root.inode)
      releaseNamespace(below.namespace)
      return ground(vfs, erofsOver(vfs, image))
    }),
  differences: verity.differences!,
}

/** A layer, and the mount that keeps it alive. */
interface Layer {
  readonly root: Inode
  readonly mount: Mount
}

const layerOf = (mount: Mount): Layer => ({ root: mount.root.inode, mount })

const layer = (vfs: Vfs, data: string): Layer =>
  layerOf(vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: `${DATA},${data}` })))

function overlayGround(vfs: Vfs, lowers: readonly Layer[], data: string): Ground {
  const upper = layer(vfs, data)
  const layers: OverlayLayers = {
    upper: upper.root,
    lowers: lowers.map(({ root }) => root),
    release() {
      for (const { mount } of [upper, ...lowers]) releaseTree(mount)
    },
  }
  const superblock = vfs.newFilesystem({ type: 'overlay', internal: layers })
  return { ...ground(vfs, superblock, upper.root.filesystem), mayHoldSpace: true }
}

const COLD = { cold: true, coldPages: true }

/** A tmpfs of which every lookup, listing, link target and page must be waited for, once in each call. */
export const coldfs: Subject = {
  name: 'coldfs',
  abilities: new Set(ALL),
  arena: (data = '') =>
    new KernelArena((vfs, all) => {
      vfs.types.register(coldfsType)
      const superblock = vfs.newFilesystem({ type: 'coldfs', data: `${DATA},${all}` })
      return ground(vfs, superblock, (superblock.filesystem as ColdFilesystem).warm)
    }, data),
}

/** A tmpfs behind a FUSE server that passes all on to it; the kernel keeps what it is told for `valid` seconds. */
export const fuseOverTmpfs = (valid: bigint): Subject => ({
  name: valid === 0n ? 'FUSE over a tmpfs' : 'FUSE over a tmpfs, cached',
  abilities: new Set(ALL.filter((ability) => ability !== 'tmpfs')),
  arena: (data = '') =>
    new KernelArena((vfs, all) => {
      vfs.types.register(fuseType)
      const behind = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: `${DATA},${all}` }))
      const connection = new Connection()
      const server = new Passthrough(vfs, behind, connection, { valid })
      const superblock = vfs.newFilesystem({ type: 'fuse', internal: { connection } })
      return { ...ground(vfs, superblock), serve: () => server.serve() }
    }, data),
  differences: {
    'A113 A090': 'FUSE_TMPFILE is not asked of servers: O_TMPFILE is EOPNOTSUPP, as on Linux with a server without it',
    'A040 dot dot of removed directories':
      'a removed directory of which nothing is open is forgotten by the server; its number leads nowhere then',
    'B054 a name that moves': 'a listing is read whole when it is begun, as by libfuse: the rest of it is as it was',
  },
})

class ColdFilesystem implements Filesystem {
  readonly type = 'coldfs'
  readonly readonly = false
  readonly warm: Filesystem
  readonly root: Inode

  constructor(warm: Filesystem) {
    this.warm = warm
    this.root = veiled(warm.root, COLD)
  }

  get dev(): number {
    return this.warm.dev
  }
  get options(): string {
    return this.warm.options ?? ''
  }
  usage(): FilesystemUsage {
    return this.warm.usage()
  }
}

export const coldfsType: FilesystemType = {
  name: 'coldfs',
  userMountable: false,
  userListable: false,
  mount: (request) => new ColdFilesystem(tmpfsType.mount(request)),
}

export const kernelSubjects: readonly Subject[] = [
  ...[tmpfs, bind, coldfs],
  ...[fuseOverTmpfs(0n), fuseOverTmpfs(60n)],
  ...[overlayOverNothing, overlayOverAll, overlayOverThree, overlayOverCold, overlayByReference, overlayOverVerity],
]
