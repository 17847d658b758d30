/** The store of volumes, on the browser's IndexedDB. */
import { expect, test } from '@playwright/test'
import { inPage } from './host-in-page.ts'

test.beforeEach(async ({ page }) => {
  await page.goto('/pages/library.html')
})

test("idb-keyval's functions work on our store, also those that put what they make of what they got", async ({
  page,
}) => {
  const seen = await inPage(page, async ({ Database, idb }) => {
    const database = new Database('volume')
    const store = database.store({ durability: 'strict' })
    await idb.set('a', new Uint8Array([1, 2]), store)
    await idb.setMany(
      [
        ['b', 1],
        ['c', 'x'],
      ],
      store,
    )
    await idb.update<number>('b', (old) => (old ?? 0) + 1, store)
    await idb.del('c', store)
    const result = [await idb.get<Uint8Array>('a', store), await idb.getMany(['b', 'c'], store), await idb.keys(store)]
    await database.close()
    return result.map((value) => (value instanceof Uint8Array ? [...value] : value))
  })
  expect(seen).toEqual([
    [1, 2],
    [2, undefined],
    ['a', 'b'],
  ])
})

test('a write is as durable as it is asked to be, and may be committed at once', async ({ page }) => {
  const seen = await inPage(page, async ({ Database, idb }) => {
    const database = new Database('volume')
    const durabilities: string[] = []
    for (const durability of ['strict', 'relaxed'] as const) {
      const store = database.store({ durability, commitAtOnce: true })
      await store('readwrite', (records) => {
        durabilities.push(records.transaction.durability)
        records.put('value', durability)
      })
    }
    const late = await database
      .store({ durability: 'strict', commitAtOnce: true })('readwrite', async (records) => {
        await new Promise((resolve) => {
          records.get('strict').onsuccess = resolve
        })
        records.put('too late', 'late')
      })
      .catch((error) => error.name)
    const keys = await idb.keys(database.store({ durability: 'relaxed' }))
    await database.close()
    return { durabilities, late, keys }
  })
  expect(seen).toEqual({
    durabilities: ['strict', 'relaxed'],
    late: 'TransactionInactiveError',
    keys: ['relaxed', 'strict'],
  })
})

test('a write that fails leaves nothing and says why', async ({ page }) => {
  const seen = await inPage(page, async ({ Database, idb }) => {
    const database = new Database('volume')
    const store = database.store({ durability: 'strict' })
    const nameOf = (error: Error) => error.name
    const unclonable = await idb
      .setMany(
        [
          ['a', 1],
          ['b', () => {}],
        ],
        store,
      )
      .then(() => 'kept', nameOf)
    const thrown = await store('readwrite', (records) => {
      records.put(1, 'c')
      throw new RangeError('no')
    }).then(() => 'kept', nameOf)
    const twice = await store('readwrite', (records) => {
      records.add(1, 'd')
      records.add(2, 'd')
    }).then(() => 'kept', nameOf)
    const aborted = await store('readwrite', (records) => {
      records.put(1, 'e')
      records.transaction.abort()
    }).then(() => 'kept', nameOf)
    const keys = await idb.keys(store)
    await database.close()
    return { unclonable, thrown, twice, aborted, keys }
  })
  expect(seen).toEqual({
    unclonable: 'DataCloneError',
    thrown: 'RangeError',
    twice: 'ConstraintError',
    aborted: 'AbortError',
    keys: [],
  })
})

test('a full quota is told as such, and leaves nothing of the write', async ({ page, browserName }) => {
  test.skip(browserName !== 'chromium', 'only Chromium lets a test set the quota')
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(page.url()).origin, quotaSize: 3_000_000 })
  const seen = await inPage(page, async ({ Database, idb }) => {
    const database = new Database('volume')
    const store = database.store({ durability: 'strict' })
    let failure = 'none'
    for (let i = 0; i < 20 && failure === 'none'; i++) {
      const bytes = crypto.getRandomValues(new Uint32Array(16_384)).buffer
      const segments = Array.from({ length: 16 }, (_, k) => [`${i}/${k}`, bytes] as [string, ArrayBuffer])
      await idb.setMany(segments, store).catch((error) => {
        failure = error.name
      })
    }
    const keys = await idb.keys<string>(store)
    await database.close()
    return { failure, whole: keys.length % 16 === 0 }
  })
  expect(seen).toEqual({ failure: 'QuotaExceededError', whole: true })
})

test('nobody waits for us to delete the database, and we look before we trust a new one of its name', async ({
  page,
}) => {
  const seen = await inPage(page, async ({ Database, deleteDatabase, idb }) => {
    const checks: [boolean, unknown][] = []
    const database = new Database('volume', {
      async check(use, reopened) {
        const id = await idb.get('id', use)
        checks.push([reopened, id])
        if (reopened && id !== 7) throw new Error('another store')
      },
    })
    const store = database.store({ durability: 'strict' })
    await idb.set('id', 7, store)
    await deleteDatabase('volume')
    const refused = await idb.set('x', 1, store).then(
      () => 'kept',
      (error) => error.message,
    )
    const other = new Database('volume')
    await idb.set('id', 7, other.store({ durability: 'relaxed' }))
    await idb.set('x', 1, store)
    await Promise.all([database.close(), other.close()])
    const closed = await idb.get('x', store).catch((error) => error.name)
    return { checks, refused, closed }
  })
  expect(seen).toEqual({
    checks: [
      [false, undefined],
      [true, undefined],
      [true, 7],
    ],
    refused: 'another store',
    closed: 'InvalidStateError',
  })
})
