/**
 * An OCI image, made here of files with a real program in it: run, changed by that program, looked at, committed, exported, and
 * the export run elsewhere.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, type Page, test } from '@playwright/test'
import { buildGuest } from './guests/build.mjs'
import { dockerArchive, ociArchive, sha256 } from './images.mjs'
import { plainOrigin } from './origins.mjs'
import { onEachPlatform, openLibrary } from './programs.ts'

const parts = async () => ({
  layers: [
    { 'bin/edit': readFileSync(await buildGuest('edit.c')), 'etc/motd': 'welcome\n', 'etc/old': 'old\n', 'srv/': '' },
    { 'etc/.wh.old': '', 'srv/log': 'begin\n', 'srv/ünï': 'ü\n' },
  ],
  config: { Entrypoint: ['edit'], Cmd: ['read', '/srv/log'], Env: ['PATH=/bin'], WorkingDir: '/srv' },
})

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

/** A line for GNU tar's list of an archive, or undefined where there is no GNU tar. */
function listed(archive: Buffer): string[] | undefined {
  const { status, stdout } = spawnSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' })
  return status === 0 ? stdout.trim().split('\n') : undefined
}

/** Saves a Blob of the page as a file, as a person would, and gives what is in it. */
async function saved(page: Page, browserName: string, what: 'layer' | 'exported'): Promise<Buffer> {
  const click = () =>
    page.evaluate(async (what) => {
      const held = (window as unknown as { layer: { blob: Blob }; exported: Blob })[what]
      const blob = 'blob' in held ? held.blob : held
      const link = document.createElement('a')
      link.href = URL.createObjectURL(blob)
      link.download = `${what}.tar`
      link.click()
      return [...new Uint8Array(await blob.arrayBuffer())]
    }, what)
  // A Firefox that Playwright did not build tells nothing of downloads: what the page hands over is looked at instead.
  if (browserName !== 'chromium') return Buffer.from(await click())
  const [download] = await Promise.all([page.waitForEvent('download'), click()])
  return readFileSync(await download.path())
}

