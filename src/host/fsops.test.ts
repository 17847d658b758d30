/** The same binary on our kernel and under node:wasi on a real tmpfs directory prints the same, but for differences argued one by one. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { unexplained } from '../../e2e/guests/fsops.differences.mjs'
import { runNodeWasi, temporaryDirectory } from '../../e2e/reference/node-wasi.mjs'
import { bootWorld, treeOf } from './world.ts'

test('fsops sees on our tmpfs what it sees on Linux', async () => {
  const wasm = await buildGuest('fsops.c')
  const world = bootWorld()
  world.runtime.provide('rootfs', treeOf({ 'bin/fsops.wasm': new Uint8Array(readFileSync(wasm)) }))
  await world.runtime.create('a', { root: { path: 'rootfs' }, mounts: [{ destination: '/work', type: 'tmpfs' }] })
  await world.start('a')
  const ours = await world.exec('a', { args: ['/bin/fsops.wasm', '/sandbox'], preopens: { '/sandbox': '/work' } })
  await world.close()

  using directory = temporaryDirectory()
  const node = await runNodeWasi(wasm, { dir: directory.path, args: ['/sandbox'], preopen: '/sandbox' })
  expect(ours.stderr).toBe('')
  expect(unexplained(ours.stdout, node.stdout.toString())).toEqual([])
  expect(ours.exitCode).toBe(node.exitCode)
})
