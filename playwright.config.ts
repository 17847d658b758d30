/**
 * Browser tests: e2e/*.spec.ts in Chromium and in Firefox, against what is built (global-setup.mjs builds it if a source is newer).
 * Each run has its own server on free ports, so that several runs can go on at once. Tests reach it by `baseURL`, which is
 * cross-origin isolated, and by `plainOrigin()` of e2e/origins.mjs, which is not.
 */
import { parseArgs } from 'node:util'
import { defineConfig } from '@playwright/test'
import { type BrowserName, provideBrowser, useOptions } from './e2e/browser.mjs'
import { choosePorts, isolatedOrigin, plainOrigin } from './e2e/origins.mjs'

await choosePorts()

/**
 * The projects asked for on the command line, so that one who asks for one browser needs one browser. The processes that the
 * runner forks have another command line; they are told in the environment.
 */
function namesAskedFor(): BrowserName[] {
  const all: BrowserName[] = ['chromium', 'firefox']
  const { values, positionals } = parseArgs({ strict: false, options: { project: { type: 'string', multiple: true } } })
  // `--project a b` is one way to say two.
  const given = values.project ? [...values.project, ...positionals] : all
  process.env.RUNTAB_PROJECTS ??= given.join(' ')
  const asked = process.env.RUNTAB_PROJECTS.split(' ')
  return all.filter((name) => asked.includes(name))
}

/** Found (or installed) once, in the runner; the processes that it forks find the path in their environment. */
function projectFor(name: BrowserName) {
  const variable = name === 'chromium' ? 'RUNTAB_CHROMIUM' : 'RUNTAB_FIREFOX'
  const found = provideBrowser(name)
  process.env[variable] = found.path
  const rest = process.env.RUNTAB_MATRIX === 'full' ? {} : { grepInvert: OFF_DIAGONAL[name] }
  return { name, use: useOptions(found), ...rest }
}

/**
 * What is left to `npm run test:full`: what takes long and goes the same way elsewhere. In Chromium on `jspi`, what never waits for
 * another process there, on `inline`, compilers, searches and bad input, and everywhere sqlite, which is to be compiled first; in Firefox
 * all platforms but `worker`, of what only computes all but Python, and of the playground what is its form and its list of files.
 */
const OFF_DIAGONAL: Readonly<Record<BrowserName, RegExp>> = {
  chromium:
    /\b(bad-input|images|programs-(clang|edges|fsops|life|php|python|ripgrep))\.spec\.ts.* on jspi\b|\b(bad-input|programs-(clang|php|ripgrep))\.spec\.ts.* on inline\b|\bprograms-sqlite\.spec\.ts/,
  firefox:
    /\bon (inline|jspi)\b|\b(bad-input|wasi-testsuite|programs-(clang|edges|files|fsops|php|ripgrep|sqlite))\.spec\.ts|\bplayground\.spec\.ts.*(standard input reach|marked by a word|fault in the form|are uploaded|dropped on|read-only place|by keyboard|after a reload)|\bits types are found\b|\bnpm start\b|\ball text can be read\b|\bcontainers\.spec\.ts.*(real configs|of a pod)|\b100 MB\b/,
}

export default defineConfig({
  testDir: 'e2e',
  testMatch: '**/*.spec.ts',
  outputDir: 'test-results/playwright',
  globalSetup: './e2e/global-setup.mjs',
  reporter: [['list'], ['json', { outputFile: 'test-results/playwright.json' }]],
  workers: process.env.CI ? 1 : 2,
  retries: 0,
  forbidOnly: process.env.CI !== undefined,
  timeout: 180_000, // a compiler is downloaded, compiled and run in there
  // A run ends, with its results, before whoever waits for the whole of .ci/run gives up on it.
  globalTimeout: process.env.CI ? 15 * 60_000 : 0,
  expect: { timeout: 30_000 },
  use: { baseURL: isolatedOrigin(), trace: 'off' },
  projects: namesAskedFor().map(projectFor),
  webServer: {
    command: `"${process.execPath}" e2e/server.mjs ${new URL(isolatedOrigin()).port} ${new URL(plainOrigin()).port} ${process.pid}`,
    url: `${isolatedOrigin()}/pages/library.html`,
    reuseExistingServer: false,
  },
})