onEachPlatform((platform) => {
  test('an image is run, changed, looked at, committed, exported, and run from the export', async ({
    page,
    browserName,
  }) => {
    const seen = await page.evaluate(
      async ({ platform, archive }) => {
        const { Sandbox } = window.programs
        const load = async (text: string) => (await fetch(`data:application/x-tar;base64,${text}`)).blob()
        const sandbox = await Sandbox.boot({ platform })
        const image = await sandbox.importImage(await load(archive), { name: 'app' })
        const container = await sandbox.create('c', image.spec())
        const init = await container.start()
        const edit = async (in_: typeof container, ...args: string[]) => {
          const process = await in_.exec({ ...image.process, args: ['edit', ...args] })
          const [said, complained] = await Promise.all([process.text(), new Response(process.stderr).text()])
          return said + complained
        }
        const result: Record<string, unknown> = { init: await init!.text() }
        const further = await sandbox.create('d', { root: image })
        await further.start()
        result.changed = await edit(
          further,
          'append',
          'log',
          'more\n',
          'remove',
          '/etc/motd',
          'write',
          '/etc/new',
          'new\n',
          'read',
          'log',
        )
        result.diff = await further.diff()
        const layer = await further.exportLayer()
        result.layer = { ...layer, blob: layer.blob.size }
        const committed = await further.commit({ name: 'next', config: { Cmd: ['read', '/etc/new'] } })
        result.after = await further.diff()
        result.again = await edit(further, 'append', 'log', 'third\n', 'read', 'log')
        result.layers = committed.layers.length
        await further.discard()
        result.discarded = await edit(further, 'read', 'log')
        const exported = await committed.export()
        Object.assign(window, { layer, exported })
        await sandbox.shutdown()

        const elsewhere = await Sandbox.boot({ platform })
        const back = await elsewhere.importImage(exported)
        const last = await elsewhere.create('e', back.spec())
        result.elsewhere = await (await last.start())!.text()
        await elsewhere.importImage(await load(archive), { name: 'app' })
        const on = await elsewhere.importImage(layer.blob, { base: 'app' })
        const other = await elsewhere.create('f', { root: on })
        await other.start()
        result.lower = [
          await edit(other, 'read', 'log', 'read', '/etc/new'),
          await other.fs.readdir('/etc'),
          await other.fs.readdir('/srv'),
        ]
        result.equal = (await back.export()).size === exported.size
        await elsewhere.shutdown()
        return result
      },
      { platform, archive: base64(await ociArchive(await parts())) },
    )
    expect(seen).toMatchObject({
      init: 'begin\n',
      changed: 'begin\nmore\n',
      diff: [
        { path: '/etc/motd', change: 'deleted', kind: 'file', size: 8 },
        { path: '/etc/new', change: 'added', kind: 'file', size: 4 },
        { path: '/srv/log', change: 'changed', kind: 'file', size: 11, before: { kind: 'file', size: 6 } },
      ],
      layer: { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', skipped: [] },
      after: [],
      again: 'begin\nmore\nthird\n',
      layers: 3,
      discarded: 'begin\nmore\n',
      elsewhere: 'new\n',
      lower: ['begin\nmore\nnew\n', ['new'], ['log', 'ünï']],
      equal: true,
    })

    const layer = await saved(page, browserName, 'layer')
    expect(`sha256:${sha256(layer)}`).toBe((seen.layer as { digest: string }).digest)
    expect(listed(layer) ?? ['./', 'etc/', 'etc/.wh.motd', 'etc/new', 'srv/', 'srv/log']).toEqual([
      ...['./', 'etc/', 'etc/.wh.motd', 'etc/new', 'srv/', 'srv/log'],
    ])
    const exported = await saved(page, browserName, 'exported')
    expect(listed(exported) ?? ['index.json', 'oci-layout']).toEqual(
      expect.arrayContaining(['index.json', 'oci-layout']),
    )
  })

  test('a program that has a file open goes on over a commit', async ({ page }) => {
    test.skip(platform === 'inline', 'a program cannot wait for input on inline')
    const seen = await page.evaluate(
      async ({ platform, archive }) => {
        const { Sandbox } = window.programs
        const sandbox = await Sandbox.boot({ platform })
        const image = await sandbox.importImage(await (await fetch(`data:;base64,${archive}`)).blob())
        const container = await sandbox.create('c', { root: image })
        await container.start()
        const input = new TransformStream<Uint8Array, Uint8Array>()
        const hold = { ...image.process, args: ['edit', 'hold', 'log'] }
        const holder = await container.exec(hold, { stdin: input.readable })
        const writer = input.writable.getWriter()
        const line = (text: string) => writer.write(new TextEncoder().encode(text))
        const until = async (text: string) => {
          while (!(await container.fs.readFile('/srv/log', 'utf8')).includes(text))
            await new Promise((done) => setTimeout(done, 5))
        }
        await line('one\n')
        await until('one')
        const first = await container.commit()
        const between = await container.diff()
        await line('two\n')
        await until('two')
        const second = await container.commit()
        await writer.close()
        await holder.wait()
        const texts = []
        for (const image of [first, second])
          texts.push(await (await sandbox.create(image.name, { root: image })).fs.readFile('/srv/log', 'utf8'))
        await sandbox.shutdown()
        return { between, texts }
      },
      { platform, archive: base64(await ociArchive(await parts())) },
    )
    expect(seen).toEqual({ between: [], texts: ['begin\none\n', 'begin\none\ntwo\n'] })
  })
})

test('B188 B191 a sealed image boots; with one bit of it flipped, wherever, it does not, or ends the sandbox', async ({
  page,
}) => {
  await openLibrary(page)
  const seen = await page.evaluate(
    async ({ archive }) => {
      const { Sandbox, fault } = window.programs
      const sandbox = await Sandbox.boot()
      const plain = await sandbox.importImage(await (await fetch(`data:;base64,${archive}`)).blob(), { name: 'app' })
      const { image, rootHash } = await plain.seal({ name: 'sealed' })
      type Sandbox = typeof sandbox
      type FileSystem = Awaited<ReturnType<Sandbox['create']>>['fs']

      /** Boots from an image, runs its program, and reads what else there is. */
      const boot = async ({ name }: { name: string }, action = 'error') => {
        const hints = {
          source: name,
          type: 'bind',
          options: `verity.roothash=${rootHash},verity.action=${action}`,
        }
        const annotations = Object.entries(hints).map(([key, value]) => [`dev.gvisor.spec.rootfs.${key}`, value])
        const spec = { ...plain.spec(), annotations: Object.fromEntries(annotations) }
        const container = await sandbox.create(`on-${name}-${action}`, spec)
        const said = await (await container.start())!.text()
        const { fs } = container
        for (const path of ['/etc', '/srv']) await fs.readdir(path)
        for (const path of ['/etc/motd', '/srv/ünï']) await fs.readFile(path)
        return said
      }
      const flip = async (fs: FileSystem, path: string, at: number) => {
        const { mtimeMs, size } = await fs.stat(path)
        const file = await fs.open(path, 'r+')
        const byte = new Uint8Array(1)
        const position = at < 0 ? size + at : at
        await file.read(byte, 0, 1, position)
        byte[0]! ^= 4
        await file.write(byte, 0, 1, position)
        await file.close()
        await fs.utimes(path, mtimeMs / 1000, mtimeMs / 1000)
      }
      const places: Record<string, (fs: FileSystem) => Promise<unknown>> = {
        program: (fs) => flip(fs, '/bin/edit', 9000),
        file: (fs) => flip(fs, '/etc/motd', 0),
        record: (fs) => flip(fs, '/etc/.merkle.verity.motd', 20),
        tree: (fs) => flip(fs, '/bin/.merkle.verity.edit', -1),
        directory: (fs) => flip(fs, '/.merkle.verity.srv', -70),
        root: (fs) => flip(fs, '/.merkleroot.verity.', 100),
        mode: (fs) => fs.chmod('/etc/motd', 0o645),
        owner: (fs) => fs.chown('/srv', 1, 0),
        time: (fs) => fs.utimes('/etc/motd', 1, 1),
        name: (fs) => fs.rename('/srv/log', '/srv/loh'),
        entry: (fs) => fs.writeFile('/etc/more', ''),
      }
      const result: Record<string, unknown> = { boots: await boot(image), layers: image.layers.length }
      for (const [place, change] of Object.entries(places)) {
        const bench = await sandbox.create(`bench-${place}`, { root: image })
        await change(bench.fs)
        const failure = await fault(boot(await bench.commit({ name: place })))
        result[place] =
          'message' in failure ? `${failure.code} ${/verity: (\S+):/.exec(failure.message)?.[1]}` : failure.gave
      }
      await fault(boot({ name: 'file' }, 'panic'))
      result.after = await fault(sandbox.containers())
      return result
    },
    { archive: base64(await ociArchive(await parts())) },
  )
  expect(seen).toEqual({
    boots: 'begin\n',
    layers: 3,
    program: 'EIO /bin/edit',
    file: 'EIO /etc/motd',
    record: 'EIO /etc/motd',
    tree: 'EIO /bin/edit',
    directory: 'EIO /srv',
    root: 'EIO /',
    mode: 'EIO /etc/motd',
    owner: 'EIO /srv',
    time: 'EIO /etc/motd',
    // Of a directory that has other names, the time tells first.
    name: 'EIO /srv',
    entry: 'EIO /etc',
    after: expect.objectContaining({
      code: 'ERR_KERNEL_GONE',
      message: expect.stringContaining('verity: /etc/motd: its bytes from 0 to 7 are not what was measured'),
    }),
  })
})

test('a large plain layer is read where it lies, and a hostile archive leaves nothing', async ({ page }) => {
  await openLibrary(page, plainOrigin())
  const large = Buffer.alloc(10 << 20, 'large ')
  const archive = await dockerArchive({ layers: [{ 'srv/large': large, 'srv/small': 'small' }] })
  const hostile = await ociArchive({ layers: [{ ok: 'ok' }, { 'a/../../b': 'x' }] })
  for (const [name, body] of Object.entries({ archive, hostile })) {
    await page.route(`**/${name}.tar`, (route) => route.fulfill({ body: Buffer.from(body) }))
  }
  const seen = await page.evaluate(async () => {
    const { Sandbox, fault } = window.programs
    const sandbox = await Sandbox.boot()
    const refused = await fault(sandbox.importImage(await fetch('/hostile.tar'), { name: 'app' }))
    const image = await sandbox.importImage(await fetch('/archive.tar'), { name: 'app' })
    const container = await sandbox.create('c', { root: image })
    const { fs } = container
    const bytes = await fs.readFile('/srv/large')
    const file = await fs.open('/srv/large', 'r+')
    await file.write(new TextEncoder().encode('LARGE'), 0, 5, 6)
    await file.close()
    const after = (await fs.readFile('/srv/large')).subarray(0, 18)
    const digest = await sandbox.importImage(await (await container.commit()).export())
    const result = {
      refused,
      size: bytes.length,
      tail: new TextDecoder().decode(bytes.subarray(-6)),
      after: new TextDecoder().decode(after),
      layers: digest.layers.length,
    }
    await sandbox.shutdown()
    return result
  })
  expect(seen).toMatchObject({
    refused: { code: 'EINVAL', path: 'a/../../b', message: expect.stringContaining("goes through '..'") },
    size: 10 << 20,
    after: 'large LARGE large ',
    layers: 2,
  })
})

test('a layer of many megabytes outlives the sandbox that it was exported from', async ({ page }) => {
  await openLibrary(page, plainOrigin())
  const seen = await page.evaluate(async () => {
    const sandbox = await window.programs.Sandbox.boot({ platform: 'inline', bundle: { base: { f: '' } } })
    const container = await sandbox.create('box', { root: { path: 'base' } })
    const large = new Uint8Array(20 << 20).map((_, at) => at ^ (at >> 9))
    await container.fs.writeFile('/large', large)
    const layers = [await container.exportLayer({ gzip: false }), await container.exportLayer()]
    await sandbox.shutdown()
    const [plain, packed] = layers.map(({ blob }) => blob) as [Blob, Blob]
    const unpacked = new Response(packed.stream().pipeThrough(new DecompressionStream('gzip')))
    const tars = [new Uint8Array(await plain.arrayBuffer()), new Uint8Array(await unpacked.arrayBuffer())]
    const start = plain.size - large.length - 1024
    return tars.map((tar) => [tar.length === plain.size, large.every((byte, at) => tar[start + at] === byte)])
  })
  expect(seen).toEqual([
    [true, true],
    [true, true],
  ])
})
