/** Containers that are saved and made again: what comes back, and what is refused. */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { buildGuest } from '../../../e2e/guests/build.mjs'
import type { BlobLike } from '../../abi/tree.ts'
import type { StdioEntry } from '../../abi/wire.ts'
import { ContentReaders } from '../../fs/gofer/content.ts'
import { imageOf } from '../../testing/erofs-world.ts'
import { parseManifest } from './manifest.ts'
import { failure, manifestOf, Site, type Tab } from './test-world.ts'

const system = { 'etc/name': 'as delivered', 'etc/old': 'old', 'usr/lib/a': 'A' }
const rooted = { root: { path: 'system' } }
const tmpfs = (destination: string, ...options: string[]) => ({ destination, type: 'tmpfs', options })
const bind = (destination: string, source: string, ...options: string[]) => ({
  ...{ destination, source, type: 'bind', options },
})

describe('a container comes back', () => {
  test('D067 D079 C238 C239 with its mounts, its files in memory and those in a volume; a trace of each is in the checkpoint', async () => {
    const site = new Site()
    const first = site.tab({ system, tools: { tool: 'T' } })
    await first.create('c', {
      root: { path: 'system' },
      mounts: [
        tmpfs('/data', 'size=1m', 'nosuid', 'mode=750'),
        bind('/bin', 'tools'),
        bind('/data/etc', '/etc'),
        { destination: '/over', type: 'overlay', options: ['lowerdir=tools:system'] },
        { destination: '/kept', type: 'tmpfs', source: 'volume:notes' },
        { destination: '/dev', type: 'devtmpfs' },
      ],
    })
    await first.write('c', '/etc/name', 'mine')
    await first.runtime.files('c').unlink('/etc/old')
    await first.write('c', '/data/f', 'x'.repeat(200_000))
    await first.runtime.files('c').link('/data/f', '/data/g')
    await first.write('c', '/over/tool', 'changed')
    await first.write('c', '/tmp/t', 'T')
    await first.write('c', '/dev/shm/s', 'S')
    await first.write('c', '/kept/k', 'K')
    await first.runtime.files('c').utimes('/data/f', 1n, -5n, true)
    const [mounts, tree] = [first.mounts('c'), await first.tree('c')]
    const saved = await first.save()
    await first.end()

    const second = site.tab({ system, tools: { tool: 'T' } })
    const report = await second.restore(saved)
    expect(report).toEqual({ containers: [{ id: 'c', warnings: [] }], orphans: [] })
    expect(second.mounts('c')).toEqual(mounts)
    expect(await second.tree('c')).toEqual(tree)
    expect(await second.read('c', '/etc/name')).toBe('mine')
    expect(await second.read('c', '/data/etc/name')).toBe('mine')
    expect(await second.read('c', '/kept/k')).toBe('K')
    expect(await failure(second.read('c', '/etc/old'))).toMatch(/^ENOENT/)
    expect(second.runtime.state('c').status).toBe('created')
    const { containers, volumes } = await manifestOf(saved)
    expect(containers[0]!.mounts.find(({ unique }) => unique === '/data')).toMatchObject({ data: 'size=1m,mode=750' })
    expect(volumes).toEqual([{ name: 'notes', id: [...site.databases.keys()][0] }])
  })

  test('D078 the changes over its lower layers alone, while a program runs in it and goes on', async () => {
    const site = new Site()
    const large = { ...system, large: new Uint8Array(3_000_000) }
    const first = site.tab({ system: large, lib: { l: await guest('library') } })
    const program = await library(first, 'c', { ...rooted, mounts: [bind('/lib', 'lib'), tmpfs('/work')] })
    await program.call('count')
    await first.write('c', '/etc/name', 'mine')
    const saved = await first.save()
    expect(saved.size).toBeLessThan(20_000)
    expect(await program.call('count')).toBe(103)
    await first.write('c', '/etc/name', 'later')
    await program.end()
    await first.end()
    const second = site.tab({ system: large, lib: { l: await guest('library') } })
    await second.restore(saved)
    expect(await second.read('c', '/etc/name')).toBe('mine')
    expect(second.runtime.state('c')).not.toHaveProperty('pid')
  })

  test('D072 with numbers of files that are the same, and device numbers that no two filesystems share', async () => {
    const site = new Site()
    const spec = { ...rooted, mounts: [tmpfs('/a'), tmpfs('/b'), tmpfs('/c')] }
    const numbers = async (tab: Tab) => {
      const stats = await Promise.all(
        ['/', '/a', '/b', '/c', '/tmp', '/sys'].map((path) => tab.runtime.files('c').stat(path)),
      )
      return stats.map(({ dev }) => dev)
    }
    const first = site.tab({ system })
    await first.create('c', spec)
    await first.write('c', '/a/f', '')
    const before = { dev: await numbers(first), tree: await first.tree('c', '/a') }
    const saved = await first.save()
    const second = site.tab({ system })
    await second.create('other', { mounts: [tmpfs('/x'), tmpfs('/y')] })
    await second.restore(saved)
    const there = await numbers(second)
    expect(new Set(there).size).toBe(6)
    expect(there).toEqual(await numbers(second))
    expect(await second.tree('c', '/a')).toEqual(before.tree)
    const third = site.tab({ system })
    await third.restore(saved)
    expect(await numbers(third)).toEqual(before.dev)
  })

  test('D077 and places to mount on that its tree does not have are made', async () => {
    const site = new Site()
    const first = site.tab({ system, tools: { tool: 'T' } })
    const mounts = [tmpfs('/not/there'), bind('/nor/this', 'tools')]
    await first.create('c', { root: { path: 'system', readonly: true }, mounts })
    await first.create('d', { ...rooted, mounts })
    await first.write('c', '/not/there/f', 'F')
    const saved = await first.save()
    // The other tree has the places of neither.
    const second = site.tab({ system: { ...system, more: '' }, tools: { tool: 'T' } })
    await second.restore(saved, { validation: 'ignore' })
    expect(await second.read('c', '/not/there/f')).toBe('F')
    expect(await second.read('d', '/nor/this/tool')).toBe('T')
  })

  test('what a file of the page had changed in memory, and a whole directory below a bind', async () => {
    const site = new Site()
    const trees = { tools: { 'bin/tool': 'T', conf: 'C' } }
    const spec = { mounts: [bind('/conf', 'tools/conf'), bind('/bin', 'tools/bin')] }
    const first = site.tab(trees)
    await first.create('c', spec, { overlay: 'all:memory,size=1m' })
    await first.write('c', '/conf', 'changed')
    await first.write('c', '/bin/tool', 'changed, too')
    const [mounts, tree] = [first.mounts('c'), await first.tree('c')]
    const saved = await first.save()
    const second = site.tab(trees)
    await second.restore(saved)
    expect(second.mounts('c')).toEqual(mounts)
    expect(await second.tree('c')).toEqual(tree)
    expect([await second.read('c', '/conf'), await second.read('c', '/bin/tool')]).toEqual(['changed', 'changed, too'])
  })

  test('with what was mounted since it was made, again and again', async () => {
    const site = new Site()
    const first = site.tab({ tools: { tool: 'T' } })
    await first.create('other', {})
    await first.runtime.mount('other', tmpfs('/x'))
    await first.create('c', { mounts: [tmpfs('/data')] })
    await first.runtime.mount('c', tmpfs('/before'))
    await first.runtime.mount('c', tmpfs('/more', 'size=1m'))
    await first.runtime.mount('c', bind('/bin', 'tools'))
    await first.runtime.mount('c', tmpfs('/data'))
    await first.write('c', '/more/f', 'F')
    await first.write('c', '/data/g', 'G')
    await first.write('c', '/before/b', 'B')
    const [mounts, tree] = [first.mounts('c'), await first.tree('c')]
    const second = site.tab({ tools: { tool: 'T' } })
    await second.restore(await first.save({ containers: ['c'] }))
    const third = site.tab({ tools: { tool: 'T' } })
    await second.runtime.mount('c', tmpfs('/last'))
    await third.restore(await second.save())
    await third.runtime.files('c').readdir('/last', false)
    expect(third.mounts('c').filter((line) => !line.startsWith('/last'))).toEqual(mounts)
    delete (await third.tree('c'))['/last']
    expect(Object.keys(await third.tree('c')).filter((path) => path !== '/last')).toEqual(Object.keys(tree))
    expect([await third.read('c', '/more/f'), await third.read('c', '/data/g')]).toEqual(['F', 'G'])
  })

  test('D033 whose root is an image, sealed or not, that another tab imports again; a tree in its place is told from it', async () => {
    const site = new Site()
    const maker = site.tab({ system })
    await maker.create('maker', rooted)
    await maker.write('maker', '/etc/name', 'of the image')
    const images = await maker.runtime.images()
    await images.commit('maker', { name: 'plain' })
    const { rootHash } = await images.seal('plain', { name: 'sealed' })
    const archives = await Promise.all(['plain', 'sealed'].map((name) => images.exportImage(name, {})))
    const tab = async () => {
      const made = site.tab({ system })
      const [plain, sealed] = archives.map((parts) => new Blob([...parts] as BlobPart[]) as unknown as BlobLike)
      await (await made.runtime.images()).importImage(plain!, { name: 'plain' })
      await (await made.runtime.images()).importImage(sealed!, { name: 'sealed' })
      return made
    }
    const first = await tab()
    await first.create('a', { root: { path: 'plain' } })
    const checked = ['lower_path=sealed', `root_hash=${rootHash}`, 'root_name=/']
    await first.create('b', {
      mounts: [{ destination: '/checked', type: 'verity', options: checked }],
      annotations: {
        'dev.gvisor.spec.rootfs.source': 'sealed',
        'dev.gvisor.spec.rootfs.type': 'bind',
        'dev.gvisor.spec.rootfs.options': `verity.roothash=${rootHash},verity.action=error`,
      },
    })
    for (const id of ['a', 'b']) {
      await first.write(id, '/new', id)
      await first.runtime.files(id).unlink('/etc/old')
    }
    const trees = [await first.tree('a'), await first.tree('b')]
    const saved = await first.save()
    const second = await tab()
    await second.restore(saved)
    expect([await second.tree('a'), await second.tree('b')]).toEqual(trees)
    expect(await second.read('b', '/etc/name')).toBe('of the image')
    expect((await manifestOf(saved)).containers[1]!.sources).toMatchObject([
      { unique: '/', source: 'sealed' },
      { unique: '/checked#lower1', source: 'sealed' },
    ])
    const third = await tab()
    await (await third.runtime.images()).removeImage('plain')
    third.provide('plain', system)
    expect(await failure(third.restore(saved))).toMatch(/"plain" is not what it was/)
  })

  test('D033 whose root and mount are EROFS images, of the same bytes again', async () => {
    const site = new Site()
    const image = imageOf({ 'etc/name': 'of the image' })
    const first = site.tab({ disks: { image } })
    const annotations = {
      'dev.gvisor.spec.rootfs.source': 'disks/image',
      'dev.gvisor.spec.rootfs.type': 'erofs',
    }
    await first.create('c', { annotations, mounts: [{ destination: '/m', type: 'erofs', source: 'disks/image' }] })
    await first.write('c', '/new', 'mine')
    const [mounts, tree] = [first.mounts('c'), await first.tree('c')]
    const saved = await first.save()
    const second = site.tab({ disks: { image } })
    await second.restore(saved)
    expect([second.mounts('c'), await second.tree('c')]).toEqual([mounts, tree])
    expect([await second.read('c', '/m/etc/name'), await second.read('c', '/new')]).toEqual(['of the image', 'mine'])
    expect((await manifestOf(saved)).containers[0]!.sources).toMatchObject([
      { unique: '/', source: 'disks/image' },
      { unique: '/m', source: 'disks/image' },
    ])
    const third = site.tab({ disks: { image: imageOf({ 'etc/name': 'of an image' }) } })
    expect(await failure(third.restore(saved))).toMatch(/"disks\/image" is not what it was/)
  })

  test('C236 with a /tmp of its own if it had one, whatever is in /tmp by now', async () => {
    const site = new Site()
    const trees = { full: { 'tmp/x': 'X' }, empty: system }
    const first = site.tab(trees)
    await first.create('full', { root: { path: 'full' } })
    await first.create('empty', { root: { path: 'empty' } })
    await first.runtime.files('full').unlink('/tmp/x')
    await first.write('empty', '/tmp/t', 'T')
    const before = [first.mounts('full'), first.mounts('empty')]
    const saved = await first.save()
    const [full, empty] = (await manifestOf(saved)).containers
    expect(full!.mounts.map(({ unique }) => unique)).not.toContain('/tmp')
    expect(empty!.mounts.at(-1)).toMatchObject({ unique: '/tmp', type: 'tmpfs', data: 'mode=1777' })
    const second = site.tab(trees)
    await second.restore(saved)
    expect([second.mounts('full'), second.mounts('empty')]).toEqual(before)
    expect(await second.read('empty', '/tmp/t')).toBe('T')
  })

  test('C235 C238 its mounts are told in their order, ignored types left out, a read-only root with its flag', async () => {
    const first = new Site().tab({ system })
    await first.create('c', {
      root: { path: 'system', readonly: true },
      mounts: [tmpfs('/a/long/one'), { destination: '/x', type: 'ext4' }, tmpfs('/b', 'ro', 'size=2m')],
    })
    const { containers } = await manifestOf(await first.save())
    expect(containers[0]!.mounts.filter(({ unique }) => !unique.startsWith('/dev'))).toMatchObject([
      { unique: '/', destination: '/', type: 'gofer', source: 'system', readonly: true, data: '' },
      { unique: '/b', type: 'tmpfs', readonly: true, data: 'size=2m' },
      { unique: '/sys', type: 'sysfs' },
      { unique: '/proc', type: 'proc' },
      { unique: '/a/long/one', type: 'tmpfs', readonly: false, data: '' },
      { unique: '/tmp', type: 'tmpfs' },
    ])
  })
})

