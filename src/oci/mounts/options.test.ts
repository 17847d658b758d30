/** What the types and options of a spec's mounts become. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import type { MountSpec } from '../spec.ts'
import { compileMounts } from './compile.ts'
import { mountOptions } from './options.ts'
import { prepareMounts } from './prepare.ts'

let world: World

beforeEach(() => {
  world = bootWorld()
  const { vfs } = world.runtime
  // Those that the kernel has not got are played by a tmpfs.
  const tmpfs = vfs.types.lookup('tmpfs')!
  for (const name of ['proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup', 'mqueue']) {
    if (vfs.types.lookup(name)) continue
    const mount: typeof tmpfs.mount = (request) => tmpfs.mount({ ...request, data: '', internal: { type: name } })
    vfs.types.register({ name, userMountable: true, userListable: true, mount })
  }
})

afterEach(() => world.close())

const prepared = (...mounts: MountSpec[]) => {
  const warnings: string[] = []
  const known = { vfs: world.runtime.vfs, shared: { hintOf: () => undefined }, uppers: { scope: 'none' } as const }
  const made = prepareMounts({ mounts }, known, (warning) => void warnings.push(warning))
  return { mounts: made.mounts.filter(({ mandatory }) => !mandatory), warnings }
}
const one = (mount: Partial<MountSpec>) => {
  const { mounts, warnings } = prepared({ destination: '/m', ...mount })
  return { mount: mounts[0], warnings }
}

describe('C088 C089 C090 C091 C094 C096 C098 C099 C100 options of any mount', () => {
  test.each<[given: string[], flags: object, unknown: string[]]>([
    [[], {}, []],
    [['ro'], { readonly: true }, []],
    [['ro', 'rw'], { readonly: false }, []],
    [['rw', 'ro'], { readonly: true }, []],
    [['ro', 'ro'], { readonly: true }, []],
    [['noatime'], { noatime: true }, []],
    [['noatime', 'atime'], { noatime: false }, []],
    [['noatime', 'strictatime'], { noatime: false, strictatime: true }, []],
    [['strictatime', 'relatime'], { strictatime: false, noatime: false }, []],
    [['nodiratime'], { nodiratime: true }, []],
    [['noexec'], { noexec: true }, []],
    [['noexec', 'exec'], { noexec: false }, []],
    [['nosuid', 'nodev'], { nosuid: true, nodev: true }, []],
    [['nosuid', 'suid', 'nodev', 'dev'], { nosuid: false, nodev: false }, []],
    [['defaults'], {}, []],
    [['RO'], {}, ['RO']],
    [[' ro'], {}, [' ro']],
    [['shiny', 'ro', 'sync'], { readonly: true }, ['shiny', 'sync']],
    [['size=1m', 'a=b=c'], {}, ['size=1m', 'a=b=c']],
  ])('%j', (given, flags, unknown) => {
    const warnings: string[] = []
    const options = mountOptions(given, { data: [] }, 'mounts[3]', (warning) => void warnings.push(warning))
    expect(options).toMatchObject({ flags, data: '' })
    expect(Object.keys(options.flags).sort()).toEqual(Object.keys(flags).sort())
    expect(warnings).toEqual(
      unknown.map((option) => `mounts[3].options[${given.indexOf(option)}]: unknown option "${option}", ignored`),
    )
  })
})

describe('C043 C044 C045 C073 C074 C080 C083 C084 C085 C087 types', () => {
  test.each<[mount: Partial<MountSpec>, type: string | undefined, filesystem?: string]>([
    [{ type: 'bind', source: 'x' }, 'bind', 'gofer'],
    // C044 ours: a bind, not a sysfs.
    [{ type: 'none', source: 'x', options: ['bind'] }, 'bind', 'gofer'],
    [{ type: 'bind', source: 'volume:x' }, 'tmpfs', 'tmpfs'],
    [{ type: '', source: 'x', options: ['ro', 'rbind'] }, 'bind', 'gofer'],
    [{ type: 'nonsense', source: 'x', options: ['bind'] }, 'bind', 'gofer'],
    [{ type: 'none' }, 'none', 'sysfs'],
    [{ type: 'proc' }, 'proc', 'proc'],
    [{ type: 'sysfs' }, 'sysfs', 'sysfs'],
    [{ type: 'devtmpfs' }, 'devtmpfs', 'dev'],
    [{ type: 'devpts' }, 'devpts', 'devpts'],
    [{ type: 'mqueue' }, 'mqueue', 'mqueue'],
    [{ type: 'tmpfs' }, 'tmpfs', 'tmpfs'],
    [{ type: 'Tmpfs' }, undefined],
    [{ type: 'nfs' }, undefined],
    [{ type: '' }, undefined],
    [{}, undefined],
    [{ type: 'toString' }, undefined],
  ])('%j', (given, type, filesystem) => {
    const { mount, warnings } = one(given)
    expect(mount?.type).toBe(type)
    expect(mount?.is.filesystem).toBe(filesystem)
    // One warning, whatever its options.
    const skipped = one({ ...given, options: [...(given.options ?? []), 'shiny'] })
    expect(warnings).toEqual(type === undefined ? [expect.stringMatching(/^mounts\[0\]\.type: .*\/m is skipped/)] : [])
    expect(skipped.warnings).toHaveLength(1)
  })
})

describe('C075 C076 C077 C079 C082 C095 options of the type itself', () => {
  test.each<[type: string, options: string[], data: string, unknown: string[]]>([
    ['tmpfs', ['mode=700', 'ro', 'uid=5', 'gid=6'], 'mode=700,uid=5,gid=6', []],
    ['tmpfs', ['size=1m', 'mode'], 'size=1m,mode', []],
    ['tmpfs', ['huge=always'], '', ['huge=always']],
    ['proc', ['hidepid=2', 'ro'], '', ['hidepid=2']],
    ['devpts', ['newinstance', 'gid=5', 'mode=620', 'a=b'], 'newinstance,gid=5,mode=620', ['a=b']],
    ['proc', ['a=b=c'], '', ['a=b=c']],
  ])('%s %j', (type, options, data, unknown) => {
    const { mount, warnings } = one({ type, options })
    expect(mount!.options.data).toBe(data)
    expect(warnings.map((warning) => JSON.parse(/"(.*)"/.exec(warning)![0]))).toEqual(unknown)
  })

  test('C077 one without its value passes, and the tmpfs refuses it', async () => {
    const creation = world.runtime.create('a', { mounts: [{ destination: '/m', type: 'tmpfs', options: ['mode'] }] })
    await expect(creation).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringMatching(/mounts\[0\].*mode/),
    })
  })

  test('C078 one with several = is an error of a tmpfs, with its place', () => {
    expect(() => one({ type: 'tmpfs', options: ['ro', 'mode=7=5'] })).toThrow(ErrnoError)
    expect(() => one({ type: 'tmpfs', options: ['ro', 'mode=7=5'] })).toThrow(/mounts\[0\]: options\[1\]: "mode=7=5"/)
  })
})

test('C092 C093 C097 bind and rbind say nothing by themselves, and propagation is told to the mount', () => {
  expect(one({ source: '/x', options: ['bind', 'rshared'] })).toMatchObject({
    warnings: [],
    mount: { options: { recursive: false, propagation: { to: 'shared', recursive: true } } },
  })
  expect(one({ source: '/x', options: ['rbind'] }).mount!.options.recursive).toBe(true)
})

describe('the order of mounts', () => {
  const order = (...destinations: string[]) =>
    prepared(...destinations.map((destination) => ({ destination, type: 'tmpfs' }))).mounts.map(
      ({ destination, place }) => `${destination} ${place}`,
    )

  test('C052 C053 ours: the clean text counts, so a parent goes before what is in it', () => {
    expect(order('/a/b/c', '/a//////b', '/y', '/x/')).toEqual([
      '/y mounts[2]',
      '/x mounts[3]',
      '/a/b mounts[1]',
      '/a/b/c mounts[0]',
    ])
  })

  test('C054 C055 C056 bytes of UTF-8 count; of one length the order of the spec stays', () => {
    expect(order('/bb', '/é', '/aa', '/bb')).toEqual([
      '/bb mounts[0]',
      '/é mounts[1]',
      '/aa mounts[2]',
      '/bb mounts[3]',
    ])
    expect(order('/éé', '/aaa')).toEqual(['/aaa mounts[1]', '/éé mounts[0]'])
  })
})

describe('C187 C188 C189 C190 C191 C192 C193 C194 C195 C196 C199 C200 what is mounted without being asked for', () => {
  const compiled = (...mounts: MountSpec[]) =>
    compileMounts({ mounts }, world.runtime.vfs.types).map(({ spec, place }) => [
      spec.destination,
      spec.type,
      place.replace('mandatory mount', '-'),
    ])
  const mandatory = [
    ['/proc', 'proc', '-'],
    ['/sys', 'sysfs', '-'],
    ['/dev', 'devtmpfs', '-'],
    ['/dev/pts', 'devpts', '-'],
  ]
  const without = (...places: string[]) => mandatory.filter(([place]) => !places.includes(place!))

  test.each<[string, MountSpec[], unknown[][]]>([
    ['nothing', [], mandatory],
    ['only proc', [{ destination: '/proc', type: 'proc' }], [...without('/proc'), ['/proc', 'proc', 'mounts[0]']]],
    [
      'proc and sys by unclean paths, of other types',
      [
        { destination: '//proc/', type: 'tmpfs' },
        { destination: '/sys/.', type: 'bind', source: 'x' },
      ],
      [...without('/proc', '/sys'), ['//proc/', 'tmpfs', 'mounts[0]'], ['/sys/.', 'bind', 'mounts[1]']],
    ],
    [
      'dev and pts of other types are what they must be; a bind stays one',
      [
        { destination: '/dev', type: 'tmpfs' },
        { destination: '/dev/pts', type: 'bind', source: 'x' },
      ],
      [...without('/dev', '/dev/pts'), ['/dev', 'devtmpfs', 'mounts[0]'], ['/dev/pts', 'bind', 'mounts[1]']],
    ],
    [
      'places in /dev are all allowed',
      [
        { destination: '/dev/null', type: 'tmpfs' },
        { destination: '/dev/shm', type: 'tmpfs' },
        { destination: '/dev/foo', type: 'tmpfs' },
      ],
      [
        ...mandatory,
        ['/dev/null', 'tmpfs', 'mounts[0]'],
        ['/dev/shm', 'tmpfs', 'mounts[1]'],
        ['/dev/foo', 'tmpfs', 'mounts[2]'],
      ],
    ],
    [
      'cgroups are the kernel’s own, before all else',
      [
        { destination: '/a', type: 'tmpfs' },
        { destination: '/sys/fs/cgroup', type: 'cgroup', options: ['ro'] },
      ],
      [
        ['/sys/fs/cgroup', 'tmpfs', 'mounts[1]'],
        ...['cpuset', 'cpu', 'cpuacct', 'memory', 'devices', 'pids', 'job'].map((controller) => [
          `/sys/fs/cgroup/${controller}`,
          'cgroup',
          'mounts[1]',
        ]),
        ...mandatory,
        ['/a', 'tmpfs', 'mounts[0]'],
      ],
    ],
  ])('%s', (_, mounts, expected) => {
    expect(compiled(...mounts)).toEqual(expected)
  })

  test('C197 C198 C201 C202 all are mount points of an empty container, and so are those that are inside them', async () => {
    world.runtime.provide('image', treeOf({ 'etc/name': 'image' }))
    const inside = ['/proc/some/deep', '/sys/x', '/dev/foo', '/dev/pts/y']
    for (const [id, root] of Object.entries({ rw: {}, ro: { readonly: true } })) {
      const mounts = inside.map((destination) => ({ destination, type: 'tmpfs' }))
      await world.runtime.create(id, { root: { path: 'image', ...root }, mounts })
      const places = world.runtime.mounts(id).map(({ destination }) => destination)
      expect(places.sort()).toEqual(['/', '/proc', '/sys', '/dev', '/dev/pts', '/tmp', ...inside].sort())
      const files = world.runtime.files(id)
      const names = (await files.readdir('/', false)).map(({ name }) => name)
      expect(names.sort()).toEqual(['dev', 'etc', 'proc', 'sys', 'tmp'])
      await world.runtime.delete(id, false)
    }
  })
})
