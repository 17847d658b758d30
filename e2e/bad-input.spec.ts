/** What a person gets wrong is told to them in words that help, and the sandbox goes on working afterwards. */
import { expect, test } from '@playwright/test'
import type { ProcessInput } from '../src/client/index.ts'
import { plainOrigin } from './origins.mjs'
import { guests, onEachPlatform, openLibrary } from './programs.ts'

const hello = { exitCode: 0, stdout: 'hello\n', stderr: '' }

/** Processes that cannot be run; `exec` is rejected. */
const refused: { what: string; process: ProcessInput; code: string; message: RegExp }[] = [
  {
    what: 'text',
    process: { args: ['/bad/notes.wasm'] },
    code: 'ENOEXEC',
    message: /\/bad\/notes\.wasm: it is not a WebAssembly module that this browser can run/,
  },
  {
    what: 'an empty file',
    process: { args: ['/bad/empty.wasm'] },
    code: 'ENOEXEC',
    message: /\/bad\/empty\.wasm: it is not a WebAssembly module/,
  },
  {
    what: 'a module that is cut short',
    process: { args: ['/bad/cut.wasm'] },
    code: 'ENOEXEC',
    message: /\/bad\/cut\.wasm: it is not a WebAssembly module/,
  },
  {
    what: 'a component',
    process: { args: ['/bad/component.wasm'] },
    code: 'ENOEXEC',
    message: /preview2 component; runtab runs preview1/,
  },
  {
    what: 'a program that is missing',
    process: { args: ['/bin/nothing'] },
    code: 'ENOENT',
    message: /^ENOENT: no such file or directory.*'\/bin\/nothing'/,
  },
  {
    what: 'a name that PATH does not find',
    process: { args: ['nothing'], env: ['PATH=/bin:/usr/bin'] },
    code: 'ENOENT',
    message: /not in its PATH \/bin:\/usr\/bin.*'nothing'/,
  },
  { what: 'a name without PATH', process: { args: ['hello'] }, code: 'ENOENT', message: /no PATH in its environment/ },
  { what: 'a directory', process: { args: ['/bin'] }, code: 'EACCES', message: /it is a directory/ },
  {
    what: 'a program that the server does not have',
    process: { args: ['/bin/lost'] },
    code: 'EIO',
    message: /\/guests\/lost\.wasm: HTTP 404/,
  },
  {
    what: 'no arguments at all',
    process: { args: [] },
    code: 'EINVAL',
    message: /invalid process: 1 fault\nargs: must have at least one entry/,
  },
  {
    what: 'a working directory that is a file',
    process: { args: ['/bin/hello'], cwd: '/bad/notes.wasm' },
    code: 'ENOTDIR',
    message: /not a directory.*'\/bad\/notes\.wasm'/,
  },
]

/** Specs that cannot be met; `create` is rejected. */
const specs: { what: string; spec: unknown; code: string; message: RegExp }[] = [
  {
    what: 'faults in several places, all told in one error',
    spec: {
      root: { path: '/absolute' },
      mounts: [
        { destination: 'tmp', type: 'tmpfs' },
        { destination: '/data', type: 'bind', source: '/data/x' },
        { type: 'tmpfs' },
      ],
      process: { args: ['a', 5], cwd: 'b' },
    },
    code: 'EINVAL',
    message: new RegExp(
      [
        '^invalid container spec: 6 faults',
        'root\\.path: must be the name of a tree in the bundle, is an absolute path',
        'mounts\\[0\\]\\.destination: must be absolute',
        'mounts\\[1\\]\\.source: "/data/x" lies inside the mount\'s own destination "/data"',
        'mounts\\[2\\]\\.destination: is required',
        'process\\.args\\[1\\]: must be a string, is a number',
        'process\\.cwd: must be absolute$',
      ].join('\\n'),
    ),
  },
  {
    what: 'a name that is too long and options that are no list',
    spec: { hostname: 'x'.repeat(65), mounts: [{ destination: '/ok', type: 'tmpfs', options: 'ro' }] },
    code: 'EINVAL',
    message: /2 faults\nmounts\[0\]\.options: .*\nhostname: must be at most 64 bytes/,
  },
  {
    what: 'a bind of a tree that was never handed in',
    spec: { mounts: [{ destination: '/src', type: 'bind', source: 'sorces' }] },
    code: 'ENOENT',
    message: /mounts\[0\]: the bundle has no tree "sorces"; it has .*"src".*'\/src'/,
  },
  {
    what: 'a root that was never handed in',
    spec: { root: { path: 'image' } },
    code: 'ENOENT',
    message: /root: the bundle has no tree "image"; it has/,
  },
  {
    what: 'a directory over a file',
    spec: {
      mounts: [
        { destination: '/src', type: 'bind', source: 'src' },
        { destination: '/src/main.c', type: 'tmpfs' },
      ],
    },
    code: 'ENOTDIR',
    message: /mounts\[1\]: a directory cannot be mounted on a file.*mount '\/src\/main\.c'/,
  },
  {
    what: 'a file over a directory',
    spec: {
      mounts: [
        { destination: '/src/lib', type: 'bind', source: 'src/main.c' },
        { destination: '/src', type: 'bind', source: 'src' },
      ],
    },
    code: 'ENOTDIR',
    message: /mounts\[0\].*'\/src\/lib'/,
  },
  {
    what: 'a place that only a later mount would make',
    spec: {
      mounts: [
        { destination: '/a', type: 'bind', source: '/long/path' },
        { destination: '/long/path', type: 'tmpfs' },
      ],
    },
    code: 'ENOENT',
    message: /mounts\[0\]: source \/long\/path: not in the container as mounted so far.*'\/a'/,
  },
  {
    what: 'a size that is none',
    spec: { mounts: [{ destination: '/tmp', type: 'tmpfs', options: ['size=lots'] }] },
    code: 'EINVAL',
    message: /mounts\[0\].*size.*lots.*'\/tmp'/,
  },
  { what: 'no spec at all', spec: 'sandbox', code: 'EINVAL', message: /invalid container spec.*must be an object/s },
]

