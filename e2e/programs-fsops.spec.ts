/** fsops sees on our tmpfs, in a page, what it sees under node:wasi on a real tmpfs directory, but for differences argued one by one. */
import { expect, test } from '@playwright/test'
import { buildGuest } from './guests/build.mjs'
import { unexplained } from './guests/fsops.differences.mjs'
import { guests, onEachPlatform } from './programs.ts'
import { runNodeWasi, temporaryDirectory } from './reference/node-wasi.mjs'

onEachPlatform((platform) => {
  test('fsops prints what it prints on Linux', async ({ page }) => {
    const programs = await guests('fsops')
    const ours = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const end = await run(container, { args: ['/bin/fsops', '/sandbox'], preopens: { '/sandbox': '/work' } })
        await sandbox.shutdown()
        return end
      },
      { platform, programs },
    )
    using directory = temporaryDirectory()
    const node = await runNodeWasi(await buildGuest('fsops.c'), {
      dir: directory.path,
      args: ['/sandbox'],
      preopen: '/sandbox',
    })
    expect(ours).toMatchObject({ exitCode: 0, stderr: '' })
    expect(unexplained(ours.stdout, node.stdout.toString())).toEqual([])
  })
})
