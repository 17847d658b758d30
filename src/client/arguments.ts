/** Arguments of the file calls, checked and put in the form that the kernel takes. Wrong ones throw what node throws. */

import { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } from '../abi/linux.ts'
import type { Pieces } from './bytes.ts'
import { outOfRange, wrongType, wrongValue } from './errors.ts'

/** The encodings of text: UTF-8. Without an encoding, files are bytes. */
export type Encoding = 'utf8' | 'utf-8'
/** Permission bits, or an octal string of them such as `'644'`. */
export type Mode = number | string
/** Seconds since the epoch, or a Date. */
export type Time = number | string | Date
/** How a file is opened: node's letters (`r`, `r+`, `w`, `wx`, `a+`, …) or Linux's O_ bits (`constants`). */
export type OpenFlags = string | number
/** What can be written to a file. */
export type WriteData = string | ArrayBuffer | ArrayBufferView | Pieces

export function pathOf(path: unknown, name = 'path'): string {
  if (typeof path !== 'string') throw wrongType(name, 'of type string', path)
  if (path.includes('\0')) throw wrongValue(name, 'must be a string without null bytes', path.replaceAll('\0', '\\x00'))
  return path
}

export function integerOf(value: unknown, name: string): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value)
  return value
}

export function flagsOf(flags: OpenFlags): number {
  if (typeof flags === 'number') return flags
  if (!/^(s?r|rs|x?w|wx|[xs]?a|a[xs])\+?$/.test(flags)) throw wrongValue('flags', 'is invalid', flags)
  const has = (letter: string) => flags.includes(letter)
  let bits = has('+') ? O_RDWR : has('r') ? O_RDONLY : O_WRONLY
  if (has('w')) bits |= O_CREAT | O_TRUNC
  if (has('a')) bits |= O_CREAT | O_APPEND
  if (has('x')) bits |= O_EXCL
  if (has('s')) bits |= O_SYNC
  return bits
}

export function modeOf(mode: Mode): number {
  const bits = typeof mode === 'string' && /^[0-7]+$/.test(mode) ? Number.parseInt(mode, 8) : mode
  if (typeof bits === 'number' && bits >>> 0 === bits) return bits
  throw wrongValue('mode', 'must be a 32-bit unsigned integer or an octal string', mode)
}

/** Nanoseconds since the epoch. */
export function timeOf(time: Time, name = 'time'): bigint {
  if (time instanceof Date && !Number.isNaN(time.getTime())) return BigInt(time.getTime()) * 1_000_000n
  const seconds = typeof time === 'object' || time === '' ? Number.NaN : Number(time)
  if (!Number.isFinite(seconds)) throw wrongType(name, 'an instance of Date or of type number (seconds)', time)
  const whole = Math.floor(seconds)
  return BigInt(whole) * 1_000_000_000n + BigInt(Math.round((seconds - whole) * 1e9))
}

/** Whether text is wanted. */
export function isText(options: Encoding | { encoding?: Encoding | null } | null | undefined): boolean {
  const encoding = typeof options === 'string' ? options : options?.encoding
  if (encoding === undefined || encoding === null) return false
  if (/^utf-?8$/i.test(encoding)) return true
  throw wrongValue('encoding', "is invalid encoding; it is 'utf8' or left out, for bytes", encoding)
}
