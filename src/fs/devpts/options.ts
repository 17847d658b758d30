/** Options of a devpts as text: Linux, filesystems/devpts.rst. */

import { optionsIn } from '../../vfs/mount-data.ts'

export interface DevptsOptions {
  /** Owner of terminals; who opens ptmx if left out. */
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** Permission bits of terminals, and of ptmx. */
  readonly mode: number
  readonly ptmxMode: number
  /** How many terminals there may be at a time. */
  readonly max: number
}

/** Linux's NR_UNIX98_PTY_MAX. */
const MOST = 2 ** 20

/**
 * Reads `newinstance,ptmxmode=0666,mode=0620,gid=5` (also `uid`, `max`). `newinstance` says nothing: every mount is one.
 * Errors: EINVAL with the option in the detail.
 */
export function parseDevptsOptions(data: string): DevptsOptions {
  const options: { -readonly [K in keyof DevptsOptions]: DevptsOptions[K] } = { mode: 0o600, ptmxMode: 0, max: MOST }
  for (const option of optionsIn('devpts', data)) {
    const { key, value } = option
    const number = (radix: 8 | 10, most: number) => {
      const parsed = option.number(radix)
      if (!(parsed <= most)) throw option.fault(`wants ${radix === 8 ? 'an octal number' : `a number up to ${most}`}`)
      return parsed
    }
    if (key === 'uid' || key === 'gid') options[key] = number(10, 2 ** 32 - 2)
    else if (key === 'mode') options.mode = number(8, 2 ** 32 - 1) & 0o7777
    else if (key === 'ptmxmode') options.ptmxMode = number(8, 2 ** 32 - 1) & 0o7777
    else if (key === 'max') options.max = number(10, MOST)
    else if (key !== 'newinstance')
      throw option.fault('unknown; devpts knows uid, gid, mode, ptmxmode, newinstance, max')
    else if (value !== undefined) throw option.fault('takes no value')
  }
  return options
}

/** As /proc/mounts shows them. */
export function devptsOptionsText({ uid, gid, mode, ptmxMode, max }: DevptsOptions): string {
  const octal = (bits: number) => bits.toString(8).padStart(3, '0')
  return [
    ...(uid === undefined ? [] : [`uid=${uid}`]),
    ...(gid === undefined ? [] : [`gid=${gid}`]),
    `mode=${octal(mode)}`,
    `ptmxmode=${octal(ptmxMode)}`,
    ...(max === MOST ? [] : [`max=${max}`]),
  ].join(',')
}
