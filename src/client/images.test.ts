/** Images and layers through the client, over a whole kernel: from archives made by other tools, and back. */

import { gunzipSync, gzipSync } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { afterEach, describe, expect, test } from 'vitest'
import { dockerArchive, type ImageParts, layerTar, ociArchive, sha256 } from '../../e2e/images.mjs'
import { kernels } from '../../e2e/kernels.ts'
import type { Sandbox } from './sandbox.ts'

let world = kernels()
afterEach(async () => {
  await world.close()
  world = kernels()
})

const base: ImageParts = {
  layers: [
    {
      'etc/': '',
      'etc/passwd': 'root:x:0:0::/:\nwww:x:33:34::/srv:\n',
      'etc/group': 'www:x:34:\nmedia:x:50:www\n',
      'etc/old': 'old',
    },
    { 'etc/.wh.old': '', 'srv/hello': 'hello\n' },
  ],
  config: {
    User: 'www',
    Env: ['PATH=/bin', 'LANG=C'],
    Entrypoint: ['serve'],
    Cmd: ['--all'],
    WorkingDir: '/srv',
    Labels: { a: 'b' },
  },
  reference: 'test:1',
}

const textOf = async (sandbox: Sandbox, path: string, root: string) => {
  const container = await sandbox.create(`c${Math.random().toString(36).slice(2)}`, { root: { path: root } })
  return container.fs.readFile(path, 'utf8')
}

