/** The playground as a person uses it: by mouse, by keyboard alone, in dark and light, on a phone and on a large screen. */
import { readFileSync } from 'node:fs'
import { expect, type Locator, type Page, test } from '@playwright/test'
import { buildGuest } from './guests/build.mjs'
import { isolatedOrigin, plainOrigin } from './origins.mjs'

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

/** A module whose _start is `loop br 0 end`: it computes without end and calls nothing. */
const spin = Buffer.from(
  '0061736d01000000010401600000030201000503010001071302066d656d6f727902' + '00065f737461727400000a0901070003400c000b0b',
  'hex',
)

const status = (page: Page) => page.locator('#status')
const output = (page: Page) => page.getByRole('region', { name: 'Program output' })
const tree = (page: Page) => page.getByRole('tree', { name: 'Files of the container' })
const row = (page: Page, name: string) => tree(page).getByRole('treeitem', { name: new RegExp(`^${name}\\b`) })
const viewer = (page: Page) => page.locator('#viewer')
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

async function open(page: Page, origin = ''): Promise<void> {
  await page.goto(`${origin}/`)
  await expect(row(page, 'tmp')).toBeVisible()
}

/** Chooses a program as a file from the disk. */
async function choose(page: Page, name: string, content: Buffer): Promise<void> {
  await page.locator('#program-file').setInputFiles({ name, mimeType: 'application/wasm', buffer: content })
  await expect(page.locator('#program-name')).toHaveText(name.replace('.wasm', ''))
}

async function chooseGuest(page: Page, name: string): Promise<void> {
  await choose(page, `${name}.wasm`, readFileSync(await buildGuest(`${name}.c`)))
}

async function runExample(page: Page): Promise<void> {
  await press(page, 'Run the example')
  await expect(status(page)).toHaveText('Exited with 0')
}

test('a first visit says what to do, and its example runs at a click', async ({ page }) => {
  await open(page)
  await expect(page.getByRole('heading', { name: 'Run a WebAssembly program in this tab' })).toBeVisible()
  await expect(page.locator('#platform')).toContainText(/worker|jspi|inline/)
  await runExample(page)
  await expect(output(page)).toContainText('Hello, dear reader!')
  await expect(page.locator('#exit-code')).toHaveText('0')
  await expect(page.locator('#wall-time')).toHaveText(/^[\d.]+ m?s$/)
  await expect(page.locator('#syscalls')).toHaveText(/^[1-9][\d,]*$/)
})

test('arguments, environment and standard input reach the program, and what it leaves behind is shown', async ({
  page,
}) => {
  await open(page)
  await press(page, 'Example')
  await page.getByLabel('Arguments').fill(`--name "Ada L" odd`)
  await page.getByLabel('Environment').fill('GREETING=Good day\n\nOTHER=x')
  await page.getByLabel('Standard input').fill('a\nb\nc\n')
  await expect(page.locator('#args-note .word')).toHaveText(['hello', '--name', `'Ada L'`, 'odd'])
  await page.getByLabel('Arguments').press('Enter')
  await expect(status(page)).toHaveText('Exited with 0')
  await expect(output(page)).toContainText('Good day, Ada L!')
  await expect(output(page)).toContainText('I read 3 lines')

  await row(page, 'tmp').click()
  await row(page, 'input.txt').click()
  await expect(viewer(page)).toHaveText('1: a\n2: b\n3: c\n')
  await expect(page.locator('#mounts').getByRole('row', { name: /^\/tmp tmpfs/ })).toBeVisible()

  // The file stays on view while another run changes it.
  await page.getByLabel('Standard input').fill('other')
  await press(page, 'Run')
  await expect(viewer(page)).toHaveText('1: other')
})

