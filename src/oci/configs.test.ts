/** Real config.json files boot: the runtime-spec's example, Docker's default, a Kubernetes pod's and a minimal one for WebAssembly. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import type { ErrnoError } from '../abi/errno.ts'
import { O_CREAT, O_WRONLY } from '../abi/linux.ts'
import { bootWorld, treeOf, type World } from '../host/world.ts'
import { MemorySite } from '../testing/memory-site.ts'
import { endClean } from './test-world.ts'

const config = (name: string) =>
  JSON.parse(readFileSync(new URL(`../testing/configs/${name}.json`, import.meta.url), 'utf8'))
const hello = async () => new Uint8Array(readFileSync(await buildGuest('hello.c')))

let world: World
beforeEach(() => {
  world = bootWorld({ volumes: new MemorySite().host })
})
afterEach(() => endClean(world))

/** Starts a container and gives the exit code of its process. */
async function run(id: string): Promise<number | undefined> {
  const process = (await world.start(id)) as { exited: Promise<{ exitCode?: number }> }
  return (await process.exited).exitCode
}
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error: ErrnoError) => error.code,
  )
const write = (id: string, path: string) =>
  codeOf(world.runtime.files(id).writeFile(path, new Uint8Array(1), O_WRONLY | O_CREAT, 0o644))
const text = async (id: string, path: string) => new TextDecoder().decode(await world.runtime.files(id).readFile(path))

test('C265 that of the runtime-spec, and what it asks for in vain is named', async () => {
  world.runtime.provide('rootfs', treeOf({ 'bin/sh': await hello() }))
  const { warnings } = await world.runtime.create('a', config('runtime-spec'))
  for (const named of [
    'hooks.prestart: hooks',
    'hooks.poststart',
    'hooks.poststop',
    'process.selinuxLabel',
    'linux.mountLabel',
  ]) {
    expect(warnings).toContainEqual(expect.stringContaining(named))
  }
  const unlimited = warnings.filter((warning) => warning.endsWith(': cannot be limited in a browser'))
  const of = unlimited.map((warning) => warning.replace(/^linux\.resources\.(.*): .*$/, '$1'))
  const ofMemory = ['reservation', 'swap', 'kernel', 'kernelTCP', 'swappiness'].map((name) => `memory.${name}`)
  expect(of.sort()).toEqual([...ofMemory, 'blockIO', 'cpu', 'devices', 'hugepageLimits', 'network'].sort())
  expect(await run('a')).toBe(0)
  expect(await write('a', '/x')).toBe('EROFS')
  expect(await world.runtime.files('a').stat('/dev/fuse')).toMatchObject({ mode: 0o20666 })
})

test("Docker's, with the paths of its machine replaced", async () => {
  world.runtime.provide('image', treeOf({ hello: await hello() }))
  world.runtime.provide('etc', treeOf({ 'resolv.conf': 'nameserver', hostname: '4f1c', hosts: '127.0.0.1' }))
  const docker = config('docker')
  const container = docker.mounts.at(-1).source.replace('/hosts', '')
  const sources = { [docker.root.path]: 'image', [container]: 'etc' }
  await world.runtime.create('a', docker, { sources })
  expect(await run('a')).toBe(0)
  expect(await text('a', '/etc/hostname')).toBe('4f1c')
  expect(await write('a', '/etc/new')).toBe('ok')
  expect(await write('a', '/dev/shm/x')).toBe('ok')
})

