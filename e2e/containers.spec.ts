/** Whole containers in a browser: programs look at the mounts that their specs became, share a volume, and find their changes again. */
import { readFileSync } from 'node:fs'
import { expect, test } from '@playwright/test'
import type { SpecInput } from '../src/client/index.ts'
import { guests, openLibrary } from './programs.ts'

type Config = { [Part in 'root' | 'mounts' | 'process']: NonNullable<SpecInput[Part]> }
const config = (name: string): Config =>
  JSON.parse(readFileSync(new URL(`../src/testing/configs/${name}.json`, import.meta.url), 'utf8'))

/** The place on its machine of a mount's source that ends so, less that end. */
const above = ({ mounts }: Config, end: string): string =>
  mounts.find(({ source }) => source?.endsWith(end))!.source!.slice(0, -end.length)

/** Of a line of /proc/self/mounts the place, the type, and whether it is read-only: `/dev/shm tmpfs rw`. */
const mountOf = (line: string) => line.replace(/^\S+ (\S+ \S+ r[ow]).*/, '$1')

test('the real configs boot side by side, and their programs see the mounts that they ask for', async ({ page }) => {
  await openLibrary(page)
  const [runtimeSpec, docker, kubernetes, wasm] = ['runtime-spec', 'docker', 'kubernetes', 'wasm'].map(config)
  const containers = [
    { id: 'example', program: 'bin/sh', spec: runtimeSpec!, sources: {} },
    { id: 'docker', program: 'hello', spec: docker!, sources: { [above(docker!, '/hosts')]: 'etc' } },
    {
      ...{ id: 'web', program: 'usr/local/bin/hello', spec: kubernetes! },
      sources: { [above(kubernetes!, '/etc-hosts')]: 'pod', [above(kubernetes!, '/hostname')]: 'sandbox' },
    },
    { id: 'wasm', program: 'hello.wasm', spec: wasm!, sources: {} },
  ]
  const found = await page.evaluate(
    async ({ containers, mounts }) => {
      const { Sandbox, ended } = window.programs
      const trees = {
        etc: { 'resolv.conf': '', hostname: '4f1c', hosts: '' },
        pod: {
          'volumes/kubernetes.io~configmap/config/app.toml': 'port = 80',
          'etc-hosts': '127.0.0.1 web-0',
          'containers/web/5d2e81aa': '',
          'volumes/kubernetes.io~projected/kube-api-access-7xk2p/token': 't',
        },
        sandbox: { hostname: 'web-0', 'resolv.conf': '' },
      }
      const sandbox = await Sandbox.boot({ platform: 'worker', bundle: trees })
      const found: Record<string, Awaited<ReturnType<typeof ended>>> = {}
      for (const { id, program, spec, sources } of containers) {
        await sandbox.provide(id, { [program]: { data: new URL(mounts, location.href), mode: 0o755 } })
        const container = await sandbox.create(id, spec, { sources: { ...sources, [spec.root.path]: id } })
        found[id] = await ended((await container.start())!)
      }
      await sandbox.shutdown()
      return found
    },
    { containers, ...(await guests('mounts')) },
  )
  const everywhere = ['/dev devtmpfs rw', '/proc proc rw', '/dev/pts devpts rw', '/tmp tmpfs rw']
  const expected = {
    example: ['/ gofer ro', '/sys sysfs rw', '/dev/shm tmpfs rw', '/dev/mqueue mqueue rw', '/proc/sys proc ro'],
    docker: [
      '/ overlay rw',
      '/sys sysfs ro',
      '/etc/hosts gofer ro',
      '/sys/fs/cgroup/cpu cgroup ro',
      '/proc/sys proc ro',
    ],
    web: ['/ gofer ro', '/sys sysfs ro', '/cache tmpfs rw', '/etc/app gofer ro', '/dev/termination-log gofer ro'],
    wasm: ['/ overlay rw', '/sys sysfs rw'],
  }
  for (const [id, mounts] of Object.entries(expected)) {
    expect(found[id], id).toMatchObject({ exitCode: 0, stderr: '' })
    // One of them asks for a terminal.
    const [args, ...lines] = found[id]!.stdout.split(/\r?\n/)
    expect(args, id).toBe(containers.find((container) => container.id === id)!.spec.process.args!.join(' '))
    expect(lines.map(mountOf), id).toEqual(expect.arrayContaining([...everywhere, ...mounts]))
  }
})

