/** `node e2e/fuzz/unions.mjs`, as root on Linux: the cases of src/testing/union-cases.ts on ours and on Linux's overlayfs, compared.
 *  With `--sequences N [--seed S]` random cases instead. Prints what differs, and exits with 1 if anything does.
 *  With `--record FILE` writes what Linux answers to the cases: src/testing/linux/unions.json is made so. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { importSource } from '../tools/import-source.mjs'

const { values } = parseArgs({
  options: {
    record: { type: 'string' },
    sequences: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
})

const { Overlayfs, unionCases, runUnion, expectedOf, comparable, withoutVainCopies, tell, randomUnion, shortestUnion } =
  await importSource('e2e/fuzz/unions.ts')

const linux = new Overlayfs(fileURLToPath(new URL('../../src/testing/linux/unions.py', import.meta.url)))

/** What each side says; nothing of layers in which Linux sees whiteouts. @param {import('../../src/testing/unions.ts').UnionCase} given */
async function both(given) {
  const outcome = await linux.run(given)
  if (outcome.phantom) return { theirs: '', ours: '' }
  const theirs = expectedOf(outcome)
  try {
    const ours = comparable(runUnion(given), outcome)
    return { theirs: tell(withoutVainCopies(theirs, ours)), ours: tell(ours) }
  } catch (error) {
    return { theirs: tell(theirs), ours: String(error) }
  }
}

if (values.record !== undefined) {
  /** @type {Record<string, string>} */
  const recorded = {}
  for (const [name, each] of unionCases()) recorded[name] = tell(expectedOf(await linux.run(each)))
  writeFileSync(values.record, `${JSON.stringify(recorded, null, 2)}\n`)
} else if (values.sequences === undefined) {
  let differ = 0
  for (const [name, each] of unionCases()) {
    const { theirs, ours } = await both(each)
    if (ours === theirs) continue
    differ++
    console.log(`${name}\n  Linux: ${theirs}\n  ours:  ${ours}`)
  }
  console.log(`${unionCases().size} cases, ${differ} differ`)
  if (differ > 0) process.exitCode = 1
} else {
  /** @param {import('../../src/testing/unions.ts').UnionCase} given */
  const fails = async (given) => {
    const { theirs, ours } = await both(given)
    return ours !== theirs
  }
  const [first, count] = [Number(values.seed), Number(values.sequences)]
  for (let seed = first; seed < first + count; seed++) {
    const given = randomUnion(seed)
    if (!(await fails(given))) continue
    const least = await shortestUnion(given, fails)
    const { theirs, ours } = await both(least)
    console.log(`seed ${seed}: the sides differ\n${JSON.stringify(least)}\n  Linux: ${theirs}\n  ours:  ${ours}`)
    process.exitCode = 1
    break
  }
  if (!process.exitCode) console.log(`seeds ${first} to ${first + count - 1}: all agree`)
}
linux.close()
