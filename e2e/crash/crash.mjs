/**
 * Kills a browser at random moments while a page and two guests work in volumes, opens it again, and compares what is there with what
 * may be there (model.mjs): every fsync that had returned, and a state that existed at one moment. The page and one guest share a
 * volume and look at each other's progress, so that a moment of one with another moment of the other is found, too; the other guest
 * works in an overlay whose upper layer is a volume. Links that are touched in turn make checkpoints many and long. Before some kills the kernel's Worker is terminated, and the page goes on. Half of
 * the kills wait for a kind of work to begin, such as a checkpoint; the others come when they come. What the last one left is looked at, too.
 *
 * @typedef {import('../browser.mjs').BrowserName} BrowserName
 * @typedef {import('./transactions.mjs').Phase} Phase
 *
 * @typedef {object} Setting  what the page is to do
 * @property {'worker' | 'jspi'} platform
 * @property {string} guest                      where play.wasm is
 * @property {Record<string, string>} lower      the files of the overlay's lower layer
 * @property {{ name: string, directory: string, seed: number, other: string, guest: boolean }[]} workers
 *
 * @typedef {object} Plan
 * @property {Record<string, number>} groups     where each worker goes on
 * @property {number} round                      and who touches links
 * @property {number} terminateAfter             milliseconds until the kernel's Worker ends; -1: it does not
 * @property {boolean} atWork                    these are counted from when all have made progress
 *
 * @typedef {object} CrashOptions
 * @property {number} kills
 * @property {BrowserName} [browser]
 * @property {number} [seed]
 * @property {(line: string) => void} [say]
 *
 * @typedef {object} CrashReport
 * @property {number} kills
 * @property {number} terminations  of the kernel's Worker
 * @property {number} acks          messages that fsyncs had returned
 * @property {Map<Phase, number>} phases  how many kills fell where
 * @property {string[]} violations
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { buildGuest } from '../guests/build.mjs'
import { buildIfStale } from '../tools/build.mjs'
import { effectBeforeCause, Links, Worker } from './model.mjs'
import { PATIENCE, serveLives } from './server.mjs'
import { OPENING, WORK } from './transactions.mjs'
import { randomOf } from './workload.mjs'

const lower = { clock: '00000000', f0: 'lower 0', f1: 'x'.repeat(200_000), f2: '', f3: 'lower 3' }

const places = [
  { name: 'page', directory: '/plain/page', other: '/plain/guest/clock', guest: false },
  { name: 'guest', directory: '/plain/guest', other: '/plain/page/clock', guest: true },
  { name: 'over', directory: '/over', other: '', guest: true },
]

/** @param {CrashOptions} options @returns {Promise<CrashReport>} */
export async function crash({ kills, browser = 'chromium', seed = Date.now() % 1_000_000, say = () => {} }) {
  await buildIfStale()
  const guest = `/guests/${basename(await buildGuest('play.c'))}`
  const random = randomOf(seed, 0)
  /** @type {CrashReport} */
  const report = { kills: 0, terminations: 0, acks: 0, phases: new Map(), violations: [] }
  const folder = mkdtempSync(join(tmpdir(), 'runtab-crash-'))
  let volumes = 0
  let profile = ''
  /** @type {Map<string, Worker>} */
  let workers = new Map()
  let links = new Links()
  /** @type {Setting} */
  let setting = { platform: 'worker', guest, lower, workers: [] }
  const startAnew = () => {
    profile = join(folder, String(++volumes))
    const seeds = places.map((place, i) => ({ ...place, seed: seed + volumes * 100 + i }))
    setting = { ...setting, workers: seeds }
    links = new Links()
    workers = new Map(
      seeds.map(({ name, seed, other }) => {
        const files = Object.entries(name === 'over' ? lower : { clock: lower.clock })
        const bytes = files.map(([path, text]) => /** @type {[string, Uint8Array]} */ ([path, Buffer.from(text)]))
        return [name, new Worker({ seed, other, files: bytes })]
      }),
    )
  }
  const violated = (/** @type {string} */ what) => {
    report.violations.push(what)
    say(`VIOLATION (kill ${report.kills}, seed ${seed}): ${what}`)
  }
  startAnew()

  const lives = await serveLives()
  try {
    let wasKnown = false
    for (;;) {
      const isOver = report.kills === kills // only to see what the last kill has left
      if (isOver && !wasKnown) break
      setting.platform = browser === 'chromium' && random(3) === 0 ? 'jspi' : 'worker'
      const aim = aimOf(random, { isOver, wasKnown })
      let terminations = aim.opening ? 0 : TERMINATIONS[random(TERMINATIONS.length)]
      /** @type {Set<string>} who has yet to make progress before the time to the kill runs */
      let awaited = new Set()
      const started = Date.now()
      const { fault, phase, lost } = await lives.live(browser, profile, 'page.html', (what, body, life) => {
        if (what === 'setting') {
          if (aim.opening) takeAim(life, aim)
          return setting
        }
        if (what === 'acks') {
          for (const line of body.toString().split('\n')) {
            const [name = '', n] = line.split(' ')
            const who = name === 'links' ? links : workers.get(name)
            who?.acknowledged(Number(n))
            report.acks++
            if (awaited.delete(name) && awaited.size === 0) takeAim(life, aim)
          }
          return
        }
        const wrong = compare(body) // of what was found
        if (wrong || isOver) life.end(wrong || undefined)
        wasKnown = true
        const isLast = --terminations < 0
        if (!isLast) report.terminations++
        else if (aim.atWork) {
          awaited = new Set(workers.keys())
          life.endIn(PATIENCE)
        } else takeAim(life, aim)
        const groups = Object.fromEntries([...workers].map(([name, { group }]) => [name, group]))
        return { groups, round: links.round, terminateAfter: isLast ? -1 : random(500), atWork: random(4) > 0 }
      })
      if (!isOver) {
        report.kills++
        report.phases.set(phase, (report.phases.get(phase) ?? 0) + 1)
      }
      const groups = [...workers.values()].map(({ group }) => group)
      const when = aim.opening ? 'opening' : `${setting.platform}, at groups ${groups.join(' ')}`
      say(`${isOver ? 'end' : report.kills}: ${when}; ${phase}; ${report.acks} fsyncs; ${Date.now() - started} ms`)
      if (fault) {
        violated(lost === undefined ? fault : `the browser has deleted all that it kept: ${lost}`)
        say(`the profile is kept: ${profile}`)
        cpSync(profile, `${profile} violation`, { recursive: true })
        startAnew()
        wasKnown = false
      }
      if (isOver) break
    }
  } finally {
    await lives.close()
    if (report.violations.length === 0) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return report

  /** @param {Buffer} body */
  function compare(body) {
    const end = body.indexOf(10)
    /** @type {{ entries: [name: string, path: string, size: number][], rounds: number[] }} */
    const { entries, rounds } = JSON.parse(body.toString('utf8', 0, end))
    /** @type {Map<string, import('./model.mjs').Found>} */
    const found = new Map(places.map(({ name }) => [name, new Map()]))
    let at = end + 1
    for (const [name, path, size] of entries) {
      found.get(name)?.set(path, size < 0 ? null : body.subarray(at, at + size))
      at += Math.max(0, size)
    }
    const of = (/** @type {string} */ name) => /** @type {import('./model.mjs').Found} */ (found.get(name))
    const wrong = [...workers].map(([name, worker]) => [name, worker.recovered(of(name))])
    wrong.push(
      ['links', links.recovered(rounds)],
      ['page', effectBeforeCause(of('page'), of('guest'))],
      ['guest', effectBeforeCause(of('guest'), of('page'))],
    )
    return wrong.flatMap(([name, what]) => (what ? [`${name}: ${what}`] : [])).join('; ')
  }
}

/** How often the kernel's Worker is terminated before the browser is killed: one of these. */
const TERMINATIONS = [0, 0, 0, 1, 2]
/** A kind of work that has not begun for so many milliseconds is not waited for any longer. */
const MOMENT = 1500

/**
 * @typedef {object} Aim  when a browser is to be killed
 * @property {boolean} opening  while it opens what it has
 * @property {boolean} atWork   not before all who work have made progress
 * @property {number} delay     milliseconds from then on
 * @property {Phase} [phase]    and then not before this begins
 * @property {number} within    milliseconds from then on
 */

/** @param {(below: number) => number} random @param {{ isOver: boolean, wasKnown: boolean }} life @returns {Aim} */
function aimOf(random, { isOver, wasKnown }) {
  const opening = !isOver && wasKnown && random(8) === 0
  const aim = {
    opening,
    atWork: random(4) > 0,
    delay: random(opening ? 600 : random(4) === 0 ? 1500 : 400),
    within: random(2) && random(4),
  }
  if (random(2) === 0) return aim
  return { ...aim, phase: opening ? OPENING : WORK[random(WORK.length)] }
}

/** @param {import('./server.mjs').Life} life @param {Aim} aim */
function takeAim(life, { delay, phase, within }) {
  if (phase === undefined) return life.endIn(delay)
  // What opening does is there from the start, when the page has come so far.
  const isOpening = phase === OPENING
  life.endIn(isOpening ? PATIENCE : delay + MOMENT)
  const aim = () => {
    life.transactions.onWrite = (begun) => {
      if (begun !== phase) return
      if (within > 0) life.endIn(within)
      else life.end()
    }
  }
  if (isOpening) aim()
  else setTimeout(aim, delay)
}
