/** A bit flips in a record of a volume, each kind of record in turn: what who mounts it sees. */
import { beforeAll, describe, expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_RDWR } from '../../abi/linux.ts'
import { pictureOf } from '../../testing/conformance/picture.ts'
import { outcome } from '../../testing/host-world.ts'
import { KeptFiles, type KeptOptions } from '../../testing/kept-files.ts'
import { MemoryBlob, MemoryStore } from '../../testing/memory-store.ts'
import type { DirectoryInode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { carriedBy, decodeRoot, ROOT } from './records.ts'

type Records = MemoryStore['records']

const bytesOf = (records: Records, key: string) => {
  const value = records.get(key)!
  return value instanceof Uint8Array ? value : (value as MemoryBlob).bytes
}

/** The same records, a bit of one of them flipped; `undefined` as bit: the record is missing. */
function damaged(records: Records, key: string, bit?: number): MemoryStore {
  const copy = new Map(records)
  if (bit === undefined) copy.delete(key)
  else {
    const bytes = bytesOf(records, key).slice()
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    copy.set(key, records.get(key) instanceof Uint8Array ? bytes : new MemoryBlob(bytes))
  }
  return new MemoryStore(copy)
}

/** A few bits, the first and the last one among them; and the whole record. */
const bitsOf = (records: Records, key: string) => {
  const bits = bytesOf(records, key).length * 8
  return [undefined, 0, 8, bits >> 2, bits >> 1, bits - 40, bits - 1]
}

const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error) => error.message,
  )

const keysOf = (records: Records, kind: string) => [...records.keys()].filter((key) => key.startsWith(kind))
const lastOf = (records: Records, kind: string) => keysOf(records, kind).sort().at(-1)!

/** What a file is: its bytes, or the error that stands in for them. */
function contentOf({ actor }: KeptFiles, path: string): string {
  let content = ''
  const end = outcome(() => {
    content = actor.read(path)
  })
  return end === 'ok' ? content : end
}

/** The names in a directory, and how the listing ended. */
function listed({ actor }: KeptFiles, path: string): { names: string[]; end: string } {
  const names: string[] = []
  const directory = actor.inode(path) as DirectoryInode
  const end = outcome(() => {
    for (const { name } of directory.entries(0, new Attempt())) names.push(name)
  })
  return { names, end }
}

/** 600 small files and a large one in a checkpoint, one with a log behind it; a snapshot; a reserve. */
async function written(): Promise<Records> {
  const store = new MemoryStore()
  const files = await KeptFiles.open(store)
  await files.store.reserve()
  const { actor } = files
  actor.mkdir('d')
  for (let i = 0; i < 600; i++) actor.write(`d/${i}`, String(i))
  actor.write('big', 'x'.repeat(300_000))
  await files.sync()
  await files.store.takeSnapshot('s')
  // Until the log is a checkpoint.
  for (let i = 0; i < 1010; i++) {
    actor.write('counter', String(i))
    await files.sync()
  }
  for (const mode of [0o600, 0o640]) {
    actor.chmod('d/300', mode)
    await files.sync()
  }
  actor.write('last', 'of all')
  await files.close()
  return store.records
}

