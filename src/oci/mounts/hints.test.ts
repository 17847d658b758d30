/** Mount hints as a spec says them, and the volumes that containers share by them: group C10. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ErrnoError } from '../../abi/errno.ts'
import { O_CREAT, O_WRONLY } from '../../abi/linux.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { parseSpec, SpecError } from '../spec.ts'
import { endClean } from '../test-world.ts'
import { hintKey, readHints } from './hints.ts'

/** Annotations of hints: `{ name: { field: value } }`. */
const hints = (given: Record<string, Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(given).flatMap(([name, fields]) =>
      Object.entries(fields).map(([field, value]) => [`${hintKey(name)}.${field}`, value]),
    ),
  )

const PREFIX = 'dev.gvisor.spec.mount.'
const data = { source: '/pod/data', type: 'tmpfs', share: 'pod' }

describe('the annotations', () => {
  const faults = (annotations: object) => {
    try {
      parseSpec({ annotations })
    } catch (error) {
      if (error instanceof SpecError) return error.faults
      throw error
    }
    return []
  }
  const read = (annotations: Record<string, string>) => {
    const warnings: string[] = []
    return { hints: readHints(annotations, (warning) => warnings.push(warning)), warnings }
  }

  const form = `must be ${PREFIX}NAME.FIELD, and a name holds no dot`
  test.each<[string, string]>([
    [`${PREFIX}data`, form],
    [`${PREFIX}my.data.type`, form],
    [`${PREFIX}a.b.c.d`, form],
    [PREFIX, form],
    [`${PREFIX}.type`, 'must have a name before its field'],
  ])('C130 C131 C280 a key is the prefix, a name without dots and a field: %j', (key, rule) => {
    expect(faults({ [key]: 'tmpfs' })).toEqual([{ path: `annotations[${JSON.stringify(key)}]`, rule }])
  })

  test('C142 other annotations are none of this', () => {
    expect(faults({ 'dev.gvisor.spec.mounts.x': 'y', 'dev.gvisor.spec.mount': '' })).toEqual([])
    expect(read({ 'io.kubernetes.pod': 'x', 'dev.gvisor.spec.mounts.x': 'y' })).toEqual({ hints: [], warnings: [] })
  })

  test.each<[string, string, string]>([
    ['source', '', 'a source must not be empty'],
    ['source', 'volume:x', 'a volume of the site is shared by its name, without a hint'],
    ['type', 'overlay', '"overlay" must be one of tmpfs, bind'],
    ['type', '', '"" must be one of tmpfs, bind'],
    ['type', 'TMPFS', '"TMPFS" must be one of tmpfs, bind'],
    ['share', 'world', '"world" must be one of container, pod, shared'],
    ['lifecycle', 'pod', 'unknown field; there are source, type, share, options'],
  ])(
    'C132 C133 C134 C135 C138 C139 a bad field is told and left out, and the hint with it if it needs the field: %s=%j',
    (field, value, rule) => {
      const { hints: found, warnings } = read(hints({ d: { ...data, [field]: value } }))
      const needed = field in data
      expect(found.length).toBe(needed ? 0 : 1)
      expect(warnings).toEqual([
        `annotations["${PREFIX}d.${field}"]: ${rule}, ignored`,
        ...(needed ? [`annotations: the mount hint "d" has no ${field}, ignored`] : []),
      ])
      expect(faults(hints({ d: { ...data, [field]: value } }))).toEqual([])
    },
  )

  test('C139 C141 a hint without source, type and share is dropped, and the others stay', () => {
    const { hints: found, warnings } = read(hints({ a: { share: 'pod' }, b: data }))
    expect(found.map(({ name }) => name)).toEqual(['b'])
    expect(warnings).toEqual(['annotations: the mount hint "a" has no source, no type, ignored'])
  })

  test('C140 two hints of one source are a fault', () => {
    expect(faults(hints({ b: data, a: { ...data, type: 'bind' } }))).toEqual([
      { path: `annotations["${PREFIX}b.source"]`, rule: '"/pod/data" is the source of the hint "a" too' },
    ])
  })

  test('C137 C143 nothing depends on the order of options and annotations', () => {
    const given = hints({ d: { ...data, options: 'noexec,ro,mode=700' }, e: { ...data, source: '/e' } })
    const turned = Object.fromEntries(Object.entries(given).reverse())
    turned[`${hintKey('d')}.options`] = 'mode=700,ro,noexec'
    expect(read(turned)).toEqual(read(given))
    expect(read(given).hints[0]!.options).toEqual(['mode=700', 'noexec', 'ro'])
  })
})

