/** The server that a crash test's page comes from, and that it tells what it finds and does. */
import { createServer } from 'node:http'
import { basename } from 'node:path'
import { folders, isolation, listen, staticServer } from '../server.mjs'

/** A browser that has said nothing for so many milliseconds says nothing more. */
export const SILENCE = 120_000
/** How long those who make no progress are waited for, in milliseconds. */
export const PATIENCE = 10_000

/**
 * @param {(what: string, body: Buffer) => unknown} answer  to what a page posts to /crash/WHAT: what it is given, as JSON
 * @returns {Promise<{ origin: string, close: () => Promise<void> }>}
 */
export async function serveCrashPages(answer) {
  const files = staticServer([['/crash/', 'e2e/crash'], ...folders], isolation)
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return files.emit('request', request, response)
    const parts = []
    for await (const part of request) parts.push(part)
    const reply = answer(basename(request.url ?? ''), Buffer.concat(parts))
    response.writeHead(200, { ...isolation, 'Content-Type': 'application/json' }).end(JSON.stringify(reply))
  })
  const origin = await listen(server)
  const close = () =>
    new Promise((/** @type {(value: void) => void} */ resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { origin, close }
}
