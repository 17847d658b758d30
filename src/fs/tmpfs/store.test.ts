import { expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_RDWR } from '../../abi/linux.ts'
import { pictureOf } from '../../testing/conformance/picture.ts'
import { outcome } from '../../testing/host-world.ts'
import { KeptFiles, type KeptOptions } from '../../testing/kept-files.ts'
import { MemoryStore } from '../../testing/memory-store.ts'
import { ByteWriter } from './bytes.ts'
import { xxHash32 } from './hash.ts'
import { decodeHead } from './records.ts'

const again = (records: MemoryStore, options?: KeptOptions) => KeptFiles.open(new MemoryStore(records.records), options)

const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error) => error.message,
  )

/** Whether a file is this text: too long a one to be shown. */
function has({ actor, task }: KeptFiles, path: string, text: string): boolean {
  const fd = actor.open(path)
  try {
    return actor.get(fd, text.length + 1) === text
  } finally {
    task.close(fd)
  }
}

test('xxHash32 gives the values of its specification', () => {
  const of = (text: string) => xxHash32(new TextEncoder().encode(text))
  expect([of(''), of('a'), of('abc')]).toEqual([0x02cc5d05, 0x550d7456, 0x32d153ff])
  const bytes = Uint8Array.from({ length: 1001 }, (_, i) => i * 7)
  const moved = new Uint8Array(1002)
  moved.set(bytes, 1)
  expect(xxHash32(moved, 1)).toBe(xxHash32(bytes))
  expect(of('Nobody inspects the spammish repetition')).toBe(0xe2293b2f)
})

test('files, their attributes, numbers and cookies are after a reload what they were', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  const { actor, task } = files
  actor.mkdir('d', 0o750)
  actor.write('d/small', 'some text')
  actor.write('d/gone', 'x')
  actor.write('big', 'abc'.repeat(100_000))
  task.symlinkat('d/small', AT_FDCWD, 'link')
  task.symlinkat('l'.repeat(300), AT_FDCWD, 'long')
  actor.mknod('fifo', 'fifo')
  actor.mknod('null', 'char', 0o600, 259)
  task.linkat(AT_FDCWD, 'd/small', AT_FDCWD, 'hard', 0)
  actor.host.setxattr('d/small', 'user.note', new Uint8Array([1, 2, 3]), 0)
  actor.chmod('big', 0o4711)
  actor.chown('link', 5, 6)
  task.utimensat(AT_FDCWD, 'big', -(1n << 70n), 1n << 80n, 0)
  task.unlinkat(AT_FDCWD, 'd/gone', 0)
  task.truncate('big', 1 << 30)
  const fd = actor.open('big', O_RDWR)
  task.pwritev(fd, new Uint8Array([7]), [0, 1], 1 << 29)
  task.fallocate(fd, 1, 1 << 20, 70_000)
  task.close(fd)
  const before = pictureOf(files.filesystem)
  const root = actor.stat('/')
  await files.close()
  const reloaded = await again(records)
  expect(pictureOf(reloaded.filesystem)).toEqual(before)
  expect(reloaded.actor.stat('/')).toEqual(root)
  expect(reloaded.filesystem.usage()).toEqual(files.filesystem.usage())
  const listed = [...(reloaded.filesystem.root as never as { entries(n: number): object[] }).entries(2)]
  reloaded.actor.write('new')
  expect(reloaded.actor.stat('new').ino).toBeGreaterThan(Math.max(...listed.map((e) => (e as { ino: number }).ino)))
  await reloaded.close()
})

