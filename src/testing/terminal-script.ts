/** Scripts of what happens at a terminal: what is typed, written and read there, and how its attributes change. */

import { ErrnoError } from '../abi/errno.ts'
import type { TerminalAttributes } from '../abi/terminal.ts'
import { PseudoTerminal } from '../devices/pseudo-terminal.ts'
import { Attempt, WouldBlock } from '../vfs/waiting.ts'

export type TerminalStep =
  | readonly ['type', readonly number[]]
  | readonly ['write', readonly number[]]
  /** Up to so many bytes, without waiting. */
  | readonly ['read', number]
  | readonly ['set', Partial<TerminalAttributes>]

/** 'ok', the bytes read or the error; what the screen got; the signals. */
export type StepOutcome = readonly [
  result: 'ok' | string | readonly number[],
  shown: readonly number[],
  signals: readonly string[],
]

/** A script with what Linux made of it. */
export interface RecordedTerminal {
  readonly script: readonly TerminalStep[]
  readonly outcome: readonly StepOutcome[]
}

export function runTerminal(script: readonly TerminalStep[]): StepOutcome[] {
  let shown: number[] = []
  let signals: string[] = []
  const terminal = new PseudoTerminal({ shown: (bytes) => void shown.push(...bytes) }, { monotonic: () => 0n })
  terminal.control({ terminal: undefined, hear: (signal) => void signals.push(signal) })
  return script.map((step): StepOutcome => {
    shown = []
    signals = []
    const result = outcomeOf(() => runStep(terminal, step))
    return [result, shown, signals]
  })
}

function runStep(terminal: PseudoTerminal, step: TerminalStep): 'ok' | number[] {
  if (step[0] === 'type') terminal.type(Uint8Array.from(step[1]))
  else if (step[0] === 'set') terminal.attributes = { ...terminal.attributes, ...step[1] }
  else if (step[0] === 'write') terminal.write(Uint8Array.from(step[1]), 0, step[1].length, true)
  else {
    const memory = new Uint8Array(step[1])
    return [...memory.subarray(0, terminal.read(memory, 0, step[1], true, new Attempt()))]
  }
  return 'ok'
}

function outcomeOf(run: () => 'ok' | number[]): StepOutcome[0] {
  try {
    return run()
  } catch (error) {
    if (error instanceof ErrnoError) return error.code
    throw error instanceof WouldBlock ? new Error('a call without waiting waits') : error
  }
}