describe('several containers', () => {
  const annotations = {
    'dev.gvisor.spec.mount.queue.source': '/pod/queue',
    'dev.gvisor.spec.mount.queue.type': 'tmpfs',
    'dev.gvisor.spec.mount.queue.share': 'pod',
    'dev.gvisor.spec.mount.queue.options': 'mode=1777,size=16m',
  }
  const queue = (destination: string) => ({ destination, type: 'bind', source: '/pod/queue' })

  test('C185 share a volume as before, and it is in the checkpoint once', async () => {
    const site = new Site()
    const first = site.tab()
    await first.create('writer', { annotations, mounts: [queue('/out')] })
    await first.create('reader', { mounts: [queue('/in')] })
    await first.create('stranger', {})
    await first.write('writer', '/out/job', 'x'.repeat(100_000))
    const saved = await first.save()
    const alone = await first.save({ containers: ['reader'] })
    expect(saved.size).toBeLessThan(115_000)
    expect((await manifestOf(saved)).trees.filter(({ unique }) => unique === 'hint:queue')).toHaveLength(1)
    expect((await manifestOf(await first.save({ containers: ['stranger'] }))).shared).toEqual([])

    const second = site.tab()
    await second.restore(saved)
    expect(await second.read('reader', '/in/job')).toHaveLength(100_000)
    await second.write('reader', '/in/answer', 'done')
    expect(await second.read('writer', '/out/answer')).toBe('done')
    expect(second.mounts('reader')).toEqual(first.mounts('reader'))

    // What says that the volume is shared was of the other container.
    const third = site.tab()
    await third.restore(alone)
    await third.create('writer', { annotations, mounts: [queue('/out')] })
    expect(await third.read('writer', '/out/job')).toHaveLength(100_000)

    // With another source it is another volume, and nothing is left of this one.
    const elsewhere = { mounts: [{ ...queue('/in'), source: '/elsewhere', type: 'tmpfs', options: [] }] }
    const lost = site.tab().restore(alone, { validation: 'ignore', specs: { reader: elsewhere } })
    expect(await failure(lost)).toMatch(
      /^EINVAL.*containers shared it: its files were in memory, and nothing.*'hint:queue'/,
    )

    // Such a volume is there already: it is not mixed with another one.
    const fourth = site.tab()
    await fourth.create('writer', { annotations, mounts: [queue('/out')] })
    expect(await failure(fourth.restore(alone))).toMatch(/^EEXIST.*share a volume "queue"/)
    expect(fourth.runtime.containers()).toHaveLength(1)
  })

  test('may check against a hash what another one has measured', async () => {
    const site = new Site()
    const first = site.tab()
    const verity = (destination: string, ...options: string[]) => ({ destination, type: 'verity', options })
    await first.create('maker', { annotations, mounts: [queue('/data')] })
    await first.write('maker', '/data/f', 'content')
    await first.runtime.mount('maker', verity('/view', 'lower_path=/data'))
    const hash = await first.runtime.files('maker').enableVerity('/view')
    await first.create('user', { mounts: [queue('/data')] })
    await first.runtime.mount('user', verity('/checked', 'lower_path=/data', `root_hash=${hash}`))
    const second = site.tab()
    await second.restore(await first.save({ containers: ['user'] }))
    expect(await second.read('user', '/checked/f')).toBe('content')
    expect(second.mounts('user')).toEqual(first.mounts('user'))
    await second.write('user', '/data/f', 'changed')
    expect(await failure(second.read('user', '/checked/f'))).toMatch(/^EIO/)
  })

  test('D073 C183 may have the same places: each finds its own files and sources again', async () => {
    const site = new Site()
    const trees = { one: { f: '1' }, two: { f: '22' } }
    const first = site.tab(trees)
    await first.create('a', { mounts: [bind('/data', 'one'), tmpfs('/work')] })
    await first.create('b', { mounts: [bind('/data', 'two'), tmpfs('/work')] })
    await first.write('a', '/work/f', 'of a')
    await first.write('b', '/work/f', 'of b')
    const saved = await first.save()
    const second = site.tab(trees)
    await second.restore(saved)
    const all = ['a', 'b'].flatMap((id) => [second.read(id, '/data/f'), second.read(id, '/work/f')])
    expect(await Promise.all(all)).toEqual(['1', 'of a', '22', 'of b'])
  })

  test('C184 are restored in the order in which they were saved, and so are their filesystems', async () => {
    const site = new Site()
    const first = site.tab({ system })
    await first.create('b', { ...rooted, mounts: [tmpfs('/z'), tmpfs('/longer'), tmpfs('/y')] })
    await first.create('a', { annotations, mounts: [queue('/q'), tmpfs('/w')] })
    const saved = await first.save()
    const places = async (checkpoint: Blob) =>
      (await manifestOf(checkpoint)).trees
        .filter(({ unique }) => unique !== '/dev')
        .map(({ container, unique }) => `${container ?? ''} ${unique}`)
    const order = ['b /', 'b /z', 'b /y', 'b /longer', 'b /tmp', 'a /', 'a /w', 'a /tmp', ' hint:queue']
    expect(await places(saved)).toEqual(order)
    const second = site.tab({ system })
    await second.restore(saved)
    expect(second.runtime.containers().map(({ id }) => id)).toEqual(['b', 'a'])
    expect(await places(await second.save())).toEqual(order)
  })

  test('are saved at one moment, also while a file must be waited for', async () => {
    const site = new Site()
    const bytes = new TextEncoder().encode('from afar')
    let arrive = () => {}
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve
    })
    const remote = {
      entries: [{ path: 'f', kind: 'file', content: { url: 'https://x/f', size: bytes.length } }],
    } as const
    const blob = { read: (): never => expect.unreachable() }
    const fetch = async () => {
      await arrived
      return bytes
    }
    const first = site.tab({ remote }, { readers: new ContentReaders(blob, { fetch }) })
    await first.create('a', { root: { path: 'remote' } })
    await first.create('b', {})
    // Copied up without being read.
    await first.runtime.files('a').chmod('/f', 0o600)
    await first.write('a', '/n', '1')
    await first.write('b', '/n', '1')
    const saving = first.save()
    await new Promise((resolve) => setTimeout(resolve, 5))
    await first.write('a', '/n', '2')
    await first.write('b', '/n', '2')
    arrive()
    const saved = await saving
    await first.write('a', '/n', '3')
    const second = site.tab({ remote }, { readers: new ContentReaders(blob, { fetch }) })
    await second.restore(saved)
    expect(await second.read('a', '/n')).toBe(await second.read('b', '/n'))
    expect(await second.read('a', '/f')).toBe('from afar')
  })
})

