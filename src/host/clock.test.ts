import { expect, test } from 'vitest'
import { createClock, type TimeSource } from './clock.ts'

/** A machine whose time the test moves. */
class FakeTime implements TimeSource {
  origin = 1_700_000_000_000.25
  elapsed = 0
  /** How far Date is from origin + elapsed. */
  difference = 0

  now(): number {
    return this.elapsed
  }

  date(): number {
    return Math.floor(this.origin + this.elapsed + this.difference)
  }
}

test('realtime and monotonic count nanoseconds, with what the machine tells of a millisecond', () => {
  const time = new FakeTime()
  const clock = createClock(time)
  time.elapsed = 12.5
  expect(clock.realtime()).toBe(1_700_000_000_012_750_000n)
  const before = clock.monotonic()
  time.elapsed += 0.125
  expect(clock.monotonic() - before).toBe(125_000n)
})

test('the time that files are stamped with is one bigint until a millisecond has passed, and never ahead of realtime', () => {
  const time = new FakeTime()
  const clock = createClock(time)
  const first = clock.coarse()
  time.elapsed = 0.5
  expect(clock.coarse()).toBe(first)
  expect(first).toBe(1_700_000_000_000_000_000n)
  time.elapsed = 1.5
  expect(clock.coarse()).toBe(first + 1_000_000n)
  for (let i = 0; i < 1000; i++) {
    time.elapsed += 0.0049
    const stamp = clock.coarse()
    expect(clock.realtime() - stamp).toBeGreaterThanOrEqual(0n)
    expect(clock.realtime() - stamp).toBeLessThan(1_001_000n)
  }
})

test('realtime follows Date over the sleep of a machine, monotonic time does not', () => {
  const time = new FakeTime()
  const clock = createClock(time)
  const [real, monotonic] = [clock.realtime(), clock.monotonic()]
  time.elapsed = 1
  time.difference = 3_600_000
  const hours = clock.realtime() - real
  expect(hours).toBeGreaterThanOrEqual(3_600_000_000_000n)
  expect(hours).toBeLessThan(3_600_002_000_000n)
  expect(clock.coarse() - real).toBeGreaterThan(3_599_999_000_000n)
  expect(clock.monotonic() - monotonic).toBe(1_000_000n)
})

test('nothing runs backwards when the system clock is set back, and time goes on', () => {
  const time = new FakeTime()
  const clock = createClock(time)
  time.difference = 10_000
  let [real, coarse] = [clock.realtime(), clock.coarse()]
  for (const difference of [10_000, -5_000, 0, 10_000, -3_600_000]) {
    time.difference = difference
    time.elapsed += 2
    expect(clock.realtime()).toBeGreaterThan(real)
    expect(clock.coarse()).toBeGreaterThan(coarse)
    ;[real, coarse] = [clock.realtime(), clock.coarse()]
  }
})

test('the machine is near its own Date', () => {
  const clock = createClock()
  expect(Math.abs(Number(clock.realtime() / 1_000_000n) - Date.now())).toBeLessThan(5_000)
})
