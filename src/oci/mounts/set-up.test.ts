/** A container's mounts as they are made: the root, the places that mounts go to, /tmp; and that nothing is left when a step fails. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import type { Tree } from '../../abi/tree.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { checkMountTree } from '../../testing/check-mounts.ts'
import { MemorySite } from '../../testing/memory-site.ts'
import type { Mount } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import type { MountSpec, SpecInput } from '../spec.ts'

let world: World
let vfs: Vfs
let before: unknown

/** What a kernel holds: equal where nothing was left behind. */
const held = () => ({
  superblocks: vfs.superblocks.size,
  mounts: [...vfs.superblocks].reduce((sum, { views }) => sum + views.size, 0),
  opens: [...vfs.superblocks].reduce((sum, { opens }) => sum + opens, 0),
  devices: vfs.anonymousDevices.inUse,
  tasks: vfs.tasks.size,
  faults: checkMountTree(vfs),
})

beforeEach(() => {
  world = bootWorld({ volumes: new MemorySite().host })
  vfs = world.runtime.vfs
  world.runtime.provide('image', {
    entries: [
      { path: 'etc/name', kind: 'file', content: encodeUtf8('image') },
      { path: 'empty', kind: 'directory' },
      { path: 'to/dir', kind: 'symlink', target: '../empty' },
      { path: 'to/nothing', kind: 'symlink', target: '/made/behind/link' },
      { path: 'to/loop', kind: 'symlink', target: 'loop' },
      { path: 'to/outside', kind: 'symlink', target: '../../../../out' },
    ],
  })
  world.runtime.provide('file', treeOf({ f: 'content of f' }))
  before = held()
})

afterEach(async () => {
  for (const { id } of world.runtime.containers()) await world.runtime.delete(id, true)
  expect(held()).toEqual(before)
  await world.close()
})

const tmpfs = (destination: string, ...options: string[]): MountSpec => ({ destination, type: 'tmpfs', options })
const bind = (destination: string, source: string, ...options: string[]): MountSpec => ({
  destination,
  type: 'bind',
  source,
  options,
})
const IMAGE = { path: 'image' }
const READONLY = { path: 'image', readonly: true }

function provide(name: string, tree: Tree): void {
  world.runtime.provide(name, tree)
  before = held()
}

async function create(spec: SpecInput, overlay?: unknown, id = 'c') {
  const { warnings } = await world.runtime.create(id, spec, { overlay })
  const files = world.runtime.files(id)
  return {
    files,
    warnings,
    mounts: world.runtime.mounts(id),
    at: (place: string) => world.runtime.mounts(id).filter(({ destination }) => destination === place),
    names: async (path: string) => (await files.readdir(path, false)).map(({ name }) => name).sort(),
    read: async (path: string) => decodeUtf8(await files.readFile(path)),
    write: (path: string) => files.writeFile(path, encodeUtf8('x'), 0o1101, 0o644),
  }
}

const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )

