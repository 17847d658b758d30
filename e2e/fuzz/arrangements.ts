/**
 * What ours is a file system of while a sequence runs: a tmpfs, one that is closed and opened again, or overlays, over layers that
 * the sequence itself has made, the upper of one being closed and opened again, too. The Linux side is a tmpfs throughout: whatever
 * the layers are, the merged view must behave like one.
 *
 * Always true: layers below are left as they were, and the same layers, mounted anew, show the same files.
 */
import type { Store } from '../../src/fs/tmpfs/store.ts'
import { openStore } from '../../src/testing/kept-files.ts'
import { MemoryStore } from '../../src/testing/memory-store.ts'
import { scattered } from '../../src/testing/scatter.ts'
import { unveiled, type Veil, veiled } from '../../src/testing/trees.ts'
import type { Filesystem, Inode } from '../../src/vfs/inode.ts'
import type { Superblock } from '../../src/vfs/mount.ts'
import type { Vfs } from '../../src/vfs/vfs.ts'
import type { Free } from './trace.mjs'

/** What a sequence, or the rest of it, runs on. */
export interface Laid {
  readonly superblock: Superblock
  /** What is written to. */
  readonly upper: Filesystem
  /** The topmost first. */
  readonly lowers: readonly Inode[]
  /** Where it is kept. */
  readonly volume?: { readonly records: MemoryStore; readonly store: Store }
}

export interface Arrangement {
  readonly name: string
  /** How often the sequence makes a layer. */
  readonly layers: number
  /** What an overlay answers otherwise than a tmpfs, as Linux's does. Everything else is compared. */
  readonly free: readonly Free[]
  first(vfs: Vfs): Laid | Promise<Laid>
  /** What follows a layer. */
  next(vfs: Vfs, below: Laid): Laid | Promise<Laid>
}

/** Enough for every sequence; a limit, so that what is in use is counted. */
const LIMITS = 'size=1g,nr_inodes=100k,mode=755'

const tmpfs = (vfs: Vfs): Superblock => vfs.newFilesystem({ type: 'tmpfs', data: LIMITS })

const plain = (vfs: Vfs): Laid => {
  const superblock = tmpfs(vfs)
  return { superblock, upper: superblock.filesystem, lowers: [] }
}

export const overlay = (vfs: Vfs, lowers: readonly Inode[], upper = tmpfs(vfs).filesystem): Laid => ({
  superblock: vfs.newFilesystem({ type: 'overlay', internal: { upper: upper.root, lowers } }),
  upper,
  lowers,
})

/** A tmpfs that is kept in a store. */
async function kept(vfs: Vfs, records = new MemoryStore()): Promise<Laid> {
  const { store, superblock } = await openStore(records, vfs, { data: LIMITS })
  return { superblock, upper: superblock.filesystem, lowers: [], volume: { records, store } }
}

/** The same volume, closed and opened again. */
async function reopened(vfs: Vfs, { volume }: Laid): Promise<Laid> {
  await volume!.store.settled()
  return kept(vfs, new MemoryStore(volume!.records.records))
}

/** A volume as the upper of an overlay. */
const keptOver = (vfs: Vfs, lowers: readonly Inode[], volume: Laid): Laid => ({
  ...volume,
  ...overlay(vfs, lowers, volume.upper),
})

const overEmpty = (vfs: Vfs): Laid => overlay(vfs, [tmpfs(vfs).filesystem.root])

const over = (veil: Veil) => (vfs: Vfs, below: Laid) => overlay(vfs, [veiled(below.upper.root, veil)])

/** A merged directory has the link count 1 and the size of its topmost layer; reading a lower file leaves its atime. */
const MERGED: readonly Free[] = ['directories', 'atime']

export const arrangements: readonly Arrangement[] = [
  { name: 'tmpfs', layers: 0, free: [], first: plain, next: (_, below) => below },
  {
    name: 'kept',
    layers: 2,
    free: [],
    first: (vfs) => kept(vfs),
    next: reopened,
  },
  { name: 'overlay-empty', layers: 0, free: [], first: overEmpty, next: overEmpty },
  { name: 'overlay-lower', layers: 1, free: MERGED, first: plain, next: over({}) },
  {
    name: 'overlay-kept',
    layers: 3,
    free: MERGED,
    first: plain,
    next: async (vfs, below) =>
      below.volume
        ? keptOver(vfs, below.lowers, await reopened(vfs, below))
        : keptOver(vfs, [below.upper.root], await kept(vfs)),
  },
  {
    name: 'overlay-three',
    layers: 1,
    free: MERGED,
    first: plain,
    next: (vfs, below) =>
      overlay(
        vfs,
        scattered(below.upper.root, () => tmpfs(vfs).filesystem.root),
      ),
  },
  {
    name: 'overlay-stack',
    layers: 2,
    free: MERGED,
    first: overEmpty,
    next: (vfs, { upper, lowers }) => overlay(vfs, [upper.root, ...lowers]),
  },
  { name: 'overlay-cold', layers: 1, free: MERGED, first: plain, next: over({ cold: true, coldPages: true }) },
  // What is adopted is told as data throughout: holes of a lower file count as blocks.
  {
    name: 'overlay-adopted',
    layers: 1,
    free: [...MERGED, 'blocks'],
    first: plain,
    next: over({ cold: true, immutable: true }),
  },
]

export function arrangementOf(name: string): Arrangement {
  const found = arrangements.find((each) => each.name === name)
  if (!found)
    throw new Error(`no such arrangement: ${name}; there are ${arrangements.map(({ name }) => name).join(', ')}`)
  return found
}

/** The layer itself, for looking at it without waiting. */
export const bare = (lower: Inode): Inode => unveiled(lower)
