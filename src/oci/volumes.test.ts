/** Volumes as the containers of a spec have them, on a host that keeps its records in memory. */
import { expect, onTestFinished, test } from 'vitest'
import { bootWorld, treeOf } from '../host/world.ts'
import { MemorySite } from '../testing/memory-site.ts'
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