test('a commit writes what changed, and nothing else', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  for (let i = 0; i < 3000; i++) files.actor.write(`file${i}`, 'x'.repeat(100))
  files.actor.write('large', 'y'.repeat(5 << 20))
  await files.sync()
  const sizes: number[] = []
  const keys: string[] = []
  records.fate = (_, changes) => {
    for (const { key, value } of changes) {
      keys.push(key.split('/')[0]!)
      if (!key.startsWith('chunk')) sizes.push(value instanceof Uint8Array ? value.length : (value?.size ?? 0))
    }
    return 'done'
  }
  const fd = files.actor.open('large', O_RDWR)
  files.task.pwritev(fd, new Uint8Array(10), [0, 10], 3 << 20)
  files.task.close(fd)
  await files.sync()
  expect(keys.filter((key) => key !== 'chunk' && key !== 'root')).toEqual(['segment', 'log'])
  expect(sizes.reduce((a, b) => a + b)).toBeLessThan(66_500)
  await files.sync()
  expect(keys.filter((key) => key === 'log').length).toBe(1)
  await files.close()
})

test('pages come back when they are read, and unchanged ones leave memory beyond the limit', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { data: 'mode=755,cacheBytes=1m' })
  const piece = (i: number) => String.fromCharCode(97 + (i % 26)).repeat(1 << 20)
  for (let i = 0; i < 12; i++) {
    files.actor.write(`f${i}`, piece(i))
    await files.sync()
    expect(files.store.segments.cachedBytes).toBeLessThanOrEqual(1 << 20)
  }
  for (let i = 0; i < 12; i++) {
    const fd = files.actor.open(`f${i}`)
    expect(files.actor.get(fd, 1 << 20)).toBe(piece(i))
    files.task.close(fd)
  }
  expect(files.store.segments.cachedBytes).toBeLessThanOrEqual(1 << 20)
  await files.close()
})

test('a full quota is ENOSPC, loses nothing, and the same fsync succeeds once there is space', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  await files.store.reserve()
  files.actor.write('old', 'o'.repeat(1 << 20))
  await files.sync()
  records.quota = 0
  files.actor.write('new', 'n'.repeat(3 << 20))
  expect(await failure(files.sync())).toMatch(/^ENOSPC.*volume "test"/)
  expect(files.actor.stat('new').size).toBe(3 << 20)
  expect(await failure(files.sync())).toMatch(/^ENOSPC/)
  const crashed = await again(records)
  expect(crashed.actor.stat('old').size).toBe(1 << 20)
  expect(outcome(() => crashed.actor.stat('new'))).toBe('ENOENT')
})

test('removing files makes space where there is none, from the reserve', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  await files.store.reserve()
  files.actor.write('old', 'o'.repeat(1 << 20))
  await files.sync()
  records.fate = (_, changes) =>
    changes.some(({ value }) => value) && records.records.has('reserve') ? 'full' : 'done'
  files.task.unlinkat(AT_FDCWD, 'old', 0)
  await files.sync()
  expect([...records.records.keys()].some((key) => key.startsWith('segment'))).toBe(false)
  await files.close()
})

test('what was removed makes room for what was written before, in files that the same commit would have', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  await files.store.reserve()
  files.actor.write('old', 'o'.repeat(20 << 20))
  await files.sync()
  records.quota = 26 << 20
  files.actor.write('new', 'n'.repeat(18 << 20))
  expect(await failure(files.sync())).toMatch(/^ENOSPC/)
  // What of it found room takes that until it is deleted.
  expect(await failure(files.sync())).toMatch(/^ENOSPC/)
  files.task.unlinkat(AT_FDCWD, 'old', 0)
  await files.sync()
  const reloaded = await again(records)
  expect(outcome(() => reloaded.actor.stat('old'))).toBe('ENOENT')
  expect(has(reloaded, 'new', 'n'.repeat(18 << 20))).toBe(true)
  expect(reloaded.store.usage.stored).toBe(18 << 20)
})

