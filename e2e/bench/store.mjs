/**
 * `npm run bench:store [-- --rows a,b --passes N --quick --json FILE]`: volumes against bare IndexedDB and peers, in Chromium on a profile on
 * disk, in one run. Prints each ratio, and whether its bar is held, when it is measured; exits 1 if one is not. `--quick` is small, and
 * judges nothing; `--passes` (3) is how often what is short is repeated.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from '@playwright/test'
import { provideBrowser, useOptions } from '../browser.mjs'
import { isolation, listen, staticServer } from '../server.mjs'
import { buildPageScripts } from './page-scripts.mjs'
import { STORE_ROWS } from './store-report.mjs'

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    rows: { type: 'string' },
    passes: { type: 'string' },
  },
})
const rows = options.rows?.split(',') ?? Object.keys(STORE_ROWS)
const unknown = rows.filter((row) => !Object.hasOwn(STORE_ROWS, row))
if (unknown.length > 0) throw new Error(`there is no row ${unknown}, but ${Object.keys(STORE_ROWS)}`)
const MiB = 2 ** 20
const size = options.quick
  ? {
      passes: 1,
      large: 4 * MiB,
      files: 200,
      each: 20,
      mount: 1000,
      huge: 16 * MiB,
      rewritten: 4 * MiB,
      peers: 200,
      rest: 0,
    }
  : {
      passes: Number(options.passes ?? 3),
      large: 64 * MiB,
      files: 10_000,
      each: 1000,
      mount: 100_000,
      huge: 1024 * MiB,
      rewritten: 64 * MiB,
      peers: 2000,
      rest: 5000,
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
  const newWorker = () =>
    page.evaluate(
      "window.worker?.terminate(); window.worker = new Worker('/built/store.worker.js', { type: 'module' })",
    )
  await newWorker()
  /** @param {string} work @param {unknown} argument @returns {Promise<any>} */
  const run = (work, argument) =>
    page.evaluate(`new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message))
      worker.onmessage = ({ data }) => ('error' in data ? reject(new Error(data.error)) : resolve(data.value))
      worker.postMessage(${JSON.stringify({ work, argument })})
    })`)

  /** The least of some passes of each work, in turn. @param {Record<string, number>} works */
  const inTurn = async (works, passes = size.passes) => {
    /** @type {Record<string, number>} */
    const least = {}
    for (let pass = 0; pass < passes; pass++)
      for (const [work, argument] of Object.entries(works))
        least[work] = Math.min(least[work] ?? Number.POSITIVE_INFINITY, await run(work, argument))
    return least
  }
  /** What a mount costs in a Worker that has just begun, as in a page that was just opened, and an fsync. @param {string} id @param {number} bytes */
  const costs = async (id, bytes) => {
    let mount = Number.POSITIVE_INFINITY
    for (let i = 0; i < 5; i++) {
      await newWorker()
      mount = Math.min(mount, await run('mountOf', id))
    }
    return { mount, sync: await run('syncOf', { id, bytes }) }
  }
  /** @type {Record<keyof typeof STORE_ROWS, () => Promise<any>>} */
  const measures = {
    large: () => inTurn({ large: size.large, barePuts: size.large }),
    files: async () => {
      // Of what is bare there is nothing to be compiled; ours is measured when it has been.
      await inTurn({ manyFiles: size.files }, 2 * size.passes)
      return inTurn({ manyFiles: size.files, bareFiles: size.files })
    },
    each: () => inTurn({ syncEach: size.each, bareEach: size.each }),
    mount: () => run('mount', { count: size.mount, passes: size.passes }),
    peers: () => inTurn({ ours: size.peers, zenfs: size.peers, jco: size.peers }, Math.min(2, size.passes)),
    firstByte: () => run('firstByte', size.huge),
    rewritten: async () => {
      const { rewritten: bytes, rest } = size
      const id = await run('filled', { bytes, rest })
      const before = await costs(id, bytes)
      const rewritten = await run('rewritten', { id, bytes, times: 10, rest })
      const after = await costs(id, bytes)
      await run('remove', id)
      return { before, after, ...rewritten }
    },
  }
  /** @type {Record<string, unknown>} */
  const report = {}
  let held = true
  for (const row of /** @type {(keyof typeof STORE_ROWS)[]} */ (rows)) {
    const start = performance.now()
    const measured = await measures[row]()
    report[row] = measured
    const bars = STORE_ROWS[row](measured)
    held &&= bars.every(({ holds }) => holds)
    console.log(`${row}, ${((performance.now() - start) / 1000).toFixed(0)} s`)
    for (const { line } of bars) console.log(line)
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  }
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
