/** A program that was compiled: its module, and what a host must know of it besides. */

import { compileError } from './guest.ts'
import { initialPages, limitMemories, type MemoryType, memoriesOf } from './memories.ts'
import { type WasmModule, wasmApi } from './webassembly.ts'

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
