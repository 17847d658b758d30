/** `npm run bench:mounts [-- --json FILE --quick]`: what a sandbox and its containers cost to start, and what many mounts cost a
 *  walk, in Chromium.
 *
 * All works are measured in turn, so that a machine that is busy for a while is busy for all of them; of all samples the least
 * counts. Prints ratios and whether the bars are held; exits 1 if not. `--quick` judges no times. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from '@playwright/test'
import { build } from 'vite'
import { provideBrowser, useOptions } from '../browser.mjs'
import { isolation, listen, staticServer } from '../server.mjs'
import { loadedWith } from '../tools/imports.mjs'
import { root } from '../tools/run.mjs'
import { mountsVerdict } from './mounts-report.mjs'
import { buildPageScripts } from './page-scripts.mjs'

const { values: options } = parseArgs({
  options: { json: { type: 'string' }, quick: { type: 'boolean', default: false } },
})

/** Built for the benchmark alone, so that it measures these sources and is in nobody's way. */
const library = '.cache/bench-mounts/library'
const built = '.cache/bench-mounts/built'
const passes = options.quick ? 1 : 40

await build({ root, mode: 'lib', logLevel: 'warn', build: { outDir: library, emptyOutDir: true } })
await buildPageScripts(built, ['mounts-page.ts', 'mounts.worker.ts'])
const kernel = [...loadedWith(`${library}/kernel.worker.js`)]
  .map((file) => readFileSync(join(root, file), 'utf8').replace(/^import .*|\bexport ?\{[^}]*\};?|^\/\/# .*/gm, ''))
  .join('\n')
// A Worker in which nothing runs but what tells that it does. It is fetched and parsed as the kernel's is, unless that is a comment.
const runs = "postMessage('runs')\n"
writeFileSync(join(root, built, 'empty.worker.js'), `${runs}async function never() {\n${kernel}\n}\n`)
writeFileSync(join(root, built, 'comment.worker.js'), `${runs}/*${kernel.replaceAll('*/', '**')}*/`)

const server = staticServer(
  [
    ['/lib/', library],
    ['/built/', built],
    ['/', 'e2e/bench'],
  ],
  isolation,
)
const origin = await listen(server)
const { launchOptions } = /** @type {any} */ (useOptions(provideBrowser('chromium')))
const browser = await chromium.launch(launchOptions)
try {
  const page = await browser.newPage()
  await page.goto(`${origin}/page.html`)
  /** @param {'starts' | 'stats'} what @returns {Promise<Record<string, number>>} */
  const measure = (what) =>
    page.evaluate(async (what) => (await import(/* @vite-ignore */ String('/built/mounts-page.js')))[what](), what)
  const ms = await measure('stats')
  for (let pass = 1; pass <= passes; pass++) {
    for (const [name, time] of Object.entries(await measure('starts'))) ms[name] = Math.min(ms[name] ?? time, time)
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(ms, null, 2)}\n`)
  const { held, lines } = mountsVerdict(ms)
  console.log(lines.join('\n'))
  if (options.quick) console.log('\nevery work runs; --quick judges no times')
  else {
    console.log(`\nthe bar is ${held ? 'held' : 'missed'}`)
    if (!held) process.exitCode = 1
  }
} finally {
  await browser.close()
  server.close()
}
