/** Signals by name: signal(7), x86 and ARM numbers. */

import { ErrnoError } from '../abi/errno.ts'

const names =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  )

/** The name of a signal, such as `SIGKILL`. */
export const signalName = (signal: number): string => `SIG${names[signal - 1] ?? signal}`

/** The number of a signal given by name, with or without SIG, or by number. Errors: EINVAL. */
export function signalNumber(signal: string | number): number {
  const number =
    typeof signal === 'number' || /^\d+$/.test(signal)
      ? Number(signal)
      : names.indexOf(signal.toUpperCase().replace(/^SIG/, '')) + 1
  if (!(Number.isInteger(number) && number >= 1 && number <= names.length)) {
    throw new ErrnoError('EINVAL', undefined, `no signal "${signal}"`)
  }
  return number
}
