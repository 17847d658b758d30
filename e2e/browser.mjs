/**
 * Finds a browser for the tests, or installs one. The order, for each of chromium and firefox: the path in RUNTAB_CHROMIUM or
 * RUNTAB_FIREFOX, Playwright's own, one that is installed on the machine, `npx playwright install`, apt where we are root on such a
 * system; failing all these, an error that says what to do.
 *
 * The decision is made by pure functions over a Host, so that it is tested without a browser. As a command,
 * `node e2e/browser.mjs [chromium] [firefox]` makes browsers available and prints where they are.
 *
 * @typedef {'chromium' | 'firefox'} BrowserName
 *
 * @typedef {object} Found
 * @property {BrowserName} name
 * @property {string} path
 * @property {'environment' | 'playwright' | 'system'} origin  who put it there; a stock Firefox is driven by another protocol
 *
 * @typedef {object} Host what the decision needs to know and do
 * @property {NodeJS.ProcessEnv} env
 * @property {NodeJS.Platform} platform
 * @property {boolean} root                                 may install system packages
 * @property {(path: string) => boolean} exists
 * @property {(path: string) => boolean} starts             a downloaded browser may lack system libraries
 * @property {(name: BrowserName) => string} playwrightPath where Playwright's own would be
 * @property {(command: string, args: string[]) => boolean} run  shows what the command prints; true if it ran and exited 0
 * @property {(message: string) => void} say
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, firefox } from '@playwright/test'

const variables = { chromium: 'RUNTAB_CHROMIUM', firefox: 'RUNTAB_FIREFOX' }
const packages = { chromium: 'chromium', firefox: 'firefox-esr' }

/** @type {(name: BrowserName, host: Host) => string[]} */
function systemPaths(name, { platform, env }) {
  const chrome = name === 'chromium'
  if (platform === 'darwin') {
    const apps = chrome ? ['Chromium', 'Google Chrome'] : ['Firefox']
    return apps.map((app) => `/Applications/${app}.app/Contents/MacOS/${app === 'Firefox' ? 'firefox' : app}`)
  }
  if (platform === 'win32') {
    const folders = [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].filter(
      (folder) => folder !== undefined,
    )
    const tails = chrome
      ? ['Chromium\\Application\\chrome.exe', 'Google\\Chrome\\Application\\chrome.exe']
      : ['Mozilla Firefox\\firefox.exe']
    return tails.flatMap((tail) => folders.map((folder) => `${folder}\\${tail}`))
  }
  const names = chrome
    ? ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
    : ['firefox', 'firefox-esr']
  return ['/usr/bin', '/usr/local/bin', '/snap/bin'].flatMap((folder) => names.map((program) => `${folder}/${program}`))
}

/**
 * The browser to use as things are; installs nothing.
 *
 * @param {BrowserName} name
 * @param {Host} [host]
 * @returns {Found | undefined}
 * @throws if the environment variable names a file that is not there
 */
export function findBrowser(name, host = machine) {
  const given = host.env[variables[name]]
  const own = host.playwrightPath(name)
  if (given) {
    if (!host.exists(given)) throw new Error(`${variables[name]} is ${given}, and there is no such program`)
    return { name, path: given, origin: given === own ? 'playwright' : 'environment' }
  }
  if (own && host.exists(own) && host.starts(own)) return { name, path: own, origin: 'playwright' }
  const path = systemPaths(name, host).find(host.exists)
  return path === undefined ? undefined : { name, path, origin: 'system' }
}

/**
 * The browser to use, installed if there is none.
 *
 * @param {BrowserName} name
 * @param {Host} [host]
 * @returns {Found}
 * @throws with what a person can do, if none can be had
 */
export function provideBrowser(name, host = machine) {
  const found = findBrowser(name, host)
  if (found) return found

  host.say(`No ${name} found; trying: npx playwright install ${name}`)
  host.run('npx', ['playwright', 'install', name])
  const installed = findBrowser(name, host)
  if (installed) return installed

  if (host.root && host.exists('/usr/bin/apt-get')) {
    if (host.exists(host.playwrightPath(name))) {
      host.say(`It does not start; trying: npx playwright install-deps ${name}`)
      host.run('npx', ['playwright', 'install-deps', name])
      const started = findBrowser(name, host)
      if (started) return started
    }
    host.say(`That did not work; trying: apt-get update && apt-get install -y ${packages[name]}`)
    host.run('apt-get', ['update'])
    host.run('apt-get', ['install', '-y', packages[name]])
    const packaged = findBrowser(name, host)
    if (packaged) return packaged
  }
  throw new Error(
    [
      `There is no ${name} to run the browser tests with, and installing one failed. Do one of these and run the tests again:`,
      `  - set ${variables[name]} to the path of ${name === 'chromium' ? 'a Chromium or Chrome' : 'a Firefox'}`,
      `  - npx playwright install --with-deps ${name}`,
      ...(host.platform === 'linux' ? [`  - as root: apt-get install -y ${packages[name]}`] : []),
    ].join('\n'),
  )
}

/** What Chromium is told so that it works for root and in containers, and does nothing of its own on the network. */
export const chromiumArgs = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * Playwright's `use` options for a browser. A stock Firefox speaks WebDriver BiDi, which Playwright calls a channel.
 *
 * @param {Found} found
 * @param {Host} [host]
 * @returns {import('@playwright/test').PlaywrightTestOptions & import('@playwright/test').PlaywrightWorkerOptions | object}
 */
export function useOptions({ name, path, origin }, host = machine) {
  const executablePath = origin === 'playwright' ? {} : { executablePath: path }
  if (name === 'chromium') {
    const args = host.root || host.env.CI ? chromiumArgs : []
    return { browserName: 'chromium', launchOptions: { ...executablePath, args } }
  }
  if (origin === 'playwright') return { browserName: 'firefox' }
  return { browserName: 'firefox', channel: 'moz-firefox', colorScheme: null, launchOptions: executablePath }
}

/** @type {Host} */
const machine = {
  env: process.env,
  platform: process.platform,
  root: process.getuid?.() === 0,
  exists(path) {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  },
  // Only Linux lacks libraries, and Chrome on Windows answers --version by opening a window.
  starts: (path) =>
    process.platform !== 'linux' || spawnSync(path, ['--version'], { stdio: 'ignore', timeout: 60_000 }).status === 0,
  playwrightPath: (name) => (name === 'chromium' ? chromium : firefox).executablePath(),
  run(command, args) {
    // Playwright's installer is run from node_modules, as npx would, without npx's questions; nothing may wait for a person.
    const [program, ...rest] =
      command === 'npx'
        ? [process.execPath, createRequire(import.meta.url).resolve('@playwright/test/cli'), ...args.slice(1)]
        : [command, ...args]
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    return spawnSync(program, rest, { env, stdio: ['ignore', 2, 2], timeout: 300_000 }).status === 0
  },
  say: (message) => console.error(message),
}

if (process.argv[1] && basename(process.argv[1]) === basename(fileURLToPath(import.meta.url))) {
  const names = process.argv.slice(2)
  for (const name of /** @type {BrowserName[]} */ (names.length > 0 ? names : ['chromium', 'firefox'])) {
    if (!(name in variables)) throw new Error(`usage: node e2e/browser.mjs [chromium] [firefox]`)
    try {
      const { path, origin } = provideBrowser(name)
      console.log(`${name}: ${path} (${origin})`)
    } catch (error) {
      console.error(error instanceof Error ? error.message : error)
      process.exitCode = 1
    }
  }
}
