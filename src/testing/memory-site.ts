/** What volumes need of a browser, in memory: a catalogue, databases and locks that outlive the kernels which use them. */

import { MemoryStore } from './memory-store.ts'

type Names = ReadonlyMap<string, string | undefined>

export class MemorySite {
  readonly names = new Map<string, string>()
  readonly databases = new Map<string, MemoryStore['records']>()
  readonly checkpoints: MemoryStore['records'] = new Map()
  /** Who holds a lock, by volume: what tells him that he has lost it. */
  readonly locks = new Map<string, () => void>()

  readonly host = {
    catalogue: async () => new Map(this.names),
    enter: async (changes: Names, expected: Names) => {
      for (const [name, id] of expected) if (this.names.get(name) !== id) return false
      for (const [name, id] of changes) {
        if (id === undefined) this.names.delete(name)
        else this.names.set(name, id)
      }
      return true
    },
    open: (id: string) => {
      const records = this.databases.get(id) ?? new Map()
      this.databases.set(id, records)
      return new MemoryStore(records)
    },
    checkpoints: () => new MemoryStore(this.checkpoints),
    remove: async (id: string) => void this.databases.delete(id),
    lock: async (id: string, { takeover, lost }: { takeover: boolean; lost: () => void }) => {
      const holder = this.locks.get(id)
      if (holder && !takeover) return undefined
      holder?.()
      this.locks.set(id, lost)
      const unlock = () => {
        if (this.locks.get(id) === lost) this.locks.delete(id)
      }
      return { unlock, contested: takeover }
    },
    persist: async () => true,
    estimate: async () => ({ usage: 1, quota: 2 }),
  }
}
