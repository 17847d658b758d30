/** `npm run fuzz:lies -- [--calls N --seed S]`: a FUSE server whose answers are changed at random. */
import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'

const { values: options } = parseArgs({
  options: { calls: { type: 'string', default: '100000' }, seed: { type: 'string' } },
})
const calls = Number(options.calls)
const seed = options.seed === undefined ? Date.now() & 0x7fffffff : Number(options.seed)
if (!(Number.isInteger(calls) && calls > 0) || !Number.isInteger(seed))
  throw new Error('--calls and --seed are whole numbers')

const { fuzzLies } = await importSource('e2e/fuzz/lies.ts')
console.log(`${calls} calls from seed ${seed}`)
try {
  const { lies, outcomes } = fuzzLies({ calls, seed })
  for (const [outcome, count] of [...outcomes].sort(([, a], [, b]) => b - a)) console.log(outcome.padEnd(12), count)
  console.log(`${calls} calls, ${lies} lies: each call answered, nothing harmed`)
} catch (error) {
  console.log(error instanceof Error ? (error.stack ?? error) : error)
  if (error instanceof Error && error.cause) console.log('because of', error.cause)
  process.exitCode = 1
}
