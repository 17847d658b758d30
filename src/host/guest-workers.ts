/**
 * Runs each process's program in a Worker of its own (worker/guest.worker.ts), where it may block and be killed without harm to
 * others: what `kernel/process.ts` asks of a machine, on the platform `worker`.
 *
 * Invariant: when `run` settles, the guest's channel is closed: whatever its thread still does has no effect. Browsers let
 * a terminated Worker that never pauses go on for a while (Chromium for two seconds).
 */

import { SIGKILL } from '../abi/linux.ts'
import { createTraceRing, TraceRing } from '../abi/trace-ring.ts'
import type { Connection, GuestFailure, GuestOrder, LibraryRequest, RequestFailure } from '../abi/wire.ts'
import type { GuestEnd, GuestProcess, GuestRunner, JoinedProgram, Preopen, Trace } from '../kernel/process.ts'
import type { PendingRequest } from '../kernel/requests.ts'
import type { Serving } from '../kernel/serving.ts'
import { functionNames } from '../wasi/function-names.ts'
import { compileProgram, type Program } from '../wasi/program.ts'

/** What a guest's Worker is told, once. */
export interface GuestJob extends Program {
  readonly channel: SharedArrayBuffer
  readonly doorbell: SharedArrayBuffer
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly preopens: readonly Preopen[]
  /** Where its calls are counted. */
  readonly counters: SharedArrayBuffer
  /** Where its calls are told, if they are, and which. */
  readonly trace: SharedArrayBuffer | undefined
  readonly straced: readonly string[] | undefined
}

/** What it says: that its script runs; then how the program ended, or why it cannot be run at all. */
export type GuestReport =
  | { readonly started: true }
  | { readonly end: GuestEnd }
  | { readonly refused: string }
  | { readonly answered: unknown }
  | { readonly failed: RequestFailure }

/** A thread that runs one guest. */
export interface GuestThread {
  onreport: (report: GuestReport) => void
  /** It did not start, or died of something that is not the guest's doing. */
  onfailure: (message: string | undefined) => void
  run(job: GuestJob): void
  /** Asks something of a library; the next one when this was answered. */
  ask(request: LibraryRequest): void
  /** It is needed no more. `idle`: its guest has ended, and nothing of it runs on. */
  end(idle: boolean): void
}

/** Threads are Workers that the page makes, asked for on this port. */
export function workersOfPage(orders: MessagePort): () => GuestThread {
  const threads = new Map<number, GuestThread>()
  let last = 0
  orders.onmessage = ({ data }: MessageEvent<GuestFailure>) => threads.get(data.failed)?.onfailure(data.message)
  const order = (message: GuestOrder, transfers: Transferable[] = []) => orders.postMessage(message, transfers)
  return () => {
    const { port1, port2 } = new MessageChannel()
    const id = ++last
    const thread: GuestThread = {
      onreport() {},
      onfailure() {},
      run: (job) => port1.postMessage(job),
      ask: (request) => port1.postMessage(request),
      end(idle) {
        threads.delete(id)
        order({ end: id, idle })
        port1.close()
      },
    }
    port1.onmessage = ({ data }: MessageEvent<GuestReport>) => thread.onreport(data)
    threads.set(id, thread)
    order({ start: id, port: port2 }, [port2])
    return thread
  }
}

export function createWorkerRunner(serving: Serving, start: () => GuestThread): GuestRunner {
  return {
    functions: functionNames,
    compile: (bytes, path, memoryPages) => serving.unblocked(compileProgram(bytes, path, memoryPages)),
    run: (program, process) => runIn(start(), serving, program as Program, process),
    join: () => new Joined(serving),
  }
}