describe('an image is imported', () => {
  test.each<[string, () => Promise<Uint8Array>]>([
    ['from an OCI layout', () => ociArchive(base)],
    ['from an OCI layout whose layers are plain', () => ociArchive({ ...base, compression: 'none' })],
    ['from an index in an index', () => ociArchive(base, { nested: true })],
    ['from what docker save writes', () => dockerArchive(base)],
    ['from an archive that is compressed as a whole', async () => gzipSync(await ociArchive(base))],
  ])('%s', async (_, archive) => {
    const sandbox = await world.boot()
    const image = await sandbox.importImage(await archive())
    expect(image).toMatchObject({
      name: 'image1',
      platform: 'wasi/wasm',
      config: { Labels: { a: 'b' } },
      process: {
        args: ['serve', '--all'],
        env: ['PATH=/bin', 'LANG=C'],
        cwd: '/srv',
        user: { uid: 33, gid: 34, additionalGids: [50] },
      },
      warnings: [],
    })
    expect(image.layers.map(({ entries }) => entries)).toEqual([2, 4])
    const container = await sandbox.create('c', image.spec({ args: ['other'], env: ['LANG=de'] }))
    expect(await container.fs.readdir('/etc')).toEqual(['passwd', 'group'])
    expect(await container.fs.readFile('/srv/hello', 'utf8')).toBe('hello\n')
    expect(image.spec({ env: ['LANG=de', 'X=1'] }).process).toMatchObject({
      env: ['PATH=/bin', 'LANG=de', 'X=1'],
      cwd: '/srv',
    })
  })

  test('from a stream, a Response, a buffer; as a tar of files, plain or not', async () => {
    const sandbox = await world.boot()
    const tar = await layerTar({ 'a/b': 'text' })
    const copy = () => new Uint8Array(tar)
    const forms = [
      copy(),
      copy().buffer,
      new Blob([copy()]),
      new Blob([copy()]).stream(),
      new Response(copy()),
      gzipSync(tar),
    ]
    for (const form of forms) {
      const image = await sandbox.importImage(form)
      expect(await textOf(sandbox, '/a/b', image.name)).toBe('text')
    }
    await expect(sandbox.importImage(new Response('', { status: 404 }))).rejects.toThrow('HTTP 404')
    await expect(sandbox.importImage('x' as never)).rejects.toThrow('must be a Blob')
  })

  test('without crypto.subtle, as on a page over plain http', async () => {
    world = kernels({ subtle: false })
    const sandbox = await world.boot()
    const image = await sandbox.importImage(await ociArchive(base))
    expect(image.layers[0]!.diffId).toBe(`sha256:${sha256(await layerTar(base.layers[1]!))}`)
  })

  test('the one for wasm of several; or the platform, or the name, that is asked for', async () => {
    const sandbox = await world.boot()
    const of = (os: string, architecture: string, text: string) => ({
      layers: [{ f: text }],
      platform: { os, architecture },
    })
    const archive = await ociArchive(
      [of('linux', 'amd64', 'amd'), of('wasip1', 'wasm', 'wasm'), of('linux', 'arm64', 'arm')],
      { nested: true },
    )
    const wasm = await sandbox.importImage(archive)
    const arm = await sandbox.importImage(archive, { platform: 'linux/arm64' })
    expect([await textOf(sandbox, '/f', wasm.name), await textOf(sandbox, '/f', arm.name)]).toEqual(['wasm', 'arm'])
    await expect(sandbox.importImage(archive, { platform: 'linux/riscv64' })).rejects.toThrow(
      /there is no image for linux\/riscv64; it has "linux\/amd64", "wasip1\/wasm", "linux\/arm64"/,
    )
    const named = await ociArchive([
      { layers: [{ f: '1' }], reference: 'a:1' },
      { layers: [{ f: '2' }], reference: 'a:2' },
    ])
    expect(await textOf(sandbox, '/f', (await sandbox.importImage(named, { reference: 'a:2' })).name)).toBe('2')
    await expect(sandbox.importImage(named)).rejects.toThrow(
      /several are the one: say platform or reference; it has "a:1", "a:2"/,
    )
  })

  test('under a name, which other mounts can use; and goes, while containers stay', async () => {
    const sandbox = await world.boot()
    const image = await sandbox.importImage(await ociArchive(base), { name: 'app' })
    await expect(sandbox.importImage(await ociArchive(base), { name: 'app' })).rejects.toMatchObject({ code: 'EEXIST' })
    const container = await sandbox.create('c', {
      mounts: [
        { destination: '/image', type: 'bind', source: 'app' },
        { destination: '/etc2', type: 'bind', source: 'app/etc' },
        { destination: '/over', type: 'overlay', options: ['lowerdir=app'] },
      ],
    })
    await image.remove()
    expect(await container.fs.readdir('/image/etc')).toEqual(['passwd', 'group'])
    expect(await container.fs.readdir('/etc2')).toEqual(['passwd', 'group'])
    await container.fs.writeFile('/over/etc/new', 'new')
    expect(await container.fs.readdir('/over/etc')).toEqual(expect.arrayContaining(['new']))
    await expect(sandbox.create('d', { root: { path: 'app' } })).rejects.toMatchObject({ code: 'ENOENT' })
    await container.delete()
    expect([...world.runtimes[0]!.vfs.superblocks].map(({ filesystem }) => filesystem.type)).toEqual([])
  })

  test('a directory that a layer does not name is as it is below', async () => {
    const sandbox = await world.boot()
    const layers = [
      [{ header: { name: 'var/', type: 'directory' as const, size: 0, mode: 0o1777, uid: 5 } }],
      { 'var/tmp/x': 'x' },
    ]
    const image = await sandbox.importImage(await ociArchive({ layers }))
    const { fs } = await sandbox.create('c', { root: image })
    expect(await fs.stat('/var')).toMatchObject({ mode: 0o41777, uid: 5 })
  })
})

