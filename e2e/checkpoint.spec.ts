/** Containers that are saved in one tab and restored in another. */
import { expect, type Page, test } from '@playwright/test'
import { isolatedOrigin } from './origins.mjs'
import { guests, openLibrary } from './programs.ts'

const SIZE = 5 << 20

/** A sandbox in the page as `window.tab`, with the trees that the containers are made from. */
const boot = (page: Page, program: string) =>
  page.evaluate(async (program) => {
    const { Sandbox } = window.programs
    const bin = { cat: { data: new URL(program, location.href), mode: 0o755 } }
    const sandbox = await Sandbox.boot({ platform: 'worker', bundle: { bin, system: { 'etc/name': 'as delivered' } } })
    Object.assign(window, { tab: { sandbox } })
  }, program)

/** What a restored tab shows, read by the page and by a program in it. */
const look = (page: Page) =>
  page.evaluate(async () => {
    const { sandbox, restored } = window.tab
    const [a, b] = restored!.containers
    await a!.start()
    const { stdout } = await window.programs.run(a!, { args: ['/bin/cat', '/etc/name'] })
    const large = await b!.fs.readFile('/data/large')
    const names = (await sandbox.containers()).map(({ id, status }) => `${id} ${status}`)
    const kept = await a!.fs.readFile('/kept/f', 'utf8')
    const sum = large.reduce((sum, byte) => sum + byte, 0)
    return { stdout, size: large.length, sum, names, kept, shared: await b!.fs.readFile('/in/f', 'utf8') }
  })

declare global {
  interface Window {
    tab: {
      sandbox: Awaited<ReturnType<typeof import('../src/client/index.ts').Sandbox.boot>>
      restored?: import('../src/client/index.ts').Restored
    }
  }
}

test('a pod is saved in one tab and restored in another, from what the browser keeps and from a stream of bytes', async ({
  page,
  context,
}) => {
  await openLibrary(page, isolatedOrigin())
  const { cat } = await guests('cat')
  await boot(page, cat)
  const saved = await page.evaluate(async (size) => {
    const { sandbox } = window.tab
    const annotations = {
      'dev.gvisor.spec.mount.v.source': '/pod/v',
      'dev.gvisor.spec.mount.v.type': 'tmpfs',
      'dev.gvisor.spec.mount.v.share': 'pod',
    }
    const a = await sandbox.create('a', {
      annotations,
      root: { path: 'system' },
      mounts: [
        { destination: '/bin', type: 'bind', source: 'bin' },
        { destination: '/out', type: 'bind', source: '/pod/v' },
        { destination: '/kept', type: 'tmpfs', source: 'volume:checkpointed' },
      ],
    })
    const b = await sandbox.create('b', {
      mounts: [
        { destination: '/data', type: 'tmpfs' },
        { destination: '/in', type: 'bind', source: '/pod/v' },
      ],
    })
    await a.fs.writeFile('/etc/name', 'changed')
    await a.fs.writeFile('/out/f', 'shared')
    await a.fs.writeFile('/kept/f', 'kept')
    await b.fs.writeFile('/data/large', new Uint8Array(size).fill(3))
    const stream = await sandbox.checkpoint({ keep: 'both' })
    const blob = await new Response(stream).blob()
    // As a page would keep it itself: another one takes it from there.
    const cache = await caches.open('checkpoints')
    await cache.put('/checkpoint', new Response(blob))
    const list = await sandbox.checkpoints()
    await sandbox.shutdown()
    return { size: blob.size, list }
  }, SIZE)
  expect(saved.list).toMatchObject([{ name: 'both', size: saved.size, containers: ['a', 'b'] }])

  const expected = {
    ...{ stdout: 'changed', size: SIZE, sum: 3 * SIZE, kept: 'kept', shared: 'shared' },
    names: ['a running', 'b created'],
  }
  const second = await context.newPage()
  await page.close()
  await openLibrary(second, isolatedOrigin())
  await boot(second, cat)
  await second.evaluate(async () => {
    window.tab.restored = await window.tab.sandbox.restore('both')
  })
  expect(await look(second)).toEqual(expected)
  const refused = await second.evaluate(async () => {
    const blob = await (await caches.match('/checkpoint'))!.blob()
    const message = await window.tab.sandbox.restore(blob).catch((error) => error.message)
    await window.tab.sandbox.shutdown()
    return message
  })
  expect(refused).toMatch(/^EEXIST/)

  await second.reload()
  await boot(second, cat)
  const cut = await second.evaluate(async () => {
    const { sandbox } = window.tab
    const response = (await caches.match('/checkpoint'))!
    const half = (await response.clone().blob()).slice(0, 3 << 20)
    const message = await sandbox.restore(half).catch((error) => error.message)
    window.tab.restored = await sandbox.restore(response.body!)
    return message
  })
  expect(cut).toMatch(/^EIO.*cut off/)
  expect(await look(second)).toEqual(expected)
})
