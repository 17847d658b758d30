/**
 * What the test runners reported, in one shape.
 *
 * @typedef {object} Test
 * @property {string[]} titles            describe titles from the outermost in, then the test's own
 * @property {'passed' | 'failed' | 'skipped'} status  as its runner counts it
 * @property {boolean} expectedFailure    it passed by failing (`test.fails`, `test.fail`): a known gap
 *
 * @typedef {object} Results
 * @property {Test[]} tests
 * @property {number} errors  failures outside of any test: a file that cannot be loaded, an unhandled rejection
 *
 * @typedef {object} PlaywrightSuite
 * @property {string} title
 * @property {PlaywrightSuite[]} [suites]
 * @property {{ title: string, tests: { status: string, expectedStatus: string }[] }[]} specs
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const vitestResults = fileURLToPath(new URL('../../test-results/vitest.json', import.meta.url))
export const playwrightResults = fileURLToPath(new URL('../../test-results/playwright.json', import.meta.url))

/**
 * @param {{ suites?: PlaywrightSuite[], errors?: unknown[] }} report of Playwright's JSON reporter
 * @returns {Results}
 */
export function fromPlaywright(report) {
  /** @type {Test[]} */
  const tests = []
  /** @type {(suite: PlaywrightSuite, above: string[]) => void} */
  const collect = (suite, above) => {
    for (const inner of suite.suites ?? []) collect(inner, [...above, inner.title])
    for (const spec of suite.specs) {
      for (const test of spec.tests) {
        const status = test.status === 'expected' ? 'passed' : test.status === 'skipped' ? 'skipped' : 'failed'
        const expectedFailure = status === 'passed' && test.expectedStatus === 'failed'
        tests.push({ titles: [...above, spec.title], status, expectedFailure })
      }
    }
  }
  for (const file of report.suites ?? []) collect(file, [])
  return { tests, errors: report.errors?.length ?? 0 }
}

/** The results lying in test-results; a runner that has not run is left out. @returns {Record<string, Results>} by runner */
export function readResults() {
  /** @type {Record<string, Results>} */
  const found = {}
  /** @type {(path: string) => any} */
  const json = (path) => JSON.parse(readFileSync(path, 'utf8'))
  if (existsSync(vitestResults)) found.vitest = json(vitestResults)
  if (existsSync(playwrightResults)) found.playwright = fromPlaywright(json(playwrightResults))
  return found
}

/**
 * @param {Results[]} all
 * @returns {{ passed: number, failed: number, skipped: number }} errors outside of tests count as failed
 */
export function tally(all) {
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const { tests, errors } of all) {
    for (const { status } of tests) sum[status]++
    sum.failed += errors
  }
  return sum
}

/** The line that the test command ends with: `1234 passed, 0 failed`. @param {ReturnType<typeof tally>} sum */
export function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
