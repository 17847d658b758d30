/** Browsers that are killed while files in volumes change; `npm run crash` does it more often (e2e/crash). */
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { provideBrowser, useOptions } from './browser.mjs'
import { crash } from './crash/crash.mjs'
import { openLibrary } from './programs.ts'

test('after a browser is killed, or a kernel, every synced file is there and the files are those of one moment', async ({
  browserName,
}) => {
  test.skip(
    browserName !== 'chromium' && process.env.RUNTAB_MATRIX !== 'full',
    'CI has time for one browser; npm run crash -- --browser firefox, and npm run test:full, kill the other, too',
  )
  const report = await crash({ kills: 2, browser: browserName as 'chromium' | 'firefox', seed: 6 })
  expect(report.violations).toEqual([])
  expect(report.kills).toBe(2)
  expect(report.acks).toBeGreaterThan(0)
})

test('half a record that a power failure leaves in the log of the browser takes no file, at no later start', async ({
  playwright,
  browserName,
}) => {
  test.skip(browserName !== 'chromium', 'Firefox keeps a file of SQLite for each database, and no log of all')
  const profile = mkdtempSync(join(tmpdir(), 'runtab-log-'))
  const { launchOptions } = useOptions(provideBrowser('chromium')) as { launchOptions: object }
  /** Starts the browser, writes a file, and gives what was there before. */
  const start = async (name: string) => {
    const context = await playwright.chromium.launchPersistentContext(profile, launchOptions)
    try {
      const page = await context.newPage()
      await openLibrary(page)
      return await page.evaluate(async (name) => {
        const sandbox = await window.programs.Sandbox.boot({ platform: 'inline' })
        const mounts = [{ destination: '/kept', type: 'tmpfs', source: 'volume:notes' }]
        const { fs, warnings } = await sandbox.create('box', { mounts })
        const found = await fs.readdir('/kept')
        await fs.writeFile(`/kept/${name}`, name)
        await fs.sync()
        // What comes last is what half a record will be of.
        await fs.writeFile('/kept/last', name)
        await sandbox.shutdown()
        return { found: found.filter((name) => name !== 'last'), warnings }
      }, name)
    } finally {
      await context.close()
    }
  }
  try {
    expect(await start('one')).toEqual({ found: [], warnings: [] })
    const databases = join(profile, 'Default/IndexedDB')
    const folder = join(databases, readdirSync(databases).find((name) => name.endsWith('.leveldb'))!)
    const log = join(folder, readdirSync(folder).find((name) => name.endsWith('.log'))!)
    truncateSync(log, statSync(log).size - 5)
    expect(await start('two')).toEqual({ found: ['one'], warnings: [] })
    expect(await start('three')).toEqual({ found: ['one', 'two'], warnings: [] })
    expect(await start('four')).toEqual({ found: ['one', 'two', 'three'], warnings: [] })
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
})
