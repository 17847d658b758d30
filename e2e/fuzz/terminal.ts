/** Random scripts of what happens at a terminal, run on ours and on Linux, and compared. The other side is src/testing/linux/terminal.py. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import type { TerminalAttributes } from '../../src/abi/terminal.ts'
import {
  type RecordedTerminal,
  runTerminal,
  type StepOutcome,
  type TerminalStep,
} from '../../src/testing/terminal-script.ts'

class Linux {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(program: string) {
    this.#child = spawn('python3', [program], { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  /** `settling` is the time that each step is given, in seconds. */
  async run(script: readonly TerminalStep[], settling: number): Promise<StepOutcome[]> {
    this.#child.stdin!.write(`${JSON.stringify([settling, script])}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the process on Linux ended')
    return JSON.parse(value) as StepOutcome[]
  }

  close(): void {
    this.#child.stdin!.end()
  }
}

/** Text, control characters that mean something, parts of UTF-8 characters, and long runs. */
const input = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('a', 'word ', 'two words', '_', ' ', '\t', '\n', '\r', 'ä', '€', '😀') },
      {
        weight: 5,
        arbitrary: fc.constantFrom(...'\x7f\x15\x17\x16\x04\x12\x13\x11\x00\x01\x1b'.split('')),
      },
      { weight: 1, arbitrary: fc.constantFrom('\xff', '\xc3', '\x80') },
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) =>
    parts.flatMap((part) =>
      /^[\x80-\xff]$/.test(part) && part !== 'ä' ? [part.charCodeAt(0)] : [...Buffer.from(part)],
    ),
  )
const flags = [
  'ixon ixany icrnl igncr inlcr iutf8 opost onlcr ocrnl isig echo echoe echok echoke echonl echoctl iexten noflsh'.split(
    ' ',
  ),
].flat() as (keyof TerminalAttributes)[]
const set = fc.oneof(
  fc.tuple(fc.constantFrom(...flags), fc.boolean()).map(([name, value]) => ({ [name]: value })),
  fc.constantFrom({ icanon: false, min: 1, time: 0 }, { icanon: true, eof: 4, eol: 0 }, { eol: 0x65 }),
) as fc.Arbitrary<Partial<TerminalAttributes>>
const step: fc.Arbitrary<TerminalStep> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('type' as const), input) },
  // What a signal flushes is a matter of time on Linux, unless it is alone.
  { weight: 1, arbitrary: fc.tuple(fc.constant('type' as const), fc.constantFrom([3], [28], [26], [3, 97])) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('read' as const), fc.constantFrom(1, 2, 3, 5, 100, 5000)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('write' as const), input) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('set' as const), set) },
)
const scripts = fc.array(step, { minLength: 1, maxLength: 14 })

export async function fuzzTerminal(program: string, sequences: number, seed: number): Promise<string | undefined> {
  const linux = new Linux(program)
  const differs = fc.asyncProperty(scripts, async (script) => {
    const ours = runTerminal(script)
    let theirs: StepOutcome[] = []
    for (const settling of [0.002, 0.02, 0.2]) {
      theirs = await linux.run(script, settling)
      if (JSON.stringify(theirs) === JSON.stringify(ours)) return
    }
    for (const [i, outcome] of theirs.entries()) {
      if (JSON.stringify(outcome) === JSON.stringify(ours[i])) continue
      throw new Error(
        `step ${i} ${JSON.stringify(script[i])}\nLinux ${JSON.stringify(outcome)}\nours  ${JSON.stringify(ours[i])}`,
      )
    }
  })
  try {
    const run = await fc.check(differs, { seed, numRuns: sequences, endOnFailure: false })
    if (!run.failed) return undefined
    return `${JSON.stringify(run.counterexample?.[0])}\n${(run.errorInstance as Error | undefined)?.message}`
  } finally {
    linux.close()
  }
}

/** Scripts with what Linux made of them, for the unit tests. */
export async function recordTerminal(program: string, sequences: number, seed: number): Promise<RecordedTerminal[]> {
  const linux = new Linux(program)
  const recorded: RecordedTerminal[] = []
  for (const script of fc.sample(scripts, { seed, numRuns: sequences }))
    recorded.push({ script, outcome: await linux.run(script, 0.05) })
  linux.close()
  return recorded
}
