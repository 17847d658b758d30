/** A whole kernel in this thread, for tests and benchmarks in Node: everything but the Worker is real. */

import type { Tree } from '../abi/tree.ts'
import type { ExitStatus } from '../abi/wire.ts'
import { ContentReaders } from '../fs/gofer/content.ts'
import type { ProcessStdio } from '../kernel/process.ts'
import { Runtime, type RuntimeOptions } from '../oci/runtime.ts'
import { createRunner } from '../wasi/runner.ts'
import { createArchiveHost } from './archives.ts'
import { createClock } from './clock.ts'
import { createEntropy } from './entropy.ts'
import { readMachine } from './machine.ts'
import { createMacrotasks } from './macrotask.ts'
import { createSleep } from './sleep.ts'
import { createTimer } from './timer.ts'

export interface World {
  readonly runtime: Runtime
  /** Starts a container; what its own process says is not kept. */
  start(id: string): Promise<unknown>
  /** Runs a process in a container to its end. `stdin` is all there is on its standard input. */
  exec(id: string, process: object, stdin?: string, redirected?: ProcessStdio['redirected']): Promise<Finished>
  close(): Promise<void>
}

export interface Finished extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
}

const NO_BYTES = new Uint8Array(0)

/** Boots a kernel on platform `inline`. What of the machine is not given is not there: Blobs, URLs, volumes. */
export function bootWorld(options: Partial<RuntimeOptions> = {}): World {
  const clock = createClock()
  const entropy = createEntropy()
  const macrotasks = createMacrotasks()
  const timer = createTimer(clock)
  const sleep = createSleep(clock)
  const macrotask = () => macrotasks.next()
  const runner = createRunner({ platform: 'inline', clock, entropy, sleep, macrotask, timer })
  const noHost = (): never => {
    throw new Error('there are no Blobs and URLs in this world')
  }
  const readers = new ContentReaders({ read: noHost }, { fetch: noHost })
  const runtime = new Runtime({
    machine: readMachine(),
    clock,
    timer,
    entropy,
    runner,
    readers,
    archives: createArchiveHost(),
    ...options,
  })
  return {
    runtime,
    start: (id) =>
      runtime.start(id, { stdin: { initial: NO_BYTES, more: false }, stdout() {}, stderr() {}, progress() {} }),
    async exec(id, process, stdin = '', redirected = []) {
      const out: Uint8Array[] = []
      const err: Uint8Array[] = []
      const stdio: ProcessStdio = {
        stdin: { initial: new TextEncoder().encode(stdin), more: false },
        redirected,
        stdout: (bytes) => void out.push(bytes.slice()),
        stderr: (bytes) => void err.push(bytes.slice()),
        progress: () => {},
      }
      const running = await runtime.exec(id, process, stdio)
      const status = await running.exited
      return { ...status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
    },
    async close() {
      try {
        await runtime.shutdown()
      } finally {
        macrotasks.close()
      }
    },
  }
}

/** A tree of one file per entry. */
export const treeOf = (files: Record<string, string | Uint8Array>): Tree => ({
  entries: Object.entries(files).map(([path, content]) => ({
    path,
    kind: 'file',
    content: typeof content === 'string' ? new TextEncoder().encode(content) : content,
  })),
})
