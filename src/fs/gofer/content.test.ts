import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BlobLike, TreeEntry, UrlContent } from '../../abi/tree.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import type { DirectoryInode, FileInode } from '../../vfs/inode.ts'
import { Attempt, WouldBlock } from '../../vfs/waiting.ts'
import { BLOCK } from './blob-source.ts'
import { ContentReaders } from './content.ts'
import { createGofer } from './gofer.ts'
import type { BlobReader, UrlReader, UrlResult } from './readers.ts'

const clock = { realtime: () => 5n, monotonic: () => 0n, coarse: () => 5n }
const KiB = 1024
const MiB = 1024 * KiB

/** A Blob whose bytes are computed, and a reader that notes which ranges it was asked for. */
class FakeBlobs implements BlobReader {
  readonly calls: [start: number, length: number][] = []
  failure: Error | undefined
  shortBy = 0

  blob(size: number): BlobLike {
    const blob: BlobLike = { size, type: '', slice: () => blob }
    return blob
  }

  read(blob: BlobLike, start: number, length: number): Uint8Array {
    if (this.failure) throw this.failure
    expect(start + length).toBeLessThanOrEqual(blob.size)
    this.calls.push([start, length])
    const bytes = new Uint8Array(length - this.shortBy)
    for (let i = 0; i < bytes.length; i++) bytes[i] = byteAt(start + i)
    return bytes
  }
}

const byteAt = (position: number) => (position * 31 + (position >> 8) * 7) & 0xff

/** A server whose answers come when the test says so. */
class FakeServer implements UrlReader {
  readonly calls: string[] = []
  #answers: { give: (result: UrlResult) => void; fail: (failure: unknown) => void }[] = []

  fetch(url: string): Promise<UrlResult> {
    this.calls.push(url)
    return new Promise((give, fail) => this.#answers.push({ give, fail }))
  }

  async answer(result: UrlResult | Error): Promise<void> {
    const { give, fail } = this.#answers.shift()!
    if (result instanceof Error) fail(result)
    else give(result)
    await new Promise((resolve) => setTimeout(resolve))
  }
}

/** A server that answers at once, as it is where nobody can wait. */
class InlineServer implements UrlReader {
  readonly calls: string[] = []
  result: UrlResult | Error = new Uint8Array(0)

