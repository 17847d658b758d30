/**
 * Saves the files of containers, as they are at one moment: mount tables, filesystems in memory (the uppers of overlays among them),
 * volumes that containers share, and files without a name that processes hold. What is in a volume of the site is on disk by itself, and
 * is only named; what the page handed in is only described. Processes are not saved.
 *
 * Invariant: all that is read of containers is read within one turn.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Parts } from '../../abi/images.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { type DumpOptions, type DumpSink, dumpFiles, memoryOf } from '../../fs/tmpfs/dump.ts'
import { Tmpfs } from '../../fs/tmpfs/tmpfs.ts'
import type { FileInode, Inode } from '../../vfs/inode.ts'
import { VirtualDentry } from '../../vfs/mount.ts'
import { PAGE_SIZE } from '../../vfs/pages.ts'
import { pathOf } from '../../vfs/path-print.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import type { Bundle } from '../bundle.ts'
import type { Container } from '../container.ts'
import { FuseServers } from '../fuse-servers.ts'
import { type FurtherMount, planFurther } from '../mounts/further.ts'
import { INTERNAL_TMP, mountsTmp, TMP_MOUNT } from '../mounts/internal-tmp.ts'
import { type MountPlan, planMounts } from '../mounts/mounter.ts'
import type { Known } from '../mounts/prepare.ts'
import { type SharedVolumes, sharedId } from '../mounts/shared-volumes.ts'
import { type UppersConfig, uppersText } from '../mounts/uppers.ts'
import { volumeOf } from '../mounts/volumes.ts'
import type { Spec } from '../spec.ts'
import { CheckpointWriter } from './format.ts'
import type { Manifest, SavedContainer, SavedMount, SavedOrphan } from './manifest.ts'
import { fingerprint, sourcesOf } from './sources.ts'

export interface Saving {
  readonly known: Omit<Known, 'uppers'> & { readonly shared: SharedVolumes }
  readonly bundle: Bundle
  /** The ids of volumes by their names. */
  readonly volumes: ReadonlyMap<string, string>
  readonly blob: (parts: readonly Uint8Array[]) => BlobLike
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly attempt: Attempt
}

export interface Saved {
  readonly parts: Parts
  readonly containers: readonly string[]
  readonly time: number
  /** The ids of the volumes that must be on disk before the checkpoint counts. */
  readonly volumes: readonly string[]
}

/** Most bytes of a file without a name: its content is handed to the page as one piece. */
const ORPHAN_MAX = 2 ** 40

interface HeldFile {
  readonly inode: Inode
  readonly orphan: SavedOrphan
}

/**
 * Throws WouldBlock where a file's content must be waited for; the same call with the same attempt goes on then.
 * Errors: EOPNOTSUPP for what cannot be saved: layers that were committed, FUSE served by a process, special files without a name.
 */
export function save(containers: readonly Container[], saving: Saving): Saved {
  const { known, volumes, attempt, now } = saving
  const trees: { readonly container?: string; readonly unique: string; readonly filesystem: Tmpfs }[] = []
  const shared = new Set<string>()
  const named = new Map<string, string>()
  const saved: SavedContainer[] = []
  for (const container of containers) {
    const plan = planOf(container, known)
    requireSavable(container, plan)
    saved.push(savedContainer(container, plan, saving))
    for (const name of volumesOf(plan)) named.set(name, volumes.get(name) ?? noVolume(name))
    for (const { hint } of plan.mounts) if (hint) shared.add(hint.name)
    for (const [unique, root] of container.memory)
      trees.push({ container: container.id, unique, filesystem: memoryOf(root)! })
  }
  for (const name of shared) {
    const master = known.shared.masters.get(name)
    if (master) trees.push({ unique: sharedId(name), filesystem: memoryOf(master.root.inode)! })
  }
  const held = orphansOf(containers)
  const manifest: Manifest = {
    time: now,
    containers: saved,
    shared: known.shared.hints
      .filter(({ name }) => shared.has(name))
      .map((hint) => ({ ...hint, options: [...hint.options] })),
    volumes: [...named].map(([name, id]) => ({ name, id })),
    trees: trees.map(({ filesystem, ...tree }) => ({ ...tree, lastIno: filesystem.lastIno })),
    orphans: held.map(({ orphan }) => orphan),
  }
  const writer = new CheckpointWriter(saving.blob, manifest)
  const missing = new Missing()
  for (const [i, { filesystem }] of trees.entries()) dumpFiles(filesystem, writer.tree(i), { attempt, missing })
  const sink = writer.tree(trees.length)
  for (const [i, { inode }] of held.entries())
    if (inode.kind === 'file') dumpContent(sink, i + 1, inode, { attempt, missing })
  missing.wait()
  const ids = saved.map(({ id }) => id)
  return { parts: writer.end(), containers: ids, time: now, volumes: manifest.volumes.map(({ id }) => id) }
}

interface Planned {
  readonly spec: Spec
  readonly uppers: UppersConfig
  readonly further: readonly FurtherMount[]
}

