/**
 * Running one guest to its end, in the Worker that calls.
 *
 * Invariant: whatever the guest does, `runGuest` resolves: with its exit status, or with the trap that ended it. It
 * rejects only with GuestError, before the guest ran, where the module cannot be a guest.
 */
import type { Clock } from '../abi/platform.ts'
import type { InFlight, WouldBlock } from '../vfs/waiting.ts'
import { GuestExit } from './context.ts'
import { importsOf, Preview1, type Preview1Options } from './preview1.ts'
import { strace } from './strace.ts'
import type { Table } from './table.ts'
import { takingTurns, trampolined } from './trampoline.ts'
import { type WasmFunction, type WasmInstance, type WasmMemory, type WasmModule, wasmApi } from './webassembly.ts'

const PREVIEW1 = 'wasi_snapshot_preview1'

/** A module cannot be run as a guest; the message says why and what to do, for a person. */
export class GuestError extends Error {
  readonly code = 'ENOEXEC'

  override get name(): string {
    return 'GuestError'
  }
}

/** How a guest ended. A signal's exit status is 128 + its number, as shells have it. */
export type GuestEnd = (
  | { readonly exitCode: number; readonly signal?: number }
  | { readonly trap: string; readonly stack: string }
) & {
  /** System calls made. */
  readonly calls: number
}

export interface GuestOptions extends Omit<Preview1Options, 'waits'> {
  readonly module: WasmModule
  /**
   * inline: a call that must wait answers EAGAIN, but sleeps that end by the clock are slept (`sleep`).
   * jspi: it suspends the guest. A guest in its own Worker, whose calls wait in the channel, is `inline` there.
   */
  readonly platform: 'inline' | 'jspi'
  readonly clock: Clock
  /** On jspi: resolves when the call that threw this may be made again. */
  readonly wait?: (blocked: WouldBlock | InFlight) => Promise<void>
  /** On jspi: resolves in a new macrotask, so that the host's other work gets its turn. */
  readonly macrotask?: () => Promise<void>
  /** Hears of every system call, a line each. */
  readonly strace?: (line: string) => void
}

export async function runGuest(options: GuestOptions): Promise<GuestEnd> {
  const { module, platform } = options
  const preview1 = new Preview1({ ...options, waits: platform === 'jspi' })
  checkModule(module, preview1.table)

  let instance: WasmInstance | undefined
  const memory = () =>
    new Uint8Array((instance?.exports.memory as WasmMemory | undefined)?.buffer ?? new ArrayBuffer(0))
  const table = options.strace ? strace(preview1.table, options.strace, { memory }) : preview1.table
  const imports = platform === 'jspi' ? suspending(preview1, table, options) : importsOf(table)

  try {
    instance = await wasmApi().instantiate(module, { [PREVIEW1]: imports })
    preview1.attach(instance)
    const start = instance.exports._start as WasmFunction
    if (platform === 'jspi') await wasmApi().promising!(start)()
    else start()
    return { exitCode: 0, calls: preview1.calls }
  } catch (error) {
    return { ...endOf(preview1.ending ?? error), calls: preview1.calls }
  }
}

function suspending(preview1: Preview1, table: Table, options: GuestOptions): Record<string, WasmFunction> {
  const { wait, macrotask, clock } = options
  if (wait === undefined || macrotask === undefined) throw new TypeError('platform jspi needs wait and macrotask')
  const turns = takingTurns(table, () => clock.monotonic())
  const pause = async () => {
    const blocked = preview1.takeBlocked()
    if (blocked) await wait(blocked)
    else {
      await macrotask()
      turns.tookTurn()
    }
  }
  return trampolined(turns.table, new (wasmApi().Suspending!)(pause))
}

/** Throws GuestError for a module that is not a preview1 command. */
export function checkModule(module: WasmModule, table: Table): void {
  const api = wasmApi()
  const imports = api.Module.imports(module)
  if (imports.some(({ module: from }) => from === 'wasi_unstable'))
    throw new GuestError(
      'the program was built for wasi_unstable, a draft of WASI; build it again for wasi_snapshot_preview1',
    )
  if (imports.some(({ kind }) => kind === 'memory'))
    throw new GuestError(
      'the program imports its memory, as programs with threads do; runtab runs programs that export one',
    )
  const missing = imports.filter(
    ({ module: from, name, kind }) => from !== PREVIEW1 || kind !== 'function' || !Object.hasOwn(table, name),
  )
  if (missing.length > 0) {
    const names = missing.map(({ module: from, name, kind }) => `${from}.${name} (${kind})`).join(', ')
    throw new GuestError(`the program needs ${names}, which runtab does not have; it offers ${PREVIEW1}`)
  }
  const exports = new Map(api.Module.exports(module).map(({ name, kind }) => [name, kind]))
  if (exports.get('_start') !== 'function') {
    const what = exports.has('_initialize')
      ? 'is a library (it exports _initialize)'
      : 'has no entry point (it exports no _start)'
    throw new GuestError(`the program ${what}; runtab runs commands, which export _start`)
  }
  if (exports.get('memory') !== 'memory')
    throw new GuestError('the program exports no memory, which its system calls would need')
}

function endOf(error: unknown): { exitCode: number; signal?: number } | { trap: string; stack: string } {
  if (error instanceof GuestExit)
    return { exitCode: error.code, ...(error.signal !== undefined && { signal: error.signal }) }
  if (!(error instanceof Error)) return { trap: String(error), stack: '' }
  // Engines say it as a RangeError (V8) or an InternalError (SpiderMonkey).
  const deep = error instanceof RangeError || error.name === 'InternalError'
  const trap =
    deep && /stack|recursion/i.test(error.message) ? `call stack exhausted (${error.message})` : error.message
  return { trap, stack: error.stack ?? '' }
}

/** What to tell a person whose file did not compile. `cause` is what WebAssembly.compile threw. */
export function compileError(cause: unknown, path: string): GuestError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/^WebAssembly\.\w+\(\):\s*/, '')
  // As V8 and as SpiderMonkey say it.
  const component = /version 0d 00 01 00|expected version.*found 0d|version 0x1000d/i.test(reason)
  const advice = component
    ? 'it is a WASI preview2 component; runtab runs preview1 modules (target wasm32-wasip1)'
    : `it is not a WebAssembly module that this browser can run (${reason})`
  return new GuestError(`${path}: ${advice}`, { cause })
}
