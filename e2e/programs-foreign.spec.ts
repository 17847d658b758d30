/** Programs of others that ask for what preview1 is not: an old WASI, sockets. src/oci/foreign-programs.test.ts has more of them. */
import { expect, test } from '@playwright/test'
import { onEachPlatform } from './programs.ts'

onEachPlatform((platform) => {
  test('programs run that were built for wasi_unstable, or import the sockets of another runtime', async ({ page }) => {
    const seen = await page.evaluate(async (platform) => {
      const { start, run } = window.programs
      const { sandbox, container } = await start(platform, {
        programs: { sqlite: '/fixtures/runno/sqlite.wasm', quickjs: '/fixtures/runno/wasmedge_quickjs.wasm' },
        bundle: { src: { script: 'print(6 * 7)' } },
        mounts: [{ destination: '/src', type: 'bind', source: 'src', options: ['ro'] }],
      })
      const sqlite = (stdin: string) => run(container, { args: ['/bin/sqlite', '/work/base'] }, { stdin })
      const ends = [
        await sqlite('create table t(a);\ninsert into t values(1), (2);\n'),
        await sqlite('select sum(a) from t;\n'),
        await run(container, { args: ['/bin/quickjs', '/src/script'] }),
      ]
      await sandbox.shutdown()
      return ends
    }, platform)
    for (const end of seen) expect(end, end.reason).toMatchObject({ exitCode: 0, stderr: '' })
    expect(seen[1]!.stdout).toContain('3\n')
    expect(seen[2]!.stdout).toBe('42\n')
  })
})