describe('sources', () => {
  const spec = { root: { path: 'system' }, mounts: [bind('/bin', 'tools/bin'), tmpfs('/work', 'size=1m')] }
  const trees = { system, tools: { 'bin/tool': 'T' } }
  const saved = async (site: Site, more: object = {}) => {
    const first = site.tab(trees)
    await first.create('c', { ...spec, ...more })
    await first.write('c', '/work/f', 'F')
    return first.save()
  }

  test('C178 C179 C181 are noted for the root and for each bind of the page, and for nothing else', async () => {
    const site = new Site()
    const first = site.tab({ ...trees, tmpfs: { a: '' } })
    const mounts = [
      ...spec.mounts,
      bind('/inner', '/work'),
      { destination: '/named', type: 'tmpfs', source: 'tools' },
      { destination: '/over', type: 'overlay', options: ['lowerdir=tools:system/etc'] },
    ]
    await first.create('c', { ...spec, mounts })
    const { containers } = await manifestOf(await first.save())
    expect(containers[0]!.sources.map(({ unique, source }) => [unique, source])).toEqual([
      ['/', 'system'],
      ['/bin', 'tools/bin'],
      ['/over#lower1', 'tools'],
      ['/over#lower2', 'system/etc'],
    ])
  })

  test('C182 B153 one that is missing makes the restore fail, with its name and place, and nothing is restored', async () => {
    const site = new Site()
    const checkpoint = await saved(site)
    const second = site.tab({ system })
    expect(await failure(second.restore(checkpoint, { validation: 'ignore' }))).toMatch(
      /^ENOENT.*container "c", \/bin: the bundle has no tree "tools"; it has "system"/,
    )
    expect(second.runtime.containers()).toEqual([])
    second.provide('tools', trees.tools)
    await second.restore(checkpoint)
    expect(await second.read('c', '/bin/tool')).toBe('T')
  })

  test('C180 a mount that was of the page and is not, or was not and is, is refused', async () => {
    const site = new Site()
    const checkpoint = await saved(site)
    const second = site.tab(trees)
    const restore = (mounts: object[]) =>
      failure(second.restore(checkpoint, { validation: 'ignore', specs: { c: { ...spec, mounts } } }))
    const [bin, work] = spec.mounts as [object, object]
    expect(await restore([tmpfs('/bin'), work])).toMatch(
      /^EINVAL.*"c": it came from "tools\/bin", and now from nothing/,
    )
    expect(await restore([bin, bind('/work', 'tools')])).toMatch(
      /^EINVAL.*it comes from "tools", and came from nothing/,
    )
    expect(await restore([bin])).toMatch(/^EINVAL.*"c": nothing is mounted there now.*'\/work'/)
    expect(await restore([bin, work, tmpfs('/more')])).toMatch(
      /^EINVAL.*"c": nothing was saved of this mount.*'\/more'/,
    )
    expect(await restore([bin, { ...work, type: 'proc' }])).toMatch(
      /^EINVAL.*its files were in memory, and nothing there takes them now.*'\/work'/,
    )
    expect(second.runtime.containers()).toEqual([])
  })

  test('C240 a spec whose options are wrong is refused before anything is made', async () => {
    const site = new Site()
    const checkpoint = await saved(site)
    const second = site.tab(trees)
    for (const options of [['size=a=b'], ['size=huge']]) {
      const mounts = [spec.mounts[0]!, tmpfs('/work', ...options)]
      const restoring = second.restore(checkpoint, { validation: 'ignore', specs: { c: { ...spec, mounts } } })
      expect(await failure(restoring)).toMatch(/^EINVAL.*mounts\[1\]/)
      expect(second.runtime.containers()).toEqual([])
    }
  })

  test.each<[string, Record<string, string | Uint8Array>]>([
    ['more files', { ...system, more: '' }],
    ['fewer files', { 'etc/name': 'as delivered', 'etc/old': 'old' }],
    ['another size', { ...system, 'etc/name': 'as delivered.' }],
    ['other bytes', { ...system, 'etc/name': 'as deliverex' }],
    ['another name', { 'etc/name': 'as delivered', 'etc/olx': 'old', 'usr/lib/a': 'A' }],
  ])('D069 with %s are told from those that were saved', async (_, other) => {
    const site = new Site()
    const checkpoint = await saved(site)
    const second = site.tab({ ...trees, system: other })
    expect(await failure(second.restore(checkpoint))).toMatch(
      /^invalid sources of "c": a saved container is corrupted by others: 1 fault\n\/: "system" is not what it was: \d+ files/,
    )
    expect(second.runtime.containers()).toEqual([])
    const { containers } = await second.restore(checkpoint, { validation: 'warning' })
    expect(containers[0]!.warnings.join()).toMatch(/^\/: "system" is not what it was/)
    await second.runtime.delete('c', true)
    expect((await second.restore(checkpoint, { validation: 'ignore' })).containers[0]!.warnings).toEqual([])
  })

  test('D069 with other modes, owners and times, too; the order in which files are given does not matter', async () => {
    const site = new Site()
    const file = { path: 'f', kind: 'file', content: new Uint8Array([1]) } as const
    const other = { path: 'g', kind: 'file', content: { url: 'https://x/g' } } as const
    const first = site.tab({ t: { entries: [{ ...file, mtime: 5 }, other] } })
    await first.create('c', { root: { path: 't' } })
    const checkpoint = await first.save()
    for (const changed of [{ mode: 0o600 }, { uid: 1 }, { gid: 1 }, { mtime: 6 }]) {
      const second = site.tab({ t: { entries: [{ ...file, mtime: 5, ...changed }, other] } })
      expect(await failure(second.restore(checkpoint))).toMatch(/is not what it was/)
    }
    const moved = site.tab({
      t: {
        entries: [
          { ...other, content: { url: 'https://x/h' } },
          { ...file, mtime: 5 },
        ],
      },
    })
    expect(await failure(moved.restore(checkpoint))).toMatch(/is not what it was/)
    const same = site.tab({ t: { entries: [other, { ...file, mtime: 5 }] } })
    expect(await failure(same.restore(checkpoint))).toBe('done')
  })

  test('C186 a volume is found by what it is, not only by its name, and another one is refused', async () => {
    const site = new Site()
    const first = site.tab()
    const volume = (name: string) => ({
      mounts: [{ destination: '/kept', type: 'tmpfs', source: `volume:${name}` }, tmpfs('/work')],
    })
    await first.create('c', volume('notes'))
    await first.write('c', '/kept/f', 'F')
    const checkpoint = await first.save()
    await first.end()
    const second = site.tab()
    const { calls } = second.runtime.volumes
    await calls.rename('notes', 'old')
    expect(await failure(second.restore(checkpoint))).toMatch(/^ESTALE.*"notes" is called "old" now/)
    await second.create('d', volume('notes'))
    await second.runtime.delete('d', true)
    expect(await failure(second.restore(checkpoint))).toMatch(/^ESTALE.*"notes" is called "old" now/)
    await second.restore(checkpoint, { specs: { c: volume('old') } })
    expect(await second.read('c', '/kept/f')).toBe('F')
    await second.runtime.delete('c', true)
    await calls.delete('old')
    expect(await failure(second.restore(checkpoint))).toMatch(/^ESTALE.*"notes" is another one/)
    await calls.delete('notes')
    expect(await failure(second.restore(checkpoint))).toMatch(
      /^ENOENT.*"notes", which was saved with them, is not in this/,
    )
    expect(second.runtime.containers()).toEqual([])
    expect(site.names.size).toBe(0)
  })

  test('C186 a layer that a volume keeps is found again, of the root as of a bind', async () => {
    const site = new Site()
    const first = site.tab(trees)
    await first.create('c', spec, { overlay: 'all:volume:kept' })
    await first.write('c', '/etc/name', 'mine')
    await first.write('c', '/bin/tool', 'mine, too')
    const checkpoint = await first.save()
    expect((await manifestOf(checkpoint)).trees.map(({ unique }) => unique)).not.toContain('/')
    await first.end()
    const second = site.tab(trees)
    await second.restore(checkpoint)
    expect([await second.read('c', '/etc/name'), await second.read('c', '/bin/tool')]).toEqual(['mine', 'mine, too'])
  })

  test('a volume goes on: it has what it was given since, and what is in memory is of the checkpoint', async () => {
    const site = new Site()
    const first = site.tab()
    const spec = { mounts: [{ destination: '/kept', type: 'tmpfs', source: 'volume:notes' }, tmpfs('/work')] }
    await first.create('c', spec)
    await first.write('c', '/kept/f', 'one')
    await first.write('c', '/work/f', 'one')
    const checkpoint = await first.save()
    await first.write('c', '/kept/f', 'two')
    await first.write('c', '/work/f', 'two')
    await first.end()
    const second = site.tab()
    await second.restore(checkpoint)
    expect([await second.read('c', '/kept/f'), await second.read('c', '/work/f')]).toEqual(['two', 'one'])
  })
})

