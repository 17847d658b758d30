/**
 * Runs each process's program in a Worker of its own (worker/guest.worker.ts), where it may block and be killed without harm to
 * others: what `kernel/process.ts` asks of a machine, on the platform `worker`.
 *
 * Invariant: when `run` settles, the guest's channel is closed: whatever its thread still does has no effect. Browsers let
 * a terminated Worker that never pauses go on for a while (Chromium for two seconds).
 */

import type { GuestFailure, GuestOrder } from '../abi/wire.ts'
import type { GuestEnd, GuestProcess, GuestRunner, Preopen } from '../kernel/process.ts'
import type { Serving } from '../kernel/serving.ts'
import { compileProgram, type Program } from '../wasi/program.ts'

/** What a guest's Worker is told, once. */
export interface GuestJob extends Program {
  readonly channel: SharedArrayBuffer
  readonly doorbell: SharedArrayBuffer
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly preopens: readonly Preopen[]
}

/** What it says: that its script runs; then how the program ended, or why it cannot be run at all. */
export type GuestReport = { readonly started: true } | { readonly end: GuestEnd } | { readonly refused: string }

/** A thread that runs one guest. */
export interface GuestThread {
  onreport: (report: GuestReport) => void
  /** It did not start, or died of something that is not the guest's doing. */
  onfailure: (message: string | undefined) => void
  run(job: GuestJob): void
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
    compile: (bytes, path, memoryPages) => serving.unblocked(compileProgram(bytes, path, memoryPages)),
    run: (program, process) => runIn(start(), serving, program as Program, process),
  }
}

/** Rejects with what a person should know if the program, or the Worker for it, does not start. */
function runIn(thread: GuestThread, serving: Serving, program: Program, process: GuestProcess): Promise<GuestEnd> {
  const { task, args, env, preopens, kill, killed } = process
  const channel = serving.open(task)
  let started = false
  return new Promise((resolve, reject) => {
    let ended = false
    const end = (settle: () => void, idle = false) => {
      if (ended) return
      ended = true
      killed.remove(killer)
      serving.close(channel)
      settle()
      thread.end(idle)
    }
    const killer = {
      wake() {
        const signal = kill.signal ?? SIGKILL
        end(() => resolve({ exitCode: 128 + signal, signal, calls: channel.calls }))
      },
    }
    thread.onreport = (report) => {
      if ('end' in report) end(() => resolve(report.end), true)
      else if ('refused' in report) end(() => reject(new Error(report.refused)))
      else started = true
    }
    thread.onfailure = (message) => {
      if (!started) end(() => reject(new Error(notStarted(message))))
      else end(() => resolve({ trap: `its Worker failed: ${message}`, stack: '', calls: channel.calls }))
    }
    killed.add(killer)
    if (kill.signal !== undefined) killer.wake()
    else thread.run({ ...program, channel: channel.buffer, doorbell: serving.doorbell, args, env, preopens })
  })
}

const SIGKILL = 9

const notStarted = (message: string | undefined) =>
  message
    ? `its Worker did not start: ${message}`
    : "its Worker could not be loaded: guest.worker.js must lie where the library's index.js does, and be served with the page's Cross-Origin-Embedder-Policy"
