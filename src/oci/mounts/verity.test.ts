/** Mounts and roots of containers that are checked against a hash. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ErrnoError } from '../../abi/errno.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { MemorySite } from '../../testing/memory-site.ts'
import type { MountSpec, SpecInput } from '../spec.ts'
import { endClean } from '../test-world.ts'
import { prepareMounts } from './prepare.ts'

let world: World

beforeEach(() => {
  world = bootWorld({ volumes: new MemorySite().host })
  world.runtime.provide('tree', treeOf({ 'data/f': 'content', 'data/d/g': 'more' }))
})

afterEach(() => endClean(world))

const prepared = (...mounts: Partial<MountSpec>[]) => {
  const warnings: string[] = []
  const known = { vfs: world.runtime.vfs, shared: { hintOf: () => undefined }, uppers: { scope: 'none' } as const }
  const spec = { mounts: mounts.map((mount) => ({ destination: '/m', ...mount })) }
  const made = prepareMounts(spec, known, (warning) => void warnings.push(warning))
  return { mounts: made.mounts.filter(({ mandatory }) => !mandatory), warnings }
}

const HEX = 'ab'.repeat(32)

async function create(spec: SpecInput, overlay?: unknown, id = 'c') {
  const { warnings } = await world.runtime.create(id, spec, { overlay })
  const files = world.runtime.files(id)
  return {
    files,
    warnings,
    at: (place: string) => world.runtime.mounts(id).filter(({ destination }) => destination === place),
    read: async (path: string) => decodeUtf8(await files.readFile(path)),
    write: (path: string, text: string) => files.writeFile(path, encodeUtf8(text), 0o1101, 0o644),
    names: async (path: string) => (await files.readdir(path, false)).map(({ name }) => name).sort(),
  }
}

const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )

const bind = (destination: string, source: string, ...options: string[]): MountSpec => ({
  destination,
  type: 'bind',
  source,
  options,
})

/** A place of a container whose trees are built; the hash of its root. Its tmpfs is on /data. */
async function sealed(id = 'c') {
  const container = await create(
    {
      mounts: [{ destination: '/data', type: 'tmpfs' }],
    },
    undefined,
    id,
  )
  await container.files.mkdir('/data/d', 0o755, false)
  await container.write('/data/f', 'content')
  await container.write('/data/d/g', 'more')
  await world.runtime.mount(id, { destination: '/view', type: 'verity', options: ['lower_path=/data'] })
  const hash = await container.files.enableVerity('/view')
  return { ...container, hash }
}

const verity = (hash: string, ...options: string[]): MountSpec => ({
  destination: '/checked',
  type: 'verity',
  options: ['lower_path=/data', `root_hash=${hash}`, ...options],
})

describe('options', () => {
  test('C101 C104 C105 C107 C108 those of verity are taken out, trimmed, the last of each; the others stay', () => {
    const options = [
      'ro',
      `verity.roothash = ${'0'.repeat(64)} `,
      'verity.action=panic',
      'noexec',
      `verity.roothash=${HEX}`,
      'verity.action=\terror',
    ]
    const { mounts, warnings } = prepared({ type: 'bind', source: 'tree', options })
    expect(mounts[0]).toMatchObject({
      verity: { rootHash: HEX, action: 'error' },
      options: { flags: { readonly: true, noexec: true }, data: '' },
    })
    expect(warnings).toEqual([])
  })

  test('C104 only the first = of a value splits, so a hash in base64 is told of whole', async () => {
    const { mounts } = prepared({ type: 'bind', source: 'tree', options: ['verity.roothash=YWJj='] })
    expect(mounts[0]!.verity).toEqual({ rootHash: 'YWJj=', action: 'panic' })
    const error = await failure(create({ mounts: [bind('/m', 'tree', 'verity.roothash=YWJj=')] }))
    expect(error).toMatchObject({ code: 'EINVAL', path: '/m' })
    expect(error.message).toContain('mounts[0]: verity option "root_hash=YWJj=": wants 64 hexadecimal digits')
  })

  test.each([
    [['verity.action=error'], { rootHash: '', action: 'error' }],
    [['verity.roothash='], { rootHash: '', action: 'panic' }],
    [[`verity.roothash=${HEX}`], { rootHash: HEX, action: 'panic' }],
    [['ro', 'verityaction=error'], undefined],
  ])('C105 C107 B191 %j', (options, expected) => {
    expect(prepared({ type: 'bind', source: 'tree', options }).mounts[0]!.verity).toEqual(expected)
  })

  test('C106 another action is told of and means panic', () => {
    const { mounts, warnings } = prepared({ type: 'bind', source: 'tree', options: ['ro', 'verity.action=Error'] })
    expect(mounts[0]!.verity).toEqual({ rootHash: '', action: 'panic' })
    expect(warnings).toEqual(['mounts[0].options[1]: unknown action "Error", taken for "panic"'])
  })

  test.each([
    ['C102', 'verity.roothash', 'has no value'],
    ['C102', 'verity.', 'has no value'],
    ['C103', 'verity.hash=1', 'is unknown: there are verity.roothash and verity.action'],
    ['C103', 'verity.=1', 'is unknown: there are verity.roothash and verity.action'],
  ])('%s C113 "%s" is refused, of any type, and of one that is skipped', (_, option, rule) => {
    for (const type of ['bind', 'tmpfs', 'nonsense']) {
      const prepare = () => prepared({ type, source: 'tree', options: ['ro', option] })
      expect(prepare).toThrow(`mounts[0]: options[1]: "${option}" ${rule}`)
    }
    expect(prepared({ type: 'nonsense', options: ['verity.action=x'] })).toEqual({
      mounts: [],
      warnings: [expect.stringContaining('unknown action "x"'), expect.stringContaining('unknown type "nonsense"')],
    })
  })

  test('C114 any type takes them', () => {
    for (const type of ['tmpfs', 'proc', 'bind', 'devtmpfs', 'overlay']) {
      expect(prepared({ type, source: 'tree', options: ['verity.action=error'] }).mounts[0]!.verity).toBeDefined()
    }
  })
})