describe('an image is refused, and nothing of it is left', () => {
  const spoiled = (change: (bytes: Uint8Array) => Uint8Array | string, which: number) =>
    ociArchive(base, {
      spoil: (blobs) => {
        const [digest, bytes] = [...blobs][which]!
        blobs.set(digest, change(Buffer.from(bytes)))
      },
    })
  const flipped = (bytes: Uint8Array) => {
    bytes[bytes.length >> 1]! ^= 1
    return bytes
  }
  const zstd = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0])

  test.each<[string, () => Promise<Uint8Array>, RegExp]>([
    ['a layer with another digest', () => spoiled(flipped, 1), /its digest is sha256:.*'blobs\/sha256\//],
    ['a config with another digest', () => spoiled(flipped, 0), /its digest is sha256|it has \d+ bytes/],
    ['a manifest that is no JSON', () => spoiled(() => '{', 3), /it has 1 bytes, what refers to it says/],
    [
      'a layer that is missing',
      () => ociArchive(base, { spoil: (blobs) => void blobs.delete([...blobs.keys()][1]!) }),
      /ENOENT.*does not have it/,
    ],
    ['what is compressed with zstd', async () => zstd, /compressed with zstd, which browsers do not know/],
    [
      'gzip that is cut off',
      async () => gzipSync(await ociArchive(base)).subarray(0, 400),
      /gzip is damaged or cut off/,
    ],
    ['gzip that is damaged', async () => flipped(gzipSync(await layerTar(base.layers[0]!))), /EINVAL/],
    ['an empty file', async () => new Uint8Array(0), /cut off/],
    ['something else', async () => Buffer.from('%PDF-1.7'.repeat(200)), /no tar archive/],
    [
      'a layer with a hostile entry',
      () => ociArchive({ layers: [{ ok: 'ok' }, { '../../etc/passwd': 'x' }] }),
      /EINVAL.*blobs\/sha256\/[0-9a-f]+: archive entry 0: .*goes through '\.\.'.*'\.\.\/\.\.\/etc\/passwd'/,
    ],
  ])('%s', async (_, archive, rule) => {
    const sandbox = await world.boot()
    const before = [...world.runtimes[0]!.vfs.superblocks]
    await expect(sandbox.importImage(await archive())).rejects.toThrow(rule)
    expect([...world.runtimes[0]!.vfs.superblocks]).toEqual(before)
    expect((await sandbox.importImage(await ociArchive(base))).name).toBe('image1')
  })

  test('10,000 times as large as it was sent, at the limit', async () => {
    const sandbox = await world.boot()
    const bomb = gzipSync(await layerTar({ zeros: new Uint8Array(64 << 20) }))
    expect(bomb.length).toBeLessThan(80_000)
    await expect(sandbox.importImage(bomb, { limits: { bytes: 1 << 20 } })).rejects.toThrow(
      /EFBIG.*limit of 1048576 bytes/,
    )
    const image = await ociArchive({ layers: [{ a: 'a' }, { zeros: new Uint8Array(4 << 20) }] })
    await expect(sandbox.importImage(gzipSync(image), { limits: { bytes: 1 << 20 } })).rejects.toThrow(/EFBIG/)
    await expect(sandbox.importImage(image, { limits: { entries: 1 } })).rejects.toThrow(
      /EFBIG.*limit of 1 entries|limit of 0 entries/,
    )
  })
})

/** A container with every kind of change, on an image. */
async function changed(sandbox: Sandbox, id = 'c') {
  const image = await sandbox.importImage(await ociArchive(base), { name: `of-${id}` })
  const container = await sandbox.create(id, { ...image.spec(), mounts: [{ destination: '/mnt', type: 'tmpfs' }] })
  const { fs } = container
  await fs.writeFile('/srv/hello', 'changed\n')
  await fs.writeFile('/srv/new', 'new\n')
  await fs.symlink('new', '/srv/link')
  await fs.rm('/etc/group')
  await fs.writeFile('/mnt/mounted', 'not a change of the root')
  return { image, container, fs }
}

