/**
 * strace for a guest: a table whose calls are told to a log, one line for each, as strace(1) writes them:
 * `path_open(3, 1, "src/a.c", 0, 0x…, 0x…, 0, 0x…) = ENOENT`.
 *
 * A call that waits is told once, when it has its answer. A table that is not wrapped costs nothing.
 */
import { decodeUtf8 } from '../abi/utf8.ts'
import { WAIT } from './context.ts'
import { answerName } from './errno.ts'
import { isAddress, nameOf, type Table, type WasiFunction } from './table.ts'
import type { WasmFunction } from './webassembly.ts'

const LONGEST_TEXT = 256
const RIGHTS = /^(base|inheriting):/

/** Addresses are told as such, except those of paths, which are told as text. */
const isPath = (param: string, next: string | undefined) =>
  param.endsWith('path:ptr') && next === `${nameOf(param)}_len`
const hex = (value: number | bigint) =>
  `0x${(typeof value === 'bigint' ? BigInt.asUintN(64, value) : value >>> 0).toString(16)}`

function text(memory: Uint8Array, at: number, length: number): string {
  const start = at >>> 0
  const bytes = length >>> 0
  if (start + bytes > memory.length) return hex(at)
  const shown = decodeUtf8(memory, start, Math.min(bytes, LONGEST_TEXT))
  return shown === undefined ? hex(at) : `${JSON.stringify(shown)}${bytes > LONGEST_TEXT ? '…' : ''}`
}

/** The arguments of a call as a line tells them. */
function told({ params }: WasiFunction, args: readonly (number | bigint)[], memory: Uint8Array): string {
  const parts: string[] = []
  for (let i = 0; i < params.length; i++) {
    const param = params[i]!
    const value = args[i]!
    if (isPath(param, params[i + 1])) parts.push(text(memory, Number(value), Number(args[++i]!)))
    else if (isAddress(param) || RIGHTS.test(param)) parts.push(hex(value))
    else parts.push(String(value))
  }
  return parts.join(', ')
}

export interface StraceOptions {
  /** The guest's memory, for the text of paths. */
  readonly memory?: () => Uint8Array
}

/** The same table with every call told to `log` when it returns or ends the guest. */
export function strace(table: Table, log: (line: string) => void, options: StraceOptions = {}): Table {
  const nothing = new Uint8Array(0)
  const wrapped = Object.entries(table).map(([name, entry]) => {
    const call = entry.call as unknown as WasmFunction
    const traced = (...args: (number | bigint)[]) => {
      const line = `${name}(${told(entry, args, options.memory?.() ?? nothing)})`
      let answer: number
      try {
        answer = call(...args) as number
      } catch (error) {
        log(`${line} = ?`)
        throw error
      }
      if (answer !== WAIT) log(`${line} = ${answerName(answer)}`)
      return answer
    }
    return [name, { ...entry, call: withLength(traced, entry.params.length) }] as const
  })
  return Object.fromEntries(wrapped)
}

/** Wrappers around a table choose by the number of parameters, which a rest parameter hides. */
function withLength(call: WasmFunction, length: number): WasiFunction['call'] {
  Object.defineProperty(call, 'length', { value: length })
  return call as unknown as WasiFunction['call']
}
