/**
 * Kills a browser at random moments while the sqlite3 shell inserts rows into a database in a volume, each in a transaction of its own.
 * After each kill the database must be sound, hold every row whose insert had returned, and none out of turn.
 *
 * @typedef {import('./crash.mjs').CrashOptions} CrashOptions
 *
 * @typedef {object} DatabaseSetting  what the page is to do
 * @property {'worker' | 'jspi'} platform
 * @property {string} sqlite  where the shell is
 *
 * @typedef {object} DatabaseReport
 * @property {number} kills
 * @property {number} acks   inserts that had returned
 * @property {string[]} violations
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { buildSqlite } from '../guests/sqlite.mjs'
import { buildIfStale } from '../tools/build.mjs'
import { startBrowser } from './browsers.mjs'
import { PATIENCE, SILENCE, serveCrashPages } from './server.mjs'
import { randomOf } from './workload.mjs'

/** @param {CrashOptions} options @returns {Promise<DatabaseReport>} */
export async function crashDatabase({ kills, browser = 'chromium', seed = Date.now() % 1_000_000, say = () => {} }) {
  await buildIfStale()
  const sqlite = `/guests/${basename(await buildSqlite())}`
  const random = randomOf(seed, 0)
  /** @type {DatabaseReport} */
  const report = { kills: 0, acks: 0, violations: [] }
  const folder = mkdtempSync(join(tmpdir(), 'runtab-crash-'))
  /** What the page of this browser says; set before each start. @type {(what: string, body: Buffer) => unknown} */
  let answer = () => ({})
  const server = await serveCrashPages((what, body) => answer(what, body))
  /** The last row whose insert has returned, of all browsers so far. */
  let acked = 0
  try {
    for (;;) {
      const isOver = report.kills === kills // only to see what the last kill has left
      /** @type {DatabaseSetting} */
      const setting = { platform: browser === 'chromium' && random(3) === 0 ? 'jspi' : 'worker', sqlite }
      // Mostly at work; sometimes while the shell starts, or opens what the last one left.
      const atWork = random(4) > 0
      const delay = random(2000)
      /** What went wrong, when it is time for the kill. @type {Promise<string | undefined>} */
      const end = new Promise((resolve) => {
        const after = (/** @type {number} */ ms) => setTimeout(() => resolve(undefined), ms).unref()
        let started = false
        const watch = setTimeout(() => resolve('the page says nothing'), SILENCE).unref()
        answer = (what, body) => {
          watch.refresh()
          if (what === 'setting') return setting
          if (what === 'acks') {
            acked = Math.max(acked, Number(body))
            report.acks++
            if (atWork && !started) after(delay)
            started = true
          } else if (what === 'failed') resolve(body.toString())
          else if (what === 'found') {
            const [check, rows, last] = body.toString().trim().split('\n')
            if (check !== 'ok') return resolve(`the database is damaged: ${body}`)
            if (rows !== last) return resolve(`${rows} rows, but the last is ${last}`)
            if (Number(last) < acked)
              return resolve(`the last row is ${last}, though the insert of ${acked} had returned`)
            acked = Number(last)
            if (isOver) resolve(undefined)
            after(atWork ? PATIENCE + delay : delay)
          }
          return { from: acked + 1 }
        }
      })
      const running = startBrowser(browser, join(folder, 'profile'), `${server.origin}/crash/database.html`)
      const fault = await Promise.race([end, running.ended.then(() => 'the browser has ended by itself')])
      await running.kill()
      answer = () => ({})
      if (!isOver) report.kills++
      say(`${isOver ? 'end' : report.kills}: ${setting.platform}, at row ${acked}`)
      if (!fault && isOver) break
      if (!fault) continue
      report.violations.push(fault)
      say(`VIOLATION (kill ${report.kills}, seed ${seed}): ${fault}\nthe profile is kept: ${folder}`)
      break
    }
  } finally {
    await server.close()
    if (report.violations.length === 0) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return report
}
