/**
 * What a crash test's page does: it opens the volumes, sends all that it finds in them, and lets the guests and itself work until the
 * browser is killed. No one drives it: it asks the server that it came from (crash.mjs), so that any browser will do.
 *
 * @typedef {import('./crash.mjs').Plan} Plan
 * @typedef {import('./crash.mjs').Setting} Setting
 * @typedef {import('../../src/client/index.ts').Container} Container
 */
import { Sandbox } from '/lib/index.js'
import { bytesOf, LINKS, lineOf, stepsFrom, TARGET } from './workload.mjs'

/** Enough that no guest comes to its end. */
const SCRIPT = 20_000

/** @param {string} what @param {BodyInit} [body] @returns {Promise<any>} */
const tell = async (what, body = '') => (await fetch(`/crash/${what}`, { method: 'POST', body })).json()

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @type {string[]} */
let news = []
let telling = false
/** What each worker calls when an fsync of his has returned. @type {Map<string, () => void>} */
const progress = new Map()

/** @param {string} worker @param {string | number} n */
async function acknowledge(worker, n) {
  progress.get(worker)?.()
  news.push(`${worker} ${n}`)
  if (telling) return
  telling = true
  while (news.length > 0) {
    const lines = news.join('\n')
    news = []
    await tell('acks', lines)
  }
  telling = false
}

/** @param {Setting} setting */
async function open({ platform, guest, workers, lower }) {
  const sandbox = await Sandbox.boot({
    platform,
    worker: new URL('./kernel.mjs', import.meta.url),
    bundle: { base: lower, programs: { play: { data: new URL(guest, location.href), mode: 0o755 } } },
  })
  for (let tries = 0; ; tries++) {
    try {
      const box = await sandbox.create('box', {
        mounts: [
          { destination: '/bin', type: 'bind', source: 'programs', options: ['ro'] },
          { destination: '/plain', type: 'tmpfs', source: 'volume:plain' },
          { destination: '/over', type: 'overlay', options: ['lowerdir=base', 'upperdir=volume:upper'] },
        ],
      })
      await box.start()
      for (const { directory } of workers) {
        await box.fs.mkdir(directory, { recursive: true })
        await box.fs.writeFile(`${directory}/clock`, '00000000', { flag: 'wx' }).catch(() => {})
      }
      await makeLinks(box)
      await box.fs.sync()
      return { sandbox, box }
    } catch (error) {
      // A Worker that was terminated a moment ago may hold its locks still.
      if (tries > 50 || /** @type {any} */ (error).code !== 'EBUSY') throw error
      await sleep(100)
    }
  }
}

const link = (/** @type {number} */ i) => `/plain/links/${i}`

/** @param {Container} box */
async function makeLinks({ fs }) {
  await fs.mkdir('/plain/links', { recursive: true })
  for (let i = (await fs.readdir('/plain/links')).length; i < LINKS; i++) {
    await fs.symlink(TARGET, link(i))
    await fs.lutimes(link(i), 0, 0)
  }
}

/** The round in which each link was touched last, or -1 for one that is not as it was made. @param {Container} box */
async function roundsOf({ fs }) {
  const rounds = []
  for (let i = 0; i < LINKS; i++) {
    const { mtimeMs, size } = await fs.lstat(link(i))
    // The last one that was made may have the time when it was.
    rounds.push(size !== TARGET.length ? -1 : mtimeMs > 1e12 ? 0 : mtimeMs / 1000)
  }
  return rounds
}

/** @param {Container} box @param {number} from */
async function touchLinks({ fs }, from) {
  for (let round = from; ; round++) {
    for (let i = 0; i < LINKS; i++) await fs.lutimes(link(i), round, round)
    await fs.sync()
    acknowledge('links', round)
    await sleep(200)
  }
}

/**
 * All that is there: in the first line as JSON, and the bytes of all files behind it.
 *
 * @param {Container} box @param {Setting['workers']} workers
 */
async function picture(box, workers) {
  const { fs } = box
  const entries = []
  const bytes = []
  for (const { name, directory } of workers)
    for (const path of await fs.readdir(directory, { recursive: true })) {
      const status = await fs.lstat(`${directory}/${path}`)
      const data = status.isDirectory() ? undefined : await fs.readFile(`${directory}/${path}`)
      entries.push([name, path, data ? data.length : -1])
      if (data) bytes.push(data)
    }
  return new Blob([JSON.stringify({ entries, rounds: await roundsOf(box) }), '\n', ...bytes])
}

