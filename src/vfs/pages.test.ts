import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PageSource } from './inode.ts'
import { PagePool } from './page-pool.ts'
import { BLOCK_SIZE, PAGE_SIZE, PagedData } from './pages.ts'
import { Attempt, WaitQueue, WouldBlock } from './waiting.ts'

const attempt = new Attempt()

class Quota {
  readonly pool = new PagePool()
  left: number
  constructor(left: number) {
    this.left = left
  }
  take(blocks: number): boolean {
    if (blocks > this.left) return false
    this.left -= blocks
    return true
  }
  give(blocks: number): void {
    this.left += blocks
  }
}

const unlimited = () => new Quota(2 ** 40)

function content(data: PagedData, from = 0, length = data.size - from): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xee)
  const count = data.read(bytes, 0, length, from, attempt)
  return bytes.subarray(0, count)
}

const source = (bytes: Uint8Array): PageSource => ({
  size: bytes.length,
  read: (memory, at, length, offset) => memory.set(bytes.subarray(offset, offset + length), at),
})

test('B032 B033 B038 B040 B043 B045 data, holes, cuts and charges agree with an array of bytes and a set of blocks', () => {
  const offset = fc.oneof(fc.nat(3 * PAGE_SIZE), fc.nat(200), fc.constantFrom(BLOCK_SIZE, PAGE_SIZE, PAGE_SIZE - 1))
  const length = fc.oneof(fc.nat(100), fc.nat(2 * PAGE_SIZE))
  const step = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), offset, length, byte: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ kind: fc.constant('truncate' as const), offset }),
    fc.record({ kind: fc.constant('punch' as const), offset, length }),
    fc.record({ kind: fc.constant('allocate' as const), offset, length: fc.integer({ min: 1, max: PAGE_SIZE }) }),
  )
  const base = fc.option(fc.nat(2 * PAGE_SIZE), { nil: 0 })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), base, (steps, baseSize) => {
      const quota = unlimited()
      // Memory that was used before must not show.
      for (let i = 0; i < 4; i++) quota.pool.give(new Uint8Array(PAGE_SIZE).fill(0xdd))
      const before = quota.left
      const data = new PagedData(quota)
      let model = new Uint8Array(baseSize).map((_, i) => (i % 250) + 1)
      if (baseSize > 0) data.adopt(source(model.slice()))
      for (const each of steps) {
        if (each.kind === 'write') {
          const { offset, length, byte } = each
          expect(data.write(new Uint8Array(length).fill(byte), 0, length, offset, attempt)).toBe(length)
          if (length === 0) continue
          const grown = new Uint8Array(Math.max(model.length, offset + length))
          grown.set(model)
          model = grown.fill(byte, offset, offset + length)
        } else if (each.kind === 'truncate') {
          data.truncate(each.offset)
          const cut = new Uint8Array(each.offset)
          cut.set(model.subarray(0, each.offset))
          model = cut
        } else if (each.kind === 'punch') {
          data.punch(each.offset, each.offset + each.length, attempt)
          model.fill(0, each.offset, each.offset + each.length)
        } else data.allocate(each.offset, each.offset + each.length, attempt)
      }
      expect(data.size).toBe(model.length)
      expect(Buffer.compare(content(data), model)).toBe(0)
      expect(data.blocks).toBe(before - quota.left)
      data.clear()
      expect(quota.left).toBe(before)
    }),
    { numRuns: 300 },
  )
})

test('over a base that must be waited for, in little space, each change is made as a whole or up to where space ends', () => {
  const offset = fc.oneof(
    fc.nat(4 * PAGE_SIZE),
    fc.constantFrom(0, BLOCK_SIZE, PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE - 1),
  )
  const length = fc.oneof(fc.nat(100), fc.nat(3 * PAGE_SIZE), fc.constantFrom(PAGE_SIZE, 2 * PAGE_SIZE))
  const step = fc.record({ kind: fc.constantFrom('write', 'truncate', 'punch', 'allocate'), offset, length })
  const bytes = new Uint8Array(4 * PAGE_SIZE).map((_, i) => (i % 250) + 1)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.nat(bytes.length), fc.nat(60), (steps, baseSize, space) => {
      const quota = new Quota(space)
      const data = new PagedData(quota)
      const cold: PageSource = {
        size: baseSize,
        read(memory, at, length, offset, attempt) {
          const asked = attempt.note(cold, () => new Set<number>())
          const isNew = !asked.has(offset)
          asked.add(offset)
          if (isNew) throw new WouldBlock([new WaitQueue()])
          memory.set(bytes.subarray(offset, offset + length), at)
        },
      }
      if (baseSize > 0) data.adopt(cold)
      let model = bytes.slice(0, baseSize)
      const inOneCall = <T>(operation: (attempt: Attempt) => T): T => {
        const attempt = new Attempt()
        for (let waits = 0; ; waits++) {
          const before = [data.size, data.blocks, data.borrowed, quota.left]
          try {
            return operation(attempt)
          } catch (failure) {
            expect([data.size, data.blocks, data.borrowed, quota.left]).toEqual(before)
            if (!(failure instanceof WouldBlock) || waits > 20) throw failure
            // All that was missing was asked for at once.
            expect(waits).toBeLessThan(4)
          }
        }
      }
      const all = () => {
        const read = new Uint8Array(data.size).fill(0xee)
        // Each run of pages is read by itself here, so that it may take as many waits as there are.
        for (let at = 0; at < read.length; at += 5000) {
          inOneCall((attempt) => data.read(read, at, Math.min(5000, read.length - at), at, attempt))
        }
        return read
      }
      for (const [i, { kind, offset, length }] of steps.entries()) {
        const content = new Uint8Array(length).fill(i + 100)
        try {
          if (kind === 'write') {
            const count = inOneCall((attempt) => data.write(content, 0, length, offset, attempt))
            if (count < length) expect(quota.left).toBeLessThan(16)
            if (count > 0) {
              const grown = new Uint8Array(Math.max(model.length, offset + count))
              grown.set(model)
              model = grown.fill(i + 100, offset, offset + count)
            }
          } else if (kind === 'truncate') {
            data.truncate(offset)
            const cut = new Uint8Array(offset)
            cut.set(model.subarray(0, offset))
            model = cut
          } else if (kind === 'punch') {
            inOneCall((attempt) => data.punch(offset, offset + length, attempt))
            model.fill(0, offset, offset + length)
          } else {
            inOneCall((attempt) => data.allocate(offset, offset + Math.max(1, length), attempt))
          }
        } catch (failure) {
          expect((failure as { code?: string }).code).toBe('ENOSPC')
        }
        expect(data.blocks).toBe(space - quota.left)
        expect(data.borrowed).toBeGreaterThanOrEqual(0)
        expect(Buffer.compare(all(), model)).toBe(0)
      }
      if (steps.length === 0) expect(data.borrowed).toBe(Math.ceil(baseSize / BLOCK_SIZE))
      data.truncate(0)
      expect([data.borrowed, data.blocks]).toEqual([0, 0])
    }),
    { numRuns: 200 },
  )
})