describe('D076 another spec', () => {
  const spec = { mounts: [tmpfs('/work', 'size=1m')] }
  const changed = { c: { mounts: [tmpfs('/work', 'size=2m')] } }
  const rule = 'mounts: on /work is {"type":"tmpfs","options":["size=2m"]}, was {"type":"tmpfs","options":["size=1m"]}'
  const saved = async (site: Site) => {
    const first = site.tab()
    await first.create('c', spec)
    await first.write('c', '/work/f', 'F')
    return first.save()
  }

  test('is refused by enforce, told of by warning, taken by ignore', async () => {
    const site = new Site()
    const checkpoint = await saved(site)
    const second = site.tab()
    const invalid = `invalid spec of "c", which differs from the saved one: 1 fault\n${rule}`
    expect(await failure(second.restore(checkpoint, { specs: changed }))).toBe(invalid)
    expect(await failure(second.restore(checkpoint, { specs: changed, validation: 'enforce' }))).toBe(invalid)
    expect(second.runtime.containers()).toEqual([])
    const warned = await second.restore(checkpoint, { specs: changed, validation: 'warning' })
    expect(warned.containers).toEqual([{ id: 'c', warnings: [rule] }])
    expect(second.mounts('c').join()).toContain('size=2048k')
    await second.runtime.delete('c', true)
    expect(
      (await second.restore(checkpoint, { specs: changed, validation: 'ignore' })).containers[0]!.warnings,
    ).toEqual([])
    expect(await second.read('c', '/work/f')).toBe('F')
  })

  test('or as the flag says, which a sandbox or the spec sets', async () => {
    const site = new Site()
    const checkpoint = await saved(site)
    const flags = { 'restore-spec-validation': 'ignore' }
    expect(await failure(site.tab({}, { flags }).restore(checkpoint, { specs: changed }))).toBe('done')
    const flagged = { c: { ...changed.c, annotations: { 'dev.gvisor.flag.restore-spec-validation': 'ignore' } } }
    expect(await failure(site.tab().restore(checkpoint, { specs: flagged }))).toMatch(
      /boot the sandbox with allowFlagOverride/,
    )
    const allowed = site.tab({}, { allowFlagOverride: true })
    expect(await failure(allowed.restore(checkpoint, { specs: flagged }))).toBe('done')
  })

  test('that is none, one of no container, or a policy that there is not, is refused', async () => {
    const site = new Site()
    const checkpoint = await saved(site)
    const second = site.tab()
    expect(await failure(second.restore(checkpoint, { specs: { c: { mounts: 7 } } }))).toMatch(
      /^invalid container spec.*\nmounts:/s,
    )
    expect(await failure(second.restore(checkpoint, { specs: { d: {} } }))).toMatch(/^ENOENT.*has no container.*'d'/)
    expect(await failure(second.restore(checkpoint, { validation: 'strict' as never }))).toMatch(
      /validation: must be one of ignore, warning, enforce/,
    )
  })
})

