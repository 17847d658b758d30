/**
 * The kernel's Worker: puts the host's parts together for the platform that the page gets, and serves the port that the page
 * sends with its first message. Nothing is made before the page says `boot` over that port.
 */

import type { BootOptions } from '../src/abi/wire.ts'
import { ContentReaders } from '../src/fs/gofer/content.ts'
import { createBlobReader } from '../src/host/blob-reader.ts'
import { createClock } from '../src/host/clock.ts'
import { createEntropy } from '../src/host/entropy.ts'
import { choosePlatform, detectFeatures } from '../src/host/features.ts'
import { createMacrotasks } from '../src/host/macrotask.ts'
import { type Booted, serveKernel } from '../src/host/service.ts'
import { createSleep } from '../src/host/sleep.ts'
import { createTimer } from '../src/host/timer.ts'
import { createFetchReader, createXhrReader } from '../src/host/url-reader.ts'
import { Runtime } from '../src/oci/runtime.ts'
import { createRunner } from '../src/wasi/runner.ts'

addEventListener('message', ({ ports: [port] }) => {
  if (port) serveKernel(boot, port)
})

/** Errors: why the platform asked for can't be had, in a sentence. */
function boot({ platform: wanted }: BootOptions): Booted {
  const report = choosePlatform(detectFeatures(), { offered: ['jspi', 'inline'], wanted })
  const platform = report.platform === 'jspi' ? 'jspi' : 'inline'
  const clock = createClock()
  const timer = createTimer(clock)
  const entropy = createEntropy()
  const macrotasks = createMacrotasks()
  const runner = createRunner({
    platform,
    clock,
    timer,
    entropy,
    sleep: createSleep(clock),
    macrotask: () => macrotasks.next(),
    onFault: (fault) => console.error('a fault of the kernel, which the program sees as EIO:', fault),
  })
  const createUrlReader = platform === 'inline' ? createXhrReader : createFetchReader
  const urls = createUrlReader(({ url, loaded, total }) =>
    runtime.fetching({ stage: 'fetch', path: url, loaded, ...(total !== undefined && { total }) }),
  )
  const runtime = new Runtime({ clock, timer, entropy, runner, readers: new ContentReaders(createBlobReader(), urls) })
  return { runtime, report }
}
