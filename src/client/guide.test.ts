/**
 * The recipes of docs/guide, run as they stand: each block on a sandbox of its own, after the block of its page that is marked
 * `setup`. What a block logs is what the `// → …` comments behind its console.log calls say, in that order. Blocks marked
 * `waits` need a platform on which programs can wait, which Node has not; they are only parsed here.
 */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { ContentReaders } from '../fs/gofer/content.ts'
import { createArchiveHost } from '../host/archives.ts'
import { createClock } from '../host/clock.ts'
import { createEntropy } from '../host/entropy.ts'
import { createMacrotasks } from '../host/macrotask.ts'
import { serveKernel } from '../host/service.ts'
import { createSleep } from '../host/sleep.ts'
import { createTimer } from '../host/timer.ts'
import { Runtime } from '../oci/runtime.ts'
import { createRunner } from '../wasi/runner.ts'
import { Sandbox, type SandboxOptions } from './sandbox.ts'

interface Block {
  readonly name: string
  readonly kind: string
  readonly code: string
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(new URL(`../../docs/guide/${page}.md`, import.meta.url), 'utf8')
  return [...text.matchAll(/```ts ?(\w*)\n(.*?)```/gs)].map(([, kind, code], index) => {
    const title = text
      .slice(0, text.indexOf(code!))
      .match(/^#+ .*$/gm)!
      .at(-1)!
    return { kind: kind!, code: code!.replace(/^import .*$/gm, ''), name: `${page}.md, block ${index + 1}, "${title}"` }
  })
}

/** Sandboxes over kernels in this thread; every URL is a guest of the tests, by its name. */
function kernels() {
  const sandboxes: Sandbox[] = []
  const stops: (() => void)[] = []
  const boot = async (options: SandboxOptions) => {
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
    const runtime = new Runtime({ clock, timer, entropy, runner, readers, archives: createArchiveHost() })
    serveKernel(() => ({ runtime, report: { platform: 'inline', reason: 'Node', available: ['inline'] } }), port2)
    stops.push(() => macrotasks.close())
    const sandbox = await Sandbox.boot({ ...options, worker: () => port1 })
    sandboxes.push(sandbox)
    return sandbox
  }
  const close = async () => {
    for (const sandbox of sandboxes) await sandbox.shutdown()
    for (const stop of stops) stop()
  }
  return { boot, close }
}

const shown = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value))
const AsyncFunction = (async () => {}).constructor as new (...code: string[]) => (...args: unknown[]) => Promise<void>

for (const page of ['run', 'files', 'terminal']) {
  const blocks = blocksOf(page)
  const setup = blocks.find(({ kind }) => kind === 'setup')!.code
  test.each(blocks.map((block) => [block.name, block] as const))('%s, does what it says', async (_, { kind, code }) => {
    const run = new AsyncFunction('Sandbox', 'console', kind === 'setup' ? code : `${setup}{${code}}`)
    if (kind === 'waits') return
    const expected = [...code.matchAll(/\/\/ (→ .*)$/gm)].flatMap(([, comment]) => comment!.split('→ ').slice(1))
    const logged: string[] = []
    const { boot, close } = kernels()
    const console = {
      log: (...values: unknown[]) => logged.push(values.map(shown).join(' ').replaceAll('\n', '\\n')),
      warn() {},
      info() {},
    }
    try {
      await run({ boot }, console)
    } finally {
      await close()
    }
    expect(logged).toEqual(expected.map((each) => each.trim()))
  })
}
