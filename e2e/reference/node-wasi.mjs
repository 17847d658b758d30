/** Runs a WASI program under Node's own `node:wasi`, in a process of its own, over a real directory.
 *
 *  The directory is the guest's only preopen, named `/` unless told otherwise. A trap of the guest gives exit code 134 and its message on stderr,
 *  so that it cannot be taken for an exit of the guest's own.
 *
 *  Invariant: a guest never calls an import of node:wasi directly, always through a JavaScript function. Called directly
 *  from a large guest, Node 20 crashes. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Exit code of a guest that trapped, as a shell reports SIGABRT. */
export const TRAPPED = 134

/** An empty directory on tmpfs where the machine has one, in memory and so without a disk's noise.
 *  @returns {{path: string, [Symbol.dispose](): void, remove(): void}} */
export function temporaryDirectory() {
  let path
  try {
    path = mkdtempSync('/dev/shm/runtab-')
  } catch {
    path = mkdtempSync(join(tmpdir(), 'runtab-'))
  }
  const remove = () => rmSync(path, { recursive: true, force: true })
  return { path, remove, [Symbol.dispose]: remove }
}

/** @param {string} wasm path of the program
 *  @param {{dir: string, args?: string[], env?: Record<string, string>, stdin?: Uint8Array | string, preopen?: string}} options
 *    `dir` is a path on this machine, `preopen` the guest's name for it; `args` leave out the program's name, `guest`
 *  @returns {Promise<{stdout: Buffer, stderr: Buffer, exitCode: number}>} */
export function runNodeWasi(wasm, { dir, args = [], env = {}, stdin = '', preopen = '/' }) {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ['--no-warnings', fileURLToPath(import.meta.url), wasm, dir, preopen, JSON.stringify(env), ...args],
      { stdio: 'pipe' },
    )
    const out = []
    const err = []
    child.stdout.on('data', (chunk) => out.push(chunk))
    child.stderr.on('data', (chunk) => err.push(chunk))
    child.stdin.on('error', () => {}) // a guest may leave before it has read all
    child.stdin.end(stdin)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal) reject(new Error(`node:wasi was ended by ${signal}: ${Buffer.concat(err)}`))
      else resolve({ stdout: Buffer.concat(out), stderr: Buffer.concat(err), exitCode: code })
    })
  })
}

/** The child's half. */
async function main([wasm, dir, preopen, env, ...args]) {
  const { WASI } = await import('node:wasi') // here only: importing it prints a warning
  const wasi = new WASI({
    version: 'preview1',
    args: ['guest', ...args],
    env: JSON.parse(env),
    preopens: { [preopen]: dir },
    returnOnExit: true,
  })
  const imports = {}
  for (const [name, call] of Object.entries(wasi.wasiImport)) imports[name] = (...values) => call(...values)
  const { instance } = await WebAssembly.instantiate(readFileSync(wasm), { wasi_snapshot_preview1: imports })
  try {
    process.exitCode = wasi.start(instance)
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error
    process.stderr.write(`trap: ${error.message}\n`)
    process.exitCode = TRAPPED
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