test('stderr is marked by a word and a bar as well as by its colour, and can be seen or hidden alone', async ({
  page,
  browserName,
}) => {
  await open(page)
  await runExample(page)
  const stderr = output(page).locator('.stderr')
  const stdout = output(page).locator('.stdout').first()
  await expect(stderr).toHaveText('This line went to stderr.')
  expect(await stderr.evaluate((piece) => getComputedStyle(piece, '::before').content)).toBe('"err"')
  expect(await stderr.evaluate((piece) => getComputedStyle(piece).boxShadow)).toContain('inset')
  expect(await colour(stderr)).not.toBe(await colour(stdout))
  await page.getByLabel('stderr', { exact: true }).check()
  await expect(stdout).toBeHidden()
  await expect(stderr).toBeVisible()
  await page.getByLabel('stdout', { exact: true }).check()
  await expect(stdout).toBeVisible()
  await expect(stderr).toBeHidden()

  const { name, content } = await download(page, browserName, page.locator('#output-save'))
  expect(name).toBe('stdout.txt')
  expect(content.toString()).toMatch(/^Hello, dear reader!\n/)
  expect(content.toString()).not.toContain('This line went to stderr')
})

test('a program that fails says how, and the next one runs', async ({ page }) => {
  await open(page)
  await chooseGuest(page, 'exit3')
  await press(page, 'Run')
  await expect(status(page)).toHaveText('Exited with 3')
  await expect(page.locator('#exit-code')).toHaveText('3')

  await chooseGuest(page, 'trap')
  await press(page, 'Run')
  await expect(status(page)).toContainText(/unreachable/)
  await expect(output(page).locator('.note')).toContainText(/unreachable/)

  await choose(page, 'notes.txt', Buffer.from('just text'))
  await expect(page.locator('#program-note')).toContainText('Not a WebAssembly file: it begins with 6a 75 73 74')
  await press(page, 'Run')
  await expect(status(page)).toContainText('Could not run')
  await expect(status(page)).toContainText('not a WebAssembly module')

  // (import "env" "missing" (func))
  const needy = '0061736d01000000010401600000020f0103656e76076d697373696e670000'
  await choose(page, 'needy.wasm', Buffer.from(needy, 'hex'))
  await press(page, 'Run')
  await expect(status(page)).toContainText(/env.*missing/)

  await press(page, 'Example')
  await press(page, 'Run')
  await expect(status(page)).toHaveText('Exited with 0')
})

test('Run waits for the example that is being fetched, and does not run what was chosen before it', async ({
  page,
}) => {
  let fetched = () => {}
  const wanted = new Promise<void>((resolve) => (fetched = resolve))
  await page.route('**/example/hello.wasm', async (route) => {
    await wanted
    await route.continue()
  })
  await open(page)
  await chooseGuest(page, 'exit3')
  await press(page, 'Example')
  await press(page, 'Run')
  await expect(page.locator('#program-note')).toHaveText('Loading the example…')
  await expect(status(page)).toHaveText('Ready')
  fetched()
  await expect(status(page)).toHaveText('Exited with 0')
  await expect(output(page)).toContainText('Hello')
})

test('a fault in the form is told at its field, and Run goes there', async ({ page }) => {
  await open(page)
  await press(page, 'Run')
  await expect(page.locator('#program-note')).toHaveText('Choose a .wasm file first, or use the example.')
  await expect(page.getByRole('button', { name: 'Choose .wasm…' })).toBeFocused()
  await press(page, 'Example')
  await expect(page.locator('#program-note')).toContainText('runs as /bin/hello')

  for (const [label, value, fault] of [
    ['Arguments', `a 'b`, `The ' at character 3 is never closed.`],
    ['Working directory', 'tmp', 'Begin with a slash: it is a path in the container.'],
    ['Environment', 'A=1\nB', 'Line 2: “B” has no “=”; write NAME=value.'],
  ] as const) {
    const field = page.getByLabel(label, { exact: true })
    const before = await field.inputValue()
    await field.fill(value)
    await expect(field).toHaveAttribute('aria-invalid', 'true')
    await expect(field).toHaveAccessibleDescription(fault)
    await press(page, 'Run')
    await expect(field).toBeFocused()
    await expect(status(page)).toHaveText('Ready')
    await field.fill(before)
    await expect(field).toHaveAttribute('aria-invalid', 'false')
  }

  // What only the kernel can know is told by the run.
  await page.getByLabel('Working directory').fill('/example/hello.c')
  await press(page, 'Run')
  await expect(status(page)).toContainText('Could not run')
  await expect(status(page)).toContainText('/example/hello.c')
})

