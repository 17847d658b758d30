/** What a browser says of the machine: how many processors, and, where it says so, roughly how much memory. */

import type { Machine } from '../abi/platform.ts'

/** What a WebAssembly program can address, where a browser says nothing of its memory (Firefox, Safari). */
const UNKNOWN_MEMORY = 4
const GIB = 2 ** 30

export function readMachine(scope: object = globalThis): Machine {
  const { navigator = {} } = scope as {
    navigator?: { readonly hardwareConcurrency?: number; readonly deviceMemory?: number }
  }
  const { hardwareConcurrency = 1, deviceMemory = UNKNOWN_MEMORY } = navigator
  return { cpus: Math.max(1, hardwareConcurrency), memory: deviceMemory * GIB }
}