describe('the root', () => {
  test('C013 C015 C018 C019 C023 C026 C034 a writable one is an overlay of one tree, a read-only one the tree itself', async () => {
    const ro = [tmpfs('/m', 'ro')]
    const writable = await create({ root: IMAGE, mounts: ro }, undefined, 'rw')
    expect(writable.at('/')).toMatchObject([
      { type: 'overlay', source: 'image', options: expect.arrayContaining(['rw']) },
    ])
    // The layers are in no tree.
    expect(writable.mounts.map(({ type }) => type)).not.toContain('gofer')
    await writable.write('/etc/name')
    for (const [id, spec, overlay] of [
      ['ro', { root: READONLY }, undefined],
      ['all', { root: READONLY }, 'all:memory'],
      ['none', { root: IMAGE }, 'none'],
    ] as const) {
      const { at, write, read } = await create(spec, overlay, id)
      expect(at('/')).toMatchObject([{ type: 'gofer', source: 'image' }])
      expect((await failure(write('/etc/name'))).code).toBe('EROFS')
      expect(await read('/etc/name')).toBe('image')
    }
  })

  test('C003 C002 is set up as the superuser, whoever the guest is', async () => {
    provide('closed', {
      entries: [
        { path: 'in/f', kind: 'file', content: encodeUtf8('') },
        { path: 'in', kind: 'directory', mode: 0o700 },
      ],
    })
    const process = { args: ['/in/f'], user: { uid: 1000, gid: 1000 } }
    const { at } = await create({ root: { path: 'closed' }, mounts: [tmpfs('/in/side')], process })
    expect(at('/in/side')).toHaveLength(1)
    expect((await world.runtime.files('c').stat('/in/side')).uid).toBe(0)
  })

  test('C031 C027 C029 its layer has owner and mode of the tree; C032 ours: as an overlay has it, its times, too', async () => {
    provide('owned', {
      entries: [
        { path: 'd', kind: 'directory', mode: 0o2750, uid: 5, gid: 6, mtime: 7_000_000_000n },
        { path: 'd/f', kind: 'file', content: encodeUtf8('') },
      ],
    })
    const { files } = await create({ root: { path: 'owned/d' } })
    expect(await files.stat('/')).toMatchObject({ mode: 0o42750, uid: 5, gid: 6 })
  })

  test('C021 C022 C004 C028 that is no directory is refused at once, by the name of the root', async () => {
    for (const readonly of [true, false]) {
      const error = await failure(create({ root: { path: 'file/f', readonly } }))
      expect(error).toMatchObject({ code: 'ENOTDIR', syscall: 'mount', path: '/' })
      expect(error.message).toMatch(/root: root.path "file\/f" is no directory/)
    }
    const missing = await failure(create({ root: { path: 'nothing' } }))
    expect(missing).toMatchObject({ code: 'ENOENT', path: '/' })
  })

  test('C008 C009 C010 C011 what is read-only is writable only for mount points, and a writer left over makes the set-up throw', async () => {
    const mounts = [tmpfs('/a', 'ro'), tmpfs('/a/b'), tmpfs('/a/b/c', 'ro')]
    const { files, write, at } = await create({ mounts })
    expect((await files.stat('/a/b')).mode & 0o777).toBe(0o777)
    for (const place of ['/a', '/a/b/c']) expect(at(place)[0]!.options).toContain('ro')
    expect((await failure(write('/a/x'))).code).toBe('EROFS')
    await write('/a/b/x')
    await world.runtime.delete('c', false)

    const tmpfsType = vfs.types.lookup('tmpfs')!
    const mount: typeof tmpfsType.mount = (request) => {
      const made = tmpfsType.mount(request)
      const { root } = made
      if (root.kind !== 'directory' || request.source !== 'held') return made
      const create = root.create!.bind(root)
      root.create = (...args) => {
        // As if somebody had opened a file for writing in the meantime.
        for (const { views } of vfs.superblocks)
          for (const view of views) if (view.superblock.filesystem === made) view.writers = 1
        return create(...args)
      }
      return made
    }
    vfs.types.lookup = (name) => (name === 'tmpfs' ? { ...tmpfsType, mount } : undefined) as typeof tmpfsType
    const held: MountSpec = { ...tmpfs('/a', 'ro'), source: 'held' }
    const error = await failure(create({ mounts: [held, tmpfs('/a/b')] }))
    expect(error).toMatchObject({ code: 'EBUSY', path: '/a/b' })
  })

  test('C072 ours: a mount on / is the root of what comes later, and of the container', async () => {
    const { names, mounts, write } = await create({ root: IMAGE, mounts: [tmpfs('/later'), tmpfs('/')] })
    expect(await names('/')).toEqual(expect.arrayContaining(['later']))
    expect(await names('/')).not.toContain('etc')
    await write('/x')
    expect(mounts[0]).toMatchObject({ destination: '/', type: 'tmpfs' })
  })
})

