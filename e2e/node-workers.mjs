/**
 * What the built library needs of a page, in Node: `Worker`, over node:worker_threads, and the globals that its scripts look at. The
 * kernel and its guests then run in threads of their own, as in a browser.
 *
 * Imported by the main thread, it defines `Worker`; started as a thread, it becomes the Worker that its data names.
 */
import { isMainThread, parentPort, Worker as Thread, workerData } from 'node:worker_threads'

class NodeWorker extends EventTarget {
  /** @type {((event: Event & { message: string }) => void) | null} */
  onerror = null
  #thread

  /** @param {URL | string} script */
  constructor(script) {
    super()
    this.#thread = new Thread(new URL(import.meta.url), { workerData: { script: String(script) } })
    this.#thread.on('error', (error) => {
      const event = Object.assign(new Event('error', { cancelable: true }), { message: String(error) })
      this.onerror?.(event)
      this.dispatchEvent(event)
    })
  }

  /** @param {unknown} data @param {import('node:worker_threads').TransferListItem[]} [ports] */
  postMessage(data, ports = []) {
    this.#thread.postMessage({ data, ports }, ports)
  }

  terminate() {
    this.#thread.terminate()
  }
}

/** A page can read a Blob within a call, Node can't. */
class NoFileReaderSync {
  readAsArrayBuffer() {
    throw new Error('Node has no FileReaderSync; hand files in as bytes')
  }
}

const scope = /** @type {any} */ (globalThis)
// Every thread of Node may share memory.
scope.crossOriginIsolated = true
if (isMainThread) scope.Worker = NodeWorker
else {
  scope.FileReaderSync = NoFileReaderSync
  scope.addEventListener = (/** @type {string} */ type, /** @type {(event: object) => void} */ listener) => {
    if (type === 'message') parentPort?.on('message', listener)
  }
  await import(workerData.script)
}
