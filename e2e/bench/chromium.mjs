/** The sides of the benchmark in Chromium: ours, from the library as it is built for the package, on platforms inline and jspi, and the shim in a
 *  Worker, as ours runs in one. Both on a cross-origin isolated page, where the clock is fine.
 *  @typedef {import('./sides.mjs').Side} Side */
import { basename, dirname, join } from 'node:path'
import { chromium } from '@playwright/test'
import { build } from 'vite'
import { provideBrowser, useOptions } from '../browser.mjs'
import { isolation, listen, staticServer } from '../server.mjs'
import { root } from '../tools/run.mjs'
import { answer } from './sides.mjs'

/** Built for the benchmark alone, so that it measures these sources and is in nobody's way. */
const library = '.cache/bench/library'
const built = '.cache/bench/page'

/** @param {string} wasm path of the benchmark guest @returns {Promise<Side[]>} */
export async function chromiumSides(wasm) {
  await build({ root, mode: 'lib', logLevel: 'warn', build: { outDir: library, emptyOutDir: true } })
  // The shim is imported by its bare name, which a Worker cannot map: hence bundled.
  await build({
    configFile: false,
    root,
    logLevel: 'warn',
    build: {
      outDir: built,
      emptyOutDir: true,
      copyPublicDir: false,
      minify: false,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: {
        input: { 'shim.worker': join(root, 'e2e/bench/shim.worker.mjs') },
        output: { entryFileNames: '[name].js' },
      },
    },
  })
  const server = staticServer(
    [
      ['/lib/', library],
      ['/guests/', dirname(wasm)],
      ['/built/', built],
      ['/', 'e2e/bench'],
    ],
    isolation,
  )
  const origin = await listen(server)
  const { launchOptions } = /** @type {any} */ (useOptions(provideBrowser('chromium')))
  const browser = await chromium.launch(launchOptions)
  const address = `/guests/${basename(wasm)}`
  let open = 0
  const close = async () => {
    if (--open > 0) return
    await browser.close()
    await new Promise((resolve) => server.close(resolve))
  }

  /** @type {(side: 'ours' | 'shim', platform: string) => Promise<Side>} */
  const onPage = async (side, platform) => {
    open++
    const page = await browser.newPage()
    const said = /** @type {string[]} */ ([])
    page.on('pageerror', (error) => said.push(error.message))
    await page.goto(`${origin}/page.html`)
    await page.evaluate(`window.bench.boot(${JSON.stringify({ side, platform, address })})`)
    return {
      where: 'chromium',
      side,
      platform,
      atTenfold: side === 'ours',
      async run(args) {
        const outcome = await page.evaluate(`window.bench.run(${JSON.stringify(args)})`)
        if (said.length > 0) throw new Error(`${args.join(' ')}: ${said.join('; ')}`)
        return answer(args, /** @type {import('./sides.mjs').Outcome} */ (outcome))
      },
      close,
    }
  }
  try {
    return [await onPage('ours', 'inline'), await onPage('ours', 'jspi'), await onPage('shim', '')]
  } catch (error) {
    open = 1
    await close()
    throw error
  }
}
