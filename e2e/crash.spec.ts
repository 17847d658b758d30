/** Browsers that are killed while files in volumes change; `npm run crash` does it more often (e2e/crash). */
import { expect, test } from '@playwright/test'
import { crash } from './crash/crash.mjs'

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
