import { WASI } from '@bjorn3/browser_wasi_shim'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { type Errno, ErrnoError } from '../abi/errno.ts'
import type { Syscalls } from '../abi/syscalls.ts'
import { WaitQueue, WouldBlock } from '../vfs/waiting.ts'
import { GuestExit, WAIT } from './context.ts'
import { E } from './errno.ts'
import { isWide } from './table.ts'
import { OUT, TestGuest } from './test-guest.ts'
import { TestWorld } from './test-world.ts'

/** A Syscalls on which every call does the same; `settle` is counted. */
const always = (act: () => unknown, settled: () => void = () => {}): Syscalls =>
  new Proxy({} as Syscalls, { get: (_, name) => (name === 'settle' ? settled : act) })

const guests: TestGuest[] = []
function guest(options: ConstructorParameters<typeof TestGuest>[0] = {}): TestGuest {
  const made = new TestGuest(options)
  guests.push(made)
  return made
}
afterEach(() => {
  for (const { world } of guests.splice(0)) world.release()
})

test('the start of the shim runs a guest on it and gives its status', () => {
  const g = guest()
  const memory = new WebAssembly.Memory({ initial: 1 })
  const start = () => g.wasi.wasiImport.proc_exit!(g.wasi.wasiImport.args_sizes_get!(0, 4) === 0 ? 7 : 8)
  expect(g.wasi.start({ exports: { memory, _start: start } })).toBe(7)
})

test('preview1 has its 46 functions, and is a WASI of the shim', () => {
  const { wasi } = guest()
  expect(Object.keys(wasi.wasiImport)).toHaveLength(46)
  expect(wasi).toBeInstanceOf(WASI)
  const shim = new WASI([], [], [], { debug: false })
  expect(new Set(Object.keys(wasi.wasiImport))).toEqual(new Set(Object.keys(shim.wasiImport)))
  for (const [name, { params, call }] of Object.entries(wasi.table))
    expect([name, call.length]).toEqual([name, params.length])
})

describe('errors', () => {
  /** Spec section 0.2, and the names that have no number there. */
  const table =
    `E2BIG 1 EACCES 2 EAGAIN 6 EBADF 8 EBUSY 10 EEXIST 20 EFAULT 21 EFBIG 22 EINTR 27 EINVAL 28 EIO 29 EISDIR 31 ELOOP 32
    EMFILE 33 EMLINK 34 ENAMETOOLONG 37 ENFILE 41 ENODEV 43 ENOENT 44 ENOEXEC 45 ENOLCK 46 ENOMEM 48 ENOSPC 51 ENOSYS 52
    ENOTCONN 53 ENOTDIR 54 ENOTEMPTY 55 EOPNOTSUPP 58 ENOTTY 59 ENXIO 60 EOVERFLOW 61 EPERM 63 EPIPE 64 ERANGE 68 EROFS 69
    ESPIPE 70 ESRCH 71 ESTALE 72 ETIMEDOUT 73 ETXTBSY 74 EXDEV 75 ENOTCAPABLE 76 ECONNREFUSED 14 EDEADLK 16 EADDRINUSE 3
    ECONNABORTED 13 EILSEQ 25 ENOTSOCK 57 ENODATA 29 EREMOTE 29 EUCLEAN 29 EUSERS 29 EDQUOT 19`.split(/\s+/)

  test.each(Array.from({ length: table.length / 2 }, (_, i) => [table[i * 2]!, Number(table[i * 2 + 1])] as const))(
    '%s is %i for a guest',
    (code, number) => {
      const g = guest()
      const failing = guest({
        syscalls: always(() => {
          throw new ErrnoError(code as Errno)
        }),
        world: g.world,
      })
      guests.pop()
      expect(failing.call('path_unlink_file', 3, 'x')).toBe(number)
    },
  )

  test('a fault of ours is EIO for the guest, and is reported', () => {
    const faults: unknown[] = []
    const fault = new TypeError('a bug')
    const g = guest({
      syscalls: always(() => {
        throw fault
      }),
      onFault: (error) => faults.push(error),
    })
    expect(g.call('path_unlink_file', 3, 'x')).toBe(E.EIO)
    expect(faults).toEqual([fault])
  })
})

