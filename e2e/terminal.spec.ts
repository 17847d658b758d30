/** A program at a terminal, with xterm.js as screen and keyboard: lines that are edited, signals, the end of input, a prompt. */
import { expect, type Page, test } from '@playwright/test'
import type { Terminal as Xterm } from '@xterm/xterm'
import type { Container, PlatformName, Process } from '../src/client/index.ts'
import { isolatedOrigin, plainOrigin } from './origins.mjs'
import { guests } from './programs.ts'

declare global {
  interface Window {
    Terminal: typeof Xterm
    session: { container: Container; xterm: Xterm; process: Process }
  }
}

/** Where programs can wait for a person. */
const platforms = ['worker', 'jspi'] as const

/** What is on the screen, from the first line to the cursor's. */
const screen = (page: Page) =>
  page.evaluate(() => {
    const { buffer } = window.session.xterm
    const { active } = buffer
    const lines = Array.from({ length: active.baseY + active.cursorY + 1 }, (_, i) =>
      active.getLine(i)?.translateToString(true),
    )
    return lines.join('\n')
  })

const shows = (page: Page, text: string | RegExp) => expect.poll(() => screen(page)).toMatch(text)

/** Starts a program at a terminal whose screen is on the page, and puts the cursor there. */
async function open(page: Page, platform: PlatformName, programs: Record<string, string>, args: string[]) {
  await page.goto(`${platform === 'worker' ? isolatedOrigin() : plainOrigin()}/pages/terminal.html`)
  const suspends = await page.evaluate(() => 'Suspending' in WebAssembly)
  test.skip(platform === 'jspi' && !suspends, 'this browser has no JavaScript Promise Integration')
  await page.evaluate(
    async ({ platform, programs, args }) => {
      const { start } = window.programs
      const { container } = await start(platform, { programs })
      const xterm = new window.Terminal({ cols: 60, rows: 20 })
      xterm.open(document.getElementById('screen')!)
      const consoleSize = { width: 60, height: 20 }
      const process = await container.exec({ args, terminal: true, consoleSize, cwd: '/work' })
      process.terminal!.attach(xterm)
      window.session = { container, xterm, process }
      xterm.focus()
    },
    { platform, programs, args },
  )
}

const ended = (page: Page) =>
  page.evaluate(async () => {
    const { exitCode, signal } = await window.session.process.wait()
    return { exitCode, signal }
  })

for (const platform of platforms) {
  test.describe(`on ${platform}`, () => {
    test('a program asks and waits; what is typed is shown, edited and read by lines; ^D ends its input', async ({
      page,
    }) => {
      await open(page, platform, await guests('ask'), ['/bin/ask'])
      await shows(page, /^terminal: 1 1 1, xterm-256color, 60 x 20\nyour name\? $/)
      await page.keyboard.type('Ada Lovelaze')
      await shows(page, /your name\? Ada Lovelaze$/)
      await page.keyboard.press('Backspace')
      await page.keyboard.press('Backspace')
      await page.keyboard.type('ce')
      await page.keyboard.press('Enter')
      await shows(page, /your name\? Ada Lovelace\nhello, Ada Lovelace\n$/)
      await page.keyboard.type('wrong word')
      await page.keyboard.press('Control+w')
      // Pasted: drivers type what is not on their keyboard each in its own way.
      await page.evaluate(() => window.session.xterm.paste('ä€'))
      await shows(page, /\nwrong ä€ *$/)
      await page.keyboard.press('Backspace')
      await page.keyboard.press('Enter')
      await shows(page, /\nwrong ä *\n9 bytes: 77726f6e6720c3a40a\n$/)
      await page.keyboard.type('half')
      await page.keyboard.press('Control+d')
      await shows(page, /\nhalf4 bytes: 68616c66\n$/)
      await page.keyboard.press('Control+d')
      expect(await ended(page)).toEqual({ exitCode: 0 })
      await shows(page, /\nbye\n$/)
    })

    test('^C ends a program that waits', async ({ page }) => {
      await open(page, platform, await guests('ask'), ['/bin/ask'])
      await shows(page, /your name\? $/)
      await page.keyboard.press('Control+c')
      expect(await ended(page)).toEqual({ exitCode: 130, signal: 'SIGINT' })
      await shows(page, /your name\? \^C$/)
    })

    test('raw mode hands over every key as it is typed, and shows nothing', async ({ page }) => {
      await open(page, platform, await guests('ask'), ['/bin/ask'])
      await page.keyboard.type('x\n')
      await shows(page, /hello, x\n$/)
      await page.evaluate(() => window.session.process.terminal!.raw())
      await page.keyboard.press('Control+c')
      await shows(page, /1 bytes: 03\n/)
      await page.keyboard.press('ArrowUp')
      await shows(page, /3 bytes: 1b5b41\n/)
      await page.evaluate(() => window.session.process.terminal!.set({ isig: true }))
      await page.keyboard.press('Control+\\')
      expect(await ended(page)).toEqual({ exitCode: 131, signal: 'SIGQUIT' })
    })

    test('a terminal that hangs up ends its program', async ({ page }) => {
      await open(page, platform, await guests('ask'), ['/bin/ask'])
      await shows(page, /your name\? $/)
      await page.evaluate(() => window.session.process.terminal!.hangUp())
      expect(await ended(page)).toEqual({ exitCode: 129, signal: 'SIGHUP' })
    })

    test('B168 a program serves a terminal to another, until nobody is at it', async ({ page }) => {
      await page.goto(`${platform === 'worker' ? isolatedOrigin() : plainOrigin()}/pages/terminal.html`)
      const suspends = await page.evaluate(() => 'Suspending' in WebAssembly)
      test.skip(platform === 'jspi' && !suspends, 'this browser has no JavaScript Promise Integration')
      const served = await page.evaluate(
        async ({ platform, programs }) => {
          const { ended, start } = window.programs
          const { sandbox, container } = await start(platform, { programs })
          const serve = async (typed: string) => {
            const server = await container.exec({ args: ['/bin/expect', typed] })
            const output = server.stdout.pipeThrough(new TextDecoderStream()).getReader()
            let said = ''
            while (!said.includes('\n')) said += (await output.read()).value
            const path = said.split(' ')[0]!
            const client = await container.exec({ args: ['/bin/ask'] }, { stdio: [{ path, flags: 'r+' }, 0, 0] })
            const { exitCode, signal } = await ended(client)
            for (let part = await output.read(); !part.done; part = await output.read()) said += part.value
            return { said: said.split('\n'), exitCode, signal, served: (await server.wait()).exitCode }
          }
          const all = [await serve('Ada\n^D'), await serve('^C')]
          const left = await container.fs.readdir('/dev/pts')
          await sandbox.shutdown()
          return { all, left }
        },
        { platform, programs: await guests('expect', 'ask') },
      )
      const first = 'terminal: 1 1 1, -, - x -\r'
      expect(served).toEqual({
        all: [
          {
            said: ['/dev/pts/0 1', first, 'your name? Ada\r', 'hello, Ada\r', 'bye\r', 'EIO', ''],
            ...{ exitCode: 0, served: 0 },
          },
          { said: ['/dev/pts/0 1', first, 'your name? ^CEIO', ''], exitCode: 130, signal: 'SIGINT', served: 0 },
        ],
        left: ['ptmx'],
      })
    })

    test('the prompt of Python: expressions, blocks, errors, questions, and ^D', async ({ page }) => {
      test.slow()
      await open(page, platform, { python: '/fixtures/runno/python-3.11.3.wasm' }, ['/bin/python', '-i', '-q'])
      await shows(page, /\n?>>> $/)
      const enter = async (line: string) => {
        await page.keyboard.type(line)
        await page.keyboard.press('Enter')
      }
      await enter('6 * 7')
      await shows(page, />>> 6 \* 7\n42\n>>> $/)
      await enter('for i in range(3):')
      await shows(page, /\n\.\.\. $/)
      await enter('  print("line", i)')
      await enter('')
      await shows(page, /line 0\nline 1\nline 2\n>>> $/)
      await enter('1/0')
      await shows(page, /ZeroDivisionError: division by zero\n>>> $/)
      await enter('input("really? ")')
      await shows(page, /\nreally\? $/)
      await enter('yes')
      await shows(page, /\n'yes'\n>>> $/)
      await enter('open("/work/made", "w").write("by hand")')
      await shows(page, /\n7\n>>> $/)
      await page.keyboard.press('Control+d')
      expect(await ended(page)).toEqual({ exitCode: 0 })
      expect(await page.evaluate(() => window.session.container.fs.readFile('/work/made', 'utf8'))).toBe('by hand')
    })
  })
}

