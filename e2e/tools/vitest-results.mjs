/**
 * A Vitest reporter that writes test-results/vitest.json in the shape of results.mjs. Vitest's own JSON does not tell a test
 * that passed from a `test.fails` that failed as expected, and `npm run spec` must.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { vitestResults } from './results.mjs'

export default class ResultsReporter {
  /**
   * @param {ReadonlyArray<import('vitest/node').TestModule>} modules
   * @param {ReadonlyArray<unknown>} unhandled
   */
  onTestRunEnd(modules, unhandled) {
    /** @type {import('./results.mjs').Results} */
    const results = { tests: [], errors: unhandled.length }
    for (const module of modules) {
      if (module.errors().length > 0) results.errors++
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) results.errors++
      for (const test of module.children.allTests()) {
        /** @type {string[]} */
        const titles = [test.name]
        for (let up = test.parent; up.type === 'suite'; up = up.parent) titles.unshift(up.name)
        const state = test.result().state
        const status = state === 'passed' || state === 'skipped' ? state : 'failed'
        results.tests.push({ titles, status, expectedFailure: test.options.fails === true && status === 'passed' })
      }
    }
    mkdirSync(dirname(vitestResults), { recursive: true })
    writeFileSync(vitestResults, JSON.stringify(results))
  }
}