describe('addresses', () => {
  test('whatever numbers a guest passes, nothing is thrown and nothing outside what it may touch is touched', () => {
    const edge = 4 * 65_536
    const number = fc.oneof(
      fc.integer(),
      fc.integer({ min: -3, max: 12 }),
      fc.integer({ min: edge - 70, max: edge + 3 }),
      fc.constantFrom(-1, 0x7fff_ffff, -0x8000_0000, OUT),
    )
    const wide = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 100n }))
    const names = Object.keys(guest().wasi.table).filter((name) => name !== 'proc_exit' && name !== 'proc_raise')
    const { table } = guests[0]!.wasi
    const calls = fc.constantFrom(...names).chain((name) => {
      const params = table[name]!.params.map((p) => (isWide(p) ? wide : number))
      return fc.tuple(fc.constant(name), fc.tuple(...(params as fc.Arbitrary<number | bigint>[])))
    })
    fc.assert(
      fc.property(fc.array(calls, { minLength: 1, maxLength: 15 }), fc.uint8Array({ maxLength: 600 }), (list, seed) => {
        const world = new TestWorld()
        const g = new TestGuest({ world, sleep: (until) => world.clock.set(until) })
        g.world.stdin.ended = true
        g.bytes.set(seed)
        for (const [name, args] of list) {
          const answer = g.wasi.wasiImport[name]!(...args)
          expect(answer).toBeGreaterThanOrEqual(0)
          expect(answer).toBeLessThanOrEqual(76)
        }
        g.world.release()
      }),
      { numRuns: 400 },
    )
  })

  test('an output that does not fit is EFAULT before anything has changed', () => {
    const g = guest()
    const end = g.bytes.length
    expect(g.call('path_open', 3, 0, 'made', 1, 0n, 0n, 0, end - 3)).toBe(E.EFAULT)
    expect(g.call('path_filestat_get', 3, 0, 'made', OUT)).toBe(E.ENOENT)
    const fd = g.open('file', { oflags: 1 })
    g.write(fd, 'abc')
    g.view.setUint32(0, 100, true)
    g.view.setUint32(4, 3, true)
    for (const bad of [end, end - 3, -1]) {
      expect(g.call('fd_write', fd, 0, 1, bad)).toBe(E.EFAULT)
      expect(g.call('fd_pwrite', fd, 0, 1, 0n, bad)).toBe(E.EFAULT)
      expect(g.call('fd_seek', fd, 0n, 0, bad)).toBe(E.EFAULT)
    }
    expect(g.world.readFile('/file')).toBe('abc')
    expect(g.call('fd_tell', fd, OUT)).toBe(0)
    expect(g.u64()).toBe(3n)
    expect(g.call('fd_filestat_get', fd, end - 63)).toBe(E.EFAULT)
    expect(g.call('fd_filestat_get', fd, end - 64)).toBe(0)
  })

  test('an iovec that leaves the memory is EFAULT, and more than 1024 of them EINVAL', () => {
    const g = guest()
    const fd = g.open('file', { oflags: 1 })
    const end = g.bytes.length
    expect(g.transfer('fd_write', fd, end - 1, 2)).toBe(-E.EFAULT)
    expect(g.transfer('fd_write', fd, 0xffff_ffff, 0xffff_ffff)).toBe(-E.EFAULT)
    expect(g.transfer('fd_write', fd, end - 1, 1)).toBe(1)
    expect(g.call('fd_write', fd, end - 8, 2, OUT)).toBe(E.EFAULT)
    expect(g.call('fd_write', fd, 0, 1025, OUT)).toBe(E.EINVAL)
    expect(g.call('fd_write', fd, 0, 0, OUT)).toBe(0)
    expect(g.world.readFile('/file')).toHaveLength(1)
  })

  test('a descriptor that is not open is EBADF, whatever is wrong with the iovecs', () => {
    const g = guest()
    const end = g.bytes.length
    for (const func of ['fd_read', 'fd_write']) {
      expect(g.call(func, 99, end, 1, OUT)).toBe(E.EBADF)
      expect(g.call(func, 99, 0, 1025, OUT)).toBe(E.EBADF)
    }
    for (const func of ['fd_pread', 'fd_pwrite']) expect(g.call(func, 99, end, 1, -1n, OUT)).toBe(E.EBADF)
  })

  test('a memory that has grown is used to its new end', () => {
    const g = guest()
    const fd = g.open('file', { oflags: 1 })
    const old = g.memory.buffer
    g.memory = { buffer: structuredClone(old, { transfer: [old] }) }
    const larger = new ArrayBuffer(8 * 65_536)
    new Uint8Array(larger).set(new Uint8Array(g.memory.buffer))
    g.memory = { buffer: larger }
    g.attach()
    g.bytes.fill(65, 7 * 65_536)
    expect(g.transfer('fd_write', fd, 8 * 65_536 - 4, 4)).toBe(4)
    expect(g.world.readFile('/file')).toBe('AAAA')
  })

  test('a module without a memory gets EFAULT', () => {
    const g = guest()
    g.wasi.attach({ exports: {} })
    expect(g.wasi.wasiImport.args_sizes_get!(0, 4)).toBe(E.EFAULT)
  })
})