describe('D070 what processes hold that has no name any more', () => {
  test('is saved and told of at restore: the content of files, that there were directories', async () => {
    const site = new Site()
    const trees = { system, lib: { l: await guest('library') } }
    const first = site.tab(trees)
    const spec = { ...rooted, mounts: [bind('/lib', 'lib'), tmpfs('/work')] }
    const held = (path: string) => ({ path, flags: 2, mode: 0 })
    await first.create('c', spec)
    await first.write('c', '/work/log', `${'x'.repeat(70_000)}end`)
    await first.write('c', '/work/both', 'has another name')
    await first.runtime.files('c').mkdir('/work/dir', 0o755, false)
    const program = await library(first, 'c', undefined, {
      cwd: '/work/dir',
      stdio: [undefined, held('/work/log'), held('/etc/old'), ...none(3, 20), held('/work/both'), held('/work/log')],
    })
    const files = first.runtime.files('c')
    await files.chmod('/work/log', 0o640)
    await files.chown('/work/log', 7, 9, true)
    await files.truncate('/work/log', 3_000_000)
    await files.utimes('/work/log', 1n, 5_000_000_007n, true)
    await files.link('/work/both', '/work/other')
    for (const path of ['/work/log', '/etc/old', '/work/both']) await files.unlink(path)
    await files.rmdir('/work/dir')
    const saved = await first.save()
    await program.end()
    const second = site.tab(trees)
    const { orphans } = await second.restore(saved)
    const { pid } = program
    expect(orphans).toEqual([
      {
        ...{ container: 'c', path: '/work/log (deleted)', kind: 'file', mode: 0o100640, uid: 7, gid: 9 },
        ...{ size: 3_000_000, mtime: 5_000_000_007n, pids: [pid], content: expect.any(Blob) },
      },
      expect.objectContaining({ path: '/etc/old (deleted)', kind: 'file', size: 3, pids: [pid] }),
      expect.objectContaining({ path: '/work/dir (deleted)', kind: 'directory', pids: [pid] }),
    ])
    expect(orphans[2]).not.toHaveProperty('content')
    const text = await (orphans[0]!.content as unknown as Blob).text()
    expect([text.length, text.slice(69_999, 70_004)]).toEqual([3_000_000, 'xend\0'])
    expect(await (orphans[1]!.content as unknown as Blob).text()).toBe('old')
    expect(await second.read('c', '/work/other')).toBe('has another name')
    expect(await failure(second.read('c', '/work/log'))).toMatch(/^ENOENT/)
  })

  test('is refused if it is of another kind', async () => {
    const first = new Site().tab({ lib: { l: await guest('library') } })
    await first.create('c', { mounts: [bind('/lib', 'lib'), tmpfs('/work')] })
    await first.runtime.files('c').mkfifo('/work/pipe', 0o600)
    const program = await library(first, 'c', undefined, {
      stdio: [undefined, { path: '/work/pipe', flags: 2, mode: 0 }],
    })
    expect(await failure(first.save())).toBe('done')
    await first.runtime.files('c').unlink('/work/pipe')
    expect(await failure(first.save())).toMatch(
      /^EOPNOTSUPP.*the container "c" cannot be saved: process \d+ holds a fifo that has no name.*\/work\/pipe \(deleted\)/,
    )
    await program.end()
    expect(await failure(first.save())).toBe('done')
  })
})

