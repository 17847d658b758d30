/** The life of containers and processes on each platform: streams, arguments, environment, working directory, signals, states. */
import { expect, test } from '@playwright/test'
import { guests, onEachPlatform, openLibrary } from './programs.ts'

onEachPlatform((platform) => {
  test('arguments, environment and standard input reach a program, and each stream and its status come back', async ({
    page,
  }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const inputs = [
          'hä\nß',
          new TextEncoder().encode('hä\nß'),
          new Blob(['hä', '\nß']),
          new Blob(['hä\nß']).stream(),
          '',
        ]
        const large = 'a line that is longer than none\n'.repeat(100_000)
        const result = {
          hello: await run(container, {
            args: ['/bin/hello', 'one', 'zwei drei', ''],
            env: ['NAME=value', 'EMPTY=', 'EQUAL=a=b', 'UMLAUT=ü'],
          }),
          found: await run(container, { args: ['hello', 'by PATH'], env: ['PATH=/nowhere:/bin'] }),
          exit3: await run(container, { args: ['/bin/exit3'] }),
          cats: [] as string[],
          large: (await run(container, { args: ['/bin/cat'] }, { stdin: large })).stdout === large,
          missing: await run(container, { args: ['/bin/cat', '/no', '/bin/'] }),
        }
        for (const stdin of inputs) result.cats.push((await run(container, { args: ['/bin/cat'] }, { stdin })).stdout)
        await sandbox.shutdown()
        return result
      },
      { platform, programs: await guests('hello', 'exit3', 'cat') },
    )
    expect(seen.hello).toMatchObject({ exitCode: 0, stderr: '' })
    expect(seen.hello.stdout.split('\n')).toEqual([
      'hello',
      'argument 1: one',
      'argument 2: zwei drei',
      'argument 3: ',
      'environment: NAME=value',
      'environment: EMPTY=',
      'environment: EQUAL=a=b',
      'environment: UMLAUT=ü',
      '',
    ])
    expect(seen.hello.syscalls).toBeGreaterThan(0)
    expect(seen.found.stdout).toContain('argument 1: by PATH\n')
    expect(seen.exit3).toMatchObject({ exitCode: 3, stdout: '', stderr: 'leaving with 3\n' })
    expect(seen.cats).toEqual(['hä\nß', 'hä\nß', 'hä\nß', 'hä\nß', ''])
    expect(seen.large).toBe(true)
    expect(seen.missing).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: 'cat: /no: No such file or directory\ncat: /bin/: Is a directory\n',
    })
  })

  test('a working directory is where relative paths start, and is made if it is not there', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const { fs } = container
        await fs.mkdir('/work/project/src', { recursive: true })
        await fs.writeFile('/work/project/notes', 'in the project\n')
        await fs.writeFile('/work/project/src/main.c', 'in its folder\n')
        await fs.writeFile('/tmp/other', 'elsewhere\n')
        const paths = ['notes', './src/main.c', 'src/../notes', '/tmp/other', '/work/project/notes']
        const cat = await run(container, { args: ['/bin/cat', ...paths], cwd: '/work/project' })
        const files = await run(container, { args: ['/bin/files'], cwd: '/work/fresh/place' })
        const kept = await fs.readdir('/work/fresh')
        const relative = await run(container, { args: ['../../bin/hello'], cwd: '/work/project' })
        await sandbox.shutdown()
        return { cat, files, kept, relative }
      },
      { platform, programs: await guests('hello', 'cat', 'files') },
    )
    const texts = 'in the project\nin its folder\nin the project\nelsewhere\nin the project\n'
    expect(seen.cat).toMatchObject({ stderr: '', stdout: texts, exitCode: 0 })
    expect(seen.files).toMatchObject({
      stderr: '',
      exitCode: 0,
      stdout: expect.stringMatching(/^wrote poem.txt\n(.*\n)*done\n$/),
    })
    expect(seen.kept).toEqual(['place'])
    expect(seen.relative.stdout).toBe('hello\n')
  })

  test('a path to a file right at the root, and one that climbs, is found from another working directory', async ({
    page,
  }) => {
    test.fail(
      true,
      'preview1 has no working directory: libc asks for `top` where its program says `/top`, and `..` leaves it',
    )
    const cat = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { container } = await start(platform, { programs })
        await container.fs.writeFile('/top', 'at the top\n')
        return run(container, { args: ['/bin/cat', '/top', '../top'], cwd: '/work' })
      },
      { platform, programs: await guests('cat') },
    )
    expect(cat).toMatchObject({ stdout: 'at the top\nat the top\n', stderr: '' })
  })

  test('two containers over one tree each have their own changes, processes and names', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs, binaries }) => {
        const { start, run, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        await sandbox.provide('image', {
          'etc/motd': 'welcome\n',
          'etc/old': '',
          'bin/cat': { data: new URL(binaries.cat, location.href), mode: 0o755 },
        })
        const one = await sandbox.create('one', { root: { path: 'image' } })
        const two = await sandbox.create('two', { root: { path: 'image' } })
        await Promise.all([one.start(), two.start()])
        await Promise.all([
          one.fs.writeFile('/etc/motd', 'of one\n'),
          two.fs.rename('/etc/motd', '/etc/greeting'),
          one.fs.rm('/etc/old'),
        ])
        const [first, second] = await Promise.all([
          run(one, { args: ['/bin/cat', '/etc/motd'] }),
          run(two, { args: ['/bin/cat', '/etc/greeting'] }),
        ])
        const names = [await one.fs.readdir('/etc'), await two.fs.readdir('/etc')]
        const taken = await fault(sandbox.create('one'))
        await one.delete()
        const gone = await fault(one.fs.readdir('/'))
        const states = (await sandbox.containers()).map(({ id, status }) => [id, status])
        const later = await run(two, { args: ['/bin/cat', '/etc/greeting'] })
        const reused = await sandbox.create('one', { root: { path: 'image' } })
        const fresh = await reused.fs.readFile('/etc/motd', 'utf8')
        await sandbox.shutdown()
        return { first, second, names, taken, gone, states, later, fresh, box: container.id }
      },
      { platform, programs: await guests('hello'), binaries: await guests('cat') },
    )
    expect([seen.first.stdout, seen.second.stdout]).toEqual(['of one\n', 'welcome\n'])
    expect(seen.names).toEqual([['motd'], ['greeting', 'old']])
    expect(seen.taken).toMatchObject({ code: 'EEXIST', message: expect.stringContaining('container of this id') })
    expect(seen.gone).toMatchObject({ code: 'ENOENT', message: expect.stringContaining('no container') })
    expect(seen.states).toEqual([
      ['box', 'running'],
      ['two', 'running'],
    ])
    expect(seen.later.stdout).toBe('welcome\n')
    expect(seen.fresh).toBe('welcome\n')
  })

  test('a container is created, runs, stops with its first process, and is gone once deleted', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, ended, fault } = window.programs
        const { sandbox } = await start(platform, { programs })
        const spec = {
          annotations: { 'org.example.purpose': 'a test' },
          mounts: [{ destination: '/bin', type: 'bind', source: 'programs' }],
          process: { args: ['/bin/hello', 'init'], env: ['A=b'] },
        }
        const container = await sandbox.create('short', spec)
        const states = [await container.state()]
        const early = await fault(container.exec({ args: ['/bin/hello'] }))
        const process = await container.start()
        const end = await ended(process!)
        states.push(await container.state())
        const again = await fault(container.start())
        const late = await fault(container.exec({ args: ['/bin/hello'] }))
        await container.delete()
        const gone = [await fault(container.state()), await fault(container.delete())]

        const open = await sandbox.create('open')
        await open.start()
        states.push(await open.state())
        await open.kill('SIGTERM')
        states.push(await open.state())
        await open.delete()
        await sandbox.shutdown()
        return { states, early, end, again, late, gone }
      },
      { platform, programs: await guests('hello') },
    )
    const common = { ociVersion: expect.stringMatching(/^1\./), id: 'short', bundle: '' }
    expect(seen.states).toEqual([
      { ...common, status: 'created', annotations: { 'org.example.purpose': 'a test' } },
      { ...common, status: 'stopped', annotations: { 'org.example.purpose': 'a test' } },
      { ...common, id: 'open', status: 'running', annotations: {} },
      { ...common, id: 'open', status: 'stopped', annotations: {} },
    ])
    expect(seen.early).toMatchObject({ code: 'EBUSY', message: expect.stringContaining('call start() first') })
    expect(seen.end).toMatchObject({ exitCode: 0, stdout: 'hello\nargument 1: init\nenvironment: A=b\n' })
    expect(seen.again).toMatchObject({ code: 'EBUSY', message: expect.stringContaining('is started once') })
    expect(seen.late).toMatchObject({ code: 'EBUSY', message: expect.stringContaining('it has ended') })
    for (const error of seen.gone) expect(error).toMatchObject({ code: 'ENOENT' })
  })

  test('shutdown ends everything, and says so to what still waits', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const process = await container.exec({ args: ['/bin/cat'] })
        const patient = fault(process.wait())
        await sandbox.shutdown()
        await sandbox.shutdown()
        return { patient: await patient, later: await fault(container.fs.readdir('/')) }
      },
      { platform, programs: await guests('cat') },
    )
    const gone = { code: 'ERR_KERNEL_GONE', message: "the sandbox's kernel is gone: the sandbox was shut down" }
    expect(seen.later).toMatchObject(gone)
    // On inline the process had found the end of its input by then; elsewhere its end came first, or the kernel's.
    expect(['ERR_KERNEL_GONE', undefined]).toContain((seen.patient as { code?: string }).code)
  })

  // On inline a guest cannot wait for what others do.
  if (platform === 'inline') return

  test('a program hears what is written while it runs, and its answers come before its end', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const process = await container.exec({ args: ['/bin/cat'] })
        const other = await container.exec({ args: ['/bin/cat'] })
        const input = process.stdin.getWriter()
        const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader()
        const heard = []
        for (const word of ['first', 'second', 'third']) {
          await input.write(word)
          heard.push((await output.read()).value)
        }
        // Neither the page's files nor another program wait for one that waits.
        await container.fs.writeFile('/work/note', 'meanwhile')
        const meanwhile = await run(container, { args: ['/bin/cat', '/work/note'] })
        await input.close()
        const end = await process.wait()
        const more = await output.read()

        let pull: ReadableStreamDefaultController<string> | undefined
        const stdin = new ReadableStream<string>({
          start(controller) {
            pull = controller
          },
        })
        const piped = await container.exec({ args: ['/bin/cat'] }, { stdin })
        pull!.enqueue('through ')
        pull!.enqueue('a pipe')
        pull!.close()
        const through = await piped.text()
        await other.stdin.close()
        const silent = { text: await other.text(), ...(await other.wait()) }
        await sandbox.shutdown()
        return { heard, meanwhile, end, more, through, silent }
      },
      { platform, programs: await guests('cat') },
    )
    expect(seen.heard).toEqual(['first', 'second', 'third'])
    expect(seen.meanwhile.stdout).toBe('meanwhile')
    expect(seen.end).toMatchObject({ exitCode: 0 })
    expect(seen.more.done).toBe(true)
    expect(seen.through).toBe('through a pipe')
    expect(seen.silent).toMatchObject({ text: '', exitCode: 0 })
  })

  test('a program that waits is ended by a signal, by a deletion, and with the first process', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const one = await container.exec({ args: ['/bin/cat'] })
        const two = await container.exec({ args: ['/bin/cat'] })
        await one.kill()
        const ends = [await one.wait()]
        const dead = await fault(one.kill())
        const nonsense = await fault(two.kill('SIGNONSENSE'))
        const busy = await fault(container.delete())
        const state = await container.state()
        await two.kill(9)
        ends.push(await two.wait())
        const hello = await run(container, { args: ['/bin/hello'] })

        const other = await sandbox.create('other', {
          mounts: [{ destination: '/bin', type: 'bind', source: 'programs' }],
          process: { args: ['/bin/cat'] },
        })
        const init = await other.start()
        const child = await other.exec({ args: ['/bin/cat'] })
        const running = await other.state()
        await init!.stdin.close()
        ends.push(await init!.wait(), await child.wait())
        const stopped = await other.state()
        await other.delete()

        const three = await container.exec({ args: ['/bin/cat'] })
        await container.kill('SIGINT')
        ends.push(await three.wait())
        const another = await sandbox.create('another', {
          mounts: [{ destination: '/bin', type: 'bind', source: 'programs' }],
        })
        await another.start()
        const four = await another.exec({ args: ['/bin/cat'] })
        await another.delete({ force: true })
        ends.push(await four.wait())
        const left = (await sandbox.containers()).map(({ id }) => id)
        await sandbox.shutdown()
        return { ends, dead, nonsense, busy, state, hello, running, pid: init!.pid, stopped, left }
      },
      { platform, programs: await guests('cat', 'hello') },
    )
    expect(seen.ends.map(({ exitCode, signal }) => [exitCode, signal])).toEqual([
      [143, 'SIGTERM'],
      [137, 'SIGKILL'],
      [0, undefined],
      [137, 'SIGKILL'],
      [130, 'SIGINT'],
      [137, 'SIGKILL'],
    ])
    expect(seen.dead).toMatchObject({ code: 'ESRCH' })
    expect(seen.nonsense).toMatchObject({ code: 'EINVAL', message: expect.stringContaining('SIGNONSENSE') })
    expect(seen.busy).toMatchObject({ code: 'EBUSY', message: expect.stringContaining('kill it first') })
    expect(seen.state.status).toBe('running')
    expect(seen.hello.stdout).toBe('hello\n')
    expect(seen.running).toMatchObject({ status: 'running', pid: seen.pid })
    expect(seen.stopped).toMatchObject({ status: 'stopped' })
    expect(seen.left).toEqual(['box'])
  })
})

test('on worker, programs that end leave their Worker to the next, and one that is killed does not', async ({
  page,
}) => {
  await openLibrary(page)
  const made = await page.evaluate(
    async ({ programs }) => {
      const { start, run } = window.programs
      let workers = 0
      window.Worker = class extends Worker {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options)
          if (String(url).includes('guest.worker')) workers++
        }
      }
      const { sandbox, container } = await start('worker', { programs })
      const made: number[] = []
      for (let i = 0; i < 3; i++) {
        const { exitCode } = await run(container, { args: ['/bin/hello'] })
        made.push(exitCode, workers)
      }
      const waiting = await container.exec({ args: ['/bin/cat'] })
      made.push(workers)
      await waiting.kill('SIGKILL')
      await waiting.wait()
      const { stdout } = await run(container, { args: ['/bin/hello'] })
      if (stdout !== 'hello\n') throw new Error(stdout)
      made.push(workers)
      await sandbox.shutdown()
      return made
    },
    { programs: await guests('hello', 'cat') },
  )
  expect(made).toEqual([0, 1, 0, 1, 0, 1, 1, 2])
})
