/** Guests in threads of their own, served by the kernel's loop: real threads and real shared memory, the host's doorbell, and calls made up. */
import { Worker } from 'node:worker_threads'
import { build } from 'vite'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Syscalls } from '../abi/syscalls.ts'
import type { GuestChannel } from '../kernel/guest-channel.ts'
import { type Doorbell, Serving } from '../kernel/serving.ts'
import { WaitQueue, WouldBlock } from '../vfs/waiting.ts'
import { createClock } from './clock.ts'
import { HostDoorbell } from './doorbell.ts'
import { createMacrotasks, type Macrotasks } from './macrotask.ts'
import { createTimer } from './timer.ts'

let remote: string
beforeAll(async () => {
  const entry = new URL('../abi/remote-syscalls.ts', import.meta.url).pathname
  const lib = { entry, formats: ['cjs' as const] }
  const output = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib } })
  remote = (output as { output: { code: string }[] }[])[0]!.output[0]!.code
})

/** Counts the times that the kernel's thread was blocked. */
class Watched implements Doorbell {
  readonly bell = new HostDoorbell()
  readonly buffer = this.bell.buffer
  blocked = 0
  get count() {
    return this.bell.count
  }
  wait(count: number, ms: number) {
    this.blocked++
    return this.bell.wait(count, ms)
  }
  readonly onRing = (count: number, callback: () => void) => this.bell.onRing?.(count, callback)
}

/** As on a machine without Atomics.waitAsync. */
class Deaf implements Doorbell {
  readonly bell = new HostDoorbell()
  readonly buffer = this.bell.buffer
  get count() {
    return this.bell.count
  }
  wait(count: number, ms: number) {
    return this.bell.wait(count, ms)
  }
}

