/** Sandboxes over kernels in this thread, for tests in Node: everything but the Worker is real. */

import { readFileSync } from 'node:fs'
import { Sandbox, type SandboxOptions } from '../src/client/sandbox.ts'
import { ContentReaders } from '../src/fs/gofer/content.ts'
import { createArchiveHost } from '../src/host/archives.ts'
import { serveKernel } from '../src/host/service.ts'
import { bootWorld } from '../src/host/world.ts'
import type { Runtime } from '../src/oci/runtime.ts'
import { MemorySite } from '../src/testing/memory-site.ts'
import { buildGuest } from './guests/build.mjs'

/** `boot` as Sandbox has it, in a tab of one site; every URL is a guest of the tests, by its name. `close` ends all that were booted. */
export function kernels(options: { subtle?: boolean } = {}) {
  const site = new MemorySite()
  const sandboxes: Sandbox[] = []
  const stops: (() => Promise<void>)[] = []
  const runtimes: Runtime[] = []
  const boot = async (wishes: SandboxOptions = {}) => {
    const { port1, port2 } = new MessageChannel()
    const noBlobs = (): never => {
      throw new Error('Node reads no Blob within a call')
    }
    const fetchGuest = async (url: string) =>
      new Uint8Array(readFileSync(await buildGuest(url.replace(/.*\/(\w+)\.wasm$/, '$1.c'))))
    const readers = new ContentReaders({ read: noBlobs }, { fetch: fetchGuest })
    const { bundle: _, worker: __, platform: ___, ...flags } = wishes
    const world = bootWorld({
      readers,
      archives: createArchiveHost(options),
      volumes: site.host,
      inline: true,
      ...flags,
    })
    const { runtime } = world
    serveKernel(() => ({ runtime, report: { platform: 'inline', reason: 'Node', available: ['inline'] } }), port2)
    stops.push(world.close)
    const sandbox = await Sandbox.boot({ ...wishes, worker: () => port1 })
    sandboxes.push(sandbox)
    runtimes.push(runtime)
    return sandbox
  }
  const close = async () => {
    for (const sandbox of sandboxes) await sandbox.shutdown()
    for (const stop of stops) await stop()
  }
  return { boot, close, runtimes }
}
