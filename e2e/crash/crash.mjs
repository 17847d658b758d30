/**
 * Kills a browser at random moments while a page and two guests work in volumes, opens it again, and compares what is there with what
 * may be there (model.mjs): every fsync that had returned, and a state that existed at one moment. The page and one guest share a
 * volume and look at each other's progress, so that a moment of one with another moment of the other is found, too; the other guest
 * works in an overlay whose upper layer is a volume. Before each kill the kernel's Worker is terminated some times, and the page goes on.
 *
 * @typedef {import('../browser.mjs').BrowserName} BrowserName
 *
 * @typedef {object} Setting  what the page is to do
 * @property {'worker' | 'jspi'} platform
 * @property {string} guest                      where play.wasm is
 * @property {Record<string, string>} lower      the files of the overlay's lower layer
 * @property {{ name: string, directory: string, seed: number, other: string, guest: boolean }[]} workers
 *
 * @typedef {object} Plan
 * @property {Record<string, number>} groups     where each worker goes on
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
 * @property {string[]} violations
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { buildGuest } from '../guests/build.mjs'
import { buildIfStale } from '../tools/build.mjs'
import { effectBeforeCause, Worker } from './model.mjs'
import { PATIENCE, serveLives } from './server.mjs'
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
  const report = { kills: 0, terminations: 0, acks: 0, violations: [] }
  const folder = mkdtempSync(join(tmpdir(), 'runtab-crash-'))
  let volumes = 0
  let profile = ''
  /** @type {Map<string, Worker>} */
  let workers = new Map()
  /** @type {Setting} */
  let setting = { platform: 'worker', guest, lower, workers: [] }
  const startAnew = () => {
    profile = join(folder, String(++volumes))
    const seeds = places.map((place, i) => ({ ...place, seed: seed + volumes * 100 + i }))
    setting = { ...setting, workers: seeds }
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
    while (report.kills < kills) {
      setting.platform = browser === 'chromium' && random(3) === 0 ? 'jspi' : 'worker'
      // Mostly at work; sometimes while it opens what it has.
      const opening = wasKnown && random(8) === 0
      const atWork = random(4) > 0
      const delay = random(opening ? 600 : 1500)
      let rounds = opening ? 1 : 3
      /** @type {Set<string>} who has yet to make progress before the time to the kill runs */
      let awaited = new Set()
      const started = Date.now()
      const fault = await lives.live(browser, profile, 'page.html', (what, body, life) => {
        if (what === 'setting') {
          if (opening) life.endIn(delay)
          return setting
        }
        if (what === 'acks') {
          for (const line of body.toString().split('\n')) {
            const [name = '', n] = line.split(' ')
            workers.get(name)?.acknowledged(Number(n))
            report.acks++
            if (awaited.delete(name) && awaited.size === 0) life.endIn(delay)
          }
          return
        }
        const wrong = compare(body) // of what was found
        if (wrong) life.end(wrong)
        wasKnown = true
        const isLast = --rounds <= 0
        if (!isLast) report.terminations++
        else if (atWork) {
          awaited = new Set(workers.keys())
          life.endIn(PATIENCE + delay)
        } else life.endIn(delay)
        const groups = Object.fromEntries([...workers].map(([name, { group }]) => [name, group]))
        return { groups, terminateAfter: isLast ? -1 : random(1000), atWork: random(4) > 0 }
      })
      report.kills++
      const groups = [...workers.values()].map(({ group }) => group)
      const when = opening ? 'opening' : `${setting.platform}, at groups ${groups.join(' ')}`
      say(`${report.kills}: ${when}; ${report.acks} fsyncs; ${Date.now() - started} ms`)
      if (fault) {
        violated(fault)
        say(`the profile is kept: ${profile}`)
        cpSync(profile, `${profile} violation`, { recursive: true })
        startAnew()
        wasKnown = false
      }
    }
  } finally {
    await lives.close()
    if (report.violations.length === 0) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return report

  /** @param {Buffer} body */
  function compare(body) {
    const end = body.indexOf(10)
    /** @type {[name: string, path: string, size: number][]} */
    const entries = JSON.parse(body.toString('utf8', 0, end))
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
      ['page', effectBeforeCause(of('page'), of('guest'))],
      ['guest', effectBeforeCause(of('guest'), of('page'))],
    )
    return wrong.flatMap(([name, what]) => (what ? [`${name}: ${what}`] : [])).join('; ')
  }
}
