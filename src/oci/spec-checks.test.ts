/** What of a spec is checked before anything is mounted, and what containers of one sandbox have of their own: C15, C16, C19, D7. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ErrnoError } from '../abi/errno.ts'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import { bootWorld, treeOf, type World } from '../host/world.ts'
import { MemorySite } from '../testing/memory-site.ts'
import { parseSpec, SpecError } from './spec.ts'
import { endClean } from './test-world.ts'

let world: World
beforeEach(() => {
  world = bootWorld({ volumes: new MemorySite().host })
  world.runtime.provide('rootfs', treeOf({ 'etc/motd': 'hello', 'data/x': 'below' }))
})
afterEach(() => endClean(world))

const bind = (...options: string[]) => ({ destination: '/b', type: 'bind', source: 'rootfs', options })
const faults = (spec: unknown) => {
  try {
    parseSpec(spec)
  } catch (error) {
    if (error instanceof SpecError) return error.faults.map(({ path, rule }) => `${path}: ${rule}`)
    throw error
  }
  return []
}
const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )
const write = (id: string, path: string, text = 'x') =>
  world.runtime.files(id).writeFile(path, new TextEncoder().encode(text), O_WRONLY | O_CREAT, 0o644)
const read = async (id: string, path: string) => new TextDecoder().decode(await world.runtime.files(id).readFile(path))
const destinations = (id: string) => world.runtime.mounts(id).map(({ destination }) => destination)

describe('before anything is mounted', () => {
  test('C258 a process has args and a root a path. Ours: a spec needs neither process nor root', async () => {
    expect(faults({ process: {}, root: {} })).toEqual(['root.path: is required', 'process.args: is required'])
    expect(faults({})).toEqual([])
    const before = world.runtime.vfs.superblocks.size
    await failure(world.runtime.create('a', { root: { path: 'rootfs' }, process: {}, mounts: [bind()] }))
    expect(world.runtime.vfs.superblocks.size).toBe(before)
  })

  test.each([
    [bind('shared'), "mounts[0].options[0]: a bind passes no mounts on, so it can't be shared"],
    [bind('ro', 'rshared'), "mounts[0].options[1]: a bind passes no mounts on, so it can't be rshared"],
    [
      { ...bind('bind', 'rshared'), type: 'none' },
      "mounts[0].options[1]: a bind passes no mounts on, so it can't be rshared",
    ],
    [bind('slave', 'private'), 'mounts[0].options[1]: "private" contradicts "slave"'],
  ])('C260 C261 C263 a bind, also one by its options, is not shared and has one propagation: %j', (mount, fault) => {
    expect(faults({ mounts: [mount] })).toEqual([fault])
    expect(faults({ mounts: [{ ...mount, type: 'tmpfs', options: ['rshared'] }] })).toEqual([])
  })

  test.each(['shared', 'rshared', 'unbindable', 'x'])('C264 the root passes nothing on: %s', (rootfsPropagation) => {
    const fault = 'linux.rootfsPropagation: must be one of private, rprivate, slave, rslave'
    expect(faults({ linux: { rootfsPropagation } })).toEqual([fault])
    for (const fine of ['', 'private', 'rprivate', 'slave', 'rslave']) {
      expect(faults({ linux: { rootfsPropagation: fine } })).toEqual([])
    }
  })

  test('C262 C266 C269 unknown options of a bind are told; one that is given twice says it twice; every mount is counted', async () => {
    const mounts = [bind('ro', 'noexec', 'noexec', 'nosuid', 'suid', 'garbage'), { destination: '/t', type: 'tmpfs' }]
    const { warnings } = await world.runtime.create('a', { mounts: [...mounts, { destination: '/n', type: 'nfs' }] })
    expect(warnings).toHaveLength(2)
    expect(warnings).toContain('mounts[0].options[5]: unknown option "garbage", ignored')
    expect(warnings).toContainEqual(expect.stringContaining('mounts[2].type: unknown type "nfs"'))
    expect(destinations('a').filter((path) => ['/b', '/t', '/n'].includes(path))).toEqual(['/b', '/t'])
    const { options } = world.runtime.mounts('a').find(({ destination }) => destination === '/b')!
    expect(options).toContain('noexec')
    expect(options).not.toContain('nosuid')
  })

  test('C267 C268 destinations are cleaned, links in them stay in the container, and two mounts on one place stack', async () => {
    const root = {
      entries: [
        { path: 'real/deep', kind: 'directory' as const },
        { path: 'link', kind: 'symlink' as const, target: '/real' },
      ],
    }
    world.runtime.provide('links', root)
    const mounts = [
      { destination: '/link/../link//deep/', type: 'tmpfs', source: 'first' },
      { destination: '/real/deep', type: 'tmpfs', source: 'second' },
    ]
    await world.runtime.create('a', { root: { path: 'links' }, mounts })
    const shown = world.runtime
      .mounts('a')
      .filter(({ type, destination }) => type === 'tmpfs' && destination === '/real/deep')
    expect(shown.map(({ source }) => source).sort()).toEqual(['first', 'second'])
  })

  test.each([
    [{ 'io.kubernetes.cri.container-type': 'pod' }, ['must be sandbox or container, is "pod"']],
    [{ 'io.kubernetes.cri-o.ContainerType': '' }, ['must be sandbox or container, is ""']],
    [
      { 'io.kubernetes.cri.container-type': 'container' },
      ['a container of a pod names its sandbox: io.kubernetes.cri.sandbox-id or io.kubernetes.cri-o.SandboxID'],
    ],
    [{ 'io.kubernetes.cri.container-type': 'container', 'io.kubernetes.cri.sandbox-id': 's' }, []],
    [{ 'io.kubernetes.cri-o.ContainerType': 'container', 'io.kubernetes.cri-o.SandboxID': 's' }, []],
    [{ 'io.kubernetes.cri.container-type': 'sandbox' }, []],
  ])(
    'C286 D087 the type that a runtime of Kubernetes gives a container is known, and a container names its sandbox: %j',
    (annotations, rules) => {
      const found = faults({ annotations }).map((fault) => fault.slice(fault.indexOf('"]: ') + 4))
      expect(found).toEqual(rules)
    },
  )

  test('D084 a working directory that is missing is made, 0755, with its parents, before the root is read-only', async () => {
    const process = { args: ['x'], cwd: '/srv/app' }
    await world.runtime.create('a', { root: { path: 'rootfs', readonly: true }, process })
    expect((await world.runtime.files('a').stat('/srv/app')).mode).toBe(0o40755)
    expect((await world.runtime.files('a').stat('/srv')).mode).toBe(0o40755)
    expect((await failure(write('a', '/srv/app/x'))).code).toBe('EROFS')
  })

  test('D092 there is no container before all its mounts are made, and none is started before; created means mounted', async () => {
    const { host } = new MemorySite()
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const waiting = bootWorld({ volumes: { ...host, lock: (id, how) => gate.then(() => host.lock(id, how)) } })
    const { runtime } = waiting
    const mounts = [{ destination: '/v', type: 'tmpfs', source: 'volume:slow' }]
    const creation = runtime.create('a', { mounts, process: { args: ['/none'] } })
    await new Promise((resolve) => setTimeout(resolve))
    expect(runtime.containers()).toEqual([])
    for (const use of [() => runtime.state('a'), () => runtime.files('a'), () => runtime.mounts('a')]) {
      expect(use).toThrow('there is no container of this id')
    }
    expect((await failure(waiting.start('a'))).code).toBe('ENOENT')
    expect((await failure(runtime.create('a', {}))).code).toBe('EEXIST')
    open()
    await creation
    expect(runtime.state('a').status).toBe('created')
    expect(runtime.mounts('a').map(({ destination }) => destination)).toEqual(expect.arrayContaining(['/v', '/tmp']))
    await endClean(waiting)
  })

  test('B138 a source is a path in a tree, which is cleaned and does not lead out of it; a tree without a path is all of it', async () => {
    for (const [id, source] of Object.entries({ a: 'rootfs//etc/./motd', b: 'rootfs/data/../etc/motd' })) {
      await world.runtime.create(id, { mounts: [{ destination: '/motd', type: 'bind', source }] })
      expect(await read(id, '/motd')).toBe('hello')
    }
    await world.runtime.create('c', { mounts: [{ destination: '/all', type: 'bind', source: 'rootfs' }] })
    expect(await read('c', '/all/data/x')).toBe('below')
    world.runtime.provide('other', treeOf({ secret: 'x' }))
    const out = { mounts: [{ destination: '/s', type: 'bind', source: 'rootfs/../other/secret' }] }
    expect((await failure(world.runtime.create('d', out))).code).toBe('ENOENT')
  })

  test('B150 devices are emulated, and no others are there: ENXIO; a tree holds neither them nor FIFOs', async () => {
    const devices = [
      { path: '/dev/nothing', type: 'c', major: 1, minor: 5 },
      { path: '/dev/disk', type: 'c', major: 200, minor: 1 },
    ]
    await world.runtime.create('a', { linux: { devices } })
    expect((await world.runtime.files('a').stat('/dev/disk')).mode & 0o170000).toBe(0o020000)
    expect((await failure(read('a', '/dev/disk'))).code).toBe('ENXIO')
    const entry = { path: 'pipe', kind: 'fifo' } as unknown as { path: string; kind: 'file' }
    expect(() => world.runtime.provide('piped', { entries: [entry] })).toThrow('kind must be')
  })

  test('D093 the page reads files by the path that the container sees: links are followed within its root alone', async () => {
    const entries = [
      { path: 'etc/motd', kind: 'file' as const, content: new TextEncoder().encode('mine') },
      { path: 'out', kind: 'symlink' as const, target: '../../../etc/motd' },
      { path: 'round', kind: 'symlink' as const, target: 'round' },
    ]
    world.runtime.provide('own', { entries })
    await world.runtime.create('a', { root: { path: 'own' } })
    expect(await read('a', '/out')).toBe('mine')
    expect((await failure(read('a', '/round'))).code).toBe('ELOOP')
    expect((await failure(read('a', '/none'))).code).toBe('ENOENT')
  })
})

describe('containers of one sandbox', () => {
  const spec = { root: { path: 'rootfs' }, mounts: [{ destination: '/t', type: 'tmpfs' }] }

  test('C216 C217 C218 C219 C220 C221 C222 have a namespace and a root each. Ours: no container sees another, and what a destination lacks is made', async () => {
    await world.runtime.create('a', spec)
    await world.runtime.create('b', { ...spec, mounts: [{ destination: '/not/in/the/image', type: 'tmpfs' }] })
    await write('a', '/t/x', 'of a')
    await write('a', '/etc/motd', 'changed')
    expect(await read('b', '/etc/motd')).toBe('hello')
    expect(destinations('b')).toContain('/not/in/the/image')
    expect(destinations('b')).not.toContain('/t')
    const names = (await world.runtime.files('a').readdir('/', false)).map(({ name }) => name)
    expect(names).not.toContain('__runsc_containers__')
    expect(await read('a', '/../../t/x')).toBe('of a')
    expect((await failure(world.runtime.create('a', spec))).code).toBe('EEXIST')
  })

  test('C282 C283 one that fails half way leaves nothing, and its id is free', async () => {
    const before = world.runtime.vfs.superblocks.size
    const broken = { ...spec, mounts: [...spec.mounts, { destination: '/u/v', type: 'tmpfs', options: ['mode=x'] }] }
    expect((await failure(world.runtime.create('a', broken))).code).toBe('EINVAL')
    expect(world.runtime.vfs.superblocks.size).toBe(before)
    await world.runtime.create('a', spec)
    expect(await read('a', '/etc/motd')).toBe('hello')
  })

  test('C225 C226 C227 C228 C229 C231 one is deleted while another runs: its mounts go at once, lazily, and what is open works until it is closed', async () => {
    const { runtime } = world
    const before = runtime.vfs.superblocks.size
    await runtime.create('a', { ...spec, mounts: [...spec.mounts, { destination: '/t/in', type: 'tmpfs' }] })
    await runtime.create('b', spec)
    await write('b', '/t/x', 'of b')
    const made = runtime.vfs.superblocks.size
    await write('a', '/t/open', 'still here')
    const { Task } = await import('../kernel/task.ts')
    const { credentialsOf } = await import('../vfs/context.ts')
    const namespace = [...runtime.vfs.tasks].find((task) => task.namespace && task.root.mount.namespace)!.namespace!
    const task = new Task({ vfs: runtime.vfs, credentials: credentialsOf(0, 0), root: namespace.rootPlace })
    const fd = task.openat(AT_FDCWD, '/t/open', O_RDONLY, 0)
    await runtime.delete('a', false)
    expect((await failure(runtime.delete('a', false))).code).toBe('ENOENT')
    const bytes = new Uint8Array(32)
    expect(task.readv(fd, bytes, [0, bytes.length])).toBe(10)
    expect(await read('b', '/t/x')).toBe('of b')
    task.close(fd)
    task.release()
    expect(runtime.vfs.superblocks.size).toBeLessThan(made)
    await runtime.delete('b', false)
    expect(runtime.vfs.superblocks.size).toBe(before)
  })

  test('C230 C232 deleting one returns when its volume is committed and closed', async () => {
    const { runtime } = world
    await runtime.create('a', { mounts: [{ destination: '/v', type: 'tmpfs', source: 'volume:kept' }] })
    await write('a', '/v/x', 'kept')
    await runtime.delete('a', false)
    expect(await runtime.volumes.calls.list()).toEqual([{ name: 'kept', mounted: false }])
    expect(runtime.volumes.dirty).toBe(false)
    await runtime.create('b', {
      mounts: [{ destination: '/v', type: 'tmpfs', source: 'volume:kept', options: ['ro'] }],
    })
    expect(await read('b', '/v/x')).toBe('kept')
  })
})
