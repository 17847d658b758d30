/** clang and lld, 75 MB of WebAssembly, compile and link a program in a container, and the program runs there. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import type { Progress } from '../src/client/index.ts'
import { sysroot } from './archives.mjs'
import { buildGuest } from './guests/build.mjs'
import { onEachPlatform } from './programs.ts'
import { runNodeWasi, temporaryDirectory } from './reference/node-wasi.mjs'
import { root } from './tools/run.mjs'

onEachPlatform((platform) => {
  test('clang and lld make a program of a C file, which runs beside them; their headers stay as they are', async ({
    page,
  }) => {
    const source = readFileSync(new URL('guests/files.c', import.meta.url), 'utf8')
    const { url, index } = await sysroot()
    const seen = await page.evaluate(
      async ({ platform, source, url, index }) => {
        const { start, archive, run, fault } = window.programs
        const times: Record<string, number> = {}
        const { sandbox, container } = await start(platform, {
          programs: { llvm: '/fixtures/clang/llvm.core.wasm' },
          bundle: { sysroot: await archive(url, index), src: { 'files.c': source } },
          mounts: [
            { destination: '/usr', type: 'bind', source: 'sysroot', options: ['ro'] },
            { destination: '/src', type: 'bind', source: 'src', options: ['ro'] },
            { destination: '/data', type: 'tmpfs' },
          ],
        })
        const progress: Progress[] = []
        const timed = async (name: string, args: string[]) => {
          const from = performance.now()
          const end = await run(container, { args, cwd: '/work' }, { onProgress: (step) => progress.push(step) })
          times[name] = performance.now() - from
          return end
        }

        const plan = await timed('plan', ['/bin/llvm', 'clang', '-###', '-O2', '/src/files.c', '-o', 'files.wasm'])
        // The driver names the compiler by its path and the linker by its name alone; both are parts of the one program.
        const steps: string[][] = plan.stderr
          .split('\n')
          .filter((line) => line.startsWith(' "'))
          .map((line) => JSON.parse(`[${line.trim().replaceAll('" "', '","')}]`))
          .map((args) => (args[0] === '/bin/llvm' ? args : ['/bin/llvm', ...args]))
        const made = []
        for (const step of steps) made.push(await timed(step[1]!, step))
        const result = await timed('files', ['/work/files.wasm', '/data'])

        const intoSysroot = steps[0]!.with(steps[0]!.indexOf('-o') + 1, '/usr/include/files.o')
        const refused = {
          compiler: await timed('refused', intoSysroot),
          program: await timed('refused', ['/work/files.wasm', '/usr/include']),
          page: await fault(container.fs.writeFile('/usr/include/stdio.h', '')),
        }
        const left = [...(await container.fs.readdir('/work')), ...(await container.fs.readdir('/tmp'))]
        await sandbox.shutdown()
        return { plan, steps, made, result, refused, left, progress, times }
      },
      { platform, source, url, index },
    )
    test.info().annotations.push({ type: 'milliseconds', description: JSON.stringify(seen.times) })

    expect(
      seen.steps.map((args) => args[1]),
      seen.plan.stderr,
    ).toEqual(['clang', 'wasm-ld'])
    for (const { exitCode, stderr, stdout } of seen.made) {
      expect({ exitCode, stderr, stdout }).toEqual({ exitCode: 0, stderr: '', stdout: '' })
    }
    using directory = temporaryDirectory()
    const node = await runNodeWasi(await buildGuest('files.c'), {
      dir: directory.path,
      args: ['/data'],
      preopen: '/data',
    })
    expect(seen.result).toMatchObject({ exitCode: 0, stderr: '', stdout: node.stdout.toString() })
    expect(seen.result.stdout).toContain('renamed it verse.txt')

    expect(seen.refused.compiler.stderr).toContain("'/usr/include/files.o': 'Read-only file system'")
    expect(seen.refused.compiler.exitCode).toBe(1)
    expect(seen.refused.program).toMatchObject({ exitCode: 1, stderr: 'files: poem.txt: Read-only file system\n' })
    expect(seen.refused.page).toMatchObject({ code: 'EROFS', syscall: 'open', path: '/usr/include/stdio.h' })
    expect(seen.left).toEqual(['files.wasm', expect.stringMatching(/^files-.*\.o$/)])

    // The compiler was fetched and compiled once, before its first run, and told how far that was; on inline, where a fetch
    // blocks the kernel, only its start and its end.
    const total = statSync(join(root, 'node_modules/@yowasp/clang/gen/llvm.core.wasm')).size
    const loaded = seen.progress.filter(({ path }) => path.endsWith('/llvm.core.wasm')).map(({ loaded }) => loaded!)
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b))
    expect([loaded.at(0), loaded.at(-1), loaded.length > 2]).toEqual([0, total, platform !== 'inline'])
    expect(seen.progress.filter(({ path, stage }) => path === '/bin/llvm' && stage === 'compile')).toHaveLength(1)
  })
})
