import { afterEach, describe, expect, test } from 'vitest'
import { WouldBlock } from '../vfs/waiting.ts'
import { WAIT } from './context.ts'
import { E } from './errno.ts'
import { OUT, TestGuest } from './test-guest.ts'

const MONOTONIC = 1
const REALTIME = 0
const PROCESS = 2
const ABSOLUTE = 1

interface Clock {
  readonly clock: number
  readonly timeout: bigint
  readonly flags?: number
}
interface Descriptor {
  readonly read?: number
  readonly write?: number
}
type Subscription = Clock | Descriptor

interface Event {
  readonly userdata: bigint
  readonly error: number
  readonly type: 'clock' | 'read' | 'write'
  readonly bytes?: bigint
  readonly hangup?: boolean
}

const IN = 8192
const EVENTS = 16_384

/** Writes subscriptions; the userdata of each is its place. */
function subscribe(g: TestGuest, subscriptions: readonly Subscription[]): void {
  g.bytes.fill(0, IN, IN + subscriptions.length * 48)
  for (const [i, sub] of subscriptions.entries()) {
    const at = IN + i * 48
    g.view.setBigUint64(at, BigInt(i), true)
    if ('clock' in sub) {
      g.view.setUint8(at + 8, 0)
      g.view.setUint32(at + 16, sub.clock, true)
      g.view.setBigUint64(at + 24, sub.timeout, true)
      g.view.setUint16(at + 40, sub.flags ?? 0, true)
    } else {
      g.view.setUint8(at + 8, sub.read === undefined ? 2 : 1)
      g.view.setUint32(at + 16, (sub.read ?? sub.write)!, true)
    }
  }
}

const pollOneoff = (g: TestGuest, subscriptions: readonly Subscription[]): number => {
  subscribe(g, subscriptions)
  return g.call('poll_oneoff', IN, EVENTS, subscriptions.length, OUT)
}

function events(g: TestGuest): Event[] {
  return Array.from({ length: g.u32() }, (_, i) => {
    const at = EVENTS + i * 32
    const type = (['clock', 'read', 'write'] as const)[g.bytes[at + 10]!]!
    const event = { userdata: g.u64(at), error: g.view.getUint16(at + 8, true), type }
    return type === 'clock' || event.error !== 0
      ? event
      : { ...event, bytes: g.u64(at + 16), hangup: (g.bytes[at + 24]! & 1) !== 0 }
  })
}

const guests: TestGuest[] = []
function guest(options: ConstructorParameters<typeof TestGuest>[0] = {}): TestGuest {
  const made: TestGuest = new TestGuest({
    sleep: (until) => {
      slept.push(until)
      made.world.clock.set(until)
    },
    ...options,
  })
  guests.push(made)
  return made
}
const slept: bigint[] = []
afterEach(() => {
  slept.length = 0
  for (const { world } of guests.splice(0)) world.release()
})

