/** ripgrep finds in clang's headers and libraries what a search of the same files in Node finds. */
import { expect, test } from '@playwright/test'
import { sysroot } from './archives.mjs'
import { onEachPlatform } from './programs.ts'

type Search = (files: readonly TextFile[]) => string[]

interface TextFile {
  readonly path: string
  readonly binary: boolean
  readonly lines: readonly string[]
}

/** rg leaves a file alone once it sees a NUL byte, before it has printed anything of it, if that is in the first piece it reads. */
const FIRST_PIECE = 1 << 16

function textFiles(contents: ReadonlyMap<string, Uint8Array>): TextFile[] {
  return [...contents].map(([path, bytes]) => {
    const nul = bytes.indexOf(0)
    if (nul >= FIRST_PIECE) throw new Error(`${path} would be searched in part: its first NUL byte is at ${nul}`)
    const lines = new TextDecoder().decode(bytes).split('\n')
    if (lines.at(-1) === '') lines.pop()
    return { path: `/usr/${path}`, binary: nul >= 0, lines }
  })
}

const text = (files: readonly TextFile[]) => files.filter(({ binary }) => !binary)

/** As `rg` prints what it finds in more files than one: the path before each line. */
const lines =
  (pattern: RegExp): Search =>
  (files) =>
    text(files).flatMap(({ path, lines }) =>
      lines.filter((line) => pattern.test(line)).map((line) => `${path}:${line}`),
    )

const count =
  (pattern: RegExp): Search =>
  (files) =>
    files
      .map(({ path, lines }) => [path, lines.filter((line) => pattern.test(line)).length] as const)
      .filter(([, count]) => count > 0)
      .map(([path, count]) => `${path}:${count}`)

const NOWHERE = 'no such text anywhere'

const searches: { args: string[]; node: Search }[] = [
  { args: ['__wasi_[a-z]+_t\\b'], node: lines(/__wasi_[a-z]+_t\b/) },
  { args: ['^#\\s*define\\s+\\w+_MAX\\b'], node: lines(/^#\s*define\s+\w+_MAX\b/) },
  { args: ['-i', 'posix'], node: lines(/posix/iu) },
  { args: ['-F', '(int)'], node: lines(/\(int\)/) },
  { args: ['-n', '-w', 'goto'], node: numbered(/\bgoto\b/) },
  {
    args: ['-l', 'pthread_mutex_t'],
    node: (files) =>
      text(files)
        .filter(({ lines }) => lines.some((line) => /pthread_mutex_t/.test(line)))
        .map(({ path }) => path),
  },
  { args: ['-c', 'template'], node: (files) => count(/template/)(text(files)) },
  { args: ['-a', '-c', 'pthread_mutex_lock'], node: count(/pthread_mutex_lock/) },
  { args: [NOWHERE], node: () => [] },
  { args: ['--files'], node: (files) => files.map(({ path }) => path) },
]

function numbered(pattern: RegExp): Search {
  return (files) =>
    text(files).flatMap(({ path, lines }) =>
      lines.flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}:${line}`] : [])),
    )
}

onEachPlatform((platform) => {
  test('ripgrep prints the lines, names and counts that a search of the same files in Node gives', async ({ page }) => {
    const { url, index, files } = await sysroot()
    const seen = await page.evaluate(
      async ({ platform, url, index, searches }) => {
        const { start, archive, run } = window.programs
        const { sandbox, container } = await start(platform, {
          programs: { rg: '/fixtures/ripgrep/rg.wasm' },
          bundle: { sysroot: await archive(url, index) },
          mounts: [{ destination: '/usr', type: 'bind', source: 'sysroot', options: ['ro'] }],
        })
        const ends = []
        for (const args of searches) {
          ends.push(
            await run(container, { args: ['/bin/rg', '--no-config', '--no-ignore', '--hidden', ...args, '/usr'] }),
          )
        }
        await sandbox.shutdown()
        return ends
      },
      { platform, url, index, searches: searches.map(({ args }) => args) },
    )
    test.info().annotations.push({
      type: 'milliseconds, system calls',
      description: JSON.stringify(seen.map(({ wallTime, syscalls }) => [Math.round(wallTime), syscalls])),
    })

    const searched = textFiles(files)
    expect(searched.length).toBeGreaterThan(2300)
    for (const [i, { args, node }] of searches.entries()) {
      const { stdout, stderr, exitCode } = seen[i]!
      const [ours, theirs] = [stdout.split('\n').slice(0, -1).sort(), node(searched).sort()]
      expect(theirs.length > 0, args.join(' ')).toBe(args[0] !== NOWHERE)
      expect(stderr, args.join(' ')).toBe('')
      expect(ours, args.join(' ')).toEqual(theirs)
      expect(exitCode, args.join(' ')).toBe(theirs.length > 0 ? 0 : 1)
    }
  })
})
