/** What is told of programs for which a browser has no memory, or no Worker, and what becomes of the others. */
import { expect, test } from '@playwright/test'
import { guests, onEachPlatform, openLibrary } from './programs.ts'

/** Grows its memory by 64 MiB until that is refused, and traps if that was before there were 4 GiB, or nearly. */
const GREEDY = [
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1],
  ...[7, 0x13, 2, 6, ...Buffer.from('memory'), 2, 0, 6, ...Buffer.from('_start'), 0, 0],
  // loop (memory.grow 1024) != -1, br_if; memory.size != 64513, if unreachable
  ...[10, 0x1c, 1, 0x1a, 0, 3, 0x40, 0x41, 0x80, 8, 0x40, 0, 0x41, 0x7f, 0x47, 0x0d, 0, 0x0b],
  ...[0x3f, 0, 0x41, 0x81, 0xf8, 3, 0x47, 4, 0x40, 0, 0x0b, 0x0b],
]

onEachPlatform((platform) => {
  test('a program that finds no memory ends and says so, its descriptors are closed, and the others go on', async ({
    page,
  }) => {
    const programs = await guests('cat', 'process')
    const seen = await page.evaluate(
      async ([platform, programs]) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const { fs } = container
        await fs.writeFile('/work/f', 'before')
        const waits = platform !== 'inline'
        const other = waits ? await container.exec({ args: ['/bin/cat'] }) : undefined
        const toOther = other?.stdin.getWriter()
        const fromOther = other?.stdout.pipeThrough(new TextDecoderStream()).getReader()
        await toOther?.write('one')
        const before = await fromOther?.read()

        // A browser reserves addresses for every memory, and has so many.
        const greedy = `onmessage = () => {
          globalThis.held = []
          try { while (held.length < 100000) held.push(new WebAssembly.Memory({ initial: 1, maximum: 65536 })) }
          catch (error) { postMessage(String(error)) }
        }`
        const worker = new Worker(URL.createObjectURL(new Blob([greedy])))
        const refused = await new Promise<string>((resolve) => {
          worker.onmessage = ({ data }) => resolve(data)
          worker.postMessage('')
        })

        const pipe = await sandbox.pipe()
        const said = waits ? new Response(pipe.readable).text() : undefined
        const starved = await container.exec({ args: ['/bin/process', 'to', '1', 'x'] }, { stdio: [null, pipe] })
        const status = await starved.wait()
        const text = await said
        await fs.appendFile('/work/f', ', during')
        await toOther?.write('two')
        const during = await fromOther?.read()
        await toOther?.close()
        const others = other && { said: [before?.value, during?.value], ...(await other.wait()) }
        worker.terminate()
        let after = await run(container, { args: ['/bin/cat', '/work/f'] })
        for (let tries = 0; after.exitCode !== 0 && tries < 50; tries++) {
          await new Promise((resolve) => setTimeout(resolve, 100))
          after = await run(container, { args: ['/bin/cat', '/work/f'] })
        }
        await sandbox.shutdown()
        return { refused, status, text, others, after }
      },
      [platform, programs] as const,
    )
    expect(seen.refused).toMatch(/memory/)
    expect(seen.status).toMatchObject({ exitCode: 134, reason: expect.stringMatching(/^out of memory/) })
    expect(seen.text).toBe(platform === 'inline' ? undefined : '')
    if (platform !== 'inline') expect(seen.others).toMatchObject({ exitCode: 0, said: ['one', 'two'] })
    expect(seen.after).toMatchObject({ exitCode: 0, stdout: 'before, during', stderr: '' })
  })

  test('a program that takes all memory that 32 bits can address is refused more, and nobody is harmed', async ({
    page,
  }) => {
    const programs = await guests('cat')
    const seen = await page.evaluate(
      async ([platform, programs, greedy]) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        await container.fs.writeFile('/work/f', 'text')
        await container.fs.writeFile('/work/greedy', new Uint8Array(greedy), { mode: 0o755 })
        const grown = await run(container, { args: ['/work/greedy'] })
        const other = await run(container, { args: ['/bin/cat', '/work/f'] })
        await sandbox.shutdown()
        return { grown, other }
      },
      [platform, programs, GREEDY] as const,
    )
    expect(seen.grown).toMatchObject({ exitCode: 0, stderr: '' })
    expect(seen.other).toMatchObject({ exitCode: 0, stdout: 'text' })
  })
})

test('a program whose Worker does not start, or fails, is told of, and the next one runs', async ({ page }) => {
  await openLibrary(page)
  const programs = await guests('cat', 'process')
  const seen = await page.evaluate(
    async ([programs]) => {
      const { start, run } = window.programs
      const { sandbox, container } = await start('worker', { programs })
      await container.fs.writeFile('/work/f', 'text')
      const read = () => run(container, { args: ['/bin/cat', '/work/f'] })
      const { Worker } = window
      const made: Worker[] = []
      const instead = (make: () => Worker) => {
        window.Worker = class {
          constructor() {
            const worker = make()
            made.push(worker)
            // biome-ignore lint/correctness/noConstructorReturn: a Worker of ours in place of the one that was asked for
            return worker
          }
        } as unknown as typeof Worker
      }
      const script = (text: string) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))

      const attempt = async () => {
        const pipe = await sandbox.pipe()
        const said = new Response(pipe.readable).text()
        const process = await container.exec({ args: ['/bin/process', 'to', '1', 'x'] }, { stdio: [null, pipe] })
        return { ...(await process.wait()), said: await said }
      }
      instead(() => new Worker('/no/such/worker.js', { type: 'module' }))
      const missing = await attempt()
      instead(() => {
        throw new RangeError('no thread is left')
      })
      const refused = await attempt()
      // It starts, and dies of something that is no program's doing.
      instead(
        () =>
          new Worker(
            script(`onmessage = ({ ports: [port] }) => {
              port.onmessage = () => setTimeout(() => { throw new RangeError('Array buffer allocation failed') })
              port.postMessage({ started: true })
            }`),
          ),
      )
      const died = await attempt()
      window.Worker = Worker
      const after = await read()
      await sandbox.shutdown()
      return { missing, refused, died, after, made: made.length }
    },
    [programs] as const,
  )
  expect(seen).toMatchObject({
    missing: { exitCode: 126, reason: expect.stringMatching(/guest\.worker\.js/), said: '' },
    refused: { exitCode: 126, reason: expect.stringMatching(/did not start: RangeError: no thread is left/), said: '' },
    died: { exitCode: 134, reason: expect.stringMatching(/its Worker failed: .*allocation failed/), said: '' },
    made: 2,
    after: { exitCode: 0, stdout: 'text' },
  })
})