/** What a container's mounts are: those of its spec, and those that came later. */
export function planOf({ spec, uppers, further }: Planned, known: Omit<Known, 'uppers'>): MountPlan {
  const { root, mounts } = planMounts(spec, { ...known, uppers }, () => {})
  const later = further.flatMap((mount) => planFurther(mount, known, () => {}) ?? [])
  return { root, mounts: [...mounts, ...later] }
}

/** The names of the volumes that a container shows. */
export function volumesOf({ root, mounts }: MountPlan): string[] {
  const all = mounts.map((mount) => (mount.upper ? mount.upper.volume : volumeOf(mount)))
  return [root.upper?.volume, ...all].filter((name) => name !== undefined)
}

function noVolume(name: string): never {
  throw new ErrnoError('ENOENT', name, `there is no volume "${name}" any more`)
}

/** Errors: EOPNOTSUPP. */
function requireSavable(container: Container, { mounts }: MountPlan): void {
  const refuse = (why: string): never => {
    throw new ErrnoError('EOPNOTSUPP', container.id, `the container cannot be saved: ${why}`)
  }
  for (const { type, spec, destination } of mounts) {
    if (type === 'fuse' && FuseServers.nameOf(spec.source) === undefined)
      refuse(`a process serves what is mounted on ${destination}, and processes are not saved`)
  }
  if (container.committed)
    refuse('a layer was made of its changes: make a container of the image that came of it, and save that')
}

function savedContainer(container: Container, plan: MountPlan, { bundle, attempt }: Saving): SavedContainer {
  const { id, spec, uppers, further } = container
  return {
    id,
    spec: { ...spec },
    overlay: uppersText(uppers),
    mounts: mountTable(container, plan),
    further: further.map(({ unique, spec }) => ({ unique, spec: { ...spec } })),
    sources: sourcesOf(plan).map((each) => ({ ...each, ...fingerprint(bundle, each.source, attempt) })),
  }
}

/** The root, the mounts that its spec becomes, and its own /tmp if it was given one. */
function mountTable({ memory, spec, root: made }: Container, { root, mounts }: MountPlan): SavedMount[] {
  const { type } = made.mount.superblock.filesystem
  const table: SavedMount[] = [
    { unique: '/', destination: '/', type, source: root.source, readonly: root.readonly, data: '' },
  ]
  for (const { unique, destination, is, spec, options } of mounts) {
    const { flags, data } = options
    const readonly = flags.readonly === true
    table.push({ unique, destination, type: is.filesystem, source: spec.source, readonly, data })
  }
  if (memory.has(INTERNAL_TMP) && !mountsTmp(spec)) table.push({ unique: INTERNAL_TMP, ...TMP_MOUNT, readonly: false })
  return table
}

/** Files and directories whose names are gone, and which processes hold. Errors: EOPNOTSUPP for any other kind. */
function orphansOf(containers: readonly Container[]): HeldFile[] {
  const found = new Map<Inode, HeldFile & { readonly orphan: { readonly pids: number[] } }>()
  for (const { id, namespace, processes: views } of containers) {
    for (const { pid, descriptors, cwd } of views.processes.all()) {
      const places = [...descriptors.open()].map(([, file]) => new VirtualDentry(file.mount, file.dentry))
      for (const place of [...places, cwd]) {
        const { inode } = place.dentry
        if (place.mount.namespace !== namespace || inode.nlink > 0 || !keepsFiles(inode)) continue
        const known = found.get(inode)?.orphan.pids
        if (known?.includes(pid)) continue
        if (known) known.push(pid)
        else found.set(inode, heldFile(id, inode, pathOf(place, namespace.rootPlace), pid))
      }
    }
  }
  return [...found.values()]
}

/** Not what its filesystem makes up, or has from elsewhere. */
const keepsFiles = ({ filesystem }: Inode) => filesystem instanceof Tmpfs || filesystem.type === 'overlay'

function heldFile(container: string, inode: Inode, path: string, pid: number) {
  const { kind, mode, uid, gid, size, mtime } = inode
  const refuse = (code: 'EOPNOTSUPP' | 'EFBIG', why: string): never => {
    throw new ErrnoError(code, path, `the container "${container}" cannot be saved: process ${pid} holds ${why}`)
  }
  if (kind !== 'file' && kind !== 'directory') return refuse('EOPNOTSUPP', `a ${kind} that has no name any more`)
  if (size > ORPHAN_MAX) return refuse('EFBIG', `a file without a name of ${size} bytes, of at most ${ORPHAN_MAX}`)
  return { inode, orphan: { container, path, kind, mode, uid, gid, size, mtime: String(mtime), pids: [pid] } }
}

/** Whatever the file is made of, by reading. */
function dumpContent({ page }: DumpSink, ino: number, file: FileInode, { attempt, missing }: DumpOptions): void {
  for (let index = 0; index * PAGE_SIZE < file.size; index++) {
    const start = index * PAGE_SIZE
    const data = file.nextData ? file.nextData(start, attempt) : start
    if (data === undefined) return
    index = Math.floor(data / PAGE_SIZE)
    const bytes = new Uint8Array(Math.min(PAGE_SIZE, file.size - index * PAGE_SIZE))
    missing.try(() => file.read(bytes, 0, bytes.length, index * PAGE_SIZE, attempt))
    page(ino, { index, present: 0, bytes })
  }
}