describe('what a container changed', () => {
  test('is told', async () => {
    const { container } = await changed(await world.boot())
    expect(await container.diff()).toEqual([
      { path: '/etc/group', change: 'deleted', kind: 'file', size: 25 },
      { path: '/mnt', change: 'added', kind: 'directory', size: 0 },
      { path: '/srv/hello', change: 'changed', kind: 'file', size: 8, before: { kind: 'file', size: 6 } },
      { path: '/srv/link', change: 'added', kind: 'symlink', size: 3 },
      { path: '/srv/new', change: 'added', kind: 'file', size: 4 },
    ])
  })

  test('D050 leaves as a layer of OCI, whose digests are right, or as a snapshot, while it runs', async () => {
    const { container } = await changed(await world.boot())
    await container.start().catch(() => {})
    const layer = await container.exportLayer()
    const packed = new Uint8Array(await layer.blob.arrayBuffer())
    const tar = gunzipSync(packed)
    expect(layer).toMatchObject({
      digest: `sha256:${sha256(packed)}`,
      diffId: `sha256:${sha256(tar)}`,
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      skipped: [],
    })
    const names = (await unpackTar(new Uint8Array(tar), { strict: true })).map(({ header }) => header.name)
    expect(names).toEqual([
      './',
      'etc/',
      'etc/.wh.group',
      'mnt/',
      'mnt/.wh..wh..opq',
      'srv/',
      'srv/hello',
      'srv/link',
      'srv/new',
    ])
    const snapshot = await container.exportLayer({ form: 'snapshot' })
    expect(snapshot).toMatchObject({ mediaType: 'application/x-tar', digest: snapshot.diffId })
    const entries = await unpackTar(new Uint8Array(await snapshot.blob.arrayBuffer()), { strict: true })
    expect(entries.find(({ header }) => header.name === './etc/group')!.header.type).toBe('character-device')
  })

  test('D051 is told of roots with layers only', async () => {
    const container = await (await world.boot()).create('plain')
    const rule = 'the root of container "plain" has no layers: give its spec a root'
    for (const call of [container.diff(), container.exportLayer(), container.commit(), container.discard()]) {
      await expect(call).rejects.toThrow(rule)
    }
  })

  test('D065 D066 a snapshot goes on in another sandbox, and is the same bytes from there', async () => {
    const { container } = await changed(await world.boot())
    const { blob } = await container.exportLayer({ form: 'snapshot' })
    const sandbox = await world.boot()
    const image = await sandbox.importImage(await ociArchive(base))
    for (const upper of [blob, gzipSync(new Uint8Array(await blob.arrayBuffer()))]) {
      const again = await sandbox.create(`again${upper instanceof Blob}`, { root: image }, { upper })
      expect(await again.fs.readdir('/etc')).toEqual(['passwd'])
      expect(await again.fs.readFile('/srv/link', 'utf8')).toBe('new\n')
      const { blob: second } = await again.exportLayer({ form: 'snapshot' })
      expect(sha256(new Uint8Array(await second.arrayBuffer()))).toBe(sha256(new Uint8Array(await blob.arrayBuffer())))
      expect((await again.diff()).map(({ path }) => path)).toEqual((await container.diff()).map(({ path }) => path))
    }
  })

  test('a layer is a lower of another container: alone, or on an image', async () => {
    const { container } = await changed(await world.boot())
    const { blob, diffId } = await container.exportLayer()
    const sandbox = await world.boot()
    await sandbox.importImage(await ociArchive(base), { name: 'base' })
    const image = await sandbox.importImage(blob, { base: 'base' })
    expect(image).toMatchObject({ process: { cwd: '/srv' } })
    expect(image.layers).toHaveLength(3)
    expect(image.layers[0]!.diffId).toBe(diffId)
    const other = await sandbox.create('other', { root: image })
    expect(await other.fs.readdir('/etc')).toEqual(['passwd'])
    expect(await other.fs.readFile('/srv/hello', 'utf8')).toBe('changed\n')
    await sandbox.importImage(blob, { name: 'alone' })
    expect(await textOf(sandbox, '/srv/new', 'alone')).toBe('new\n')
  })

  test('is committed: a new image, and the container goes on with an empty upper', async () => {
    const sandbox = await world.boot()
    const { container, image, fs } = await changed(sandbox)
    const file = await fs.open('/srv/new', 'r+')
    const committed = await container.commit({ name: 'next', config: { Cmd: ['--new'] } })
    expect(committed).toMatchObject({
      name: 'next',
      process: { args: ['serve', '--new'] },
      config: { Labels: { a: 'b' } },
    })
    expect(committed.layers.slice(1)).toEqual(image.layers)
    expect(await container.diff()).toEqual([])
    expect(await fs.readFile('/srv/hello', 'utf8')).toBe('changed\n')
    expect(await fs.readdir('/etc')).toEqual(['passwd'])
    expect(await fs.readFile('/mnt/mounted', 'utf8')).toBe('not a change of the root')
    await file.writeFile('NEW')
    await file.close()
    expect((await container.diff()).map(({ path }) => path)).toEqual(['/srv/new'])
    expect(await textOf(sandbox, '/srv/new', 'next')).toBe('new\n')
    const second = await container.commit()
    expect(second.layers.slice(1)).toEqual(committed.layers)
    expect(await textOf(sandbox, '/srv/new', second.name)).toBe('NEW\n')
  })

  test('is discarded: what the image has shows again, and what is mounted stays', async () => {
    const { container, fs } = await changed(await world.boot())
    const file = await fs.open('/srv/new', 'r')
    await container.discard()
    expect(await container.diff()).toMatchObject([{ path: '/mnt', change: 'added' }])
    expect(await fs.readFile('/srv/hello', 'utf8')).toBe('hello\n')
    expect((await fs.readdir('/etc')).sort()).toEqual(['group', 'passwd'])
    expect(await fs.readFile('/mnt/mounted', 'utf8')).toBe('not a change of the root')
    await expect(fs.stat('/srv/new')).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await file.readFile('utf8')).toBe('new\n')
    await file.close()
  })

  test('D059 an annotation fills the upper from a file of the bundle, where that is allowed and the root is writable', async () => {
    const { container } = await changed(await world.boot())
    const bytes = new Uint8Array(await (await container.exportLayer({ form: 'snapshot' })).blob.arrayBuffer())
    const make = async (options: object, id: string, spec: object) => {
      const sandbox = await world.boot(options)
      await sandbox.importImage(await ociArchive(base), { name: 'base' })
      await sandbox.provide('saved', { 'upper.tar': bytes, 'broken.tar': bytes.subarray(0, 2000) })
      return sandbox.create(id, { root: { path: 'base' }, ...spec })
    }
    const global = { annotations: { 'dev.gvisor.tar.rootfs.upper': 'saved/upper.tar' } }
    const one = { annotations: { 'dev.gvisor.tar.rootfs.upper.one': 'saved/upper.tar' } }
    const allowed = { allowRootfsTarAnnotation: true }
    for (const annotations of [global, one]) {
      expect(await (await make(allowed, 'one', annotations)).fs.readFile('/srv/hello', 'utf8')).toBe('changed\n')
    }
    expect(await (await make(allowed, 'two', one)).fs.readFile('/srv/hello', 'utf8')).toBe('hello\n')
    await expect(make({}, 'one', global)).rejects.toThrow(/not allowed: boot the sandbox with allowRootfsTarAnnotation/)
    const readonly = { ...global, root: { path: 'base', readonly: true } }
    await expect(make(allowed, 'one', readonly)).rejects.toThrow(/not read-only/)
    const broken = { annotations: { 'dev.gvisor.tar.rootfs.upper': 'saved/broken.tar' } }
    await expect(make(allowed, 'one', broken)).rejects.toThrow(/cut off/)
  })
})