describe.each([
  ['', () => new Watched()],
  [', on a machine that can only wait by blocking', () => new Deaf()],
] as const)('guests in threads of their own%s', (_, createBell) => {
  const clock = createClock()
  const timer = createTimer(clock)
  let macrotasks: Macrotasks
  let channels: GuestChannel[] = []
  let threads: Worker[] = []
  afterEach(async () => {
    for (const channel of channels) serving.close(channel)
    await Promise.all(threads.map((thread) => thread.terminate()))
    macrotasks.close()
    channels = []
    threads = []
    expect(serving.size).toBe(0)
  })

  let serving: Serving
  let faults: unknown[]
  function serve(doorbell: Doorbell = createBell()): Serving {
    macrotasks = createMacrotasks()
    faults = []
    serving = new Serving({
      doorbell,
      clock,
      timer,
      macrotask: () => macrotasks.next(),
      now: () => performance.now(),
      onFault: (fault) => faults.push(fault),
    })
    return serving
  }

  /** Runs a script in a thread, with `guest` as its system calls; gives what it returns. */
  function start(script: string, syscalls: Partial<Syscalls>): { channel: GuestChannel; done: Promise<unknown> } {
    const channel = serving.open(syscalls as Syscalls)
    channels.push(channel)
    const program = `${remote}
      const { parentPort, workerData } = require('node:worker_threads')
      const guest = new exports.RemoteSyscalls(workerData.channel, workerData.doorbell)
      const errorOf = (call) => { try { call() } catch (error) { return error.code } }
      parentPort.postMessage((() => { ${script} })())`
    const workerData = { channel: channel.buffer, doorbell: serving.doorbell }
    const thread = new Worker(program, { eval: true, workerData })
    threads.push(thread)
    const done = new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
    return { channel, done }
  }

  test('are all answered, though one of them never stops asking, and timers run meanwhile', async () => {
    serve()
    const flood = start('for (;;) guest.getfl(1)', { getfl: () => 1 })
    const others = [1, 2, 3].map((n) =>
      start('let sum = 0; for (let i = 0; i < 50; i++) sum += guest.getfl(i); return sum', { getfl: (fd) => fd * n }),
    )
    expect(await Promise.all(others.map(({ done }) => done))).toEqual([1225, 2450, 3675])
    const { calls } = flood.channel
    // Ends, because the flood is served and the timers have their turn.
    while (flood.channel.calls === calls) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  test('wait for what a call lacks, others being served, and the call is settled once, after its last try', async () => {
    serve()
    const queue = new WaitQueue()
    const log: string[] = []
    let there = false
    const waiter = start('return guest.getfl(7)', {
      getfl(fd) {
        log.push(there ? 'returns' : 'waits')
        if (!there) throw new WouldBlock([queue])
        return fd
      },
      settle: () => void log.push('settled'),
    })
    await start('return guest.getfl(1)', { getfl: (fd) => fd }).done
    while (queue.size === 0) await macrotasks.next()
    queue.wake() // in vain
    there = true
    while (queue.size === 0) {
      if (log.at(-1) === 'settled') break
      await macrotasks.next()
    }
    queue.wake()
    expect(await waiter.done).toBe(7)
    expect(log.at(-1)).toBe('settled')
    expect(log.filter((entry) => entry === 'settled')).toHaveLength(1)
    expect(queue.size).toBe(0)
  })

  test("are woken by another's call, in the order in which they came to wait", async () => {
    serve()
    const queue = new WaitQueue()
    const served: number[] = []
    let bytes = 0
    const reader = (n: number) => ({
      getfl() {
        if (bytes === 0) throw new WouldBlock([queue])
        bytes--
        served.push(n)
        return n
      },
    })
    const readers = []
    for (const n of [1, 2, 3]) {
      readers.push(start('return guest.getfl(0)', reader(n)))
      while (queue.size < n) await macrotasks.next()
    }
    const writer = {
      close() {
        bytes++
        queue.wake()
      },
    }
    for (let n = 1; n <= 3; n++) {
      await start('guest.close(0)', writer).done
      while (served.length < n) await macrotasks.next()
    }
    expect(await Promise.all(readers.map(({ done }) => done))).toEqual([1, 2, 3])
    expect(served).toEqual([1, 2, 3])
  })

  test('sleep until the deadline of their call', async () => {
    serve()
    const queue = new WaitQueue()
    const deadline = clock.monotonic() + 5_000_000n
    const sleeper = start('return guest.getfl(0)', {
      getfl() {
        if (clock.monotonic() < deadline) throw new WouldBlock([queue], deadline)
        return 1
      },
    })
    expect(await sleeper.done).toBe(1)
    expect(queue.size).toBe(0)
  })

  test('get no answer once they are closed, wait for nothing, and what they ask is not done', async () => {
    serve()
    const queue = new WaitQueue()
    let made = 0
    const waiter = start('guest.getfl(0)', {
      getfl() {
        made++
        throw new WouldBlock([queue])
      },
    })
    while (queue.size === 0) await macrotasks.next()
    serving.close(waiter.channel)
    expect(queue.size).toBe(0)
    queue.wake()
    const flood = start('for (;;) guest.getfl(0)', { getfl: () => 1 })
    while (flood.channel.calls === 0) await macrotasks.next()
    serving.close(flood.channel)
    const { calls } = flood.channel
    await start('return guest.getfl(0)', { getfl: () => 1 }).done
    expect(flood.channel.calls).toBe(calls)
    expect(made).toBe(1)
  })

  test('see EIO where the kernel has a fault, which is told, and go on', async () => {
    serve()
    const fault = new TypeError('no such thing')
    const guest = start('return [errorOf(() => guest.close(1)), guest.getfl(5)]', {
      close() {
        throw fault
      },
      getfl: (fd) => fd,
    })
    expect(await guest.done).toEqual(['EIO', 5])
    expect(faults).toEqual([fault])
  })
})

test('while something is awaited that the event loop brings, the kernel does not block', async () => {
  const doorbell = new Watched()
  const macrotasks = createMacrotasks()
  const clock = createClock()
  const serving = new Serving({
    doorbell,
    clock,
    timer: createTimer(clock),
    macrotask: () => macrotasks.next(),
    now: () => performance.now(),
  })
  let arrive = () => {}
  const reply = serving.unblocked(
    new Promise<void>((resolve) => {
      arrive = resolve
    }),
  )
  const channel = serving.open({ getfl: () => 1 } as Partial<Syscalls> as Syscalls)
  const program = `${remote}
    const { workerData } = require('node:worker_threads')
    const guest = new exports.RemoteSyscalls(workerData.channel, workerData.doorbell)
    for (;;) guest.getfl(1)`
  const thread = new Worker(program, {
    eval: true,
    workerData: { channel: channel.buffer, doorbell: serving.doorbell },
  })
  const calls = async (count: number) => {
    const before = channel.calls
    while (channel.calls < before + count) await macrotasks.next()
  }
  await calls(200)
  expect(doorbell.blocked).toBe(0)
  arrive()
  await reply
  await calls(200)
  expect(doorbell.blocked).toBeGreaterThan(0)
  serving.close(channel)
  await thread.terminate()
  macrotasks.close()
})
