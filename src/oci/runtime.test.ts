import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import type { ErrnoError } from '../abi/errno.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { bootWorld, treeOf, type World } from '../host/world.ts'
import type { Files } from '../kernel/files.ts'
import { FilesystemTypes } from '../vfs/filesystem.ts'
import { endClean } from './test-world.ts'

let world: World

beforeEach(() => {
  world = bootWorld()
})

afterEach(() => endClean(world))

const guest = async (name: string) => new Uint8Array(readFileSync(await buildGuest(`${name}.c`)))
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (content: string) => new TextEncoder().encode(content)

/** Creates a container and gives its files and warnings. */
async function create(spec: object, id = 'a') {
  const { warnings } = await world.runtime.create(id, spec)
  return { files: world.runtime.files(id), warnings }
}

const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )

const write = (files: Awaited<ReturnType<typeof create>>['files'], path: string, content: string) =>
  files.writeFile(path, bytes(content), 0o1101, 0o644)

/** What every container gets without asking. */
const BY_ITSELF = /^\/(proc|sys|dev|dev\/pts|tmp)$/
const names = async (files: Files, path: string) =>
  (await files.readdir(path, false)).map(({ name }) => name).filter((name) => !BY_ITSELF.test(`/${name}`))

describe('a kernel', () => {
  test('C270 knows its types and devices before there is a container; what cannot be registered ends the boot, by its name', async () => {
    const { types } = world.runtime.vfs
    for (const type of ['tmpfs', 'overlay', 'gofer', 'fuse', 'proc', 'sysfs', 'devtmpfs']) {
      expect(types.lookup(type)?.name).toBe(type)
    }
    await create({ mounts: [{ destination: '/dev', type: 'devtmpfs' }] })
    const nodes = (await world.runtime.files('a').readdir('/dev', true)).map(({ name }) => name)
    expect(nodes).toEqual(expect.arrayContaining(['null', 'fuse', 'tty']))
    // There is no network stack.
    expect(nodes).not.toContain('net')

    for (const registry of [FilesystemTypes, DeviceRegistry]) {
      const { register } = registry.prototype as { register(what: unknown): void }
      const steps = vi.spyOn(registry.prototype as { register(what: unknown): void }, 'register')
      await bootWorld().close()
      const count = steps.mock.calls.length
      expect(count).toBeGreaterThan(4)
      for (let n = 0; n < count; n++) {
        let left = n
        steps.mockImplementation(function (this: object, what) {
          register.call(this, what)
          if (left-- === 0) register.call(this, what)
        })
        expect(() => bootWorld()).toThrow(/^(filesystem type \w+|device (char|block) \d+:\S+) is registered already$/)
      }
      steps.mockRestore()
    }
  })
})

test.each(['.', '..', '', 'a/b', 'a b'])('an id %j is refused: it would name no directory of its own', async (id) => {
  expect((await failure(world.runtime.create(id, {}))).message).toMatch(/^EINVAL.*a container id is made of letters/)
})

