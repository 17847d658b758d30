/** The platform jspi: a guest in the kernel's own thread is suspended while it waits, and the thread goes on. */
import { expect, test } from '@playwright/test'
import { build } from 'vite'
import type * as underTest from './guest-under-test.ts'
import { root } from './tools/run.mjs'

declare const guests: typeof underTest

let bundle: string | undefined

test.beforeEach(async ({ page }) => {
  if (bundle === undefined) {
    const lib = { entry: `${root}/e2e/guest-under-test.ts`, formats: ['iife' as const], name: 'guests' }
    const output = await build({ configFile: false, logLevel: 'error', build: { write: false, target: 'es2023', lib } })
    const [first] = Array.isArray(output) ? output : [output]
    if (!first || !('output' in first)) throw new Error('vite built nothing')
    bundle = first.output[0].code
  }
  await page.goto('/pages/library.html')
  await page.addScriptTag({ content: bundle })
  test.skip(!(await page.evaluate(() => guests.hasJspi())), 'this browser has no JavaScript Promise Integration')
})

test('a guest that reads an empty stream is suspended until there are bytes, and its exit comes through', async ({
  page,
}) => {
  const seen = await page.evaluate(async () => {
    const P1 = 'wasi_snapshot_preview1'
    const [i32, call, drop] = [0x41, 0x10, 0x1a]
    const { world, end, waits, lines } = guests.start({
      imports: [
        [P1, 'fd_read', 'iiii'],
        [P1, 'fd_write', 'iiii'],
        [P1, 'proc_exit', 'i!'],
      ],
      // One iovec: 5 bytes from address 48.
      data: '\x30\0\0\0\x05\0\0\0',
      start: [
        ...[i32, 0, i32, 0, i32, 1, i32, 16, call, 0, drop],
        ...[i32, 1, i32, 0, i32, 1, i32, 16, call, 1, drop],
        ...[i32, 7, call, 2],
      ],
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const before = { text: world.stdout.text, waits: waits() }
    world.stdin.put('hello')
    return { before, end: await end, text: world.stdout.text, waits: waits(), lines }
  })
  expect(seen).toMatchObject({
    before: { text: '', waits: 1 },
    end: { exitCode: 7 },
    text: 'hello',
    waits: 1,
    lines: [
      expect.stringMatching(/^fd_read\(0<stdin>, "hello", 5\) = 5 <\d+\.\d{6}>$/),
      expect.stringMatching(/^fd_write\(1<stdout>, "hello", 5\) = 5 <\d+\.\d{6}>$/),
      'proc_exit(7) = ?',
    ],
  })
})

test('a guest that only makes calls leaves the thread its timers, and is killed from one', async ({ page }) => {
  const end = await page.evaluate(() => {
    const [loop, void_, call, drop, br, stop] = [0x03, 0x40, 0x10, 0x1a, 0x0c, 0x0b]
    const { end, kill } = guests.start({
      imports: [['wasi_snapshot_preview1', 'sched_yield', '']],
      start: [loop, void_, call, 0, drop, br, 0, stop],
    })
    setTimeout(() => kill(9), 30)
    return end
  })
  expect(end).toMatchObject({ exitCode: 137, signal: 9 })
})

test('a guest is killed while it waits, and a trap comes through', async ({ page }) => {
  const ends = await page.evaluate(async () => {
    const [i32, call, drop] = [0x41, 0x10, 0x1a]
    const waiting = guests.start({
      imports: [['wasi_snapshot_preview1', 'fd_read', 'iiii']],
      data: '\x30\0\0\0\x05\0\0\0',
      start: [i32, 0, i32, 0, i32, 1, i32, 16, call, 0, drop],
    })
    setTimeout(() => waiting.kill(15), 10)
    const trap = await guests.start({ start: [0x00] }).end
    return [await waiting.end, 'trap' in trap ? trap.trap : trap]
  })
  expect(ends).toMatchObject([{ exitCode: 143, signal: 15 }, expect.stringMatching(/unreachable/)])
})

test('a program whose imports have other types than WASI gives them is none, and says so', async ({ page }) => {
  const refused = await page.evaluate(() =>
    guests.start({ imports: [['wasi_snapshot_preview1', 'fd_read', 'i!']] }).end.then(
      () => undefined,
      (error) => [error.code, error.message],
    ),
  )
  expect(refused).toEqual(['ENOEXEC', expect.stringMatching(/does not fit what it imports .*fd_read/)])
})
