/**
 * A pipe between programs of any containers of a sandbox, or between one and the page.
 *
 * Always true: an end that the page uses (`readable`, `writable`) stays open until the page closes it; one that it does not use
 * is the processes' alone from the first one on that gets it.
 */

import type { PipeEndName } from '../abi/wire.ts'
import { bytesOf } from './bytes.ts'
import type { Kernel } from './kernel.ts'

/** One end of a pipe, for a descriptor of a process. */
export class PipeEnd {
  /** @internal */
  readonly pipe: number
  readonly end: PipeEndName
  readonly #kernel: Kernel

  /** @internal */
  constructor(kernel: Kernel, pipe: number, end: PipeEndName) {
    this.#kernel = kernel
    this.pipe = pipe
    this.end = end
  }

  /** Pipes have numbers, which mean others in another kernel. @internal */
  isOf(kernel: Kernel): boolean {
    return this.#kernel === kernel
  }
}

export class Pipe {
  /** What processes read from. */
  readonly readEnd: PipeEnd
  /** What processes write to. */
  readonly writeEnd: PipeEnd
  readonly #kernel: Kernel
  readonly #id: number
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined
  #writable: WritableStream<Uint8Array | string> | undefined

  /** @internal */
  constructor(kernel: Kernel, id: number) {
    this.#kernel = kernel
    this.#id = id
    this.readEnd = new PipeEnd(kernel, id, 'read')
    this.writeEnd = new PipeEnd(kernel, id, 'write')
  }

  /** The page reads here: what is written to the pipe, until its last writer is gone. Cancelling it closes this end. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (this.#readable) return this.#readable
    this.#use('read')
    this.#readable = new ReadableStream(
      {
        pull: async (controller) => {
          const bytes = (await this.#kernel.call('readPipe', [this.#id])) as Uint8Array<ArrayBuffer>
          if (bytes.length > 0) controller.enqueue(bytes)
          else {
            controller.close()
            await this.#close('read')
          }
        },
        cancel: () => this.#close('read'),
      },
      { highWaterMark: 0 },
    )
    return this.#readable
  }

  /**
   * The page writes here, text as UTF-8. A write settles when the pipe has room for it, and fails with EPIPE without readers. One
   * that fails closes this end, as `close` and `abort` do.
   */
  get writable(): WritableStream<Uint8Array | string> {
    if (this.#writable) return this.#writable
    this.#use('write')
    const close = () => this.#close('write')
    this.#writable = new WritableStream({
      // The stream itself would wait for a write that waits for a reader.
      start: ({ signal }) => signal.addEventListener('abort', () => close().catch(() => {})),
      write: async (chunk) => {
        try {
          const bytes = bytesOf(chunk, 'chunk')
          await this.#kernel.call('writePipe', [this.#id, bytes], [bytes.buffer])
        } catch (error) {
          // The stream takes no more, and does not say so to its sink.
          await close()
          throw error
        }
      },
      close,
      abort: close,
    })
    return this.#writable
  }

  /** Lets go of both ends, as far as the page holds them: of a pipe that no process will get any more. */
  async close(): Promise<void> {
    await Promise.all([this.#close('read'), this.#close('write')])
  }

  /** Told at once, so that it comes before what is asked of the kernel next. */
  #use(end: PipeEndName): void {
    // An end that cannot be used fails at its first read or write.
    this.#kernel.call('usePipe', [this.#id, end]).catch(() => {})
  }

  #close(end: PipeEndName): Promise<void> {
    return this.#kernel.call('closePipe', [this.#id, end])
  }
}
