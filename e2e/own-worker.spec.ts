/** Programs in Workers of the page's own that join a container: with browser_wasi_shim as it is, and with our WASI. */
import { readFileSync } from 'node:fs'
import { expect, test } from '@playwright/test'
import { isolatedOrigin, plainOrigin } from './origins.mjs'
import { guests, openLibrary } from './programs.ts'

/** The Worker's script as the guide has it, with the addresses of this server in place of packages' names. */
function script(whose: 'the shim' | 'ours'): string {
  const guide = readFileSync(new URL('../docs/guide/processes.md', import.meta.url), 'utf8')
  const [, code] = /```js\n(.*?)```/s.exec(guide)!
  const ours = `${isolatedOrigin()}/lib/wasi.js`
  const theirs = `${isolatedOrigin()}/fixtures/shim/index.js`
  return code!
    .replace("'@bjorn3/browser_wasi_shim'", `'${whose === 'ours' ? ours : theirs}'`)
    .replace("'runtab/wasi'", `'${ours}'`)
}

for (const whose of ['the shim', 'ours'] as const)
  test(`a program in a Worker of the page's works on a container's files, by the WASI of ${whose}`, async ({
    page,
  }) => {
    await openLibrary(page, isolatedOrigin())
    const programs = await guests('edit', 'cat')
    const outcome = await page.evaluate(
      async ({ programs, script }) => {
        const { container } = await window.programs.start('worker')
        const run = async (program: string, args: string[]) => {
          const process = await container.join({ args, cwd: '/work' }, { stdin: 'typed\n' })
          const address = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
          const worker = new Worker(address, { type: 'module' })
          const exitCode = await new Promise<number>((resolve, reject) => {
            worker.onmessage = ({ data }) => resolve(data)
            worker.onerror = ({ message }) => reject(new Error(message))
            worker.postMessage({ connection: process.connection, program: new URL(program, location.href).href })
          })
          await process.leave(exitCode)
          worker.terminate()
          const [said, { exitCode: told }] = [await process.text(), await process.wait()]
          return { said, told }
        }
        const { edit, cat } = programs
        await run(edit, ['edit', 'write', 'a.txt', 'from a Worker\n'])
        return {
          ended: [
            await run(edit, ['edit', 'read', 'a.txt', 'remove', 'a.txt']),
            await run(edit, ['edit', 'read', 'a.txt']),
            await run(cat, ['cat']),
          ],
          left: await container.fs.readdir('/work'),
        }
      },
      { programs, script: script(whose) },
    )
    expect(outcome).toEqual({
      ended: [
        { said: 'from a Worker\n', told: 0 },
        { said: '', told: 1 },
        { said: 'typed\n', told: 0 },
      ],
      left: [],
    })
  })

test('where threads cannot share memory nobody joins a container, and is told so', async ({ page }) => {
  await openLibrary(page, plainOrigin())
  const error = await page.evaluate(async () => {
    const { container } = await window.programs.start('inline', {})
    return container.join({ args: ['mine'] }).then(String, String)
  })
  expect(error).toMatch(/EOPNOTSUPP.*platform worker only/)
})
