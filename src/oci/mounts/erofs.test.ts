/** EROFS images as mounts and roots of containers. */

import { describe, expect, test } from 'vitest'
import { erofsType } from '../../fs/erofs/erofs.ts'
import { ContentReaders } from '../../fs/gofer/content.ts'
import { bootWorld } from '../../host/world.ts'
import { imageOf } from '../../testing/erofs-world.ts'
import { plant, type Tree } from '../../testing/trees.ts'
import { endClean } from '../test-world.ts'
import { before, create, eachInAWorld, failure, held, provide, tmpfs, vfs, world } from './test-world.ts'

eachInAWorld()

const FILES: Tree = {
  'etc/name': 'of the image',
  'bin/tool': { kind: 'file', text: 'T', mode: 0o755 },
  opt: { kind: 'directory' },
}

const IMAGE = imageOf(FILES)
const erofs = (destination: string, source: string | undefined, ...options: string[]) => ({
  ...{ destination, type: 'erofs', options },
  ...(source !== undefined && { source }),
})
const rooted = (fields: Record<string, string>) =>
  Object.fromEntries(
    Object.entries({ source: 'disks/image', type: 'erofs', ...fields }).map(([key, value]) => [
      `dev.gvisor.spec.rootfs.${key}`,
      value,
    ]),
  )

const disks = (content: Uint8Array = IMAGE) =>
  provide('disks', {
    entries: [
      { path: 'image', kind: 'file', content },
      { path: 'text', kind: 'file', content: new Uint8Array(5000) },
    ],
  })

describe('a mount of an image', () => {
  test('C086 D024 shows its files, and is read-only whatever is asked for', async () => {
    disks()
    const { at, names, read, write, warnings } = await create({
      mounts: [erofs('/m', 'disks/image'), erofs('/rw', 'disks/image', 'rw', 'nosuid', 'color=red')],
    })
    expect(at('/m')).toMatchObject([{ type: 'erofs', source: 'disks/image', options: ['ro'] }])
    expect(at('/rw')).toMatchObject([{ type: 'erofs', options: ['ro', 'nosuid'] }])
    expect(await names('/m')).toEqual(['bin', 'etc', 'opt'])
    expect(await read('/rw/etc/name')).toBe('of the image')
    for (const path of ['/m/x', '/rw/x', '/rw/etc/name']) expect((await failure(write(path))).code).toBe('EROFS')
    expect(warnings).toEqual([
      'mounts[1].options[2]: unknown option "color=red", ignored',
      'mounts[1].options: an erofs image is read-only; mount an overlay over it',
    ])
  })

  test('D024 a tree that is a single file is one, by its name alone', async () => {
    provide('disk', { entries: [{ path: '', kind: 'file', content: IMAGE }] })
    const { read } = await create({ mounts: [erofs('/m', 'disk')] })
    expect(await read('/m/bin/tool')).toBe('T')
  })

  test.each<[what: string, source: string | undefined, code: string, message: RegExp]>([
    ['no source', undefined, 'EINVAL', /mounts\[1\]: an erofs mount needs its image as source/],
    ['an empty source', '', 'EINVAL', /needs its image as source/],
    ['a number', '3', 'ENOENT', /the bundle has no tree "3"/],
    ['a directory', 'image', 'EINVAL', /"image": it must be a file, and is a directory/],
    ['a file that can change', '/w/f', 'EINVAL', /that nothing can change/],
    ['what is no image', 'disks/text', 'EINVAL', /erofs: this is no image/],
    ['nothing', 'disks/none', 'ENOENT', /mounts\[1\]/],
  ])('C086 D025 D026 %s is refused, and nothing is left', async (_, source, code, message) => {
    disks()
    const content = () => (root: { create?: unknown }) => plant(root as never, { f: 'x' })
    const made = source === '/w/f' ? { contents: content } : {}
    const making = world.runtime.make('c', { mounts: [tmpfs('/w'), erofs('/mm', source)] } as never, [], async () => ({
      uppers: { scope: 'none' } as never,
      ...made,
    }))
    const error = await failure(making)
    expect(error).toMatchObject({ code, path: '/mm', message: expect.stringMatching(message) as string })
    expect(held()).toEqual(before)
  })

  test('D024 D035 is read in place of a Blob, a part when it is needed, and of a URL, once it is there', async () => {
    const large = imageOf({ ...FILES, large: 'x'.repeat(2_000_000) })
    const ranges: number[] = []
    const blob = { size: large.length, type: '', slice: () => blob }
    let fetched = 0
    const readers = new ContentReaders(
      {
        read(_, start, length) {
          ranges.push(length)
          return large.slice(start, start + length)
        },
      },
      {
        async fetch() {
          fetched++
          return IMAGE
        },
      },
    )
    const own = bootWorld({ readers })
    own.runtime.provide('disks', {
      entries: [
        { path: 'blob', kind: 'file', content: blob },
        { path: 'url', kind: 'file', content: { url: 'https://example.org/image' } },
        { path: 'sized', kind: 'file', content: { url: 'https://example.org/sized', size: IMAGE.length } },
      ],
    })
    const mounts = [erofs('/blob', 'disks/blob'), erofs('/url', 'disks/url'), erofs('/sized', 'disks/sized')]
    await own.runtime.create('c', { mounts })
    for (const at of ['/blob', '/url', '/sized'])
      expect(Buffer.from(await own.runtime.files('c').readFile(`${at}/etc/name`)).toString()).toBe('of the image')
    expect(ranges.reduce((sum, each) => sum + each, 0)).toBeLessThan(1_000_000)
    expect(fetched).toBe(2)
    await endClean(own)
  })

  test('D034 is the lower layer of an overlay in the container', async () => {
    disks()
    const overlay = { destination: '/both', type: 'overlay', options: ['lowerdir=/m'] }
    const { files, read, write, names } = await create({ mounts: [erofs('/m', 'disks/image'), overlay] })
    await write('/both/etc/name')
    await files.unlink('/both/bin/tool')
    expect([await read('/both/etc/name'), await read('/m/etc/name')]).toEqual(['x', 'of the image'])
    expect([await names('/both/bin'), await names('/m/bin')]).toEqual([[], ['tool']])
  })

  test('C086 in a container that runs', async () => {
    disks()
    const { read } = await create({})
    await world.runtime.mount('c', erofs('/late', 'disks/image'))
    expect(await read('/late/etc/name')).toBe('of the image')
  })
})