describe('volumes of a sandbox', () => {
  let world: World
  beforeEach(() => {
    world = bootWorld()
  })
  afterEach(() => endClean(world))

  const mount = (destination: string, more: object = {}) => ({ destination, source: '/pod/data', ...more })
  const create = async (id: string, mounts: object[], annotations: Record<string, string> = {}) =>
    (await world.runtime.create(id, { mounts, annotations })).warnings
  const files = (id: string) => world.runtime.files(id)
  const write = (id: string, path: string, text: string) =>
    files(id).writeFile(path, new TextEncoder().encode(text), O_WRONLY | O_CREAT, 0o644)
  const read = async (id: string, path: string) => new TextDecoder().decode(await files(id).readFile(path))
  const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
    promise.then(
      () => expect.unreachable('it succeeded'),
      (error) => error,
    )
  const live = () => world.runtime.vfs.superblocks.size

  test.each(['pod', 'container'])(
    'C144 C145 C147 C148 C152 C157 C161 C162 with share %s every mount of the source is one tmpfs, whatever its type and destination',
    async (share) => {
      await create(
        'one',
        [mount('/data', { type: 'bind', options: ['rbind', 'rw'] }), mount('/twice', { type: 'tmpfs' })],
        hints({ d: { ...data, share } }),
      )
      await create('two', [
        mount('/elsewhere', { type: 'none', options: ['bind'] }),
        { destination: '/own', type: 'tmpfs', source: '/pod' },
      ])
      await write('one', '/data/x', 'seen by all')
      expect(await read('two', '/elsewhere/x')).toBe('seen by all')
      const [a, b, c] = await Promise.all([
        files('one').stat('/data/x'),
        files('one').stat('/twice/x'),
        files('two').stat('/elsewhere/x'),
      ])
      expect([a.ino, a.dev]).toEqual([b.ino, b.dev])
      expect([a.ino, a.dev]).toEqual([c.ino, c.dev])
      expect(await files('two').readdir('/own', false)).toEqual([])
    },
  )

  test('C149 C150 C136 C277 a volume is made when it is first mounted, as its hint says: data options, owner 0; what it does not know is told', async () => {
    const options = 'mode=0750,size=8k,uid=7,propagate'
    const annotations = hints({ d: { ...data, options }, unused: { ...data, source: '/unused' } })
    const made = () => [...world.runtime.shared.masters.keys()]
    expect(await create('none', [], annotations)).toEqual([])
    expect(made()).toEqual([])
    const warnings = await create('one', [mount('/data', { type: 'tmpfs', options: ['mode=777', 'size=1m'] })])
    expect(made()).toEqual(['d'])
    expect(warnings).toEqual([`${PREFIX}d.options[1]: unknown option "propagate", ignored`])
    expect(await files('one').stat('/data')).toMatchObject({ mode: 0o40750, uid: 7, gid: 0 })
    expect((await failure(write('one', '/data/big', 'x'.repeat(9000)))).code).toBe('ENOSPC')
  })

  test.each<[string, string[], string | undefined]>([
    ['ro', [], 'ro'],
    ['ro', ['ro'], undefined],
    ['noexec,nosuid', ['noexec'], 'nosuid'],
    ['noexec,nosuid', ['noexec', 'nosuid', 'ro', 'noatime'], undefined],
    ['noatime', ['atime'], 'noatime'],
    ['noexec', ['rw'], 'noexec'],
    ['', ['ro', 'noexec', 'nosuid', 'noatime'], undefined],
    ['rw', [], undefined],
    ['', ['rw'], undefined],
    ['mode=700', ['mode=777', 'size=1'], undefined],
  ])(
    'C153 C154 C155 C158 C275 of a volume that is %j a mount that is %j: only what allows more is refused',
    async (options, own, wrong) => {
      const before = live()
      const created = create(
        'one',
        [mount('/deep/data', { type: 'tmpfs', options: own })],
        hints({ d: { ...data, options } }),
      )
      if (!wrong) return expect(await created).toEqual([])
      expect(await failure(created)).toMatchObject({
        code: 'EINVAL',
        path: '/deep/data',
        message: expect.stringContaining(`mounts[0]: the volume "d" is ${wrong}, and this mount of it is not`),
      })
      expect(live()).toBe(before)
    },
  )

  test('C156 C276 each replica has its own flags: a read-only one gets the mount points of what is in it, and then refuses writes', async () => {
    await create(
      'one',
      [mount('/data', { type: 'tmpfs', options: ['ro'] }), { destination: '/data/in', type: 'tmpfs' }],
      hints({ d: data }),
    )
    await create('two', [mount('/data', { type: 'tmpfs', options: ['rw'] })])
    await write('two', '/data/x', 'y')
    expect((await failure(write('one', '/data/x', 'z'))).code).toBe('EROFS')
    await write('one', '/data/in/x', 'z')
    expect(await read('one', '/data/x')).toBe('y')
    expect((await files('two').readdir('/data', false)).map(({ name }) => name).sort()).toEqual(['in', 'x'])
  })

  test('C163 a name cannot go from one replica to the other: they are two mounts', async () => {
    await create('one', [mount('/a', { type: 'tmpfs' }), mount('/b', { type: 'tmpfs' })], hints({ d: data }))
    await write('one', '/a/x', 'y')
    expect((await failure(files('one').rename('/a/x', '/b/y'))).code).toBe('EXDEV')
    expect((await failure(files('one').link('/a/x', '/b/y'))).code).toBe('EXDEV')
  })

  test('C160 C161 a volume outlives the containers that show it, and ends with the sandbox', async () => {
    await create('one', [mount('/data', { type: 'tmpfs' })], hints({ d: data }))
    await write('one', '/data/x', 'kept')
    await world.runtime.delete('one', false)
    await create('one', [mount('/data', { type: 'tmpfs' })], hints({ d: data }))
    expect(await read('one', '/data/x')).toBe('kept')
  })

  test('C146 C151 a bind hint, and one that is shared beyond the sandbox, leave mounts as they are. Ours: files of the bundle need no access mode', async () => {
    world.runtime.provide('tree', treeOf({ x: 'from the bundle' }))
    const annotations = hints({ b: { source: 'tree', type: 'bind', share: 'pod' }, s: { ...data, share: 'shared' } })
    await create(
      'one',
      [{ destination: '/b', type: 'bind', source: 'tree' }, mount('/t', { type: 'tmpfs' })],
      annotations,
    )
    await create('two', [mount('/t', { type: 'tmpfs' })])
    expect(await read('one', '/b/x')).toBe('from the bundle')
    await write('one', '/t/x', 'y')
    expect(await files('two').readdir('/t', false)).toEqual([])
  })

  test('a hint that says of a source something else than one before is refused, and a container that fails leaves no hint', async () => {
    await create('one', [], hints({ d: data }))
    await create('same', [], hints({ d: data }))
    const other = create('two', [], hints({ e: { ...data, options: 'ro' } }))
    expect(await failure(other)).toMatchObject({
      code: 'EEXIST',
      message: expect.stringContaining('"d" of source /pod/data'),
    })
    const broken = [mount('/e', { source: '/e', type: 'tmpfs' }), { destination: '/x', type: 'bind', source: 'none' }]
    expect((await failure(create('three', broken, hints({ e: { ...data, source: '/e' } })))).code).toBe('ENOENT')
    await create(
      'four',
      [{ destination: '/e', type: 'tmpfs', source: '/e' }],
      hints({ other: { ...data, source: '/e' } }),
    )
  })
})
