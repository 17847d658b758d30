/**
 * Random work on a kept tmpfs, stopped at every transaction in every way, and opened again: what is found must be the state of
 * one moment, no earlier than the last fsync that returned; a snapshot that was taken is there and rolls back to what it was taken
 * of, one that was deleted is not. The oracle is a tmpfs in memory that does the same.
 *
 * The store is that of a browser, on an IndexedDB in memory, where a crash takes the relaxed transactions behind the last strict one.
 * RUNTAB_CRASH_WORKLOADS sets how many workloads there are; `npm run crash:node` runs 300.
 */
import { afterAll, expect, test, vi } from 'vitest'
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_RDWR, RENAME_EXCHANGE } from '../../abi/linux.ts'
import { createVolumeHost } from '../../host/volumes.ts'
import { pictureOf } from '../../testing/conformance/picture.ts'
import { type Actor, outcome } from '../../testing/host-world.ts'
import { KeptFiles } from '../../testing/kept-files.ts'
import { MemoryDatabases } from '../../testing/memory-databases.ts'
import { type Fate, MemoryStore } from '../../testing/memory-store.ts'
import { TestClock } from '../../testing/overlays.ts'
import type { KeyValueStore } from './key-value-store.ts'
import { SMALL } from './pack.ts'

const WORKLOADS = Number(process.env.RUNTAB_CRASH_WORKLOADS ?? 5)

type Step = ((actor: Actor) => void) | 'fsync' | 'flush' | 'snapshot' | 'forget' | 'roll back'

function randomOf(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return ((state >>> 8) ^ (state & 0xff)) % below
  }
}

function workload(seed: number): Step[] {
  const random = randomOf(seed)
  const name = () => ['a', 'b', 'c', 'd/a', 'd/b', 'e/a', 'd', 'e'][random(8)]!
  const big = seed % 4 === 0
  // In some, the root has attributes that are so much log that a checkpoint begins.
  const heavy = seed % 3 === 2
  const steps: Step[] = []
  for (let i = 0; i < 40; i++) {
    const [from, to, size, at] = [name(), name(), random(big ? 300_000 : 3000), random(big ? 200_000 : 2000)]
    const kind = random(15)
    if (kind === 13) steps.push('snapshot')
    else if (kind === 14) steps.push(at % 3 === 0 ? 'forget' : 'snapshot')
    else if (kind === 0) steps.push('fsync')
    else if (kind === 1) steps.push('flush')
    else if (kind === 2) steps.push((actor) => actor.mkdir(['d', 'e', 'd/b'][at % 3]!))
    else if (kind === 3)
      steps.push(({ task }) => task.renameat2(AT_FDCWD, from, AT_FDCWD, to, at % 5 === 0 ? RENAME_EXCHANGE : 0))
    else if (kind === 4) steps.push(({ task }) => task.unlinkat(AT_FDCWD, from, 0))
    else if (kind === 5) steps.push(({ task }) => task.unlinkat(AT_FDCWD, from, AT_REMOVEDIR))
    else if (kind === 6) steps.push(({ task }) => task.linkat(AT_FDCWD, from, AT_FDCWD, to, 0))
    else if (kind === 7) steps.push(({ task }) => task.truncate(from, at))
    else if (kind === 8) steps.push((actor) => actor.chmod(from, at & 0o777))
    else if (kind === 9 && heavy)
      steps.push(({ host }) => {
        for (let each = 0; each < 9; each++) host.setxattr('/', `user.${each}`, new Uint8Array(65_536 - (i % 50)), 0)
      })
    else if (kind === 9) steps.push((actor) => actor.host.setxattr(from, 'user.x', new Uint8Array(size % 50), 0))
    else
      steps.push((actor) => {
        const fd = actor.open(from, O_RDWR | O_CREAT)
        actor.task.pwritev(fd, new Uint8Array(size).fill(i + 1), [0, size], at)
        actor.task.close(fd)
      })
  }
  steps.push('fsync')
  if (seed % 2) steps.push('roll back')
  return steps
}

