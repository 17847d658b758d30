/** A page serves a JSON document as a filesystem, in which ripgrep searches and Python reads, writes, makes, renames and removes. */
import { expect, test } from '@playwright/test'
import { pythonLibrary } from './archives.mjs'
import { onEachPlatform } from './programs.ts'

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
        const ends = [await search(), await run(container, { args: ['/bin/python', '/src/script.py'] }), await search()]
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
      '/document/people/countess:Lovelace\n/document/people/grace:Hopper\n/document/title:Notes, by hand\n',
    )
    expect(seen.title).toBe('Notes, by hand')
    expect(seen.document).toEqual({
      title: 'Notes, by hand',
      people: { countess: 'Lovelace', secret: 'unknown', grace: 'Hopper' },
      empty: {},
    })
  })
})
