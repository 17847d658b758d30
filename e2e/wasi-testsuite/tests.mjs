/**
 * The tests below a folder, in the format of https://github.com/WebAssembly/wasi-testsuite (doc/specification.md): each `.wasm` is a
 * test; a `.json` of the same name, if there is one, says how it is run and what must come of it. A `manifest.json` names the suite
 * and the WASI version of the tests beside it.
 *
 * Three generations of the JSON are read: `operations`, a list of steps; the flat form with `root`; the older flat form with `dirs`.
 * Whatever is not understood makes the test one that can't pass, with the reason: nothing is skipped or guessed.
 *
 * @typedef {{ path: string, directory: true } | { path: string, symlink: string } | { path: string, data: string }} TreeEntry
 *   `data` is base64
 *
 * @typedef {object} RunStep
 * @property {'run'} type
 * @property {string[]} args without the program's name
 * @property {string[]} env  NAME=value
 * @property {{ name: string, source: string, tree: TreeEntry[] }[]} preopens the directories that the test finds open, and what is in
 *   them; runs of a test that name the same `source` share one copy of it
 *
 * @typedef {RunStep
 *   | { type: 'write', payload: string }
 *   | { type: 'read', id: 'stdout' | 'stderr', payload: string, whole: boolean }
 *   | { type: 'kill', signal: string }
 *   | { type: 'wait', exitCode: number }} Step
 *   `whole`: it is all that the stream ever holds, not only what comes next
 *
 * @typedef {object} SuiteTest
 * @property {string} name   of its file
 * @property {string} suite
 * @property {string} wasm   absolute path
 * @property {Step[]} steps
 * @property {string[]} functions of preview1 that it must have called
 * @property {string} [fault] why it can't be run
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'

const PREVIEW1 = 'wasm32-wasip1'

/**
 * @param {string} folder absolute
 * @returns {{ tests: SuiteTest[], leftOut: { folder: string, count: number, why: string }[] }} in the order of their paths; what is
 *   left out is for another WASI than preview1
 */
export function findTests(folder) {
  /** @type {SuiteTest[]} */
  const tests = []
  const leftOut = []
  for (const [dir, files] of foldersOf(folder)) {
    const { name, other, fault } = manifestOf(dir, folder)
    if (other) leftOut.push({ folder: relative(folder, dir) || '.', count: files.length, why: other })
    else for (const file of files) tests.push({ ...testOf(join(dir, file), name), ...(fault && { fault }) })
  }
  return { tests, leftOut }
}

/** @param {string} folder @returns {Map<string, string[]>} the folders that hold `.wasm` files, and their names */
function foldersOf(folder) {
  /** @type {Map<string, string[]>} */
  const folders = new Map()
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!path.endsWith('.wasm') || path.split(sep).some((name) => name === '.git' || name === 'node_modules')) continue
    const dir = dirname(join(folder, path))
    folders.set(dir, [...(folders.get(dir) ?? []), basename(path)])
  }
  return folders
}

/**
 * @param {string} dir @param {string} top
 * @returns {{ name: string, other?: string, fault?: string }} the suite; `other` says which WASI it is for, if not plain preview1,
 *   `fault` why that can't be told
 */
function manifestOf(dir, top) {
  const place = relative(top, dir)
  const file = join(dir, 'manifest.json')
  /** @type {{ name?: string, version?: string }} */
  let manifest = {}
  try {
    if (existsSync(file)) manifest = objectIn(file)
  } catch (error) {
    return { name: place || basename(dir), fault: faultOf(file, error) }
  }
  const { name = place || basename(dir), version = /^wasm32-wasip\d+(-threads)?$/.exec(basename(dir))?.[0] } = manifest
  if ((version ?? PREVIEW1) !== PREVIEW1) return { name, other: `for ${version}` }
  // Of a checkout: a folder that was given is run wherever it lies.
  const proposal = /(?:^|[\\/])proposals[\\/]([^\\/]+)/.exec(place)?.[1]
  return proposal === undefined ? { name } : { name, other: `for the proposal ${proposal}` }
}

/** @param {string} file JSON @returns {Record<string, any>} @throws also where it holds something else */
function objectIn(file) {
  const value = JSON.parse(readFileSync(file, 'utf8'))
  if (!isObject(value)) throw new Error('it is not an object')
  return value
}

/** @type {(file: string, error: unknown) => string} */
const faultOf = (file, error) => `${basename(file)}: ${error instanceof Error ? error.message : error}`

/** @param {string} wasm @param {string} suite @returns {SuiteTest} */
function testOf(wasm, suite) {
  const test = { name: basename(wasm, '.wasm'), suite, wasm }
  const file = wasm.replace(/\.wasm$/, '.json')
  try {
    if (!statSync(wasm).isFile()) return { ...test, steps: [], functions: [], fault: 'it is not a file' }
    const config = existsSync(file) ? objectIn(file) : {}
    const steps = stepsOf(config, dirname(wasm))
    return { ...test, steps, functions: list(config.wasi_functions ?? [], 'wasi_functions') }
  } catch (error) {
    return { ...test, steps: [], functions: [], fault: faultOf(file, error) }
  }
}

const FLAT = ['args', 'root', 'dirs', 'env', 'exit_code', 'stdout', 'stderr', 'wasi_functions']
const BY_STEPS = ['operations', 'proposals', 'world', 'debug', 'servers']

/**
 * @param {any} config what a test's JSON says
 * @param {string} dir that its paths are relative to
 * @returns {Step[]}
 * @throws for anything that this does not know how to do
 */
