import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'

const { values: options } = parseArgs({
  options: { calls: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
})
const calls = Number(options.calls)
const firstSeed = options.seed === undefined ? Date.now() & 0x7fffffff : Number(options.seed)
if (!(Number.isInteger(calls) && calls > 0) || !Number.isInteger(firstSeed))
  throw new Error('--calls and --seed are whole numbers')

const { fuzzAbi } = await importSource('e2e/fuzz/abi.ts')

/** So many calls are made from one seed. */
const PER_SEED = 50_000
const sums = new Map()
let slowest = { call: '', ms: 0 }
let made = 0
console.log(`${calls} calls from seed ${firstSeed}`)
try {
  for (let seed = firstSeed; made < calls; seed += 1000) {
    for (const way of ['direct', 'channel']) {
      const wanted = Math.min(PER_SEED, Math.ceil((calls - made) / 2))
      if (wanted === 0) break
      const report = fuzzAbi({ calls: wanted, seed, way })
      made += report.calls
      if (report.slowest.ms > slowest.ms) slowest = report.slowest
      for (const [name, answers] of report.answers) {
        const sum = sums.get(name) ?? { calls: 0, ok: 0, answers: new Set() }
        for (const [answer, count] of answers) {
          sum.calls += count
          if (answer === 0) sum.ok += count
          sum.answers.add(answer)
        }
        sums.set(name, sum)
      }
    }
  }
  for (const [name, { calls, ok, answers }] of [...sums].sort())
    console.log(`${name.padEnd(24)} ${calls} calls, ${ok} succeeded, ${answers.size} different answers`)
  console.log(`slowest: ${slowest.ms.toFixed(1)} ms, ${slowest.call}`)
  console.log(`${made} calls: each answered, nothing harmed`)
} catch (error) {
  console.log(`after ${made} calls or more: ${error instanceof Error ? (error.stack ?? error) : error}`)
  if (error instanceof Error && error.cause) console.log('because of', error.cause)
  process.exitCode = 1
}
