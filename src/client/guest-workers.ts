/**
 * Makes Workers for guests when the kernel asks. It does not make them itself: in Firefox a Worker that makes one hangs in
 * two cases out of a hundred, and would be the kernel (docs/rationale.md).
 *
 * Always true: a guest's Worker ends when the kernel says so, or with the kernel. One whose guest has ended by itself serves
 * the next guest; no guest ever shares a Worker with another that runs.
 */

import type { GuestFailure, GuestOrder } from '../abi/wire.ts'
import type { Kernel } from './kernel.ts'

/** How many Workers wait for a guest. Starting one takes tens of milliseconds, and holding one a few megabytes. */
const MOST_IDLE = 2
/** How many guests a Worker runs, one after the other: what a browser does not clear away after them goes with it. */
const MOST_GUESTS = 50

interface GuestWorker {
  readonly worker: Worker
  guests: number
}

/** Gives the kernel's end of the port on which it asks. */
export function guestWorkers(kernel: Kernel): MessagePort {
  const { port1: port, port2 } = new MessageChannel()
  const busy = new Map<number, GuestWorker>()
  const idle: GuestWorker[] = []

  const start = (id: number, guestPort: MessagePort) => {
    const failed = (message: string | undefined) => {
      const failure: GuestFailure = { failed: id, ...(message && { message }) }
      port.postMessage(failure)
    }
    try {
      const taken = idle.pop() ?? { worker: makeWorker(), guests: 0 }
      taken.guests++
      busy.set(id, taken)
      taken.worker.onerror = (event) => {
        event.preventDefault()
        failed(event.message)
      }
      taken.worker.postMessage('runtab', [guestPort])
    } catch (error) {
      failed(String(error))
    }
  }
  const end = (id: number, isIdle: boolean) => {
    const ended = busy.get(id)
    if (!ended) return
    busy.delete(id)
    if (isIdle && idle.length < MOST_IDLE && ended.guests < MOST_GUESTS) {
      ended.worker.onerror = () => {
        ended.worker.terminate()
        const at = idle.indexOf(ended)
        if (at >= 0) idle.splice(at, 1)
      }
      idle.push(ended)
    } else ended.worker.terminate()
  }

  port.onmessage = ({ data }: MessageEvent<GuestOrder>) => {
    if ('end' in data) end(data.end, data.idle)
    else start(data.start, data.port as MessagePort)
  }
  kernel.onEnd(() => {
    for (const { worker } of [...busy.values(), ...idle]) worker.terminate()
    port.close()
  })
  return port2
}

const makeWorker = () => new Worker(new URL('./guest.worker.js', import.meta.url), { type: 'module' })
