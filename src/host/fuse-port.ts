/**
 * A FUSE server behind a MessagePort: a message is a request or a reply, as bytes, just as a program reads and writes them at
 * /dev/fuse. `null` ends the line.
 *
 * Invariant: a request goes out at the end of the turn in which it was made, so that one that is given up at once, as by a guest
 * that cannot wait, never does.
 */

import type { Connection } from '../fs/fuse/connection.ts'

export interface FusePortOptions {
  /** Told of what only the event loop brings, so that the kernel does not block. */
  readonly awaited: (reply: Promise<void>) => void
  readonly ended: () => void
}

export function connectFusePort(port: MessagePort, connection: Connection, { awaited, ended }: FusePortOptions): void {
  let answered: (() => void) | undefined
  let over = false
  const settle = () => {
    if (connection.active > 0) return
    answered?.()
    answered = undefined
  }
  const close = () => {
    if (over) return
    over = true
    answered?.()
    connection.readable.remove(waiter)
    connection.abort()
    port.postMessage(null)
    port.close()
    ended()
  }
  const waiter = {
    wake() {
      // At once, so that the kernel's thread does not rest before the request is out.
      if (!answered && connection.active > 0) awaited(new Promise<void>((resolve) => (answered = resolve)))
      queueMicrotask(pump)
    },
  }
  const pump = () => {
    if (over) return
    connection.readable.add(waiter)
    try {
      for (let request = connection.next(); request; request = connection.next())
        port.postMessage(request, [request.buffer as ArrayBuffer])
      settle()
    } catch {
      close()
    }
  }
  port.onmessage = ({ data }: MessageEvent<Uint8Array | null>) => {
    if (data === null) return close()
    try {
      connection.answer(data)
    } catch (fault) {
      console.warn('a FUSE server of the page said what is no reply:', fault)
    }
    settle()
  }
  port.addEventListener('close', close)
  connection.readable.add(waiter)
}
