/** The conformance suite holds in a browser's Worker as it does in Node. */
import { expect, test } from '@playwright/test'
import { openLibrary } from './programs.ts'

interface Result {
  readonly name: string
  readonly held: number
  readonly failures: readonly string[]
}

test('every spec holds on every arrangement in a Worker', async ({ page }) => {
  await openLibrary(page)
  const results = await page.evaluate(
    () =>
      new Promise<Result[]>((resolve, reject) => {
        const worker = new Worker('/pages/conformance.worker.mjs', { type: 'module' })
        const results: Result[] = []
        worker.onerror = ({ message }) => reject(new Error(message || 'the Worker could not be loaded'))
        worker.onmessage = ({ data }) => (data === 'done' ? resolve(results) : results.push(data))
      }),
  )
  expect(results.map(({ name }) => name)).toContain('tmpfs')
  for (const { name, held, failures } of results) {
    expect(failures, name).toEqual([])
    expect(held, name).toBeGreaterThan(300)
  }
})
