/** Sandboxes over kernels in this thread, for tests in Node: everything but the Worker is real. */

import { readFileSync } from 'node:fs'
import { Sandbox, type SandboxOptions } from '../src/client/sandbox.ts'
import { ContentReaders } from '../src/fs/gofer/content.ts'
import { createArchiveHost } from '../src/host/archives.ts'
import { createClock } from '../src/host/clock.ts'
import { createEntropy } from '../src/host/entropy.ts'
import { createMacrotasks } from '../src/host/macrotask.ts'
import { serveKernel } from '../src/host/service.ts'
import { createSleep } from '../src/host/sleep.ts'
import { createTimer } from '../src/host/timer.ts'
import { Runtime } from '../src/oci/runtime.ts'
import { MemorySite } from '../src/testing/memory-site.ts'
import { createRunner } from '../src/wasi/runner.ts'
import { buildGuest } from './guests/build.mjs'

/** `boot` as Sandbox has it; every URL is a guest of the tests, by its name. `close` ends all that were booted. */
export function kernels(options: { subtle?: boolean } = {}) {
  const sandboxes: Sandbox[] = []
  const stops: (() => void)[] = []
  const runtimes: Runtime[] = []
  const boot = async (wishes: SandboxOptions = {}) => {
    const { port1, port2 } = new MessageChannel()
    const clock = createClock()
    const timer = createTimer(clock)
    const entropy = createEntropy()
    const macrotasks = createMacrotasks()
    const macrotask = () => macrotasks.next()
    const runner = createRunner({ platform: 'inline', clock, timer, entropy, sleep: createSleep(clock), macrotask })
    const noBlobs = (): never => {
      throw new Error('Node reads no Blob within a call')
    }
    const fetchGuest = async (url: string) =>
      new Uint8Array(readFileSync(await buildGuest(url.replace(/.*\/(\w+)\.wasm$/, '$1.c'))))
    const readers = new ContentReaders({ read: noBlobs }, { fetch: fetchGuest })
    const { allowRootfsTarAnnotation } = wishes
    const archives = createArchiveHost(options)
    const volumes = new MemorySite().host
    const runtime = new Runtime({
      clock,
      timer,
      entropy,
      runner,
      readers,
      archives,
      volumes,
      inline: true,
      allowRootfsTarAnnotation,
    })
    serveKernel(() => ({ runtime, report: { platform: 'inline', reason: 'Node', available: ['inline'] } }), port2)
    stops.push(() => macrotasks.close())
    const sandbox = await Sandbox.boot({ ...wishes, worker: () => port1 })
    sandboxes.push(sandbox)
    runtimes.push(runtime)
    return sandbox
  }
  const close = async () => {
    for (const sandbox of sandboxes) await sandbox.shutdown()
    for (const stop of stops) stop()
  }
  return { boot, close, runtimes }
}
