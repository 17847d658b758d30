/** Volumes as the containers of a spec have them, on a host that keeps its records in memory. */
import { expect, onTestFinished, test } from 'vitest'
import { decodeRoot, encodeRoot, ROOT, type Root } from '../fs/tmpfs/records.ts'
import { bootWorld, treeOf } from '../host/world.ts'
import { MemorySite } from '../testing/memory-site.ts'
import type { MemoryStore } from '../testing/memory-store.ts'
import type { Runtime } from './runtime.ts'

const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error) => error.message,
  )

/** A site: tabs come and go, the databases stay. */
class Site extends MemorySite {
  tab() {
    const { runtime, close } = bootWorld({ volumes: this.host })
    onTestFinished(() => close().catch(() => {}))
    return runtime
  }
}

const work = (options: string[] = []) => ({
  mounts: [{ destination: '/work', type: 'tmpfs', source: 'volume:notes', options }],
})
const text = (words: string) => new TextEncoder().encode(words)
const write = (runtime: Runtime, path: string, words: string, id = 'c') =>
  runtime.files(id).writeFile(path, text(words), 0o1101, 0o644)
const read = async (runtime: Runtime, path: string, id = 'c') =>
  new TextDecoder().decode(await runtime.files(id).readFile(path))

test('a volume keeps its files from one sandbox to the next, and two containers share it', async () => {
  const site = new Site()
  const first = site.tab()
  await first.create('c', work(['size=64m']))
  await first.create('d', work())
  await write(first, '/work/f', 'some text')
  expect(await read(first, '/work/f', 'd')).toBe('some text')
  await first.files('c').sync()
  await first.delete('c', true)
  await write(first, '/work/g', 'more', 'd')
  await first.delete('d', true)
  const second = site.tab()
  expect(await second.volumes.calls.list()).toEqual([{ name: 'notes', mounted: false }])
  await second.create('c', work())
  expect([await read(second, '/work/f'), await read(second, '/work/g')]).toEqual(['some text', 'more'])
  expect(await second.volumes.calls.usage('notes')).toMatchObject({ files: 3, bytes: 13 })
  await second.shutdown()
  expect(site.locks.size).toBe(0)
})

test('an overlay keeps what changes over its lower layers, removals among it, under the same numbers', async () => {
  const site = new Site()
  const spec = {
    mounts: [{ destination: '/w', type: 'overlay', options: ['lowerdir=tools', 'upperdir=volume:mine'] }],
  }
  const boot = () => {
    const runtime = site.tab()
    runtime.provide('tools', treeOf({ a: 'A', 'd/b': 'B', 'd/c': 'C' }))
    return runtime
  }
  const first = boot()
  await first.create('c', spec)
  await write(first, '/w/a', 'changed')
  await first.files('c').unlink('/w/d/b')
  await write(first, '/w/d/new', 'N')
  const stats = (runtime: Runtime) =>
    Promise.all(['/w', '/w/a', '/w/d', '/w/d/c', '/w/d/new'].map((path) => runtime.files('c').stat(path)))
  const before = await stats(first)
  expect(await failure(first.create('e', spec))).toMatch(/^EBUSY.*mounts\[0\].*"mine".*in use in this sandbox/)
  await first.shutdown()
  const second = boot()
  await second.create('c', spec)
  const numbers = (all: Awaited<ReturnType<typeof stats>>) => all.map(({ ino, mode, size }) => ({ ino, mode, size }))
  expect(numbers(await stats(second))).toEqual(numbers(before))
  expect(await read(second, '/w/a')).toBe('changed')
  expect((await second.files('c').readdir('/w/d', false)).map(({ name }) => name).sort()).toEqual(['c', 'new'])
})

