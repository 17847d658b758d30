/**
 * A short run of the fuzz test, the same sequences each time, so that a change is judged by itself; `npm run fuzz` runs new ones, and
 * many. It needs Linux, for the comparison, and is no test elsewhere.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fuzz, names } from './fuzz.ts'
import { users } from './trace.mjs'

const SEQUENCES = 2000
const OVER_LAYERS = 100
const linux = fileURLToPath(new URL('linux.mjs', import.meta.url))

test.runIf(existsSync('/dev/shm'))(
  'random sequences of operations do the same on ours as on a tmpfs of Linux',
  async () => {
    const seed = Number(process.env.RUNTAB_FUZZ_SEED ?? 20_261_120)
    console.log(
      `fuzz: ${SEQUENCES} sequences, seed ${seed} (again: RUNTAB_FUZZ_SEED=${seed}, or npm run fuzz -- --seed ${seed})`,
    )
    const { ran, divergence } = await fuzz({ sequences: SEQUENCES, seed, linux })
    expect(divergence?.text).toBeUndefined()
    expect(ran).toBe(SEQUENCES)
  },
)

test.runIf(existsSync('/dev/shm')).each(names.filter((name) => name !== 'tmpfs'))(
  'and the same over layers that the sequence made: %s',
  async (on) => {
    const { ran, divergence } = await fuzz({ sequences: OVER_LAYERS, seed: 20_261_125, linux, on })
    expect(divergence?.text).toBeUndefined()
    expect(ran).toBe(OVER_LAYERS)
  },
)

test.runIf(existsSync('/dev/shm') && process.geteuid?.() === 0)(
  'a side that does otherwise is found out, with the shortest sequence that shows it',
  async () => {
    // A user of another number: whoever tells the difference has seen a file of that user's.
    const { divergence } = await fuzz({
      sequences: SEQUENCES,
      seed: 1,
      linux,
      users: users.map((user) => ({ ...user, uid: user.uid === 1001 ? 1002 : user.uid })),
    })
    expect(divergence?.sequence.operations.length).toBeLessThan(6)
    expect(divergence?.text).toMatch(/^Linux: /m)
  },
)