describe('an image leaves', () => {
  test('as it came: the same manifest, the same blobs; and is the same bytes after a way back', async () => {
    const sandbox = await world.boot()
    const image = await sandbox.importImage(await ociArchive(base))
    const first = new Uint8Array(await (await image.export()).arrayBuffer())
    const again = await (await world.boot()).importImage(first)
    expect(again).toMatchObject({ digest: image.digest, layers: image.layers, process: image.process })
    expect(sha256(new Uint8Array(await (await again.export()).arrayBuffer()))).toBe(sha256(first))
  })

  test('after a commit, with all of its layers and its config', async () => {
    const sandbox = await world.boot()
    const { container } = await changed(sandbox)
    const committed = await container.commit({ config: { Cmd: ['--new'] } })
    for (const gzip of [true, false]) {
      const archive = await committed.export({ gzip, reference: 'app:2' })
      const image = await (await world.boot()).importImage(archive, { reference: 'app:2' })
      expect(image.layers.map(({ diffId }) => diffId)).toEqual(committed.layers.map(({ diffId }) => diffId))
      expect(image).toMatchObject({ process: committed.process, config: { Labels: { a: 'b' }, Cmd: ['--new'] } })
      const docker = (await unpackTar(new Uint8Array(await archive.arrayBuffer()))).find(
        ({ header }) => header.name === 'manifest.json',
      )
      expect(JSON.parse(new TextDecoder().decode(docker!.data))).toMatchObject([{ RepoTags: ['app:2'] }])
    }
  })

  test('of a container whose root was a tree of the page', async () => {
    const sandbox = await world.boot({ bundle: { tree: { 'a.txt': 'a', 'b/c': { symlink: '../a.txt' } } } })
    const container = await sandbox.create('c', { root: { path: 'tree' } })
    await container.fs.writeFile('/new', 'new')
    const committed = await container.commit()
    const image = await (await world.boot()).importImage(await committed.export())
    expect(image.layers).toHaveLength(2)
    const other = await (await world.boot()).importImage(await committed.export(), { name: 'x' })
    expect(other.layers).toEqual(image.layers)
    expect(await textOf(sandbox, '/b/c', committed.name)).toBe('a')
  })
})