test('files are uploaded, viewed as what they are, downloaded and deleted', async ({ page, browserName }) => {
  await open(page)
  await row(page, 'home').click()
  await page.locator('#file-input').setInputFiles([
    { name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('grüße\n') },
    { name: 'dot.png', mimeType: 'image/png', buffer: Buffer.from(png, 'base64') },
    { name: 'raw.bin', mimeType: '', buffer: Buffer.from([0, 1, 2, 0x41]) },
  ])
  await expect(page.locator('#files-status')).toHaveText('Uploaded 3 files to /home, 82 B')
  await row(page, 'note.txt').click()
  await expect(viewer(page)).toHaveText('grüße\n')
  await row(page, 'dot.png').click()
  await expect(viewer(page).getByRole('img')).toHaveJSProperty('naturalWidth', 1)
  await row(page, 'raw.bin').click()
  await expect(viewer(page)).toContainText('00000000  00 01 02 41')

  const { name, content } = await download(page, browserName, page.locator('#file-download'))
  expect(name).toBe('raw.bin')
  expect([...content]).toEqual([0, 1, 2, 0x41])

  // The same name again asks first.
  await page.locator('#file-input').setInputFiles({ name: 'note.txt', mimeType: '', buffer: Buffer.from('new') })
  await page.getByRole('dialog', { name: 'Replace /home/note.txt?' }).getByRole('button', { name: 'Replace' }).click()
  await row(page, 'note.txt').click()
  await expect(viewer(page)).toHaveText('new')

  await press(page, 'Delete')
  await page.getByRole('dialog', { name: 'Delete /home/note.txt?' }).getByRole('button', { name: 'Delete' }).click()
  await expect(row(page, 'note.txt')).toHaveCount(0)
  await expect(page.locator('#viewer-head')).toHaveText('No file open')
})

test('a file dropped on a folder lands in it', async ({ page }) => {
  await open(page)
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer()
    transfer.items.add(new File(['dropped'], 'drop.txt'))
    return transfer
  })
  await row(page, 'tmp').dispatchEvent('dragover', { dataTransfer: data })
  await expect(row(page, 'tmp')).toHaveClass(/drop-here/)
  await row(page, 'tmp').dispatchEvent('drop', { dataTransfer: data })
  await row(page, 'drop.txt').click()
  await expect(page.locator('#viewer-head')).toContainText('/tmp/drop.txt · 7 B')
})

test('a read-only place says so, and refuses before it is tried', async ({ page }) => {
  await open(page)
  await expect(row(page, 'example')).toContainText('read-only')
  await row(page, 'example').click()
  await row(page, 'hello.c').click()
  await expect(viewer(page)).toContainText('int main')
  await expect(page.locator('#files-status')).toHaveText('/example/hello.c (read-only)')
  for (const name of ['Upload', 'New folder', 'Delete'])
    await expect(page.getByRole('button', { name, exact: true })).toHaveAttribute('aria-disabled', 'true')
  await expect(page.locator('#file-upload')).toHaveAttribute('title', '/example is read-only')
})

test('everything can be done by keyboard alone', async ({ page }) => {
  await open(page)
  const { keyboard } = page
  await tabTo(page, page.getByRole('button', { name: 'Example', exact: true }))
  await keyboard.press('Enter')
  await expect(page.locator('#program-note')).toContainText('runs as /bin/hello')
  await tabTo(page, page.getByLabel('Standard input'))
  await keyboard.type('typed')
  await keyboard.press('Control+Enter')
  await expect(status(page)).toHaveText('Exited with 0')

  await tabTo(page, tree(page))
  await expect(active(page)).toHaveAttribute('data-path', '/bin')
  await keyboard.press('End')
  await expect(active(page)).toHaveAttribute('data-path', '/tmp')
  await keyboard.press('ArrowRight')
  await expect(active(page)).toHaveAttribute('aria-expanded', 'true')
  await keyboard.press('ArrowRight')
  await expect(active(page)).toHaveAttribute('data-path', '/tmp/input.txt')
  await keyboard.press('Enter')
  await expect(viewer(page)).toContainText('typed')
  await keyboard.press('ArrowLeft')
  await expect(active(page)).toHaveAttribute('data-path', '/tmp')
  await keyboard.press('ArrowLeft')
  await expect(active(page)).toHaveAttribute('aria-expanded', 'false')
  await keyboard.press('Home')
  await keyboard.press('h')
  await expect(active(page)).toHaveAttribute('data-path', '/home')

  await tabTo(page, page.getByRole('button', { name: 'New folder' }), 'Shift+Tab')
  await keyboard.press('Space')
  await keyboard.press('Enter')
  await expect(page.getByRole('dialog')).toContainText('Give it a name.')
  await keyboard.type('work')
  await keyboard.press('Enter')
  await expect(active(page)).toHaveAttribute('data-path', '/home/work')
  await expect(tree(page)).toBeFocused()
  await keyboard.press('Delete')
  await keyboard.press('Escape')
  await expect(row(page, 'work')).toBeVisible()
})

