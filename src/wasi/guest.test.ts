import { afterEach, describe, expect, test } from 'vitest'
import { E } from './errno.ts'
import { type GuestEnd, type GuestOptions, runGuest } from './guest.ts'
import { compileError, GuestError } from './program.ts'
import { moduleOf } from './test-guest.ts'
import { countingEntropy, TestWorld } from './test-world.ts'
import type { WasmModule } from './webassembly.ts'

const P1 = 'wasi_snapshot_preview1'
const op = {
  unreachable: 0x00,
  loop: 0x03,
  br: 0x0c,
  end: 0x0b,
  call: 0x10,
  drop: 0x1a,
  i32: 0x41,
  try: 0x06,
  catchAll: 0x19,
}

const worlds: TestWorld[] = []
afterEach(() => {
  for (const world of worlds.splice(0)) world.release()
})

function run(module: WasmModule, options: Partial<GuestOptions> = {}): Promise<GuestEnd> & { world: TestWorld } {
  const world = new TestWorld()
  worlds.push(world)
  const end = runGuest({
    module,
    platform: 'inline',
    syscalls: world.guest,
    args: ['test'],
    env: [],
    preopens: world.preopens,
    clock: world.clock,
    entropy: countingEntropy,
    ...options,
  })
  return Object.assign(end, { world })
}

/** `fd_write(1, …)` of a text that lies behind its iovec. */
const hello = moduleOf({
  imports: [[P1, 'fd_write', 'iiii']],
  data: '\x08\0\0\0\x06\0\0\0hello\n',
  start: [op.i32, 1, op.i32, 0, op.i32, 1, op.i32, 32, op.call, 0, op.drop],
})
const exits = (code: number) => moduleOf({ imports: [[P1, 'proc_exit', 'i!']], start: [op.i32, code, op.call, 0] })

