/**
 * Lets the event loop run: a kernel that was busy gives messages, timers and IndexedDB their turn by waiting for a task.
 * A MessageChannel's task comes at once, where a timer's is put off by 4 ms when it is nested.
 */

export interface Macrotasks {
  /** Resolves in a task of its own, behind those that wait already. */
  next(): Promise<void>
  /** What is pending still resolves; then nothing keeps a Node process alive. */
  close(): void
}

export function createMacrotasks(): Macrotasks {
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  let closing = false
  port1.onmessage = () => {
    waiting.shift()?.()
    if (closing && waiting.length === 0) port1.close()
  }
  return {
    next: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        port2.postMessage(0)
      }),
    close() {
      closing = true
      if (waiting.length === 0) port1.close()
    },
  }
}
