/**
 * `npm run bench:store [-- --quick --json FILE]`: volumes against bare IndexedDB and peers, in Chromium on a profile on disk, in one run.
 * Prints ratios and whether the bars are held; exits 1 if not. `--quick` is small, and judges nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from '@playwright/test'
import { provideBrowser, useOptions } from '../browser.mjs'
import { isolation, listen, staticServer } from '../server.mjs'
import { buildPageScripts } from './page-scripts.mjs'
import { storeVerdict } from './store-report.mjs'

const { values: options } = parseArgs({
  options: { json: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const MiB = 2 ** 20
const size = options.quick
  ? { passes: 1, large: 4 * MiB, files: 200, each: 20, mount: 1000, huge: 16 * MiB, rewritten: 4 * MiB, peers: 200 }
  : {
      passes: 4,
      large: 64 * MiB,
      files: 10_000,
      each: 1000,
      mount: 100_000,
      huge: 1024 * MiB,
      rewritten: 64 * MiB,
      peers: 2000,
    }

const built = '.cache/bench/store'
await buildPageScripts(built, ['store.worker.ts'])
const server = staticServer(
  [
    ['/built/', built],
    ['/', 'e2e/bench'],
  ],
  isolation,
)
const origin = await listen(server)
const profile = mkdtempSync(join(tmpdir(), 'runtab-bench-'))
const { launchOptions } = /** @type {any} */ (useOptions(provideBrowser('chromium')))
const context = await chromium.launchPersistentContext(profile, launchOptions)

try {
  const page = await context.newPage()
  await page.goto(`${origin}/store.html`)
  await page.evaluate("window.worker = new Worker('/built/store.worker.js', { type: 'module' })")
  /** @param {string} work @param {unknown} argument @returns {Promise<any>} */
  const run = (work, argument) =>
    page.evaluate(`new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message))
      worker.onmessage = ({ data }) => ('error' in data ? reject(new Error(data.error)) : resolve(data.value))
      worker.postMessage(${JSON.stringify({ work, argument })})
    })`)

  const inTurn = /** @type {const} */ ([
    ['large', size.large],
    ['barePuts', size.large],
    ['manyFiles', size.files],
    ['bareFiles', size.files],
    ['syncEach', size.each],
    ['bareEach', size.each],
  ])
  const peers = /** @type {const} */ ([
    ['ours', size.peers],
    ['zenfs', size.peers],
    ['jco', size.peers],
  ])
  /** @type {Record<string, number>} */
  const least = {}
  const measure = async (/** @type {readonly (readonly [string, number])[]} */ works) => {
    for (const [work, argument] of works)
      least[work] = Math.min(least[work] ?? Number.POSITIVE_INFINITY, await run(work, argument))
  }
  for (let pass = 0; pass < size.passes; pass++) await measure(inTurn)
  for (let pass = 0; pass < Math.min(2, size.passes); pass++) await measure(peers)
  const report = {
    least: /** @type {import('./store-report.mjs').StoreReport['least']} */ (least),
    mount: await run('mount', { count: size.mount, passes: size.passes }),
    firstByte: await run('firstByte', size.huge),
    rewritten: await run('rewritten', { bytes: size.rewritten, times: 10 }),
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  const { held, lines } = storeVerdict(report)
  console.log(lines.join('\n'))
  if (options.quick) console.log('\nevery work runs; --quick judges nothing')
  else {
    console.log(`\nthe bar is ${held ? 'held' : 'missed'}`)
    if (!held) process.exitCode = 1
  }
} finally {
  await context.close()
  await new Promise((resolve) => server.close(resolve))
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
