/**
 * Runs a process's program in this Worker: what `kernel/process.ts` asks of a machine that knows WebAssembly.
 */

import type { Clock, Entropy } from '../abi/platform.ts'
import { type Waiting, woken } from '../kernel/attempts.ts'
import type { GuestEnd, GuestProcess, GuestRunner } from '../kernel/process.ts'
import { functionNames } from './function-names.ts'
import { runGuest } from './guest.ts'
import { compileProgram, type Program } from './program.ts'

export interface RunnerOptions extends Waiting {
  readonly platform: 'inline' | 'jspi'
  readonly clock: Clock
  readonly entropy: Entropy
  /** Blocks the thread until a time of the monotonic clock. */
  readonly sleep: (until: bigint) => void
  /** Resolves in a new macrotask. */
  readonly macrotask: () => Promise<void>
  /** Hears of faults of the kernel's own, which a guest sees as EIO. */
  readonly onFault?: (error: unknown) => void
}

export function createRunner(options: RunnerOptions): GuestRunner {
  const { platform, clock, entropy, sleep, macrotask, onFault } = options
  return {
    functions: functionNames,
    compile: compileProgram,

    async run(
      program,
      { task, args, env, preopens, kill, killed, counters, waits, trace, requests }: GuestProcess,
    ): Promise<GuestEnd> {
      // The caller learns of the process before it runs: on platform inline the whole program is one synchronous call.
      await macrotask()
      return runGuest({
        ...(program as Program),
        platform,
        syscalls: task,
        args,
        env,
        preopens,
        clock,
        entropy,
        sleep(until) {
          waits.begin()
          sleep(until)
          waits.end()
        },
        macrotask,
        kill,
        counters,
        requests,
        strace: trace && ((line) => trace.line(line)),
        straced: trace?.calls,
        async wait(blocked) {
          waits.begin()
          await woken(options, blocked, killed)
          waits.end()
        },
        ...(onFault && { onFault }),
      })
    },
  }
}
