/** What the tests and a person look at is served as promised: isolated where that is said, whole, and without errors. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { plainOrigin } from './origins.mjs'
import { root } from './tools/run.mjs'
import { startVite } from './vite-dev.mjs'

const isolated = () => ({ isolated: crossOriginIsolated, shared: typeof SharedArrayBuffer })

test('pages of the test server are isolated at one origin and not at the other', async ({ page }) => {
  await page.goto('/pages/library.html')
  expect(await page.evaluate(isolated)).toEqual({ isolated: true, shared: 'function' })
  await page.goto(`${plainOrigin()}/pages/library.html`)
  expect(await page.evaluate(isolated)).toEqual({ isolated: false, shared: 'undefined' })
})

test('the test server serves the library and the programs that tests run', async ({ request }) => {
  for (const path of [
    'fixtures/clang/llvm.core.wasm',
    'fixtures/runno/python-3.11.3.wasm',
    'fixtures/ripgrep/rg.wasm',
  ]) {
    const response = await request.head(`/${path}`)
    expect(response.ok(), path).toBe(true)
    expect(response.headers()['content-type']).toBe('application/wasm')
  }
  const ripgrep = await (await request.get('/fixtures/ripgrep/rg.wasm')).body()
  expect([...ripgrep.subarray(0, 4)]).toEqual([0, 0x61, 0x73, 0x6d])
  expect((await request.get('/lib/index.js')).headers()['content-type']).toContain('text/javascript')
})

test('the test server serves nothing outside of its folders', async ({ request }) => {
  for (const path of ['pages/..%2fserver.mjs', 'lib/..%2fpackage.json', 'no/such/file']) {
    expect((await request.get(`/${path}`)).status(), path).toBe(404)
  }
})

test('npm start, right after an installation, serves an isolated playground whose example runs at the first click', async ({
  page,
}) => {
  const cache = mkdtempSync(join(root, '.cache/vite-'))
  const { origin, stop } = await startVite(root, { RUNTAB_VITE_CACHE: cache })
  try {
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('requestfailed', (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`))
    await page.goto(origin)
    expect(await page.evaluate(isolated)).toEqual({ isolated: true, shared: 'function' })
    await page.getByRole('button', { name: 'Run the example', exact: true }).click()
    await expect(page.locator('#status')).toHaveText('Exited with 0', { timeout: 60_000 })
    expect(errors).toEqual([])
  } finally {
    await stop()
    rmSync(cache, { recursive: true, force: true })
  }
})
