/**
 * Makes Workers for guests when the kernel asks. It does not make them itself: in Firefox a Worker that makes one hangs in
 * two cases out of a hundred, and would be the kernel (docs/rationale.md).
 *
 * Always true: a guest's Worker ends when the kernel says so, or with the kernel.
 */

import type { GuestFailure, GuestOrder } from '../abi/wire.ts'
import type { Kernel } from './kernel.ts'

/** Gives the kernel's end of the port on which it asks. */
export function guestWorkers(kernel: Kernel): MessagePort {
  const { port1: port, port2 } = new MessageChannel()
  const workers = new Map<number, Worker>()
  port.onmessage = ({ data }: MessageEvent<GuestOrder>) => {
    if ('end' in data) {
      workers.get(data.end)?.terminate()
      workers.delete(data.end)
      return
    }
    const failed = (message: string | undefined) => {
      const failure: GuestFailure = { failed: data.start, ...(message && { message }) }
      port.postMessage(failure)
    }
    try {
      const worker = new Worker(new URL('./guest.worker.js', import.meta.url), { type: 'module' })
      workers.set(data.start, worker)
      worker.onerror = (event) => {
        event.preventDefault()
        failed(event.message)
      }
      worker.postMessage('runtab', [data.port as MessagePort])
    } catch (error) {
      failed(String(error))
    }
  }
  kernel.onEnd(() => {
    for (const worker of workers.values()) worker.terminate()
    port.close()
  })
  return port2
}