describe('the root', () => {
  test('is an empty tmpfs that can be written to when the spec names none', async () => {
    const { files } = await create({})
    expect(await names(files, '/')).toEqual([])
    await write(files, '/x', 'y')
    expect(text(await files.readFile('/x'))).toBe('y')
  })

  test('is a tree of the bundle under a layer in memory: each container changes its own', async () => {
    world.runtime.provide('rootfs', treeOf({ 'etc/hosts': 'localhost' }))
    const a = await create({ root: { path: 'rootfs' } }, 'a')
    const b = await create({ root: { path: 'rootfs' } }, 'b')
    await write(a.files, '/etc/hosts', 'changed')
    await a.files.unlink('/etc/hosts')
    expect(text(await b.files.readFile('/etc/hosts'))).toBe('localhost')
  })

  test('may be a directory in a tree', async () => {
    world.runtime.provide('image', treeOf({ 'v1/rootfs/bin/sh': 'x' }))
    const { files } = await create({ root: { path: 'image/v1/rootfs' } })
    expect(await names(files, '/')).toEqual(['bin'])
  })

  test('that is read-only still gets the mount points that it lacks, and then refuses to change', async () => {
    world.runtime.provide('rootfs', treeOf({ 'etc/hosts': 'localhost' }))
    const mounts = [{ destination: '/some/deep/place', type: 'tmpfs' }]
    const { files } = await create({ root: { path: 'rootfs', readonly: true }, mounts })
    await write(files, '/some/deep/place/x', 'y')
    expect((await failure(write(files, '/some/x', 'y'))).code).toBe('EROFS')
    expect((await failure(files.unlink('/etc/hosts'))).code).toBe('EROFS')
  })

  test('that the bundle does not have is an error that says what the bundle has', async () => {
    world.runtime.provide('rootfs', treeOf({ x: '' }))
    const error = await failure(create({ root: { path: 'rotfs' } }))
    expect(error.code).toBe('ENOENT')
    expect(error.message).toContain('the bundle has no tree "rotfs"; it has "rootfs"')
    await create({ root: { path: 'rootfs' } })
  })
})

