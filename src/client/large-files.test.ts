/** Files of a volume that are much larger than what may be of them in memory. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { kernels } from '../../e2e/kernels.ts'
import { Segments } from '../fs/tmpfs/segments.ts'
import type { FileSystem } from './file-system.ts'

const MIB = 1 << 20
const SIZE = 32 * MIB
const CACHE = 512 * 1024

let world: ReturnType<typeof kernels>
/** The most that was cached of any volume, seen at every page that came to memory. */
let peak = 0
let loads = 0

beforeEach(() => {
  world = kernels()
  peak = 0
  loads = 0
  const { load } = Segments.prototype
  vi.spyOn(Segments.prototype, 'load').mockImplementation(function (this: Segments, ...args) {
    const bytes = load.apply(this, args)
    peak = Math.max(peak, this.cachedBytes)
    loads++
    return bytes
  })
})

afterEach(async () => {
  vi.restoreAllMocks()
  await world.close()
})

/** Bytes that tell where in a file they are. */
function contentAt(start: number, end: number): Uint8Array {
  const words = new Uint32Array((end - start) / 4)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(start / 4 + i, 0x9e3779b1)
  return new Uint8Array(words.buffer)
}

async function write(fs: FileSystem, path: string): Promise<void> {
  const stream = fs.createWriteStream(path).getWriter()
  for (let at = 0; at < SIZE; at += 256 * 1024) await stream.write(contentAt(at, at + 256 * 1024))
  await stream.close()
}

/** Where a stream first differs from the content; undefined: nowhere. */
async function difference(stream: ReadableStream<Uint8Array>): Promise<number | undefined> {
  let at = 0
  for await (const bytes of stream) {
    if (Buffer.compare(bytes, contentAt(at, at + bytes.length)) !== 0) return at
    at += bytes.length
  }
  return at === SIZE ? undefined : at
}

const spec = (...options: string[]) => ({
  mounts: [{ destination: '/kept', type: 'tmpfs', source: 'volume:large', options }],
})

test('a file of 64 times the cache is written, read, copied, changed and read after a reload, with no more than that of it cached', async () => {
  const sandbox = await world.boot()
  const container = await sandbox.create('c', spec('cacheBytes=512k'))
  const { fs } = container
  const mount = (await container.mounts()).find(({ destination }) => destination === '/kept')
  expect(mount?.options).toContain('cacheBytes=512k')
  await write(fs, '/kept/file')
  expect(await difference(fs.createReadStream('/kept/file'))).toBe(undefined)
  await fs.copyFile('/kept/file', '/kept/copy')
  expect(await difference(fs.createReadStream('/kept/copy'))).toBe(undefined)
  // Each in a page of its own that must come first.
  const file = await fs.open('/kept/file', 'r+')
  for (let at = 1000; at < SIZE; at += MIB) await file.write(new Uint8Array(10), { position: at })
  await file.sync()
  for (let at = 1000; at < SIZE; at += MIB) await file.write(contentAt(at, at + 12), { position: at })
  await file.close()
  await sandbox.shutdown()
  expect(loads).toBeGreaterThan(SIZE / 65_536)

  const again = await world.boot()
  const reader = await again.create('c', spec('cacheBytes=128k'))
  expect(peak).toBeLessThanOrEqual(CACHE)
  peak = 0
  expect(await difference(reader.fs.createReadStream('/kept/file'))).toBe(undefined)
  expect(peak).toBeLessThanOrEqual(128 * 1024)
})

test('a kept root of many times its cache leaves as a layer', async () => {
  const sandbox = await world.boot({ bundle: { system: { 'etc/name': 'as delivered' } } })
  const container = await sandbox.create(
    'c',
    { root: { path: 'system' } },
    { overlay: 'root:volume:machine,cacheBytes=512k' },
  )
  await write(container.fs, '/large')
  const { blob } = await container.exportLayer({ form: 'snapshot' })
  const start = blob.size - SIZE - 1024
  expect(await difference(blob.slice(start, start + SIZE).stream())).toBe(undefined)
  expect(loads).toBeGreaterThan(0)
  expect(peak).toBeLessThanOrEqual(CACHE)
})

test.each([
  [['cacheBytes=100k'], /mounts\[0\].*tmpfs option "cacheBytes=100k": wants at least 128k/],
  [['cacheBytes=much'], /mounts\[0\].*tmpfs option "cacheBytes=much": wants a number/],
  [['cacheBytes'], /mounts\[0\].*tmpfs option "cacheBytes": wants a number/],
  [['cacheBytes=50%'], /mounts\[0\].*tmpfs option "cacheBytes=50%": wants a number/],
])('%j is refused', async (options, message) => {
  const sandbox = await world.boot()
  await expect(sandbox.create('c', spec(...options))).rejects.toThrow(message)
  await sandbox.create('c', spec())
})

test('what is in memory only has no cache, and says so', async () => {
  const sandbox = await world.boot({ bundle: { system: { f: '' } } })
  const tmpfs = { destination: '/t', type: 'tmpfs', options: ['cacheBytes=1m'] }
  await expect(sandbox.create('c', { mounts: [tmpfs] })).rejects.toThrow(/mounts\[0\].*is for a volume/)
  const overlay = { destination: '/o', type: 'overlay', options: ['lowerdir=system', 'cacheBytes=1m'] }
  await expect(sandbox.create('c', { mounts: [overlay] })).rejects.toThrow(/mounts\[0\].*upperdir that is a volume/)
  const root = sandbox.create('c', { root: { path: 'system' } }, { overlay: 'root:memory,cacheBytes=1m' })
  await expect(root).rejects.toThrow(/cacheBytes in "volume:NAME", not in "memory"/)
})

test('an upper layer in a volume has a cache of its own', async () => {
  const sandbox = await world.boot({ bundle: { system: { f: '' } } })
  const options = ['lowerdir=system', 'upperdir=volume:changes', 'cacheBytes=128k']
  const { fs } = await sandbox.create('c', { mounts: [{ destination: '/o', type: 'overlay', options }] })
  await write(fs, '/o/large')
  expect(await difference(fs.createReadStream('/o/large'))).toBe(undefined)
  expect(loads).toBeGreaterThan(0)
  expect(peak).toBeLessThanOrEqual(128 * 1024)
})