describe('a root that is an image', () => {
  test('D018 D024 D034 takes changes in its upper, and none without one', async () => {
    disks()
    const { at, read, write, files, names } = await create({ annotations: rooted({}) })
    expect(at('/')).toMatchObject([{ type: 'overlay', source: 'disks/image' }])
    expect(await read('/etc/name')).toBe('of the image')
    await write('/etc/name')
    await write('/new')
    await files.unlink('/bin/tool')
    expect([await read('/etc/name'), await names('/bin')]).toEqual(['x', []])
    const plain = await create({ annotations: rooted({ overlay: 'none' }) }, undefined, 'plain')
    expect(plain.at('/')).toMatchObject([{ type: 'erofs', source: 'disks/image' }])
    expect(await plain.read('/etc/name')).toBe('of the image')
    expect((await failure(plain.write('/new'))).code).toBe('EROFS')
    const readonly = { root: { path: 'other', readonly: true }, annotations: rooted({}) }
    const fixed = await create(readonly, undefined, 'fixed')
    expect(fixed.at('/')).toMatchObject([{ type: 'erofs' }])
  })

  test.each<[fields: Record<string, string>, code: string, message: RegExp]>([
    [{ source: 'image' }, 'EINVAL', /root: .*is a directory/],
    [{ source: 'disks/text' }, 'EINVAL', /root: erofs: this is no image/],
    [{ source: 'disks/gone' }, 'ENOENT', /root/],
  ])('D024 D025 %j is refused, and nothing is left', async (fields, code, message) => {
    disks()
    const error = await failure(create({ annotations: rooted(fields) }))
    expect(error).toMatchObject({ code, path: '/', message: expect.stringMatching(message) as string })
    expect(held()).toEqual(before)
  })

  test('D024 with an image that is damaged is refused, and nothing is left', async () => {
    disks(IMAGE.slice(0, 1200))
    const error = await failure(create({ annotations: rooted({}) }))
    expect(error).toMatchObject({
      code: 'EIO',
      message: expect.stringMatching(/root: erofs: the superblock/) as string,
    })
    expect(held()).toEqual(before)
  })
})

test('A011 the type is listed as one that needs a device, and no guest mounts it', () => {
  expect(vfs.types.list()).toContain('\n\terofs\n')
  expect(vfs.types.lookup('erofs')).toMatchObject({ userMountable: false })
  expect(erofsType).toMatchObject({ userMountable: false, userListable: true, requiresDevice: true })
})
