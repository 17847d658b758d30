/** The platform worker: a guest has a Worker of its own, and its system calls reach the kernel through shared memory. */
import { expect, type Page, test } from '@playwright/test'
import type * as runtab from '../src/client/index.ts'
import { buildGuest } from './guests/build.mjs'
import { unexplained } from './guests/fsops.differences.mjs'
import { plainOrigin } from './origins.mjs'
import { runNodeWasi, temporaryDirectory } from './reference/node-wasi.mjs'

declare global {
  interface Window {
    runtab: Promise<typeof runtab>
    container: runtab.Container
    sandbox: runtab.Sandbox
  }
}

/** Opens a page and boots a sandbox with one container: the guests in /bin, a tmpfs at /work. */
async function boot(page: Page, ...guests: string[]): Promise<void> {
  await page.goto('/pages/library.html')
  const paths = await Promise.all(guests.map(async (name) => [name, (await buildGuest(`${name}.c`)).split('/').pop()!]))
  await page.evaluate(async (paths) => {
    const { Sandbox } = await window.runtab
    const root = Object.fromEntries(
      paths.map(([name, file]) => [`bin/${name}`, new URL(`/guests/${file}`, location.href)]),
    )
    const programs = Object.entries(root).map(([path, url]) => [path, { data: url, mode: 0o755 }] as const)
    window.sandbox = await Sandbox.boot({ platform: 'worker', bundle: { root: programs } })
    window.container = await window.sandbox.create('a', {
      root: { path: 'root' },
      mounts: [{ destination: '/work', type: 'tmpfs' }],
    })
    await window.container.start()
  }, paths)
}

interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly exit: Awaited<ReturnType<runtab.Process['wait']>>
}

function run(page: Page, process: Parameters<runtab.Container['exec']>[0], stdin?: string): Promise<Ran> {
  return page.evaluate(
    async ([process, stdin]) => {
      const running = await window.container.exec(process, stdin === undefined ? {} : { stdin })
      const [stdout, stderr] = await Promise.all([running.text(), new Response(running.stderr).text()])
      return { stdout, stderr, exit: await running.wait() }
    },
    [process, stdin] as const,
  )
}

test('a program runs in a Worker of its own, with its arguments and environment, and its exit comes through', async ({
  page,
}) => {
  await boot(page, 'hello', 'exit3', 'trap')
  expect(await page.evaluate(() => [window.sandbox.platform, window.sandbox.available[0]])).toEqual([
    'worker',
    'worker',
  ])
  const workers = page.workers().length
  const hello = await run(page, { args: ['/bin/hello', 'one', 'zwei drei'], env: ['NAME=value'] })
  const stdout = 'hello\nargument 1: one\nargument 2: zwei drei\nenvironment: NAME=value\n'
  expect(hello).toMatchObject({ stdout, stderr: '', exit: { exitCode: 0 } })
  expect(hello.exit.syscalls).toBeGreaterThan(0)
  expect(await run(page, { args: ['/bin/exit3'] })).toMatchObject({ stderr: 'leaving with 3\n', exit: { exitCode: 3 } })
  const trap = await run(page, { args: ['/bin/trap'] })
  expect(trap).toMatchObject({ stdout: 'about to trap\n', exit: { exitCode: 134, signal: 'SIGABRT' } })
  expect(trap.exit.reason).toMatch(/unreachable/)
  // One may wait for the next program.
  await expect.poll(() => page.workers().length).toBeLessThanOrEqual(workers + 1)
})

test('fsops sees through the channel what it sees on Linux', async ({ page }) => {
  await boot(page, 'fsops')
  const ours = await run(page, { args: ['/bin/fsops', '/sandbox'], preopens: { '/sandbox': '/work' } })
  using directory = temporaryDirectory()
  const wasm = await buildGuest('fsops.c')
  const node = await runNodeWasi(wasm, { dir: directory.path, args: ['/sandbox'], preopen: '/sandbox' })
  expect(ours.stderr).toBe('')
  expect(unexplained(ours.stdout, node.stdout.toString())).toEqual([])
  expect(ours.exit.exitCode).toBe(node.exitCode)
})

test('a program that reads waits for what is written to its standard input, and others run meanwhile', async ({
  page,
}) => {
  await boot(page, 'cat', 'hello')
  const seen = await page.evaluate(async () => {
    const cat = await window.container.exec({ args: ['/bin/cat'] })
    const output = cat.stdout.pipeThrough(new TextDecoderStream()).getReader()
    const input = cat.stdin.getWriter()
    const echoed: (string | undefined)[] = []
    for (const text of ['one', 'two', 'three']) {
      await input.write(text)
      echoed.push((await output.read()).value)
      const other = await window.container.exec({ args: ['/bin/hello'] })
      echoed.push(await other.text())
    }
    await input.close()
    return { echoed, end: await output.read(), exit: await cat.wait() }
  })
  expect(seen).toMatchObject({
    echoed: ['one', 'hello\n', 'two', 'hello\n', 'three', 'hello\n'],
    end: { done: true },
    exit: { exitCode: 0 },
  })
})