test('what is overwritten or punched as a whole is not read from the base, and a punched part takes a page at each end', () => {
  const GIB = 1 << 30
  const read: number[] = []
  const base: PageSource = {
    size: GIB,
    read(memory, at, length, offset) {
      read.push(offset)
      memory.fill(7, at, at + length)
    },
  }
  const quota = new Quota(48)
  const data = new PagedData(quota)
  data.adopt(base)
  expect(data.write(new Uint8Array(PAGE_SIZE).fill(1), 0, PAGE_SIZE, 5 * PAGE_SIZE, attempt)).toBe(PAGE_SIZE)
  expect([read, data.blocks]).toEqual([[], 16])
  data.punch(10 * PAGE_SIZE + 1, 2000 * PAGE_SIZE + 1, attempt)
  expect([read, data.blocks]).toEqual([[10 * PAGE_SIZE, 2000 * PAGE_SIZE], 48 - 15])
  expect([...content(data, 10 * PAGE_SIZE, 2)]).toEqual([7, 0])
  expect([...content(data, 2000 * PAGE_SIZE, 2)]).toEqual([0, 7])
  data.punch(3000 * PAGE_SIZE + 5, GIB, attempt)
  expect(data.blocks).toBe(48 - 15)
  expect([...content(data, 3000 * PAGE_SIZE + 4, 2), data.size]).toEqual([7, 0, GIB])
  expect(read.length).toBe(3)
})

describe('B040 a write that meets the end of space', () => {
  test('is short, keeps what it wrote, and fails only when nothing fits', () => {
    const data = new PagedData(new Quota(2))
    expect(data.write(new Uint8Array(3 * BLOCK_SIZE).fill(7), 0, 3 * BLOCK_SIZE, 0, attempt)).toBe(2 * BLOCK_SIZE)
    expect(data.size).toBe(2 * BLOCK_SIZE)
    expect(() => data.write(new Uint8Array(1), 0, 1, 2 * BLOCK_SIZE, attempt)).toThrow(/ENOSPC/)
    expect(data.size).toBe(2 * BLOCK_SIZE)
    expect(data.write(new Uint8Array(8).fill(9), 0, 8, BLOCK_SIZE, attempt)).toBe(8)
  })

  test('leaves a page of the base as it was when there is no space to keep it', () => {
    const bytes = new Uint8Array(PAGE_SIZE).fill(3)
    const data = new PagedData(new Quota(4))
    data.adopt(source(bytes))
    expect(() => data.write(new Uint8Array(8), 0, 8, 10, attempt)).toThrow(/ENOSPC/)
    expect(Buffer.compare(content(data), bytes)).toBe(0)
  })
})

test('a write over a base that must be waited for changes nothing before it is there', () => {
  const bytes = new Uint8Array(3 * PAGE_SIZE).fill(5)
  let missing = 2
  const cold: PageSource = {
    size: bytes.length,
    read(memory, at, length, offset) {
      if (offset > 0 && missing-- > 0) throw new WouldBlock([new WaitQueue()])
      memory.set(bytes.subarray(offset, offset + length), at)
    },
  }
  const data = new PagedData(unlimited())
  data.adopt(cold)
  const write = () => data.write(new Uint8Array(2 * PAGE_SIZE).fill(6), 0, 2 * PAGE_SIZE, 100, attempt)
  for (let i = 0; i < 2; i++) {
    expect(write).toThrow(WouldBlock)
    expect(data.blocks).toBe(0)
    expect(content(data, 0, 200)).toEqual(new Uint8Array(200).fill(5))
  }
  expect(write()).toBe(2 * PAGE_SIZE)
  expect(content(data, 99, 2)).toEqual(Uint8Array.of(5, 6))
})

test('B036 data and holes of a file of 1 TiB are found without visiting it', () => {
  const data = new PagedData(unlimited())
  data.truncate(2 ** 40)
  expect(data.blocks).toBe(0)
  expect(data.nextData(0)).toBeUndefined()
  expect(data.nextHole(0)).toBe(0)
  data.write(Uint8Array.of(1), 0, 1, 2 ** 39, attempt)
  expect(data.nextData(0)).toBe(2 ** 39)
  expect(data.nextHole(2 ** 39)).toBe(2 ** 39 + BLOCK_SIZE)
  expect(data.nextData(2 ** 39 + BLOCK_SIZE)).toBeUndefined()
  expect(data.blocks).toBe(1)
})
