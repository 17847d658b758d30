import { expect, test } from 'vitest'
import { PagePool } from './page-pool.ts'
import { PAGE_SIZE, PagedData } from './pages.ts'
import { Attempt } from './waiting.ts'

const attempt = new Attempt()
const store = () => ({ pool: new PagePool(), take: () => true, give() {} })
const write = (data: PagedData, byte: number, length: number, offset = 0) =>
  data.write(new Uint8Array(length).fill(byte), 0, length, offset, attempt)
const content = (data: PagedData) => {
  const bytes = new Uint8Array(data.size)
  data.read(bytes, 0, bytes.length, 0, attempt)
  return [...bytes]
}

test('small files share pages, and each reads its own bytes however they grow and shrink', () => {
  const quota = store()
  const files = Array.from({ length: 200 }, () => new PagedData(quota))
  for (const [i, file] of files.entries()) write(file, i, 100)
  for (const [i, file] of files.entries()) if (i % 3 === 0) write(file, i, 700, 50)
  for (const [i, file] of files.entries()) if (i % 3 === 1) file.truncate(10)
  for (const [i, file] of files.entries()) {
    expect(content(file)).toEqual(Array(i % 3 === 0 ? 750 : i % 3 === 1 ? 10 : 100).fill(i))
  }
})

test('what a file held is not seen by the next one in its place', () => {
  const quota = store()
  const [kept, first, second] = [new PagedData(quota), new PagedData(quota), new PagedData(quota)]
  write(kept, 1, 16)
  write(first, 9, 512)
  first.clear()
  write(second, 2, 4, 500)
  expect(content(second)).toEqual([...Array(500).fill(0), 2, 2, 2, 2])
})

test('a piece that was given back serves again, and with the last one the pages return', () => {
  const pool = new PagePool()
  const [a, b] = [pool.takePiece(112)!, pool.takePiece(112)!]
  expect(b).toEqual({ bytes: a.bytes, start: 112 })
  pool.givePiece(a, 112)
  expect(pool.takePiece(112)).toBe(a)
  pool.givePiece(a, 112)
  pool.givePiece(b, 112)
  expect(pool.take()).toBe(a.bytes)
})

test('there are pieces of multiples of 16 bytes up to 1024, and whole pages', () => {
  const pool = new PagePool()
  expect([0, 8, 24, 1040].map((size) => pool.takePiece(size))).toEqual([undefined, undefined, undefined, undefined])
  expect(pool.takePiece(1024)?.bytes.length).toBe(PAGE_SIZE)
})