test('a file whose changes find no room is what it was on disk, whatever was committed to make some', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  const { actor, task } = files
  const a = `start${'a'.repeat(4 << 20)}`
  for (const [name, text] of Object.entries({ a, b: 'b'.repeat(3 << 20), cut: 'c'.repeat(3 << 20), moved: 'm' }))
    actor.write(name, text)
  await files.sync()
  records.quota = 11 << 20
  actor.write('new', 'n'.repeat(2 << 20))
  const fd = actor.open('a', O_RDWR)
  task.pwritev(fd, new Uint8Array(6 << 20), [0, 6 << 20], 0)
  task.ftruncate(fd, 5 << 20)
  task.close(fd)
  task.linkat(AT_FDCWD, 'a', AT_FDCWD, 'again', 0)
  task.renameat2(AT_FDCWD, 'moved', AT_FDCWD, 'there', 0)
  task.truncate('cut', 100)
  task.unlinkat(AT_FDCWD, 'b', 0)
  const before = records.transactions
  expect(await failure(files.sync())).toMatch(/^ENOSPC/)
  expect(records.transactions).toBeGreaterThan(before + 2)
  const crashed = await KeptFiles.open(new MemoryStore(new Map(records.records)))
  expect(has(crashed, 'a', a)).toBe(true)
  expect(has(crashed, 'again', a)).toBe(true)
  expect(crashed.actor.read('new')).toBe('')
  expect(crashed.actor.read('cut')).toBe('c'.repeat(100))
  expect(crashed.actor.read('there')).toBe('m')
  expect(outcome(() => crashed.actor.stat('b'))).toBe('ENOENT')
  expect(has(files, 'new', 'n'.repeat(2 << 20))).toBe(true)
  // Another bare one, after what was written in the meantime, and then all of it.
  actor.write('new', 'N'.repeat(2 << 20))
  expect(await failure(files.sync())).toMatch(/^ENOSPC/)
  const picture = pictureOf(files.filesystem)
  records.quota = Number.POSITIVE_INFINITY
  await files.sync()
  const reloaded = await again(records)
  expect(pictureOf(reloaded.filesystem)).toEqual(picture)
})

test('an owner that was replaced gets ESTALE, one whose data was cleared EIO; what is open stays readable', async () => {
  const records = new MemoryStore()
  const first = await KeptFiles.open(records)
  first.actor.write('f', 'first')
  await first.sync()
  const second = await again(records)
  first.actor.write('f', 'late')
  expect(await failure(first.sync())).toMatch(/^ESTALE.*another owner/)
  expect(first.actor.read('f')).toBe('late')
  expect(second.actor.read('f')).toBe('first')
  second.actor.write('f', 'second')
  await second.sync()
  const store = new MemoryStore(records.records)
  const third = await KeptFiles.open(store)
  expect(third.actor.read('f')).toBe('second')
  records.records.clear()
  third.actor.write('f', 'third')
  expect(await failure(third.sync())).toMatch(/^EIO.*cleared/)
  expect(third.actor.read('f')).toBe('third')
  expect(records.records.size).toBe(0)
})

test('a volume that is only read shows the last committed state, whatever its owner does', async () => {
  const records = new MemoryStore()
  const owner = await KeptFiles.open(records)
  owner.actor.write('f', 'one'.repeat(100_000))
  await owner.sync()
  const reader = await again(records, { readonly: true })
  owner.task.unlinkat(AT_FDCWD, 'f', 0)
  owner.actor.write('g', 'two')
  await owner.sync()
  await owner.close()
  expect(reader.actor.stat('f').size).toBe(300_000)
  const fd = reader.actor.open('f')
  expect(reader.actor.get(fd, 6)).toBe('oneone')
  reader.task.close(fd)
  expect(outcome(() => reader.actor.write('h'))).toBe('EROFS')
  await reader.close()
})

