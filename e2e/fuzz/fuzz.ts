/** Runs random sequences on both sides until they disagree, and then finds a short sequence on which they do. */
import fc from 'fast-check'
import { type Sequence, sequences } from './operations.ts'
import { LinuxSide, runOurs } from './sides.ts'
import type { User } from './trace.mjs'

export interface Divergence {
  readonly sequence: Sequence
  /** The operation after which the sides differ first, and what each said; of the final state, the line. */
  readonly text: string
}

/** Errors: where there is no Linux with a tmpfs at /dev/shm. */
export async function fuzz(options: {
  sequences: number
  seed: number
  /** The path of linux.mjs. */
  linux: string
  /** Whom ours runs operations as; Linux runs them as the users of trace.mjs. */
  users?: readonly User[]
}): Promise<{ ran: number; divergence?: Divergence }> {
  const linux = await LinuxSide.start(options.linux)
  let ran = 0
  try {
    const property = fc.asyncProperty(sequences, async (sequence) => {
      ran++
      return (await compare(linux, sequence, options.users)) === undefined
    })
    const result = await fc.check(property, { numRuns: options.sequences, seed: options.seed })
    if (!result.failed) return { ran }
    const [sequence] = result.counterexample ?? []
    if (!sequence) throw result.errorInstance
    return {
      ran,
      divergence: { sequence, text: (await compare(linux, sequence, options.users)) ?? String(result.errorInstance) },
    }
  } finally {
    await linux.stop()
  }
}

async function compare(linux: LinuxSide, sequence: Sequence, as?: readonly User[]): Promise<string | undefined> {
  const expected = await linux.run(sequence)
  const actual = runOurs(linux.place, sequence, as)
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
