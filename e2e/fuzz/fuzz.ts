/** Runs random sequences on both sides until they disagree, and then finds a short sequence on which they do. */
import fc from 'fast-check'
import { type Arrangement, arrangementOf, arrangements } from './arrangements.ts'
import { type Sequence, sequencesOf } from './operations.ts'
import { LinuxSide, ourTmpfs, type Reference, runOurs } from './sides.ts'
import type { User } from './trace.mjs'

/** The names that `on` may have. */
export const names = arrangements.map(({ name }) => name)

export interface Divergence {
  readonly sequence: Sequence
  /** The operation after which the sides differ first, and what each said; of the final state, the line. */
  readonly text: string
}

/** Errors: where there is no Linux with a tmpfs at /dev/shm. */
export async function fuzz(options: {
  sequences: number
  seed: number
  /** The path of linux.mjs; left out, the reference is our own tmpfs. */
  linux?: string | undefined
  /** The name of what ours is; a tmpfs if left out. */
  on?: string
  /** Whom ours runs operations as; Linux runs them as the users of trace.mjs. */
  users?: readonly User[]
}): Promise<{ ran: number; divergence?: Divergence }> {
  const arrangement = arrangementOf(options.on ?? 'tmpfs')
  const compare = (sequence: Sequence) => differenceOf(reference, sequence, arrangement, options.users)
  const reference: Reference = options.linux === undefined ? ourTmpfs : await LinuxSide.start(options.linux)
  let ran = 0
  try {
    const property = fc.asyncProperty(sequencesOf(arrangement.layers), async (sequence) => {
      ran++
      return (await compare(sequence)) === undefined
    })
    const result = await fc.check(property, { numRuns: options.sequences, seed: options.seed })
    if (!result.failed) return { ran }
    const [sequence] = result.counterexample ?? []
    if (!sequence) throw result.errorInstance
    return {
      ran,
      divergence: { sequence, text: (await compare(sequence)) ?? String(result.errorInstance) },
    }
  } finally {
    await reference.stop()
  }
}

/** What ends ours is where it differs. */
const tryOurs = async (...args: Parameters<typeof runOurs>): Promise<string[]> => {
  try {
    return await runOurs(...args)
  } catch (error) {
    return [`thrown: ${error instanceof Error ? error.stack : String(error)}`]
  }
}

async function differenceOf(
  reference: Reference,
  sequence: Sequence,
  arrangement: Arrangement,
  as?: readonly User[],
): Promise<string | undefined> {
  const expected = await reference.run(sequence, arrangement.free)
  const actual = await tryOurs(reference.place, sequence, arrangement, as)
  const at = Array.from({ length: Math.max(expected.length, actual.length) }).findIndex(
    (_, i) => expected[i] !== actual[i],
  )
  if (at < 0) return undefined
  const { operations, umask, mode } = sequence
  const lines = operations.slice(0, at + 1).map((operation, i) => {
    const { as, call, ...rest } = operation
    return `${as} ${call} ${JSON.stringify(rest).replace(/(\.\/){99,}/, '(./)…')} → ${expected[i]}`
  })
  return [
    `umask ${umask.toString(8)}, directory ${mode.toString(8)}`,
    ...lines,
    `Linux: ${expected[at]}`,
    `ours:  ${actual[at]}`,
  ].join('\n')
}
