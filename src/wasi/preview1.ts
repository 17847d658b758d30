/**
 * A guest's WASI preview1, over the kernel's system calls: the shim's WASI class with every import replaced.
 *
 * Invariants: nothing is thrown into the guest but the signal that ends it (GuestExit); no import reads or writes
 * outside the guest's memory; each import makes at most one system call that changes something, and makes it last,
 * so that an import that must wait can be made again from its start.
 */
import { WASI } from '@bjorn3/browser_wasi_shim'
import { Counters } from '../abi/counters.ts'
import type { Clock, Entropy } from '../abi/platform.ts'
import type { Syscalls } from '../abi/syscalls.ts'
import { Context, type KillSwitch } from './context.ts'
import { ioFunctions } from './io-functions.ts'
import { type Layout, PREVIEW1 } from './layout.ts'
import { GuestMemory } from './memory.ts'
import { pathFunctions } from './path-functions.ts'
import { pollFunction } from './poll-function.ts'
import { Descriptors, type Preopen } from './rights.ts'
import { systemFunctions } from './system-functions.ts'
import { foreignCall, guarded, type Table } from './table.ts'
import type { WasmInstance, WasmMemory } from './webassembly.ts'

export interface Preview1Options {
  readonly syscalls: Syscalls
  /** The program's name first. */
  readonly args: readonly string[]
  /** `NAME=value` each. */
  readonly env: readonly string[]
  readonly preopens: readonly Preopen[]
  readonly clock: Clock
  readonly entropy: Entropy
  /** True under a trampoline: a call that must wait answers WAIT, what it waits for is `takeBlocked()`. Otherwise EAGAIN. */
  readonly waits?: boolean
  /** Sleeps until a time of the monotonic clock (nanoseconds); for guests that do not wait otherwise. */
  readonly sleep?: (until: bigint) => void
  readonly kill?: KillSwitch
  /** Where its calls and bytes are counted. */
  readonly counters?: Counters
  /** False: the time that calls take is not taken here. */
  readonly timed?: boolean
  readonly onFault?: (error: unknown) => void
  /** Of which version of WASI; without it of preview1. */
  readonly layout?: Layout
  /** Names that the program imports beside those of WASI: calls of them answer ENOSYS. */
  readonly foreign?: readonly string[]
}

export class Preview1 extends WASI {
  /** The 46 functions, and the foreign ones behind them; `wasiImport` holds their calls. */
  readonly table: Table
  readonly #context: Context
  #memory: WasmMemory | undefined

  constructor(options: Preview1Options) {
    super([...options.args], [...options.env], [], { debug: false })
    const { syscalls, clock, entropy, waits = false, sleep, kill, onFault, timed = true } = options
    const { counters = new Counters(), layout = PREVIEW1, foreign = [] } = options
    const memory = new GuestMemory(
      () => this.#memory ?? (this.inst?.exports.memory as WasmMemory | undefined),
      (size) => {
        counters.memory = size
      },
    )
    const descriptors = new Descriptors(syscalls, options.preopens)
    const context = new Context(
      { syscalls, clock, entropy, waits, sleep, kill, onFault, counters, timed },
      memory,
      descriptors,
    )
    this.#context = context
    this.table = guarded(context, {
      ...systemFunctions(context, this.args, this.env),
      ...ioFunctions(context, layout),
      ...pathFunctions(context, layout),
      ...pollFunction(context, layout),
      ...Object.fromEntries(foreign.map((name) => [name, foreignCall])),
    })
    this.wasiImport = importsOf(this.table)
  }

  /** Says whose memory the imports work on: the instance's, or one that it imports. `start` and `initialize` of the shim do the same. */
  attach(instance: WasmInstance, memory?: WasmMemory): void {
    this.inst = instance as unknown as typeof this.inst
    this.#memory = memory
  }

  /** What ended the guest, where it was an exit or a signal. */
  get ending(): Context['ending'] {
    return this.#context.ending
  }

  /** System calls that the guest has made. */
  get calls(): number {
    return this.#context.calls
  }

  /** What the call that answered WAIT waits for; undefined if it answered WAIT to let the host's other work run. */
  takeBlocked(): Context['blocked'] {
    const { blocked } = this.#context
    this.#context.blocked = undefined
    return blocked
  }
}

/** A table as the functions of an import object. */
export function importsOf(table: Table): Record<string, (...args: unknown[]) => unknown> {
  return Object.fromEntries(
    Object.entries(table).map(([name, { call }]) => [name, call as unknown as (...args: unknown[]) => unknown]),
  )
}
