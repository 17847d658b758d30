/** Starting Vite's dev server for a test, as a person would: its command, with nothing configured but the address. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

/**
 * @param {string} folder of the app; Vite is the one in its node_modules
 * @param {Record<string, string>} [variables] of its environment
 * @returns {Promise<{ origin: string, stop: () => Promise<void> }>}
 * @throws with what Vite printed, if it ends before it serves
 */
export function startVite(folder, variables = {}) {
  const command = [join(folder, 'node_modules/vite/bin/vite.js'), '--host', '127.0.0.1', '--port', '0']
  const { FORCE_COLOR: _, ...rest } = process.env // Playwright sets it, and colours would part the address
  const env = { ...rest, ...variables, NO_COLOR: '1' }
  const child = spawn(process.execPath, command, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const stop = async () => {
    if (child.exitCode === null) child.kill()
    await exited
  }
  return new Promise((resolve, reject) => {
    let said = ''
    const listen = (/** @type {Buffer} */ chunk) => {
      said += chunk
      const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
      if (origin) resolve({ origin, stop })
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    exited.then((code) => reject(new Error(`vite exited ${code}\n${said}`)))
  })
}
