/**
 * Running one guest to its end, in the Worker that calls.
 *
 * Invariant: whatever the guest does, `runGuest` resolves: with its exit status, or with the trap that ended it. It
 * rejects only with GuestError, before the guest ran, where the module cannot be a guest.
 */
import type { Clock } from '../abi/platform.ts'
import type { WouldBlock } from '../vfs/waiting.ts'
import { GuestExit } from './context.ts'
import { functionNames } from './function-names.ts'
import { LAYOUTS, type Layout, PREVIEW1 } from './layout.ts'
import { type RequestSource, serveLibrary } from './library.ts'
import { initialPages, type MemoryType, PAGE_SIZE, shareOf } from './memories.ts'
import { importsOf, Preview1, type Preview1Options } from './preview1.ts'
import { GuestError } from './program.ts'
import { strace } from './strace.ts'
import type { Table } from './table.ts'
import { takingTurns, trampolined } from './trampoline.ts'
import { type WasmFunction, type WasmInstance, type WasmMemory, type WasmModule, wasmApi } from './webassembly.ts'

/** How a guest ended. A signal's exit status is 128 + its number, as shells have it. */
export type GuestEnd = (
  | { readonly exitCode: number; readonly signal?: number }
  | { readonly trap: string; readonly stack: string }
) & {
  /** System calls made. */
  readonly calls: number
}

export interface GuestOptions extends Omit<Preview1Options, 'waits' | 'layout' | 'foreign'> {
  readonly module: WasmModule
  /** Its memories, as compileProgram has them. Without them a module that imports its memory is refused. */
  readonly memories?: readonly MemoryType[]
  /** The most pages of memory that it may have, as it was compiled. */
  readonly memoryPages?: number
  /**
   * inline: a call that must wait answers EAGAIN, but sleeps that end by the clock are slept (`sleep`).
   * jspi: it suspends the guest. A guest in its own Worker, whose calls wait in the channel, is `inline` there.
   */
  readonly platform: 'inline' | 'jspi'
  readonly clock: Clock
  /** On jspi: resolves when the call that threw this may be made again. */
  readonly wait?: (blocked: WouldBlock) => Promise<void>
  /** On jspi: resolves in a new macrotask, so that the host's other work gets its turn. */
  readonly macrotask?: () => Promise<void>
  /** What is asked of a library, which is served until there is no more. Without it only commands run. */
  readonly requests?: RequestSource | undefined
  /** Hears of every system call, a line each. */
  readonly strace?: ((line: string) => void) | undefined
  /** Only of calls of these names. */
  readonly straced?: readonly string[] | undefined
}

export async function runGuest(options: GuestOptions): Promise<GuestEnd> {
  const { module, platform, memories = [], memoryPages } = options
  checkMemories(memories, memoryPages)
  const { entry, layout, imported } = checkModule(module, memories, options.requests !== undefined)
  const foreign = imported.filter((name) => !functionNames.includes(name))
  const preview1 = new Preview1({ ...options, layout, foreign, waits: platform === 'jspi' })

  let instance: WasmInstance | undefined
  let own: WasmMemory | undefined
  const memory = () =>
    new Uint8Array((own ?? (instance?.exports.memory as WasmMemory | undefined))?.buffer ?? new ArrayBuffer(0))
  const { strace: log, straced: calls, clock, preopens } = options
  const now = () => clock.monotonic()
  const table = log ? strace(preview1.table, log, { memory, now, preopens, ...(calls && { calls }) }) : preview1.table
  const imports = platform === 'jspi' ? suspending(preview1, table, options) : importsOf(table)

  try {
    const all: Record<string, Record<string, unknown>> = { [layout.module]: imports }
    for (const type of memories) {
      if (!type.imported) continue
      const made = newMemory(type, memories, memoryPages)
      own ??= made
      all[type.imported.module] = { ...all[type.imported.module], [type.imported.name]: made }
    }
    instance = await wasmApi().instantiate(module, all)
    preview1.attach(instance, own)
    const run = (f: WasmFunction, args: readonly unknown[] = []) =>
      platform === 'jspi' ? wasmApi().promising!(f)(...args) : f(...args)
    await run(instance.exports[entry] as WasmFunction)
    if (entry === '_initialize') await serveLibrary(options.requests!, instance, memory, run)
    return { exitCode: 0, calls: preview1.calls }
  } catch (error) {
    // Where imports are WebAssembly's own functions, which is so on jspi, they have types.
    if (error instanceof wasmApi().LinkError)
      throw new GuestError(`the program does not fit what it imports (${error.message})`, { cause: error })
    const end = endOf(preview1.ending ?? error)
    // What a program makes of a memory.grow that failed is often a trap.
    if ('trap' in end && memoryPages !== undefined)
      end.trap += ` (it may have ${inPages(memoryPages)} of memory: ${LIMITED_BY})`
    return { ...end, calls: preview1.calls }
  }
}