test('the form and the program are there again after a reload', async ({ page }) => {
  await open(page)
  await chooseGuest(page, 'hello')
  await page.getByLabel('Arguments').fill('kept words')
  await page.getByLabel('Environment').fill('KEPT=yes')
  await page.getByLabel('Working directory').fill('/tmp')
  await page.getByLabel('Standard input').fill('kept input')
  await expect.poll(() => stored(page)).toContain('kept input')
  await page.reload()
  await expect(page.getByLabel('Arguments')).toHaveValue('kept words')
  await expect(page.getByLabel('Environment')).toHaveValue('KEPT=yes')
  await expect(page.getByLabel('Working directory')).toHaveValue('/tmp')
  await expect(page.getByLabel('Standard input')).toHaveValue('kept input')
  await expect(page.locator('#program-note')).toContainText('runs as /bin/hello')
  await press(page, 'Run')
  await expect(output(page)).toContainText('argument 2: words')
  await expect(output(page)).toContainText('environment: KEPT=yes')
})

test('a flood of 100 MB shows its end, says what is left out, and leaves the page usable', async ({ page }) => {
  await open(page)
  await chooseGuest(page, 'flood')
  await page.getByLabel('Arguments').fill('100')
  await press(page, 'Run')
  await expect(status(page)).toHaveText('Exited with 0', { timeout: 120_000 })
  await expect(output(page)).toContainText(String(100_000_000 / 64 - 1))
  const shown = await output(page).evaluate((pane) => pane.textContent?.length ?? 0)
  expect(shown).toBeGreaterThan(900_000)
  expect(shown).toBeLessThanOrEqual(1024 * 1024)
  await expect(page.locator('#output-left-out')).toHaveText(
    `The first ${new Intl.NumberFormat('en').format(100_000_000 - shown)} characters are not shown; Download has the first 64 MiB`,
  )
  await row(page, 'bin').click()
  await expect(row(page, 'flood')).toBeVisible()
})

for (const [kind, origin] of [
  ['an isolated', isolatedOrigin()],
  ['a plain', plainOrigin()],
] as const)
  test(`on ${kind} page a program that computes without end is stopped, if need be by restarting the sandbox`, async ({
    page,
  }) => {
    await open(page, origin)
    const platform = await page.locator('#platform b').textContent()
    expect(platform === 'worker').toBe(kind === 'an isolated')
    await choose(page, 'spin.wasm', spin)
    await press(page, 'Run')
    await expect(status(page)).toContainText('/bin/spin')
    await press(page, 'Stop')
    if (platform === 'worker') await expect(status(page)).toContainText('SIGKILL')
    else {
      const dialog = page.getByRole('dialog', { name: 'Restart the sandbox?' })
      await expect(dialog).toContainText(`platform ${platform} cannot interrupt`)
      await dialog.getByRole('button', { name: 'Restart' }).click()
      await expect(output(page).locator('.note')).toHaveText('Ended, because the sandbox was restarted')
      await expect(status(page)).toHaveText('Ready, with a new sandbox')
    }
    await press(page, 'Example')
    await press(page, 'Run')
    await expect(status(page)).toHaveText('Exited with 0')
  })

/** What the terminal shows, as it shows it to a screen reader: without blanks at the ends of lines. */
const screen = async (page: Page) =>
  (await page.locator('#terminal .xterm-accessibility-tree > div').allTextContents())
    .map((line) => line.replaceAll('\u00a0', ' ').trimEnd())
    .join('\n')
    .trimEnd()

const shows = (page: Page, text: RegExp) => expect.poll(() => screen(page)).toMatch(text)

