import { expect, test } from 'vitest'
import { entriesOf } from './entries.mjs'
import { fromPlaywright, summary, type Test, tally } from './results.mjs'

const result = (status: Test['status']): Test => ({ titles: ['x'], status, expectedFailure: false })

test('the counts of all runners are summed, and errors outside of tests count as failed', () => {
  const sum = tally([
    { tests: [result('passed'), result('failed')], errors: 0 },
    { tests: [result('passed'), result('skipped')], errors: 2 },
  ])
  expect(sum).toEqual({ passed: 2, failed: 3, skipped: 1 })
})

test('the summary names skipped tests only if there are any', () => {
  expect(summary({ passed: 1234, failed: 0, skipped: 0 })).toBe('1234 passed, 0 failed')
  expect(summary({ passed: 1, failed: 2, skipped: 3 })).toBe('1 passed, 2 failed, 3 skipped')
})

test("Playwright's report becomes titles and results, one for each project", () => {
  const report = {
    suites: [
      {
        title: 'pack.spec.ts',
        specs: [
          {
            title: 'A001 both',
            tests: [
              { status: 'expected', expectedStatus: 'passed' },
              { status: 'unexpected', expectedStatus: 'passed' },
            ],
          },
        ],
        suites: [
          {
            title: 'A002 inner',
            specs: [
              { title: 'gap', tests: [{ status: 'expected', expectedStatus: 'failed' }] },
              { title: 'closed gap', tests: [{ status: 'unexpected', expectedStatus: 'failed' }] },
              { title: 'left out', tests: [{ status: 'skipped', expectedStatus: 'skipped' }] },
              { title: 'flaky', tests: [{ status: 'flaky', expectedStatus: 'passed' }] },
            ],
          },
        ],
      },
    ],
    errors: [{ message: 'no tests found' }],
  }
  const { tests, errors } = fromPlaywright(report)
  expect(errors).toBe(1)
  expect(tests.map(({ titles, status, expectedFailure }) => [titles.join(' > '), status, expectedFailure])).toEqual([
    ['A002 inner > gap', 'passed', true],
    ['A002 inner > closed gap', 'failed', false],
    ['A002 inner > left out', 'skipped', false],
    ['A002 inner > flaky', 'failed', false],
    ['A001 both', 'passed', false],
    ['A001 both', 'failed', false],
  ])
})

test("the package's entries are its exports: each names a built file, and the source by its declarations", () => {
  const exports = {
    '.': { types: './dist/types/src/client/index.d.ts', default: './dist/index.js' },
    './kernel.worker': { types: './dist/types/worker/kernel.worker.d.ts', default: './dist/kernel.worker.js' },
    './package.json': './package.json',
  }
  expect(entriesOf({ exports })).toEqual([
    {
      subpath: '.',
      name: 'index',
      file: 'dist/index.js',
      types: 'dist/types/src/client/index.d.ts',
      source: 'src/client/index.ts',
    },
    {
      subpath: './kernel.worker',
      name: 'kernel.worker',
      file: 'dist/kernel.worker.js',
      types: 'dist/types/worker/kernel.worker.d.ts',
      source: 'worker/kernel.worker.ts',
    },
  ])
  expect(() => entriesOf({ exports: { './x': { types: './x.d.ts', default: './dist/x.js' } } })).toThrow(
    'export ./x must name',
  )
})
