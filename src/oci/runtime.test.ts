import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { bootWorld, treeOf, type World } from '../host/world.ts'

let world: World

beforeEach(() => {
  world = bootWorld()
})

afterEach(async () => {
  await world.close()
  expect(world.runtime.vfs.superblocks.size).toBe(0)
  expect(world.runtime.vfs.anonymousDevices.inUse).toBe(1)
})

const guest = async (name: string) => new Uint8Array(readFileSync(await buildGuest(`${name}.c`)))

test('a program in the root runs and its output, exit code and calls come back', async () => {
  world.runtime.provide('rootfs', treeOf({ 'bin/hello.wasm': await guest('hello') }))
  await world.runtime.create('a', { root: { path: 'rootfs' } })
  await world.start('a')
  const end = await world.exec('a', { args: ['/bin/hello.wasm', 'one', 'two words'], env: ['A=b'] })
  expect(end.stdout).toContain('two words')
  expect(end.exitCode).toBe(0)
  expect(end.syscalls).toBeGreaterThan(3)
})
