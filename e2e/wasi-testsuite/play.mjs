/**
 * Runs one test of the suite on ours, by what every page has: Sandbox, Container, Process. In a page and in Node alike.
 *
 * What a test finds in its directories is a copy of its own. It runs twice, each time in a new container: with the copy on the
 * container's root, an overlay on the suite's folder; and with it on a tmpfs. The directory that it knows as `/` is never the
 * container's own `/`: what the suite asks is a directory that nothing leads out of (docs/conformance.md).
 *
 * @typedef {import('../../src/client/index.ts').Container} Container
 * @typedef {import('../../src/client/index.ts').Files} Files
 * @typedef {import('../../src/client/index.ts').PlatformName} PlatformName
 * @typedef {import('../../src/client/index.ts').Process} Process
 * @typedef {typeof import('../../src/client/index.ts').Sandbox} Sandbox
 * @typedef {import('./tests.mjs').RunStep} RunStep
 * @typedef {import('./tests.mjs').Step} Step
 * @typedef {import('./tests.mjs').TreeEntry} TreeEntry
 *
 * @typedef {object} Played
 * @property {string[]} failures what was not as it must be; empty if the test passed
 * @property {string[]} calls    the imports that it called, in order
 */

/**
 * @param {Sandbox} library
 * @param {PlatformName} platform
 * @param {{ steps: Step[], functions: string[], wasm: Uint8Array, limit: number }} test  `limit`: milliseconds until it has failed
 * @returns {Promise<Played>}
 */
export async function play(library, platform, { steps, functions, wasm, limit }) {
  /** @type {Played} */
  const played = { failures: [], calls: [] }
  const sandbox = await library.boot({ platform, bundle: { program: { 'test.wasm': { data: wasm, mode: 0o755 } } } })
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, limit, `it has not ended after ${limit / 1000} s`)
  })
  try {
    for (const arrangement of /** @type {const} */ (['overlay', 'tmpfs'])) {
      const container = await containerFor(sandbox, arrangement, steps)
      const ended = follow(container, platform, steps, played.calls).catch((error) => String(error))
      const failure = await Promise.race([ended, late])
      if (failure === undefined) continue
      played.failures.push(`on ${arrangement}: ${failure}`)
      break
    }
    const missing = functions.filter((name) => !played.calls.includes(name))
    if (missing.length > 0) played.failures.push(`it was to call ${missing.join(', ')}, and did not`)
    if (played.calls.length === 0 && played.failures.length === 0)
      played.failures.push('it made no call: nothing was tested')
  } finally {
    clearTimeout(timer)
    await sandbox.shutdown({ force: true })
  }
  return played
}

/**
 * @param {Awaited<ReturnType<Sandbox['boot']>>} sandbox
 * @param {'overlay' | 'tmpfs'} arrangement
 * @param {Step[]} steps
 * @returns {Promise<{ container: Container, places: Map<string, string> }>} `places`: where the copy of each source is
 */
async function containerFor(sandbox, arrangement, steps) {
  const preopens = steps.flatMap((step) => (step.type === 'run' ? step.preopens : []))
  const copies = new Map(preopens.map((preopen) => [preopen.source, preopen]))
  const places = new Map([...copies.keys()].map((source, i) => [source, `/copies/${i}`]))
  /** @type {[copy: string, tree: TreeEntry[]][]} */
  const trees = [...copies.values()].map(({ source, tree }) => [/** @type {string} */ (places.get(source)), tree])
  const files = trees.flatMap(([place, tree]) => [
    [place.slice(1), { directory: true }],
    ...filesOf(tree, place.slice(1)),
  ])
  await sandbox.provide(arrangement, /** @type {[string, any][]} */ (arrangement === 'overlay' ? files : []))
  const tmpfs = trees.map(([destination]) => ({ destination, type: 'tmpfs' }))
  const container = await sandbox.create(arrangement, {
    root: { path: arrangement },
    mounts: [
      { destination: '/bin', type: 'bind', source: 'program', options: ['ro'] },
      ...(arrangement === 'tmpfs' ? tmpfs : []),
    ],
  })
  await container.start()
  if (arrangement === 'tmpfs') for (const [place, tree] of trees) await copyTo(container, tree, place)
  return { container, places }
}

/** @param {TreeEntry[]} tree @param {string} above @returns {[string, any][]} */
const filesOf = (tree, above) =>
  tree.map(({ path, ...entry }) => [`${above}/${path}`, 'data' in entry ? bytesOf(entry.data) : entry])