test('C148 D084 D091 a Kubernetes pod: its emptyDir is a tmpfs by its hint, its files are made read-only on a read-only root', async () => {
  world.runtime.provide('rootfs', treeOf({ 'usr/local/bin/hello': await hello() }))
  world.runtime.provide(
    'pod',
    treeOf({
      'volumes/kubernetes.io~configmap/config/app.toml': 'port = 80',
      'etc-hosts': '127.0.0.1 web-0',
      'containers/web/5d2e81aa': '',
      'volumes/kubernetes.io~projected/kube-api-access-7xk2p/token': 't',
    }),
  )
  world.runtime.provide('sandbox', treeOf({ hostname: 'web-0', 'resolv.conf': 'nameserver 10.96.0.10' }))
  const kubernetes = config('kubernetes')
  const sourceOf = (end: string): string =>
    kubernetes.mounts.find(({ source }: { source: string }) => source.endsWith(end)).source
  const sources = {
    [sourceOf('/etc-hosts').replace('/etc-hosts', '')]: 'pod',
    [sourceOf('/hostname').replace('/hostname', '')]: 'sandbox',
  }
  await world.runtime.create('web', kubernetes, { sources })
  expect(await text('web', '/etc/hosts')).toBe('127.0.0.1 web-0')
  expect(await text('web', '/etc/app/app.toml')).toBe('port = 80')
  expect(await text('web', '/var/run/secrets/kubernetes.io/serviceaccount/token')).toBe('t')
  expect(await write('web', '/etc/hosts')).toBe('EROFS')
  expect(await write('web', '/etc/other')).toBe('EROFS')
  expect(await write('web', '/cache/x')).toBe('ok')
  expect((await world.runtime.files('web').stat('/cache')).mode).toBe(0o41777)
  expect((await world.runtime.files('web').stat('/dev/shm')).mode).toBe(0o41777)
})

test.each([
  ['Memory', 'tmpfs', []],
  ['', 'bind', ['kept']],
])(
  'D086 an emptyDir of medium %j, whose hint is a %s, is shared by the pod: in memory by the hint alone, else in the volume that is given for it',
  async (medium, type, kept) => {
    const source = '/var/lib/kubelet/pods/b7c1/volumes/kubernetes.io~empty-dir/cache'
    const hint = { source, type, share: 'pod', options: 'mode=1777' }
    const annotations = Object.fromEntries(
      Object.entries(hint).map(([field, value]) => [`dev.gvisor.spec.mount.cache.${field}`, value]),
    )
    const mounts = [{ destination: '/cache', type: 'bind', source, options: ['rbind', 'rprivate', 'rw'] }]
    const sources = medium === 'Memory' ? {} : { [source]: 'volume:kept' }
    const volumes = async () => (await world.runtime.volumes.calls.list()).map(({ name }) => name)
    for (const id of ['a', 'b']) await world.runtime.create(id, { mounts, annotations }, { sources })
    expect(await write('a', '/cache/x')).toBe('ok')
    expect(await text('b', '/cache/x')).toBe('\0')
    expect(await volumes()).toEqual(kept)
    for (const id of ['a', 'b']) await world.runtime.delete(id, true)
    await world.runtime.create('c', { mounts, annotations }, { sources })
    expect(await text('c', '/cache/x')).toBe('\0')
    expect(await codeOf(world.runtime.create('d', { mounts }, {}))).toBe(medium === 'Memory' ? 'ok' : 'ENOENT')
  },
)

test('the smallest one for WebAssembly', async () => {
  world.runtime.provide('rootfs', treeOf({ 'hello.wasm': await hello() }))
  expect((await world.runtime.create('a', config('wasm'))).warnings).toEqual([])
  expect(await run('a')).toBe(0)
})

test('C285 sources stand for the paths of a spec: the longest that is one, or is above it; others stay', async () => {
  const etc = treeOf({ hosts: 'by name', 'deep/file': 'in it' })
  world.runtime.provide('etc', etc)
  world.runtime.provide('other', treeOf({ file: 'the longer one' }))
  const mounts = [
    { destination: '/a', type: 'bind', source: '/host/etc/hosts' },
    { destination: '/b', type: 'bind', source: '/host/etc/deep/file' },
    { destination: '/c', type: 'bind', source: '/host/etcetera' },
    { destination: '/d', type: 'tmpfs', source: '' },
    { destination: '/e', type: 'bind', source: 'etc/hosts' },
  ]
  const sources = { '/host/etc': 'etc', '/host/etc/deep': 'other' }
  const { runtime } = world
  await expect(runtime.create('a', { mounts }, { sources })).rejects.toMatchObject({ code: 'ENOENT', path: '/c' })
  mounts.splice(2, 1)
  await runtime.create('a', { mounts }, { sources })
  expect(await text('a', '/a')).toBe('by name')
  expect(await text('a', '/b')).toBe('the longer one')
  expect(await text('a', '/e')).toBe('by name')
  expect(runtime.mounts('a').find(({ destination }) => destination === '/d')?.source).toBe('')
  await expect(runtime.create('b', 7, { sources })).rejects.toThrow('must be an object, is a number')
})
