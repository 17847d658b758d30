/**
 * The page's end of the line to the kernel: comlink over a MessagePort, and what comlink leaves out.
 *
 * Always true: a call settles, even if its kernel dies (comlink would wait for ever); once the kernel is gone it stays
 * gone, and every call is rejected with ERR_KERNEL_GONE and the reason.
 */

import { type Remote, transfer, wrap } from 'comlink'
import type { KernelService, Reply } from '../abi/wire.ts'
import { errorFrom, kernelGone, type SandboxError, wrongType } from './errors.ts'

/** Where the kernel is: a Worker that runs the package's `kernel.worker.js`, the address of that script, or a port to one. */
export type KernelSource = Worker | URL | string | (() => MessagePort)

type Method = keyof KernelService
type Answer<M extends Method> = Awaited<ReturnType<KernelService[M]>> extends Reply<infer T> ? T : never

export class Kernel {
  readonly #service: Remote<KernelService>
  readonly #release: () => void
  readonly #mourners = new Set<(error: SandboxError) => void>()
  #end: string | undefined

  constructor(source?: KernelSource) {
    let port: MessagePort
    if (typeof source === 'function') {
      port = source()
      this.#release = () => port.close()
    } else {
      const worker = workerFrom(source)
      const channel = new MessageChannel()
      port = channel.port1
      worker.addEventListener('error', (event) => {
        this.end(
          event.message ? `its Worker failed: ${event.message}` : `its Worker could not be loaded${named(source)}`,
        )
      })
      worker.addEventListener('messageerror', () => this.end('a message to it could not be read'))
      worker.postMessage('runtab', [channel.port2])
      this.#release = () => {
        worker.terminate()
        port.close()
      }
    }
    port.addEventListener('messageerror', () => this.end('a message from it could not be read'))
    // Where the browser has this event, it also tells of a kernel behind a port that has no Worker here.
    port.addEventListener('close', () => this.end('its port was closed'))
    this.#service = wrap<KernelService>(port)
  }

  /** Makes a call. What is in `transfers` is moved, not copied, and must be in the last argument. */
  call<M extends Method>(
    method: M,
    args: Parameters<KernelService[M]>,
    transfers?: Transferable[],
  ): Promise<Answer<M>> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(kernelGone(this.#end))
      if (transfers) transfer(args.at(-1) as object, transfers)
      this.#mourners.add(reject)
      const service = this.#service as unknown as Record<Method, (...args: unknown[]) => Promise<Reply<Answer<M>>>>
      service[method](...args)
        .then((reply) => ('error' in reply ? reject(errorFrom(reply.error)) : resolve(reply.value)), reject)
        .finally(() => this.#mourners.delete(reject))
    })
  }

  /** Calls back if the kernel goes, at once if it has gone; gives a function that takes this back. */
  onEnd(callback: (error: SandboxError) => void): () => void {
    if (this.#end !== undefined) callback(kernelGone(this.#end))
    else this.#mourners.add(callback)
    return () => this.#mourners.delete(callback)
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** Lets go of the kernel, now: its Worker is terminated, all calls in flight and all that come are rejected. */
  end(why: string): void {
    if (this.#end !== undefined) return
    this.#end = why
    this.#release()
    const mourners = [...this.#mourners]
    this.#mourners.clear()
    for (const mourn of mourners) mourn(kernelGone(why))
  }
}

function workerFrom(source: Worker | URL | string | undefined): Worker {
  if (source === undefined) return new Worker(new URL('./kernel.worker.js', import.meta.url), { type: 'module' })
  if (typeof source === 'string' || source instanceof URL) return new Worker(source, { type: 'module' })
  if (typeof source?.postMessage === 'function') return source
  throw wrongType('options.worker', 'a Worker, a URL or a function that gives a MessagePort', source)
}

const named = (source: unknown) => (typeof source === 'string' || source instanceof URL ? ` from ${source}` : '')