test('a second tab is told who is busy, may read what was committed, and may take over', async () => {
  const site = new Site()
  const [first, second] = [site.tab(), site.tab()]
  await first.create('c', work())
  await write(first, '/work/f', 'one')
  await first.files('c').sync()
  await write(first, '/work/f', 'two')
  expect(await failure(second.create('c', work()))).toMatch(
    /^EBUSY.*mounts\[0\].*"notes".*another tab.*"\/work"|^EBUSY.*mounts\[0\].*"notes" is in use in another tab/,
  )
  await second.create('r', work(['ro']))
  expect(await read(second, '/work/f', 'r')).toBe('one')
  expect(await failure(write(second, '/work/x', 'x', 'r'))).toMatch(/^EROFS/)
  await second.create('c', work(['takeover']))
  expect(await failure(first.files('c').sync())).toMatch(/^ESTALE.*"notes" has another owner/)
  expect(await read(first, '/work/f')).toBe('two')
  await write(second, '/work/f', 'three')
  await second.files('c').sync()
  await second.shutdown()
  const third = site.tab()
  await third.create('c', work())
  expect(await read(third, '/work/f')).toBe('three')
})

test('who takes a volume over has what its owner commits at that moment', async () => {
  const site = new Site()
  const opened: MemoryStore[] = []
  const { open } = site.host
  site.host.open = (id) => {
    const records = open(id)
    opened.push(records)
    return records
  }
  const [first, second] = [site.tab(), site.tab()]
  await first.create('c', work())
  await write(first, '/work/f', 'one')
  await first.files('c').sync()
  await write(first, '/work/f', 'two')
  let goOn = () => {}
  opened[0]!.gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const syncing = failure(first.files('c').sync())
  site.host.open = (id) => {
    site.host.open = open
    const records = open(id)
    const load = records.load.bind(records)
    records.load = async () => {
      const loaded = await load()
      goOn()
      await syncing
      return loaded
    }
    return records
  }
  await second.create('c', work(['takeover']))
  expect([await syncing, await read(second, '/work/f')]).toEqual(['done', 'two'])
})

test('volumes are renamed, deleted, snapshot and rolled back', async () => {
  const site = new Site()
  const runtime = site.tab()
  const { calls } = runtime.volumes
  await runtime.create('c', work())
  await write(runtime, '/work/f', 'before')
  await calls.takeSnapshot('notes', 'one')
  await write(runtime, '/work/f', 'after')
  expect(await failure(calls.rollBack('notes', 'one'))).toMatch(/^EBUSY.*mounted/)
  expect(await failure(calls.delete('notes'))).toMatch(/^EBUSY/)
  await runtime.delete('c', true)
  await calls.rollBack('notes', 'one')
  expect((await calls.snapshots('notes')).map(({ name }) => name)).toEqual(['one'])
  await calls.rename('notes', 'other')
  expect(await failure(calls.usage('notes'))).toMatch(/^ENOENT.*"notes"/)
  await calls.rename('other', 'notes')
  await runtime.create('c', work())
  expect(await read(runtime, '/work/f')).toBe('before')
  await runtime.delete('c', true)
  await calls.deleteSnapshot('notes', 'one')
  expect(await calls.snapshots('notes')).toEqual([])
  await calls.delete('notes')
  expect(await calls.list()).toEqual([])
  expect(site.databases.size).toBe(0)
  expect(await failure(runtime.create('d', work(['ro'])))).toMatch(/^ENOENT.*no volume "notes"/)
  expect(await failure(calls.delete('../x'))).toMatch(/^EINVAL/)
})

test('what is not on disk yet is told, and that it is', async () => {
  const site = new Site()
  const runtime = site.tab()
  const heard: boolean[] = []
  runtime.volumes.onDirty = (dirty) => heard.push(dirty)
  await runtime.create('c', work())
  await runtime.files('c').sync()
  heard.length = 0
  await write(runtime, '/work/f', 'x')
  expect(runtime.volumes.dirty).toBe(true)
  await runtime.files('c').sync()
  expect(heard).toEqual([true, false])
})