describe('D068 what fails leaves all as it was', () => {
  test('before the save: a volume that finds no space; the container goes on, and is saved once there is some', async () => {
    const site = new Site()
    const { open } = site.host
    let full = false
    site.host.open = (id) => {
      const store = open(id)
      store.fate = () => (full ? 'full' : 'done')
      return store
    }
    const first = site.tab()
    await first.create('c', { mounts: [{ destination: '/kept', type: 'tmpfs', source: 'volume:notes' }] })
    await first.runtime.files('c').sync()
    full = true
    await first.write('c', '/kept/f', 'F')
    expect(await failure(first.save({ keep: 'one' }))).toMatch(/^ENOSPC.*"notes"/)
    expect(site.checkpoints.size).toBe(0)
    full = false
    await first.write('c', '/kept/g', 'G')
    expect(await failure(first.save({ keep: 'one' }))).toBe('done')
  })

  test('at the restore: of several containers the last one; those before it are gone again', async () => {
    const site = new Site()
    const first = site.tab()
    await first.create('a', { mounts: [tmpfs('/w')] })
    await first.create('b', { mounts: [{ destination: '/kept', type: 'tmpfs', source: 'volume:notes' }] })
    const saved = await first.save()
    const second = site.tab()
    expect(await failure(second.restore(saved))).toMatch(/^EBUSY.*"notes" is in use in another tab/)
    expect(second.runtime.containers()).toEqual([])
    await first.end()
    await second.restore(saved)
    expect(second.runtime.containers()).toHaveLength(2)
    expect(await failure(second.restore(saved))).toMatch(/^EEXIST.*there is a container of this id.*'a'/)
  })

  test('a checkpoint that is cut off, damaged, newer or nothing of the kind', async () => {
    const site = new Site()
    const first = site.tab({ system })
    await first.create('c', { ...rooted, mounts: [tmpfs('/w')] })
    await first.write('c', '/w/f', 'F')
    const saved = await first.save()
    const bytes = new Uint8Array(await saved.arrayBuffer())
    const second = site.tab({ system })
    const flipped = (at: number) => new Blob([bytes.map((byte, i) => (i === at ? byte ^ 4 : byte))])
    for (const [given, message] of [
      [new Blob([]), /^EIO.*is cut off behind byte 0/],
      [new Blob(['some text, which is no checkpoint at all']), /^EIO.*is none/],
      [saved.slice(0, bytes.length - 1), /^EIO.*is cut off/],
      [flipped(18), /^EIO.*is of format 5, and this runtab reads format 1: nothing was restored/],
      [flipped(bytes.length - 40), /^EIO/],
      [new Blob([bytes, 'x']), /^EIO.*something behind its end/],
    ] as const) {
      expect(await failure(second.restore(given))).toMatch(message)
      expect(second.runtime.containers()).toEqual([])
    }
    await second.restore(saved)
  })

  test.each<[string, string, RegExp]>([
    ['no JSON', '{', /^EIO.*its manifest is no JSON/],
    ['another shape', '{"time":1,"containers":[{"id":7}]}', /^invalid manifest of the checkpoint: /],
  ])('a manifest that is %s', (_, text, message) => {
    expect(() => parseManifest(text)).toThrow(message)
  })

  test('what cannot be saved: nothing, a container that is not there, a layer that was committed', async () => {
    const first = new Site().tab({ system })
    expect(await failure(first.save())).toMatch(/^EINVAL.*there is no container to save/)
    await first.create('c', rooted)
    expect(await failure(first.save({ containers: ['d'] }))).toMatch(/^ENOENT.*'d'/)
    expect(await failure(first.save({ keep: 'a/b' }))).toMatch(/^EINVAL.*the name of a checkpoint/)
    await first.write('c', '/new', 'N')
    await (await first.runtime.images()).commit('c', {})
    expect(await failure(first.save())).toMatch(/^EOPNOTSUPP.*a layer was made of its changes.*'c'/)
  })
})

