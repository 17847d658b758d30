/**
 * Compiles the C guests of the tests with @yowasp/clang, in this process (about 3 s), once per content: the result lies in
 * .cache/guests/<name>-<hash>.wasm, where the hash covers source, flags and compiler.
 *
 * Any number of processes may ask for the same guest: whoever makes its lock folder compiles, the others wait for the file. A
 * file appears by rename, so one that is there is whole.
 *
 * As a command: `node e2e/guests/build.mjs [name.c …]` (all of them by default) prints the paths.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const sources = fileURLToPath(new URL('.', import.meta.url))
const cache = fileURLToPath(new URL('../../.cache/guests/', import.meta.url))
const compiler = fileURLToPath(new URL('../../node_modules/@yowasp/clang/package.json', import.meta.url))

/** A lock that nobody has touched for so long belongs to a process that died. The longest compile, of sqlite, takes minutes at most. */
const abandoned = 600_000

/** Makes a name of what goes into a file. @param {...unknown} parts @returns {string} */
const hashOf = (...parts) => createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)

/**
 * @param {string} source  file name in e2e/guests (`files.c`), or an absolute path
 * @param {{ flags?: string[] }} [options]  flags for clang, by default `-O2` and what a line `// clang: …` of the source says
 * @returns {Promise<string>} absolute path of the .wasm
 * @throws with what clang said, if the source does not compile
 */
export function buildGuest(source, options = {}) {
  const path = isAbsolute(source) ? source : join(sources, source)
  const name = basename(path)
  const text = readFileSync(path, 'utf8')
  const { flags = ['-O2', ...(text.match(/^\/\/ clang: (.*)$/m)?.[1]?.split(' ') ?? [])] } = options
  return cached(name, [text, flags], async () => {
    const files = await clang([...flags, name, '-o', 'out.wasm'], { [name]: text })
    const wasm = files?.['out.wasm']
    if (wasm instanceof Uint8Array) return wasm
    throw new Error(`clang made no output of ${name}`)
  })
}

/**
 * The file of this content, made if it is not there yet.
 *
 * @param {string} name        what it is made of
 * @param {unknown[]} content  all that it depends on, but for the compiler
 * @param {() => Promise<Uint8Array>} make
 * @returns {Promise<string>} absolute path of the .wasm
 */
export async function cached(name, content, make) {
  const { version } = JSON.parse(readFileSync(compiler, 'utf8'))
  const output = join(cache, `${name.replace(/\.\w+$/, '')}-${hashOf(content, version)}.wasm`)
  const lock = `${output}.lock`
  mkdirSync(cache, { recursive: true })

  while (!existsSync(output)) {
    if (!acquire(lock)) {
      await sleep(50)
      continue
    }
    try {
      if (existsSync(output)) break
      const wasm = await make()
      const unfinished = join(cache, `${randomUUID()}.part`)
      writeFileSync(unfinished, wasm)
      renameSync(unfinished, output)
    } finally {
      rmdirSync(lock)
    }
  }
  return output
}

/** The C sources in e2e/guests. @returns {string[]} */
export function guestSources() {
  return readdirSync(sources).filter((name) => name.endsWith('.c'))
}

/** @param {string} lock @returns {boolean} false while another process holds it */
function acquire(lock) {
  try {
    mkdirSync(lock)
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
  }
  const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
  if (age < abandoned) return false
  utimesSync(lock, new Date(), new Date()) // ours now; whoever looks next sees it fresh
  return true
}

/**
 * @param {string[]} args
 * @param {Record<string, string | Uint8Array>} files
 * @param {(bytes: Uint8Array) => void} [stdout]  given what is written there, where an output of `-` goes
 * @returns {Promise<import('@yowasp/clang').Tree | undefined>} the files afterwards
 * @throws with what clang said, if it fails
 */
export async function clang(args, files, stdout) {
  const { commands, Exit } = await import('@yowasp/clang')
  const said = /** @type {Uint8Array[]} */ ([])
  const stream =
    (/** @type {((bytes: Uint8Array) => void) | undefined} */ take) => (/** @type {Uint8Array | null} */ bytes) =>
      void (bytes && take?.(bytes.slice()))
  try {
    // Without arguments it only loads itself; done here, because within a run it prints its progress.
    await commands.clang(undefined, {}, { fetchProgress: () => {} })
    return await commands.clang(args, files, { stdout: stream(stdout), stderr: stream((bytes) => said.push(bytes)) })
  } catch (error) {
    if (error instanceof Exit) throw new Error(`clang ${args.join(' ')} exited ${error.code}\n${Buffer.concat(said)}`)
    throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2)
  for (const name of names.length > 0 ? names : guestSources()) console.log(await buildGuest(name))
}
