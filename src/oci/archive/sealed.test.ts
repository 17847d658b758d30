/** Images whose files are checked: one boots as it was made, and with anything changed in it does not. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import { Marks } from '../../fs/overlay/marks.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { newVfs } from '../../testing/conformance/arenas.ts'
import { everything, readAll, verityOver } from '../../testing/sealed.ts'
import { none } from '../../testing/trees.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import { endClean } from '../test-world.ts'
import { LayerReader } from './read-layer.ts'
import { writeLayer } from './write-layer.ts'

let world: World

/** `npm run test:full` looks at every byte. */
const STRIDE = process.env.RUNTAB_MATRIX === 'full' ? 1 : 7

beforeEach(() => {
  world = bootWorld()
})

afterEach(() => endClean(world))

/** An image of a few files of every kind; the hash of all that is in it. */
async function sealedImage(name: string) {
  const { runtime } = world
  runtime.provide(`${name}-files`, treeOf({ 'etc/motd': 'welcome\n', 'usr/lib/large': 'large '.repeat(700) }))
  await runtime.create(`${name}-maker`, { root: { path: `${name}-files` } })
  const files = runtime.files(`${name}-maker`)
  await files.symlink('../etc/motd', '/usr/motd')
  await files.mkfifo('/usr/fifo', 0o600)
  await files.link('/etc/motd', '/etc/issue')
  await files.utimes('/etc/motd', 1_700_000_000_123_456_789n, 1_700_000_000_123_456_789n, true)
  const images = await runtime.images()
  await images.commit(`${name}-maker`, { name: `${name}-plain` })
  const { rootHash } = await images.seal(`${name}-plain`, { name })
  await runtime.delete(`${name}-maker`, true)
  return rootHash
}

const HINT = 'dev.gvisor.spec.rootfs.'
const spec = (source: string, rootHash: string, action = 'error') => ({
  annotations: {
    [`${HINT}source`]: source,
    [`${HINT}type`]: 'bind',
    [`${HINT}options`]: `verity.roothash=${rootHash},verity.action=${action}`,
  },
})

const failure = (promise: Promise<unknown>): Promise<ErrnoError> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )

test('a sealed image is the root of a container, which takes changes, and of one that does not', async () => {
  const rootHash = await sealedImage('image')
  const { runtime } = world
  await runtime.create('rw', spec('image', rootHash))
  const files = runtime.files('rw')
  expect((await files.readdir('/', true)).map(({ name }) => name).filter((name) => name.startsWith('.merkle'))).toEqual(
    [],
  )
  expect(decodeUtf8(await files.readFile('/usr/motd'))).toBe('welcome\n')
  await files.writeFile('/etc/motd', new Uint8Array([0x78]), 0o1101, 0o644)
  expect(decodeUtf8(await files.readFile('/usr/motd'))).toBe('x')
  expect((await (await runtime.images()).diff('rw')).map(({ path, change }) => `${change} ${path}`)).toEqual([
    'changed /etc/motd',
  ])
  await runtime.create('ro', { ...spec('image', rootHash), root: { path: 'image', readonly: true } })
  expect(runtime.mounts('ro')[0]).toMatchObject({ type: 'verity', destination: '/' })
  expect(decodeUtf8(await runtime.files('ro').readFile('/etc/issue'))).toBe('welcome\n')
  await runtime.delete('rw', true)
  await runtime.delete('ro', true)
})

test('it comes through an archive as it was, and what is built on it carries no trees', async () => {
  const rootHash = await sealedImage('image')
  const { runtime } = world
  const images = await runtime.images()
  const archive = new Blob((await images.exportImage('image', {})) as BlobPart[])
  await images.importImage(archive, { name: 'again' })
  await runtime.create('c', spec('again', rootHash))
  await runtime.files('c').writeFile('/new', new Uint8Array(1), 0o1101, 0o644)
  const { layers } = await images.commit('c', { name: 'next' })
  expect(layers).toHaveLength(2)
  await runtime.create('d', { root: { path: 'next' } })
  const names = (await runtime.files('d').readdir('/', true)).map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['new', 'motd', 'large', 'fifo']))
  expect(names.filter((name) => name.startsWith('.merkle'))).toEqual([])
  for (const id of ['c', 'd']) await runtime.delete(id, true)
})

test('an image is the same image after a container of it was committed without a change', async () => {
  const rootHash = await sealedImage('image')
  const { runtime } = world
  await runtime.create('c', { root: { path: 'image' } })
  await (await runtime.images()).commit('c', { name: 'same' })
  await runtime.create('d', spec('same', rootHash))
  expect(decodeUtf8(await runtime.files('d').readFile('/etc/motd'))).toBe('welcome\n')
  for (const id of ['c', 'd']) await runtime.delete(id, true)
})