test('at a terminal a program asks and is answered; ^C, ^D, Tab and a change of size do what one expects', async ({
  page,
}) => {
  const fetched: string[] = []
  page.on('request', (request) => fetched.push(request.url()))
  await open(page)
  expect(fetched.filter((url) => /xterm/.test(url))).toEqual([])
  await chooseGuest(page, 'ask')
  await page.getByLabel('Standard input').fill('not this')
  await page.getByRole('checkbox', { name: 'Terminal' }).check()
  await expect(page.getByLabel('Standard input')).toHaveAccessibleDescription('Not used: you type in the terminal')
  await press(page, 'Run')
  await shows(page, /^terminal: 1 1 1, xterm-256color, \d+ x \d+\nyour name\?$/)
  // The keyboard is in it.
  await page.keyboard.type('Adq')
  await page.keyboard.press('Backspace')
  await page.keyboard.type('a\n')
  await shows(page, /your name\? Ada\nhello, Ada$/)
  await page.keyboard.type('a')
  await page.keyboard.press('Tab')
  await page.keyboard.type('b\n')
  await shows(page, /\n4 bytes: 6109620a$/)
  const rows = page.locator('#terminal .xterm-accessibility-tree > div')
  const before = await rows.count()
  await page.setViewportSize({ width: 1600, height: 1100 })
  await expect.poll(() => rows.count()).toBeGreaterThan(before + 10)
  await page.keyboard.press('Control+d')
  await expect(status(page)).toHaveText('Exited with 0')
  await shows(page, /\nbye\n\n▸ Exited with 0$/)
  await page.keyboard.press('Tab')
  expect(await page.locator('#terminal').evaluate((pane) => pane.contains(document.activeElement))).toBe(false)

  await press(page, 'Run')
  await shows(page, /your name\?$/)
  await page.keyboard.press('Control+c')
  await expect(status(page)).toHaveText('Ended by SIGINT')
  await shows(page, /your name\? \^C\n▸ Ended by SIGINT$/)

  // Without the terminal it is as before, and the choice is remembered.
  await expect.poll(() => stored(page)).toContain('"terminal":true')
  await page.reload()
  await expect(page.getByRole('checkbox', { name: 'Terminal' })).toBeChecked()
  await page.getByRole('checkbox', { name: 'Terminal' }).uncheck()
  await press(page, 'Run')
  await expect(output(page)).toContainText('terminal: 0 0 0')
  await expect(page.locator('#terminal')).toBeHidden()
})

