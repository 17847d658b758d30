/** The shim in a Worker: `{address}` compiles the guest there, `{args}` runs it once, on an empty file system. */
import { runShim } from '../reference/shim.mjs'

let module

self.onmessage = async ({ data }) => {
  try {
    if (data.address) {
      module = await WebAssembly.compileStreaming(fetch(data.address))
      self.postMessage({})
    } else self.postMessage(await runShim(module, { args: data.args }))
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) })
  }
}
