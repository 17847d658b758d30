import { describe, expect, test } from 'vitest'
import { WAIT } from './context.ts'
import { E } from './errno.ts'
import { i32 } from './leb128.ts'
import { isWide, row, type Table, type WasiFunction } from './table.ts'
import { moduleOf, TestGuest } from './test-guest.ts'
import { hasJspi, takingTurns, trampolineBytes, trampolined } from './trampoline.ts'
import { type WasmFunction, wasmApi } from './webassembly.ts'

test('integers are encoded as the binary format has them', () => {
  expect(i32(WAIT)).toEqual([0xff, 0xff, 0xff, 0xff, 0x07])
  expect([i32(0), i32(63), i32(64), i32(-1), i32(-65)]).toEqual([[0], [63], [0xc0, 0], [0x7f], [0xbf, 0x7f]])
})

describe('a trampoline', () => {
  test('for all of preview1 is a valid module', () => {
    const { wasi, world } = new TestGuest()
    const bytes = trampolineBytes(wasi.table)
    expect(wasmApi().validate(bytes)).toBe(true)
    const module = new (wasmApi().Module)(bytes)
    expect(wasmApi().Module.exports(module)).toHaveLength(41)
    expect(Object.keys(trampolined(wasi.table, () => {}))).toHaveLength(46)
    world.release()
  })

  test('leaves calls of sockets and foreign ones as they are, whose parameters nobody knows', () => {
    const { wasi, world } = new TestGuest({ foreign: ['sock_open'] })
    const imports = trampolined(wasi.table, () => {})
    expect(Object.keys(imports)).toHaveLength(47)
    expect(imports.sock_open!(1, 2, 3)).toBe(E.ENOSYS)
    expect(imports.sock_accept!(99, 2)).toBe(E.EBADF)
    const turns = takingTurns(wasi.table, () => 0n)
    expect((turns.table.sock_open!.call as unknown as WasmFunction)(1, 2, 3)).toBe(E.ENOSYS)
    world.release()
  })

  test('hands every argument on as it came, and the answer back', () => {
    const { wasi, world } = new TestGuest()
    const seen: unknown[] = []
    const recording = Object.fromEntries(
      Object.entries(wasi.table).map(([name, entry], i) => {
        const call = (...args: unknown[]) => {
          seen.push(name, ...args)
          return i
        }
        return [name, { ...entry, call } as unknown as WasiFunction]
      }),
    )
    const imports = trampolined(recording, () => {
      throw new Error('nothing waits')
    })
    for (const [i, [name, { params }]] of Object.entries(recording).entries()) {
      const args = params.map((p, k) => (isWide(p) ? -(2n ** 63n) + BigInt(k) : -k - 1))
      seen.length = 0
      expect(imports[name]!(...args)).toBe(i)
      expect(seen).toEqual([name, ...args])
    }
    world.release()
  })

  /** A guest that says `call(7)` and exits with what it got. */
  const asking = (module: string) =>
    moduleOf({
      imports: [
        [module, 'call', 'i'],
        [module, 'exit', 'i!'],
      ],
      start: [0x41, 7, 0x10, 0, 0x10, 1],
    })

  test('a call that answers WAIT is made again after each wait, until it answers', () => {
    const log: string[] = []
    let tries = 0
    const table: Table = {
      call: row(['a'], (a) => {
        log.push(`try ${a}`)
        return ++tries < 3 ? WAIT : 21
      }),
      exit: { ...row(['code'], (code) => log.push(`exit ${code}`)), result: false },
    }
    const imports = trampolined(table, () => log.push('wait'))
    const { exports } = new (wasmApi().Instance)(asking('kernel'), { kernel: imports })
    ;(exports._start as WasmFunction)()
    expect(log).toEqual(['try 7', 'wait', 'try 7', 'wait', 'try 7', 'exit 21'])
  })

  test('what a call or a wait throws ends the guest', () => {
    const end = new Error('the end')
    const stop = () => {
      throw end
    }
    const exit = { ...row(['code'], () => 0), result: false }
    for (const [call, wait] of [
      [stop, () => {}],
      [() => WAIT, stop],
    ] as const) {
      const imports = trampolined({ call: row(['a'], (_) => call()), exit }, wait)
      const { exports } = new (wasmApi().Instance)(asking('kernel'), { kernel: imports })
      expect(() => (exports._start as WasmFunction)()).toThrow(end)
    }
  })
})

describe('taking turns', () => {
  test('a guest that called for 8 ms without a macrotask is asked to wait once, before its call does anything', () => {
    let now = 0n
    let calls = 0
    const counted = row(['a'], (a) => {
      calls++
      return a
    })
    const { table, tookTurn } = takingTurns({ f: counted }, () => now)
    const f = table.f!.call as unknown as WasmFunction
    for (let i = 0; i < 100; i++) expect(f(1)).toBe(1)
    now = 9_000_000n
    let answers = 0
    while (f(2) !== WAIT) answers++
    expect(answers).toBeLessThan(32)
    expect(calls).toBe(100 + answers)
    tookTurn()
    for (let i = 0; i < 100; i++) expect(f(3)).toBe(3)
  })

  test('keeps the number of parameters of every function', () => {
    const { wasi, world } = new TestGuest()
    const { table } = takingTurns(wasi.table, () => 0n)
    expect(wasmApi().validate(trampolineBytes(table))).toBe(true)
    const imports = trampolined(table, () => {})
    expect(imports.path_open!(99, 0, 0, 0, 0, 0n, 0n, 0, 0)).toBe(8)
    expect(imports.path_link!(99, 0, 0, 0, 99, 0, 0)).toBe(8)
    expect(imports.sched_yield!()).toBe(0)
    world.release()
  })
})

test('a host without JSPI is known as such', () => {
  expect(hasJspi()).toBe('Suspending' in WebAssembly && 'promising' in WebAssembly)
})
