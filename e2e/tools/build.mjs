/**
 * `npm run build`: the library into dist, its declarations into dist/types, the playground into dist/playground.
 *
 * Builds of several processes at once come one after the other. `buildIfStale` is for test runs that were not preceded by a build.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { entriesOf } from './entries.mjs'
import { root, run } from './run.mjs'

const lock = join(root, '.cache/build.lock')

/** @returns {Promise<boolean>} whether all was built */
async function build() {
  return locked(() => {
    const missing = entriesOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).filter(
      ({ source }) => !existsSync(join(root, source)),
    )
    for (const { subpath, source } of missing)
      console.error(`left out: package.json exports ${subpath}, but there is no ${source}`)
    // The library first: it empties dist.
    return run('vite', 'build', '--mode', 'lib') && run('tsc', '-p', 'tsconfig.build.json') && run('vite', 'build')
  })
}

/** Builds if a source is newer than what is built. @returns {Promise<void>} @throws if the build fails */
export async function buildIfStale() {
  const built = join(root, 'dist/playground/index.html')
  const time = () => statSync(built, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const changed = newest(['src', 'worker', 'web', 'index.html', 'vite.config.ts', 'package.json'])
  if (changed > time() && !(await build())) throw new Error('the build failed; what it printed is above')
}

/** @param {string[]} names @returns {number} when the last of these files and folders (tests left out) changed, in ms */
function newest(names) {
  let last = 0
  for (const name of names) {
    const path = join(root, name)
    const status = statSync(path, { throwIfNoEntry: false })
    if (!status) continue
    const files = status.isDirectory()
      ? readdirSync(path, { recursive: true, encoding: 'utf8' }).map((file) => join(path, file))
      : [path]
    for (const file of files)
      if (!file.endsWith('.test.ts')) last = Math.max(last, statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  }
  return last
}

/**
 * @template T
 * @param {() => T} work
 * @returns {Promise<T>} of `work`, run while no other process runs its own
 */
async function locked(work) {
  mkdirSync(join(root, '.cache'), { recursive: true })
  const abandoned = 300_000
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch {
      const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
      if (age > abandoned) rmdirSync(lock)
      else await sleep(100)
    }
  }
  try {
    return work()
  } finally {
    rmdirSync(lock)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = (await build()) ? 0 : 1