describe('places to mount on', () => {
  test.each([
    ['C166 C174 missing ones are made', '/some/very/deep/path', '/some/very/deep/path'],
    ['C062 C164 a link at the end is followed', '/to/dir', '/empty'],
    ['C173 a dangling one has its target made', '/to/nothing', '/made/behind/link'],
    ['C063 C064 so has one in the middle, from the container’s root', '/to/nothing/more', '/made/behind/link/more'],
    ['C063 .. does not leave the root', '/to/outside', '/out'],
    ['C065 what is a mount already', '/empty/../empty', '/empty'],
  ])('%s', async (_, destination, place) => {
    for (const [id, root] of [
      ['writable', IMAGE],
      ['readonly', READONLY],
    ] as const) {
      const { at, write, names } = await create(
        { root, mounts: [tmpfs(destination), tmpfs(destination)] },
        undefined,
        id,
      )
      expect(at(place)).toHaveLength(2)
      await write(`${place}/x`)
      expect(await names(destination)).toEqual(['x'])
    }
  })

  test('C169 C168 C170 A103 are 0755 and 0644; in a read-only tree they are seen, by this container alone, and never stored', async () => {
    const mounts = [tmpfs('/made/dir'), bind('/made/file', 'file/f')]
    const first = await create({ root: READONLY, mounts }, undefined, 'first')
    const second = await create({ root: READONLY }, undefined, 'second')
    expect(await first.names('/made')).toEqual(['dir', 'file'])
    expect((await first.files.stat('/made')).mode).toBe(0o40755)
    expect(await first.read('/made/file')).toBe('content of f')
    expect(await second.names('/')).not.toContain('made')
    const numbers = await Promise.all(['/', '/made', '/etc'].map(async (path) => (await first.files.stat(path)).ino))
    expect(new Set(numbers).size).toBe(3)
    await world.runtime.delete('first', false)
    const third = await create({ root: READONLY }, undefined, 'third')
    expect(await third.names('/')).not.toContain('made')
  })

  test('C172 C066 C171 a file is made for a file, and what is there must be of the same kind', async () => {
    const { read, files } = await create({
      root: IMAGE,
      mounts: [bind('/new/f', 'file/f'), bind('/etc/name', 'file/f')],
    })
    expect(await read('/new/f')).toBe('content of f')
    expect(await read('/etc/name')).toBe('content of f')
    await world.runtime.delete('c', false)
    expect(files).toBeDefined()
    for (const [mount, rule] of [
      [tmpfs('/etc/name'), 'a directory cannot be mounted on a file'],
      [bind('/empty', 'file/f'), 'a file cannot be mounted on a directory'],
    ] as const) {
      const error = await failure(create({ root: IMAGE, mounts: [mount] }))
      expect(error).toMatchObject({ code: 'ENOTDIR', path: mount.destination, message: expect.stringContaining(rule) })
    }
  })

  test.each([
    ['C167 a file on the way', 'ENOTDIR', '/etc/name/x'],
    ['C063 C167 links without end', 'ELOOP', '/to/loop/x'],
    ['C177 too long a name', 'ENAMETOOLONG', `/${'n'.repeat(256)}`],
  ])('C213 C272 %s is told with the destination', async (_, code, destination) => {
    for (const root of [IMAGE, READONLY]) {
      const error = await failure(create({ root, mounts: [tmpfs(destination)] }))
      expect(error).toMatchObject({ code, path: destination, syscall: 'mount' })
      expect(error.message).toContain('mounts[0]')
    }
  })

  test('C274 C067 what was made for a mount that then failed is taken back', async () => {
    const volume = 'root:volume:kept'
    const error = await failure(create({ mounts: [bind('/made/for/it', 'file/f'), tmpfs('/made/for/it/x')] }, volume))
    expect(error).toMatchObject({ code: 'ENOTDIR', path: '/made/for/it/x' })
    expect(error.message).toMatch(/mounts\[1\]/)
  })

  test('C175 C176 A103 where the filesystem refuses, there are directories in memory, in which nothing else can be made', async () => {
    const { files, names } = await create({ root: READONLY, mounts: [tmpfs('/a/b/c')] }, 'none')
    expect(await names('/a/b')).toEqual(['c'])
    expect((await failure(files.rmdir('/a/b/c'))).code).toBe('EROFS')
    await world.runtime.delete('c', false)
    // The tree may not be written; what is in memory over it may be, but for this.
    const loose = await create({ root: IMAGE, mounts: [tmpfs('/a/b/c')] }, 'none')
    for (const made of [loose.write('/a/x'), loose.files.mkdir('/a/b/y', 0o755, false)]) {
      expect(['EPERM', 'EROFS']).toContain((await failure(made)).code)
    }
  })
})