describe('FUSE', () => {
  test('that the page serves must be served again, under its name', async () => {
    const site = new Site()
    const spec = { mounts: [{ destination: '/mnt', type: 'fuse', source: 'fuse:page' }, tmpfs('/work')] }
    const first = site.tab()
    first.runtime.fuse.serve('page')
    await first.create('c', spec)
    const saved = await first.save()
    const second = site.tab()
    expect(await failure(second.restore(saved))).toMatch(/^ENOENT.*nobody serves "fuse:page".*'\/mnt'/)
    expect(second.runtime.containers()).toEqual([])
    second.runtime.fuse.serve('page')
    await second.restore(saved)
    expect(second.mounts('c')).toEqual(first.mounts('c'))
  })

  test('that a process serves cannot be saved', async () => {
    const first = new Site().tab({ lib: { l: await guest('library') } })
    await first.create('c', { mounts: [bind('/lib', 'lib')] })
    const stdio = [...none(0, 30), { path: '/dev/fuse', flags: 2, mode: 0 }]
    const program = await library(first, 'c', undefined, { stdio })
    const options = ['fd=30', 'rootmode=40000', 'user_id=0', 'group_id=0']
    await first.runtime.mount('c', { destination: '/mnt', type: 'fuse', options }, program.pid)
    expect(await failure(first.save())).toMatch(/^EOPNOTSUPP.*a process serves what is mounted on \/mnt.*'c'/)
    await program.end()
  })
})

