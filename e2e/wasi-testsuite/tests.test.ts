/** The suite's formats are read as its own runner reads them, and what is not understood is said, never guessed. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { findTests, stepsOf } from './tests.mjs'

const folder = mkdtempSync(join(tmpdir(), 'suite-'))
afterAll(() => rmSync(folder, { recursive: true }))
function put(path: string, text = '') {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

put('fs-tests.dir/inner/file', 'text')
put('fs-tests.dir/old.cleanup', 'left by another runner')
symlinkSync('inner/file', join(folder, 'fs-tests.dir/link'))

const base64 = Buffer.from('text').toString('base64')
const tree = expect.arrayContaining([
  { path: 'inner', directory: true },
  { path: 'inner/file', data: base64 },
  { path: 'link', symlink: 'inner/file' },
])
const run = { type: 'run', args: [], env: [], preopens: [] }
const wait = { type: 'wait', exitCode: 0 }

test.each([
  ['nothing', {}, [run, wait]],
  [
    'the flat form',
    { args: ['a b', ''], env: { A: '1', B: '' }, exit_code: 3, stdout: 'x\n', stderr: null },
    [
      { ...run, args: ['a b', ''], env: ['A=1', 'B='] },
      { type: 'read', id: 'stdout', payload: 'x\n', whole: true },
      { type: 'wait', exitCode: 3 },
    ],
  ],
  ['a root', { root: 'fs-tests.dir' }, [{ ...run, preopens: [{ name: '/', source: 'fs-tests.dir', tree }] }, wait]],
  ['no root', { root: null }, [run, wait]],
  [
    'the older form',
    { dirs: ['fs-tests.dir'], wasi_functions: ['fd_write'] },
    [{ ...run, preopens: [{ name: 'fs-tests.dir', source: 'fs-tests.dir', tree }] }, wait],
  ],
  [
    'operations',
    {
      operations: [
        { type: 'run', args: ['x'] },
        { type: 'write', id: 'stdin', payload: 'hello' },
        { type: 'read', payload: 'hel' },
        { type: 'kill' },
        { type: 'wait', exit_code: -15 },
      ],
      proposals: [],
    },
    [
      { ...run, args: ['x'] },
      { type: 'write', payload: 'hello' },
      { type: 'read', id: 'stdout', payload: 'hel', whole: false },
      { type: 'kill', signal: 'SIGTERM' },
      { type: 'wait', exitCode: -15 },
    ],
  ],
  ['operations left out', { world: 'wasi:cli/command', proposals: [] }, [run, wait]],
])('%s', (_, config, steps) => {
  expect(stepsOf(config, folder)).toEqual(steps)
})

test('what an earlier run left behind is not copied', () => {
  const [step] = stepsOf({ root: 'fs-tests.dir' }, folder)
  const paths = (step as { preopens: { tree: { path: string }[] }[] }).preopens[0]!.tree.map(({ path }) => path)
  expect(paths.sort()).toEqual(['inner', 'inner/file', 'link'])
})

test.each([
  [[], 'it is not an object'],
  [{ arg: [] }, 'a test has no field arg; it has args, root'],
  [{ operations: [], args: [] }, 'a test with operations has no field args'],
  [{ args: [1] }, 'args holds 1, which is no text'],
  [{ env: [] }, 'env is not an object'],
  [{ exit_code: '0' }, 'exit_code is not a whole number'],
  [{ root: 'missing' }, 'there is no folder'],
  [{ proposals: ['sockets'] }, 'it needs the proposals sockets'],
  [{ operations: [{ type: 'dance' }] }, 'its operation "dance" is unknown'],
  [{ operations: [{ type: 'run' }, { type: 'connect' }] }, 'its operation connect needs a network'],
  [{ operations: [{ type: 'run', dir: 'x' }] }, 'a run has no field dir'],
  [{ operations: [{ type: 'run' }] }, 'it has a run without a wait'],
  [{ operations: [{ type: 'run' }, { type: 'run' }] }, 'it runs twice at once'],
  [{ operations: [{ type: 'wait' }] }, 'it has a wait before a run'],
  [{ operations: [{ type: 'run' }, { type: 'read', id: 'stdin' }] }, 'it reads stdin'],
  [{ operations: [] }, 'it has no operations'],
])('%j is refused', (config, message) => {
  expect(() => stepsOf(config, folder)).toThrow(message)
})

test('tests are found in any folder; those for another WASI are told apart, a faulty one is there with its fault', () => {
  put('tests/c/testsuite/wasm32-wasip1/b.wasm')
  put('tests/c/testsuite/wasm32-wasip1/a.wasm')
  put('tests/c/testsuite/wasm32-wasip1/a.json', '{"args": ["1"]')
  put('tests/c/testsuite/wasm32-wasip1/manifest.json', '{"name": "C tests", "version": "wasm32-wasip1"}')
  put('tests/rust/testsuite/wasm32-wasip3/c.wasm')
  put('tests/proposals/wasi-threads/d.wasm')
  put('tests/old/testsuite/e.wasm')
  put('node_modules/f.wasm')
  const { tests, leftOut } = findTests(folder)
  expect(tests.map(({ name, suite }) => [name, suite])).toEqual([
    ['a', 'C tests'],
    ['b', 'C tests'],
    ['e', 'tests/old/testsuite'],
  ])
  expect(tests[0]!.fault).toMatch(/^a\.json: .*JSON/)
  expect(leftOut).toEqual([
    { folder: 'tests/proposals/wasi-threads', count: 1, why: 'for the proposal wasi-threads' },
    { folder: 'tests/rust/testsuite/wasm32-wasip3', count: 1, why: 'for wasm32-wasip3' },
  ])
  expect(findTests(join(folder, 'tests/c/testsuite/wasm32-wasip1')).tests).toHaveLength(2)
})

test('a manifest that is broken is a fault of the tests beside it, and a folder that ends in .wasm is a test that can not pass', () => {
  put('broken/a.wasm')
  put('broken/manifest.json', '{"name": ')
  put('broken/inner/b.wasm/c')
  put('broken/inner/manifest.json', '[]')
  const { tests } = findTests(join(folder, 'broken'))
  expect(tests.map(({ name, fault }) => [name, fault])).toEqual([
    ['a', expect.stringMatching(/^manifest\.json: .*JSON/)],
    ['b', 'manifest.json: it is not an object'],
  ])
  rmSync(join(folder, 'broken/inner/manifest.json'))
  expect(findTests(join(folder, 'broken/inner')).tests).toMatchObject([{ name: 'b', fault: 'it is not a file' }])
})

test('a checkout that lies below a folder named proposals is one', () => {
  put('proposals/checkout/tests/a.wasm')
  const { tests, leftOut } = findTests(join(folder, 'proposals/checkout'))
  expect([tests.map(({ name }) => name), leftOut]).toEqual([['a'], []])
})