test('snapshots are taken, rolled back to and deleted without a byte of data being copied', async () => {
  const records = new MemoryStore()
  let files = await KeptFiles.open(records)
  files.actor.write('f', 'a'.repeat(2 << 20))
  files.actor.write('g', 'kept')
  await files.sync()
  const before = pictureOf(files.filesystem)
  let written = 0
  records.fate = (_, changes) => {
    for (const { value } of changes) written += value instanceof Uint8Array ? value.length : (value?.size ?? 0)
    return 'done'
  }
  await files.store.takeSnapshot('one')
  expect(written).toBeLessThan(2000)
  expect(await failure(files.store.takeSnapshot('one'))).toMatch(/^EEXIST/)
  files.task.unlinkat(AT_FDCWD, 'f', 0)
  files.actor.write('g', 'changed')
  for (let i = 0; i < 50; i++) {
    files.actor.write(`h${i}`, 'h'.repeat(100_000))
    await files.sync()
  }
  await files.close()
  files = await again(records)
  expect(files.store.snapshots.map(({ name }) => name)).toEqual(['one'])
  await files.store.rollBack('one')
  expect(
    await failure(
      files
        .sync()
        .then(() => files.actor.write('x'))
        .then(() => files.sync()),
    ),
  ).toMatch(/^ESTALE/)
  const back = await again(records)
  expect(pictureOf(back.filesystem)).toEqual(before)
  back.actor.write('after', 'rollback')
  await back.sync()
  await back.store.deleteSnapshot('one')
  await back.close()
  const last = await again(records)
  expect(last.actor.read('g')).toBe('kept')
  expect(last.actor.read('after')).toBe('rollback')
  expect(last.store.usage.stored).toBeLessThan(3 << 20)
  await last.close()
})

/** A change of a few bytes, so many times, each synced: enough of them make a checkpoint. */
async function count(files: KeptFiles, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    files.actor.write('counter', String(i))
    await files.sync()
  }
}

const logs = (records: MemoryStore) => [...records.records.keys()].filter((key) => key.startsWith('log/')).length

test('what the log carries is there after the log went, and the log does not stay for it', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  for (let i = 0; i < 20; i++) {
    files.actor.write(`small${i}`, `text ${i}`)
    await files.sync()
  }
  await files.store.takeSnapshot('then')
  for (let i = 0; i < 10; i++) files.task.unlinkat(AT_FDCWD, `small${i}`, 0)
  await count(files, 3000)
  expect(logs(records)).toBeLessThan(1300)
  const picture = pictureOf(files.filesystem)
  await files.close()
  const reloaded = await again(records)
  expect(pictureOf(reloaded.filesystem)).toEqual(picture)
  for (let i = 10; i < 20; i++) expect(reloaded.actor.read(`small${i}`)).toBe(`text ${i}`)
  await reloaded.store.rollBack('then')
  const back = await again(records)
  for (let i = 0; i < 20; i++) expect(back.actor.read(`small${i}`)).toBe(`text ${i}`)
  await back.store.deleteSnapshot('then')
  await back.close()
})

test('an owner that was replaced long ago, and knows nothing of it, can commit nothing', async () => {
  const records = new MemoryStore()
  const frozen = await KeptFiles.open(records)
  frozen.actor.write('f', 'first')
  await frozen.sync()
  const second = await again(records, { contested: true })
  await count(second, 2100)
  await second.close()
  const third = await again(records, { contested: false })
  await count(third, 1100)
  frozen.actor.write('f', 'late')
  expect(await failure(frozen.sync())).toMatch(/^ESTALE/)
  await third.close()
  const last = await again(records)
  expect([last.actor.read('f'), last.actor.read('counter')]).toEqual(['first', '1099'])
  await last.close()
})

test('an owner that others can only have ended before leaves nothing behind that stays', async () => {
  const records = new MemoryStore()
  for (let i = 0; i < 30; i++) {
    const files = await again(records, { contested: false })
    files.actor.write('f', String(i))
    await files.close()
  }
  const files = await again(records, { contested: false })
  await count(files, 1100)
  expect(logs(records)).toBeLessThan(200)
  await files.close()
})