test('C156 C157 the containers of a pod share a volume by hint: one program writes, another reads and may not write', async ({
  page,
}) => {
  await openLibrary(page)
  const found = await page.evaluate(
    async (programs) => {
      const { Sandbox, run } = window.programs
      const program = (path: string) => ({ data: new URL(path, location.href), mode: 0o755 })
      const bin = Object.fromEntries(Object.entries(programs).map(([name, path]) => [name, program(path)]))
      const sandbox = await Sandbox.boot({ platform: 'worker', bundle: { bin } })
      const hint = 'dev.gvisor.spec.mount.queue'
      const annotations = {
        ...{ [`${hint}.source`]: '/pod/queue', [`${hint}.type`]: 'tmpfs' },
        ...{ [`${hint}.share`]: 'pod', [`${hint}.options`]: 'rw' },
      }
      const create = (id: string, destination: string, options: string[]) =>
        sandbox.create(id, {
          annotations,
          mounts: [
            { destination: '/bin', type: 'bind', source: 'bin' },
            { destination, type: 'bind', source: '/pod/queue', options },
          ],
        })
      const writer = await create('writer', '/out', ['rw'])
      const reader = await create('reader', '/in', ['ro'])
      for (const container of [writer, reader]) await container.start()
      const written = await run(writer, { args: ['/bin/keep', '/out/job', '200000'] })
      const read = await run(reader, { args: ['/bin/cat', '/in/job'] })
      const refused = await run(reader, { args: ['/bin/touch', '/in/mine'] })
      await writer.delete()
      const after = await reader.fs.stat('/in/job')
      await sandbox.shutdown()
      return { written: written.exitCode, read: read.stdout, refused, size: after.size }
    },
    await guests('keep', 'cat', 'touch'),
  )
  expect(found.written).toBe(0)
  expect(found.read).toBe('k'.repeat(200_000))
  expect(found.refused).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/read-only/i) })
  expect(found.size).toBe(200_000)
})

test('on a read-only root, what a program changes in an overlay that is kept is there after a reload', async ({
  page,
}) => {
  await openLibrary(page)
  const programs = await guests('keep', 'cat', 'touch')
  const boot = () =>
    page.evaluate(async (programs) => {
      const { Sandbox, run } = window.programs
      const bin = Object.entries(programs).map(
        ([name, path]) => [`bin/${name}`, { data: new URL(path, location.href), mode: 0o755 }] as const,
      )
      const image = { ...Object.fromEntries(bin), 'srv/page': 'first', 'srv/other': '' }
      const sandbox = await Sandbox.boot({ platform: 'worker', bundle: { image } })
      const container = await sandbox.create('site', {
        root: { path: 'image', readonly: true },
        mounts: [{ destination: '/srv', type: 'overlay', options: ['lowerdir=image/srv', 'upperdir=volume:site'] }],
      })
      await container.start()
      const before = await run(container, { args: ['/bin/cat', '/srv/page'] })
      const written = await run(container, { args: ['/bin/keep', '/srv/page', '5000'] })
      const refused = await run(container, { args: ['/bin/touch', '/srv/made', '/outside'] })
      const names = (await container.fs.readdir('/srv')).sort()
      await sandbox.shutdown()
      return { page: before.stdout, exits: [written.exitCode, refused.exitCode], said: refused.stderr, names }
    }, programs)
  const rest = {
    exits: [0, 1],
    said: expect.stringMatching(/^\/outside: read-only/i),
    names: ['made', 'other', 'page'],
  }
  expect(await boot()).toMatchObject({ ...rest, page: 'first' })
  await page.reload()
  expect(await boot()).toMatchObject({ ...rest, page: 'k'.repeat(5000) })
})