describe('a guest', () => {
  test('that returns from _start has exited with 0', async () => {
    const running = run(hello)
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(running.world.stdout.text).toBe('hello\n')
  })

  test('exits with the status it says', async () => {
    expect(await run(exits(3))).toMatchObject({ exitCode: 3 })
  })

  test('that traps ends with the message of the trap and the wasm stack', async () => {
    const end = await run(moduleOf({ start: [op.unreachable] }))
    expect(end).toMatchObject({ trap: 'unreachable' })
    expect((end as { stack: string }).stack).toContain('wasm')
  })

  test('that recurses without end ends with a trap that says so', async () => {
    const end = await run(moduleOf({ start: [op.call, 0] }))
    expect(end).toMatchObject({ trap: expect.stringContaining('call stack exhausted') })
  })

  test('raises a signal and ends with it', async () => {
    const module = moduleOf({ imports: [[P1, 'proc_raise', 'i']], start: [op.i32, 6, op.call, 0, op.drop] })
    expect(await run(module)).toMatchObject({ exitCode: 134, signal: 6 })
  })

  test('that loops over calls is ended by a kill at the next one', async () => {
    let reads = 0
    const kill = {
      get signal() {
        return ++reads > 1000 ? 9 : undefined
      },
    }
    const spin = [op.loop, 0x40, op.call, 0, op.drop, op.br, 0, op.end]
    expect(await run(moduleOf({ imports: [[P1, 'sched_yield', '']], start: spin }), { kill })).toMatchObject({
      exitCode: 137,
      signal: 9,
    })
  })

  const imported = { module: 'env', name: 'memory' }
  const memory = { initial: 1, maximum: undefined, shared: false, wide: false, imported }

  test('may import its memory, which its calls then work on, within its limit', async () => {
    const parts = {
      imports: [[P1, 'fd_write', 'iiii']] as const,
      data: '\x08\0\0\0\x06\0\0\0hello\n',
      start: [op.i32, 1, op.i32, 0, op.i32, 1, op.i32, 32, op.call, 0, op.drop],
      exports: ['_start'],
      importedMemory: true,
    }
    const running = run(moduleOf(parts), { memories: [memory], memoryPages: 3 })
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(running.world.stdout.text).toBe('hello\n')
  })

  test.each([
    ['shared memory', { ...memory, shared: true }, undefined, /wants shared memory.*-pthread/],
    ['64-bit memory', { ...memory, wide: true }, undefined, /64-bit memory.*wasm32/],
    ['more memory than it may have', { ...memory, initial: 5 }, 4, /starts with 5 pages \(320 KiB\).*may have 4/],
  ])('that wants %s is refused with the reason', async (_, type, memoryPages, message) => {
    const module = moduleOf({ importedMemory: true, exports: ['_start'] })
    const limit = memoryPages === undefined ? {} : { memoryPages }
    const failure = await run(module, { memories: [type], ...limit }).catch((error) => error)
    expect(failure).toBeInstanceOf(GuestError)
    expect(failure.message).toMatch(message)
  })

  test('that runs out of memory ends with a trap that says so', async () => {
    const huge = { ...memory, initial: 2 ** 40 }
    const module = moduleOf({ importedMemory: true, exports: ['_start'] })
    const out = new RangeError('WebAssembly.Memory(): could not allocate memory')
    const { Memory } = WebAssembly
    WebAssembly.Memory = class {
      constructor() {
        throw out
      }
    } as unknown as typeof Memory
    try {
      expect(await run(module, { memories: [huge] })).toMatchObject({
        trap: expect.stringMatching(/^out of memory \(/),
      })
    } finally {
      WebAssembly.Memory = Memory
    }
  })

  test('that catches everything has exited all the same', async () => {
    const module = moduleOf({
      imports: [[P1, 'proc_exit', 'i!']],
      start: [op.try, 0x40, op.i32, 5, op.call, 0, op.catchAll, op.end, op.unreachable],
    })
    expect(await run(module)).toMatchObject({ exitCode: 5 })
  })

  test('is traced when asked', async () => {
    const lines: string[] = []
    await run(hello, { strace: (line) => lines.push(line) })
    expect(lines).toEqual(['fd_write(1<stdout>, "hello\\n", 6) = 6 <0.000000>'])
    lines.length = 0
    await run(exits(1), { strace: (line) => lines.push(line) })
    expect(lines).toEqual(['proc_exit(1) = ?'])
    lines.length = 0
    const stat = moduleOf({
      imports: [[P1, 'path_filestat_get', 'iiiii']],
      data: 'näme',
      start: [op.i32, 3, op.i32, 1, op.i32, 0, op.i32, 5, op.i32, 32, op.call, 0, op.drop],
    })
    await run(stat, { strace: (line) => lines.push(line) })
    expect(lines).toEqual([
      'path_filestat_get(3</>, AT_SYMLINK_FOLLOW, "näme", 0x20) = -1 ENOENT (No such file or directory) <0.000000>',
    ])
  })
})

describe('a program runs that imports', () => {
  test('from wasi_unstable, the draft before preview1', async () => {
    const exit = moduleOf({ imports: [['wasi_unstable', 'proc_exit', 'i!']], start: [op.i32, 4, op.call, 0] })
    expect(await run(exit)).toMatchObject({ exitCode: 4 })
  })

  test('what is no function of WASI, as of WASI: its calls are ENOSYS, as those of a number that Linux does not know', async () => {
    const lines: string[] = []
    const sockets = moduleOf({
      imports: [
        [P1, 'sock_open', 'iii'],
        [P1, 'proc_exit', 'i!'],
      ],
      start: [op.i32, 1, op.i32, 2, op.i32, 32, op.call, 0, op.call, 1],
    })
    expect(await run(sockets, { strace: (line) => lines.push(line) })).toMatchObject({ exitCode: E.ENOSYS })
    expect(lines[0]).toMatch(/^sock_open\(\) = -1 ENOSYS \(Function not implemented\)/)
  })
})

describe('a module that cannot be a guest is refused before it runs, with a reason', () => {
  const noop: readonly number[] = []
  test.each([
    [
      'imports that there are not, all named',
      moduleOf({
        imports: [
          ['env', 'foo', ''],
          ['wasix_32v1', 'fd_dup', 'i'],
          [P1, 'fd_close', 'i'],
        ],
      }),
      `the program needs env.foo (function), wasix_32v1.fd_dup (function), which runtab does not have; it offers ${P1} and wasi_unstable`,
    ],
    [
      'imports of two versions of WASI',
      moduleOf({
        imports: [
          [P1, 'fd_close', 'i'],
          ['wasi_unstable', 'fd_seek', 'iIii'],
        ],
      }),
      `the program imports from ${P1} and from wasi_unstable, which are two versions of WASI; runtab runs programs of either`,
    ],
    [
      'an imported memory of which nothing is known',
      moduleOf({ importedMemory: true, exports: ['_start'], start: noop }),
      /imports its memory.*compileProgram/,
    ],
    [
      'a library',
      moduleOf({ exports: ['_initialize', 'memory'] }),
      /is a library \(it exports _initialize\), of which nothing is asked here/,
    ],
    ['no entry point', moduleOf({ exports: ['memory'] }), /no entry point/],
    ['no memory', moduleOf({ exports: ['_start'] }), /exports no memory and imports none/],
  ])('%s', async (_, module, message) => {
    const failure = await run(module).catch((error) => error)
    expect(failure).toBeInstanceOf(GuestError)
    expect(failure.message).toMatch(message)
  })

  test.each([
    ['text', new TextEncoder().encode('#!/bin/sh\n'), /^\/bin\/x: it is not a WebAssembly module.*magic/],
    ['a component', Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), /^\/bin\/x: it is a WASI preview2 component/],
  ])('a file that does not compile is told by its path and what it is: %s', async (_, bytes, message) => {
    const cause = await WebAssembly.compile(bytes).catch((error) => error)
    const error = compileError(cause, '/bin/x')
    expect(error.message).toMatch(message)
    expect(error.cause).toBe(cause)
  })

  test('a component is known by what Firefox says of it, too', () => {
    const said = 'wasm validation error: at offset 8: binary version 0x1000d does not match expected version 0x1'
    expect(compileError(new WebAssembly.CompileError(said), '/bin/x').message).toMatch(/WASI preview2 component/)
  })
})