const settle = async () => {
  for (let turn = 0; turn < 12; turn++) await undefined
}

/** A snapshot by its name: the state that it was taken of; whether it must be there, must not be there, or may be. */
interface Kept {
  readonly picture: string
  is: 'there' | 'gone' | 'open'
}

/** A volume's records as the host of a browser keeps them, but for Blobs, which nothing in Node reads within a call. */
function recordsIn(databases: MemoryDatabases): KeyValueStore {
  vi.stubGlobal('FileReaderSync', Object)
  const storage = { indexedDB: databases as unknown as IDBFactory }
  const records = createVolumeHost({ awaited: (work) => work, storage }).open('test')
  const { blob, read } = new MemoryStore()
  return Object.assign(records, { blob, read })
}

afterAll(() => vi.unstubAllGlobals())

interface Outcome {
  /** What was on disk at the end. */
  readonly records: MemoryStore['records']
  /** The state after each step, from before the first one on. */
  readonly states: readonly string[]
  /** States before this one may not be found. */
  readonly durable: number
  readonly snapshots: ReadonlyMap<string, Kept>
  readonly transactions: number
}

async function run(
  steps: readonly Step[],
  fate: (nth: number) => Fate,
  databases = new MemoryDatabases(),
): Promise<Outcome> {
  const clock = new TestClock()
  const files = await KeptFiles.open(recordsIn(databases), { clock, data: 'mode=755,cacheBytes=128k' })
  await files.sync()
  const before = databases.transactions
  databases.fate = (nth) => fate(nth - before)
  const states = [pictureOf(files.filesystem)]
  const snapshots = new Map<string, Kept>()
  let durable = 0
  /** Until it is done, has failed, or the machine has stopped. What had changed before is on disk, if it is done. */
  const waitFor = async (work: Promise<void>, index: number, done = () => {}) => {
    let isOver = false
    const ended = work
      .then(
        () => {
          durable = Math.max(durable, index)
          done()
        },
        (error) => expect(error.code).toMatch(/EIO|ENOSPC/),
      )
      .finally(() => {
        isOver = true
      })
    const stopped = (async () => {
      while (!isOver && !databases.stopped) await undefined
      await settle()
    })()
    await Promise.race([ended, stopped])
  }
  const oldest = () => [...snapshots].find(([, { is }]) => is === 'there')
  for (const step of steps) {
    clock.now += 1000n
    const now = states.length - 1
    const picture = states[now]!
    if (step === 'flush') files.store.flush()
    else if (step === 'fsync') await waitFor(files.sync(), now)
    else if (step === 'snapshot') {
      const kept: Kept = { picture, is: 'open' }
      const name = `s${snapshots.size}`
      snapshots.set(name, kept)
      await waitFor(files.store.takeSnapshot(name), now, () => {
        kept.is = 'there'
      })
    } else if (step === 'forget') {
      const [name, kept] = oldest() ?? []
      if (kept) {
        kept.is = 'open'
        await waitFor(files.store.deleteSnapshot(name!), now, () => {
          kept.is = 'gone'
        })
      }
    } else if (step === 'roll back') {
      const [name, kept] = oldest() ?? []
      if (kept) {
        states.push(kept.picture)
        await waitFor(files.store.rollBack(name!), now + 1)
      }
      break
    } else outcome(() => step(files.actor))
    if (step === 'flush') await undefined
    states.push(pictureOf(files.filesystem))
    if (databases.stopped) break
  }
  await settle()
  const records = databases.onDisk('runtab/volume/test')
  return { records, states, durable, snapshots, transactions: databases.transactions - before }
}

