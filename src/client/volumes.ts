/** `sandbox.volumes`: the trees of files that outlive a sandbox, by their names. */

import type { StorageEstimate, VolumeCall, VolumeCalls, VolumeInfo, VolumeSnapshot, VolumeUsage } from '../abi/wire.ts'
import type { Kernel } from './kernel.ts'

export class Volumes {
  readonly #kernel: Kernel
  readonly #bucket: string | undefined

  /** @internal */
  constructor(kernel: Kernel, bucket: string | undefined) {
    this.#kernel = kernel
    this.#bucket = bucket
  }

  #call<Call extends VolumeCall>(call: Call, ...args: Parameters<VolumeCalls[Call]>) {
    return this.#kernel.call('volume', [call, args]) as Promise<ReturnType<VolumeCalls[Call]>>
  }

  /** All volumes of the site. */
  list(): Promise<VolumeInfo[]> {
    return this.#call('list')
  }

  /** What it holds and takes, in bytes. Rejects with ENOENT. */
  usage(name: string): Promise<VolumeUsage> {
    return this.#call('usage', name)
  }

  /** Gives it another name, also while it is mounted. Rejects with ENOENT; EEXIST where there is a volume of the new name. */
  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', from, to)
  }

  /** Deletes it with its snapshots. Rejects with ENOENT; EBUSY while it is mounted, here or in another tab. */
  delete(name: string): Promise<void> {
    return this.#call('delete', name)
  }

  /** Asks the browser not to clear the site's data, or its bucket, when space is short; whether it will not. It may ask the user. */
  async persist(): Promise<boolean> {
    const { storage, storageBuckets } = navigator as Navigator & {
      storageBuckets?: { open(name: string): Promise<StorageManager> }
    }
    const ours = this.#bucket === undefined ? storage : await storageBuckets?.open(this.#bucket)
    // Only a page may ask the user.
    return ours?.persist?.() ?? this.#call('persist')
  }

  /** What the whole site, or its bucket, takes and may take, in bytes. */
  estimate(): Promise<StorageEstimate> {
    return this.#call('estimate')
  }

  /** Its snapshots. Rejects with ENOENT. */
  snapshots(name: string): Promise<VolumeSnapshot[]> {
    return this.#call('snapshots', name)
  }

  /** Keeps its files as they are now; what has changed is committed first. Rejects with EEXIST; EBUSY if another tab has it. */
  takeSnapshot(name: string, snapshot: string): Promise<void> {
    return this.#call('takeSnapshot', name, snapshot)
  }

  /** Its files are again what they were; the snapshot stays. Rejects with ENOENT; EBUSY while it is mounted. */
  rollBack(name: string, snapshot: string): Promise<void> {
    return this.#call('rollBack', name, snapshot)
  }

  /** Rejects with ENOENT; EBUSY if another tab has the volume. */
  deleteSnapshot(name: string, snapshot: string): Promise<void> {
    return this.#call('deleteSnapshot', name, snapshot)
  }
}
