/**
 * Where what is kept lies: in the storage of the site, or in a Storage Bucket (https://wicg.github.io/storage-buckets/), which has a
 * quota of its own, and which the browser clears, or not, by itself.
 */

import { ErrnoError } from '../abi/errno.ts'

/** Of StorageManager and StorageBucket what is used here. Browsers leave out what is for secure pages only, or for pages. */
export interface SiteStorage {
  readonly indexedDB: IDBFactory
  persist?(): Promise<boolean>
  estimate?(): Promise<StorageEstimate>
}

export function storageOfSite(): SiteStorage {
  // Hosts that are no browsers have neither: what wants to keep something is told so.
  const { indexedDB, navigator = {} } = globalThis as unknown as {
    indexedDB: IDBFactory
    navigator?: Partial<NavigatorStorage>
  }
  const { storage } = navigator
  return {
    indexedDB,
    persist: async () => (await storage?.persist?.()) ?? false,
    estimate: async () => (await storage?.estimate?.()) ?? {},
  }
}

/**
 * The bucket of that name, as whoever opened it first wished it to be; a new one has no limits of its own.
 * Errors: EOPNOTSUPP where the browser has no buckets; EINVAL for a name that it does not take.
 */
export async function storageBucket(name: string): Promise<SiteStorage> {
  const { storageBuckets } = navigator as { storageBuckets?: { open(name: string): Promise<SiteStorage> } }
  if (!storageBuckets) {
    const rule = 'this browser has no Storage Buckets, or has them on secure pages only'
    throw new ErrnoError('EOPNOTSUPP', undefined, `storageBucket "${name}": ${rule}`)
  }
  return storageBuckets.open(name).catch((failure) => {
    throw new ErrnoError('EINVAL', undefined, `storageBucket "${name}": ${failure.message}`)
  })
}