/** Of a picture all but the files that were ever larger than what a bare commit writes, and the blocks that are free. */
function withoutLarge(states: readonly string[]): (picture: string) => string {
  const size = (line: string) => Number(/^\/.*?: \d+ 100\d+ \d+ \d+ \d+ (\d+)/.exec(line)?.[1] ?? 0)
  const lines = states.flatMap((state) => state.split('\n'))
  const large = new Set(lines.filter((line) => size(line) > SMALL).map((line) => line.split(': ')[0]))
  const stays = (line: string) => !line.startsWith('free: ') && !large.has(line.split(': ')[0]!)
  return (picture) => picture.split('\n').filter(stays).join('\n')
}

/** Gives how many snapshots were rolled back to. `isBare`: what was committed last may be a bare commit (README, point 2). */
async function check({ records, states, durable, snapshots }: Outcome, what: string, isBare = false): Promise<number> {
  const copy = () => new MemoryStore(new Map(records))
  const store = copy()
  const files = await KeptFiles.open(store)
  const found = pictureOf(files.filesystem)
  const essence = isBare ? withoutLarge(states) : (picture: string) => picture
  const index = states.map(essence).lastIndexOf(essence(found))
  if (index < durable) expect(found, `${what}: the state after step ${durable} or later`).toBe(states[durable])
  const there = files.store.snapshots.map(({ name }) => name)
  for (const [name, { is, picture }] of snapshots) {
    if (is !== 'open') expect(there.includes(name), `${what}: snapshot ${name} is ${is}`).toBe(is === 'there')
    if (!there.includes(name)) continue
    const rolled = copy()
    await (await KeptFiles.open(rolled)).store.rollBack(name)
    const back = await KeptFiles.open(rolled)
    expect(pictureOf(back.filesystem), `${what}: snapshot ${name}`).toBe(picture)
  }
  // And it works on.
  files.actor.write('/afterwards', 'x')
  await files.close()
  const again = await KeptFiles.open(new MemoryStore(store.records))
  expect(again.actor.read('/afterwards')).toBe('x')
  return there.length
}

test(`after a stop or a failure at any transaction of ${WORKLOADS} workloads, the files are those of one moment, and no fsync was for nothing`, {
  timeout: WORKLOADS * 60_000,
}, async () => {
  let [runs, rolledBack] = [0, 0]
  for (let seed = 1; seed <= WORKLOADS; seed++) {
    const steps = workload(seed)
    const databases = new MemoryDatabases()
    const whole = await run(steps, () => 'done', databases)
    // Whichever of them an fsync depends on.
    expect(new Set(databases.durabilities)).toEqual(new Set(['strict']))
    // The last step is an fsync, or rolls back.
    expect(whole.durable).toBeGreaterThanOrEqual(whole.states.length - 2)
    await check(whole, `workload ${seed}`)
    for (let nth = 0; nth < whole.transactions; nth++) {
      const fates: readonly Fate[][] = [['stop'], ['stop behind'], ['failed'], ['full']]
      // A commit that finds no space may be followed by a bare one, which is tried but once.
      const inTwo: readonly Fate[][] =
        seed % 5 === 0
          ? [
              ['full', 'stop'],
              ['full', 'full'],
              ['full', 'done', 'full'],
            ]
          : []
      for (const fate of [...fates, ...inTwo]) {
        const ended = await run(steps, (each) => fate[each - nth] ?? 'done')
        const what = `workload ${seed}, ${fate.join(', then ')} at transaction ${nth}`
        rolledBack += await check(ended, what, fate.includes('done'))
        runs++
      }
    }
  }
  expect(runs).toBeGreaterThan(WORKLOADS * 10)
  expect(rolledBack).toBeGreaterThan(WORKLOADS * 10)
})

test('were the transactions relaxed, a crash would take what an fsync had returned for, and that would be found', async () => {
  const steps = workload(1)
  const { transactions } = await run(steps, () => 'done')
  const stopped = (nth: number) =>
    run(steps, (each) => (each === nth ? 'stop' : 'done'), new MemoryDatabases('relaxed'))
  await expect(stopped(transactions - 1).then((ended) => check(ended, 'relaxed'))).rejects.toThrow(
    /the state after step/,
  )
})
