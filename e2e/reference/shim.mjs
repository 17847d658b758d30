/** Runs a WASI program on @bjorn3/browser_wasi_shim 0.4.2, as released, over its own files in memory. Works in Node and in a
 *  page. This is a peer that we measure ourselves against; nothing here is ours or mends anything of theirs. */
import { ConsoleStdout, Directory, File, OpenFile, PreopenDirectory, WASI } from '@bjorn3/browser_wasi_shim'

/** @param {WebAssembly.Module} module the compiled program
 *  @param {{args?: string[], env?: Record<string, string>, stdin?: Uint8Array, files?: Map<string, File | Directory>}} [options]
 *    `files` is what the only preopen, `/`, holds; it is changed in place. `args` leave out the program's name, `guest`
 *  @returns {Promise<{stdout: string, stderr: string, exitCode: number}>} the text is UTF-8
 *  @throws WebAssembly.RuntimeError if the guest traps; a thing that is no Error where the shim throws a string */
export async function runShim(module, { args = [], env = {}, stdin = new Uint8Array(), files = new Map() } = {}) {
  const out = collector()
  const err = collector()
  const wasi = new WASI(
    ['guest', ...args],
    Object.entries(env).map(([name, value]) => `${name}=${value}`),
    [new OpenFile(new File(stdin)), out.fd, err.fd, new PreopenDirectory('/', files)],
    { debug: false }, // it prints each call by default, which would measure the console
  )
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport })
  const exitCode = wasi.start(/** @type {any} */ (instance))
  return { stdout: out.text(), stderr: err.text(), exitCode }
}

function collector() {
  const decoder = new TextDecoder()
  let text = ''
  const fd = new ConsoleStdout((bytes) => {
    text += decoder.decode(bytes, { stream: true })
  })
  return { fd, text: () => text + decoder.decode() }
}