for (const colorScheme of ['light', 'dark'] as const) {
  test(`all text can be read in ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme })
    await open(page)
    // A Firefox that Playwright did not build cannot be told its scheme, so there the rules for dark are made to hold always.
    const isDark = await page.evaluate((wanted) => {
      const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
      for (const rule of rules)
        if (rule instanceof CSSMediaRule && /color-scheme: dark/.test(rule.media.mediaText) && wanted)
          rule.media.mediaText = 'all'
      return getComputedStyle(document.body).backgroundColor === 'rgb(16, 19, 24)'
    }, colorScheme === 'dark')
    expect(isDark).toBe(colorScheme === 'dark')
    expect(await faintTexts(page)).toEqual([])
    await runExample(page)
    await row(page, 'example').click()
    await page.getByLabel('Environment').fill('FAULT')
    await chooseGuest(page, 'exit3')
    expect(await faintTexts(page)).toEqual([])
    await page.getByLabel('Environment').fill('')
    await press(page, 'Run')
    await expect(status(page)).toHaveText('Exited with 3')
    expect(await faintTexts(page)).toEqual([])
    await press(page, 'Help')
    expect(await faintTexts(page)).toEqual([])
  })
}

interface Source {
  readonly node: Node | null
  readonly previousRect: DOMRectReadOnly
  readonly currentRect: DOMRectReadOnly
}

test('nothing moves while things arrive', async ({ page, browserName }) => {
  test.skip(browserName !== 'chromium', 'only Chromium reports layout shifts')
  for (const viewport of [
    { width: 1600, height: 900 },
    { width: 1000, height: 900 },
    { width: 360, height: 800 },
  ]) {
    await page.setViewportSize(viewport)
    await page.addInitScript(() => {
      const shifts: string[] = []
      Object.assign(window, { shifts })
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { sources: Source[] })[])
          for (const { node, previousRect, currentRect } of entry.sources)
            shifts.push(JSON.stringify([node?.textContent?.slice(0, 80), previousRect, currentRect]))
      }).observe({ type: 'layout-shift', buffered: true })
    })
    await open(page)
    await runExample(page)
    await chooseGuest(page, 'exit3')
    await press(page, 'Run')
    await expect(status(page)).toHaveText('Exited with 3')
    await page.getByLabel('Environment').fill('FAULT')
    await row(page, 'tmp').click()
    await row(page, 'input.txt').click()
    await expect(viewer(page)).toContainText('1: one line')
    await page.getByLabel('Environment').fill('')
    expect(await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts)).toEqual([])
  }
})

test('it fits a phone without scrolling sideways, and a large screen without scrolling at all', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await open(page)
  await runExample(page)
  await expect(output(page)).toBeInViewport()
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
  await page.setViewportSize({ width: 1600, height: 900 })
  expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBe(900)
})

/** What a click on a download button hands to the browser. */
async function download(page: Page, browserName: string, button: Locator): Promise<{ name: string; content: Buffer }> {
  if (browserName === 'chromium') {
    const event = page.waitForEvent('download')
    await button.click()
    const saved = await event
    return { name: saved.suggestedFilename(), content: readFileSync(await saved.path()) }
  }
  // A Firefox that Playwright did not build tells nothing of downloads: what the page hands over is looked at instead.
  const handed = page.evaluate(
    () =>
      new Promise<{ name: string; bytes: number[] }>((resolve) => {
        document.createElement = new Proxy(document.createElement, {
          apply(create, self, [tag]) {
            const made = Reflect.apply(create, self, [tag])
            if (tag === 'a')
              made.click = async () => {
                const bytes = [...new Uint8Array(await (await fetch(made.href)).arrayBuffer())]
                resolve({ name: made.download, bytes })
              }
            return made
          },
        })
      }),
  )
  await button.click()
  const { name, bytes } = await handed
  return { name, content: Buffer.from(bytes) }
}

const colour = (locator: Locator) => locator.evaluate((element) => getComputedStyle(element).color)

/** The row that a screen reader is on. */
const active = (page: Page) =>
  tree(page).locator('[role=treeitem][aria-selected=true]').and(page.locator('[id^=tree-row-]'))

/** Tabs until the target has the focus. */
async function tabTo(page: Page, target: Locator, key = 'Tab'): Promise<void> {
  for (let i = 0; i < 40; i++) {
    if (await target.evaluate((element) => element === document.activeElement)) return
    await page.keyboard.press(key)
  }
  await expect(target).toBeFocused()
}

/** The remembered form, as JSON. */
function stored(page: Page): Promise<string> {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('runtab-playground')
        opening.onerror = () => reject(opening.error)
        opening.onsuccess = () => {
          const database = opening.result
          const reading = database.transaction('form').objectStore('form').get('form')
          reading.onsuccess = () => {
            database.close()
            resolve(JSON.stringify(reading.result))
          }
        }
      }),
  )
}

/** Texts in sight whose contrast is below WCAG's 4.5 (3 where large), with the ratio. What cannot be used now is exempt. */
function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    const context = canvas.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D
    const luminance = (...layers: string[]) => {
      for (const layer of layers) {
        context.fillStyle = layer
        context.fillRect(0, 0, 1, 1)
      }
      const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((value) => {
        const c = value / 255
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
      }) as [number, number, number]
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const faint = []
    const dialog = document.querySelector('dialog[open]')
    const walker = document.createTreeWalker(dialog ?? document.body, NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement as HTMLElement
      if (!node.textContent?.trim() || !element.checkVisibility({ visibilityProperty: true })) continue
      if (element.closest('[aria-disabled=true], script, style, noscript')) continue
      const grounds = []
      for (let e: Element | null = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor)
      const style = getComputedStyle(element)
      const [a, b] = [luminance(...grounds), luminance(...grounds, style.color)].sort((x, y) => y - x) as [
        number,
        number,
      ]
      const ratio = (a + 0.05) / (b + 0.05)
      const large = Number.parseFloat(style.fontSize) >= 24
      if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} ${node.textContent.trim().slice(0, 40)}`)
    }
    return faint
  })
}
