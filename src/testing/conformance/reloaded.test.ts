/**
 * The conformance suite on volumes: a tmpfs that is kept in a store, and overlays whose upper is one. In the middle of each spec the
 * store is closed and opened again, and the spec goes on there; and what it leaves is there after one more time. Numbers, cookies
 * and times are what they were.
 */

import { describe, expect, test } from 'vitest'
import { Store } from '../../fs/tmpfs/store.ts'
import type { Filesystem } from '../../vfs/inode.ts'
import type { Superblock } from '../../vfs/mount.ts'
import { releaseTree } from '../../vfs/mount-tree.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { NO_TIMER } from '../kept-files.ts'
import { MemoryStore } from '../memory-store.ts'
import { TestClock } from '../overlays.ts'
import { specs } from './all.ts'
import { ground, KernelArena } from './arenas.ts'
import { canRun } from './conforms.ts'
import { pictureOf } from './picture.ts'
import type { Arena, Spec, Subject } from './spec.ts'
import { overlayOverAll, overlayOverNothing, tmpfs } from './subjects.ts'
import { Tape } from './tape.ts'
import { User } from './user.ts'

const entropy = { fill: (bytes: Uint8Array) => void bytes.fill(7) }

interface Opened {
  readonly arena: Arena
  /** All that is shown. */
  picture(): string
  close(): Promise<void>
}

/** What of a volume a spec runs on: itself, or an overlay of it over nothing, or over what the spec is given. */
type Shown = 'itself' | 'over nothing' | 'over what is given'

/** One volume, and what lies below it, which stays. */
class Volume {
  readonly #records = new MemoryStore()
  readonly #shown: Shown
  readonly #data: string
  readonly #below: { readonly arena: KernelArena; readonly filesystem: Filesystem } | undefined

  constructor(spec: Spec, shown: Shown) {
    this.#shown = shown
    this.#data = `mode=755,nr_inodes=100000,${spec.data ?? ''}`
    if (shown === 'itself') return
    let filesystem!: Filesystem
    const arena = new KernelArena((vfs) => {
      const superblock = vfs.newFilesystem({ type: 'tmpfs', data: this.#data })
      filesystem = superblock.filesystem
      return ground(vfs, superblock)
    }, '')
    this.#below = { arena, filesystem }
  }

  /** Makes what the spec is given, in the volume if there is nothing below it. */
  async give({ given }: Spec): Promise<void> {
    const to = this.#shown === 'over what is given' ? this.#below : undefined
    if (to) given?.(new User(to.arena.task({ uid: 0 })))
    else await this.opened(async ({ arena }) => given?.(new User(arena.task({ uid: 0 }))))
  }

  /** Opens it for a while. Gives how it looked when it was opened, and before it was closed. */
  async opened(work: (opened: Opened) => Promise<void>): Promise<{ readonly before: string; readonly after: string }> {
    const opened = await this.#open()
    const before = opened.picture()
    await work(opened)
    const after = opened.picture()
    await opened.close()
    return { before, after }
  }

  async #open(): Promise<Opened> {
    const settings = { name: 'test', records: this.#records, clock: new TestClock(), timer: NO_TIMER, entropy }
    const store = await Store.open(settings)
    let shown!: Filesystem
    const arena = new KernelArena((vfs) => {
      const internal = { journal: store.journal, readonly: false }
      const superblock = this.#over(vfs, vfs.newFilesystem({ type: 'tmpfs', data: this.#data, internal }))
      shown = superblock.filesystem
      return ground(vfs, superblock)
    }, '')
    await store.claim({ contested: true })
    return {
      arena,
      picture: () => (this.#below ? unordered : String)(pictureOf(shown, [], true)),
      async close() {
        arena.end()
        await store.closed
      },
    }
  }

  #over(vfs: Vfs, kept: Superblock): Superblock {
    if (!this.#below) return kept
    const upper = vfs.newMount(kept)
    return vfs.newFilesystem({
      type: 'overlay',
      internal: {
        upper: upper.root.inode,
        lowers: [this.#below.filesystem.root],
        release: () => releaseTree(upper),
      },
    })
  }

  end(): void {
    this.#below?.arena.end()
  }
}

/** A picture without the order of names: a merged directory, mounted anew, may list them in another one, as on Linux. */
const unordered = (picture: string) =>
  picture
    .split('\n')
    .filter((line) => !/ at \d+$/.test(line))
    .sort()
    .join('\n')

const middles = new Map<Spec, number>()

/** The middle call of those at which a spec can be stopped. */
function middleOf(spec: Spec): number {
  const known = middles.get(spec)
  if (known !== undefined) return known
  const arena = tmpfs.arena(spec.data)
  spec.given?.(new User(arena.task({ uid: 0 })))
  const tape = new Tape()
  tape.run(arena, spec)
  arena.end()
  const middle = tape.quiet[tape.quiet.length >> 1] ?? 0
  middles.set(spec, middle)
  return middle
}

const subjects: readonly (readonly [Shown, Subject])[] = [
  ['itself', tmpfs],
  ['over nothing', overlayOverNothing],
  ['over what is given', overlayOverAll],
]

let stoppedWithin = 0

describe.each(subjects)('conformance of a volume, %s, that is closed and opened again', (shown, subject) => {
  const differs = ({ name }: Spec) => Object.keys(subject.differences ?? {}).some((start) => name.startsWith(start))
  for (const spec of specs.filter((spec) => canRun(subject, spec) && !differs(spec)))
    test(spec.name, async () => {
      const stop = middleOf(spec)
      if (stop > 0) stoppedWithin++
      const volume = new Volume(spec, shown)
      const tape = new Tape()
      await volume.give(spec)
      const first = await volume.opened(async ({ arena }) => tape.run(arena, spec, stop))
      const second = await volume.opened(async ({ arena }) => tape.run(arena, spec))
      expect(second.before).toBe(first.after)
      const third = await volume.opened(async () => {})
      expect(third.before).toBe(second.after)
      volume.end()
    })
})

test('some of the specs are of so many calls that they can be stopped between two', () => {
  expect(stoppedWithin).toBeGreaterThan(400)
})