test('a volume of format 1 is read, and written as format 2 from then on', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records, { contested: false })
  files.actor.mkdir('d')
  files.actor.write('d/a', 'a'.repeat(30_000))
  files.actor.write('big', 'b'.repeat(3 << 20))
  await files.sync()
  files.actor.chmod('d/a', 0o600)
  const picture = pictureOf(files.filesystem)
  await files.close()
  const sealed = (write: (writer: ByteWriter) => void) => {
    const writer = new ByteWriter()
    write(writer)
    return writer.sealed()
  }
  for (const [key, value] of records.records) {
    if (!(value instanceof Uint8Array) || /^(segment|reserve)/.test(key)) continue
    const body = value.slice(1, -4)
    records.records.set(
      key,
      sealed((writer) => {
        writer.byte(1)
        if (key !== 'head') return writer.raw(body)
        // There it said where the log ends.
        const { store, epoch } = decodeHead(value)
        writer.byte(1)
        writer.text(store)
        writer.number(epoch)
        writer.number(logs(records))
      }),
    )
  }
  const before = new Map(records.records)
  const shown = await again(records, { readonly: true })
  expect(pictureOf(shown.filesystem)).toEqual(picture)
  await shown.close()
  expect(records.records).toEqual(before)
  const migrated = await again(records)
  expect(pictureOf(migrated.filesystem)).toEqual(picture)
  migrated.actor.write('new', 'text')
  await migrated.close()
  expect((records.records.get('head') as Uint8Array)[0]).toBe(2)
  const last = await again(records)
  expect([last.actor.read('new'), has(last, 'big', 'b'.repeat(3 << 20))]).toEqual(['text', true])
  await last.close()
})

test('after ten times its size was rewritten, a volume takes less than twice its data, and nothing was held up by the disk', async () => {
  const records = new MemoryStore()
  let reads = 0
  const read = records.read.bind(records)
  records.read = (...range) => {
    reads++
    return read(...range)
  }
  const files = await KeptFiles.open(records)
  const size = 8 << 20
  files.actor.write('f', 'f'.repeat(size))
  await files.sync()
  const fd = files.actor.open('f', O_RDWR)
  let state = 1
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state % below
  }
  const block = new Uint8Array(65_536)
  for (let i = 0; i < 1280; i++) {
    block.fill(i)
    files.task.pwritev(fd, block, [0, block.length], random(size / 65_536) * 65_536)
    if (i % 20 === 19) await files.sync()
  }
  files.task.close(fd)
  await files.sync()
  const { stored, live } = files.store.usage
  expect(live).toBe(size)
  expect(stored).toBeLessThan(2 * live)
  expect(reads).toBe(0)
  await files.close()
  const before = pictureOf(files.filesystem)
  const reloaded = await again(records)
  expect(pictureOf(reloaded.filesystem)).toEqual(before)
  await reloaded.close()
})

test('what is removed while a checkpoint is made is gone, also if it is open still and has chunks of its own', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  const { actor, task } = files
  let links = 0
  /** Changes so much that the next commit begins a checkpoint. */
  const fill = async () => {
    for (const end = links + 600; links < end; links++) task.symlinkat('x'.repeat(1000), AT_FDCWD, `${links}`)
    await files.sync()
  }
  /** Commits until it is complete. */
  const checkpoint = async () => {
    for (const before = records.records.get('root'); records.records.get('root') === before; ) {
      actor.write('other', 'x')
      await files.sync()
    }
  }
  const crashed = async () => {
    const { filesystem } = await KeptFiles.open(new MemoryStore(new Map(records.records)))
    expect(pictureOf(filesystem, [], true)).toBe(pictureOf(files.filesystem, [], true))
  }
  actor.write('removed')
  const far = actor.open('open', O_RDWR | O_CREAT)
  task.pwritev(far, new Uint8Array([1]), [0, 1], 5000 * 65_536)
  await fill()
  await checkpoint()
  await fill()
  task.unlinkat(AT_FDCWD, 'removed', 0)
  task.unlinkat(AT_FDCWD, 'open', 0)
  await files.sync()
  await crashed()
  await checkpoint()
  await crashed()
  task.close(far)
  await files.sync()
  await crashed()
})

