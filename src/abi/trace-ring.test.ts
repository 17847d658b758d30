import { expect, test } from 'vitest'
import { createTraceRing, TraceRing } from './trace-ring.ts'

test('lines come out as they went in, in order, however often the ring goes round', () => {
  const buffer = createTraceRing()
  const [guest, kernel] = [new TraceRing(buffer), new TraceRing(buffer)]
  expect(kernel.take()).toEqual([])
  let n = 0
  for (let round = 0; round < 200; round++) {
    const lines = Array.from({ length: round % 7 }, () => `${n++} ${'ü'.repeat(n % 900)}`)
    for (const line of lines) guest.put(line)
    expect(kernel.take()).toEqual(lines)
  }
})

test('a line that is longer than the ring is cut', () => {
  const ring = new TraceRing(createTraceRing())
  ring.put('x'.repeat(1_000_000))
  const [line] = ring.take()
  expect(line!.length).toBeLessThan(70_000)
})
