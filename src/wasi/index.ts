/**
 * `runtab/wasi`: preview1 over a Syscalls, for Workers that run guests by themselves, and the sandbox's files as
 * browser_wasi_shim descriptors.
 */
export { GuestExit, type KillSwitch } from './context.ts'
export { type GuestEnd, type GuestOptions, runGuest } from './guest.ts'
export type { MemoryType } from './memories.ts'
export { Preview1, type Preview1Options } from './preview1.ts'
export { compileError, compileProgram, GuestError, type Program } from './program.ts'
export type { Preopen } from './rights.ts'
export { KernelFd } from './shim-fd.ts'
export { type StraceOptions, strace } from './strace.ts'
export { hasJspi } from './trampoline.ts'