for (const [how, said] of [
  ['spin', 'spinning\n'],
  ['for-ever', 'reading\n'],
] as const) {
  test(`a program that never ends (${how}) is killed at once, while another and the page's own calls go on`, async ({
    page,
  }) => {
    await boot(page, 'roundtrip', 'hello', 'cat')
    const seen = await page.evaluate(async (how) => {
      const { container } = window
      const endless = await container.exec({ args: ['/bin/roundtrip', how], cwd: '/work' })
      const output = endless.stdout.pipeThrough(new TextDecoderStream()).getReader()
      const said = (await output.read()).value
      const waiting = await container.exec({ args: ['/bin/cat'] })
      await container.fs.writeFile('/work/by-the-page', 'text')
      const read = await container.fs.readFile('/work/by-the-page', 'utf8')
      const hello = await (await container.exec({ args: ['/bin/hello'] })).text()
      await endless.kill('SIGKILL')
      const exit = await endless.wait()
      const after = await (await container.exec({ args: ['/bin/cat', '/work/by-the-page'] })).text()
      const input = waiting.stdin.getWriter()
      await input.write('still here')
      await input.close()
      return { said, read, hello, exit, after, waited: await waiting.text() }
    }, how)
    const exit = { exitCode: 137, signal: 'SIGKILL' }
    expect(seen).toMatchObject({ said, read: 'text', hello: 'hello\n', exit, after: 'text', waited: 'still here' })
  })
}

test('what a killed program had open is closed, and a program that waits is killed like one that runs', async ({
  page,
}) => {
  await boot(page, 'cat')
  const seen = await page.evaluate(async () => {
    const { container, sandbox } = window
    const cat = await container.exec({ args: ['/bin/cat'] })
    await cat.kill('SIGTERM')
    const exit = await cat.wait()
    await container.delete({ force: true })
    return { exit, left: await sandbox.containers() }
  })
  expect(seen).toMatchObject({ exit: { exitCode: 143, signal: 'SIGTERM' }, left: [] })
})

test('a page that is not isolated is told what it lacks, and gets another platform by itself', async ({ page }) => {
  await page.goto(`${plainOrigin()}/pages/library.html`)
  const seen = await page.evaluate(async () => {
    const { Sandbox } = await window.runtab
    const refused = await Sandbox.boot({ platform: 'worker' }).catch((error: Error) => error.message)
    const sandbox = await Sandbox.boot()
    return { refused, platform: sandbox.platform, available: sandbox.available }
  })
  expect(seen.refused).toMatch(/platform "worker" can't be used: .*Cross-Origin-Opener-Policy: same-origin/)
  expect(seen.available).not.toContain('worker')
  expect(seen.platform).not.toBe('worker')
})

test('the cost of a call is measured, alone and while the page calls, too', async ({ page }, info) => {
  await boot(page, 'roundtrip', 'hello')
  const measure = () =>
    page.evaluate(async () => {
      const process = await window.container.exec({ args: ['/bin/roundtrip', 'measure', '150'], cwd: '/work' })
      const rows = (await process.text()).trim().split('\n')
      return Object.fromEntries(rows.map((row) => row.split(' '))) as Record<string, string>
    })
  const alone = await measure()
  const busy = await page
    .evaluate(() => {
      const latencies: number[] = []
      let on = true
      const calling = (async () => {
        while (on) {
          const start = performance.now()
          await window.container.fs.stat('/work')
          latencies.push(performance.now() - start)
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
      })()
      Object.assign(window, {
        stopCalling: async () => {
          on = false
          await calling
          return latencies.sort((a, b) => a - b)
        },
      })
    })
    .then(measure)
  const latencies = await page.evaluate(() => (window as unknown as { stopCalling(): Promise<number[]> }).stopCalling())
  const start = await page.evaluate(async () => {
    const times: number[] = []
    for (let i = 0; i < 10; i++) {
      const start = performance.now()
      await (await window.container.exec({ args: ['/bin/hello'] })).wait()
      times.push(performance.now() - start)
    }
    return times.sort((a, b) => a - b)[5]!
  })

  const names = [
    'openat+close',
    'pread-16',
    'pread-4K',
    'pread-64K',
    'pread-1M',
    'pwrite-4K',
    'pwrite-64K',
    'pwrite-1M',
  ]
  expect(Object.keys(alone)).toEqual(names)
  expect(Object.keys(busy)).toEqual(names)
  const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))]!.toFixed(1)
  console.log(
    [
      `${info.project.name}: microseconds a call, alone / while the page calls`,
      ...names.map((name) => `  ${name.padEnd(13)} ${alone[name]!.padStart(8)} ${busy[name]!.padStart(8)}`),
      `  the page's own calls meanwhile: ${latencies.length}, median ${at(0.5)} ms, 90 % ${at(0.9)} ms, longest ${at(1)} ms`,
      `  a program's start and end: ${start.toFixed(1)} ms`,
    ].join('\n'),
  )
})