/** @param {Container} container @param {TreeEntry[]} tree @param {string} place */
async function copyTo({ fs }, tree, place) {
  for (const entry of tree) {
    const path = `${place}/${entry.path}`
    if ('directory' in entry) await fs.mkdir(path)
    else if ('symlink' in entry) await fs.symlink(entry.symlink, path)
    else await fs.writeFile(path, bytesOf(entry.data))
  }
}

/** @param {string} base64 */
const bytesOf = (base64) => Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0))

/**
 * Does the steps.
 *
 * @param {{ container: Container, places: Map<string, string> }} where
 * @param {PlatformName} platform
 * @param {Step[]} steps
 * @param {string[]} calls to which those made are added
 * @returns {Promise<string | undefined>} the first thing that is not as it must be
 */
async function follow({ container, places }, platform, steps, calls) {
  // A run comes before whatever is done to it (tests.mjs, checkOrder).
  let process = /** @type {Process} */ (/** @type {unknown} */ (undefined))
  let outputs = /** @type {Record<'stdout' | 'stderr', Output>} */ ({})
  let traced = Promise.resolve()
  /** @type {WritableStreamDefaultWriter | undefined} */
  let input
  for (const [i, step] of steps.entries()) {
    switch (step.type) {
      case 'run': {
        // Where nothing can wait for input, it is given all that it will get from the start.
        const given = steps.slice(i).flatMap((later) => (later.type === 'write' ? [later.payload] : []))
        const { args, env, preopens } = step
        process = await container.exec(
          {
            args: ['/bin/test.wasm', ...args],
            env,
            preopens: Object.fromEntries(preopens.map(({ name, source }) => [name, places.get(source) ?? '/'])),
          },
          { strace: true, ...(platform === 'inline' && { stdin: given.join('') }) },
        )
        input = platform === 'inline' ? undefined : process.stdin.getWriter()
        traced = collect(process.strace, calls)
        outputs = { stdout: new Output(process.stdout), stderr: new Output(process.stderr) }
        break
      }
      case 'write':
        await input?.write(step.payload)
        break
      case 'read': {
        const { id, payload, whole } = step
        if (whole) input?.close().catch(() => {})
        if (whole) input = undefined
        const seen = whole ? await outputs[id].all() : await outputs[id].next(payload.length)
        if (seen !== payload) return `${id} is ${JSON.stringify(seen)}, not ${JSON.stringify(payload)}`
        break
      }
      case 'kill':
        await process.kill(step.signal)
        break
      case 'wait': {
        await input?.close().catch(() => {}) // it may have ended
        const [{ exitCode, signal, reason }, said] = await Promise.all([
          process.wait(),
          outputs.stderr.all(),
          outputs.stdout.all(),
        ])
        await traced
        // Python's runner counts a program that a signal ended as -signal.
        if (exitCode === step.exitCode || (signal && exitCode - 128 === -step.exitCode)) break
        return `the exit code is ${exitCode}${reason ? ` (${reason})` : ''}, not ${step.exitCode}${said && `; stderr: ${said}`}`
      }
    }
  }
  return undefined
}

/**
 * Adds the names of the calls that a trace tells; its other lines tell how the program ended.
 *
 * @param {ReadableStream<string>} trace
 * @param {string[]} calls
 */
function collect(trace, calls) {
  const write = (/** @type {string} */ line) => {
    const name = /^(\w+)\(/.exec(line)?.[1]
    if (name !== undefined) calls.push(name)
  }
  // It breaks off where the kernel is stopped; why it was is told already.
  return trace.pipeTo(new WritableStream({ write })).catch(() => {})
}

/** What a program writes, piece by piece as it is asked for. */
class Output {
  #reader
  #decoder = new TextDecoder()
  #text = ''

  /** @param {ReadableStream<Uint8Array>} stream */
  constructor(stream) {
    this.#reader = stream.getReader()
  }

  /** @returns {Promise<boolean>} false at the end */
  async #more() {
    const { value, done } = await this.#reader.read()
    this.#text += this.#decoder.decode(value, { stream: !done })
    return !done
  }

  /** The next so many characters, fewer at the end. @param {number} length */
  async next(length) {
    while (this.#text.length < length && (await this.#more()));
    const next = this.#text.slice(0, length)
    this.#text = this.#text.slice(length)
    return next
  }

  /** All that is left. */
  async all() {
    while (await this.#more());
    return this.next(Number.POSITIVE_INFINITY)
  }
}
