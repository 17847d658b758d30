/** `npm run conformance` by itself: it passes what is right and fails what is wrong, on small tests of our own in the official suite's format. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from '@playwright/test'
import { buildGuest } from './guests/build.mjs'
import { platforms } from './programs.ts'
import { root } from './tools/run.mjs'

/** A module that does nothing: `_start` returns. */
const IDLE =
  '0061736d0100000001040160000003020100050301000107130206' + '6d656d6f727902000' + '65f737461727400000a040102000b'

/** Puts tests into a folder: guest, and what its JSON says. */
async function suite(folder: string, tests: Record<string, [guest: string, config: object]>): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const [name, [guest, config]] of Object.entries(tests)) {
    const wasm = join(folder, `${name}.wasm`)
    if (guest === 'idle') writeFileSync(wasm, Buffer.from(IDLE, 'hex'))
    else copyFileSync(await buildGuest(`${guest}.c`), wasm)
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(config))
  }
}

const conformance = (...args: string[]) => nodeSays(join(root, 'e2e/wasi-testsuite/run.mjs'), ...args)

function nodeSays(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output: stdout + stderr }),
    )
  })
}

interface Result {
  readonly name: string
  readonly platform: string
  readonly browser: string
  readonly pass: boolean
  readonly calls: string[]
  readonly failures: string[]
}
const resultsOf = (file: string): Result[] => JSON.parse(readFileSync(file, 'utf8')).tests

test('what is right passes on every platform, in each form that tests are written in', async ({
  browserName,
}, info) => {
  const folder = info.outputPath('suite')
  const dir = join(folder, 'tests/c/testsuite/wasm32-wasip1')
  const hello = 'hello\nargument 1: one\nargument 2: the "second"\nenvironment: NAME=new\nline\n'
  mkdirSync(join(dir, 'shelf'), { recursive: true })
  writeFileSync(join(dir, 'shelf/note'), 'a note\n')
  await suite(dir, {
    flat: ['hello', { args: ['one', 'the "second"'], env: { NAME: 'new\nline' }, stdout: hello }],
    fails: ['exit3', { exit_code: 3, stderr: 'leaving with 3\n' }],
    root: ['cat', { root: 'shelf', args: ['/note'], stdout: 'a note\n' }],
    dirs: [
      'cat',
      { dirs: ['shelf'], args: ['shelf/note'], stdout: 'a note\n', wasi_functions: ['path_open', 'fd_read'] },
    ],
    steps: [
      'cat',
      {
        operations: [
          { type: 'run', root: 'shelf', args: [] },
          { type: 'write', id: 'stdin', payload: 'one\n' },
          ...(browserName === 'chromium' ? [{ type: 'read', payload: 'one\n' }] : []),
          { type: 'write', id: 'stdin', payload: 'two\n' },
          { type: 'wait' },
        ],
      },
    ],
  })
  await suite(join(dirname(dir), 'wasm32-wasip3'), { other: ['idle', {}] })
  const json = info.outputPath('results.json')
  const { code, output } = await conformance('--suite', folder, '--browser', browserName, '--json', json)
  expect(output).toContain('not preview1: tests/c/testsuite/wasm32-wasip3 (1 tests for wasm32-wasip3)')
  expect(output).toMatch(/15 passed, 0 failed\n$/)
  expect(code).toBe(0)
  const results = resultsOf(json)
  expect(results).toHaveLength(15)
  for (const platform of platforms) expect(results.filter((result) => result.platform === platform)).toHaveLength(5)
  for (const result of results) {
    expect(result).toMatchObject({ pass: true, browser: browserName, failures: [] })
    expect(result.calls).toContain('fd_write')
  }
})

test('what is wrong fails, each with its reason, and so does what can not be run', async ({ browserName }, info) => {
  test.skip(browserName !== 'chromium', 'it runs in Node, once')
  const folder = info.outputPath('suite')
  await suite(folder, {
    code: ['exit3', {}],
    dirs: ['files', { dirs: ['nowhere'] }],
    field: ['hello', { arguments: [] }],
    functions: ['hello', { wasi_functions: ['fd_write', 'fd_sync'] }],
    idle: ['idle', {}],
    network: ['hello', { operations: [{ type: 'run' }, { type: 'connect' }, { type: 'wait' }] }],
    output: ['hello', { stdout: 'hallo\n' }],
    right: ['hello', { stdout: 'hello\n' }],
  })
  const json = info.outputPath('results.json')
  const { code, output } = await conformance(
    '--suite',
    folder,
    '--browser',
    'node',
    '--platform=inline,worker',
    '--json',
    json,
  )
  expect(output).toMatch(/2 passed, 14 failed\n$/)
  expect(code).toBe(1)
  const failures = Object.fromEntries(
    resultsOf(json)
      .filter(({ platform }) => platform === 'worker')
      .map(({ name, failures }) => [name, failures.join('; ')]),
  )
  expect(failures).toEqual({
    code: 'on overlay: the exit code is 3, not 0; stderr: leaving with 3\n',
    dirs: expect.stringContaining('there is no folder'),
    field: expect.stringContaining('a test has no field arguments'),
    functions: 'it was to call fd_sync, and did not',
    idle: 'it made no call: nothing was tested',
    network: expect.stringContaining('needs a network'),
    output: 'on overlay: stdout is "hello\\n", not "hallo\\n"',
    right: '',
  })
})

test('a test that does not end has failed, and in Node, too, those behind it are run', async ({
  browserName,
}, info) => {
  test.skip(browserName !== 'chromium', 'it runs in Node, once')
  const wasm = await buildGuest('cat.c')
  const steps = [
    { type: 'run', args: [], env: [], preopens: [] },
    { type: 'read', id: 'stdout', payload: 'x' },
  ]
  const script = info.outputPath('twice.mjs')
  const here = (path: string) => JSON.stringify(join(root, path))
  writeFileSync(
    script,
    `import { readFileSync } from 'node:fs'
    await import(${here('e2e/node-workers.mjs')})
    const { Sandbox } = await import(${here('dist/index.js')})
    const { play } = await import(${here('e2e/wasi-testsuite/play.mjs')})
    const wasm = new Uint8Array(readFileSync(${JSON.stringify(wasm)}))
    const test = { steps: ${JSON.stringify(steps)}, functions: [], wasm, limit: 2000 }
    for (const each of [1, 2]) console.log((await play(Sandbox, 'worker', test)).failures.join())
    process.exit(0)`,
  )
  const { code, output } = await nodeSays(script)
  expect(output).toBe('on overlay: it has not ended after 2 s\n'.repeat(2))
  expect(code).toBe(0)
})

test('a command that makes no sense is refused with what is missing', async ({ browserName }, info) => {
  test.skip(browserName !== 'chromium', 'no browser is started')
  mkdirSync(info.outputPath('empty'))
  const refused = async (...args: string[]) => {
    const { code, output } = await conformance(...args)
    expect(code).toBe(2)
    return output
  }
  expect(await refused()).toContain('--suite is missing')
  expect(await refused('--suite', '/nowhere')).toContain('there is no folder /nowhere')
  expect(await refused('--suite', info.outputPath('empty'))).toContain('holds no preview1 tests')
  expect(await refused('--suite', '.', '--platform', 'wasmtime')).toContain('there is no platform "wasmtime"')
  expect(await refused('--suite', '.', '--browser', 'lynx')).toContain('there is no browser "lynx"')
  expect(await refused('--suit', '.')).toContain('--suit')
})
