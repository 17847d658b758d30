/**
 * Where the suite is run: in a page of a browser, or in Node, where kernel and guests have threads of their own as in a page.
 *
 * @typedef {import('../../src/client/index.ts').PlatformName} PlatformName
 * @typedef {import('./play.mjs').Played} Played
 * @typedef {import('./tests.mjs').SuiteTest} SuiteTest
 *
 * @typedef {object} Host
 * @property {(platform: PlatformName, test: SuiteTest) => Promise<Played>} play
 * @property {(platform: PlatformName) => Promise<string | undefined>} obstacle why a platform can't be had here
 * @property {() => Promise<void>} close
 */
import { readFileSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium, firefox } from '@playwright/test'
import { findBrowser, useOptions } from '../browser.mjs'
import { folders, isolation, listen, staticServer } from '../server.mjs'
import { root } from '../tools/run.mjs'

/** A test that takes longer has failed; generous, so that a loaded machine decides nothing. */
const LIMIT = 60_000

/** @returns {Promise<Host>} */
export async function openNode() {
  await import('../node-workers.mjs')
  const { Sandbox } = await import(pathToFileURL(`${root}dist/index.js`).href)
  const { play } = await import('./play.mjs')
  return {
    play: async (platform, { steps, functions, wasm }) =>
      play(Sandbox, platform, { steps, functions, wasm: new Uint8Array(readFileSync(wasm)), limit: LIMIT }),
    obstacle: async (platform) =>
      platform === 'jspi' && !('Suspending' in WebAssembly)
        ? `Node ${process.version} has no JavaScript Promise Integration`
        : undefined,
    close: async () => {},
  }
}

/**
 * @param {'chromium' | 'firefox'} name
 * @param {string} suite the folder that the tests are below
 * @returns {Promise<Host>}
 * @throws if the browser is not on this machine
 */
export async function openBrowser(name, suite) {
  const found = findBrowser(name)
  if (!found) {
    throw new Error(
      `there is no ${name} on this machine; \`node e2e/browser.mjs ${name}\` installs it, or says what to do`,
    )
  }
  /** @type {[string, string][]} */
  const served = [['/suite/', suite], ['/wasi-testsuite/', 'e2e/wasi-testsuite'], ...folders]
  const servers = [staticServer(served, isolation), staticServer(served, {})]
  const [isolated, plain] = await Promise.all(servers.map((server) => listen(server)))
  const { launchOptions, channel } = /** @type {any} */ (useOptions(found))
  const browser = await (name === 'chromium' ? chromium : firefox).launch({
    ...launchOptions,
    ...(channel && { channel }),
  })
  const page = await browser.newPage()
  // Only `worker` needs the headers that isolate a page; the others are seen to do without them.
  const open = async (/** @type {PlatformName} */ platform) => {
    const address = `${platform === 'worker' ? isolated : plain}/pages/library.html`
    if (page.url() !== address) await page.goto(address)
  }
  return {
    async play(platform, { steps, functions, wasm }) {
      await open(platform)
      const address = `/suite/${relative(suite, wasm).split(sep).map(encodeURIComponent).join('/')}`
      return page.evaluate(
        async ({ platform, steps, functions, address, limit }) => {
          const here = (/** @type {string} */ path) => new URL(path, location.href).href
          const { Sandbox } = await import(here('/lib/index.js'))
          const { play } = await import(here('/wasi-testsuite/play.mjs'))
          const wasm = new Uint8Array(await (await fetch(address)).arrayBuffer())
          return play(Sandbox, platform, { steps, functions, wasm, limit })
        },
        { platform, steps, functions, address, limit: LIMIT },
      )
    },
    async obstacle(platform) {
      await open(platform)
      const suspends = await page.evaluate(() => 'Suspending' in WebAssembly)
      return platform === 'jspi' && !suspends
        ? `this ${name} (${browser.version()}) has no JavaScript Promise Integration`
        : undefined
    },
    async close() {
      await browser.close()
      for (const server of servers) server.close()
    },
  }
}
