/** The page's half of mounts.mjs. */
import { type Remote, wrap } from 'comlink'
import type { Sandbox } from '../../src/client/index.ts'
import type { MountsBench } from './mounts.worker.ts'

const library: Promise<{ Sandbox: typeof Sandbox }> = import(/* @vite-ignore */ String('/lib/index.js'))

/** Milliseconds until a module Worker's script has run. */
function start(script: string): Promise<number> {
  const from = performance.now()
  const worker = new Worker(script, { type: 'module' })
  return new Promise((resolve, reject) => {
    worker.onmessage = () => {
      resolve(performance.now() - from)
      worker.terminate()
    }
    worker.onerror = ({ message }) => reject(new Error(`${script}: ${message}`))
  })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

/** Of as many calls, one after the other, the least. */
async function least(times: number, work: () => Promise<number>): Promise<number> {
  let found = Number.POSITIVE_INFINITY
  for (let i = 0; i < times; i++) found = Math.min(found, await work())
  return found
}

/** Milliseconds, by the works' names, as what stats gives. */
export async function starts(): Promise<Record<string, number>> {
  const { Sandbox } = await library
  const empty = await start('/built/empty.worker.js')
  const comment = await start('/built/comment.worker.js')

  const from = performance.now()
  const sandbox = await Sandbox.boot()
  await sandbox.create('first')
  const boot = performance.now() - from

  const worker = new Worker('/built/mounts.worker.js', { type: 'module' })
  const bare: Remote<MountsBench> = wrap(worker)
  const found: Record<string, number> = {
    empty,
    comment,
    boot,
    create: Number.POSITIVE_INFINITY,
    delete: Number.POSITIVE_INFINITY,
  }
  await bare.nothing()
  found.roundTrip = await least(20, () => timed(() => bare.nothing()))
  for (let i = 0; i < 10; i++) {
    let made: Awaited<ReturnType<typeof sandbox.create>>
    const create = await timed(async () => {
      made = await sandbox.create(`second-${i}`)
    })
    found.create = Math.min(found.create!, create)
    found.delete = Math.min(found.delete!, await timed(() => made.delete()))
  }
  await sandbox.shutdown()
  worker.terminate()
  return found
}

export async function stats(): Promise<Record<string, number>> {
  const bare: Remote<MountsBench> = wrap(new Worker('/built/mounts.worker.js', { type: 'module' }))
  return Object.fromEntries(Object.entries(await bare.stats()).map(([name, ns]) => [name, ns / 1e6]))
}
