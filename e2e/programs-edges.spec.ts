/** A C guest on what the official test suite leaves out: several mounts, listings under change, many files, many writers, poll. */
import { expect, test } from '@playwright/test'
import { guests, onEachPlatform } from './programs.ts'

onEachPlatform((platform) => {
  test('preopens on different mounts: what crosses them is EXDEV, what would change a read-only one is EROFS, the rest works', async ({
    page,
  }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, {
          programs,
          bundle: { fixed: { file: 'fixed text' } },
          mounts: [{ destination: '/fixed', type: 'bind', source: 'fixed', options: ['ro'] }],
        })
        const end = await run(container, {
          args: ['/bin/edges', 'mounts', '/a', '/b', '/fixed'],
          preopens: { '/a': '/work', '/b': '/tmp', '/fixed': '/fixed' },
        })
        const left = [await container.fs.readdir('/work'), await container.fs.readdir('/tmp')]
        const text = await container.fs.readFile('/fixed/file', 'utf8')
        await sandbox.shutdown()
        return { end, left, text }
      },
      { platform, programs: await guests('edges') },
    )
    expect(seen.end).toMatchObject({ exitCode: 0, stderr: '' })
    expect(seen.end.stdout.split('\n')).toEqual([
      'fsync: OK',
      'fdatasync: OK',
      'fsync: OK',
      'fdatasync: OK',
      'devices differ: 1',
      'rename from mount to mount: EXDEV',
      'link from mount to mount: EXDEV',
      'rename within a mount: OK',
      'create on a read-only mount: EROFS',
      'open for writing there: EROFS',
      'mkdir there: EROFS',
      'unlink there: EROFS',
      'rename there: EROFS',
      'symlink there: EROFS',
      'truncate there: EROFS',
      'rename from there: EXDEV',
      'fsync there: OK',
      'read there: fixed text',
      '',
    ])
    expect(seen.left).toEqual([['two'], ['one']])
    expect(seen.text).toBe('fixed text')
  })

  test('a directory that is emptied while it is listed gives each name once, and 1,000 files are open at once', async ({
    page,
  }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, {
          programs,
          bundle: { image: { 'layered/': { directory: true } } },
        })
        const layered = await sandbox.create('layered', {
          root: { path: 'image' },
          mounts: [{ destination: '/bin', type: 'bind', source: 'programs', options: ['ro'] }],
        })
        await layered.start()
        const ends = []
        for (const [where, directory] of [
          [container, '/work'],
          [layered, '/layered'],
        ] as const) {
          ends.push(await run(where, { args: ['/bin/edges', 'readdir', directory] }))
          ends.push(await run(where, { args: ['/bin/edges', 'open', directory] }))
        }
        await sandbox.shutdown()
        return ends
      },
      { platform, programs: await guests('edges') },
    )
    const listed = { exitCode: 0, stdout: '700 names: 0 never seen, 0 twice\nleft: 100\n' }
    const opened = { exitCode: 0, stdout: '1000 open at once, 1000 read back\n' }
    expect(seen).toMatchObject([listed, opened, listed, opened])
  })

  test('ten programs that append to one file at once tear and lose no line', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, ended } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const processes = []
        for (let i = 0; i < 10; i++) {
          processes.push(await container.exec({ args: ['/bin/edges', 'append', '/work/log', `writer${i}`, '300'] }))
        }
        const ends = await Promise.all(processes.map(ended))
        const text = await container.fs.readFile('/work/log', 'utf8')
        await sandbox.shutdown()
        return { ends, text }
      },
      { platform, programs: await guests('edges') },
    )
    for (const end of seen.ends) expect(end).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
    const lines = seen.text.split('\n')
    expect(lines.pop()).toBe('')
    expect(lines).toHaveLength(3000)
    for (let writer = 0; writer < 10; writer++) {
      const own = Array.from({ length: 300 }, (_, i) => `writer${writer} ${i} ${'.'.repeat((i * 37) % 300)}`)
      expect(lines.filter((line) => line.startsWith(`writer${writer} `))).toEqual(own)
    }
  })

  test('poll waits for input that comes in pieces, until its end', async ({ page }) => {
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const pieces = (async function* () {
          for (const length of [1, 5000, 20_000]) {
            await new Promise((resolve) => setTimeout(resolve, 30))
            yield 'x'.repeat(length)
          }
        })()
        const stdin = new ReadableStream<string>({
          async pull(controller) {
            const { value, done } = await pieces.next()
            if (done) controller.close()
            else controller.enqueue(value)
          },
        })
        const ends = {
          stream: await run(container, { args: ['/bin/edges', 'poll'] }, { stdin }),
          text: await run(container, { args: ['/bin/edges', 'poll'] }, { stdin: 'all of it' }),
          nothing: await run(container, { args: ['/bin/edges', 'poll'] }, { stdin: '' }),
        }
        await sandbox.shutdown()
        return ends
      },
      { platform, programs: await guests('edges') },
    )
    expect(seen.stream).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^at first: [01]\n25001 bytes\n$/) })
    expect(seen.text).toMatchObject({ exitCode: 0, stdout: 'at first: 1\n9 bytes\n' })
    expect(seen.nothing).toMatchObject({ exitCode: 0, stdout: 'at first: 1\n0 bytes\n' })
  })
})
