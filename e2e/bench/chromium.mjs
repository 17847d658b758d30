/** The sides of the benchmark in Chromium: ours, from the library as it is built for the package, on every platform, and the shim in a
 *  Worker, as ours runs in one; and the floor, which is neither. All on cross-origin isolated pages, where the clock is fine.
 *  @typedef {import('./sides.mjs').Side} Side */
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { chromium } from '@playwright/test'
import { build } from 'vite'
import { sysroot } from '../archives.mjs'
import { provideBrowser, useOptions } from '../browser.mjs'
import { buildGuest } from '../guests/build.mjs'
import { isolation, listen, staticServer } from '../server.mjs'
import { root } from '../tools/run.mjs'
import { buildPageScripts } from './page-scripts.mjs'
import { answer } from './sides.mjs'

/** Built for the benchmark alone, so that it measures these sources and is in nobody's way. */
const library = '.cache/bench/library'
const built = '.cache/bench/page'

/** What is asked of a page that serves files, and for how long. */
const ASKED = { bytes: 128 << 10, ms: 50 }
const LLVM = '/llvm/llvm.core.wasm'

/**
 * @typedef {object} Place
 * @property {Side[]} sides
 * @property {(what: 'start' | 'compile' | 'fuse', platform: string) => Promise<number>} ours   nanoseconds, one measurement
 * @property {(what: 'start' | 'copy' | 'roundTrip' | 'comlink') => Promise<number>} floor   nanoseconds, one measurement
 */

/** @param {string} wasm path of the benchmark guest @returns {Promise<Place>} */
export async function chromiumPlace(wasm) {
  await build({ root, mode: 'lib', logLevel: 'warn', build: { outDir: library, emptyOutDir: true } })
  // The shim is imported by its bare name, which a Worker cannot map: hence bundled.
  await buildPageScripts(built, ['shim.worker.mjs'])
  const server = staticServer(
    [
      ['/lib/', library],
      ['/guests/', dirname(wasm)],
      ['/built/', built],
      ['/comlink/', 'node_modules/comlink/dist/esm'],
      ['/llvm/', 'node_modules/@yowasp/clang/gen'],
      ['/', 'e2e/bench'],
    ],
    isolation,
  )
  const origin = await listen(server)
  const { launchOptions } = /** @type {any} */ (useOptions(provideBrowser('chromium')))
  const browser = await chromium.launch(launchOptions)
  let open = 0
  const close = async () => {
    if (--open > 0) return
    await browser.close()
    await new Promise((resolve) => server.close(resolve))
  }

  /** @param {string} file */
  const address = (file) => `/guests/${basename(file)}`
  const guests = {
    guest: address(wasm),
    nothing: address(await buildGuest('nothing.c')),
    pread: address(await buildGuest('pread.c')),
    floor: address(await buildGuest('floor.c')),
  }
  /** @type {(side: 'ours' | 'shim' | 'floor', platform?: string) => Promise<(what: string, argument?: unknown) => Promise<unknown>>} */
  const onPage = async (side, platform = '') => {
    const page = await browser.newPage()
    const said = /** @type {string[]} */ ([])
    page.on('pageerror', (error) => said.push(error.message))
    await page.goto(`${origin}/page.html`)
    await page.evaluate(`window.bench.boot(${JSON.stringify({ side, platform, ...guests })})`)
    return async (what, argument = null) => {
      const outcome = await page.evaluate(`window.bench.measure(${JSON.stringify(what)}, ${JSON.stringify(argument)})`)
      if (said.length > 0) throw new Error(`${what} ${argument ?? ''}: ${said.join('; ')}`)
      return outcome
    }
  }
  const nanoseconds = (/** @type {any} */ { ns }) => /** @type {number} */ (ns)

  try {
    const pages = new Map([
      ['inline', await onPage('ours', 'inline')],
      ['jspi', await onPage('ours', 'jspi')],
      ['worker', await onPage('ours', 'worker')],
      ['shim', await onPage('shim')],
      ['floor', await onPage('floor')],
    ])
    const page = (/** @type {string} */ name) => /** @type {Awaited<ReturnType<typeof onPage>>} */ (pages.get(name))
    const { url, index } = await sysroot()
    const source = readFileSync(join(root, 'e2e/guests/files.c'), 'utf8')
    const compile = { llvm: LLVM, sysroot: { url: `/llvm/${basename(url)}`, index }, source }
    /** @type {Record<string, unknown>} */
    const what = { compile, fuse: ASKED, comlink: ASKED }
    const sides = ['inline', 'jspi', 'worker', 'shim'].map((name) => {
      open++
      return /** @type {Side} */ ({
        where: 'chromium',
        side: name === 'shim' ? 'shim' : 'ours',
        platform: name === 'shim' ? '' : name,
        atTenfold: name !== 'shim',
        run: async (args) => answer(args, /** @type {import('./sides.mjs').Outcome} */ (await page(name)('run', args))),
        close,
      })
    })
    return {
      sides,
      ours: async (row, platform) => nanoseconds(await page(platform)(row, what[row])),
      floor: async (row) => nanoseconds(await page('floor')(row, what[row])),
    }
  } catch (error) {
    open = 1
    await close()
    throw error
  }
}