/** Rejects with what a person should know if the program, or the Worker for it, does not start. */
function runIn(thread: GuestThread, serving: Serving, program: Program, process: GuestProcess): Promise<GuestEnd> {
  const { task, args, env, preopens, kill, killed, counters, waits, trace } = process
  const channel = serving.open(task, counters, waits)
  const tracing = trace && follow(trace)
  let asked: Pick<PendingRequest, 'answer' | 'fail'> | undefined
  const askNext = async () => {
    const next = await process.requests.next()
    asked = next
    if (next) thread.ask(next.request)
  }
  /** Also those that its thread answered itself. */
  const calls = () => counters.calls.reduce((sum, count) => sum + count, 0)
  let started = false
  return new Promise((resolve, reject) => {
    let ended = false
    const end = (settle: () => void, idle = false) => {
      if (ended) return
      ended = true
      killed.remove(killer)
      serving.close(channel)
      tracing?.end()
      settle()
      thread.end(idle)
    }
    const killer = {
      wake() {
        end(() => resolve({ ...killedBy(kill), calls: calls() }))
      },
    }
    thread.onreport = (report) => {
      if ('end' in report) end(() => resolve(report.end), true)
      else if ('refused' in report) end(() => reject(new Error(report.refused)))
      else {
        started = true
        if ('answered' in report) asked?.answer(report.answered)
        else if ('failed' in report) asked?.fail(report.failed)
        if (!('started' in report)) askNext()
      }
    }
    thread.onfailure = (message) => {
      if (!started) end(() => reject(new Error(notStarted(message))))
      else end(() => resolve({ trap: `its Worker failed: ${message}`, stack: '', calls: calls() }))
    }
    killed.add(killer)
    if (kill.signal !== undefined) killer.wake()
    else
      thread.run({
        ...{ ...program, channel: channel.buffer, doorbell: serving.doorbell, args, env, preopens },
        counters: counters.buffer as SharedArrayBuffer,
        trace: tracing?.buffer,
        straced: trace?.calls,
      })
    if (!ended) askNext()
  })
}

/** A thread of the page's, of which only its calls are known here. */
class Joined implements JoinedProgram {
  readonly functions = functionNames
  connection: Connection | undefined
  leave: (exitCode: number) => void = () => {}
  readonly #serving: Serving

  constructor(serving: Serving) {
    this.#serving = serving
  }

  /** Serves its calls until it has ended. */
  run(_program: unknown, process: GuestProcess): Promise<GuestEnd> {
    const { task, args, env, preopens, kill, killed, counters, waits, requests } = process
    requests.close('the page runs its program, and calls it there')
    const serving = this.#serving
    const channel = serving.open(task, counters, waits)
    const descriptors = [...task.descriptors.open()].map(([fd]) => fd)
    this.connection = { channel: channel.buffer, doorbell: serving.doorbell, args, env, descriptors, preopens }
    return new Promise((resolve) => {
      const end = (end: GuestEnd) => {
        killed.remove(killer)
        serving.close(channel)
        resolve({ ...end, calls: channel.calls })
      }
      const killer = { wake: () => end(killedBy(kill)) }
      this.leave = (exitCode) => end({ exitCode })
      killed.add(killer)
      if (kill.signal !== undefined) killer.wake()
    })
  }
}

function killedBy({ signal = SIGKILL }: GuestProcess['kill']) {
  return { exitCode: 128 + signal, signal }
}

/** How often the lines of a trace are looked for, in milliseconds. */
const LOOK_EVERY = 20

/** Passes on the lines that a guest's thread leaves in shared memory. */
function follow(trace: Trace): { readonly buffer: SharedArrayBuffer; end(): void } {
  const buffer = createTraceRing()
  const ring = new TraceRing(buffer)
  const take = () => {
    for (const line of ring.take()) trace.line(line)
  }
  const timer = setInterval(take, LOOK_EVERY)
  return {
    buffer,
    end() {
      clearInterval(timer)
      take()
    },
  }
}

const notStarted = (message: string | undefined) =>
  message
    ? `its Worker did not start: ${message}`
    : "its Worker could not be loaded: guest.worker.js must lie where the library's index.js does, and be served with the page's Cross-Origin-Embedder-Policy"
