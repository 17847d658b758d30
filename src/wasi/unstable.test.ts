/** Programs of 2019 that import from wasi_unstable, the draft before preview1: what is laid out otherwise there. */
import { afterEach, expect, test } from 'vitest'
import { E } from './errno.ts'
import { UNSTABLE } from './layout.ts'
import { strace } from './strace.ts'
import { OUT, TestGuest } from './test-guest.ts'

let g: TestGuest
afterEach(() => g.world.release())
const boot = () => {
  g = new TestGuest({ layout: UNSTABLE })
  return g
}
const CREATE = 1

test('fd_seek counts from here, from the end and from the start by 0, 1 and 2', () => {
  boot()
  const fd = g.open('file', { oflags: CREATE })
  g.write(fd, 'some bytes')
  const seek = (offset: bigint, whence: number) => [g.call('fd_seek', fd, offset, whence, OUT), g.u64()]
  expect(seek(-2n, 0)).toEqual([0, 8n])
  expect(seek(-1n, 1)).toEqual([0, 9n])
  expect(seek(3n, 2)).toEqual([0, 3n])
  expect(g.call('fd_seek', fd, 0n, 3, OUT)).toBe(E.EINVAL)
})

test('strace has the name of what such a program seeks from', () => {
  boot()
  const lines: string[] = []
  const table = strace(g.wasi.table, (line) => lines.push(line), { memory: () => g.bytes })
  const fd = g.open('file', { oflags: CREATE })
  ;(table.fd_seek!.call as unknown as (...args: unknown[]) => number)(fd, 5n, 2, OUT)
  expect(lines).toEqual([`fd_seek(${fd}, 5, SEEK_SET) = 5`])
})

test('a filestat has 56 bytes: four of the links, then size and times', () => {
  boot()
  const fd = g.open('file', { oflags: CREATE })
  g.write(fd, 'twelve bytes')
  g.call('path_link', 3, 0, 'file', 3, 'other')
  g.call('fd_filestat_set_times', fd, 11n, 22n, 1 | 4)
  for (const call of [() => g.call('fd_filestat_get', fd, 0), () => g.call('path_filestat_get', 3, 0, 'other', 0)]) {
    g.bytes.fill(0xee, 0, 64)
    expect(call()).toBe(0)
    expect([g.bytes[16], g.u32(20), g.u64(24), g.u64(32), g.u64(40)]).toEqual([4, 2, 12n, 11n, 22n])
    expect(g.u64(56)).toBe(0xeeeeeeeeeeeeeeeen)
  }
  const end = g.bytes.length
  expect([g.call('fd_filestat_get', fd, end - 56), g.call('fd_filestat_get', fd, end - 55)]).toEqual([0, E.EFAULT])
})

test('a subscription has 56 bytes, and a word of the program before a clock', () => {
  boot()
  const fd = g.open('file', { oflags: CREATE })
  const IN = 8192
  const EVENTS = 16_384
  g.bytes.fill(0, IN, IN + 112)
  g.view.setBigUint64(IN, 7n, true)
  // Until a time that has passed, of the monotonic clock.
  g.view.setBigUint64(IN + 16, 0xffff_ffff_ffffn, true)
  g.view.setUint32(IN + 24, 1, true)
  g.view.setBigUint64(IN + 32, 1n, true)
  g.view.setUint16(IN + 48, 1, true)
  g.view.setBigUint64(IN + 56, 8n, true)
  g.view.setUint8(IN + 64, 2)
  g.view.setUint32(IN + 72, fd, true)
  expect([g.call('poll_oneoff', IN, EVENTS, 2, OUT), g.u32()]).toEqual([0, 2])
  expect([g.u64(EVENTS), g.bytes[EVENTS + 10], g.u64(EVENTS + 32), g.bytes[EVENTS + 42]]).toEqual([7n, 0, 8n, 2])
  const end = g.bytes.length - 112
  expect(g.call('poll_oneoff', end, EVENTS, 2, OUT)).not.toBe(E.EFAULT)
  expect(g.call('poll_oneoff', end + 1, EVENTS, 2, OUT)).toBe(E.EFAULT)
})
