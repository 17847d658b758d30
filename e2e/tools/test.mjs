/**
 * `npm test [-- STAGE …]`: everything, in the order in which a fault is cheapest to learn of. A failing stage does not keep later
 * ones from running, unless they need what it makes. The last line is `1234 passed, 0 failed`, summed over the test runners; a
 * stage that fails without a failing test to show for it counts as one failed, so that no run that went wrong says `0 failed`.
 */
import { rmSync } from 'node:fs'
import { playwrightResults, readResults, summary, tally, vitestResults } from './results.mjs'
import { run } from './run.mjs'

/** @type {{ name: string, run: () => boolean, runner?: string, needs?: string }[]} */
const stages = [
  { name: 'format', run: () => run('biome', 'ci', '.') }, // formatter and linter
  {
    name: 'types',
    run: () =>
      ['tsconfig.json', 'tsconfig.core.json', 'tsconfig.tools.json']
        .map((file) => run('tsc', '-p', file))
        .every(Boolean),
  },
  { name: 'layers', run: () => run('vitest', 'run', 'src/layers.test.ts', '--reporter=dot') },
  {
    name: 'unit',
    runner: 'vitest',
    run: () => run('vitest', 'run', '--reporter=default', '--reporter=./e2e/tools/vitest-results.mjs'),
  },
  { name: 'build', run: () => run('node', 'e2e/tools/build.mjs') },
  { name: 'size', needs: 'build', run: () => run('node', 'e2e/tools/size.mjs') },
  { name: 'e2e', needs: 'build', runner: 'playwright', run: () => run('playwright', 'test') },
]

const asked = process.argv.slice(2)
const strangers = asked.filter((name) => !stages.some((stage) => stage.name === name))
if (strangers.length > 0) {
  console.error(`no such stage: ${strangers.join(' ')}; there are ${stages.map(({ name }) => name).join(' ')}`)
  process.exit(2)
}

rmSync(vitestResults, { force: true })
rmSync(playwrightResults, { force: true })
const sum = { passed: 0, failed: 0, skipped: 0 }
/** @type {string[]} */
const report = []
/** @type {Set<string>} */
const failed = new Set()
for (const { name, run, runner, needs } of stages) {
  if (asked.length > 0 && !asked.includes(name)) continue
  if (needs && failed.has(needs)) {
    failed.add(name)
    report.push(`${name.padEnd(7)} not run, for ${needs} failed`)
    continue
  }
  console.log(`\n--- ${name}`)
  const start = Date.now()
  const ok = run()
  const results = runner ? readResults()[runner] : undefined
  const counts = tally(results ? [results] : [])
  if (!ok && counts.failed === 0) counts.failed = 1
  if (counts.failed > 0) failed.add(name)
  sum.passed += counts.passed
  sum.failed += counts.failed
  sum.skipped += counts.skipped
  const seconds = ((Date.now() - start) / 1000).toFixed(1)
  report.push(
    `${name.padEnd(7)} ${seconds.padStart(6)} s  ${counts.failed > 0 ? 'failed' : 'ok'}${runner ? `, ${summary(counts)}` : ''}`,
  )
}

console.log(`\n${report.join('\n')}\n\n${summary(sum)}`)
if (failed.size > 0) process.exitCode = 1