describe('a bit that flips', () => {
  let records: Records
  beforeAll(async () => {
    records = await written()
  })
  const opened = (store: MemoryStore, options?: KeptOptions) => KeptFiles.open(store, options)

  test.each(['head', 'root'])(
    'in the %s: the volume is refused by the name of the record, and nothing is changed',
    async (key) => {
      for (const bit of bitsOf(records, key)) {
        const store = damaged(records, key, bit)
        expect(await failure(opened(store))).toMatch(new RegExp(`^EIO.*"${key}"|format \\d+, and`))
        expect(await failure(opened(store, { rescue: true }))).toMatch(/^EIO/)
        expect(store.transactions).toBe(0)
      }
    },
  )

  test('in a chunk: its files are EIO, all others are there, and the volume is read-only and says why', async () => {
    const { chunks } = decodeRoot(records.get(ROOT))
    const what = '1'
    const key = `chunk/${String(chunks.get(what)).padStart(16, '0')}`
    for (const bit of bitsOf(records, key)) {
      const store = damaged(records, key, bit)
      const files = await opened(store)
      expect(files.store.damage).toEqual([expect.stringContaining(`"${key}"`)])
      expect(files.store.readonly).toBe(true)
      // Inode 2 is d; file i is inode 3 + i; those from 256 to 511 were in the chunk.
      const seen = Array.from({ length: 600 }, (_, i) => contentOf(files, `d/${i}`))
      expect(seen).toEqual(Array.from({ length: 600 }, (_, i) => (i + 3 >= 256 && i + 3 < 512 ? 'EIO' : String(i))))
      const { actor } = files
      expect(outcome(() => actor.stat('d/300'))).toBe('EIO')
      expect(contentOf(files, 'd/none')).toBe('ENOENT')
      expect(files.store.usage.inodes).toBe(605 - 256)
      expect(listed(files, 'd')).toEqual({ names: Array.from({ length: 600 }, (_, i) => String(i)), end: 'ok' })
      expect(contentOf(files, 'last')).toBe('of all')
      expect(outcome(() => actor.write('d/1', 'new'))).toBe('EROFS')
      expect(outcome(() => actor.write('d/300', 'new'))).toBe('EIO')
      expect(await failure(files.store.takeSnapshot('t'))).toMatch(new RegExp(`^EROFS.*"${key}"`))
      await files.close()
      expect(store.transactions).toBe(0)
    }
  })

  test('in the chunk of the root directory: nothing could be reached, so the volume is refused', async () => {
    const key = `chunk/${String(decodeRoot(records.get(ROOT)).chunks.get('0')).padStart(16, '0')}`
    for (const bit of bitsOf(records, key)) {
      const store = damaged(records, key, bit)
      expect(await failure(opened(store))).toMatch(new RegExp(`^EIO.*"${key}".*root directory`))
      expect(store.transactions).toBe(0)
    }
  })

  test('in a record of the log: the volume is refused; who asks to rescue it reads what was there before', async () => {
    const key = lastOf(records, 'log/')
    const carried = carriedBy(key, records.get(key))!.bytes.length
    const said = (bytesOf(records, key).length - carried - 4) * 8
    const isCarried = (bit = 0) => bit >= said && bit < said + 8 * carried
    for (const bit of [...bitsOf(records, key).filter((bit) => bit !== undefined && !isCarried(bit)), said - 1]) {
      const store = damaged(records, key, bit)
      expect(await failure(opened(store))).toMatch(new RegExp(`^EIO.*"${key}".*"rescue"`))
      const files = await opened(store, { rescue: true })
      expect([contentOf(files, 'counter'), contentOf(files, 'last')]).toEqual(['1009', 'ENOENT'])
      expect(outcome(() => files.actor.write('new'))).toBe('EROFS')
      await files.close()
      expect(store.transactions).toBe(0)
    }
    // One that others follow can't be missing unnoticed.
    const earlier = keysOf(records, 'log/').sort().at(-2)!
    expect(await failure(opened(damaged(records, earlier)))).toMatch(new RegExp(`^EIO.*"${earlier}".*"rescue"`))
    // Where nothing is damaged there is nothing to rescue: it is mounted as ever.
    const whole = await opened(new MemoryStore(new Map(records)), { rescue: true })
    expect([contentOf(whole, 'last'), whole.store.readonly]).toEqual(['of all', false])
    await whole.close()
  })

  test('in a segment: its page is EIO, and all else can be read and written, and is cleaned', async () => {
    const key = keysOf(records, 'segment/').find((each) => bytesOf(records, each).length > 200_000)!
    const bytes = bytesOf(records, key)
    const big = bytes.length - 300_000
    expect(bytes.subarray(big).every((byte) => byte === 120)).toBe(true)
    const store = damaged(records, key, (big + 150_000) * 8)
    const files = await opened(store)
    const { actor, task } = files
    const pages = () => {
      const fd = actor.open('big')
      const read = [0, 1, 2, 3, 4].map((i) => outcome(() => task.preadv(fd, new Uint8Array(10), [0, 10], i * 65_536)))
      task.close(fd)
      return read
    }
    expect(pages()).toEqual(['ok', 'ok', 'EIO', 'ok', 'ok'])
    expect([contentOf(files, 'd/1'), contentOf(files, 'd/500')]).toEqual(['1', '500'])
    for (let i = 0; i < 40; i++) {
      actor.write(`n${i}`, String(i).repeat(100_000))
      if (i % 2) task.unlinkat(AT_FDCWD, `n${i - 1}`, 0)
      await files.sync()
    }
    expect(pages()).toEqual(['ok', 'ok', 'EIO', 'ok', 'ok'])
    await files.close()
    const again = await opened(new MemoryStore(store.records))
    const fd = again.actor.open('big', O_RDWR | O_CREAT)
    expect(outcome(() => again.task.preadv(fd, new Uint8Array(1), [0, 1], 140_000))).toBe('EIO')
    again.task.pwritev(fd, new Uint8Array(65_536).fill(65), [0, 65_536], 131_072)
    expect(again.actor.get(fd, 3)).toBe('xxx')
    expect(outcome(() => again.task.preadv(fd, new Uint8Array(1), [0, 1], 140_000))).toBe('ok')
    again.task.close(fd)
    await again.close()
  })

  test('in the pages that a record of the log carries: they are EIO, and all else can be read and written', async () => {
    const key = lastOf(records, 'log/')
    const bits = bytesOf(records, key).length * 8
    for (const bit of [bits - 33, bits - 40, bits - 32 - 8 * 'of all'.length]) {
      const files = await opened(damaged(records, key, bit))
      expect(['counter', 'last', 'd/1'].map((path) => contentOf(files, path))).toEqual(['1009', 'EIO', '1'])
      files.actor.write('last', 'again')
      await files.sync()
      expect([contentOf(files, 'last'), files.store.damage]).toEqual(['again', []])
      await files.close()
    }
  })

  test('in a segment that is missing: its pages are EIO', async () => {
    const key = keysOf(records, 'segment/').find((each) => bytesOf(records, each).length > 200_000)!
    const files = await opened(damaged(records, key))
    expect([contentOf(files, 'd/1'), contentOf(files, 'last')]).toEqual(['EIO', 'of all'])
    await files.close()
  })

  test('in a snapshot: it can be deleted, and not rolled back to; till then nothing that may be its is', async () => {
    for (const bit of bitsOf(records, 'snapshot/s').slice(1)) {
      const store = damaged(records, 'snapshot/s', bit)
      const before = new Map(store.records)
      const files = await opened(store)
      expect(files.store.damage).toEqual([expect.stringContaining('"snapshot/s"')])
      expect(files.store.snapshots).toEqual([{ name: 's', time: 0, damaged: true }])
      expect(await failure(files.store.rollBack('s'))).toMatch(/^EIO.*"snapshot\/s"/)
      expect(await failure(files.store.takeSnapshot('s'))).toMatch(/^EEXIST/)
      files.actor.write('big', 'another')
      for (let i = 0; i < 600; i++) files.task.unlinkat(AT_FDCWD, `d/${i}`, 0)
      for (let i = 0; i < 3; i++) {
        files.actor.write('counter', `again ${i}`)
        await files.sync()
      }
      const isBulk = (key: string) => /^(segment|chunk|log)/.test(key)
      for (const key of before.keys()) if (isBulk(key)) expect(store.records.has(key), key).toBe(true)
      await files.store.deleteSnapshot('s')
      files.actor.write('counter', 'last')
      await files.sync()
      const left = [...before.keys()].filter((key) => isBulk(key) && store.records.has(key))
      expect(left.length).toBeLessThan([...before.keys()].filter(isBulk).length)
      expect(files.store.usage.stored).toBeLessThan(200_000)
      await files.close()
      const again = await opened(new MemoryStore(store.records))
      expect([contentOf(again, 'counter'), contentOf(again, 'big')]).toEqual(['last', 'another'])
      await again.close()
    }
  })

  test('in the reserve: nothing, for it is never read', async () => {
    const whole = await opened(new MemoryStore(records), { readonly: true })
    for (const bit of bitsOf(records, 'reserve')) {
      const files = await opened(damaged(records, 'reserve', bit), { readonly: true })
      expect(pictureOf(files.filesystem)).toBe(pictureOf(whole.filesystem))
      await files.close()
    }
    await whole.close()
  })
})

