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

/** A lock that nobody has touched for so long belongs to a process that died. A compile takes seconds, and touches it before. */
const abandoned = 120_000

/**
 * @param {string} source  file name in e2e/guests (`files.c`), or an absolute path
 * @param {{ flags?: string[] }} [options]  flags for clang, by default `-O2` and what a line `// clang: …` of the source says
 * @returns {Promise<string>} absolute path of the .wasm
 * @throws with what clang said, if the source does not compile
 */
export async function buildGuest(source, options = {}) {
  const path = isAbsolute(source) ? source : join(sources, source)
  const text = readFileSync(path, 'utf8')
  const { flags = ['-O2', ...(text.match(/^\/\/ clang: (.*)$/m)?.[1]?.split(' ') ?? [])] } = options
  const { version } = JSON.parse(readFileSync(compiler, 'utf8'))
  const hash = createHash('sha256')
    .update(JSON.stringify([text, flags, version]))
    .digest('hex')
    .slice(0, 16)
  const output = join(cache, `${basename(path).replace(/\.\w+$/, '')}-${hash}.wasm`)
  const lock = `${output}.lock`
  mkdirSync(cache, { recursive: true })

  while (!existsSync(output)) {
    if (!acquire(lock)) {
      await sleep(50)
      continue
    }
    try {
      if (existsSync(output)) break
      const wasm = await compile(basename(path), text, flags)
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

/** @type {(name: string, text: string, flags: string[]) => Promise<Uint8Array>} */
async function compile(name, text, flags) {
  const { commands, Exit } = await import('@yowasp/clang')
  const said = /** @type {Uint8Array[]} */ ([])
  const stderr = (/** @type {Uint8Array | null} */ bytes) => void (bytes && said.push(bytes.slice()))
  try {
    // Without arguments it only loads itself; done here, because within a run it prints its progress.
    await commands.clang(undefined, {}, { fetchProgress: () => {} })
    const files = await commands.clang([...flags, name, '-o', 'out.wasm'], { [name]: text }, { stderr })
    const wasm = files?.['out.wasm']
    if (wasm instanceof Uint8Array) return wasm
    throw new Error(`clang made no output of ${name}\n${Buffer.concat(said)}`)
  } catch (error) {
    if (error instanceof Exit)
      throw new Error(`clang ${flags.join(' ')} ${name} exited ${error.code}\n${Buffer.concat(said)}`)
    throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2)
  for (const name of names.length > 0 ? names : guestSources()) console.log(await buildGuest(name))
}
