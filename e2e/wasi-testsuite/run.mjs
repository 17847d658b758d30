/**
 * `npm run conformance -- --suite DIR [--platform inline jspi worker] [--browser chromium firefox node] [--json FILE]`: runs the
 * preview1 tests of a checkout of https://github.com/WebAssembly/wasi-testsuite (branch prod/testsuite-base, which holds them
 * compiled) on the built library. DIR is the checkout, or any folder in it.
 *
 * Without --platform and --browser everything is run that there is: three platforms in both browsers, and in Node those that it can
 * have. Exits with 0 only if every test passed everywhere; with 2 if there was nothing to run.
 *
 * FILE gets `{ tests: [{ name, platform, browser, pass, calls, … }] }`: `calls` are the imports that the test called, in order;
 * `failures` say what was wrong.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../tools/build.mjs'
import { openBrowser, openNode } from './hosts.mjs'
import { findTests } from './tests.mjs'

/** @typedef {'chromium' | 'firefox' | 'node'} BrowserName @typedef {import('../../src/client/index.ts').PlatformName} PlatformName */

const usage =
  'usage: npm run conformance -- --suite DIR [--platform inline|jspi|worker …] [--browser chromium|firefox|node …] [--json FILE]'

/** @type {(message: string) => never} */
function give(message) {
  console.error(`${message}\n${usage}`)
  process.exit(2)
}

const allPlatforms = /** @type {PlatformName[]} */ (['inline', 'jspi', 'worker'])
const allBrowsers = /** @type {BrowserName[]} */ (['chromium', 'firefox', 'node'])

function options() {
  const args = process.argv.slice(2)
  /** @type {Record<string, string[]>} */
  const lists = { platform: [], browser: [] }
  // `--platform a b`, `--platform a --platform b` and `--platform a,b` all say two.
  const rest = []
  for (let i = 0; i < args.length; i++) {
    const [, name, value] = /^--(platform|browser)(?:=(.*))?$/.exec(args[i] ?? '') ?? []
    if (name === undefined) rest.push(args[i])
    else if (value !== undefined) lists[name].push(...value.split(','))
    else while (i + 1 < args.length && !args[i + 1].startsWith('-')) lists[name].push(...args[++i].split(','))
  }
  try {
    const { values } = parseArgs({ args: rest, options: { suite: { type: 'string' }, json: { type: 'string' } } })
    return { ...values, ...lists }
  } catch (error) {
    return give(error instanceof Error ? error.message : String(error))
  }
}

/** @type {<T extends string>(asked: string[], all: T[], what: string) => T[]} */
function chosen(asked, all, what) {
  const stranger = asked.find((name) => !all.includes(/** @type {any} */ (name)))
  if (stranger !== undefined) give(`there is no ${what} "${stranger}"; there are ${all.join(', ')}`)
  return asked.length === 0 ? all : all.filter((name) => asked.includes(name))
}

const { suite, json, platform = [], browser = [] } = /** @type {any} */ (options())
if (suite === undefined) give('--suite is missing: a checkout of wasi-testsuite, branch prod/testsuite-base')
const platforms = chosen(platform, allPlatforms, 'platform')
const browsers = chosen(browser, allBrowsers, 'browser')
// npm runs this in the package's folder; a relative path is relative to where npm was called.
const folder = resolve(process.env.INIT_CWD ?? '.', suite)
if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) give(`there is no folder ${folder}`)
const { tests, leftOut } = findTests(folder)
for (const { folder, count, why } of leftOut) console.log(`not preview1: ${folder} (${count} tests ${why})`)
if (tests.length === 0) {
  const why = leftOut.length > 0 ? 'all that lie in it are for others' : 'no .wasm lies in it or below'
  give(`${folder} holds no preview1 tests: ${why}; the branch prod/testsuite-base has them compiled`)
}
console.log(`${tests.length} preview1 tests in ${folder}`)
await buildIfStale()

/** @type {{ name: string, suite: string, platform: string, browser: string, pass: boolean, calls: string[], failures: string[] }[]} */
const results = []
/** @type {string[]} what kept tests from running at all */
const missing = []

/** @param {BrowserName} name */
async function runIn(name) {
  /** @type {import('./hosts.mjs').Host} */
  let host
  try {
    host = await (name === 'node' ? openNode() : openBrowser(name, folder))
  } catch (error) {
    missing.push(`${name}: ${error instanceof Error ? error.message : error}`)
    return
  }
  try {
    for (const platform of platforms) {
      const obstacle = await host.obstacle(platform)
      if (obstacle !== undefined) {
        // What nobody asked for by name and Node can't have is said, and no fault.
        if (name === 'node' && (browser.length === 0 || platforms.length > 1))
          console.log(`no ${platform} in Node: ${obstacle}`)
        else missing.push(`${name}, ${platform}: ${obstacle}`)
        continue
      }
      const failed = []
      for (const test of tests) {
        const { name: testName, suite, fault } = test
        const played = fault
          ? { failures: [fault], calls: [] }
          : await host.play(platform, test).catch((error) => ({ failures: [`the run failed: ${error}`], calls: [] }))
        const pass = played.failures.length === 0
        results.push({ name: testName, suite, platform, browser: name, pass, ...played })
        if (!pass) failed.push(`  ${suite}: ${testName}: ${played.failures.join('; ')}`)
      }
      console.log(
        [`${name}, ${platform}: ${tests.length - failed.length} of ${tests.length} passed`, ...failed].join('\n'),
      )
    }
  } finally {
    await host.close()
  }
}

await Promise.all(browsers.map(runIn))

if (json !== undefined) {
  const file = resolve(process.env.INIT_CWD ?? '.', json)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ tests: results }, null, 1)}\n`)
}
for (const fault of missing) console.log(`not run: ${fault}`)
const passed = results.filter(({ pass }) => pass).length
const failed = results.length - passed + missing.length * tests.length
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