test('of a long directory or file a damaged part costs what was in it: names and bytes that may have been there are EIO', async () => {
  const records = new MemoryStore()
  const made = await KeptFiles.open(records)
  made.actor.mkdir('d')
  for (let i = 0; i < 2500; i++) made.actor.write(`d/a name that is not short ${'x'.repeat(180)} ${i}`, '')
  const name = (i: number) => `d/a name that is not short ${'x'.repeat(180)} ${i}`
  const fd = made.actor.open('sparse', O_RDWR | O_CREAT)
  const places = [0, 4095 * 65_536, 4096 * 65_536, 8192 * 65_536]
  for (const place of places) made.task.pwritev(fd, new Uint8Array([7]), [0, 1], place)
  made.task.close(fd)
  await made.sync()
  for (let i = 0; i < 3; i++) {
    made.actor.write('last', String(i))
    await made.sync()
  }
  await made.close()
  const { chunks } = decodeRoot(records.records.get(ROOT))
  const parts = [...chunks.keys()].filter((what) => what.includes('.'))
  const directory = parts.filter((what) => what.startsWith('2.'))
  expect(directory.sort()).toEqual(['2.1', '2.2'])
  const keyOf = (what: string) => `chunk/${String(chunks.get(what)).padStart(16, '0')}`

  const files = await KeptFiles.open(damaged(records.records, keyOf('2.1'), 200))
  expect(files.store.damage).toHaveLength(1)
  // Cookies begin at 3: name i has cookie 3 + i.
  expect([0, 1020, 1021, 2044, 2045, 2499].map((i) => contentOf(files, name(i)))).toEqual([
    '',
    '',
    'EIO',
    'EIO',
    '',
    '',
  ])
  expect(contentOf(files, 'd/never there')).toBe('EIO')
  expect([listed(files, 'd').names.length, listed(files, 'd').end]).toEqual([1476, 'EIO'])
  expect(contentOf(files, 'last')).toBe('2')
  await files.close()

  const pages = parts.find((what) => !what.startsWith('2.') && what.endsWith('.1'))!
  const other = await KeptFiles.open(damaged(records.records, keyOf(pages), 200))
  const read = other.actor.open('sparse')
  const first = (place: number) => outcome(() => other.task.preadv(read, new Uint8Array(1), [0, 1], place))
  expect([...places, 5000 * 65_536, 100].map(first)).toEqual(['ok', 'ok', 'EIO', 'ok', 'EIO', 'ok'])
  other.task.close(read)
  await other.close()
})