export function stepsOf(config, dir) {
  if (!isObject(config)) throw new Error('it is not an object')
  if (!Object.keys(config).some((key) => BY_STEPS.includes(key))) return flatSteps(config, dir)
  onlyKeys(config, BY_STEPS, 'a test with operations')
  const { operations, proposals = [], world = 'wasi:cli/command', servers = [] } = config
  if (proposals.length > 0) throw new Error(`it needs the proposals ${proposals.join(', ')}, which preview1 has not`)
  if (world !== 'wasi:cli/command') throw new Error(`it needs the world ${world}, which preview1 has not`)
  if (servers.length > 0) throw new Error('it needs HTTP servers, which preview1 can not ask')
  const steps =
    operations === undefined ? flatSteps({}, dir) : list(operations, 'operations').map((o) => stepOf(o, dir))
  checkOrder(steps)
  return steps
}

/** @type {(config: any, dir: string) => Step[]} */
function flatSteps(config, dir) {
  onlyKeys(config, FLAT, 'a test')
  const { exit_code = 0, stdout, stderr } = config
  /** @type {(id: 'stdout' | 'stderr', payload: unknown) => Step[]} */
  const reads = (id, payload) =>
    payload === undefined || payload === null ? [] : [{ type: 'read', id, payload: text(payload, id), whole: true }]
  return [runStep(config, dir), ...reads('stdout', stdout), ...reads('stderr', stderr), waitStep(exit_code)]
}

/** @type {(operation: any, dir: string) => Step} */
function stepOf(operation, dir) {
  if (!isObject(operation)) throw new Error('an operation is not an object')
  switch (operation.type) {
    case 'run':
      onlyKeys(operation, ['type', 'args', 'env', 'root', 'dirs'], 'a run')
      return runStep(operation, dir)
    case 'write': {
      onlyKeys(operation, ['type', 'id', 'payload'], 'a write')
      const { id = 'stdin', payload = '' } = operation
      if (id !== 'stdin') throw new Error(`it writes to ${id}; a program's one input is stdin`)
      return { type: 'write', payload: text(payload, 'payload') }
    }
    case 'read': {
      onlyKeys(operation, ['type', 'id', 'payload'], 'a read')
      const { id = 'stdout', payload = '' } = operation
      if (id !== 'stdout' && id !== 'stderr') throw new Error(`it reads ${id}; there are stdout and stderr`)
      return { type: 'read', id, payload: text(payload, 'payload'), whole: false }
    }
    case 'kill':
      onlyKeys(operation, ['type', 'signal'], 'a kill')
      return { type: 'kill', signal: text(operation.signal ?? 'SIGTERM', 'signal') }
    case 'wait':
      onlyKeys(operation, ['type', 'exit_code'], 'a wait')
      return waitStep(operation.exit_code ?? 0)
    case 'connect':
    case 'send':
    case 'recv':
    case 'request':
      throw new Error(`its operation ${operation.type} needs a network, which preview1 can not open`)
    default:
      throw new Error(`its operation ${JSON.stringify(operation.type)} is unknown`)
  }
}

/** @type {(config: any, dir: string) => RunStep} */
function runStep({ args = [], env = {}, root, dirs = [] }, dir) {
  if (!isObject(env)) throw new Error('env is not an object')
  const copy = (/** @type {string} */ source, name = source) => ({ name, source, tree: treeOf(join(dir, source)) })
  const preopens = list(dirs, 'dirs').map((name) => copy(text(name, 'dirs')))
  if (root !== undefined && root !== null) preopens.unshift(copy(text(root, 'root'), '/'))
  return {
    type: 'run',
    args: list(args, 'args').map((arg) => text(arg, 'args')),
    env: Object.entries(env).map(([name, value]) => `${name}=${text(value, `env.${name}`)}`),
    preopens,
  }
}

/** @type {(exitCode: unknown) => Step} */
function waitStep(exitCode) {
  if (typeof exitCode !== 'number' || !Number.isInteger(exitCode)) throw new Error('exit_code is not a whole number')
  return { type: 'wait', exitCode }
}

/** Each run is waited for, and what is done to a program is done while it runs. @param {Step[]} steps */
function checkOrder(steps) {
  let running = false
  for (const { type } of steps) {
    if ((type === 'run') === running)
      throw new Error(running ? 'it runs twice at once' : `it has a ${type} before a run`)
    running = type !== 'wait'
  }
  if (running) throw new Error('it has a run without a wait')
  if (steps.length === 0) throw new Error('it has no operations')
}

/**
 * What is in a folder, but for what an earlier run of the suite left there.
 *
 * @param {string} folder
 * @returns {TreeEntry[]}
 */
function treeOf(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`there is no folder ${folder}`)
  /** @type {TreeEntry[]} */
  const tree = []
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const { name: path } = entry
    const from = join(folder, path)
    if (path.endsWith('.cleanup')) continue
    if (entry.isSymbolicLink()) tree.push({ path, symlink: readlinkSync(from) })
    else if (entry.isDirectory()) {
      tree.push(
        { path, directory: true },
        ...treeOf(from).map((inner) => ({ ...inner, path: `${path}/${inner.path}` })),
      )
    } else tree.push({ path, data: readFileSync(from, 'base64') })
  }
  return tree
}

/** @param {unknown} value */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

/** @type {(value: object, known: string[], what: string) => void} */
function onlyKeys(value, known, what) {
  const unknown = Object.keys(value).filter((key) => !known.includes(key))
  if (unknown.length > 0) throw new Error(`${what} has no field ${unknown.join(', ')}; it has ${known.join(', ')}`)
}

/** @type {(value: unknown, what: string) => any[]} */
function list(value, what) {
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`)
  return value
}

/** @type {(value: unknown, what: string) => string} */
function text(value, what) {
  if (typeof value !== 'string') throw new Error(`${what} holds ${JSON.stringify(value)}, which is no text`)
  return value
}