describe('the process', () => {
  test('arguments and environment are UTF-8 with a NUL behind each', () => {
    const g = guest({ args: ['prog', 'wörld', ''], env: ['A=ä'] })
    expect(g.call('args_sizes_get', OUT, OUT + 4)).toBe(0)
    expect([g.u32(), g.u32(OUT + 4)]).toEqual([3, 5 + 7 + 1])
    expect(g.call('args_get', OUT, 3000)).toBe(0)
    expect([g.u32(), g.u32(OUT + 4), g.u32(OUT + 8)]).toEqual([3000, 3005, 3012])
    expect(g.read(3000, 13)).toBe('prog\0wörld\0\0')
    expect(g.call('environ_sizes_get', OUT, OUT + 4)).toBe(0)
    expect([g.u32(), g.u32(OUT + 4)]).toEqual([1, 5])
    expect(g.call('environ_get', g.bytes.length - 3, 3000)).toBe(E.EFAULT)
    expect(g.call('args_get', OUT, g.bytes.length - 12)).toBe(E.EFAULT)
  })

  test('clocks go, and one that there is not is EINVAL', () => {
    const g = guest()
    g.world.clock.now += 42n
    expect(g.call('clock_time_get', 1, 0n, OUT)).toBe(0)
    expect(g.u64()).toBe(g.world.clock.now)
    expect(g.call('clock_time_get', 0, 0n, OUT)).toBe(0)
    expect(g.u64()).toBe(g.world.clock.realtime())
    expect(g.call('clock_time_get', 2, 0n, OUT)).toBe(0)
    expect(g.u64()).toBe(42n)
    expect(g.call('clock_time_get', 4, 0n, OUT)).toBe(E.EINVAL)
    expect(g.call('clock_res_get', 0, OUT)).toBe(0)
    expect(g.u64()).toBeGreaterThan(0n)
    expect(g.call('clock_res_get', -1, OUT)).toBe(E.EINVAL)
  })

  test('random bytes fill what was asked for and nothing else', () => {
    const g = guest()
    expect(g.call('random_get', 3000, 5)).toBe(0)
    expect([...g.bytes.slice(2999, 3006)]).toEqual([0, 1, 2, 3, 4, 5, 0])
    expect(g.call('random_get', 3000, 0)).toBe(0)
    expect(g.call('random_get', -1, 2)).toBe(E.EFAULT)
  })

  test('an exit ends the guest with the low byte of its status, and nothing gets past it', () => {
    const g = guest()
    expect(() => g.call('proc_exit', -1)).toThrow(expect.objectContaining({ code: 255 }))
    expect(() => g.call('sched_yield')).toThrow(GuestExit)
  })

  test.each([
    [6, 6],
    [9, 9],
    [15, 15],
    [30, 31],
  ])('raising WASI signal %i ends the guest with Linux signal %i', (wasi, linux) => {
    const g = guest()
    expect(() => g.call('proc_raise', wasi)).toThrow(expect.objectContaining({ code: 128 + linux, signal: linux }))
  })

  test('signals that are ignored by default are, and a stop is not to be had', () => {
    const g = guest()
    expect([0, 16, 27, 18, 31, -1].map((signal) => g.call('proc_raise', signal))).toEqual([
      0,
      0,
      0,
      E.EOPNOTSUPP,
      E.EINVAL,
      E.EINVAL,
    ])
  })

  test('a killed guest stops at its next call', () => {
    const kill: { signal: number | undefined } = { signal: undefined }
    const g = guest({ kill })
    expect(g.call('sched_yield')).toBe(0)
    kill.signal = 9
    expect(() => g.call('sched_yield')).toThrow(expect.objectContaining({ code: 137, signal: 9 }))
  })
})

describe('calls that must wait', () => {
  test('answer WAIT under a trampoline, and tell what they wait for', () => {
    const reason = new WouldBlock([new WaitQueue()])
    let tries = 0
    let settled = 0
    const act = () => {
      if (++tries < 3) throw reason
      return undefined
    }
    const g = guest({ waits: true, syscalls: always(act, () => settled++) })
    for (let i = 0; i < 2; i++) {
      expect(g.call('path_unlink_file', 3, 'x')).toBe(WAIT)
      expect(g.wasi.takeBlocked()).toBe(reason)
      expect([g.wasi.takeBlocked(), settled]).toEqual([undefined, 0])
    }
    expect(g.call('path_unlink_file', 3, 'x')).toBe(0)
    expect(g.call('path_unlink_file', 3, 'x')).toBe(0)
    expect(settled).toBe(1)
  })

  test('a wait is EAGAIN for a guest that cannot wait', () => {
    let settled = 0
    const g = guest({
      syscalls: always(
        () => {
          throw new WouldBlock([new WaitQueue()])
        },
        () => settled++,
      ),
    })
    expect(g.call('path_unlink_file', 3, 'x')).toBe(E.EAGAIN)
    expect(settled).toBe(1)
  })

  test('an empty stream is EAGAIN inline, and gives its bytes when they come', () => {
    const g = guest()
    expect(g.readText(0, 5)).toBe(-E.EAGAIN)
    g.world.stdin.put('hello!')
    expect(g.readText(0, 5)).toBe('hello')
    g.write(1, 'out')
    g.write(2, 'err')
    expect([g.world.stdout.text, g.world.stderr.text]).toEqual(['out', 'err'])
  })
})
