/** The host's parts by themselves, in the Worker where the kernel has them. */
import { rm, writeFile } from 'node:fs/promises'
import { expect, test } from '@playwright/test'
import { inPage, inWorker } from './host-in-page.ts'
import { plainOrigin } from './origins.mjs'

test.beforeEach(async ({ page }) => {
  await page.goto('/pages/library.html')
})

test('a File that a person picked is read piece by piece, and is EIO by name once it was cut short or removed', async ({
  page,
}, info) => {
  const path = info.outputPath('picked.txt')
  await writeFile(path, 'hello world'.padEnd(600_000, '.'))
  await page.setContent('<input type="file">')
  await page.setInputFiles('input', path)
  const read = () =>
    inWorker(
      page,
      ({ ContentReaders, createGofer, createBlobReader, createXhrReader, createClock, Attempt }, _, [content]) => {
        const readers = new ContentReaders(createBlobReader(), createXhrReader())
        const tree = { entries: [{ path: 'picked.txt', kind: 'file', content: content! }] } as const
        const { root } = createGofer(tree, { dev: 1, clock: createClock(), readers })
        const attempt = new Attempt()
        const file = root.kind === 'directory' ? root.lookup('picked.txt', attempt) : undefined
        if (file?.kind !== 'file') throw new Error('no file')
        const memory = new Uint8Array(8)
        const counts = [6, 599_998, 600_000].map((offset) => file.read(memory, 0, 5, offset, attempt))
        file.read(memory, 0, 5, 6, attempt)
        const age = Date.now() - Number(file.mtime / 1_000_000n)
        return { counts, text: String.fromCharCode(...memory.subarray(0, 5)), size: file.size, recent: age < 3_600_000 }
      },
      undefined,
      'input',
    )
  expect(await read()).toEqual({ counts: [5, 2, 0], text: 'world', size: 600_000, recent: true })
  await writeFile(path, 'something else')
  await expect(read()).rejects.toThrow(/EIO.*picked\.txt: it was (changed|cut short)/)
  await rm(path)
  await expect(read()).rejects.toThrow(/EIO.*picked\.txt: it was .*removed/)
})

test('a URL is read within the call and in waiting alike: small as bytes, large as a Blob, a failure with its status', async ({
  page,
}) => {
  const paths = ['/pages/library.html', '/fixtures/ripgrep/rg.wasm', '/no/such/file']
  const urls = paths.map((path) => new URL(path, page.url()).href)
  const [small, large] = await Promise.all(urls.map(async (url) => (await (await page.request.get(url)).body()).length))
  const seen = await inWorker(
    page,
    async ({ createFetchReader, createXhrReader }, urls) => {
      const reports: boolean[] = []
      const readers = [
        createFetchReader(({ done }) => reports.push(done)),
        createXhrReader(({ done }) => reports.push(done)),
      ]
      const results: [string, number | string][] = []
      for (const reader of readers) {
        for (const url of urls) {
          try {
            const result = await reader.fetch(url, undefined)
            results.push([result.constructor.name, result instanceof Uint8Array ? result.length : result.size])
          } catch (error) {
            results.push(['Error', (error as Error).message])
          }
        }
      }
      return { results, ended: reports.filter((done) => done).length }
    },
    urls,
  )
  const each = [
    ['Uint8Array', small],
    ['Blob', large],
    ['Error', 'HTTP 404 Not Found'],
  ]
  expect(seen).toEqual({ results: [...each, ...each], ended: 6 })
})

test('a Worker sleeps, tells the time and has randomness, on an isolated page and on a plain one', async ({ page }) => {
  for (const url of ['/pages/library.html', `${plainOrigin()}/pages/library.html`]) {
    await page.goto(url)
    const seen = await inWorker(page, async ({ createSleep, createClock, createEntropy, createMacrotasks }) => {
      const clock = createClock()
      const before = clock.monotonic()
      createSleep(clock)(before + 20_000_000n)
      const slept = clock.monotonic() - before
      const shared = new Uint8Array(new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true }).buffer)
      createEntropy().fill(shared)
      const tasks = createMacrotasks()
      await tasks.next()
      tasks.close()
      return {
        slept: slept >= 20_000_000n,
        random: new Set(shared).size,
        wrong: Math.abs(Number(clock.realtime() / 1_000_000n) - Date.now()) > 2_000,
        behind: clock.realtime() < clock.coarse(),
        monotonic: clock.monotonic(),
      }
    })
    expect(seen).toMatchObject({ slept: true, random: 256, wrong: false, behind: false })
    const later = await inPage(page, ({ createClock }) => String(createClock().monotonic()))
    expect(BigInt(later)).toBeGreaterThan(seen.monotonic)
  }
})

test('what the machine has is seen as it is', async ({ page }) => {
  const features = () => inWorker(page, ({ detectFeatures }) => detectFeatures())
  expect(await features()).toMatchObject({ crossOriginIsolated: true, sharedArrayBuffer: true })
  await page.goto(`${plainOrigin()}/pages/library.html`)
  expect(await features()).toMatchObject({ crossOriginIsolated: false, sharedArrayBuffer: false })
})
