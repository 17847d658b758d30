/** Processes on each platform: their limits, their pipes to one another and to the page, and what remains when one is killed. */
import { expect, test } from '@playwright/test'
import { guests, onEachPlatform } from './programs.ts'

onEachPlatform((platform) => {
  const waits = platform !== 'inline'

  test('a process that passes a limit is ended with the reason, or its calls fail', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const p = (...args: string[]) => ['/bin/process', ...args]
        const late = []
        // A program that makes no call can only be ended where it has a thread of its own.
        const endless =
          platform === 'worker' ? [['loop'], ['calls'], ['sleep', '60000']] : [['calls'], ['sleep', '60000']]
        for (const args of endless) late.push(await run(container, { args: p(...args), limits: { wallTime: 200 } }))
        const seen = {
          late,
          files: await run(container, { args: p('open', '/bin/process'), limits: { openFiles: 10 } }),
          memory: await run(container, { args: p('grow'), limits: { memoryPages: 50 } }),
          large: await run(container, { args: p('grow'), limits: { memoryPages: 1 } }),
          output: await run(container, { args: p('lines', '100', 'some text'), limits: { outputBytes: 55 } }),
          unharmed: await run(container, { args: p('lines', '1', 'well') }),
        }
        await sandbox.shutdown()
        return seen
      },
      { platform, programs: await guests('process') },
    )
    for (const { signal, reason } of seen.late)
      expect([signal, reason]).toEqual(['SIGKILL', 'it ran for longer than 200 ms (process.limits.wallTime)'])
    expect(seen.files.stdout).toMatch(/^6, then No file descriptors available\n$/)
    expect(seen.memory).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/ (4\d|50) pages\n$/) })
    expect(seen.large).toMatchObject({
      exitCode: 126,
      reason: expect.stringMatching(
        /starts with \d+ pages .* may have 1 \(process\.limits\.memoryPages, or its cgroup\)/,
      ),
    })
    expect(seen.output).toMatchObject({
      ...{ signal: 'SIGXFSZ', stdout: 'some text\n'.repeat(6).slice(0, 55) },
      reason: 'it wrote more than 55 bytes of output (process.limits.outputBytes)',
    })
    expect(seen.unharmed).toMatchObject({ exitCode: 0, stdout: 'well\n' })
  })

  test('programs of two containers are connected by a pipe, or a file, or a FIFO, and to the page', async ({
    page,
  }) => {
    const seen = await page.evaluate(
      async ({ platform, waits, programs }) => {
        const { start, ended, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const p = (...args: string[]) => ({ args: ['/bin/process', ...args] })
        const bin = { destination: '/bin', type: 'bind', source: 'programs' }
        const other = await sandbox.create('other', { mounts: [bin] })
        await other.start()

        const pipe = await sandbox.pipe()
        const reader = waits && (await other.exec(p('copy'), { stdio: [pipe] }))
        const writer = await container.exec(p('lines', waits ? '5000' : '1000', 'x'.repeat(63)), {
          stdio: [null, pipe],
        })
        const wrote = await ended(writer)
        const read = await ended(reader || (await other.exec(p('copy'), { stdio: [pipe] })))

        const toGuest = await sandbox.pipe()
        const toPage = await sandbox.pipe()
        const page = toGuest.writable.getWriter()
        const answers = new Response(toPage.readable).text()
        if (!waits) await Promise.all([page.write('from the page'), page.close()])
        const between = await container.exec(p('copy'), { stdio: [toGuest, toPage] })
        if (waits) await Promise.all([page.write('from the page'), page.close()])
        const answer = [await answers, (await ended(between)).stderr]
        const broken = await sandbox.pipe()
        await broken.readable.cancel()
        const sigpipe = await ended(await container.exec(p('lines', '1', 'x'), { stdio: ['ignore', broken] }))
        const late = await fault(broken.writable.getWriter().write('x'))

        const log = { path: 'log', flags: 'a' }
        const logged = { ...p('copy'), cwd: '/work' }
        await (await container.exec(logged, { stdio: ['ignore', log, log] })).wait()
        await (await container.exec(logged, { stdio: [{ path: '/work/log' }, { path: 'log2' }, 1] })).wait()
        const files = [
          await container.fs.readFile('/work/log', 'utf8'),
          await container.fs.readFile('/work/log2', 'utf8'),
        ]

        await container.fs.mkfifo('/work/fifo')
        let fifo: string | undefined
        if (waits) {
          const out = await container.exec(p('append', '/work/fifo', '2', 'by name'))
          const back = await Promise.all([container.exec(p('copy'), { stdio: [{ path: '/work/fifo' }] }), out.wait()])
          fifo = (await ended(back[0])).stdout
        } else fifo = (await ended(await container.exec(p('append', '/work/fifo', '2', 'by name')))).stderr
        const wrong = [
          await fault(container.exec(p('copy'), { stdio: [null, null, null, null, pipe] })),
          await fault(container.exec(p('copy'), { stdio: [pipe], stdin: 'x' })),
          await fault(container.exec(p('copy'), { stdio: [{ path: '/work/none' }] })),
        ]
        await sandbox.shutdown()
        return { wrote, read, answer, sigpipe, late, files, fifo, wrong }
      },
      { platform, waits, programs: await guests('process') },
    )
    expect(seen.wrote).toMatchObject({ stdout: '', stderr: '', exitCode: 0 })
    expect(seen.read).toMatchObject({ stderr: `${waits ? 320_000 : 64_000} bytes\n`, exitCode: 0 })
    expect(seen.read.stdout === `${'x'.repeat(63)}\n`.repeat(waits ? 5000 : 1000)).toBe(true)
    expect(seen.answer).toEqual(['from the page', '13 bytes\n'])
    expect(seen.sigpipe).toMatchObject({ exitCode: 1, stderr: 'write: Broken pipe\n' })
    expect(seen.late).toMatchObject({ code: 'EPIPE' })
    expect(seen.files).toEqual(['0 bytes\n', '0 bytes\n8 bytes\n'])
    expect(seen.fifo).toBe(waits ? 'by name\nby name\n' : '/work/fifo: Resource temporarily unavailable\n')
    const [end, both, missing] = seen.wrong
    expect(end).toMatchObject({ message: expect.stringContaining('options.stdio[4]') })
    expect(both).toMatchObject({ message: expect.stringContaining('options.stdin') })
    expect(missing).toMatchObject({ code: 'ENOENT', path: '/work/none' })
  })

  test('what a process does is told as strace tells it, on a stream or in a file, and counted', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, waits, programs }) => {
        const { start, ended, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const p = (...args: string[]) => ({ args: ['/bin/process', ...args] })
        const lines = async (stream: ReadableStream<string>) => {
          const all = []
          const reader = stream.getReader()
          for (let next = await reader.read(); !next.done; next = await reader.read()) all.push(next.value)
          return all
        }
        const traced = await container.exec(p('append', '/log', '2', 'a line'), { strace: true })
        const [told] = await Promise.all([lines(traced.strace), traced.wait()])
        const stats = await traced.stats()
        const filtered = await container.exec(p('append', '/log', '300', 'a line'), {
          strace: { path: '/work/trace', calls: ['fd_write'] },
        })
        const inFile = [await lines(filtered.strace), (await filtered.wait()).exitCode]
        const file = await container.fs.readFile('/work/trace', 'utf8')
        const silent = await container.exec(p('lines', '1', 'x'))
        const nothing = await lines(silent.strace)
        const trap = await ended(await container.exec(p('trap'), { strace: true }))
        let waiting: unknown
        if (waits) {
          // The call that it waits in is told when it has its answer; those before it, at once.
          const process = await container.exec(p('copy'), { strace: { calls: ['fd_read', 'fd_write'] } })
          const reader = process.strace.getReader()
          const input = process.stdin.getWriter()
          await input.write('one')
          const first = (await reader.read()).value
          const second = (await reader.read()).value
          const live = await process.stats()
          await process.kill('SIGINT')
          reader.releaseLock()
          const { syscalls } = await process.wait()
          const counted = Object.values((await process.stats()).calls).reduce((sum, count) => sum + count, 0)
          waiting = { first, second, live, rest: await lines(process.strace), uncounted: syscalls - counted }
        }
        const endless = platform === 'worker' && (await container.exec(p('loop'), { strace: true }))
        let beforeLoop: string[] = []
        if (endless) {
          const reader = endless.strace.getReader()
          await reader.read()
          reader.releaseLock()
          await endless.kill(9)
          beforeLoop = await lines(endless.strace)
        }
        const late = await fault(container.exec(p('copy'), { strace: { path: '/bin/trace' } }))
        await sandbox.shutdown()
        return { told, stats, inFile, file, nothing, trap, waiting, beforeLoop, late }
      },
      { platform, waits, programs: await guests('process') },
    )
    const time = '<\\d+\\.\\d{6}>$'
    expect(seen.told).toEqual(
      expect.arrayContaining([
        expect.stringMatching(`^path_open\\(3</>, "log", O_WRONLY\\|O_CREAT\\|O_APPEND\\) = 4 ${time}`),
        expect.stringMatching(`^fd_write\\(4</log>, "a line\\\\n", 7\\) = 7 ${time}`),
        '+++ exited with 0 +++',
      ]),
    )
    expect(seen.told.filter((line) => line.startsWith('fd_write(4<'))).toHaveLength(2)
    expect(seen.told.at(-1)).toBe('+++ exited with 0 +++')
    expect(seen.stats).toMatchObject({ calls: { path_open: 1, fd_write: 2 }, bytesRead: 0, bytesWritten: 14 })
    expect(seen.stats.kernelTime).toBeGreaterThanOrEqual(0)
    expect(seen.inFile).toEqual([[], 0])
    const written = seen.file.split('\n')
    expect(written).toHaveLength(302)
    expect(written.slice(0, 300).every((line) => line.startsWith('fd_write(4</log>, "a line\\n", 7) = 7 <'))).toBe(true)
    expect(written.slice(300)).toEqual(['+++ exited with 0 +++', ''])
    expect(seen.nothing).toEqual([])
    expect(seen.trap).toMatchObject({ signal: 'SIGABRT', reason: expect.stringMatching(/unreachable/) })
    expect(seen.trap.stack).toMatch(/falls_here|wasm-function/)
    if (waits) {
      expect(seen.waiting).toMatchObject({
        first: expect.stringMatching(`^fd_read\\(0<stdin>, "one", 4096\\) = 3 ${time}`),
        second: expect.stringMatching(`^fd_write\\(1<stdout>, "one", 3\\) = 3 ${time}`),
        live: { bytesRead: 3, bytesWritten: 3 },
        uncounted: 0,
      })
      expect((seen.waiting as { rest: string[] }).rest.at(-1)).toBe('+++ killed by SIGINT +++')
    }
    if (platform === 'worker') expect(seen.beforeLoop.at(-1)).toBe('+++ killed by SIGKILL +++')
    expect(seen.late).toMatchObject({ code: 'EROFS', path: '/bin/trace' })
  })

  test('a library lives until it is ended, and does what the page calls, one call after another', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, waits, programs }) => {
        const { start, ended, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const library = await container.exec({ args: ['/bin/library'] })
        const other = await container.exec({ args: ['/bin/library'] })
        const counts = [await library.call('count'), await library.call('count'), await other.call('count')]
        const sum = await library.call('add', 2n ** 60n, 1)
        const at = (await library.call('room', 5)) as number
        await library.writeMemory(at, 'héy')
        await library.call('upper', at, 4)
        const text = new TextDecoder().decode(await library.readMemory(at, 4))
        await library.call('save', at, 4)
        const saved = await container.fs.readFile('/work/saved', 'utf8')
        const slow = await Promise.all([library.call('slow', 1), library.call('slow', 2)])
        const faults = [await fault(library.call('none')), await fault(library.call('add', 1, 1))]
        let heard: unknown
        if (waits) {
          const listening = library.call('listen')
          const input = library.stdin.getWriter()
          await input.write('12345')
          heard = await listening
          input.releaseLock()
        }
        const leaving = await fault(other.call('leave', 7))
        const trap = await fault(library.call('trap'))
        const ends = [await ended(library), await ended(other)]
        const late = await fault(library.call('count'))
        await sandbox.shutdown()
        return { counts, sum, text, saved, slow, faults, heard, leaving, trap, ends, late }
      },
      { platform, waits, programs: await guests('library') },
    )
    expect(seen.counts).toEqual([101, 102, 101])
    expect(seen.sum).toBe(2n ** 60n + 1n)
    expect([seen.text, seen.saved]).toEqual(['HéY', 'HéY'])
    expect(seen.slow).toEqual([1, 2])
    expect(seen.ends[0]!.stdout).toBe('1 begins\n1 ends\n2 begins\n2 ends\n')
    expect(seen.faults).toMatchObject([{ code: 'ENOENT', path: 'none' }, { code: 'EINVAL' }])
    if (waits) expect(seen.heard).toBe(5)
    expect(seen.leaving).toMatchObject({ code: 'ESRCH', message: expect.stringContaining('exit code 7') })
    expect(seen.trap).toMatchObject({ code: 'ESRCH', message: expect.stringContaining('unreachable') })
    expect(seen.ends).toMatchObject([{ signal: 'SIGABRT' }, { exitCode: 7 }])
    expect(seen.late).toMatchObject({ code: 'ESRCH' })
  })

  test('a process that is killed leaves its pipes, its files and all others in order', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, waits, programs }) => {
        const { start, ended, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const p = (...args: string[]) => ({ args: ['/bin/process', ...args] })
        // Calls of the page that wait end with their container.
        await container.fs.mkfifo('/work/fifo')
        const doomed = await sandbox.create('doomed', {
          mounts: [{ destination: '/bin', type: 'bind', source: 'programs' }],
        })
        await doomed.start()
        await doomed.fs.mkfifo('/fifo')
        const waiting = [
          fault(doomed.fs.readFile('/fifo')),
          fault(doomed.exec(p('copy'), { stdio: [{ path: '/fifo' }] })),
        ]
        await doomed.fs.stat('/')
        await doomed.delete({ force: true })
        const cancelled = await Promise.all(waiting)
        if (!waits) return { cancelled }

        const pipe = await sandbox.pipe()
        const endless = String(1e9)
        const writer = await container.exec(p('lines', endless, 'text'), { stdio: [null, pipe] })
        const reader = await container.exec(p('copy'), { stdio: [pipe, 'ignore'] })
        const bystander = await container.exec(p('copy'))
        await writer.kill('SIGKILL')
        const killed = await writer.wait()
        const read = await ended(reader) // it finds the end

        const second = await sandbox.pipe()
        const deaf = await container.exec(p('copy'), { stdio: [second, 'ignore'] })
        const broken = await container.exec(p('lines', endless, 'text'), { stdio: [null, second] })
        await deaf.kill('SIGKILL')
        const gone = [await deaf.wait(), await ended(broken)] as const

        const log = await container.exec(p('append', '/work/log', endless, 'a whole line'))
        while ((await container.fs.stat('/work/log').catch(() => ({ size: 0 }))).size < 1000);
        await log.kill(9)
        await log.wait()
        const size = (await container.fs.stat('/work/log')).size
        const half = (await container.fs.readFile('/work/log', 'utf8')).replaceAll('a whole line\n', '')
        const later = (await container.fs.stat('/work/log')).size
        const input = bystander.stdin.getWriter()
        await input.write('still here')
        await input.close()
        const unharmed = await ended(bystander)
        await sandbox.shutdown()
        return { cancelled, killed, read, gone, file: { size, half, later }, unharmed }
      },
      { platform, waits, programs: await guests('process') },
    )
    for (const error of seen.cancelled)
      expect(error).toMatchObject({ code: 'ECANCELED', message: expect.stringContaining('the container was deleted') })
    if (!waits) return
    expect(seen.killed).toMatchObject({ exitCode: 137, signal: 'SIGKILL' })
    expect(seen.read).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^\d+ bytes\n$/) })
    expect(seen.gone![0]).toMatchObject({ signal: 'SIGKILL' })
    expect(seen.gone![1]).toMatchObject({ exitCode: 1, stderr: 'write: Broken pipe\n' })
    expect(seen.file).toEqual({ size: expect.any(Number), half: '', later: seen.file!.size })
    expect(seen.unharmed).toMatchObject({ stdout: 'still here', exitCode: 0 })
  })
})
