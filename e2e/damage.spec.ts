/** A bit that flips in a volume's database in a real browser: what is told of it, and what of the files is there still. */
import { expect, test } from '@playwright/test'
import { openLibrary } from './programs.ts'

/** What whoever mounts the volume then finds. */
interface Found {
  /** The error of `create`, or ''. */
  readonly refused: string
  readonly warnings: readonly string[]
  readonly damage: readonly string[]
  /** The files: the first character of each, or the code of its error. */
  readonly early?: string
  readonly large?: string
  readonly late?: string
  /** What writing to the first one comes to. */
  readonly write?: string
}

const whole = { refused: '', early: 'e', large: 'l', late: 'L', write: 'done' }

test('a flipped bit costs the files that the record tells of, whatever kind of record it is, and is told by its name', async ({
  page,
}) => {
  await openLibrary(page)
  const seen = await page.evaluate(async () => {
    const { Sandbox } = window.programs
    const spec = (...options: string[]) => ({
      mounts: [{ destination: '/kept', type: 'tmpfs', source: 'volume:notes', options }],
    })
    const codeOf = (error: { code?: string }) => error.code ?? String(error)

    const opened = async (name: string) => {
      const request = indexedDB.open(name)
      await new Promise((resolve) => {
        request.onsuccess = resolve
      })
      return request.result
    }
    const done = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve) => {
        request.onsuccess = () => resolve(request.result)
      })
    const store = (database: IDBDatabase) => database.transaction('records', 'readwrite').objectStore('records')

    /** Looks at the volume in a sandbox of its own. */
    async function look(...options: string[]): Promise<Found> {
      const sandbox = await Sandbox.boot({ platform: 'inline' })
      const damage = () =>
        sandbox.volumes.usage('notes').then(
          ({ damage }) => damage,
          (error) => [codeOf(error)],
        )
      try {
        const container = await sandbox.create('box', spec(...options)).catch((error) => error as Error)
        if (container instanceof Error) return { refused: container.message, warnings: [], damage: await damage() }
        const { fs } = container
        const first = (path: string) => fs.readFile(path, 'utf8').then((text) => text[0] ?? '', codeOf)
        return {
          refused: '',
          warnings: container.warnings,
          damage: await damage(),
          early: await first('/kept/early'),
          large: await first('/kept/large'),
          late: await first('/kept/late'),
          write: await fs.writeFile('/kept/early', 'early').then(() => 'done', codeOf),
        }
      } finally {
        await sandbox.shutdown()
      }
    }

    const sandbox = await Sandbox.boot({ platform: 'inline' })
    const { fs } = await sandbox.create('box', spec())
    await fs.writeFile('/kept/early', 'early')
    await fs.writeFile('/kept/large', 'l'.repeat(300_000))
    // The next file is of another chunk, and so many attributes that a checkpoint begins.
    for (let i = 0; i < 300; i++) await fs.symlink('x'.repeat(2000), `/kept/link${i}`)
    await fs.writeFile('/kept/late', 'Late')
    for (let i = 0; i < 8; i++) {
      await fs.sync()
      await fs.writeFile('/kept/other', String(i))
    }
    await sandbox.volumes.takeSnapshot('notes', 'then')
    await fs.writeFile('/kept/last', 'last')
    await sandbox.shutdown()

    const names = (await indexedDB.databases()).map(({ name }) => name!)
    const volume = await opened(names.find((name) => name.startsWith('runtab/volume/'))!)
    const keys = (await done(store(volume).getAllKeys())).map(String)
    const values = await done(store(volume).getAll())
    const last = (kind: string) => keys.filter((key) => key.startsWith(kind)).at(-1)!
    /** The chunk of inodes 256 N on: what it is of stands behind the store's id of 32 digits. */
    const chunk = (of: string) =>
      keys.filter((key, i) => {
        const bytes = values[i] as Uint8Array
        return key.startsWith('chunk/') && bytes[35] === 1 && String.fromCharCode(bytes[36]!) === of
      })
    const blob = keys.find((_, i) => values[i] instanceof Blob)!

    const seen: Record<string, Found> = { whole: await look() }
    const flipped = async (what: string, database: IDBDatabase, key: string, ...options: string[]) => {
      const value: unknown = await done(store(database).get(key))
      let damaged: unknown
      if (typeof value === 'string') damaged = value.replace(/./, (digit) => (digit === '0' ? '1' : '0'))
      else {
        const bytes = new Uint8Array(value instanceof Blob ? await value.arrayBuffer() : (value as Uint8Array).slice())
        bytes[bytes.length >> 1]! ^= 4
        damaged = value instanceof Blob ? new Blob([bytes]) : bytes
      }
      await done(store(database).put(damaged, key))
      seen[what] = await look(...options)
      await done(store(database).put(value, key))
    }
    await flipped('segment', volume, blob)
    await flipped('chunk', volume, chunk('1').at(-1)!)
    await flipped('chunk of the root', volume, chunk('0').at(-1)!)
    await flipped('log', volume, last('log/'))
    await flipped('log, rescue', volume, last('log/'), 'rescue')
    await flipped('root', volume, 'root')
    await flipped('head', volume, 'head')
    await flipped('snapshot', volume, 'snapshot/then')
    await flipped('reserve', volume, 'reserve')
    const catalogue = await opened('runtab/volumes')
    await flipped('catalogue', catalogue, 'notes')
    seen.again = await look()
    for (const database of [volume, catalogue]) database.close()
    return seen
  })
  const none = { warnings: [], damage: [] }
  expect(seen.whole).toEqual({ ...whole, ...none })
  expect(seen.segment).toEqual({ ...whole, ...none, large: 'EIO' })
  const named = [expect.stringMatching(/"chunk\/\d+" of the volume/)]
  expect(seen.chunk).toEqual({ ...whole, warnings: named, damage: named, late: 'EIO', write: 'EROFS' })
  for (const what of ['chunk of the root', 'log', 'root', 'head', 'catalogue'])
    expect(seen[what]?.refused, what).toMatch(/^EIO: .*mounts\[0\].*(chunk\/|log\/|"root"|"head"|catalogue)/)
  const before = [expect.stringMatching(/"log\/\d+" of the volume/)]
  expect(seen['log, rescue']).toEqual({ ...whole, warnings: before, damage: before, write: 'EROFS' })
  const snapshot = [expect.stringMatching(/"snapshot\/then" of the volume/)]
  expect(seen.snapshot).toEqual({ ...whole, warnings: snapshot, damage: snapshot })
  expect(seen.reserve).toEqual({ ...whole, ...none })
  expect(seen.again).toEqual({ ...whole, ...none })
})
