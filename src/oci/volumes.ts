/**
 * The volumes of a site as a sandbox uses them: names of trees of files that outlive it. A volume is a tmpfs that is kept in a
 * database of its own (fs/tmpfs/store.ts); the catalogue says which, for databases cannot be renamed.
 *
 * Invariant: a volume that is mounted for writing is locked, and is one filesystem however many mounts show it; with the last of
 * them it is committed, closed and unlocked, in this order.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Entropy } from '../abi/platform.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import type { Answers, StorageEstimate, VolumeCalls, VolumeInfo, VolumeSnapshot, VolumeUsage } from '../abi/wire.ts'
import { xxHash32 } from '../fs/tmpfs/hash.ts'
import type { KeyValueStore } from '../fs/tmpfs/key-value-store.ts'
import type { Store } from '../fs/tmpfs/store.ts'
import { loaded, type Waiting } from '../kernel/attempts.ts'
import type { Mount, Superblock } from '../vfs/mount.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { isName, LETTERS, newId } from './names.ts'

export interface VolumeLock {
  unlock(): void
  /** Another may still believe that it is his. */
  readonly contested: boolean
}

/** What volumes need of the machine. */
export interface VolumeHost {
  /** What the catalogue says of volumes, by their names. */
  catalogue(): Promise<Map<string, string>>
  /** Makes these changes, undefined taking a name away, if all names in `expected` are as it says; false if not. */
  enter(
    changes: ReadonlyMap<string, string | undefined>,
    expected: ReadonlyMap<string, string | undefined>,
  ): Promise<boolean>
  /** Why the host itself has deleted all volumes before it opened the catalogue, if it has. */
  lost?(): string | undefined
  open(id: string): KeyValueStore
  /** Where checkpoints are kept. */
  checkpoints(): KeyValueStore
  /** Deletes the database. */
  remove(id: string): Promise<void>
  /** Undefined if another has it, unless that is to lose it. `lost` is called when another takes it. */
  lock(id: string, options: { takeover: boolean; lost: () => void }): Promise<VolumeLock | undefined>
  persist(): Promise<boolean>
  estimate(): Promise<StorageEstimate>
}

export interface VolumesOptions extends Waiting {
  readonly vfs: Vfs
  readonly entropy: Entropy
  readonly host: VolumeHost
  readonly writersWait: boolean
}

export interface Acquire {
  readonly readonly: boolean
  readonly takeover: boolean
  /** Where what was committed last is damaged: to show what was before. */
  readonly rescue: boolean
  /** Nobody else may show it, in this sandbox either. */
  readonly alone: boolean
  /** Options of the tmpfs. */
  readonly data: string
}

interface OpenVolume {
  readonly id: string
  readonly store: Store
  readonly superblock: Superblock
  readonly readonly: boolean
  readonly alone: boolean
}

/** A mount of a volume that keeps it open until it is discarded. */
export interface Acquired {
  readonly mount: Mount
  /** Nothing was ever in it. */
  readonly isNew: boolean
  /** What is wrong with its records: the mount shows the rest, and is read-only unless it is only about snapshots. */
  readonly damage: readonly string[]
}

const NO_LOCK: VolumeLock = { unlock: () => {}, contested: false }
const PREFIX = 'volume:'

export const namesVolume = (source: string | undefined) => source?.startsWith(PREFIX) === true

/** The name in `volume:NAME`. Errors: EINVAL for a bad one. */
export function volumeName(source: string | undefined): string | undefined {
  return namesVolume(source) ? checkName(source!.slice(PREFIX.length)) : undefined
}

/** Errors: EINVAL. */
export function checkName(name: unknown, what = 'volume'): string {
  if (typeof name === 'string' && name.length <= 100 && isName(name)) return name
  throw new ErrnoError('EINVAL', String(name), `the name of a ${what} is made of up to 100 ${LETTERS}`)
}

/** What the catalogue says of a volume: its id, and behind a dot the xxHash32 of name and id. */
const entryOf = (name: string, id: string) =>
  `${id}.${xxHash32(encodeUtf8(`${name} ${id}`))
    .toString(16)
    .padStart(8, '0')}`

/** Undefined for an entry that is damaged. */
function idIn(name: string, entry: string): string | undefined {
  const id = String(entry).split('.')[0]!
  return entry === entryOf(name, id) ? id : undefined
}

/** Where the host has nothing to keep files in. */
const noStorage = (): never => {
  throw new ErrnoError('EOPNOTSUPP', undefined, 'there is no storage for volumes here')
}
export const NO_VOLUMES: VolumeHost = {
  catalogue: async () => noStorage(),
  enter: async () => noStorage(),
  open: noStorage,
  checkpoints: noStorage,
  remove: async () => noStorage(),
  lock: async () => noStorage(),
  persist: async () => false,
  estimate: async () => ({ usage: 0, quota: 0 }),
}

export class Volumes {
  /** Hears when something is not on disk yet, and when all is. */
  onDirty: (dirty: boolean) => void = () => {}
  readonly #options: VolumesOptions
  readonly #open = new Map<string, OpenVolume>()
  /** What opens or closes, by id: the next one waits for it. */
  readonly #changing = new Map<string, Promise<unknown>>()
  readonly #dirty = new Set<string>()