describe('/tmp', () => {
  const isTmpfs = (mounts: { type: string; options: readonly string[] }[]) =>
    expect(mounts).toMatchObject([{ type: 'tmpfs', options: expect.arrayContaining(['rw', 'mode=1777']) }])

  test('C117 C125 missing: a tmpfs of mode 1777, and no name in what it covers', async () => {
    const { at, files } = await create({ root: IMAGE })
    isTmpfs(at('/tmp'))
    expect((await files.stat('/tmp')).mode).toBe(0o41777)
  })

  test('C118 empty: the same', async () => {
    provide('with', { entries: [{ path: 'tmp', kind: 'directory' }] })
    isTmpfs((await create({ root: { path: 'with' } })).at('/tmp'))
  })

  test('C119 with anything in it: left alone', async () => {
    provide('with', treeOf({ 'tmp/f': 'x' }))
    const { at, read } = await create({ root: { path: 'with' } })
    expect(at('/tmp')).toEqual([])
    expect(await read('/tmp/f')).toBe('x')
  })

  test('C120 C127 with a mount below it, which was made before: left alone', async () => {
    const { at } = await create({ root: IMAGE, mounts: [tmpfs('/tmp/x')] })
    expect([at('/tmp').length, at('/tmp/x').length]).toEqual([0, 1])
  })

  test('C122 C129 a file: left alone', async () => {
    provide('with', treeOf({ tmp: 'file' }))
    const { at, read } = await create({ root: { path: 'with' } })
    expect(at('/tmp')).toEqual([])
    expect(await read('/tmp')).toBe('file')
  })

  test.each(['/tmp', '/tmp/', '/x/../tmp'])(
    'C115 C281 mounted by the spec, as %s: nothing more',
    async (destination) => {
      const { at } = await create({ root: IMAGE, mounts: [tmpfs(destination, 'mode=700')] })
      expect(at('/tmp')).toMatchObject([{ options: expect.arrayContaining(['mode=700']) }])
    },
  )

  test('C116 spoken of by a mount that is skipped: nothing', async () => {
    const { at } = await create({ root: IMAGE, mounts: [{ destination: '/tmp', type: 'nfs' }] })
    expect(at('/tmp')).toEqual([])
  })

  test('C121 ours: a link to an empty directory, or to none, has the tmpfs at its end', async () => {
    const targets = { there: 'real', missing: '/not/there' }
    for (const [id, target] of Object.entries(targets)) {
      provide(id, {
        entries: [
          { path: 'tmp', kind: 'symlink', target },
          { path: 'real', kind: 'directory' },
        ],
      })
    }
    isTmpfs((await create({ root: { path: 'there' } }, undefined, 'there')).at('/real'))
    isTmpfs((await create({ root: { path: 'missing' } }, undefined, 'missing')).at('/not/there'))
  })

  test('C123 C124 that cannot be opened or listed: an error that names it', async () => {
    provide('with', { entries: [{ path: 'tmp', kind: 'symlink', target: 'tmp' }] })
    const error = await failure(create({ root: { path: 'with' } }))
    expect(error).toMatchObject({ code: 'ELOOP', path: '/tmp', message: expect.stringContaining('internal /tmp') })
  })

  test('C126 C128 C287 is writable on a read-only root, without a layer, and holds nothing of what was there', async () => {
    const { at, write } = await create({ root: READONLY }, 'all:memory')
    isTmpfs(at('/tmp'))
    await write('/tmp/x')
  })
})

