/**
 * Images whose changes a volume keeps: the layers come from an archive each time, and what was changed over them is there again, also
 * after a crash, where a layer is missing for a while, and where it is another one.
 */

import { expect, onTestFinished, test } from 'vitest'
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/linux.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import { bootWorld } from '../../host/world.ts'
import { MemorySite } from '../../testing/memory-site.ts'
import { testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { dir, linkTo, type Planted, type Tree } from '../../testing/trees.ts'
import type { Runtime } from '../runtime.ts'
import { archived } from './test-archives.ts'

const text = (words: string, mode = 0o644): Planted => ({ kind: 'file', text: words, mode, mtime: 5n })

const base: Tree = {
  'etc/name': text('base'),
  'etc/one': text('of two names'),
  'etc/two': { kind: 'file', sameAs: 'etc/one' },
  'etc/left': text('as delivered'),
  large: text('large '.repeat(50_000)),
  'lib/moved': text('moved'),
  'lib/removed': text('removed'),
  'doc/old': text('old'),
  'doc/deep/old': text('old'),
  'share/a': text('a'),
  'share/deep/b': text('b'),
  link: linkTo('etc/name'),
  empty: dir,
}
const app: Tree = { 'app/main': text('main'), 'etc/name': text('app') }

/** A site whose tabs have the image `app`, or layers of one's own. */
class Site extends MemorySite {
  async tab(layers: readonly Tree[] | undefined = [base, app]): Promise<Runtime> {
    const { runtime, close } = bootWorld({ volumes: this.host })
    onTestFinished(() => close().catch(() => {}))
    const images = await runtime.images()
    for (const [i, tree] of layers.entries()) {
      const archive = new Blob([archived(tmpfsOf(testVfs(), tree).root, 'layer') as BlobPart])
      const name = i === layers.length - 1 ? 'app' : `layer${i}`
      await images.importImage(archive, { name, ...(i > 0 && { base: `layer${i - 1}` }) })
    }
    return runtime
  }

  /** What a crash leaves: all that is on disk, and nobody who has it. */
  crashed(): Site {
    const site = new Site()
    for (const [name, id] of this.names) site.names.set(name, id)
    for (const [id, records] of this.databases) site.databases.set(id, new Map(records))
    return site
  }
}

const create = (runtime: Runtime) => runtime.create('c', { root: { path: 'app' } }, { overlay: 'root:volume:machine' })

/** One of every kind of change. */
async function change(runtime: Runtime): Promise<void> {
  const files = runtime.files('c')
  await files.writeFile('/etc/name', encodeUtf8('mine'), 0o1101, 0o644)
  await files.chmod('/large', 0o600)
  await files.unlink('/lib/removed')
  await files.rm('/doc', true, false)
  await files.mkdir('/doc', 0o755, false)
  await files.writeFile('/doc/new', encodeUtf8('new'), 0o1101, 0o644)
  await files.link('/etc/one', '/etc/three')
  await files.writeFile('/etc/three', encodeUtf8('of three'), 0o1, 0o644)
  await files.rename('/lib/moved', '/lib/renamed')
  await files.rename('/share', '/moved')
  await files.symlink('etc/left', '/new link')
  await files.writeFile('/empty/new', encodeUtf8('new'), 0o1101, 0o644)
}

/** All that is below the root but what the kernel mounts, by path. Numbers that two files share are the same file's. */
async function picture(runtime: Runtime): Promise<Record<string, string>> {
  const files = runtime.files('c')
  const seen: Record<string, string> = {}
  const owners = new Map<number, string>()
  const visit = async (directory: string): Promise<void> => {
    for (const { name } of await files.readdir(directory, false)) {
      const path = `${directory}${name}`
      if (/^\/(dev|proc|sys|tmp)$/.test(path)) continue
      const { mode, ino, nlink, size } = await files.lstat(path)
      const kind = mode & S_IFMT
      const content =
        kind === S_IFREG
          ? decodeUtf8(await files.readFile(path))!.slice(0, 20)
          : kind === S_IFLNK
            ? await files.readlink(path)
            : ''
      const owner = owners.get(ino)
      if (owner !== undefined) expect(nlink, `${path} and ${owner} are number ${ino}`).toBeGreaterThan(1)
      owners.set(ino, path)
      seen[path] = [mode.toString(8), ino, nlink, kind === S_IFDIR ? '' : size, content].join(' ')
      if (kind === S_IFDIR) await visit(`${path}/`)
    }
  }
  await visit('/')
  return seen
}

/** Without numbers: what the files say. */
const said = (seen: Record<string, string>) =>
  Object.fromEntries(Object.entries(seen).map(([path, words]) => [path, words.split(' ').slice(4).join(' ')]))

const changed = {
  '/etc/name': 'mine',
  '/etc/one': 'of threeames',
  '/etc/three': 'of threeames',
  '/etc/two': 'of two names',
  '/etc/left': 'as delivered',
  '/large': 'large large large la',
  '/lib/renamed': 'moved',
  '/doc/new': 'new',
  '/moved/a': 'a',
  '/moved/deep/b': 'b',
  '/link': 'etc/name',
  '/new link': 'etc/left',
  '/empty/new': 'new',
  '/app/main': 'main',
}

/** A site whose first tab has changed what an image has, and how the files look there. */
async function changedSite() {
  const site = new Site()
  const first = await site.tab()
  await create(first)
  await change(first)
  const before = await picture(first)
  return { site, first, before }
}

test('what was changed over an image is there again, under the same numbers: after closing, and after a crash', async () => {
  const { site, first, before } = await changedSite()
  expect(said(before)).toMatchObject(changed)
  await first.files('c').sync()
  const crashed = await site.crashed().tab()
  await create(crashed)
  expect(await picture(crashed)).toEqual(before)
  await first.shutdown()
  const second = await site.tab()
  await create(second)
  expect(await picture(second)).toEqual(before)
  expect((await second.files('c').lstat('/large')).mode & 0o777).toBe(0o600)
})

test('without the image nothing is mounted, the volume stays as it is, and nobody holds it', async () => {
  const { site, first, before } = await changedSite()
  await first.shutdown()
  /** But for who was the last to have it, and for two megabytes that take long to compare. */
  const records = () => [...[...site.databases.values()][0]!].filter(([key]) => key !== 'head' && key !== 'reserve')
  const stored = records()
  const second = await site.tab([])
  await expect(create(second)).rejects.toThrow(/ENOENT.*app/)
  expect(await second.volumes.calls.list()).toEqual([{ name: 'machine', mounted: false }])
  expect(site.locks.size).toBe(0)
  // Who had it made a record of the log, of nothing.
  const found = records()
  expect(found.slice(0, -1)).toEqual(stored)
  expect(found.at(-1)).toEqual([expect.stringMatching(/^log/), expect.objectContaining({ length: 42 })])
  const third = await site.tab()
  await create(third)
  expect(await picture(third)).toEqual(before)
})

test('over another image of the name, changes stay what they were, all else is the new one, and no two files share a number', async () => {
  const { site, first, before } = await changedSite()
  await first.shutdown()
  const newer: Tree = {
    '0 first': text('1'),
    '0 second': text('2'),
    'a third': text('3'),
    'doc/old': text('newer'),
    'doc/newer': text('newer'),
    'etc/left': text('newer'),
    'etc/name': text('newer'),
    'etc/newer': text('newer'),
    large: text('another one'),
    'lib/newer': text('newer'),
    'lib/removed': text('newer'),
    'share/a': text('newer'),
    // A directory where a file was renamed to, and a file where one was made.
    'lib/renamed/below': text('newer'),
    empty: text('a file'),
  }
  const second = await site.tab([newer, { 'between/layers': text('4') }, app])
  await create(second)
  const seen = await picture(second)
  const { '/etc/left': _, '/app/main': __, '/etc/two': ___, '/link': ____, ...kept } = changed
  expect(said(seen)).toMatchObject({
    ...kept,
    '/0 first': '1',
    '/between/layers': '4',
    '/etc/left': 'newer',
    '/etc/newer': 'newer',
    '/lib/newer': 'newer',
    '/app/main': 'main',
  })
  // What was deleted stays so, and what lay in a directory that was made anew, or is moved, does not come back.
  for (const path of [
    '/lib/removed',
    '/lib/renamed/below',
    '/doc/old',
    '/doc/newer',
    '/share',
    '/share/a',
    '/link',
    '/etc/two',
  ])
    expect(seen, path).not.toHaveProperty([path])
  // Files of the upper are the ones that they were.
  for (const path of Object.keys(kept)) expect(seen[path], path).toBe(before[path])
})

test('what is committed to an image leaves the volume, and is there over that image', async () => {
  const site = new Site()
  const first = await site.tab()
  await create(first)
  await change(first)
  const images = await first.images()
  await images.commit('c', { name: 'next' })
  const before = await picture(first)
  expect(said(before)).toMatchObject(changed)
  await first.files('c').writeFile('/later', encodeUtf8('later'), 0o1101, 0o644)
  const archive = new Blob((await images.exportImage('next', {})) as BlobPart[])
  await first.shutdown()
  const second = await site.tab([])
  await (await second.images()).importImage(archive, { name: 'app' })
  await create(second)
  expect(said(await picture(second))).toEqual({ ...said(before), '/later': 'later' })
  expect((await (await second.images()).diff('c')).map(({ path }) => path)).toEqual(['/later'])
})
