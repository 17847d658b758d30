/**
 * Random work on a kept tmpfs, stopped at every transaction in every way, and opened again: what is found must be the state of
 * one moment, no earlier than the last fsync that returned. The oracle is a tmpfs in memory that does the same.
 *
 * RUNTAB_CRASH_WORKLOADS sets how many workloads there are (300 take three minutes).
 */
import { expect, test } from 'vitest'
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_RDWR, RENAME_EXCHANGE } from '../../abi/linux.ts'
import { pictureOf } from '../../testing/conformance/picture.ts'
import { type Actor, outcome } from '../../testing/host-world.ts'
import { KeptFiles } from '../../testing/kept-files.ts'
import { type Fate, MemoryStore } from '../../testing/memory-store.ts'
import { TestClock } from '../../testing/overlays.ts'

const WORKLOADS = Number(process.env.RUNTAB_CRASH_WORKLOADS ?? 6)

type Step = ((actor: Actor) => void) | 'fsync' | 'flush' | 'snapshot'

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
  const steps: Step[] = []
  for (let i = 0; i < 40; i++) {
    const [from, to, size, at] = [name(), name(), random(big ? 300_000 : 3000), random(big ? 200_000 : 2000)]
    const kind = random(13)
    if (kind === 0) steps.push('fsync')
    else if (kind === 1) steps.push('flush')
    else if (kind === 2) steps.push((actor) => actor.mkdir(['d', 'e', 'd/b'][at % 3]!))
    else if (kind === 3)
      steps.push(({ task }) => task.renameat2(AT_FDCWD, from, AT_FDCWD, to, at % 5 === 0 ? RENAME_EXCHANGE : 0))
    else if (kind === 4) steps.push(({ task }) => task.unlinkat(AT_FDCWD, from, 0))
    else if (kind === 5) steps.push(({ task }) => task.unlinkat(AT_FDCWD, from, AT_REMOVEDIR))
    else if (kind === 6) steps.push(({ task }) => task.linkat(AT_FDCWD, from, AT_FDCWD, to, 0))
    else if (kind === 7) steps.push(({ task }) => task.truncate(from, at))
    else if (kind === 8) steps.push((actor) => actor.chmod(from, at & 0o777))
    else if (kind === 9) steps.push((actor) => actor.host.setxattr(from, 'user.x', new Uint8Array(size % 50), 0))
    else
      steps.push((actor) => {
        const fd = actor.open(from, O_RDWR | O_CREAT)
        actor.task.pwritev(fd, new Uint8Array(size).fill(i + 1), [0, size], at)
        actor.task.close(fd)
      })
  }
  steps.push('fsync')
  return steps
}

const settle = async () => {
  for (let turn = 0; turn < 12; turn++) await undefined
}

interface Outcome {
  readonly records: MemoryStore
  /** The state after each step, from before the first one on. */
  readonly states: readonly string[]
  /** States before this one may not be found. */
  readonly durable: number
  readonly transactions: number
}

async function run(steps: readonly Step[], fate: (nth: number) => Fate): Promise<Outcome> {
  const records = new MemoryStore()
  const clock = new TestClock()
  const files = await KeptFiles.open(records, { clock, cacheBytes: 100_000 })
  await files.sync()
  const before = records.transactions
  records.fate = (nth) => fate(nth - before)
  const states = [pictureOf(files.filesystem)]
  let durable = 0
  for (const step of steps) {
    clock.now += 1000n
    if (step === 'flush') files.store.flush()
    else if (step === 'fsync') {
      const asked = states.length - 1
      const synced = files.sync().then(
        () => {
          durable = Math.max(durable, asked)
        },
        (error) => expect(error.code).toMatch(/EIO|ENOSPC/),
      )
      const stopped = (async () => {
        for (let i = 0; i < 200 && !records.stopped; i++) await undefined
        await settle()
      })()
      await Promise.race([synced, stopped])
    } else if (typeof step === 'function') outcome(() => step(files.actor))
    if (step === 'flush') await undefined
    states.push(pictureOf(files.filesystem))
    if (records.stopped) break
  }
  await settle()
  return { records, states, durable, transactions: records.transactions - before }
}

async function check({ records, states, durable }: Outcome, what: string): Promise<void> {
  const store = new MemoryStore(records.records)
  const files = await KeptFiles.open(store)
  const found = pictureOf(files.filesystem)
  const index = states.lastIndexOf(found)
  if (index < durable) expect(found, `${what}: the state after step ${durable} or later`).toBe(states[durable])
  // And it works on.
  files.actor.write('/afterwards', 'x')
  await files.close()
  const again = await KeptFiles.open(new MemoryStore(records.records))
  expect(again.actor.read('/afterwards')).toBe('x')
}

test(`after a stop or a failure at any transaction of ${WORKLOADS} workloads, the files are those of one moment, and no fsync was for nothing`, {
  timeout: 1_000_000,
}, async () => {
  let runs = 0
  for (let seed = 1; seed <= WORKLOADS; seed++) {
    const steps = workload(seed)
    const whole = await run(steps, () => 'done')
    expect(whole.durable).toBe(whole.states.length - 2)
    await check(whole, `workload ${seed}`)
    for (let nth = 0; nth < whole.transactions; nth++) {
      for (const fate of ['stop', 'stop behind', 'failed', 'full'] as const) {
        const ended = await run(steps, (each) => (each === nth ? fate : 'done'))
        await check(ended, `workload ${seed}, ${fate} at transaction ${nth}`)
        runs++
      }
    }
  }
  expect(runs).toBeGreaterThan(WORKLOADS * 10)
})
