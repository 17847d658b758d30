/** Python makes, lists, renames, copies and removes a tree of 600 files, and what it saw is what must be. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from '@playwright/test'
import { pythonLibrary } from './archives.mjs'
import { onEachPlatform } from './programs.ts'

/** A file of the tree as tree.py makes it. */
interface Made {
  readonly directory: string
  readonly name: string
  readonly content: string
  /** Nanoseconds. */
  readonly mtime: bigint
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** The line of tree.py's `report` for these files. */
function report(what: string, files: readonly Made[]): string {
  const lines = files
    .toSorted((a, b) => order(a.directory, b.directory) || order(a.name, b.name))
    .map(({ directory, name, content, mtime }) => `${directory}/${name} ${content.length} ${mtime} ${sha256(content)}`)
  return `${what}: ${files.length} files, ${sha256(lines.join('\n'))}`
}

/** What tree.py is to print, and the files that it leaves behind. */
function expected(): { stdout: string; left: Made[] } {
  const number = (i: number, digits: number) => String(i).padStart(digits, '0')
  const made = Array.from({ length: 600 }, (_, i): Made => {
    const lines = Array.from({ length: i }, (_, line) => `line ${line} of file ${i}\n`)
    const mtime = 1_500_000_000_123_456_789n + BigInt(i) * 1_000_000_001n
    return {
      directory: `made/${number(i % 20, 2)}/deep`,
      name: `file ${number(i, 3)}.txt`,
      content: lines.join(''),
      mtime,
    }
  })
  const copies = made.map((file) => ({ ...file, directory: file.directory.replace('made', 'copies') }))
  const renamed = made
    .map((file, i) =>
      i % 2 === 0
        ? { ...file, directory: file.directory.replace('/deep', ''), name: file.name.replace('file', 'moved') }
        : file,
    )
    .map((file) => ({ ...file, directory: file.directory.replace('/19', '/nineteen') }))
  const left = copies.filter((_, i) => i % 60 === 1)
  const stdout = [
    report('written', made),
    report('copied', copies),
    "a copy has its original's contents, sizes and times: True",
    `copystat: ${made[1]!.mtime}`,
    report('renamed', renamed),
    'read, changed, told: 8 ap!ended',
    'rmdir of a full directory: Directory not empty',
    'left: copies',
    report('left', left),
    '',
  ].join('\n')
  return { stdout, left }
}

onEachPlatform((platform) => {
  test('python sees 600 files come, change their names, be copied with their times and go', async ({ page }) => {
    const script = readFileSync(new URL('guests/tree.py', import.meta.url), 'utf8')
    const { url, index } = await pythonLibrary()
    const seen = await page.evaluate(
      async ({ platform, script, url, index }) => {
        const { start, archive, run } = window.programs
        const library = (await archive(url, index)).map(([path, file]) => [path.replace(/^usr\//, ''), file] as const)
        const { sandbox, container } = await start(platform, {
          programs: { python: '/fixtures/runno/python-3.11.3.wasm' },
          bundle: { library: library.filter(([path]) => path !== 'usr'), src: { 'tree.py': script } },
          mounts: [
            { destination: '/usr', type: 'bind', source: 'library', options: ['ro'] },
            { destination: '/src', type: 'bind', source: 'src', options: ['ro'] },
          ],
        })
        const from = performance.now()
        const end = await run(container, { args: ['/bin/python', '/src/tree.py', '/work'] })
        const time = performance.now() - from
        const { fs } = container
        const left = []
        for (const entry of await fs.readdir('/work', { recursive: true, withFileTypes: true })) {
          if (!entry.isFile()) continue
          const path = `${entry.parentPath}/${entry.name}`
          const { mtimeNs } = await fs.stat(path, { bigint: true })
          left.push({ path, content: await fs.readFile(path, 'utf8'), mtime: String(mtimeNs) })
        }
        await sandbox.shutdown()
        return { end, left, time }
      },
      { platform, script, url, index },
    )
    const { time, end, left } = seen
    test.info().annotations.push({ type: 'times', description: JSON.stringify([time, end.wallTime, end.syscalls]) })

    const model = expected()
    expect(end.stderr).toBe('')
    expect(end.stdout).toBe(model.stdout)
    expect(end.exitCode).toBe(0)
    expect(left.toSorted((a, b) => order(a.path, b.path))).toEqual(
      model.left
        .map(({ directory, name, content, mtime }) => ({
          path: `/work/${directory}/${name}`,
          content,
          mtime: `${mtime}`,
        }))
        .toSorted((a, b) => order(a.path, b.path)),
    )
    expect(left).toHaveLength(10)
  })
})
