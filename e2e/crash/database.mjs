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
import { PATIENCE, serveLives } from './server.mjs'
import { randomOf } from './workload.mjs'

/** @param {CrashOptions} options @returns {Promise<DatabaseReport>} */
export async function crashDatabase({ kills, browser = 'chromium', seed = Date.now() % 1_000_000, say = () => {} }) {
  await buildIfStale()
  const sqlite = `/guests/${basename(await buildSqlite())}`
  const random = randomOf(seed, 0)
  /** @type {DatabaseReport} */
  const report = { kills: 0, acks: 0, violations: [] }
  const folder = mkdtempSync(join(tmpdir(), 'runtab-crash-'))
  const lives = await serveLives()
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
      let started = false
      const { fault } = await lives.live(browser, join(folder, 'profile'), 'database.html', (what, body, life) => {
        if (what === 'setting') return setting
        if (what === 'acks') {
          acked = Math.max(acked, Number(body))
          report.acks++
          if (atWork && !started) life.endIn(delay)
          started = true
          return
        }
        const wrong = faultIn(body.toString(), acked) // in what was found
        if (wrong) return life.end(wrong)
        acked = lastRowIn(body.toString())
        if (isOver) life.end()
        life.endIn(atWork ? PATIENCE + delay : delay)
        return { from: acked + 1 }
      })
      if (!isOver) report.kills++
      say(`${isOver ? 'end' : report.kills}: ${setting.platform}, at row ${acked}`)
      if (fault) {
        report.violations.push(fault)
        say(`VIOLATION (kill ${report.kills}, seed ${seed}): ${fault}\nthe profile is kept: ${folder}`)
      }
      if (fault || isOver) break
    }
  } finally {
    await lives.close()
    if (report.violations.length === 0) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return report
}

/** What the page prints of a database: whether it is sound, how many rows, the last one. @param {string} found @param {number} acked */
function faultIn(found, acked) {
  const [check, rows, last] = found.trim().split('\n')
  if (check !== 'ok') return `the database is damaged: ${found}`
  if (rows !== last) return `${rows} rows, but the last is ${last}`
  if (Number(last) < acked) return `the last row is ${last}, though the insert of ${acked} had returned`
}

/** @param {string} found */
const lastRowIn = (found) => Number(found.trim().split('\n')[2])