describe('mounts', () => {
  test('B184 C110 C107 C109 a bind is checked; its tree is called by the destination', async () => {
    const { files, hash, read, at } = await sealed()
    await world.runtime.mount('c', bind('/some/where/', '/data', 'verity.action=error'))
    expect(await files.enableVerity('/some/where')).toBe(hash)
    await world.runtime.mount('c', bind('/other/where', '/data', `verity.roothash=${hash}`, 'verity.action=error'))
    expect(await read('/other/where/d/g')).toBe('more')
    expect(at('/other/where')).toMatchObject([{ type: 'verity', source: '/data' }])
    expect(await failure(files.writeFile('/other/where/f', encodeUtf8('x'), 0o1, 0))).toMatchObject({ code: 'EROFS' })
    const elsewhere = bind('/other/place', '/data', `verity.roothash=${hash}`, 'verity.action=error')
    const error = await failure(world.runtime.mount('c', elsewhere))
    expect(error).toMatchObject({ code: 'EIO', path: '/other/place' })
    expect(error.message).toContain('mounts[0]: verity: /: its tree is missing')
  })

  test('C105 B188 with action error whoever comes across it gets EIO, and all else goes on', async () => {
    const { files, hash, read, write } = await sealed()
    await world.runtime.mount('c', verity(hash))
    await world.runtime.mount('c', bind('/view2', '/data', 'verity.action=error'))
    await files.enableVerity('/view2')
    await write('/data/f', 'CONTENT')
    for (const path of ['/checked/f', '/view2/f', '/view/f']) {
      const error = await failure(read(path))
      expect(error).toMatchObject({ code: 'EIO', path })
      expect(error.message).toContain('(verity: /f: its ')
    }
    expect(await read('/checked/d/g')).toBe('more')
    expect(world.runtime.panicked).toBeUndefined()
  })

  test('C105 B188 B191 with panic, which a container has unless it says so, the sandbox stops, and says why', async () => {
    const said: string[] = []
    world.runtime.onPanic = (reason) => void said.push(reason)
    const { files, read, write } = await sealed()
    await create({}, undefined, 'other')
    await world.runtime.mount('c', bind('/v', '/data', 'verity.action=whatever'))
    await files.enableVerity('/v')
    await write('/data/f', 'CONTENT')
    expect(await failure(read('/v/f'))).toMatchObject({ code: 'EIO' })
    expect(said).toEqual([expect.stringMatching(/^verity: \/f: its time of change is \d+, and was \d+$/)])
    expect(world.runtime.panicked).toBe(said[0])
    expect(world.runtime.containers().map(({ status }) => status)).toEqual(['stopped', 'stopped'])
    const after = await failure(world.runtime.files('other').readdir('/', false))
    expect(after).toMatchObject({ code: 'ECANCELED' })
    expect(after.message).toContain(said[0])
  })

  test('B191 with panic a volume stays as it was last committed', async () => {
    const site = new MemorySite()
    const first = bootWorld({ volumes: site.host })
    const spec = { mounts: [{ destination: '/kept', type: 'tmpfs', source: 'volume:kept' }] }
    await first.runtime.create('c', spec)
    const files = first.runtime.files('c')
    await files.writeFile('/kept/a', encodeUtf8('kept'), 0o1101, 0o644)
    await files.sync()
    await files.writeFile('/kept/b', encodeUtf8('lost'), 0o1101, 0o644)
    first.runtime.panic('a test')
    await first.close().catch(() => {})
    const second = bootWorld({ volumes: site.host })
    await second.runtime.create('c', spec)
    expect((await second.runtime.files('c').readdir('/kept', false)).map(({ name }) => name)).toEqual(['a'])
    await second.close()
  })

  test('C111 flags of the mount hold, though upstream loses them: mount(2) does not ask of which type it is', async () => {
    const { hash } = await sealed()
    const options = [`verity.roothash=${hash}`, 'verity.action=error', 'noexec', 'noatime']
    await world.runtime.mount('c', bind('/seen/root', '/data', ...options))
    expect(world.runtime.mounts('c').at(-1)).toMatchObject({
      type: 'verity',
      options: expect.arrayContaining(['ro', 'noexec', 'noatime']),
    })
  })

  test('C112 where the bind has a layer for changes, that is over what is checked', async () => {
    const archived = await imageWithTrees()
    const spec = { mounts: [bind('/m', archived.name, `verity.roothash=${archived.hash}`, 'verity.action=error')] }
    // Its tree is called by the root.
    expect(await failure(create(spec, 'all:memory', 'one'))).toMatchObject({ code: 'EIO' })
    const source = { ...spec.mounts[0]!, destination: '/sealed/root' }
    const { read, write, at, names } = await create({ mounts: [source] }, ['none', 'memory'], 'two')
    expect(at('/sealed/root')).toMatchObject([{ type: 'overlay' }])
    expect(await read('/sealed/root/data/f')).toBe('content')
    await write('/sealed/root/data/f', 'changed')
    expect(await read('/sealed/root/data/f')).toBe('changed')
    expect(await names('/sealed/root')).toEqual(['data'])
  })

  test('C114 a type whose files cannot take trees refuses to have them built', async () => {
    const error = await failure(
      create({ mounts: [{ destination: '/p', type: 'proc', options: ['verity.action=error'] }] }),
    )
    expect(error).toMatchObject({ code: 'EROFS', path: '/p' })
    const { files } = await create({
      mounts: [{ destination: '/t', type: 'tmpfs', options: ['verity.action=error', 'mode=700'] }],
    })
    expect(await files.enableVerity('/t')).toMatch(/^[\da-f]{64}$/)
    expect((await files.lstat('/t')).mode).toBe(0o40700)
  })

  test('B207 a file is refused', async () => {
    const error = await failure(create({ mounts: [bind('/f', 'tree/data/f', `verity.roothash=${HEX}`)] }))
    expect(error).toMatchObject({ code: 'EINVAL', path: '/f' })
    expect(error.message).toContain('the root must be a directory')
    expect(world.runtime.panicked).toBeUndefined()
  })

  test('B208 a missing tree of the root ends the sandbox, or is EIO', async () => {
    const mount = bind('/m', 'tree', `verity.roothash=${HEX}`)
    expect(
      await failure(create({ mounts: [{ ...mount, options: [...mount.options!, 'verity.action=error'] }] })),
    ).toMatchObject({ code: 'EIO' })
    expect(world.runtime.panicked).toBeUndefined()
    expect(await failure(create({ mounts: [mount] }))).toMatchObject({ code: 'EIO' })
    expect(world.runtime.panicked).toBe('verity: /: its tree is missing')
  })

  test('B186 a mount by path is found as the source of a bind is, and faults are told with the place of the mount', async () => {
    const { hash, read } = await sealed()
    await world.runtime.mount('c', verity(hash, 'root_name=root', 'dentry_cache_limit=10'))
    expect(await read('/checked/f')).toBe('content')
    const wrong = async (...options: string[]) =>
      (await failure(world.runtime.mount('c', { destination: '/x', type: 'verity', options }))).message
    expect(await wrong('lower_path=/none')).toContain('mounts[0]: source /none')
    expect(await wrong()).toContain('wants its lower directory: lower_path=PATH')
    expect(await wrong('lower_path=/data', 'root_hash=xyz')).toContain('"root_hash=xyz": wants 64 hexadecimal digits')
  })
})

/** An image that was made with its trees, as an archive might bring it. */
async function imageWithTrees() {
  await world.runtime.create('maker', { root: { path: 'tree' } })
  const images = await world.runtime.images()
  const { name } = await images.commit('maker', { name: 'plain' })
  const sealed = await images.seal(name, { name: 'sealed', rootName: 'root' })
  await world.runtime.delete('maker', true)
  return { name: sealed.name, hash: sealed.rootHash }
}