describe('where changes go', () => {
  test('C070 C071 D001 D016 all: each writable bind of a tree has a layer, tmpfs and read-only ones have not', async () => {
    const mounts = [bind('/rw', 'image'), bind('/ro', 'image', 'ro'), bind('/lastro', 'image', 'rw', 'ro'), tmpfs('/t')]
    const spec = { root: IMAGE, mounts: [...mounts, bind('/place', '/t')] }
    const all = await create(spec, 'all:memory', 'all')
    const types = (created: typeof all) =>
      Object.fromEntries(created.mounts.map(({ destination, type }) => [destination, type]))
    expect(types(all)).toMatchObject({
      '/': 'overlay',
      '/rw': 'overlay',
      '/ro': 'gofer',
      '/lastro': 'gofer',
      '/t': 'tmpfs',
    })
    await all.write('/rw/etc/name')
    await all.write('/place/shared')
    expect(await all.names('/t')).toEqual(['shared'])
    const root = await create(spec, 'root:memory', 'root')
    expect(types(root)).toMatchObject({ '/': 'overlay', '/rw': 'gofer' })
    expect(await root.read('/rw/etc/name')).toBe('image')
    expect(types(await create(spec, 'none', 'none'))).toMatchObject({ '/': 'gofer', '/rw': 'gofer' })
  })

  test('C030 the layer of a file has its content from the start, and takes changes', async () => {
    const { read, write } = await create({ mounts: [bind('/f', 'file/f')] }, 'all:memory')
    expect(await read('/f')).toBe('content of f')
    await write('/f')
    expect(await read('/f')).toBe('x')
  })

  test('D009 the layer of a file is in memory, with a warning, where a volume was asked for', async () => {
    const { read, warnings } = await create({ mounts: [bind('/f', 'file/f')] }, ['none', 'volume:v'])
    expect(await read('/f')).toBe('content of f')
    expect(warnings).toEqual([expect.stringContaining('mounts[0]: a file has its changes in memory')])
  })

  test('C038 D014 a size limits what a layer takes; without one there is no limit', async () => {
    const { files, write } = await create({ root: IMAGE }, 'root:memory,size=8k')
    await write('/small')
    const big = files.writeFile('/big', new Uint8Array(20_000), 0o1101, 0o644)
    expect((await failure(big)).code).toBe('ENOSPC')
    const error = await failure(create({ root: IMAGE }, 'root:memory,size=much', 'bad'))
    expect(error).toMatchObject({ code: 'EINVAL', path: '/', message: expect.stringContaining('size=much') })
  })

  test('C017 C042 C186 D017 kept in volumes, root and binds find theirs again, whatever the order', async () => {
    const spec = (...order: string[]) => ({
      root: IMAGE,
      mounts: order.map((name) => bind(`/data/${name}`, 'image')),
    })
    const first = await create(spec('a', 'b b'), 'all:volume:app')
    await first.write('/kept')
    await first.write('/data/a/in-a')
    await first.write('/data/b b/in-b')
    await first.files.unlink('/etc/name')
    await world.runtime.delete('c', false)
    const volumes = (await world.runtime.volumes.calls.list()).map(({ name }) => name)
    expect(volumes.sort()).toEqual(['app', 'app+data+a', 'app+data+b-20b'])
    const second = await create(spec('b b', 'a'), 'all:volume:app')
    expect(await second.names('/')).toContain('kept')
    expect(await second.names('/etc')).toEqual([])
    expect(await second.names('/data/a')).toContain('in-a')
    expect(await second.names('/data/b b')).toContain('in-b')
    // An upper layer is nobody else's.
    expect(await failure(create(spec(), 'root:volume:app', 'other'))).toMatchObject({ code: 'EBUSY', path: '/' })
  })

  test('without a tree the root is the volume itself', async () => {
    await (await create({}, 'root:volume:home')).write('/kept')
    await world.runtime.delete('c', false)
    const { names, at } = await create({}, 'root:volume:home')
    expect(await names('/')).toContain('kept')
    expect(at('/')).toMatchObject([{ type: 'tmpfs' }])
  })

  test('C012 C046 C047 C049 D006 a list is dealt in the order of the spec, before the mounts are sorted', async () => {
    const mounts = [bind('/longer', 'image'), tmpfs('/t'), bind('/b', 'image')]
    const { at } = await create({ root: IMAGE, mounts }, ['none', 'memory', 'none'])
    expect(['/', '/longer', '/b'].map((place) => at(place)[0]!.type)).toEqual(['gofer', 'overlay', 'gofer'])
    for (const list of [['none'], ['none', 'none', 'none', 'none']]) {
      const error = await failure(create({ root: IMAGE, mounts }, list, 'bad'))
      expect(error.message).toBe(`overlay: a list of ${list.length} for a spec with 3: its root, and 2 binds`)
    }
  })

  test('C041 a snapshot restores a layer in memory, and without one it is refused', async () => {
    const creation = world.runtime.create('c', { root: IMAGE }, { overlay: 'none', upper: new Blob([]) as never })
    await expect(creation).rejects.toThrow()
  })
})