describe('a checkpoint is kept', () => {
  const saved = async (site: Site, keep: string) => {
    const first = site.tab()
    await first.create('c', { mounts: [tmpfs('/w')] })
    await first.write('c', '/w/f', keep)
    await first.write('c', '/w/large', new Uint8Array(5_000_000))
    await first.save({ keep })
    return first
  }

  test('under a name, for other tabs; it is listed, replaced and removed', async () => {
    const site = new Site()
    const first = await saved(site, 'one')
    await first.write('c', '/w/f', 'later')
    await first.save({ keep: 'two' })
    const second = site.tab()
    const checkpoints = await second.runtime.checkpoints()
    const list = await checkpoints.list()
    expect(list).toMatchObject([
      { name: 'one', containers: ['c'] },
      { name: 'two', containers: ['c'] },
    ])
    expect(list[0]!.size).toBe((await first.save()).size - 2)
    expect(Math.abs(list[0]!.time - Date.now())).toBeLessThan(60_000)
    await second.restore('one')
    expect(await second.read('c', '/w/f')).toBe('one')
    const records = site.checkpoints.size
    await second.write('c', '/w/f', 'again')
    await second.save({ keep: 'one' })
    expect(site.checkpoints.size).toBe(records)
    const third = site.tab()
    await third.restore('one')
    expect(await third.read('c', '/w/f')).toBe('again')
    await checkpoints.remove('one')
    await checkpoints.remove('two')
    expect(site.checkpoints.size).toBe(1)
    expect(await failure(third.restore('one'))).toMatch(/^ENOENT.*no checkpoint "one" is kept; there are none/)
    expect(await failure(checkpoints.remove('one'))).toMatch(/^ENOENT/)
  })

  test('all of it or nothing: what stops at any transaction leaves the one before, and the next clears what is left', async () => {
    const site = new Site()
    const first = await saved(site, 'one')
    const { checkpoints } = site.host
    const whole = site.checkpoints.size
    await first.write('c', '/w/f', 'two')
    for (let stop = 0; stop < 3; stop++) {
      site.host.checkpoints = () => {
        const store = checkpoints()
        store.fate = (nth) => (nth === stop ? 'full' : 'done')
        return store
      }
      expect(await failure(first.save({ keep: 'one' }))).toMatch(/^ENOSPC.*no more space for a checkpoint/)
      const other = site.tab()
      await other.restore('one')
      expect(await other.read('c', '/w/f')).toBe('one')
    }
    site.host.checkpoints = checkpoints
    await first.save({ keep: 'one' })
    expect(site.checkpoints.size).toBe(whole)
  })

  test('of two tabs that begin, the later one wins, and the first is told', async () => {
    const site = new Site()
    const first = await saved(site, 'one')
    const second = await saved(site, 'two')
    const { checkpoints } = site.host
    let between: (() => Promise<unknown>) | undefined = () => second.save({ keep: 'by-second' })
    site.host.checkpoints = () => {
      const store = checkpoints()
      const { commit } = store
      store.commit = async (...args) => {
        const act = between
        if (store.transactions === 1) between = undefined
        if (store.transactions === 1) await act?.()
        return commit.apply(store, args)
      }
      return store
    }
    expect(await failure(first.save({ keep: 'by-first' }))).toMatch(/^EBUSY.*another tab has begun to keep/)
    const names = (await (await first.runtime.checkpoints()).list()).map(({ name }) => name)
    expect(names).toEqual(['one', 'two', 'by-second'])
    await site.tab().restore('by-second')
  })

  test('and refused if it is damaged', async () => {
    const site = new Site()
    await saved(site, 'one')
    const piece = [...site.checkpoints.keys()].find((key) => key.startsWith('piece/'))!
    const before = site.checkpoints.get(piece)!
    const tab = site.tab()
    site.checkpoints.delete(piece)
    expect(await failure(tab.restore('one'))).toMatch(/^EIO.*the record "piece\/.*" of the checkpoint is missing/)
    site.checkpoints.set(piece, before)
    const index = site.checkpoints.get('index') as Uint8Array
    site.checkpoints.set(
      'index',
      index.map((byte, i) => (i === 9 ? byte ^ 1 : byte)),
    )
    expect(await failure(tab.restore('one'))).toMatch(/^EIO.*the record "index" of the kept checkpoints is damaged/)
    expect(tab.runtime.containers()).toEqual([])
  })
})

const guest = async (name: string) => new Uint8Array(readFileSync(await buildGuest(`${name}.c`)))
const none = (from: number, to: number) => Array.from({ length: to - from }, () => undefined)

/** A library that runs in a container, which is made if there is a spec for it. */
async function library(
  tab: Tab,
  id: string,
  spec: object | undefined,
  { stdio = [], ...process }: { stdio?: readonly (StdioEntry | undefined)[]; cwd?: string } = {},
) {
  if (spec) await tab.create(id, spec)
  await tab.world.start(id)
  const running = await tab.runtime.exec(
    id,
    { args: ['/lib/l'], ...process },
    {
      ...{ stdin: { initial: new Uint8Array(), more: false }, redirected: stdio },
      ...{ stdout() {}, stderr() {}, progress() {} },
    },
  )
  const call = (name: string, ...args: number[]) => running.request({ call: name, args })
  await call('count')
  return {
    pid: running.pid,
    call,
    end: async () => {
      running.kill(15)
      await running.exited
    },
  }
}