describe('mounts', () => {
  test('are made from the shortest destination on, whatever their order in the spec', async () => {
    const mounts = [
      { destination: '/a/b/c', type: 'tmpfs', source: 'third' },
      { destination: '/a/', type: 'tmpfs', source: 'first' },
      { destination: '/a/./b', type: 'tmpfs', source: 'second' },
    ]
    await create({ mounts })
    const own = world.runtime.mounts('a').filter(({ destination }) => !BY_ITSELF.test(destination))
    expect(own.map(({ destination, source }) => [destination, source])).toEqual([
      ['/', 'none'],
      ['/a', 'first'],
      ['/a/b', 'second'],
      ['/a/b/c', 'third'],
    ])
  })

  test('of the type tmpfs take size, mode and owner', async () => {
    const mounts = [{ destination: '/t', type: 'tmpfs', options: ['size=8k', 'mode=700', 'uid=5', 'gid=6'] }]
    const { files, warnings } = await create({ mounts })
    expect(warnings).toEqual([])
    expect(await files.stat('/t')).toMatchObject({ mode: 0o40700, uid: 5, gid: 6 })
    expect((await failure(write(files, '/t/big', 'x'.repeat(9000)))).code).toBe('ENOSPC')
  })

  test('D046 nosuid is shown, and a program with set-id bits runs as who started it, with it and without', async () => {
    world.runtime.provide('tools', treeOf({ touch: await guest('touch') }))
    const options = (...more: string[]) => ({ type: 'bind', source: 'tools', options: ['ro', ...more] })
    const mounts = [
      { destination: '/bin', ...options() },
      { destination: '/nosuid', ...options('nosuid') },
      { destination: '/work', type: 'tmpfs', options: ['mode=777'] },
    ]
    const { files } = await create({ mounts })
    await world.start('a')
    const shown = world.runtime.mounts('a').find(({ destination }) => destination === '/nosuid')
    expect(shown?.options).toContain('nosuid')
    for (const place of ['/bin', '/nosuid', '/work']) {
      if (place === '/work') {
        await files.copyFile('/bin/touch', '/work/touch', false)
        await files.chown('/work/touch', 5, 6, true)
        await files.chmod('/work/touch', 0o6755)
      }
      const made = `/work/made-from${place.replace('/', '-')}`
      const user = { uid: 1000, gid: 1000 }
      expect(await world.exec('a', { args: [`${place}/touch`, made], user })).toMatchObject({ exitCode: 0 })
      expect(await files.stat(made)).toMatchObject({ uid: 1000, gid: 1000 })
    }
  })

  test('of a name in the bundle show that tree, read-only', async () => {
    world.runtime.provide('tools', treeOf({ 'lib/a.txt': 'a', 'lib/deep/b.txt': 'b' }))
    const { files } = await create({ mounts: [{ destination: '/lib', type: 'bind', source: 'tools/lib' }] })
    expect(text(await files.readFile('/lib/deep/b.txt'))).toBe('b')
    expect((await failure(write(files, '/lib/a.txt', 'x'))).code).toBe('EROFS')
  })

  test('inside a read-only tree get their mount points, and the tree stays as it is', async () => {
    world.runtime.provide('tools', treeOf({ 'a.txt': 'a' }))
    world.runtime.provide('file', treeOf({ hosts: 'h' }))
    const mounts = [
      { destination: '/lib', type: 'bind', source: 'tools', options: ['ro'] },
      { destination: '/lib/cache', type: 'tmpfs' },
      { destination: '/lib/etc/hosts', type: 'bind', source: 'file/hosts' },
    ]
    const { files } = await create({ mounts })
    await write(files, '/lib/cache/x', 'y')
    expect(text(await files.readFile('/lib/etc/hosts'))).toBe('h')
    expect((await failure(files.mkdir('/lib/new', 0o755, false))).code).toBe('EROFS')
    const plain = await create({ mounts: mounts.slice(0, 1) }, 'b')
    expect((await plain.files.readdir('/lib', false)).map(({ name }) => name)).toEqual(['a.txt'])
  })

  test('of a place in the container show it a second time', async () => {
    const mounts = [
      { destination: '/data', type: 'tmpfs' },
      { destination: '/mirror', type: 'bind', source: '/data', options: ['ro'] },
    ]
    const { files } = await create({ mounts })
    await write(files, '/data/x', 'y')
    expect(text(await files.readFile('/mirror/x'))).toBe('y')
    expect((await failure(write(files, '/mirror/x', 'z'))).code).toBe('EROFS')
  })

  test('of the type overlay keep changes in memory, or in a place of the container', async () => {
    world.runtime.provide('top', treeOf({ both: 'top', top: '1' }))
    world.runtime.provide('bottom', treeOf({ both: 'bottom', bottom: '2' }))
    const mounts = [
      { destination: '/m', type: 'overlay', options: ['lowerdir=top:bottom'] },
      { destination: '/changes', type: 'tmpfs' },
      { destination: '/kept-in-changes', type: 'overlay', options: ['lowerdir=bottom', 'upperdir=/changes'] },
    ]
    const { files, warnings } = await create({ mounts })
    expect(warnings).toEqual([])
    expect(text(await files.readFile('/m/both'))).toBe('top')
    await write(files, '/m/bottom', 'changed')
    await write(files, '/kept-in-changes/new', 'n')
    expect((await files.readdir('/changes', false)).map(({ name }) => name)).toEqual(['new'])
    expect(text(await files.readFile('/kept-in-changes/bottom'))).toBe('2')
  })

  test('of an unknown type are skipped, unknown options ignored, and the caller is told of both', async () => {
    const mounts = [
      { destination: '/n', type: 'nfs', source: 'server:/x' },
      { destination: '/t', type: 'tmpfs', options: ['sizee=1m', 'ro'] },
    ]
    const { files, warnings } = await create({ mounts })
    expect(warnings).toEqual([
      expect.stringContaining('mounts[0].type: unknown type "nfs", the mount on /n is skipped'),
      'mounts[1].options[0]: unknown option "sizee=1m", ignored',
    ])
    expect(await names(files, '/')).toEqual(['t'])
  })

  test.each([
    [
      'a directory over a file',
      'ENOTDIR',
      [{ destination: '/etc/hosts', type: 'tmpfs' }],
      /mounts\[0\].*directory cannot be mounted on a file.*'\/etc\/hosts'/,
    ],
    [
      'a file over a directory',
      'ENOTDIR',
      [{ destination: '/etc', type: 'bind', source: 'one/file' }],
      /mounts\[0\].*file cannot be mounted on a directory.*'\/etc'/,
    ],
    [
      'a source that is not there',
      'ENOENT',
      [{ destination: '/x', type: 'bind', source: '/no/such' }],
      /mounts\[0\].*source \/no\/such/,
    ],
    ['an overlay without lowers', 'EINVAL', [{ destination: '/x', type: 'overlay' }], /mounts\[0\].*lowerdir/],
    [
      'an option that tmpfs cannot read',
      'EINVAL',
      [{ destination: '/x', type: 'tmpfs', options: ['size=5e3'] }],
      /mounts\[0\].*size=5e3/,
    ],
  ] as const)(
    '%s is an error that names the mount and the rule, and leaves nothing behind',
    async (_what, code, mounts, message) => {
      world.runtime.provide('rootfs', treeOf({ 'etc/hosts': 'localhost' }))
      world.runtime.provide('one', treeOf({ file: 'x' }))
      const before = world.runtime.vfs.superblocks.size
      const error = await failure(create({ root: { path: 'rootfs' }, mounts }))
      expect(error.code).toBe(code)
      expect(error.message).toMatch(message)
      expect(world.runtime.vfs.superblocks.size).toBe(before)
      expect(world.runtime.containers()).toEqual([])
      await create({ root: { path: 'rootfs' } })
    },
  )

  test('of a file over a file cover it', async () => {
    world.runtime.provide('rootfs', treeOf({ 'etc/hosts': 'localhost' }))
    world.runtime.provide('one', treeOf({ file: 'x' }))
    const mounts = [{ destination: '/etc/hosts', type: 'bind', source: 'one/file' }]
    const { files } = await create({ root: { path: 'rootfs' }, mounts })
    expect(text(await files.readFile('/etc/hosts'))).toBe('x')
  })
})

