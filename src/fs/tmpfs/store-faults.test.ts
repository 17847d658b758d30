/** What a commit, a failure of it, the cleaner and a full disk may do to each other in a store. */
import { expect, test } from 'vitest'
import { AT_FDCWD, O_RDWR } from '../../abi/linux.ts'
import { outcome } from '../../testing/host-world.ts'
import { KeptFiles } from '../../testing/kept-files.ts'
import { MemoryStore } from '../../testing/memory-store.ts'
import { carriedBy } from './records.ts'

const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error) => error.message,
  )
const turns = async (n = 200) => {
  for (let i = 0; i < n; i++) await undefined
}
const sizeOf = (r: MemoryStore) =>
  [...r.records.values()].reduce((s, v) => s + (v instanceof Uint8Array ? v.length : v.size), 0)
function content({ actor, task }: KeptFiles, path: string, n = 12): string {
  let text = ''
  const end = outcome(() => {
    const fd = actor.open(path)
    try {
      text = actor.get(fd, n)
    } finally {
      task.close(fd)
    }
  })
  return end === 'ok' ? text : end
}
function over({ actor, task }: KeptFiles, path: string, bytes: Uint8Array) {
  const fd = actor.open(path, O_RDWR)
  task.pwritev(fd, bytes, [0, bytes.length], 0)
  task.close(fd)
}

test('a record of the log that carries what a file is on disk stays, though the file changes and finds no room', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false })
  files.actor.write('f', 'synced'.repeat(2000))
  await files.sync()
  files.store.flush() // an idle checkpoint
  over(files, 'f', new Uint8Array(300_000).fill(120)) // while it is under way
  await turns()
  expect([...records.records.keys()].some((k) => k.startsWith('chunk'))).toBe(true)
  records.quota = sizeOf(records) + 50_000
  expect(await failure(files.sync())).toMatch(/^ENOSPC/)
  const crashed = await KeptFiles.open(new MemoryStore(new Map(records.records)))
  expect(content(crashed, 'f')).toBe('syncedsynced')
})

test('where a page that the cleaner moves changes, and neither finds room, it stays where it was on disk', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false, data: 'mode=755,cacheBytes=1m' })
  for (let i = 0; i < 4; i++) {
    files.actor.write(`f${i}`, `synced${i}`.repeat((262_144 / 7) | 0))
    files.actor.write(`g${i}`, 'g'.repeat(1_700_000))
    await files.sync()
  }
  for (let i = 0; i < 4; i++) files.task.unlinkat(AT_FDCWD, `g${i}`, 0)
  records.fate = (_, changes) =>
    changes.some(({ key, value }) => key.startsWith('segment') && value) ? 'full' : 'done'
  files.store.flush()
  for (let i = 0; i < 4; i++) over(files, `f${i}`, new Uint8Array(262_144).fill(120))
  await turns(400)
  const crashed = await KeptFiles.open(new MemoryStore(new Map(records.records)))
  expect([0, 1, 2, 3].map((i) => content(crashed, `f${i}`, 7))).toEqual(['synced0', 'synced1', 'synced2', 'synced3'])
})

test('small segments that snapshots need are no reason to clean for ever', async () => {
  const records = new MemoryStore()
  let due: (() => void)[] = []
  const timer = {
    at: (_: bigint, call: () => void) => {
      due.push(call)
      return () => {
        due = due.filter((c) => c !== call)
      }
    },
  }
  const files = await KeptFiles.open(records, { contested: false, timer })
  const some = async (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      files.actor.write(`f${i}`, 'text')
      await files.sync()
    }
  }
  await some(0, 250)
  await files.store.takeSnapshot('a')
  await some(250, 256)
  await files.store.takeSnapshot('b')
  await some(256, 258)
  let rounds = 0
  for (; rounds < 2000 && due.length > 0; rounds++) {
    const now = due
    due = []
    for (const c of now) c()
    await turns(40)
  }
  expect(rounds).toBeLessThan(100)
})

test('an fsync that waits for the cleaner returns, though what that has asked for does not come', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false })
  for (let i = 0; i < 4; i++) {
    files.actor.write(`f${i}`, `synced${i}`.repeat((262_144 / 7) | 0))
    files.actor.write(`g${i}`, 'g'.repeat(1_700_000))
    await files.sync()
  }
  const rejects: (() => void)[] = []
  records.fetch = () => new Promise((_, reject) => rejects.push(() => reject(new Error('NotReadableError'))))
  for (let i = 0; i < 4; i++) files.task.unlinkat(AT_FDCWD, `g${i}`, 0)
  await files.sync()
  expect(rejects.length).toBeGreaterThan(0)
  expect(files.store.dirty).toBe(true)
  let state = 'waiting'
  const sync = files.sync().then(() => {
    state = 'done'
  })
  await turns()
  for (const r of rejects) r()
  await turns(1000)
  expect(state).toBe('done')
  await sync
})

test('a bit that flips in what a record says that stays for its pages costs none of them, and the record stays', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false })
  files.actor.write('f', 'synced'.repeat(2000))
  await files.sync()
  files.store.flush()
  await turns()
  for (let i = 0; i < 3; i++) {
    files.actor.write('g', String(i))
    await files.sync()
  }
  await files.close()
  const key = [...records.records].find(
    ([k, v]) => k.startsWith('log/') && (carriedBy(k, v)?.bytes.length ?? 0) > 10_000,
  )![0]
  const bytes = (records.records.get(key) as Uint8Array).slice()
  bytes[50]! ^= 1
  records.records.set(key, bytes)
  const again = await KeptFiles.open(records, { contested: false })
  expect(content(again, 'f')).toBe('syncedsynced')
  expect([again.store.damage, records.records.has(key)]).toEqual([[], true])
  await again.close()
})

test('on a full disk files are removed and space is freed, though only the cleaner could', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false, data: 'mode=755,cacheBytes=1m' })
  await files.store.reserve()
  for (let i = 0; i < 8; i++) {
    files.actor.write(`f${i}`, `synced${i}`.repeat((524_288 / 7) | 0))
    files.actor.write(`g${i}`, 'g'.repeat(1_500_000))
    await files.sync()
  }
  records.quota = sizeOf(records) + 50_000
  for (let i = 0; i < 8; i++) files.task.unlinkat(AT_FDCWD, `g${i}`, 0)
  const out: string[] = []
  for (let i = 0; i < 6; i++) {
    out.push(await failure(files.sync()))
    files.actor.write('small', String(i))
  }
  expect(out.at(-1)).toBe('done')
  const { stored, live } = files.store.usage
  expect(stored).toBeLessThan(2 * live)
})

test('a full volume is mounted, so that files in it can be removed: the reserve makes way', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false })
  await files.store.reserve()
  files.actor.write('old', 'o'.repeat(1 << 20))
  await files.close()
  records.quota = sizeOf(records)
  const store = new MemoryStore(records.records)
  store.quota = records.quota
  const result = await failure(KeptFiles.open(store, { contested: false }))
  expect(result).toBe('done')
})
