/** A tmpfs that is kept in a store, and a superuser at work in it, for tests: to be closed, or left as in a crash, and opened again. */

import type { Timer } from '../abi/platform.ts'
import type { KeyValueStore } from '../fs/tmpfs/key-value-store.ts'
import { Store, type StoreOptions } from '../fs/tmpfs/store.ts'
import type { Tmpfs } from '../fs/tmpfs/tmpfs.ts'
import { untilDone } from '../kernel/attempts.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import { type Mount, type MountNamespace, VirtualDentry } from '../vfs/mount.ts'
import { releaseNamespace } from '../vfs/mount-tree.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { Attempt } from '../vfs/waiting.ts'
import { Actor } from './host-world.ts'
import { type TestClock, testVfs } from './overlays.ts'

/** Time does not pass by itself: commits are begun by who asks for them. */
export const NO_TIMER: Timer = { at: () => () => {} }

export interface KeptOptions extends Partial<Pick<StoreOptions, 'writersWait' | 'onDirty' | 'timer'>> {
  readonly clock?: TestClock
  readonly vfs?: Vfs
  readonly readonly?: boolean
  readonly rescue?: boolean
  /** Who had it before may be there still. */
  readonly contested?: boolean
  /** Options of the tmpfs. */
  readonly data?: string
}

let lastByte = 0

/** Opens a store as a volume is opened. */
export async function openStore(records: KeyValueStore, vfs: Vfs, options: KeptOptions = {}) {
  const { readonly = false, rescue = false, contested = true, data = 'mode=755', timer = NO_TIMER, ...rest } = options
  const entropy = { fill: (bytes: Uint8Array) => void bytes.fill(++lastByte) }
  const settings = { name: 'test', records, clock: vfs.clock, entropy, timer, ...rest }
  const store = await Store.open(settings, { readonly, rescue })
  const internal = { journal: store.journal, readonly: store.readonly }
  const superblock = vfs.newFilesystem({ type: 'tmpfs', data, internal })
  if (!store.readonly) await store.claim({ contested })
  return { store, superblock }
}

export class KeptFiles {
  readonly store: Store
  readonly filesystem: Tmpfs
  readonly actor: Actor
  readonly #vfs: Vfs
  readonly #mount: Mount
  readonly #namespace: MountNamespace

  private constructor(vfs: Vfs, store: Store, mount: Mount) {
    this.#vfs = vfs
    this.store = store
    this.filesystem = mount.superblock.filesystem as Tmpfs
    this.#mount = mount
    this.#namespace = vfs.newNamespace(mount)
    const root = new VirtualDentry(mount, mount.root)
    this.actor = new Actor(new Task({ vfs, credentials: credentialsOf(0, 0), root, umask: 0 }))
  }

  static async open(records: KeyValueStore, options: KeptOptions = {}): Promise<KeptFiles> {
    const vfs = options.vfs ?? testVfs(options.clock)
    const { store, superblock } = await openStore(records, vfs, options)
    return new KeptFiles(vfs, store, vfs.newMount(superblock))
  }

  get task(): Task {
    return this.actor.task
  }

  get vfs(): Vfs {
    return this.#vfs
  }

  get mount(): Mount {
    return this.#mount
  }

  /** fsync of the whole. */
  sync(): Promise<void> {
    const attempt = new Attempt()
    const waiting = { clock: this.#vfs.clock, timer: NO_TIMER }
    return untilDone(
      waiting,
      () => this.filesystem.sync(attempt),
      () => attempt.end(),
    )
  }

  /** Unmounts, and resolves when all is on disk. */
  async close(): Promise<void> {
    this.task.release()
    releaseNamespace(this.#namespace)
    await this.store.closed
  }
}
