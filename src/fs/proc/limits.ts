/** /proc/PID/limits: proc_pid_limits(5), with the columns of fs/proc/base.c. */

import type { ProcProcess } from './kernel.ts'

const LIMITS: readonly (readonly [name: string, label: string, units: string])[] = [
  ['CPU', 'cpu time', 'seconds'],
  ['FSIZE', 'file size', 'bytes'],
  ['DATA', 'data size', 'bytes'],
  ['STACK', 'stack size', 'bytes'],
  ['CORE', 'core file size', 'bytes'],
  ['RSS', 'resident set', 'bytes'],
  ['NPROC', 'processes', 'processes'],
  ['NOFILE', 'open files', 'files'],
  ['MEMLOCK', 'locked memory', 'bytes'],
  ['AS', 'address space', 'bytes'],
  ['LOCKS', 'file locks', 'locks'],
  ['SIGPENDING', 'pending signals', 'signals'],
  ['MSGQUEUE', 'msgqueue size', 'bytes'],
  ['NICE', 'nice priority', ''],
  ['RTPRIO', 'realtime priority', ''],
  ['RTTIME', 'realtime timeout', 'us'],
]

/** Those that are 0 where nothing is said, because nothing of the kind can be had. */
const NONE = new Set(['CORE', 'NICE', 'RTPRIO'])
/** RLIM_INFINITY as a double. */
const INFINITE = 2 ** 64

export function limitsText({ limits }: ProcProcess): string {
  const row = (label: string, soft: string, hard: string, units: string) =>
    `${label.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${units.padEnd(10)}\n`
  const shown = (value: number) => (value >= INFINITE ? 'unlimited' : String(value))
  let text = row('Limit', 'Soft Limit', 'Hard Limit', 'Units')
  for (const [name, label, units] of LIMITS) {
    const rest = NONE.has(name) ? 0 : INFINITE
    const [soft, hard] = limits[name] ?? [rest, rest]
    text += row(`Max ${label}`, shown(soft), shown(hard), units)
  }
  return text
}