test('one that has changed does not boot, and ends the sandbox where it is not said otherwise', async () => {
  const rootHash = await sealedImage('image')
  const other = `${rootHash[0] === '0' ? '1' : '0'}${rootHash.slice(1)}`
  const error = await failure(world.runtime.create('c', spec('image', other)))
  expect(error).toMatchObject({ code: 'EIO', path: '/' })
  expect(error.message).toContain('root: verity: /: its tree is damaged')
  expect(world.runtime.panicked).toBeUndefined()
  await failure(world.runtime.create('c', spec('image', other, 'panic')))
  expect(world.runtime.panicked).toBe('verity: /: its tree is damaged')
})

test.each([
  ['verity.roothash', '"verity.roothash" has no value'],
  ['verity.hash=x', '"verity.hash=x" is unknown'],
  ['size=1m,verity.action=x', 'unknown action "x"'],
])('an annotation of the root that says %s is refused', async (options, rule) => {
  world.runtime.provide('tree', treeOf({ f: 'x' }))
  const { annotations } = spec('tree', '')
  const error = await failure(
    world.runtime.create('c', { annotations: { ...annotations, [`${HINT}options`]: options } }),
  )
  expect(error.message).toContain(rule)
})

/** What of an archive the files of an image are, as text; undefined for one that is refused. */
function imported(bytes: Uint8Array) {
  try {
    const reader = new LayerReader('layer')
    reader.push(bytes)
    return reader.end()
  } catch (error) {
    if (error instanceof ErrnoError) return undefined
    throw error
  }
}

/** What there is to see of files: what is hidden has only to hold the same. */
const factsOf = (root: Inode) =>
  [...everything(root)].flatMap(({ path, inode }) => {
    if (path.includes('/.merkle')) return []
    const { kind, mode, uid, gid, mtime, size, rdev } = inode
    const bytes = new Uint8Array(kind === 'file' ? size : 0)
    if (inode.kind === 'file') inode.read(bytes, 0, size, 0, none)
    const target = inode.kind === 'symlink' ? inode.readlink(none) : ''
    const xattrs = [...(inode.xattrs?.keys() ?? [])].map((name) => [name, [...inode.xattrs!.get(name)!]])
    return JSON.stringify([path, kind, mode, uid, gid, String(mtime), rdev, target, xattrs, decodeUtf8(bytes)])
  })

test('B188 a bit of its archive, in every byte (of seven) in turn: either nothing of the files is another, or it does not boot', async () => {
  const rootHash = await sealedImage('image')
  await world.runtime.create('view', { root: { path: 'image', readonly: true } })
  const { namespace } = [...world.runtime.vfs.tasks].at(-1)!
  const root = namespace!.rootPlace.dentry.inode as DirectoryInode
  const pieces: Uint8Array[] = []
  writeLayer(root, (piece) => void pieces.push(piece.slice()), {
    form: 'layer',
    marks: new Marks('trusted.overlay.'),
    attempt: none,
  })
  const archive = new Uint8Array(Buffer.concat(pieces))
  await world.runtime.delete('view', true)

  const vfs = newVfs()
  /** Whether all of it can be read. */
  const boots = (layer: Inode): boolean => {
    try {
      const superblock = verityOver(vfs, layer, { hash: rootHash, name: '/' })
      const mount = vfs.newMount(superblock)
      try {
        readAll(superblock.root.inode)
      } finally {
        vfs.discard(mount)
      }
      return true
    } catch (error) {
      if (error instanceof ErrnoError && error.code === 'EIO') return false
      throw error
    }
  }
  const original = factsOf(imported(archive)!.root)
  expect(boots(imported(archive)!.root)).toBe(true)
  const count = { refused: 0, caught: 0, same: 0 }
  const missed: number[] = []
  for (let at = 0; at < archive.length; at += STRIDE) {
    archive[at]! ^= 1 << (at % 8)
    const layer = imported(archive)
    if (!layer) count.refused++
    else if (!boots(layer.root)) count.caught++
    else if (String(factsOf(layer.root)) === String(original)) count.same++
    else missed.push(at)
    archive[at]! ^= 1 << (at % 8)
  }
  expect(missed).toEqual([])
  // What is the same are ends of blocks, and what only trees have.
  expect(count.caught * STRIDE).toBeGreaterThan(5000)
  expect(count.refused * STRIDE).toBeGreaterThan(5000)
}, 120_000)
