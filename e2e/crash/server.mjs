/**
 * Browsers that live until they are killed, and the server that their page comes from and tells what it finds and does.
 *
 * @typedef {import('../browser.mjs').BrowserName} BrowserName
 *
 * @typedef {object} Life
 * @property {(milliseconds: number) => void} endIn
 * @property {(fault?: string) => void} end  now; with what went wrong
 * @property {Transactions} transactions     what its kernels have under way, if they are watched (kernel.mjs)
 *
 * @typedef {object} Death
 * @property {string | undefined} fault  what went wrong
 * @property {import('./transactions.mjs').Phase} phase  what was under way
 * @property {string | undefined} lost  why the browser itself had deleted all that it kept, if it had
 *
 * @typedef {object} Lives
 * @property {(browser: BrowserName, profile: string, page: string, hear: (what: string, body: Buffer, life: Life) => unknown) => Promise<Death>} live
 *   starts a browser with a page of this folder and kills it when its life is to end. `hear` is told what the page posts to /crash/WHAT,
 *   and gives what it is answered.
 * @property {() => Promise<void>} close
 */
import { createServer } from 'node:http'
import { basename } from 'node:path'
import { folders, isolation, listen, staticServer } from '../server.mjs'
import { startBrowser } from './browsers.mjs'
import { Transactions } from './transactions.mjs'

/** A browser that has said nothing for so many milliseconds says nothing more. */
const SILENCE = 120_000
/** How long those who make no progress are waited for, in milliseconds. */
export const PATIENCE = 10_000

/** @returns {Promise<Lives>} */
export async function serveLives() {
  /** Of the browser that lives. @type {(what: string, body: Buffer) => unknown} */
  let answer = () => ({})
  let transactions = new Transactions()
  const files = staticServer([['/crash/', 'e2e/crash'], ...folders], isolation)
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return files.emit('request', request, response)
    const parts = []
    try {
      for await (const part of request) parts.push(part)
    } catch {
      return // it was killed in the middle of saying it
    }
    const reply = answer(basename(request.url ?? ''), Buffer.concat(parts))
    response.writeHead(200, { ...isolation, 'Content-Type': 'application/json' }).end(JSON.stringify(reply ?? {}))
  })
  server.on('upgrade', (request, socket) => transactions.accept(request, socket))
  const origin = await listen(server)
  return {
    async live(browser, profile, page, hear) {
      const own = new Transactions()
      transactions = own
      /** @type {Promise<string | undefined>} */
      const ending = new Promise((end) => {
        const watch = setTimeout(() => end('the page says nothing'), SILENCE).unref()
        /** @type {Life} */
        const life = {
          end,
          endIn: (milliseconds) => void setTimeout(() => end(undefined), milliseconds).unref(),
          transactions: own,
        }
        answer = (what, body) => {
          watch.refresh()
          if (what === 'failed') return end(body.toString())
          return hear(what, body, life)
        }
      })
      const running = startBrowser(browser, profile, `${origin}/crash/${page}`)
      const fault = await Promise.race([ending, running.ended.then(() => 'the browser has ended by itself')])
      const killed = running.kill()
      const { phase, relaxed, lost } = own
      await killed
      answer = () => ({})
      return { fault: fault ?? (relaxed[0] && `a transaction that is not strict: ${relaxed[0]}`), phase, lost }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