  fetch(url: string): UrlResult {
    this.calls.push(url)
    if (this.result instanceof Error) throw this.result
    return this.result
  }
}

function setUp({ urls = new InlineServer() as UrlReader, cacheBytes = 32 * MiB } = {}) {
  const blobs = new FakeBlobs()
  const readers = new ContentReaders(blobs, urls, cacheBytes)
  const files = (entries: readonly TreeEntry[]) =>
    createGofer({ entries }, { dev: 1, clock, readers }).root as DirectoryInode
  const file = (content: BlobLike | UrlContent) =>
    files([{ path: 'dir/f', kind: 'file', content }]).lookup('dir', new Attempt()) as DirectoryInode
  const blobFile = (size: number) => file(blobs.blob(size)).lookup('f', new Attempt()) as FileInode
  return { blobs, readers, file, files, blobFile }
}

/** Reads and checks the bytes; gives how many there were. */
function check(inode: FileInode, offset: number, length: number): number {
  const memory = new Uint8Array(length + 2).fill(0x55)
  const count = inode.read(memory, 1, length, offset, new Attempt())
  for (let i = 0; i < count; i++)
    if (memory[i + 1] !== byteAt(offset + i)) throw new Error(`wrong byte at ${offset + i}`)
  expect([memory[0], memory[count + 1]]).toEqual([0x55, 0x55])
  return count
}

const text = (inode: FileInode, attempt = new Attempt()) => {
  const memory = new Uint8Array(100)
  return decodeUtf8(memory, 0, inode.read(memory, 0, 100, 0, attempt))
}

/** What a call threw. */
function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('a Blob', () => {
  test('is not read before a read asks for bytes of it', () => {
    const { blobs, blobFile } = setUp()
    const inode = blobFile(1000)
    inode.opened?.()
    expect(inode).toMatchObject({ size: 1000, blocks: 2 })
    expect(inode.immutableSource?.(new Attempt())?.size).toBe(1000)
    expect(check(inode, 1000, 10)).toBe(0)
    expect(blobs.calls).toEqual([])
  })

  test('that is read from start to end in small pieces is read ahead, up to 1 MiB a call', () => {
    const { blobs, blobFile } = setUp()
    const size = 4 * MiB + 5
    const inode = blobFile(size)
    for (let offset = 0; offset < size; offset += 4 * KiB) {
      expect(check(inode, offset, 4 * KiB)).toBe(Math.min(4 * KiB, size - offset))
    }
    expect(blobs.calls).toEqual([
      [0, 256 * KiB],
      [256 * KiB, 512 * KiB],
      [768 * KiB, MiB],
      [1792 * KiB, MiB],
      [2816 * KiB, MiB],
      [3840 * KiB, 256 * KiB + 5],
    ])
  })

  test('that is read here and there is not read ahead', () => {
    const { blobs, blobFile } = setUp()
    const inode = blobFile(100 * MiB)
    for (const offset of [50 * MiB, 3 * MiB, 70 * MiB]) check(inode, offset + 100, 10)
    expect(blobs.calls.map(([, length]) => length)).toEqual([256 * KiB, 256 * KiB, 256 * KiB])
  })

  test('gives a large read in one call, and reads nothing twice', () => {
    const { blobs, blobFile } = setUp()
    const inode = blobFile(8 * MiB)
    check(inode, MiB, MiB)
    check(inode, MiB + 100, MiB - 100)
    check(inode, MiB - 100, 200)
    check(inode, 0, 3 * MiB)
    expect(blobs.calls).toEqual([
      [MiB, MiB],
      [MiB - BLOCK, BLOCK],
      [0, MiB - BLOCK],
      [2 * MiB, MiB],
    ])
  })

  test('a small file costs its own bytes only', () => {
    const { blobs, blobFile } = setUp()
    check(blobFile(10), 3, 100)
    expect(blobs.calls).toEqual([[0, 10]])
  })

  test('windows give way to newer ones at the limit, those used longest ago first', () => {
    const { blobs, blobFile } = setUp({ cacheBytes: 3 * BLOCK })
    const [a, b, c, d] = [blobFile(BLOCK), blobFile(BLOCK), blobFile(BLOCK), blobFile(2 * BLOCK)]
    for (const inode of [a, b, c]) check(inode!, 0, 1)
    expect(blobs.calls).toHaveLength(3)
    check(d!, BLOCK, 1)
    check(b!, 0, 1)
    check(c!, 0, 1)
    expect(blobs.calls).toHaveLength(4)
    check(a!, 0, 1)
    expect(blobs.calls).toHaveLength(5)
  })

  test('a window that is larger than the limit serves its read all the same', () => {
    const { blobs, blobFile } = setUp({ cacheBytes: 10 })
    const inode = blobFile(3 * MiB)
    expect(check(inode, 5, 2 * MiB)).toBe(2 * MiB)
    expect(check(inode, 5, 2 * MiB)).toBe(2 * MiB)
    expect(blobs.calls).toHaveLength(1)
  })

  test('any reads give the right bytes whatever the limit', () => {
    const size = 5 * BLOCK + 77
    const reads = fc.array(fc.tuple(fc.nat(size + 10), fc.nat(2 * BLOCK)), { maxLength: 12 })
    fc.assert(
      fc.property(reads, fc.constantFrom(0, BLOCK, 3 * BLOCK, 100 * BLOCK), (ranges, cacheBytes) => {
        const { blobFile } = setUp({ cacheBytes })
        const inode = blobFile(size)
        for (const [offset, length] of ranges) {
          expect(check(inode, offset, length)).toBe(Math.max(0, Math.min(length, size - offset)))
        }
      }),
      { numRuns: 30 },
    )
  })

  test('whose file changed on disk gives EIO with its name and the reason, and nothing of it is kept', () => {
    const { blobs, blobFile } = setUp()
    const inode = blobFile(100)
    blobs.failure = new Error('it was changed on disk')
    const error = thrown(() => check(inode, 0, 10))
    expect(error).toMatchObject({ code: 'EIO', detail: 'dir/f: it was changed on disk' })
    blobs.failure = undefined
    blobs.shortBy = 1
    expect(thrown(() => check(inode, 0, 10))).toMatchObject({
      code: 'EIO',
      detail: 'dir/f: it was cut short or removed since the page handed it in',
    })
    blobs.shortBy = 0
    expect(check(inode, 0, 10)).toBe(10)
  })
})

describe('a URL', () => {
  const url = 'https://example.org/libc.a'
  const hello = encodeUtf8('hello')

  test('is fetched once, when it is first read, and a call waits for it', async () => {
    const server = new FakeServer()
    const { file } = setUp({ urls: server })
    const inode = file({ url, size: 5 }).lookup('f', new Attempt()) as FileInode
    inode.opened?.()
    expect(inode.size).toBe(5)
    expect(inode.immutableSource?.(new Attempt())?.size).toBe(5)
    expect(server.calls).toEqual([])

    const [first, second] = [new Attempt(), new Attempt()]
    const blocked = thrown(() => text(inode, first))
    expect(thrown(() => text(inode, second))).toBeInstanceOf(WouldBlock)
    const woken: string[] = []
    const { queues } = blocked as WouldBlock
    queues[0]!.add({ wake: () => woken.push(text(inode, first)!) })
    queues[0]!.add({ wake: () => woken.push(text(inode, second)!) })
    await server.answer(hello)
    expect(woken).toEqual(['hello', 'hello'])
    expect(text(inode)).toBe('hello')
    expect(queues[0]!.size).toBe(0)
    expect(server.calls).toEqual([url])
  })

  test('is fetched within the call where nobody can wait', () => {
    const server = new InlineServer()
    server.result = hello
    const { file } = setUp({ urls: server })
    const inode = file({ url, size: 5 }).lookup('f', new Attempt()) as FileInode
    expect([text(inode), text(inode)]).toEqual(['hello', 'hello'])
    expect(server.calls).toEqual([url])
  })

  test('without a size is fetched when it is looked up, not when it is listed', async () => {
    const server = new FakeServer()
    const { file } = setUp({ urls: server })
    const directory = file({ url })
    const attempt = new Attempt()
    expect([...directory.entries(0, attempt)]).toMatchObject([{ name: 'f', kind: 'file' }])
    expect(server.calls).toEqual([])
    expect(thrown(() => directory.lookup('f', attempt))).toBeInstanceOf(WouldBlock)
    await server.answer(hello)
    const inode = directory.lookup('f', attempt) as FileInode
    expect(inode).toMatchObject({ size: 5, blocks: 1 })
    expect(text(inode)).toBe('hello')
    expect(directory.lookup('f', new Attempt())).toBe(inode)
    expect(server.calls).toEqual([url])
  })

  test('may be the root, whose mount waits until its size is known', async () => {
    const server = new FakeServer()
    const { readers } = setUp({ urls: server })
    const tree = { entries: [{ path: '', kind: 'file', content: { url } }] } as const
    const mount = (attempt: Attempt) => createGofer(tree, { dev: 1, clock, readers }, attempt)
    const attempt = new Attempt()
    expect(thrown(() => mount(attempt))).toBeInstanceOf(WouldBlock)
    await server.answer(hello)
    expect(mount(attempt).root).toMatchObject({ kind: 'file', size: 5 })
    expect(server.calls).toEqual([url])
  })

  test('whose content comes as a Blob is read through windows', () => {
    const server = new InlineServer()
    const { blobs, file } = setUp({ urls: server })
    server.result = blobs.blob(2 * MiB)
    const inode = file({ url, size: 2 * MiB }).lookup('f', new Attempt()) as FileInode
    expect(check(inode, 10, 20)).toBe(20)
    expect(blobs.calls).toEqual([[0, BLOCK]])
  })

  test('that fails is EIO with the URL and the reason for all who wait, and is tried again at the next open', async () => {
    const server = new FakeServer()
    const { file } = setUp({ urls: server })
    const inode = file({ url, size: 5 }).lookup('f', new Attempt()) as FileInode
    const [first, second] = [new Attempt(), new Attempt()]
    for (const attempt of [first, second]) expect(thrown(() => text(inode, attempt))).toBeInstanceOf(WouldBlock)
    await server.answer(new Error('HTTP 404 Not Found'))
    for (const attempt of [first, second, new Attempt()]) {
      expect(thrown(() => text(inode, attempt))).toMatchObject({ code: 'EIO', detail: `${url}: HTTP 404 Not Found` })
    }
    expect(server.calls).toHaveLength(1)

    inode.opened?.()
    const again = new Attempt()
    expect(thrown(() => text(inode, again))).toBeInstanceOf(WouldBlock)
    await server.answer(hello)
    expect(text(inode, again)).toBe('hello')
    expect(server.calls).toEqual([url, url])
  })

  test('that fails at a lookup fails that lookup, and the next one tries again', async () => {
    const server = new FakeServer()
    const { file } = setUp({ urls: server })
    const directory = file({ url })
    for (const failure of ['HTTP 500', 'no route']) {
      const attempt = new Attempt()
      expect(thrown(() => directory.lookup('f', attempt))).toBeInstanceOf(WouldBlock)
      await server.answer(new Error(failure))
      expect(thrown(() => directory.lookup('f', attempt))).toMatchObject({ code: 'EIO', detail: `${url}: ${failure}` })
    }
    expect(server.calls).toHaveLength(2)
  })

  test('that fails where nobody can wait is EIO at once, and once per open', () => {
    const server = new InlineServer()
    server.result = new Error('HTTP 503')
    const { file } = setUp({ urls: server })
    const inode = file({ url, size: 5 }).lookup('f', new Attempt()) as FileInode
    for (let i = 0; i < 3; i++)
      expect(thrown(() => text(inode))).toMatchObject({ code: 'EIO', detail: `${url}: HTTP 503` })
    expect(server.calls).toHaveLength(1)
    inode.opened?.()
    server.result = hello
    expect(text(inode)).toBe('hello')
  })

  test('that fails is tried again by each call of an overlay, which reads its source', () => {
    const server = new InlineServer()
    server.result = new Error('HTTP 503')
    const { file } = setUp({ urls: server })
    const inode = file({ url, size: 5 }).lookup('f', new Attempt()) as FileInode
    const source = inode.immutableSource?.(new Attempt())
    const memory = new Uint8Array(5)
    expect(thrown(() => source?.read(memory, 0, 5, 0, new Attempt()))).toMatchObject({ code: 'EIO' })
    server.result = hello
    source?.read(memory, 0, 5, 0, new Attempt())
    expect(decodeUtf8(memory)).toBe('hello')
    expect(server.calls).toHaveLength(2)
  })

  test('that sends another size than the tree says is EIO', () => {
    const server = new InlineServer()
    server.result = hello
    const { file } = setUp({ urls: server })
    const inode = file({ url, size: 6 }).lookup('f', new Attempt()) as FileInode
    expect(thrown(() => text(inode))).toMatchObject({
      code: 'EIO',
      detail: `${url}: the server sent 5 bytes where the tree says 6`,
    })
  })
})
