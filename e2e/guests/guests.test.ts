/** The C guests do what they say, seen under Node's own `node:wasi`; and fsops prints what Linux does. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { rows as benchRows } from '../bench/rows.mjs'
import { runNodeWasi, TRAPPED, temporaryDirectory } from '../reference/node-wasi.mjs'
import { runShim } from '../reference/shim.mjs'
import { buildGuest } from './build.mjs'
import { beyondLinux, differences, parse, unexplained } from './fsops.differences.mjs'

let made: ReturnType<typeof temporaryDirectory>[] = []
let dir: string
beforeEach(() => {
  dir = fresh()
})
afterAll(() => {
  for (const directory of made) directory.remove()
  made = []
})
function fresh(): string {
  const directory = temporaryDirectory()
  made.push(directory)
  return directory.path
}

type Options = { args?: string[]; env?: Record<string, string>; stdin?: Uint8Array | string; preopen?: string }
async function run(source: string, options: Options = {}) {
  const { stdout, stderr, exitCode } = await runNodeWasi(await buildGuest(source), { dir, ...options })
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
}

describe('under node:wasi', () => {
  test('hello prints its arguments and its environment', async () => {
    const result = await run('hello.c', { args: ['one', 'zwei drei', ''], env: { NAME: 'value' } })
    const stdout = 'hello\nargument 1: one\nargument 2: zwei drei\nargument 3: \nenvironment: NAME=value\n'
    expect(result).toEqual({ stdout, stderr: '', exitCode: 0 })
  })

  test('exit3 leaves with 3 after a line on stderr', async () => {
    expect(await run('exit3.c')).toEqual({ stdout: '', stderr: 'leaving with 3\n', exitCode: 3 })
  })

  test('trap traps after a line on stdout', async () => {
    const result = await run('trap.c')
    expect(result.stdout).toBe('about to trap\n')
    expect(result.stderr).toContain('unreachable')
    expect(result.exitCode).toBe(TRAPPED)
  })

  test('flood writes as many megabytes as it is told, in lines that count', async () => {
    const { stdout, exitCode } = await run('flood.c', { args: ['3'] })
    expect(exitCode).toBe(0)
    expect(stdout.length).toBe(3_000_000)
    expect(stdout.slice(0, 128).split('\n').map(Number)).toEqual([0, 1, 0])
    expect(stdout.at(-1)).toBe('\n')
    expect(Number(stdout.slice(-64))).toBe(3_000_000 / 64 - 1)
  })

  test('cat copies stdin, empty or large, to stdout', async () => {
    expect(await run('cat.c')).toEqual({ stdout: '', stderr: '', exitCode: 0 })
    const large = 'all that is said in one breath\n'.repeat(20_000)
    expect(await run('cat.c', { stdin: large })).toEqual({ stdout: large, stderr: '', exitCode: 0 })
  })

  test('cat says which file it cannot read', async () => {
    expect(await run('cat.c', { args: ['none'] })).toEqual({
      stdout: '',
      stderr: 'cat: none: No such file or directory\n',
      exitCode: 1,
    })
  })

  test('files writes, reads, renames and lists, and leaves nothing behind', async () => {
    const { stdout, stderr, exitCode } = await run('files.c', { args: ['/sandbox'], preopen: '/sandbox' })
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
    expect(stdout.split('\n')).toEqual([
      'wrote poem.txt',
      'read: line 1 of three',
      'read: line 2 of three',
      'read: line 3 of three',
      'renamed it verse.txt:',
      '  shelf/',
      '  verse.txt (61 bytes)',
      'removed everything:',
      'done',
      '',
    ])
    expect(readdirSync(dir)).toEqual([])
  })
})

describe('fsops', () => {
  const fsops = () => run('fsops.c', { args: ['/sandbox'], preopen: '/sandbox' })

  test('prints the same hundreds of lines each time, each with a label of its own', async () => {
    const first = await fsops()
    const lines = first.stdout.trimEnd().split('\n')
    expect({ stderr: first.stderr, exitCode: first.exitCode }).toEqual({ stderr: '', exitCode: 0 })
    expect(lines.length).toBeGreaterThan(500)
    expect(parse(first.stdout).size).toBe(lines.length)
    expect(readdirSync(dir)).toEqual([])
    dir = fresh()
    expect(await fsops()).toEqual(first)
  })

  test('sees under node:wasi what the list of differences says', async () => {
    const seen = parse((await fsops()).stdout)
    for (const { line, node } of differences) expect([line, seen.get(line)]).toEqual([line, node])
  })

  test('lists each difference once, with two sides that differ and a reason', () => {
    expect(new Set(differences.map(({ line }) => line)).size).toBe(differences.length)
    for (const { line, node, ours, reason } of differences) {
      expect([line, node]).not.toEqual([line, ours])
      expect(reason.length).toBeGreaterThan(20)
    }
  })

  test('a line that differs without being listed, or is listed without differing, is a fault', async () => {
    const node = (await fsops()).stdout
    const ours = [...parse(node)].map(([line, value]) => {
      return `${line}: ${differences.find((difference) => difference.line === line)?.ours ?? value}\n`
    })
    expect(unexplained(ours.join(''), node)).toEqual([])
    expect(unexplained(ours.join('').replace('io write 10 bytes: 10', 'io write 10 bytes: EIO'), node)).toEqual([
      'io write 10 bytes: ours EIO, node:wasi 10',
    ])
    expect(unexplained(node, node)).toHaveLength(differences.length)
    expect(unexplained('', node).length).toBeGreaterThan(500)
  })

  const compiler = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0
  test.skipIf(!compiler)(
    'on Linux itself prints our side of every line (skipped without Linux and a C compiler)',
    async () => {
      const program = join(fresh(), 'fsops')
      execFileSync('cc', ['-O1', '-w', '-o', program, fileURLToPath(new URL('fsops.c', import.meta.url))])
      const linux = execFileSync(program, [fresh()], { encoding: 'utf8' })
      const node = (await fsops()).stdout
      // There is no preopened directory to leave for a native program.
      const faults = unexplained(linux, node).filter((fault) => !fault.startsWith('leave '))
      expect(faults).toEqual(beyondLinux.map(({ line, linux, wasi }) => `${line}: ours ${linux}, node:wasi ${wasi}`))
    },
  )
})

describe('bench', () => {
  const rows = async () => [...(await run('bench.c')).stdout.matchAll(/^([\w-]+): N is /gm)].map(([, row]) => row!)

  test('has the rows that are asked for, and each does its work under node:wasi and on the shim', async () => {
    const names = await rows()
    expect(names).toEqual(benchRows.map(({ name }) => name))
    const module = await WebAssembly.compile(readFileSync(await buildGuest('bench.c')))
    for (const name of names) {
      const args = [name, '10', '0', '1']
      const expected = expect.stringMatching(new RegExp(`^${name} 10 \\d+\\.\\d\n$`))
      expect(await run('bench.c', { args })).toEqual({ stdout: expected, stderr: '', exitCode: 0 })
      expect(readdirSync(dir)).toEqual([])
      expect(await runShim(module, { args })).toEqual({ stdout: expected, stderr: '', exitCode: 0 })
    }
  }, 180_000) // forty runs, each a process of its own on the one side

  test('refuses a row that it does not have', async () => {
    expect(await run('bench.c', { args: ['nonsense', '1'] })).toMatchObject({ stdout: '', exitCode: 2 })
  })
})
