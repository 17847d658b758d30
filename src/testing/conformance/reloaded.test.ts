/**
 * The conformance suite on a tmpfs that is kept in a store: what a spec is given is written, the store is closed and opened again,
 * and the spec goes on there; and what it leaves is there after one more time. Numbers, cookies and times are what they were.
 */

import { describe, expect, test } from 'vitest'
import { Store } from '../../fs/tmpfs/store.ts'
import type { Tmpfs } from '../../fs/tmpfs/tmpfs.ts'
import { NO_TIMER } from '../kept-files.ts'
import { MemoryStore } from '../memory-store.ts'
import { TestClock } from '../overlays.ts'
import { specs } from './all.ts'
import { ground, KernelArena } from './arenas.ts'
import { canRun, trialIn } from './conforms.ts'
import { pictureOf } from './picture.ts'
import { tmpfs } from './subjects.ts'
import { User } from './user.ts'

const entropy = { fill: (bytes: Uint8Array) => void bytes.fill(7) }

interface Opened {
  readonly arena: KernelArena
  /** All that is kept. */
  picture(): string
  close(): Promise<void>
}

async function open(records: MemoryStore, data: string | undefined): Promise<Opened> {
  const store = await Store.open({ name: 'test', records, clock: new TestClock(), timer: NO_TIMER, entropy })
  let filesystem!: Tmpfs
  const arena = new KernelArena((vfs, all) => {
    const internal = { journal: store.journal, readonly: false }
    const superblock = vfs.newFilesystem({ type: 'tmpfs', data: `mode=755,nr_inodes=100000,${all}`, internal })
    filesystem = superblock.filesystem as Tmpfs
    return ground(vfs, superblock)
  }, data ?? '')
  await store.claim()
  return {
    arena,
    picture: () => pictureOf(filesystem, [], true),
    async close() {
      arena.end()
      await store.closed
    },
  }
}

describe('conformance of a tmpfs that is closed and opened again', () => {
  for (const spec of specs.filter((spec) => canRun(tmpfs, spec)))
    test(spec.name, async () => {
      const records = new MemoryStore()
      const first = await open(records, spec.data)
      spec.given?.(new User(first.arena.task({ uid: 0 })))
      const given = first.picture()
      await first.close()
      const second = await open(records, spec.data)
      expect(second.picture()).toBe(given)
      spec.run(trialIn(second.arena))
      const left = second.picture()
      await second.close()
      const third = await open(records, spec.data)
      expect(third.picture()).toBe(left)
      await third.close()
    })
})
