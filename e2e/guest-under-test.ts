/** Guests on the platform jspi, which only browsers have, for trampoline.spec.ts: a kernel, a guest and what it waits for, in a page. */
import { createClock } from '../src/host/clock.ts'
import { createMacrotasks } from '../src/host/macrotask.ts'
import { type GuestEnd, runGuest } from '../src/wasi/guest.ts'
import { type ModuleParts, moduleOf } from '../src/wasi/test-guest.ts'
import { countingEntropy, TestWorld } from '../src/wasi/test-world.ts'

export { hasJspi } from '../src/wasi/trampoline.ts'

export interface Running {
  readonly world: TestWorld
  readonly end: Promise<GuestEnd>
  /** How often it was suspended for a system call. */
  readonly waits: () => number
  readonly lines: readonly string[]
  kill(signal: number): void
}

export function start(parts: ModuleParts): Running {
  const world = new TestWorld()
  const kill: { signal: number | undefined } = { signal: undefined }
  const wakers = new Set<() => void>()
  const lines: string[] = []
  let waits = 0
  const macrotasks = createMacrotasks()
  const end = runGuest({
    module: moduleOf(parts),
    platform: 'jspi',
    syscalls: world.guest,
    args: [],
    env: [],
    preopens: world.preopens,
    clock: createClock(),
    entropy: countingEntropy,
    kill,
    strace: (line) => lines.push(line),
    macrotask: () => macrotasks.next(),
    wait: (blocked) => {
      waits++
      return new Promise((resolve) => {
        const wake = () => {
          for (const queue of blocked.queues) queue.remove(waiter)
          wakers.delete(wake)
          resolve()
        }
        const waiter = { wake }
        wakers.add(wake)
        for (const queue of blocked.queues) queue.add(waiter)
      })
    },
  })
  return {
    world,
    end,
    waits: () => waits,
    lines,
    kill(signal) {
      kill.signal = signal
      for (const wake of wakers) wake()
    },
  }
}