onEachPlatform((platform) => {
  test('what is no program is refused by name and reason', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs, processes }) => {
        const { start, run, fault } = window.programs
        const whole = new Uint8Array(await (await fetch(programs.hello)).arrayBuffer())
        const { sandbox, container } = await start(platform, {
          programs: { ...programs, lost: '/guests/lost.wasm' },
          bundle: {
            bad: {
              'notes.wasm': { data: 'just text\n', mode: 0o755 },
              'empty.wasm': { data: '', mode: 0o755 },
              'cut.wasm': whole.slice(0, 1000),
              'component.wasm': new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]),
            },
          },
          mounts: [{ destination: '/bad', type: 'bind', source: 'bad' }],
        })
        const results = []
        for (const process of processes) {
          const error = await fault(container.exec(process))
          results.push({ error, after: await run(container, { args: ['/bin/hello'] }) })
        }
        await sandbox.shutdown()
        return results
      },
      { platform, programs: await guests('hello'), processes: refused.map(({ process }) => process) },
    )
    for (const [i, { what, code, message }] of refused.entries()) {
      expect.soft(seen[i]!.error, what).toMatchObject({ code, message: expect.stringMatching(message) })
      expect.soft(seen[i]!.after, `after ${what}`).toMatchObject(hello)
    }
  })

  test('a program that fails says how: an import that nobody has, a trap, an exit code', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const results = []
        for (const name of ['foreign', 'trap', 'exit3', 'foreign', 'trap']) {
          const end = await run(container, { args: [`/bin/${name}`] })
          results.push({ end, after: await run(container, { args: ['/bin/hello'] }) })
        }
        const states = await sandbox.containers()
        await sandbox.shutdown()
        return { results, states }
      },
      { platform, programs: await guests('hello', 'trap', 'exit3', 'foreign') },
    )
    const needy = {
      exitCode: 126,
      stdout: '',
      reason: expect.stringMatching(/the program needs env\.ask_oracle \(function\), which runtab does not have/),
    }
    const trapped = {
      exitCode: 134,
      signal: 'SIGABRT',
      stdout: 'about to trap\n',
      reason: expect.stringContaining('unreachable'),
    }
    const left = { exitCode: 3, stdout: '', stderr: 'leaving with 3\n' }
    for (const [i, end] of [needy, trapped, left, needy, trapped].entries()) {
      expect.soft(seen.results[i]!.end).toMatchObject(end)
      expect.soft(seen.results[i]!.after).toMatchObject(hello)
    }
    expect(seen.states).toMatchObject([{ id: 'box', status: 'running' }])
  })

  test('100 MB of output arrive whole and in order; a program ends though nobody reads; a limit ends it', async ({
    page,
  }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, ended } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const from = performance.now()
        const process = await container.exec({ args: ['/bin/flood', '100'] })
        const bytes = new Uint8Array(await new Response(process.stdout).arrayBuffer())
        const { exitCode } = await process.wait()
        const time = performance.now() - from
        let inOrder = 0
        for (let line = 0; (line + 1) * 64 <= bytes.length; line++) {
          let number = 0
          for (let i = line * 64; i < line * 64 + 63; i++) number = number * 10 + bytes[i]! - 48
          if (number === line && bytes[line * 64 + 63] === 10) inOrder++
        }
        const unread = await (await container.exec({ args: ['/bin/flood', '100'] })).wait()
        const dropped = await container.exec({ args: ['/bin/flood', '100'] })
        await dropped.stdout.cancel()
        const unheard = await dropped.wait()
        const limited = await ended(
          await container.exec({ args: ['/bin/flood', '2'], limits: { outputBytes: 1_000_000 } }),
        )
        const after = await run(container, { args: ['/bin/hello'] })
        await sandbox.shutdown()
        const limit = { ...limited, stdout: limited.stdout.length }
        return { length: bytes.length, inOrder, exitCode, unread, unheard, limit, after, time }
      },
      { platform, programs: await guests('hello', 'flood') },
    )
    test.info().annotations.push({ type: 'milliseconds', description: String(seen.time) })
    expect(seen).toMatchObject({ length: 100_000_000, inOrder: 100_000_000 / 64, exitCode: 0 })
    expect(seen.unread).toMatchObject({ exitCode: 0 })
    expect(seen.unheard).toMatchObject({ exitCode: 0 })
    expect(seen.limit).toMatchObject({
      exitCode: 153,
      signal: 'SIGXFSZ',
      reason: 'it wrote more than 1000000 bytes of output (process.limits.outputBytes)',
      stdout: 1_000_000,
    })
    expect(seen.after).toMatchObject(hello)
  })

  test('a spec that cannot be met is refused by place and reason, and nothing of it stays', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs, specs }) => {
        const { start, run, fault } = window.programs
        const { sandbox, container } = await start(platform, {
          programs,
          bundle: { src: { 'main.c': 'int x;', 'lib/a.c': 'int a;' } },
        })
        const results = []
        for (const spec of specs) {
          const error = await fault(sandbox.create('faulty', spec as never))
          results.push({ error, after: await run(container, { args: ['/bin/hello'] }) })
        }
        const name = await fault(sandbox.create('not/a/name'))
        const twice = await fault(sandbox.provide('src', { a: '' }))
        const outside = await fault(sandbox.provide('evil', { '../a': '' }))
        const ids = (await sandbox.containers()).map(({ id }) => id)
        const again = await sandbox.create('faulty')
        await again.start()
        await sandbox.shutdown()
        return { results, ids, name, twice, outside }
      },
      { platform, programs: await guests('hello'), specs: specs.map(({ spec }) => spec) },
    )
    for (const [i, { what, code, message }] of specs.entries()) {
      expect.soft(seen.results[i]!.error, what).toMatchObject({ code, message: expect.stringMatching(message) })
      expect.soft(seen.results[i]!.after, `after ${what}`).toMatchObject(hello)
    }
    expect(seen.results[0]!.error).toMatchObject({ name: 'SpecError', faults: { length: 6 } })
    expect(seen.ids).toEqual(['box'])
    expect(seen.name).toMatchObject({ code: 'EINVAL', message: expect.stringContaining('letters, digits') })
    expect(seen.twice).toMatchObject({ code: 'EEXIST', message: expect.stringContaining('a tree of this name') })
    expect(seen.outside).toMatchObject({ code: 'EINVAL', message: expect.stringContaining('..') })
  })

  test('what can be left out of a spec gives a warning, and the rest is made', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, fault } = window.programs
        const { sandbox } = await start(platform, {
          programs,
          bundle: { src: { 'main.c': 'int x;', 'other.c': 'int y;' } },
        })
        const spec = {
          mounts: [
            { destination: '/net', type: 'nfs', source: 'server:/export' },
            { destination: '/tmp', type: 'tmpfs', options: ['size=1m', 'shiny'] },
            { destination: '/src', type: 'bind', source: 'src', options: ['ro'] },
            { destination: '/src/main.c', type: 'bind', source: 'src/other.c' },
            { destination: '/bin', type: 'bind', source: 'programs' },
          ],
          hostnam: 'typo',
          hooks: { prestart: [{ path: '/bin/hook' }] },
        }
        const container = await sandbox.create('warned', spec)
        const { fs } = container
        await container.start()
        const result = {
          warnings: container.warnings,
          mounts: (await container.mounts()).map(({ destination, type }) => [destination, type]),
          top: await fs.readdir('/'),
          over: await fs.readFile('/src/main.c', 'utf8'),
          under: await fs.readFile('/src/other.c', 'utf8'),
          full: await fault(fs.writeFile('/tmp/large', new Uint8Array(2_000_000))),
          hello: await run(container, { args: ['/bin/hello'] }),
        }
        await sandbox.shutdown()
        return result
      },
      { platform, programs: await guests('hello') },
    )
    expect(seen.warnings).toEqual([
      'hostnam: unknown field, ignored (did you mean "hostname"?)',
      'hooks.prestart: hooks are not run in a browser',
      expect.stringMatching(/^mounts\[0\]\.type: unknown type "nfs", the mount on \/net is skipped/),
      'mounts[1].options[1]: unknown option "shiny", ignored',
    ])
    const own = seen.mounts.map(([destination]) => destination).filter((place) => !/^\/(proc|sys|dev)\b/.test(place!))
    expect(own).toEqual(['/', '/tmp', '/src', '/bin', '/src/main.c'])
    expect(seen.top).not.toContain('net')
    expect([seen.over, seen.under]).toEqual(['int y;', 'int y;'])
    expect(seen.full).toMatchObject({ code: 'ENOSPC', syscall: 'write' })
    expect(seen.hello).toMatchObject(hello)
  })

  test('a kernel that dies rejects every call with what happened, and the page can boot another', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { Sandbox, start, run, fault } = window.programs
        // A Worker that is the library's, and which works for a while and then throws where nobody catches it.
        const mortal = `
          import ${JSON.stringify(new URL('/lib/kernel.worker.js', location.href).href)}
          const channel = new BroadcastChannel('fate')
          channel.onmessage = () => {
            channel.postMessage('dying')
            for (const end = Date.now() + 300; Date.now() < end; );
            throw new Error('memory ran out')
          }`
        const url = URL.createObjectURL(new Blob([mortal], { type: 'text/javascript' }))
        const sandbox = await Sandbox.boot({ platform, worker: new Worker(url, { type: 'module' }) })
        const container = await sandbox.create('one')
        await container.start()
        await container.fs.writeFile('/cat', new Uint8Array(await (await fetch(programs.cat)).arrayBuffer()))
        const process = await container.exec({ args: ['/cat'] })
        const running = [process.wait(), process.text()]
        const fate = new BroadcastChannel('fate')
        const dying = new Promise((resolve) => {
          fate.onmessage = resolve
        })
        fate.postMessage('die')
        await dying
        const pending = [container.fs.readdir('/'), container.state(), container.exec({ args: ['/cat'] })]
        const dead = []
        for (const call of platform === 'inline' ? pending : [...pending, ...running]) dead.push(await fault(call))
        dead.push(await fault(container.fs.readdir('/')), await fault(sandbox.create('two')))
        await sandbox.shutdown()

        const nowhere = await fault(Sandbox.boot({ worker: new URL('/no/such/worker.js', location.href) }))
        const stillborn = URL.createObjectURL(
          new Blob(['onmessage = () => { throw new Error("out of luck") }'], { type: 'text/javascript' }),
        )
        const unlucky = await fault(Sandbox.boot({ worker: stillborn }))
        const second = await start(platform, { programs })
        const after = await run(second.container, { args: ['/bin/hello'] })
        await second.sandbox.shutdown()
        return { dead, nowhere, unlucky, after }
      },
      { platform, programs: await guests('hello', 'cat') },
    )
    expect(seen.dead).toHaveLength(platform === 'inline' ? 5 : 7)
    for (const error of seen.dead) {
      expect(error).toMatchObject({
        code: 'ERR_KERNEL_GONE',
        message: expect.stringMatching(/^the sandbox's kernel is gone: its Worker failed: .*memory ran out/),
      })
    }
    expect(seen.nowhere).toMatchObject({
      code: 'ERR_KERNEL_GONE',
      message: expect.stringMatching(/could not be loaded from .*\/no\/such\/worker\.js/),
    })
    expect(seen.unlucky).toMatchObject({ code: 'ERR_KERNEL_GONE', message: expect.stringContaining('out of luck') })
    expect(seen.after).toMatchObject(hello)
  })
})

test('a platform that there is not, or not here, is refused with what to do about it', async ({ page }) => {
  await openLibrary(page, plainOrigin())
  const errors = await page.evaluate(async () => {
    const { Sandbox, fault } = window.programs
    return [
      await fault(Sandbox.boot({ platform: 'magic' as never })),
      await fault(Sandbox.boot({ platform: 'worker' })),
    ]
  })
  expect(errors).toMatchObject([
    { message: 'there is no platform "magic"; there are worker, jspi, inline' },
    { message: expect.stringMatching(/^platform "worker" can't be used: /) },
  ])
})