describe('poll_oneoff', () => {
  test.each([
    ['a relative time', (_: TestGuest) => ({ clock: MONOTONIC, timeout: 500n })],
    ['a relative time of the real clock', (_: TestGuest) => ({ clock: REALTIME, timeout: 500n })],
    [
      'a moment of the monotonic clock',
      (g: TestGuest) => ({ clock: MONOTONIC, timeout: g.world.clock.now + 500n, flags: ABSOLUTE }),
    ],
    [
      'a moment of the real clock',
      (g: TestGuest) => ({ clock: REALTIME, timeout: g.world.clock.realtime() + 500n, flags: ABSOLUTE }),
    ],
    ["a relative time of the process's clock", (_: TestGuest) => ({ clock: PROCESS, timeout: 500n })],
    ["a moment of the process's clock", (_: TestGuest) => ({ clock: PROCESS, timeout: 500n, flags: ABSOLUTE })],
  ])('sleeps until %s, in one sleep', (_, subscription) => {
    const g = guest()
    const until = g.world.clock.now + 500n
    expect(pollOneoff(g, [subscription(g)])).toBe(0)
    expect(slept).toEqual([until])
    expect(events(g)).toEqual([{ userdata: 0n, error: 0, type: 'clock' }])
  })

  test.each([0, ABSOLUTE])('a time beyond all deadlines is the last one that there is, with the flags %i', (flags) => {
    const g = guest()
    expect(pollOneoff(g, [{ clock: MONOTONIC, timeout: 2n ** 64n - 1n, flags }])).toBe(0)
    expect(slept).toEqual([2n ** 63n - 1n])
  })

  test('a time that has passed is told at once', () => {
    const g = guest()
    expect(
      pollOneoff(g, [
        { clock: REALTIME, timeout: 1n, flags: ABSOLUTE },
        { clock: MONOTONIC, timeout: 0n },
      ]),
    ).toBe(0)
    expect(slept).toEqual([])
    expect(events(g).map((e) => e.userdata)).toEqual([0n, 1n])
  })

  test('of several clocks the earliest ends the wait', () => {
    const g = guest()
    const subs = [900n, 300n, 300n, 301n].map((timeout) => ({ clock: MONOTONIC, timeout }))
    expect(pollOneoff(g, subs)).toBe(0)
    expect(events(g).map((e) => e.userdata)).toEqual([1n, 2n])
  })

  test('what is ready is told with its bytes, and clocks that are not due are not', () => {
    const g = guest()
    g.world.writeFile('/f', 'four')
    const fd = g.open('f')
    g.readText(fd, 1)
    g.world.stdin.put('x')
    expect(
      pollOneoff(g, [{ clock: MONOTONIC, timeout: 10n }, { read: fd }, { write: 1 }, { read: 0 }, { read: 3 }]),
    ).toBe(0)
    expect(slept).toEqual([])
    expect(events(g)).toEqual([
      { userdata: 1n, error: 0, type: 'read', bytes: 3n, hangup: false },
      { userdata: 2n, error: 0, type: 'write', bytes: 0n, hangup: false },
      { userdata: 3n, error: 0, type: 'read', bytes: 1n, hangup: false },
      { userdata: 4n, error: 0, type: 'read', bytes: 1n, hangup: false },
    ])
  })

  test('a descriptor that is not open, or lacks the right, is an event with its error, and ends the wait', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1, rights: 2n, inheriting: 0n })
    expect(
      pollOneoff(g, [{ read: 99 }, { read: 0 }, { clock: MONOTONIC, timeout: 50n }, { read: fd }, { read: -1 }]),
    ).toBe(0)
    expect(slept).toEqual([])
    expect(events(g)).toEqual([
      { userdata: 0n, error: E.EBADF, type: 'read' },
      { userdata: 3n, error: E.ENOTCAPABLE, type: 'read' },
      { userdata: 4n, error: E.EBADF, type: 'read' },
    ])
  })

  test('so is a descriptor that was closed', () => {
    const g = guest()
    const fd = g.open('f', { oflags: 1 })
    g.write(fd, 'x')
    expect(g.call('fd_close', fd)).toBe(0)
    expect(pollOneoff(g, [{ read: fd }, { write: 1 }])).toBe(0)
    expect(events(g)).toEqual([
      { userdata: 0n, error: E.EBADF, type: 'read' },
      { userdata: 1n, error: 0, type: 'write', bytes: 0n, hangup: false },
    ])
  })

  test('a clock that there is not is an event with its error', () => {
    const g = guest()
    expect(pollOneoff(g, [{ clock: 4, timeout: 50n }])).toBe(0)
    expect(events(g)).toEqual([{ userdata: 0n, error: E.EINVAL, type: 'clock' }])
  })

  test('nothing to wait for is EINVAL, an unknown kind is EINVAL, and what does not fit is EFAULT', () => {
    const g = guest()
    expect(pollOneoff(g, [])).toBe(E.EINVAL)
    subscribe(g, [{ read: 0 }])
    g.bytes[IN + 8] = 3
    expect(g.call('poll_oneoff', IN, EVENTS, 1, OUT)).toBe(E.EINVAL)
    subscribe(g, [{ write: 1 }])
    const end = g.bytes.length
    expect(g.call('poll_oneoff', end - 47, EVENTS, 1, OUT)).toBe(E.EFAULT)
    expect(g.call('poll_oneoff', IN, end - 31, 1, OUT)).toBe(E.EFAULT)
    expect(g.call('poll_oneoff', IN, EVENTS, 1, end - 3)).toBe(E.EFAULT)
    expect(g.call('poll_oneoff', IN, EVENTS, -1, OUT)).toBe(E.EINVAL)
  })

  test('a stream and a deadline, inline: the deadline passes, for nobody can write meanwhile', () => {
    const g = guest()
    const until = g.world.clock.now + 70n
    expect(pollOneoff(g, [{ read: 0 }, { clock: MONOTONIC, timeout: 70n }])).toBe(0)
    expect(slept).toEqual([until])
    expect(events(g)).toEqual([{ userdata: 1n, error: 0, type: 'clock' }])
    expect(pollOneoff(g, [{ read: 0 }])).toBe(E.EAGAIN)
  })

  test('under a trampoline it waits for its streams, and a try that comes later keeps the deadline of the first', () => {
    const g = guest({ waits: true })
    const until = g.world.clock.now + 100n
    const subs = [{ read: 0 }, { clock: MONOTONIC, timeout: 100n }]
    for (let i = 0; i < 3; i++) {
      expect(pollOneoff(g, subs)).toBe(WAIT)
      const blocked = g.wasi.takeBlocked() as WouldBlock
      expect(blocked).toBeInstanceOf(WouldBlock)
      expect([blocked.queues, blocked.deadline]).toEqual([[g.world.stdin.queue], until])
      g.world.clock.now += 30n
    }
    g.world.stdin.put('x')
    expect(pollOneoff(g, subs)).toBe(0)
    expect(events(g).map((e) => e.userdata)).toEqual([0n])
    g.readText(0, 1)
    expect(pollOneoff(g, subs)).toBe(WAIT)
    expect((g.wasi.takeBlocked() as WouldBlock).deadline).toBe(g.world.clock.now + 100n)
  })
})