describe('a process', () => {
  test('runs a program of the root; its output, exit code and system calls come back', async () => {
    world.runtime.provide('rootfs', treeOf({ 'bin/hello.wasm': await guest('hello') }))
    await create({ root: { path: 'rootfs' } })
    await world.start('a')
    const end = await world.exec('a', { args: ['/bin/hello.wasm', 'one', 'two words'], env: ['A=b'] })
    expect(end.stdout).toBe('hello\nargument 1: one\nargument 2: two words\nenvironment: A=b\n')
    expect(end).toMatchObject({ exitCode: 0, stderr: '' })
    expect(end.syscalls).toBeGreaterThan(3)
  })

  test('is found by its name in PATH, and may have been written into the sandbox, which sets no x bit', async () => {
    const { files } = await create({ mounts: [{ destination: '/opt/bin', type: 'tmpfs' }] })
    await files.writeFile('/opt/bin/hello', await guest('hello'), 0o1101, 0o644)
    await world.start('a')
    const end = await world.exec('a', { args: ['hello'], env: ['PATH=/no/such:relative:/opt/bin'] })
    expect(end.stdout).toMatch(/^hello\n/)
    const error = await failure(world.exec('a', { args: ['hello'], env: ['PATH=/usr/bin'] }))
    expect([error.code, error.message]).toEqual(['ENOENT', expect.stringContaining('not in its PATH /usr/bin')])
  })

  test('finds relative names in its working directory, which is made if it is missing, and absolute ones below the root', async () => {
    world.runtime.provide('bin', treeOf({ 'cat.wasm': await guest('cat') }))
    const { files } = await create({ mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
    await files.mkdir('/etc', 0o755, false)
    await write(files, '/etc/motd', 'absolute ')
    await files.mkdir('/work/here', 0o755, true)
    await write(files, '/work/here/note', 'relative')
    await world.start('a')
    const end = await world.exec('a', { args: ['/bin/cat.wasm', '/etc/motd', 'note'], cwd: '/work/here' })
    expect(end).toMatchObject({ stdout: 'absolute relative', stderr: '', exitCode: 0 })
    await world.exec('a', { args: ['/bin/cat.wasm'], cwd: '/made/for/it' })
    expect((await files.stat('/made/for/it')).mode & 0o170000).toBe(0o040000)
  })

  test('is ENOTDIR where its working directory is a file, or lies below one', async () => {
    world.runtime.provide('bin', treeOf({ 'hello.wasm': await guest('hello') }))
    await create({ mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
    await world.start('a')
    for (const cwd of ['/bin/hello.wasm', '/bin/hello.wasm/below']) {
      const error = await failure(world.exec('a', { args: ['/bin/hello.wasm'], cwd }))
      expect(error).toMatchObject({ code: 'ENOTDIR', path: cwd })
    }
  })

  test('C091 is refused on a noexec mount, where it is a directory, and where it is no program', async () => {
    const mounts = [{ destination: '/x', type: 'tmpfs', options: ['noexec'] }]
    const { files } = await create({ mounts })
    await files.writeFile('/x/hello.wasm', await guest('hello'), 0o1101, 0o755)
    await write(files, '/plain', '#!/bin/sh')
    await world.start('a')
    const run = (name: string) => failure(world.exec('a', { args: [name] }))
    expect(await run('/x/hello.wasm')).toMatchObject({ code: 'EACCES', message: expect.stringContaining('noexec') })
    expect(await run('/x')).toMatchObject({ code: 'EACCES', message: expect.stringContaining('it is a directory') })
    expect((await run('/plain')).message).toContain('/plain: it is not a WebAssembly module')
    expect((await run('/missing')).code).toBe('ENOENT')
  })

  test('that says more than its limit allows is ended, with the reason', async () => {
    world.runtime.provide('bin', treeOf({ 'flood.wasm': await guest('flood') }))
    await create({ mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
    await world.start('a')
    const end = await world.exec('a', { args: ['/bin/flood.wasm', '1'], limits: { outputBytes: 1000 } })
    expect(end.stdout).toHaveLength(1000)
    expect(end).toMatchObject({ signal: 'SIGXFSZ', reason: expect.stringContaining('1000 bytes') })
  })

  test('that runs for longer than its limit is ended at its next call, or in its sleep, with the reason', async () => {
    world.runtime.provide('bin', treeOf({ process: await guest('process') }))
    await create({ mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
    await world.start('a')
    const limits = { wallTime: 30 }
    for (const args of [['calls'], ['sleep', '60000']]) {
      const end = await world.exec('a', { args: ['/bin/process', ...args], limits })
      expect(end).toMatchObject({ exitCode: 137, signal: 'SIGKILL', stdout: '' })
      expect(end.reason).toBe('it ran for longer than 30 ms (process.limits.wallTime)')
      expect(end.wallTime).toBeLessThan(30_000)
    }
    const quick = await world.exec('a', { args: ['/bin/process', 'sleep', '1'], limits: { wallTime: 1e9 } })
    expect(quick).toMatchObject({ exitCode: 0, stdout: 'slept\n' })
  })

  test('has no more memory than its limits allow: its malloc fails, or it does not start', async () => {
    world.runtime.provide('bin', treeOf({ process: await guest('process') }))
    await create({ mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
    await world.start('a')
    const grow = { args: ['/bin/process', 'grow'] }
    for (const limited of [
      { limits: { memoryPages: 50 } },
      { rlimits: [{ type: 'RLIMIT_AS', soft: 50 * 65_536 + 1, hard: 2 ** 40 }] },
    ]) {
      const end = await world.exec('a', { ...grow, ...limited })
      expect(end).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+ blocks, (4\d|50) pages\n$/) })
    }
    const trapped = await world.exec('a', { args: ['/bin/process', 'trap'], limits: { memoryPages: 60 } })
    expect(trapped.reason).toMatch(/unreachable.*60 pages \(3840 KiB\).*process\.limits\.memoryPages/)
    const none = await world.exec('a', { ...grow, limits: { memoryPages: 1 } })
    expect(none).toMatchObject({ exitCode: 126, syscalls: 0 })
    expect(none.reason).toMatch(/starts with \d+ pages \(\d+ KiB\) of memory and may have 1/)
  })

  test('that opens more files than its limits allow gets EMFILE', async () => {
    world.runtime.provide('bin', treeOf({ 'cat.wasm': await guest('cat'), x: 'x' }))
    await create({ mounts: [{ destination: '/bin', type: 'bind', source: 'bin' }] })
    await world.start('a')
    const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 4, hard: 4 }]
    const end = await world.exec('a', { args: ['/bin/cat.wasm', '/bin/x'], rlimits })
    expect(end.stderr).toMatch(/too many open files|No file descriptors available/i)
  })
})

describe('a container', () => {
  test('goes from created over running to stopped, and is deleted once', async () => {
    await create({ annotations: { 'org.example.a': 'b' } })
    const { runtime } = world
    expect(runtime.state('a')).toMatchObject({ id: 'a', status: 'created', annotations: { 'org.example.a': 'b' } })
    expect((await failure(world.exec('a', { args: ['/x'] }))).message).toContain(
      'created, not running: call start() first',
    )
    await world.start('a')
    expect(runtime.state('a').status).toBe('running')
    expect((await failure(world.start('a'))).code).toBe('EBUSY')
    runtime.kill('a', 'SIGTERM')
    expect(runtime.state('a').status).toBe('stopped')
    await runtime.delete('a', false)
    expect((await failure(runtime.delete('a', false))).code).toBe('ENOENT')
  })

  test.each(['', 'a/b', 'a b'])('cannot be called "%s"', async (id) => {
    expect((await failure(create({}, id))).code).toBe('EINVAL')
  })

  test('is refused a second time under its id, and can be made again when it is deleted', async () => {
    await create({})
    expect((await failure(create({}))).code).toBe('EEXIST')
    await world.runtime.delete('a', false)
    await create({})
  })

  test('does not run signals that there are not', async () => {
    await create({})
    expect(() => world.runtime.kill('a', 'SIGNOPE')).toThrow(/EINVAL.*SIGNOPE/)
    expect(() => world.runtime.kill('a', 9, 77)).toThrow(/ESRCH/)
    for (const signal of ['', ' 9', '-1', -1, 1.5, 32, null, {}])
      expect(() => world.runtime.kill('a', signal as never)).toThrow(/EINVAL.*no signal/)
  })

  test('says of a process, too, what it ignores', async () => {
    await create({})
    await world.start('a')
    const { runtime } = world
    const stdio = { stdin: { initial: new Uint8Array(), more: false }, stdout() {}, stderr() {}, progress() {} }
    await runtime.files('a').writeFile('/p', await guest('hello'), 0o1101, 0o755)
    const process = await runtime.exec('a', { args: ['/p'], limit: { wallTime: 5 } }, stdio)
    expect(process.warnings).toEqual([
      expect.stringContaining('limit: unknown field, ignored (did you mean "limits"?)'),
    ])
    await process.exited
  })

  test('goes on after signals that end nobody, and is not stopped by those that would stop it', async () => {
    await create({})
    await world.start('a')
    const { runtime } = world
    for (const signal of [0, 'SIGCHLD', 'cont', 'SIGURG', 'WINCH']) runtime.kill('a', signal)
    for (const signal of ['SIGSTOP', 'SIGTSTP', 'SIGTTIN', 22])
      expect(() => runtime.kill('a', signal)).toThrow(/EOPNOTSUPP/)
    expect(() => runtime.kill('a', 0, 77)).toThrow(/ESRCH/)
    expect(runtime.state('a').status).toBe('running')
  })
})