/** @param {Container} box @param {Setting['workers'][number]} worker @param {Plan} plan */
async function playGuest(box, { name, directory, seed, other }, { groups }) {
  const script = []
  for (const step of stepsFrom(seed, groups[name], other)) if (script.push(lineOf(step)) > SCRIPT) break
  const process = await box.exec({ args: ['/bin/play', directory] }, { stdin: script.join('') })
  const errors = new Response(process.stderr).text()
  let rest = ''
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) acknowledge(name, lines.at(-1) ?? '')
  }
  throw new Error(`the guest has ended: ${JSON.stringify(await process.wait())} ${await errors}`)
}

/** @param {Container} box @param {Setting['workers'][number]} worker @param {Plan} plan */
async function playHere({ fs }, { name, directory, seed, other }, { groups }) {
  const path = (/** @type {string} */ name) => (name.startsWith('/') ? name : `${directory}/${name}`)
  /** @param {string} name @param {number} flags @param {(file: import('../../src/client/index.ts').FileHandle) => unknown} [use] */
  const opened = async (name, flags, use) => {
    const file = await fs.open(path(name), flags, 0o644)
    try {
      return await use?.(file)
    } finally {
      await file.close()
    }
  }
  const { O_CREAT, O_TRUNC, O_WRONLY, O_RDONLY } = fs.constants
  /** @type {Record<import('./workload.mjs').Step['what'], (step: import('./workload.mjs').Step) => Promise<unknown>>} */
  const acts = {
    c: (step) => opened(step.path, O_CREAT | O_WRONLY),
    t: (step) => opened(step.path, O_CREAT | O_TRUNC | O_WRONLY),
    w: (step) => opened(step.path, O_WRONLY, (file) => file.write(bytesOf(step), 0, step.length, step.at)),
    n: (step) => opened(step.path, O_WRONLY, (file) => file.write(bytesOf(step), 0, 8, 0)),
    p: async (step) => {
      const bytes = await fs.readFile(path(step.to))
      await opened(step.path, O_CREAT | O_WRONLY, (file) => file.write(bytes, 0, 8, 0))
    },
    l: (step) => fs.truncate(path(step.path), step.at),
    r: (step) => fs.rename(path(step.path), path(step.to)),
    k: (step) => fs.link(path(step.path), path(step.to)),
    u: (step) => fs.unlink(path(step.path)),
    m: (step) => fs.mkdir(path(step.path)),
    d: (step) => fs.rmdir(path(step.path)),
    s: async (step) => {
      await opened(step.path, O_RDONLY, (file) => file.sync())
      acknowledge(name, step.n)
    },
  }
  for (const step of stepsFrom(seed, groups[name], other)) {
    try {
      await acts[step.what](step)
    } catch (error) {
      // As the guest does: what cannot be done is passed over.
      const code = String(/** @type {any} */ (error).code)
      if (!/^(ENOENT|EEXIST|ENOTEMPTY|ENOTDIR|EISDIR)$/.test(code)) throw error
    }
  }
}

try {
  for (;;) {
    /** @type {Setting} */
    const setting = await tell('setting')
    const { sandbox, box } = await open(setting)
    /** @type {Plan} */
    const plan = await tell('found', await picture(box, setting.workers))
    const atWork = setting.workers.map(({ name }) => new Promise((resolve) => progress.set(name, () => resolve(name))))
    const works = setting.workers.map((worker) => (worker.guest ? playGuest : playHere)(box, worker, plan))
    works.push(touchLinks(box, plan.round))
    if (plan.terminateAfter < 0) {
      await Promise.all(works)
      break
    }
    // The kernel's Worker ends in the middle of whatever it does; the page goes on.
    const ends = Promise.allSettled(works)
    const time = plan.atWork ? Promise.race([Promise.all(atWork), sleep(10_000)]) : Promise.resolve()
    await Promise.race([time.then(() => sleep(plan.terminateAfter)), Promise.all(works)])
    await sandbox.shutdown({ force: true })
    await ends
    while (telling) await sleep(1)
  }
} catch (error) {
  await tell('failed', String(/** @type {Error} */ (error).stack ?? error))
}
