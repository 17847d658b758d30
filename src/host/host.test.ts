/** The parts of the host that a Node process has too; the others are seen in browsers (e2e). */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClock } from './clock.ts'
import { createEntropy } from './entropy.ts'
import { choosePlatform, detectFeatures } from './features.ts'
import { createMacrotasks } from './macrotask.ts'
import { createSleep } from './sleep.ts'
import { createFetchReader, type UrlProgress } from './url-reader.ts'

describe('entropy', () => {
  test.each([
    ['an array of its own', (size: number) => new ArrayBuffer(size)],
    ['shared memory', (size: number) => new SharedArrayBuffer(size)],
  ])('fills %s to the last byte, however long, and nothing beside it', (_, allocate) => {
    const size = 200_000
    const memory = new Uint8Array(allocate(size + 2))
    const bytes = memory.subarray(1, size + 1)
    createEntropy().fill(bytes)
    // Pieces of 16 zero bytes do not happen by chance.
    for (let at = 0; at < size; at += 16) expect(bytes.subarray(at, at + 16).some((byte) => byte !== 0)).toBe(true)
    expect([memory[0], memory[size + 1]]).toEqual([0, 0])
  })
})

test('a sleep ends at its deadline or after it, and one that has passed is none', () => {
  const clock = createClock()
  const sleepUntil = createSleep(clock)
  const deadline = clock.monotonic() + 15_000_000n
  sleepUntil(deadline)
  expect(clock.monotonic()).toBeGreaterThanOrEqual(deadline)
  sleepUntil(0n)
})

test('a macrotask comes behind all microtasks, in the order of asking, and close lets those pending finish', async () => {
  const tasks = createMacrotasks()
  const order: string[] = []
  const first = tasks.next().then(() => order.push('task 1'))
  const second = tasks.next().then(() => order.push('task 2'))
  tasks.close()
  for (let i = 0; i < 10; i++) await Promise.resolve()
  order.push('microtasks')
  await Promise.all([first, second])
  expect(order).toEqual(['microtasks', 'task 1', 'task 2'])
})

describe('the platform', () => {
  const all = ['worker', 'jspi', 'inline'] as const
  const able = { crossOriginIsolated: true, sharedArrayBuffer: true, jspi: true }

  test.each([
    ['everything is there', able, all, 'worker', /killed without harm to others\.$/],
    [
      'the page is not isolated',
      { ...able, crossOriginIsolated: false },
      all,
      'jspi',
      /Cross-Origin-Opener-Policy: same-origin/,
    ],
    ['there is no shared memory', { ...able, sharedArrayBuffer: false }, all, 'jspi', /needs SharedArrayBuffer/],
    ['the version has no guest Workers', able, ['jspi', 'inline'], 'jspi', /does not offer "worker" yet\.$/],
    [
      'JSPI is missing too',
      { ...able, jspi: false },
      ['jspi', 'inline'],
      'inline',
      /EAGAIN.*JavaScript Promise Integration/,
    ],
  ] as const)('where %s is the best that works, with the reason', (_, features, offered, platform, reason) => {
    const choice = choosePlatform(features, { offered })
    expect(choice.platform).toBe(platform)
    expect(choice.reason).toMatch(reason)
    expect(choice.available).toEqual(all.slice(all.indexOf(platform)))
  })

  test('is the one asked for, or an error that says what is missing', () => {
    expect(choosePlatform(able, { offered: all, wanted: 'inline' })).toMatchObject({
      platform: 'inline',
      available: all,
    })
    const choose = () => choosePlatform({ ...able, jspi: false }, { offered: all, wanted: 'jspi' })
    expect(choose).toThrow(/^platform "jspi" can't be used: .*JavaScript Promise Integration/)
    expect(() => choosePlatform(able, { offered: [] })).toThrow(/no platform can be used/)
    expect(() => choosePlatform(able, { offered: all, wanted: 'magic' as never })).toThrow(
      'there is no platform "magic"; there are worker, jspi, inline',
    )
  })

  test('is chosen by what the global object has', () => {
    const Suspending = class {}
    const scope = { crossOriginIsolated: true, SharedArrayBuffer, WebAssembly: { Suspending, promising: () => 0 } }
    expect(detectFeatures(scope)).toEqual(able)
    expect(detectFeatures({ WebAssembly: { Suspending } })).toEqual({
      crossOriginIsolated: false,
      sharedArrayBuffer: false,
      jspi: false,
    })
  })
})

describe('a URL', () => {
  async function serve(answer: RequestListener): Promise<string> {
    const server = createServer(answer)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`
  }

  /** Fetches and gives what came, and every report. */
  async function fetched(url: string, size?: number) {
    const reports: UrlProgress[] = []
    const content = await createFetchReader((progress) => reports.push(progress)).fetch(url, size)
    return { content, reports }
  }

  test('is kept as bytes where it is small, and as a Blob where it is large', async () => {
    const url = await serve((request, response) => response.end('x'.repeat(request.url === '/file' ? 10 : 300_000)))
    const small = await fetched(url)
    expect(small.content).toEqual(new TextEncoder().encode('x'.repeat(10)))
    const large = await fetched(`${url}?large`)
    expect(large.content).toBeInstanceOf(Blob)
    expect(large.content).toMatchObject({ size: 300_000 })
  })

  test('reports from the start to the end how much has come of how much', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'Content-Length': 10 })
      response.write('12345')
      response.end('67890')
    })
    const { reports } = await fetched(url)
    expect(reports[0]).toEqual({ url, loaded: 0, total: undefined, done: false })
    expect(reports.at(-1)).toEqual({ url, loaded: 10, total: 10, done: true })
    expect((await fetched(url, 10)).reports[0]).toMatchObject({ loaded: 0, total: 10 })
    expect((await fetched(url, 3)).reports.at(-1)).toMatchObject({ loaded: 10, total: undefined })
  })

  test('that the server refuses fails with its status, and reports the end', async () => {
    const url = await serve((_, response) => response.writeHead(404).end())
    const reports: UrlProgress[] = []
    const reader = createFetchReader((progress) => reports.push(progress))
    await expect(reader.fetch(url, undefined)).rejects.toThrow('HTTP 404 Not Found')
    expect(reports.at(-1)).toMatchObject({ done: true })
  })

  test('that nobody answers fails with what that can mean', async () => {
    const url = await serve((request) => request.socket.destroy())
    await expect(fetched(url)).rejects.toThrow(/no answer: .*CORS/)
  })

  test('whose connection breaks fails with how far it came', async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, { 'Content-Length': 10 })
      response.write('12345', () => request.socket.destroy())
    })
    await expect(fetched(url)).rejects.toThrow(/the connection broke after \d bytes/)
  })

  test('may carry its own data', async () => {
    expect((await fetched('data:text/plain,hello')).content).toEqual(new TextEncoder().encode('hello'))
  })
})
