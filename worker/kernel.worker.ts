/**
 * The kernel's Worker: puts the host's parts together for the platform that the page gets, and serves the port that the page
 * sends with its first message. Nothing is made before the page says `boot` over that port.
 */

import type { BootOptions, PlatformName } from '../src/abi/wire.ts'
import { ContentReaders } from '../src/fs/gofer/content.ts'
import { createArchiveHost } from '../src/host/archives.ts'
import { createBlobReader } from '../src/host/blob-reader.ts'
import { createClock } from '../src/host/clock.ts'
import { HostDoorbell } from '../src/host/doorbell.ts'
import { createEntropy } from '../src/host/entropy.ts'
import { choosePlatform, detectFeatures } from '../src/host/features.ts'
import { createWorkerRunner, workersOfPage } from '../src/host/guest-workers.ts'
import { readMachine } from '../src/host/machine.ts'
import { createMacrotasks } from '../src/host/macrotask.ts'
import { type Booted, serveKernel } from '../src/host/service.ts'
import { storageBucket, storageOfSite } from '../src/host/site-storage.ts'
import { createSleep } from '../src/host/sleep.ts'
import { createTimer } from '../src/host/timer.ts'
import { createFetchReader, createXhrReader } from '../src/host/url-reader.ts'
import { createVolumeHost } from '../src/host/volumes.ts'
import type { GuestRunner } from '../src/kernel/process.ts'
import { Serving } from '../src/kernel/serving.ts'
import { Runtime } from '../src/oci/runtime.ts'

/** Platforms on which guests run in this Worker, for which nobody else is needed. */
const WITHIN: readonly PlatformName[] = ['jspi', 'inline']

addEventListener('message', ({ ports: [port] }) => {
  if (port) serveKernel(boot, port)
})

/** Errors: why the platform asked for can't be had, in a sentence. */
async function boot({ platform: wanted, guests, storageBucket: bucket, ...flags }: BootOptions): Promise<Booted> {
  const report = choosePlatform(detectFeatures(), { offered: guests ? [...WITHIN, 'worker'] : WITHIN, wanted })
  const { platform } = report
  const storage = bucket === undefined ? storageOfSite() : await storageBucket(bucket)
  const clock = createClock()
  const timer = createTimer(clock)
  const entropy = createEntropy()
  const macrotasks = createMacrotasks()
  const macrotask = () => macrotasks.next()
  const onFault = (fault: unknown) => console.error('a fault of the kernel, which the program sees as EIO:', fault)
  const waiting = { clock, timer, macrotask, onFault }
  const createUrlReader = platform === 'inline' ? createXhrReader : createFetchReader
  let urls = createUrlReader(({ url, loaded, total }) =>
    runtime.fetching({ stage: 'fetch', path: url, loaded, ...(total !== undefined && { total }) }),
  )
  let runner: GuestRunner
  let awaited = <T>(work: Promise<T>): Promise<T> => work
  let archives = createArchiveHost()
  if (platform === 'worker') {
    const serving = new Serving({ ...waiting, doorbell: new HostDoorbell(), now: () => performance.now() })
    const { fetch } = urls
    urls = { fetch: (url, size) => serving.unblocked(fetch(url, size)) }
    awaited = (work) => serving.unblocked(work)
    archives = createArchiveHost({ awaited })
    runner = createWorkerRunner(serving, workersOfPage(guests as MessagePort))
  } else {
    const { createRunner } = await import('../src/wasi/runner.ts')
    runner = createRunner({ ...waiting, platform, entropy, sleep: createSleep(clock) })
  }
  const readers = new ContentReaders(createBlobReader(), urls)
  const volumes = createVolumeHost({ awaited, storage })
  const inline = platform === 'inline'
  const runtime = new Runtime({
    clock,
    timer,
    entropy,
    machine: readMachine(),
    runner,
    readers,
    archives,
    volumes,
    inline,
    awaited,
    ...flags,
  })
  return { runtime, report, awaited }
}
