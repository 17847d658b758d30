/**
 * Where the server of this test run listens. The ports are chosen by the runner (playwright.config.ts) and handed to the processes
 * that it forks in the environment.
 */
import { createServer } from 'node:net'

const variable = 'RUNTAB_PORTS'

/** Chooses two free ports, unless that is done. */
export async function choosePorts() {
  if (process.env[variable]) return
  const servers = [createServer(), createServer()]
  const ports = []
  for (const server of servers) {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    ports.push(/** @type {import('node:net').AddressInfo} */ (server.address()).port)
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  process.env[variable] = ports.join(' ')
}

/** @param {number} index */
function originAt(index) {
  const port = process.env[variable]?.split(' ')[index]
  if (!port) throw new Error('no ports chosen; run the tests by `playwright test`')
  return `http://127.0.0.1:${port}`
}

/** The origin whose pages are cross-origin isolated: they have SharedArrayBuffer. */
export const isolatedOrigin = () => originAt(0)

/** The origin that sends neither COOP nor COEP. */
export const plainOrigin = () => originAt(1)