/** What may limit a guest's memory. */
const LIMITED_BY = 'process.limits.memoryPages, or its cgroup'

function newMemory(type: MemoryType, all: readonly MemoryType[], pages: number | undefined): WasmMemory {
  const maximum = pages === undefined ? type.maximum : shareOf(all, type, pages)
  return new (wasmApi().Memory)({ initial: type.initial, ...(maximum !== undefined && { maximum }) })
}

/** Throws GuestError for memories that a guest cannot have. */
function checkMemories(memories: readonly MemoryType[], limit: number | undefined): void {
  if (memories.some(({ shared }) => shared))
    throw new GuestError(
      'the program wants shared memory, as programs with threads do; runtab runs programs without threads: build it without -pthread and --shared-memory',
    )
  if (memories.some(({ wide }) => wide))
    throw new GuestError('the program has 64-bit memory; preview1 has 32-bit addresses: build it for wasm32')
  const pages = initialPages(memories)
  if (limit !== undefined && pages > limit)
    throw new GuestError(`the program starts with ${inPages(pages)} of memory and may have ${limit} (${LIMITED_BY})`)
}

const inPages = (count: number) => `${count} pages (${count * (PAGE_SIZE / 1024)} KiB)`

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

/** How it starts, and what it imports of WASI. Throws GuestError for a module that is no command of WASI's and, if those run, no library. */
function checkModule(
  module: WasmModule,
  memories: readonly MemoryType[],
  libraries: boolean,
): { entry: '_start' | '_initialize'; layout: Layout; imported: readonly string[] } {
  const api = wasmApi()
  const imports = api.Module.imports(module)
  const given = memories.filter(({ imported }) => imported).length
  if (imports.filter(({ kind }) => kind === 'memory').length > given)
    throw new GuestError('the program imports its memory, of which nothing is known: compile it with compileProgram')
  const isWasi = ({ module: from, kind }: (typeof imports)[number]) => kind === 'function' && LAYOUTS.has(from)
  const missing = imports.filter((each) => each.kind !== 'memory' && !isWasi(each))
  if (missing.length > 0) {
    const names = missing.map(({ module: from, name, kind }) => `${from}.${name} (${kind})`).join(', ')
    const offered = [...LAYOUTS.keys()].join(' and ')
    throw new GuestError(`the program needs ${names}, which runtab does not have; it offers ${offered}`)
  }
  const ofWasi = imports.filter(isWasi)
  const [version = PREVIEW1.module, other] = new Set(ofWasi.map(({ module: from }) => from))
  if (other !== undefined)
    throw new GuestError(
      `the program imports from ${version} and from ${other}, which are two versions of WASI; runtab runs programs of either`,
    )
  const exports = new Map(api.Module.exports(module).map(({ name, kind }) => [name, kind]))
  const entry = (['_start', '_initialize'] as const).find((name) => exports.get(name) === 'function')
  if (entry === undefined)
    throw new GuestError(
      'the program has no entry point: it exports neither _start, as commands do, nor _initialize, as libraries do',
    )
  if (entry === '_initialize' && !libraries)
    throw new GuestError('the program is a library (it exports _initialize), of which nothing is asked here')
  if (exports.get('memory') !== 'memory' && given === 0)
    throw new GuestError('the program exports no memory and imports none, which its system calls would need')
  return { entry, layout: LAYOUTS.get(version)!, imported: ofWasi.map(({ name }) => name) }
}

/** What an engine can run out of, and how that is told. */
const exhaustible = [
  [/stack|recursion/i, 'call stack exhausted'],
  [/memory/i, 'out of memory'],
] as const

function endOf(error: unknown): { exitCode: number; signal?: number } | { trap: string; stack: string } {
  if (error instanceof GuestExit)
    return { exitCode: error.code, ...(error.signal !== undefined && { signal: error.signal }) }
  if (!(error instanceof Error)) return { trap: String(error), stack: '' }
  // Engines say it as a RangeError (V8) or an InternalError (SpiderMonkey).
  const exhausted = error instanceof RangeError || error.name === 'InternalError'
  const what = !exhausted ? undefined : exhaustible.find(([said]) => said.test(error.message))?.[1]
  const trap = what === undefined ? error.message : `${what} (${error.message})`
  return { trap, stack: error.stack ?? '' }
}
