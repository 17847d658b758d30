/**
 * Browsers that are started on a profile, with a page to show, and killed. They are not driven by any protocol: WebDriver BiDi and
 * Playwright give a stock Firefox no profile that outlives it, and a page that knows what to do needs nobody.
 *
 * @typedef {import('../browser.mjs').BrowserName} BrowserName
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromiumArgs, provideBrowser } from '../browser.mjs'

/** A Firefox that does nothing of its own, and opens what it is asked to after it was killed, too. */
const firefoxPreferences = {
  'app.update.enabled': false,
  'app.normandy.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.enabled': false,
}

/** @type {Record<BrowserName, (profile: string, url: string) => string[]>} */
const commandLines = {
  chromium: (profile, url) => [
    ...chromiumArgs,
    '--headless=new',
    '--remote-debugging-port=0', // without it, some versions print the page and leave
    '--no-default-browser-check',
    '--hide-crash-restore-bubble',
    '--disable-breakpad',
    // What takes time at the start, and what is not needed here.
    '--disable-extensions',
    '--in-process-gpu',
    '--disable-features=MediaRouter,OptimizationHints,PreloadTopChromeWebUI,Translate,WebUIPreload',
    `--user-data-dir=${profile}`,
    url,
  ],
  firefox(profile, url) {
    mkdirSync(profile, { recursive: true })
    const lines = Object.entries(firefoxPreferences).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    )
    writeFileSync(join(profile, 'user.js'), lines.join(''))
    return ['--headless', '--no-remote', '--profile', profile, url]
  },
}

/**
 * @param {BrowserName} name @param {string} profile a folder, made if it is not there @param {string} url
 * @returns {{ kill: () => Promise<void>, ended: Promise<void> }} `kill` ends all its processes at once, and waits for that
 */
export function startBrowser(name, profile, url) {
  const { path } = provideBrowser(name)
  const child = spawn(path, commandLines[name](profile, url), { stdio: 'ignore', detached: true })
  const pid = /** @type {number} */ (child.pid)
  /** @type {Promise<void>} */
  const ended = new Promise((resolve, reject) => child.once('exit', () => resolve()).once('error', reject))
  return {
    ended,
    async kill() {
      // All its processes are in its group, but for the one that reports crashes, which goes with them. Nothing comes before this:
      // what runs now is what is to be killed.
      killGroup(pid)
      await ended
      while (livesIn(pid)) killGroup(pid)
    },
  }
}

/** @param {number} group */
function killGroup(group) {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {} // it has ended
}

/** Whether there is anything in a process group but what has ended and was not asked for its status. @param {number} group */
function livesIn(group) {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pgid=,stat='], { encoding: 'utf8' })
  return stdout.split('\n').some((line) => new RegExp(`^ *${group} +[^Z]`).test(line))
}
