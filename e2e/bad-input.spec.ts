/** What is wrong with a program or a spec is told so that a person can act on it, and the sandbox goes on working. */
import { expect, test } from '@playwright/test'
import { guests, onEachPlatform } from './programs.ts'

onEachPlatform((platform) => {
  test('a file that is no program, or needs what there is not, is refused with what is wrong; others still run', async ({
    page,
  }) => {
    const programs = await guests('hello', 'foreign')
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs, bundle: { text: { 'a.txt': 'not wasm' } } })
        await container.fs.writeFile('/work/text', 'this is no WebAssembly')
        await container.fs.writeFile('/work/cut.wasm', new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 99]))
        const exec = (...args: string[]) => fault(container.exec({ args }))
        const refused = {
          text: await exec('/work/text'),
          cut: await exec('/work/cut.wasm'),
          missing: await exec('/bin/nope'),
          nowhere: await exec('nope'),
          directory: await exec('/bin'),
          nothing: await exec(),
        }
        // A module is looked at before it runs: its process ends at once, and says why.
        const foreign = await run(container, { args: ['/bin/foreign'] })
        const hello = await run(container, { args: ['/bin/hello', 'still', 'here'] })
        await sandbox.shutdown()
        return { refused, foreign, hello }
      },
      { platform, programs },
    )
    const { text, cut, missing, nowhere, directory, nothing } = seen.refused
    expect(text).toMatchObject({ message: expect.stringContaining('/work/text: it is not a WebAssembly module') })
    expect(cut).toMatchObject({ message: expect.stringContaining('/work/cut.wasm: it is not a WebAssembly module') })
    expect(missing).toMatchObject({ code: 'ENOENT', path: '/bin/nope' })
    expect(nowhere).toMatchObject({ code: 'ENOENT', message: expect.stringContaining('no PATH in its environment') })
    expect(directory).toMatchObject({ code: 'EACCES', message: expect.stringContaining('it is a directory') })
    expect(nothing).toMatchObject({ code: 'EINVAL', message: expect.stringContaining('args') })
    expect(seen.foreign.exitCode).toBe(126)
    expect(seen.foreign.reason).toContain('the program needs env.ask_oracle (function), which runtab does not have')
    expect(seen.hello).toMatchObject({ exitCode: 0, stdout: 'hello\nargument 1: still\nargument 2: here\n' })
  })

  test('a program that traps, exits 3 or floods its output ends as it did, with all its output; others still run', async ({
    page,
  }) => {
    const programs = await guests('hello', 'trap', 'exit3', 'flood')
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const trap = await run(container, { args: ['/bin/trap'] })
        const exit3 = await run(container, { args: ['/bin/exit3'] })

        const flood = await container.exec({ args: ['/bin/flood', '100'] })
        let bytes = 0
        let last = new Uint8Array()
        const reader = flood.stdout.getReader()
        for (let next = await reader.read(); !next.done; next = await reader.read()) {
          bytes += next.value.length
          last = next.value
        }
        const tail = new TextDecoder().decode(last.subarray(-64))
        const flooded = { ...(await flood.wait()), bytes, tail }
        const unread = await (await container.exec({ args: ['/bin/flood', '100'] })).wait()

        const hello = await run(container, { args: ['/bin/hello'] })
        await sandbox.shutdown()
        return { trap, exit3, flooded, unread, hello }
      },
      { platform, programs },
    )
    expect(seen.trap).toMatchObject({
      exitCode: 134,
      signal: 'SIGABRT',
      reason: expect.stringContaining('unreachable'),
    })
    expect(seen.exit3.exitCode).toBe(3)
    expect(seen.exit3.stderr).not.toBe('')
    expect(seen.flooded).toMatchObject({ exitCode: 0, bytes: 100_000_000 })
    expect(seen.flooded.tail).toBe(`${String(100_000_000 / 64 - 1).padStart(63, '0')}\n`)
    expect(seen.unread.exitCode).toBe(0)
    expect(seen.hello).toMatchObject({ exitCode: 0, stdout: 'hello\n' })
  })

  test('a spec that is wrong is one error with every fault; one that cannot be mounted names the mount; others are made', async ({
    page,
  }) => {
    const programs = await guests('hello')
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, fault } = window.programs
        const { sandbox, container } = await start(platform, {
          programs,
          bundle: { one: { file: 'x', etc: { directory: true } } },
        })
        const create = (spec: object) => fault(sandbox.create('wrong', spec))
        const tmpfs = { destination: '/etc', type: 'tmpfs' }
        const file = { destination: '/etc/hosts', type: 'bind', source: 'one/file' }
        const faults = await create({
          hostname: 'x'.repeat(65),
          mounts: [
            { destination: 'tmp', type: 'tmpfs' },
            { destination: '/data', type: 'bind', source: '/data/inside' },
            { destination: '/ok', type: 'tmpfs', options: 'ro' },
          ],
          process: { cwd: 'relative', args: [] },
        })
        const directoryOverFile = await create({ mounts: [tmpfs, file, { destination: '/etc/hosts', type: 'tmpfs' }] })
        const noTree = await create({ root: { path: 'rootfs' } })
        const odd = await sandbox.create('odd', {
          mounts: [tmpfs, file, file, { destination: '/x', type: 'nfs' }, { ...tmpfs, options: ['wat'] }],
        })
        const taken = await fault(sandbox.create('odd', {}))
        const left = (await sandbox.containers()).map(({ id }) => id)
        const hello = await run(container, { args: ['/bin/hello'] })
        const content = await odd.fs.readdir('/')
        await sandbox.shutdown()
        return { faults, directoryOverFile, noTree, warnings: odd.warnings, taken, left, hello, content }
      },
      { platform, programs },
    )
    expect(seen.faults).toMatchObject({
      code: 'EINVAL',
      faults: expect.arrayContaining([
        { path: 'mounts[0].destination', rule: 'must be absolute' },
        { path: 'mounts[1].source', rule: '"/data/inside" lies inside the mount\'s own destination "/data"' },
        expect.objectContaining({ path: 'mounts[2].options' }),
        { path: 'process.cwd', rule: 'must be absolute' },
        expect.objectContaining({ path: 'process.args' }),
        expect.objectContaining({ path: 'hostname' }),
      ]),
    })
    expect(seen.faults).toMatchObject({ message: expect.stringContaining('mounts[0].destination: must be absolute') })
    expect(seen.directoryOverFile).toMatchObject({
      code: 'ENOTDIR',
      syscall: 'mount',
      path: '/etc/hosts',
      message: expect.stringContaining('mounts[2]: a directory cannot be mounted on a file'),
    })
    expect(seen.noTree).toMatchObject({
      message: expect.stringContaining('the bundle has no tree "rootfs"; it has "one", "programs"'),
    })
    expect(seen.warnings).toEqual([
      expect.stringContaining('mounts[3].type: unknown type "nfs"'),
      expect.stringContaining('unknown option "wat"'),
    ])
    expect(seen.taken).toMatchObject({ code: 'EEXIST' })
    expect(seen.left).toEqual(['box', 'odd'])
    expect(seen.content).toEqual(['etc'])
    expect(seen.hello).toMatchObject({ exitCode: 0, stdout: 'hello\n' })
  })

  test('a container goes through its life, its input can be fed, and two of them share a tree without meeting', async ({
    page,
  }) => {
    const programs = await guests('hello', 'cat')
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, ended, fault } = window.programs
        const { sandbox, container } = await start(platform, {
          programs,
          bundle: { shared: { 'a.txt': 'from the tree' } },
        })
        const spec = { root: { path: 'shared' }, mounts: [{ destination: '/bin', type: 'bind', source: 'programs' }] }
        const [a, b] = [await sandbox.create('a', spec), await sandbox.create('b', spec)]
        const states = [(await a.state()).status]
        const early = await fault(a.exec({ args: ['/bin/hello'] }))
        await a.start()
        await b.start()
        states.push((await a.state()).status)
        await a.fs.writeFile('/a.txt', 'changed in a')
        const cat = (box: typeof a) => run(box, { args: ['/bin/cat', '/a.txt'] })
        const texts = [(await cat(a)).stdout, (await cat(b)).stdout]
        await container.fs.mkdir('/work/sub')
        await container.fs.writeFile('/work/sub/note', 'relative')
        const relative = await run(container, { args: ['/bin/cat', 'note'], cwd: '/work/sub' })
        const given = await run(container, { args: ['/bin/cat'] }, { stdin: 'given from the start' })

        let fed: { stdout: string; exitCode: number } | undefined
        let killed: { signal?: string; exitCode: number } | undefined
        if (platform !== 'inline') {
          const process = await container.exec({ args: ['/bin/cat'] })
          const writer = process.stdin.getWriter()
          await writer.write('fed ')
          await writer.write('while it runs')
          await writer.close()
          fed = await ended(process)
          const waiting = await container.exec({ args: ['/bin/cat'] })
          const busy = await fault(container.delete())
          await container.kill('SIGTERM')
          killed = { ...(await waiting.wait()), ...('code' in busy && { busy: busy.code }) }
        }
        await a.delete({ force: true })
        const gone = await fault(a.state())
        const b2 = (await cat(b)).stdout
        await sandbox.shutdown()
        const late = await fault(b.state())
        return { states, early, texts, relative, given, fed, killed, gone, b2, late }
      },
      { platform, programs },
    )
    expect(seen.states).toEqual(['created', 'running'])
    expect(seen.early).toMatchObject({ code: 'EBUSY', message: expect.stringContaining('call start() first') })
    expect(seen.texts).toEqual(['changed in a', 'from the tree'])
    expect(seen.b2).toBe('from the tree')
    expect(seen.relative).toMatchObject({ stdout: 'relative', exitCode: 0 })
    expect(seen.given.stdout).toBe('given from the start')
    expect(seen.gone).toMatchObject({ code: 'ENOENT' })
    expect(seen.late).toMatchObject({ code: 'ERR_KERNEL_GONE' })
    if (platform === 'inline') return
    expect(seen.fed).toMatchObject({ stdout: 'fed while it runs', exitCode: 0 })
    expect(seen.killed).toMatchObject({ signal: 'SIGTERM', exitCode: 143, busy: 'EBUSY' })
  })
})

test('a kernel whose script cannot be loaded, or that dies, is told to every call that waits', async ({ page }) => {
  await page.goto('/pages/programs.html')
  const seen = await page.evaluate(async () => {
    const { Sandbox, fault } = window.programs
    const missing = await fault(Sandbox.boot({ worker: new URL('/no-such-kernel.js', location.href) }))
    const dying = URL.createObjectURL(
      new Blob(['onmessage = () => { throw new Error("out of luck") }'], { type: 'text/javascript' }),
    )
    const died = await fault(Sandbox.boot({ worker: dying }))
    const odd = await fault(Sandbox.boot({ platform: 'native' as 'inline' }))
    return { missing, died, odd }
  })
  expect(seen.missing).toMatchObject({ code: 'ERR_KERNEL_GONE', message: expect.stringContaining('no-such-kernel.js') })
  expect(seen.died).toMatchObject({ code: 'ERR_KERNEL_GONE', message: expect.stringContaining('out of luck') })
  expect(seen.odd).toMatchObject({ message: expect.stringContaining('native') })
})
