/** container.fs over the built library: a table of calls gives and fails as node:fs/promises does on this machine. */
import * as nodeFs from 'node:fs/promises'
import { expect, test } from '@playwright/test'
import { tell } from './pages/file-calls.mjs'
import { onEachPlatform } from './programs.ts'
import { temporaryDirectory } from './reference/node-wasi.mjs'

/** Where a file lies: on a tmpfs, and on the overlay that a root of the bundle is. */
const places = ['/work', '/layered']

onEachPlatform((platform) => {
  test('container.fs gives what node:fs/promises gives, and fails as it fails, with the same words', async ({
    page,
  }) => {
    const ours = await page.evaluate(
      async ({ platform, places }) => {
        const { start } = window.programs
        const { tell } = (await import(
          new URL('file-calls.mjs', location.href).href
        )) as typeof import('./pages/file-calls.mjs')
        const { sandbox } = await start(platform, { bundle: { image: { 'layered/': { directory: true } } } })
        const container = await sandbox.create('files', {
          root: { path: 'image' },
          mounts: [{ destination: '/work', type: 'tmpfs' }],
        })
        const told = []
        for (const place of places) told.push(await tell(container.fs, place))
        await sandbox.shutdown()
        return told
      },
      { platform, places },
    )
    using directory = temporaryDirectory()
    const umask = process.umask(0o022)
    const node = await tell(nodeFs, directory.path).finally(() => process.umask(umask))
    for (const [i, place] of places.entries()) expect.soft(ours[i], place).toEqual(node)
  })

  test('a large file passes through streams and handles both ways, and its times and mode are kept', async ({
    page,
  }) => {
    const seen = await page.evaluate(async (platform) => {
      const { start, fault } = window.programs
      const { sandbox, container } = await start(platform)
      const { fs } = container
      const size = 20_000_003
      const content = new Uint8Array(size).map((_, i) => (i * 2_654_435_761) >>> 24)
      const same = (bytes: Uint8Array, from = 0) => bytes.every((byte, i) => byte === content[from + i])
      await new Blob([content]).stream().pipeTo(fs.createWriteStream('/work/large', { mode: 0o640 }))
      const result: Record<string, unknown> = { size: (await fs.stat('/work/large')).size }
      const back = new Uint8Array(await new Response(fs.createReadStream('/work/large')).arrayBuffer())
      result.back = [back.length, same(back)]
      const part = await new Response(
        fs.createReadStream('/work/large', { start: 1_000_000, end: 1_999_999 }),
      ).arrayBuffer()
      result.part = [part.byteLength, same(new Uint8Array(part), 1_000_000)]
      result.mode = ((await fs.stat('/work/large')).mode & 0o7777).toString(8)

      const handle = await fs.open('/work/large', 'r+')
      await handle.write(new TextEncoder().encode('changed'), 0, 7, 19_999_999)
      const { bytesRead, buffer } = await handle.read(new Uint8Array(16), 0, 16, 19_999_996)
      result.tail = [bytesRead, [...buffer.subarray(3, bytesRead)].map((byte) => String.fromCharCode(byte)).join('')]
      await handle.truncate(5)
      await handle.utimes(1, 2.5)
      await handle.close()
      const { size: cut, mtimeMs } = await fs.stat('/work/large')
      result.cut = [cut, mtimeMs]
      result.closed = await fault(handle.read(new Uint8Array(1)))
      result.missing = await fault(fs.createReadStream('/no').getReader().read())
      await sandbox.shutdown()
      return result
    }, platform)
    expect(seen).toMatchObject({
      size: 20_000_003,
      back: [20_000_003, true],
      part: [1_000_000, true],
      mode: '640',
      tail: [10, 'changed'],
      cut: [5, 2500],
      closed: { code: 'EBADF' },
      missing: { code: 'ENOENT', syscall: 'open', path: '/no' },
    })
  })
})