  constructor(options: VolumesOptions) {
    this.#options = options
  }

  get dirty(): boolean {
    return this.#dirty.size > 0
  }

  /** Opens a volume, which is made if there is none of the name. Errors: EBUSY, EINVAL, ENOENT to read what is not there, EIO. */
  async acquire(name: string, how: Acquire): Promise<Acquired> {
    const id = await this.#idOf(checkName(name), !how.readonly)
    return this.#inTurn(how.readonly ? `${id} to read` : id, () => this.#acquire(name, id, how))
  }

  async #acquire(name: string, id: string, how: Acquire, tries = 5): Promise<Acquired> {
    const { vfs } = this.#options
    const open = how.readonly ? undefined : this.#open.get(id)
    if (open) {
      if (open.alone || how.alone)
        throw new ErrnoError(
          'EBUSY',
          name,
          `the volume "${name}" is in use in this sandbox, and an upper layer is nobody else's`,
        )
      return { mount: vfs.newMount(open.superblock), isNew: false, damage: open.store.damage }
    }
    const { store, contested } = await this.#opened(name, id, how)
    try {
      const superblock = this.#filled(store, how.data)
      const isNew = store.usage.inodes === 0 && !store.readonly
      if (!store.readonly) await store.claim({ contested })
      const mount = vfs.newMount(superblock)
      if (!how.readonly) {
        this.#open.set(id, { id, store, superblock, readonly: how.readonly, alone: how.alone })
        const closed = store.closed.finally(() => this.#open.delete(id))
        this.#changing.set(id, closed)
        closed.catch(() => {})
        store.reserve().catch(() => {})
      }
      const why = isNew ? this.#options.host.lost?.() : undefined
      const lost = why === undefined ? [] : [`it is new, for the browser has deleted all that this site kept: ${why}`]
      return { mount, isNew, damage: [...store.damage, ...lost] }
    } catch (error) {
      store.release()
      // Who lost it had a commit under way that came after what was read here.
      const isLate = error instanceof ErrnoError && error.code === 'ESTALE' && tries > 1
      if (!isLate) throw error
      await store.closed.catch(() => {})
      return this.#acquire(name, id, how, tries - 1)
    }
  }

