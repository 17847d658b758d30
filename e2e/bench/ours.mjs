import { importSource } from '../tools/import-source.mjs'

/** @type {Promise<any> | undefined} a World */
let booted
let runs = 0

/**
 * @param {Uint8Array} wasm the program, the same one on each call
 * @param {string[]} args without the program's name
 * @param {{ platform: 'inline', system?: boolean }} options without `system`, /proc and /sys are empty directories. Node 20 has no JSPI, and a guest Worker is the page's business
 * @returns {Promise<{ stdout: string, stderr: string, exitCode: number }>}
 */
export async function runOurs(wasm, args, { platform, system = true }) {
  if (platform !== 'inline') throw new Error(`in Node there is no platform ${platform}`)
  booted ??= boot(wasm)
  const world = await booted
  const id = `run-${++runs}`
  await world.runtime.create(id, {
    mounts: [
      { destination: '/guest', type: 'bind', source: 'guest', options: ['ro'] },
      ...(system ? [] : ['/proc', '/sys'].map((destination) => ({ destination, type: 'tmpfs' }))),
    ],
  })
  const nowhere = { stdin: { initial: new Uint8Array(), more: false }, stdout() {}, stderr() {}, progress() {} }
  await world.runtime.start(id, nowhere)
  const { stdout, stderr, exitCode } = await world.exec(id, { args: ['/guest/guest.wasm', ...args] })
  await world.runtime.delete(id, true)
  return { stdout, stderr, exitCode }
}

/** @param {Uint8Array} wasm */
async function boot(wasm) {
  const { bootWorld, treeOf } = await importSource('src/host/world.ts')
  const world = bootWorld()
  world.runtime.provide('guest', treeOf({ 'guest.wasm': wasm }))
  return world
}
