/** A program that was compiled: its module, and what a host must know of it besides; and why a file is none. */

import { initialPages, limitMemories, type MemoryType, memoriesOf } from './memories.ts'
import { type WasmModule, wasmApi } from './webassembly.ts'

/** A module cannot be run as a guest; the message says why and what to do, for a person. */
export class GuestError extends Error {
  readonly code = 'ENOEXEC'

  override get name(): string {
    return 'GuestError'
  }
}

export interface Program {
  readonly module: WasmModule
  readonly memories: readonly MemoryType[]
  /** The limit on its memory that is compiled into it, in pages. */
  readonly memoryPages?: number
}

/**
 * Compiles a program, with at most `memoryPages` pages of memory if that is given.
 * Errors: a GuestError that says what is wrong with the file at `path` and what to do.
 */
export async function compileProgram(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  memoryPages?: number,
): Promise<Program> {
  const memories = memoriesOf(bytes)
  const limit = memoryPages !== undefined && initialPages(memories) <= memoryPages
  try {
    const module = await wasmApi().compile(limit ? limitMemories(bytes, memoryPages) : bytes)
    return { module, memories, ...(memoryPages !== undefined && { memoryPages }) }
  } catch (error) {
    throw compileError(error, path)
  }
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