test('a log becomes chunks, of which only those that changed are written again', async () => {
  const records = new MemoryStore()
  const files = await KeptFiles.open(records)
  for (let i = 0; i < 8_000; i++)
    files.actor.write(`a rather long long long long long long long name of a file, number ${i}`)
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) {
      files.actor.write('same', String(i))
      await files.sync()
    }
  }
  await write(1050)
  const logs = () => [...records.records.keys()].filter((key) => key.startsWith('log/')).length
  expect(logs()).toBeLessThan(900)
  const chunks = [...records.records.keys()].filter((key) => key.startsWith('chunk/'))
  expect(chunks.length).toBeGreaterThan(35)
  await write(1050)
  const later = new Set([...records.records.keys()].filter((key) => key.startsWith('chunk/')))
  expect(chunks.filter((key) => !later.has(key)).length).toBeLessThan(6)
  const before = pictureOf(files.filesystem)
  await files.close()
  const reloaded = await again(records)
  expect(pictureOf(reloaded.filesystem)).toEqual(before)
  await reloaded.close()
})

test('files that nobody looks at stay as they are over checkpoints and reloads, and are counted all the while', async () => {
  const { records } = new MemoryStore()
  const memory = await KeptFiles.open(new MemoryStore())
  const long = (i: number) => `flat/${'n'.repeat(40)} ${i}`
  const make = ({ actor, task }: KeptFiles) => {
    for (const name of ['flat', 'few', 'few/deep']) actor.mkdir(name)
    for (let i = 0; i < 3000; i++) actor.write(long(i), String(i))
    for (let i = 0; i < 300; i++) actor.write(`few/deep/${i}`, 'd'.repeat(i * 100))
    task.symlinkat('t'.repeat(200), AT_FDCWD, 'few/link')
    actor.mknod('few/null', 'char', 0o600, 259)
    actor.host.setxattr('few/deep/7', 'user.note', new Uint8Array(30), 0)
    task.linkat(AT_FDCWD, 'few/deep/8', AT_FDCWD, 'few/hard', 0)
  }
  const change = ({ actor, task }: KeptFiles) => {
    actor.chmod('few/deep/5', 0o600)
    for (const i of [9, 2222]) task.unlinkat(AT_FDCWD, long(i), 0)
    task.renameat2(AT_FDCWD, long(1500), AT_FDCWD, 'few/moved', 0)
    actor.write('few/deep/299', 'short')
  }
  const further = ({ actor, task }: KeptFiles) => {
    actor.write('new')
    task.unlinkat(AT_FDCWD, 'few/hard', 0)
  }
  for (const step of [make, change, further]) {
    const files = await KeptFiles.open(new MemoryStore(records))
    step(files)
    step(memory)
    await files.close()
    expect((await KeptFiles.open(new MemoryStore(new Map(records)))).filesystem.usage()).toEqual(
      memory.filesystem.usage(),
    )
    // As many commits as make a checkpoint of all that has changed, of which nothing else is looked at.
    const idle = await KeptFiles.open(new MemoryStore(records))
    const chunks = () => [...records.keys()].filter((key) => key.startsWith('chunk/')).join()
    const before = chunks()
    for (let i = 0; i < 1005; i++) {
      idle.actor.chmod('/', 0o755)
      await idle.sync()
    }
    expect(chunks()).not.toBe(before)
    await idle.close()
    memory.actor.chmod('/', 0o755)
    const again = await KeptFiles.open(new MemoryStore(new Map(records)))
    expect(pictureOf(again.filesystem)).toBe(pictureOf(memory.filesystem))
  }
})