test('a volume with a damaged record is read-only, and says which; its files are EIO, in an overlay, too', async () => {
  const site = new Site()
  const over = (options: string[] = []) => ({
    mounts: [{ destination: '/w', type: 'overlay', options: ['lowerdir=tools', 'upperdir=volume:mine', ...options] }],
  })
  const boot = () => {
    const runtime = site.tab()
    runtime.provide('tools', treeOf({ last: 'the lower one', lower: 'L' }))
    return runtime
  }
  const first = boot()
  await first.create('c', over())
  await write(first, '/w/0', '0')
  await first.shutdown()
  const [records] = site.databases.values()
  const changeRoot = (change: Partial<Root>) =>
    records!.set(ROOT, encodeRoot({ ...decodeRoot(records!.get(ROOT)), ...change }))
  // The next file is inode 256 or more, and these are in a chunk that is not there then.
  changeRoot({ lastIno: 300 })
  const further = boot()
  await further.create('c', over())
  await write(further, '/w/last', 'mine')
  await further.shutdown()
  changeRoot({ chunks: new Map([['1', 99]]) })
  // Two megabytes take long to compare.
  records!.delete('reserve')
  const before = new Map(records)

  const second = boot()
  const { warnings } = await second.create('c', over())
  expect(warnings).toEqual([
    'mounts[0]: the volume "mine" is read-only: the record "chunk/0000000000000099" of the volume is missing',
  ])
  expect(await failure(read(second, '/w/last'))).toMatch(/^EIO.*chunk/)
  expect([await read(second, '/w/0'), await read(second, '/w/lower')]).toEqual(['0', 'L'])
  expect(await failure(write(second, '/w/0', 'new'))).toMatch(/^EROFS/)
  const { calls } = second.volumes
  expect((await calls.usage('mine')).damage).toEqual([expect.stringContaining('"chunk/0000000000000099"')])
  expect(await failure(calls.takeSnapshot('mine', 's'))).toMatch(/^EROFS.*"mine".*chunk/)
  await second.shutdown()
  expect(records).toEqual(before)

  changeRoot({ tail: 0 })
  const third = boot()
  expect(await failure(third.create('c', over()))).toMatch(/^EIO.*mounts\[0\].*log.0000000000000000.*missing.*rescue/)
  expect((await third.create('c', over(['rescue']))).warnings.join()).toMatch(
    /"mine" is read-only.*missing: this is what was/,
  )
  await third.shutdown()
})

test('an entry of the catalogue that is damaged is told, and no new volume is made in its place', async () => {
  const site = new Site()
  const runtime = site.tab()
  const { calls } = runtime.volumes
  await runtime.create('c', work())
  await write(runtime, '/work/f', 'x')
  await runtime.delete('c', true)
  const [[, entry]] = site.names as unknown as [[string, string]]
  for (let at = 0; at < entry.length; at++) {
    const flipped = String.fromCharCode(entry.charCodeAt(at) ^ 1)
    site.names.set('notes', entry.slice(0, at) + flipped + entry.slice(at + 1))
    expect(await failure(runtime.create('c', work()))).toMatch(/^EIO.*catalogue.*damaged at "notes"/)
  }
  site.names.delete('notes')
  site.names.set('notfs', entry)
  expect(await failure(runtime.create('c', work()))).toMatch(/^EIO.*catalogue.*damaged at "notfs".*"notes"/)
  expect(await calls.list()).toEqual([{ name: 'notfs', mounted: false, damaged: true }])
  expect(site.databases.size).toBe(1)
  await calls.delete('notfs')
  expect(await calls.list()).toEqual([])
  site.names.set('notes', entry)
  await runtime.create('c', work())
  expect(await read(runtime, '/work/f')).toBe('x')
})

test('where the browser itself has deleted all volumes, who makes one anew is told', async () => {
  const { host } = new MemorySite()
  const { runtime, close } = bootWorld({ volumes: { ...host, lost: () => 'database was corrupt: checksum mismatch' } })
  onTestFinished(() => close().catch(() => {}))
  const told = (await runtime.create('c', work())).warnings
  expect(told).toEqual([
    'mounts[0]: the volume "notes" is mounted: it is new, for the browser has deleted all that this site kept: database was corrupt: checksum mismatch',
  ])
  await runtime.delete('c', true)
  await runtime.create('c', work())
  await write(runtime, '/work/f', 'x')
  await runtime.delete('c', true)
  expect((await runtime.create('c', work())).warnings).toEqual([])
})
