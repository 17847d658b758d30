/**
 * A page serves a JSON document as a filesystem, in which ripgrep searches and Python reads, writes, makes, renames and removes; and
 * a program in C serves one at /dev/fuse to the programs of another container, until it is killed.
 */
import { expect, test } from '@playwright/test'
import { pythonLibrary } from './archives.mjs'
import { guests, onEachPlatform } from './programs.ts'

const script = `
import os
root = '/document'
print(sorted(os.listdir(root)), open(root + '/title').read())
with open(root + '/people/grace', 'w') as f: f.write('Hopper')
with open(root + '/title', 'a') as f: f.write(', by hand')
os.mkdir(root + '/empty')
os.mkdir(root + '/gone')
os.rename(root + '/people/ada', root + '/people/countess')
os.remove(root + '/people/alan')
os.rmdir(root + '/gone')
print(os.stat(root + '/title').st_size, os.path.isdir(root + '/empty'), os.path.exists(root + '/people/ada'))
try:
    open(root + '/people/secret')
except OSError as error:
    print(error.strerror)
`

onEachPlatform((platform) => {
  test('B192 a document of the page is searched, read and changed by programs, and is gone with its server', async ({
    page,
  }) => {
    const { url, index } = await pythonLibrary()
    const seen = await page.evaluate(
      async ({ platform, script, url, index }) => {
        const { start, archive, run, fault } = window.programs
        const library = (await archive(url, index)).map(([path, file]) => [path.replace(/^usr\//, ''), file] as const)
        const { sandbox, container } = await start(platform, {
          programs: { rg: '/fixtures/ripgrep/rg.wasm', python: '/fixtures/runno/python-3.11.3.wasm' },
          bundle: { library: library.filter(([path]) => path !== 'usr'), src: { 'script.py': script } },
          mounts: [
            { destination: '/usr', type: 'bind', source: 'library', options: ['ro'] },
            { destination: '/src', type: 'bind', source: 'src', options: ['ro'] },
          ],
        })
        type Value = string | { [name: string]: Value }
        const people = { ada: 'Lovelace', alan: 'Turing', secret: 'unknown' }
        const document: Value = { title: 'Notes', people }
        const names = (path: string) => path.split('/').filter(Boolean)
        const find = (path: string) =>
          names(path).reduce<Value | undefined>((at, name) => (typeof at === 'object' ? at[name] : undefined), document)
        const parent = (path: string) => find(path.slice(0, path.lastIndexOf('/'))) as { [name: string]: Value }
        const last = (path: string) => names(path).at(-1)!
        const set = (path: string, value: Value) => {
          parent(path)[last(path)] = value
        }
        const remove = (path: string) => {
          delete parent(path)[last(path)]
        }
        const server = await sandbox.fuse('document', {
          readdir: (path) => {
            const value = find(path)
            return typeof value === 'object' ? Object.keys(value) : undefined
          },
          readFile(path) {
            if (path === '/people/secret') throw Object.assign(new Error('not for you'), { code: 'EACCES' })
            const value = find(path)
            return typeof value === 'string' ? value : undefined
          },
          getattr(path) {
            const value = find(path)
            if (value === undefined) return undefined
            return typeof value === 'string' ? { size: new TextEncoder().encode(value).length } : { kind: 'directory' }
          },
          writeFile: (path, content) => set(path, new TextDecoder().decode(content)),
          mkdir: (path) => set(path, {}),
          unlink: remove,
          rmdir: remove,
          rename(from, to) {
            const value = find(from)!
            remove(from)
            set(to, value)
          },
        })
        await container.mount({ type: 'fuse', source: 'fuse:document', destination: '/document' })
        const search = () =>
          run(container, { args: ['/bin/rg', '--no-config', '--no-ignore', '--sort', 'path', 'Ho|Lo|No', '/document'] })
        const ends = [await search(), await run(container, { args: ['/bin/python', '/src/script.py'] })]
        set('/live', 'Now')
        ends.push(await search())
        const title = await container.fs.readFile('/document/title', 'utf8')
        server.end()
        // A call on its way at that moment is aborted.
        await fault(container.fs.readdir('/document'))
        const after = await fault(container.fs.readdir('/document'))
        await sandbox.shutdown()
        return { ends, document, title, after }
      },
      { platform, script, url, index },
    )
    expect(seen.after).toMatchObject({ code: 'ENOTCONN' })
    const [before, python, behind] = seen.ends as [(typeof seen.ends)[0], (typeof seen.ends)[0], (typeof seen.ends)[0]]
    if (platform === 'inline') {
      // Nobody there can wait for the page.
      expect(before.stdout).toBe('')
      expect(before.stderr).toMatch(/temporarily unavailable/i)
      return
    }
    expect(before.stdout).toBe('/document/people/ada:Lovelace\n/document/title:Notes\n')
    expect(python.stderr).toBe('')
    expect(python.stdout).toBe("['people', 'title'] Notes\n14 True False\nPermission denied\n")
    expect(behind.stdout).toBe(
      '/document/live:Now\n/document/people/countess:Lovelace\n/document/people/grace:Hopper\n/document/title:Notes, by hand\n',
    )
    expect(seen.title).toBe('Notes, by hand')
    expect(seen.document).toEqual({
      title: 'Notes, by hand',
      people: { countess: 'Lovelace', secret: 'unknown', grace: 'Hopper' },
      empty: {},
      live: 'Now',
    })
  })

  test('B192 B194 a program serves files to others; killed with calls on their way, it takes nothing else along', async ({
    page,
  }) => {
    test.skip(platform === 'inline', 'a program there cannot wait for what it is to serve')
    const seen = await page.evaluate(
      async ({ platform, programs }) => {
        const { start, run, ended, fault } = window.programs
        const { sandbox, container } = await start(platform, { programs })
        const bin = { destination: '/bin', type: 'bind', source: 'programs' }
        const servers = await sandbox.create('servers', { mounts: [bin, { destination: '/dev', type: 'devtmpfs' }] })
        await servers.start()
        /** A process that has said something, and what. */
        const saying = async (on: typeof container, ...args: string[]) => {
          const process = await on.exec({ args })
          const [own, rest] = process.stdout.tee()
          const { value } = await own.getReader().read()
          return { process, said: new TextDecoder().decode(value), all: new Response(rest).text() }
        }
        const serve = async (on: typeof container, destination: string) => {
          const server = await saying(servers, '/bin/serve')
          const fd = server.said.trim().replace('serving ', 'fd=')
          const options = [fd, 'rootmode=40755', 'user_id=0', 'group_id=0', 'allow_other']
          await on.mount({ type: 'fuse', destination, options }, { process: server.process })
          return server
        }
        const cat = (path: string) => run(container, { args: ['/bin/cat', path] })
        const write = (path: string) => run(container, { args: ['/bin/edit', 'write', path, 'text'] })

        const { process: server } = await serve(container, '/served')
        const served = {
          greeting: await cat('/served/greeting'),
          // It works there as on any other files.
          files: await run(container, { args: ['/bin/files', '/served'] }),
          large: await run(container, { args: ['/bin/keep', '/served/large', '300000'] }),
          size: (await container.fs.stat('/served/large')).size,
          bytes: [...new Set(await container.fs.readFile('/served/large'))],
          list: await container.fs.readdir('/served'),
        }

        for (const name of ['stuck', 'half']) await write(`/served/${name}`)
        const held = await saying(container, '/bin/edit', 'hold', '/served/held')
        const waiting = await Promise.all(
          ['stuck', 'stuck', 'half'].map((name) => container.exec({ args: ['/bin/cat', `/served/${name}`] })),
        )
        // Who waits is alone in it; one that is killed is, too.
        const meanwhile = [await cat('/served/greeting'), await write('/work/own')]
        await waiting[0]!.kill('SIGKILL')
        const given = await ended(waiting[0]!)
        await cat('/served/greeting')
        await server.kill('SIGKILL')
        const aborted = await Promise.all(waiting.slice(1).map(ended))
        await held.process.stdin.getWriter().write('line\n')
        const [holding, after] = [await held.process.wait(), await cat('/served/greeting')]
        const page = [await fault(container.fs.readdir('/served')), await container.fs.readFile('/work/own', 'utf8')]

        // One that ends in the middle of a call; and one that outlives who used it.
        await serve(container, '/brief')
        const dying = await run(container, { args: ['/bin/keep', '/brief/dies', '10'] })
        const other = await sandbox.create('other', {})
        const kept = await serve(other, '/kept')
        await other.fs.readFile('/kept/greeting')
        await other.delete({ force: true })
        const outlived = [await kept.process.wait(), await kept.all]
        const unharmed = await run(container, { args: ['/bin/files', '/work'] })
        await sandbox.shutdown()
        return { ...{ served, meanwhile, given, aborted, holding, after, page, dying, outlived, unharmed } }
      },
      { platform, programs: await guests('serve', 'cat', 'edit', 'files', 'keep') },
    )
    const { served } = seen
    expect(served.greeting).toMatchObject({ exitCode: 0, stdout: 'hello by fuse\n', stderr: '' })
    expect(served.files).toMatchObject({ exitCode: 0, stderr: '', stdout: expect.stringMatching(/done\n$/) })
    expect(served.large).toMatchObject({ exitCode: 0, stderr: '' })
    expect(served.size).toBe(300_000)
    expect(served.bytes).toEqual(['k'.charCodeAt(0)])
    expect(served.list).toEqual(['greeting', 'large'])
    expect(seen.meanwhile.map(({ exitCode }) => exitCode)).toEqual([0, 0])
    expect(seen.given).toMatchObject({ signal: 'SIGKILL' })
    for (const { exitCode, stderr } of seen.aborted)
      expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/Connection aborted/)])
    expect(seen.holding).toMatchObject({ exitCode: 1 })
    expect(seen.after).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/Socket not connected/) })
    expect(seen.page).toEqual([expect.objectContaining({ code: 'ENOTCONN' }), 'text'])
    expect(seen.dying).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/Connection aborted/) })
    expect(seen.outlived).toEqual([expect.objectContaining({ exitCode: 0 }), expect.stringMatching(/unmounted\n$/)])
    expect(seen.unharmed).toMatchObject({ exitCode: 0, stderr: '' })
  })
})
