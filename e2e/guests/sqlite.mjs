/**
 * Builds the sqlite3 shell from the amalgamation that the npm package `sqlite3` carries, once (build.mjs has the cache). The package is
 * only packed, never installed: its install script would fetch or compile a native module.
 *
 * As a command it prints the path.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { cached, clang } from './build.mjs'

const npmPackage = 'sqlite3@6.0.1'
const integrity = 'sha512-X0czUUMG2tmSqJpEQa3tCuZSHKIx8PwM53vLZzKp/o6Rpy25fiVfjdbnZ988M8+O3ZWR1ih0K255VumCb3MAnQ=='
const amalgamation = 'package/deps/sqlite-autoconf-3520000.tar.gz'
const sources = ['sqlite3.c', 'sqlite3.h', 'sqlite3ext.h', 'shell.c']

const emulated = ['signal', 'getpid', 'process-clocks']
/** One thread, no other programs, no libraries: what preview1 does not have. */
const flags = [
  '-O0', // a fifth of the time of -O1
  ...['THREADSAFE=0', 'OMIT_LOAD_EXTENSION', 'OMIT_POPEN', 'NOHAVE_SYSTEM'].map((name) => `-DSQLITE_${name}`),
  ...emulated.map((name) => `-D_WASI_EMULATED_${name.toUpperCase().replace('-', '_')}`),
]

/** @returns {Promise<string>} absolute path of the .wasm */
export function buildSqlite() {
  return cached('sqlite.c', [npmPackage, flags], async () => {
    const files = await unpackSources()
    const objects = Object.fromEntries([
      ['sqlite3.o', await compile('sqlite3.c', files)],
      ['shell.o', await compile('shell.c', files)],
    ])
    const libraries = emulated.map((name) => `-lwasi-emulated-${name}`)
    const linked = await clang([...Object.keys(objects), ...libraries, '-o', 'out.wasm'], objects)
    return /** @type {Uint8Array} */ (linked?.['out.wasm'])
  })
}

/**
 * By standard output: in its files this compiler copies all that is there at each write, which takes most of a minute here.
 *
 * @param {string} source @param {Record<string, Uint8Array>} files
 */
async function compile(source, files) {
  /** @type {Uint8Array[]} */
  const parts = []
  await clang([...flags, '-c', source, '-o', '-'], files, (bytes) => parts.push(bytes))
  return Buffer.concat(parts)
}

/** @returns {Promise<Record<string, Uint8Array>>} by name */
async function unpackSources() {
  const folder = mkdtempSync(join(tmpdir(), 'runtab-sqlite-'))
  try {
    const { status, stdout, stderr } = spawnSync('npm', ['pack', npmPackage, '--ignore-scripts', '--silent'], {
      cwd: folder,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    })
    if (status !== 0) throw new Error(`npm pack ${npmPackage} failed: it needs npm and its registry\n${stderr}`)
    const packed = readFileSync(join(folder, stdout.trim()))
    const hash = `sha512-${createHash('sha512').update(packed).digest('base64')}`
    if (hash !== integrity) throw new Error(`${npmPackage} is not what it was: ${hash} instead of ${integrity}`)
    const inner = (await unpackTar(gunzipSync(packed))).find(({ header }) => header.name === amalgamation)
    if (!inner?.data) throw new Error(`${npmPackage} has no ${amalgamation}`)
    const found = (await unpackTar(gunzipSync(inner.data))).map(
      ({ header, data = new Uint8Array() }) => /** @type {const} */ ([basename(header.name), data]),
    )
    return Object.fromEntries(found.filter(([name]) => sources.includes(name)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await buildSqlite())