test('^C ends a program that makes no calls, where it has a Worker of its own', async ({ page }) => {
  await open(page, 'worker', await guests('ask'), ['/bin/ask', 'loop'])
  await page.keyboard.type('x\n')
  await shows(page, /hello, x\n$/)
  await page.keyboard.press('Control+d')
  await shows(page, /bye\n$/)
  await page.keyboard.press('Control+c')
  expect(await ended(page)).toEqual({ exitCode: 130, signal: 'SIGINT' })
})

test('a program that prints faster than anybody reads waits, and ^C is not behind all that it printed', async ({
  page,
}) => {
  await page.goto(`${isolatedOrigin()}/pages/terminal.html`)
  const seen = await page.evaluate(
    async ({ programs }) => {
      const { container } = await window.programs.start('worker', { programs })
      const process = await container.exec({ args: ['/bin/flood', '10000'], terminal: true })
      const { readable, writable } = process.terminal!
      const written = async () => (await process.stats()).bytesWritten
      const stands = async () => {
        for (let last = -1, now = 0; last !== now; await new Promise((done) => setTimeout(done, 100)))
          [last, now] = [now, await written()]
        return written()
      }
      const unread = await stands()
      const reader = readable.getReader()
      let read = 0
      const more = async () => {
        const { value, done } = await reader.read()
        read += value?.length ?? 0
        return !done
      }
      while (read < 3_000_000) await more()
      const behind = (await stands()) - read
      await writable.getWriter().write('\u0003')
      while (await more());
      return { unread, behind, read, ...(await process.wait()) }
    },
    { programs: await guests('flood') },
  )
  // Of 10 GB.
  expect(seen.unread).toBeLessThan(600_000)
  expect(seen.behind).toBeLessThan(600_000)
  expect(seen.read).toBeLessThan(4_000_000)
  expect(seen).toMatchObject({ exitCode: 130, signal: 'SIGINT' })
})

test('on inline nobody can be waited for: what was given is read as it would have been typed', async ({ page }) => {
  await page.goto(`${plainOrigin()}/pages/terminal.html`)
  const end = await page.evaluate(
    async ({ programs }) => {
      const { start, run } = window.programs
      const { sandbox, container } = await start('inline', { programs })
      const end = await run(
        container,
        { args: ['/bin/ask'], terminal: true, env: ['TERM=dumb'] },
        { stdin: 'Ada\nx\n' },
      )
      await sandbox.shutdown()
      return end
    },
    { programs: await guests('ask') },
  )
  expect(end).toMatchObject({ exitCode: 0, stderr: '' })
  expect(end.stdout).toBe(
    'Ada\r\nx\r\nterminal: 1 1 1, dumb, 80 x 24\r\nyour name? hello, Ada\r\n2 bytes: 780a\r\nbye\r\n',
  )
})