  /** A new filesystem with the store's files. */
  #filled({ journal, readonly }: Store, data: string): Superblock {
    return this.#options.vfs.newFilesystem({ type: 'tmpfs', data, internal: { journal, readonly } })
  }

  /** The store, locked, and whether another may believe to have the lock. It lets go of the lock when it has closed. */
  async #opened(
    name: string,
    id: string,
    { readonly, takeover, rescue }: Pick<Acquire, 'readonly' | 'takeover' | 'rescue'>,
  ): Promise<{ store: Store; contested: boolean }> {
    const { host, vfs, timer, entropy, writersWait } = this.#options
    const { Store } = await loaded(this.#options, import('../fs/tmpfs/store.ts'))
    let store: Store | undefined
    const lost = () => store?.lose()
    const lock = readonly ? NO_LOCK : await host.lock(id, { takeover, lost })
    if (!lock)
      throw new ErrnoError(
        'EBUSY',
        name,
        `the volume "${name}" is in use in another tab: mount it with "ro" to read what it has committed, or with "takeover"`,
      )
    const { unlock, contested } = lock
    const records = host.open(id)
    const onDirty = (dirty: boolean) => this.#setDirty(id, dirty)
    try {
      const options = { name, records, clock: vfs.clock, timer, entropy, writersWait, onDirty }
      store = await Store.open(options, { readonly, rescue })
    } catch (error) {
      await records.close()
      unlock()
      throw error
    }
    store.closed.then(unlock, unlock)
    return { store, contested }
  }

  #setDirty(id: string, dirty: boolean): void {
    const before = this.dirty
    if (dirty) this.#dirty.add(id)
    else this.#dirty.delete(id)
    if (before !== this.dirty) this.onDirty(this.dirty)
  }

  /** One after the other for each volume; what was before may have failed. */
  async #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#open.has(id) && !this.#isClosing(id) ? undefined : this.#changing.get(id)
      if (!before) break
      await before.catch(() => {})
      if (this.#changing.get(id) === before) this.#changing.delete(id)
    }
    const turn = work()
    if (!this.#open.has(id)) this.#changing.set(id, turn)
    return turn
  }

  #isClosing(id: string): boolean {
    const superblock = this.#open.get(id)?.superblock
    return superblock?.views.size === 0 && superblock.opens === 0
  }

  async #idOf(name: string, make: boolean): Promise<string> {
    for (;;) {
      const volumes = await this.#catalogue()
      const known = volumes.get(name)
      if (known !== undefined) return known
      for (const [each, id] of volumes)
        if (id === undefined)
          throw new ErrnoError(
            'EIO',
            name,
            `the catalogue of volumes is damaged at "${each}"${each === name ? '' : `, which may have been "${name}"`}`,
          )
      if (!make) throw new ErrnoError('ENOENT', name, `there is no volume "${name}"`)
      const id = newId(this.#options.entropy)
      if (await this.#options.host.enter(new Map([[name, entryOf(name, id)]]), new Map([[name, undefined]]))) return id
    }
  }

  /** Begins to commit what there is. */
  flush(): void {
    for (const { store } of this.#open.values()) store.flush()
  }

  /** Nothing more is committed. */
  abandon(): void {
    for (const { store } of this.#open.values()) store.lose()
  }

  /** Resolves when all that was written by now is on disk, or can't be: whoever asked for it is told. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map(({ store }) => store.settled()))
  }

  /** The ids of volumes by their names; undefined where the entry is damaged. */
  async #catalogue(): Promise<ReadonlyMap<string, string | undefined>> {
    const entries = await this.#options.host.catalogue()
    return new Map([...entries].map(([name, entry]) => [name, idIn(name, entry)]))
  }

  /** The ids of volumes by their names. */
  async ids(): Promise<ReadonlyMap<string, string>> {
    return new Map([...(await this.#catalogue())].flatMap(([name, id]) => (id === undefined ? [] : [[name, id]])))
  }

  /** As settled, for some volumes by their ids. Errors: why not all of one is on disk. */
  async commit(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#open.get(id)?.store.settled()))
  }

  /** Resolves when the volumes that nothing shows any more are closed. Errors: why not all of one is on disk. */
  async closed(): Promise<void> {
    const closing = [...this.#open.values()].filter(
      ({ superblock }) => superblock.views.size === 0 && superblock.opens === 0,
    )
    await Promise.all(closing.map(({ store }) => store.closed))
  }

  readonly calls: Answers<VolumeCalls> = {
    list: async (): Promise<VolumeInfo[]> =>
      [...(await this.#catalogue())].map(([name, id]) =>
        id === undefined ? { name, mounted: false, damaged: true } : { name, mounted: this.#open.has(id) },
      ),
    usage: (name): Promise<VolumeUsage> =>
      this.#with(name, true, ({ usage: { stored, live, inodes }, damage }) => ({
        bytes: live,
        storedBytes: stored,
        files: inodes,
        damage,
      })),
    rename: async (from, to) => {
      const id = await this.#idOf(checkName(from), false)
      const expected = new Map([
        [from, entryOf(from, id)],
        [checkName(to), undefined],
      ])
      const changes = new Map([
        [from, undefined],
        [to, entryOf(to, id)],
      ])
      if (!(await this.#options.host.enter(changes, expected)))
        throw new ErrnoError('EEXIST', to, `there is a volume "${to}"`)
    },
    delete: async (name) => {
      if (await this.#deletedDamaged(name)) return
      const id = await this.#idOf(checkName(name), false)
      await this.#inTurn(id, async () => {
        const { host } = this.#options
        const lock = this.#open.has(id) ? undefined : await host.lock(id, { takeover: false, lost: () => {} })
        if (!lock) throw new ErrnoError('EBUSY', name, `the volume "${name}" is in use`)
        try {
          await host.enter(new Map([[name, undefined]]), new Map([[name, entryOf(name, id)]]))
          await host.remove(id)
        } finally {
          lock.unlock()
        }
      })
    },
    persist: () => this.#options.host.persist(),
    estimate: () => this.#options.host.estimate(),
    snapshots: (name): Promise<VolumeSnapshot[]> => this.#with(name, true, (store) => store.snapshots),
    takeSnapshot: (name, snapshot) =>
      this.#with(name, false, (store) => store.takeSnapshot(checkName(snapshot, 'snapshot'))),
    deleteSnapshot: (name, snapshot) => this.#with(name, false, (store) => store.deleteSnapshot(snapshot)),
    rollBack: (name, snapshot) =>
      this.#with(name, false, (store) => {
        if ([...this.#open.values()].some((open) => open.store === store))
          throw new ErrnoError(
            'EBUSY',
            name,
            `the volume "${name}" is mounted: delete the containers that show it first`,
          )
        return store.rollBack(snapshot)
      }),
  }

  /** Whether the name's entry was damaged, and is gone. */
  async #deletedDamaged(name: string): Promise<boolean> {
    const { host } = this.#options
    const entry = (await host.catalogue()).get(name)
    if (entry === undefined || idIn(name, entry) !== undefined) return false
    return host.enter(new Map([[name, undefined]]), new Map([[name, entry]]))
  }

  /** Does something with the store of a volume: the one that is open, or one that is opened for it. */
  async #with<T>(name: string, readonly: boolean, work: (store: Store) => T | Promise<T>): Promise<T> {
    const id = await this.#idOf(checkName(name), false)
    return this.#inTurn(id, async () => {
      const open = this.#open.get(id)
      if (open) return work(open.store)
      const { store, contested } = await this.#opened(name, id, { readonly, takeover: false, rescue: readonly })
      const mount = this.#options.vfs.newMount(this.#filled(store, ''))
      try {
        if (!store.readonly) await store.claim({ contested })
        return await work(store)
      } finally {
        this.#options.vfs.discard(mount)
        await store.closed.catch(() => {})
      }
    })
  }
}
