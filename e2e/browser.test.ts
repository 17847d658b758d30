import { describe, expect, test } from 'vitest'
import { type BrowserName, chromiumArgs, findBrowser, type Host, provideBrowser, useOptions } from './browser.mjs'

const own = { chromium: '/cache/chromium/chrome', firefox: '/cache/firefox/firefox' }

/** A machine with `files`, on which a command, if it works, makes the files in `brings` appear. */
function hostWith(files: string[], options: Partial<Host> & { brings?: Record<string, string[]> } = {}) {
  const { brings = {}, ...overrides } = options
  const present = new Set(files)
  const commands: string[] = []
  const host: Host = {
    env: {},
    platform: 'linux',
    root: false,
    exists: (path) => present.has(path),
    starts: (path) => !present.has(`${path} lacks libraries`),
    playwrightPath: (name) => own[name],
    run(command, args) {
      const line = [command, ...args].join(' ')
      commands.push(line)
      for (const file of brings[line] ?? []) present.add(file)
      return line in brings
    },
    say: () => {},
    ...overrides,
  }
  return { host, commands }
}

describe('a browser is taken', () => {
  test.each<[string, BrowserName, string[], Partial<Host>, string, string]>([
    [
      'from the environment before any other',
      'chromium',
      ['/my/chrome', own.chromium, '/usr/bin/chromium'],
      { env: { RUNTAB_CHROMIUM: '/my/chrome' } },
      '/my/chrome',
      'environment',
    ],
    [
      "from Playwright before the system's",
      'chromium',
      [own.chromium, '/usr/bin/chromium'],
      {},
      own.chromium,
      'playwright',
    ],
    ['from the system', 'chromium', ['/usr/bin/google-chrome-stable'], {}, '/usr/bin/google-chrome-stable', 'system'],
    [
      'Chromium before Chrome',
      'chromium',
      ['/usr/bin/google-chrome', '/usr/bin/chromium-browser'],
      {},
      '/usr/bin/chromium-browser',
      'system',
    ],
    [
      'on macOS',
      'chromium',
      ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'],
      { platform: 'darwin' },
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      'system',
    ],
    [
      'on Windows',
      'chromium',
      ['C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe'],
      { platform: 'win32', env: { PROGRAMFILES: 'C:\\Program Files' } },
      'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
      'system',
    ],
    [
      'Firefox from the environment',
      'firefox',
      ['/my/ff', own.firefox],
      { env: { RUNTAB_FIREFOX: '/my/ff' } },
      '/my/ff',
      'environment',
    ],
    ['Firefox from Playwright', 'firefox', [own.firefox, '/usr/bin/firefox'], {}, own.firefox, 'playwright'],
    ['Firefox ESR from the system', 'firefox', ['/usr/bin/firefox-esr'], {}, '/usr/bin/firefox-esr', 'system'],
  ])('%s', (_, name, files, overrides, path, origin) => {
    const { host, commands } = hostWith(files, overrides)
    expect(provideBrowser(name, host)).toEqual({ name, path, origin })
    expect(commands).toEqual([])
  })
})

test('a path in the environment that does not exist is an error, not a reason to take another browser', () => {
  const { host } = hostWith([own.chromium], { env: { RUNTAB_CHROMIUM: '/gone' } })
  expect(() => findBrowser('chromium', host)).toThrow('RUNTAB_CHROMIUM is /gone, and there is no such program')
})

describe('where there is no browser', () => {
  test('Playwright installs its own, and apt is left alone', () => {
    const brings = { 'npx playwright install chromium': [own.chromium] }
    const { host, commands } = hostWith(['/usr/bin/apt-get'], { root: true, brings })
    expect(provideBrowser('chromium', host)).toEqual({ name: 'chromium', path: own.chromium, origin: 'playwright' })
    expect(commands).toEqual(['npx playwright install chromium'])
  })

  test('root gets the libraries that a downloaded browser lacks', () => {
    const files = ['/usr/bin/apt-get', `${own.chromium} lacks libraries`]
    const { host, commands } = hostWith(files, {
      root: true,
      brings: { 'npx playwright install chromium': [own.chromium] },
    })
    const starts = (path: string) => host.starts(path) || commands.includes('npx playwright install-deps chromium')
    expect(provideBrowser('chromium', { ...host, starts }).path).toBe(own.chromium)
    expect(commands).toEqual(['npx playwright install chromium', 'npx playwright install-deps chromium'])
  })

  test("a browser of Playwright's that does not start is passed over for one that is installed", () => {
    const { host } = hostWith([own.chromium, `${own.chromium} lacks libraries`, '/usr/bin/chromium'])
    expect(provideBrowser('chromium', host).path).toBe('/usr/bin/chromium')
  })

  test.each<[BrowserName, string, string]>([
    ['chromium', 'chromium', '/usr/bin/chromium'],
    ['firefox', 'firefox-esr', '/usr/bin/firefox-esr'],
  ])('root gets %s by apt when Playwright cannot', (name, pkg, path) => {
    const install = `apt-get install -y ${pkg}`
    const { host, commands } = hostWith(['/usr/bin/apt-get'], { root: true, brings: { [install]: [path] } })
    expect(provideBrowser(name, host)).toEqual({ name, path, origin: 'system' })
    expect(commands).toEqual([`npx playwright install ${name}`, 'apt-get update', install])
  })

  test.each([
    ['not root', { root: false }, ['/usr/bin/apt-get']],
    ['on a system without apt', { root: true }, []],
  ])('the error says what to do, %s', (_, overrides, files) => {
    const { host, commands } = hostWith(files, overrides)
    expect(() => provideBrowser('firefox', host)).toThrow(
      /set RUNTAB_FIREFOX[\s\S]*npx playwright install --with-deps firefox/,
    )
    expect(commands).toEqual(['npx playwright install firefox'])
  })
})

describe('Playwright is told', () => {
  test('nothing about the path of its own browsers', () => {
    const { host } = hostWith([])
    const found = { path: '/x', origin: 'playwright' } as const
    expect(useOptions({ name: 'chromium', ...found }, host)).toEqual({
      browserName: 'chromium',
      launchOptions: { args: [] },
    })
    expect(useOptions({ name: 'firefox', ...found }, host)).toEqual({ browserName: 'firefox' })
  })

  test('to drive a stock Firefox by BiDi', () => {
    expect(useOptions({ name: 'firefox', path: '/usr/bin/firefox', origin: 'system' }, hostWith([]).host)).toEqual({
      browserName: 'firefox',
      channel: 'moz-firefox',
      colorScheme: null,
      launchOptions: { executablePath: '/usr/bin/firefox' },
    })
  })

  test.each([
    ['for root', { root: true }],
    ['in CI', { env: { CI: '1' } }],
  ])('to start Chromium without its sandbox %s', (_, overrides) => {
    const { host } = hostWith([], overrides)
    expect(useOptions({ name: 'chromium', path: '/c', origin: 'system' }, host)).toEqual({
      browserName: 'chromium',
      launchOptions: { executablePath: '/c', args: chromiumArgs },
    })
  })
})