describe('annotations of a root', () => {
  const annotations = (fields: Record<string, string>) =>
    Object.fromEntries(Object.entries(fields).map(([field, value]) => [`dev.gvisor.spec.rootfs.${field}`, value]))

  test('D018 D023 go before root.path, and say what takes the changes', async () => {
    const given = annotations({ source: 'image', type: 'bind', overlay: 'none', directfs: 'off' })
    const { at, read } = await create({ root: { path: 'file' }, annotations: given })
    expect(at('/')).toMatchObject([{ type: 'gofer' }])
    expect(await read('/etc/name')).toBe('image')
    const sized = annotations({ source: 'image', type: 'bind', options: 'size=8k' })
    const small = await create({ annotations: sized }, undefined, 'small')
    const big = small.files.writeFile('/big', new Uint8Array(20_000), 0o1101, 0o644)
    expect((await failure(big)).code).toBe('ENOSPC')
    expect((await create({ annotations: { other: 'x' } }, undefined, 'off')).at('/')).toMatchObject([{ type: 'tmpfs' }])
  })

  test.each<[fields: Record<string, string>, field: string, rule: RegExp]>([
    [{ source: 'image' }, 'type', /is required/],
    [{ type: 'bind' }, 'source', /is required/],
    [{ overlay: 'memory' }, 'source', /is required/],
    [{ source: '/image', type: 'bind' }, 'source', /name of a tree/],
    [{ source: 'image', type: 'erofs' }, 'type', /"erofs"/],
    [{ source: 'image', type: 'bind', overlay: 'self' }, 'overlay', /"self"/],
    [{ source: 'image', type: 'bind', options: '' }, 'options', /size=/],
    [{ source: 'image', type: 'bind', options: 'size' }, 'options', /"size"/],
    [{ source: 'image', type: 'bind', options: 'size=1,mode=1' }, 'options', /"mode=1"/],
    [{ source: 'image', type: 'bind', directfs: 'on' }, 'directfs', /default/],
    [{ source: 'image', type: 'bind', lifecycle: 'x' }, 'lifecycle', /no annotation/],
  ])('D018 D019 D020 D021 D022 %j is a fault', async (fields, field, rule) => {
    const error = await failure(create({ annotations: annotations(fields) }))
    const faults = (error as unknown as { faults: { path: string; rule: string }[] }).faults
    expect(faults).toContainEqual({
      path: `annotations["dev.gvisor.spec.rootfs.${field}"]`,
      rule: expect.stringMatching(rule) as string,
    })
  })
})

describe('a step that fails', () => {
  test('C005 C006 C035 C036 C037 leaves nothing behind, whichever it is', async () => {
    const spec: SpecInput = {
      root: IMAGE,
      mounts: [
        tmpfs('/t', 'ro'),
        tmpfs('/t/in', 'shared'),
        bind('/b', 'image'),
        bind('/f', 'file/f'),
        bind('/t-again', '/t', 'rbind'),
        { destination: '/of/layers', type: 'overlay', options: ['lowerdir=image', 'upperdir=/t/in'] },
      ],
    }
    // The others of the VFS only make objects.
    const steps = ['newFilesystem', 'attach', 'bind'] as const
    let failed = 0
    for (let n = 0; ; n++) {
      let left = n
      const originals = steps.map((step) => vfs[step])
      for (const step of steps) {
        const original = vfs[step].bind(vfs) as (...args: unknown[]) => unknown
        Object.assign(vfs, {
          [step]: (...args: unknown[]) => {
            if (left-- === 0) {
              // What the step was given is let go by it, as attach does.
              if (step === 'attach') vfs.discard(args[0] as Mount)
              throw new ErrnoError('EIO', undefined, `injected into ${step}`)
            }
            return original(...args)
          },
        })
      }
      const outcome = await world.runtime.create('c', spec, { overlay: 'all:memory' }).then(
        () => undefined,
        (error: ErrnoError) => error,
      )
      for (const [i, step] of steps.entries()) Object.assign(vfs, { [step]: originals[i] })
      if (!outcome) break
      failed++
      expect(outcome.code).toBe('EIO')
      expect(held()).toEqual(before)
    }
    expect(failed).toBeGreaterThan(12)
    await world.runtime.delete('c', false)
    expect(held()).toEqual(before)
  })
})
