/** Signals by name: signal(7), x86 and ARM numbers. */

import { ErrnoError } from '../abi/errno.ts'

const names =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  )

/** The name of a signal, such as `SIGKILL`. */
export const signalName = (signal: number): string => `SIG${names[signal - 1] ?? signal}`

/** The number of a signal given by name, with or without SIG, or by number; 0 is none, as kill(2) has it. Errors: EINVAL. */
export function signalNumber(signal: string | number): number {
  const text = String(signal)
  const named = names.indexOf(text.toUpperCase().replace(/^SIG/, ''))
  const number = named >= 0 ? named + 1 : /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= names.length)) throw new ErrnoError('EINVAL', undefined, `no signal "${text}"`)
  return number
}

/** What signals do by default, as far as they do not end a process: signal(7). */
const IGNORED = ['CHLD', 'CONT', 'URG', 'WINCH']
const STOPPING = ['STOP', 'TSTP', 'TTIN', 'TTOU']

/**
 * Whether a signal ends who gets it, by its default action: preview1 programs cannot ask for another.
 * Errors: EOPNOTSUPP for one that would stop it, which is not possible here.
 */
export function isDeadly(signal: number): boolean {
  const name = names[signal - 1]
  if (name === undefined) return false
  if (STOPPING.includes(name))
    throw new ErrnoError('EOPNOTSUPP', undefined, `no program can be stopped, as ${signalName(signal)} would`)
  return !IGNORED.includes(name)
}
