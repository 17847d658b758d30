import { Worker } from 'node:worker_threads'
import * as fc from 'fast-check'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'
import { createChannel, createDoorbell } from './channel.ts'
import { type ArgumentKind, callNames, DATA_SIZE, type ResultKind, signatures } from './channel-codec.ts'
import { ErrnoError } from './errno.ts'
import { POLLIN, UTIME_NOW, UTIME_OMIT } from './linux.ts'
import { RemoteSyscalls } from './remote-syscalls.ts'
import { ServedChannel } from './served-channel.ts'
import type { DirectoryEntry, Stat, Syscalls } from './syscalls.ts'
import { utf8Length } from './utf8.ts'

type Answer = (name: string, args: readonly unknown[]) => unknown

/** A kernel that answers every call by a function. */
const kernelOf = (answer: Answer): Syscalls =>
  Object.fromEntries(callNames.map((name) => [name, (...args: unknown[]) => answer(name, args)])) as unknown as Syscalls

/** A guest's end whose every wait is the kernel's turn. */
function connect(kernel: Syscalls): { guest: Syscalls; served: ServedChannel; doorbell: Int32Array } {
  const channel = createChannel()
  const doorbell = createDoorbell()
  const served = new ServedChannel(channel)
  return {
    guest: new RemoteSyscalls(channel, doorbell, () => served.serve(kernel)),
    served,
    doorbell: new Int32Array(doorbell),
  }
}

const int = fc.maxSafeInteger()
const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((s) => !s.includes('\0'))
const nanoseconds = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const kind = fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'socket', 'char', 'block' as const)
const bytesAndRanges = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .chain((memory) =>
    fc
      .array(fc.tuple(fc.nat(memory.length), fc.nat(40)), { maxLength: 5 })
      .map((pairs) => [memory, pairs.flatMap(([at, n]) => [at, Math.min(n, memory.length - at)])] as const),
  )

const argument: Readonly<Record<ArgumentKind, fc.Arbitrary<readonly unknown[]>>> = {
  number: int.map((n) => [n]),
  time: fc.oneof(nanoseconds, fc.constantFrom(UTIME_NOW, UTIME_OMIT)).map((n) => [n]),
  text: text.map((s) => [s]),
  in: bytesAndRanges,
  out: bytesAndRanges,
  requests: fc
    .array(fc.record({ fd: fc.integer(), events: fc.nat(0xff) }, { noNullPrototype: true }))
    .map((list) => [list]),
}

const stat = fc.record(
  {
    ...Object.fromEntries(
      ['dev', 'ino', 'mode', 'nlink', 'uid', 'gid', 'rdev', 'size', 'blksize', 'blocks'].map((k) => [k, int]),
    ),
    ...Object.fromEntries(['atime', 'mtime', 'ctime', 'btime'].map((k) => [k, nanoseconds])),
  },
  { noNullPrototype: true },
)
const entry = fc.record(
  { name: text.filter((s) => utf8Length(s) <= 255), ino: fc.nat(), kind, cookie: fc.nat() },
  { noNullPrototype: true },
)

const result: Readonly<Record<ResultKind, fc.Arbitrary<unknown>>> = {
  number: fc.nat(),
  nothing: fc.constant(undefined),
  text,
  stat,
  entries: fc.array(entry, { maxLength: 20 }),
  numbers: fc.array(fc.integer()),
}

/** The bytes that ranges pick out. */
const gathered = (memory: Uint8Array, ranges: readonly number[]) => {
  const bytes: number[] = []
  for (let i = 0; i < ranges.length; i += 2) bytes.push(...memory.subarray(ranges[i]!, ranges[i]! + ranges[i + 1]!))
  return bytes
}

describe('a channel', () => {
  const plain = callNames.filter((name) => {
    const kinds: readonly ArgumentKind[] = signatures[name].args
    return !kinds.includes('in') && !kinds.includes('out') && name !== 'getdents'
  })

  test.each(plain)('%s reaches the kernel with the arguments it was given, and its answer comes back', (name) => {
    const args = fc.tuple(...signatures[name].args.map((k) => argument[k])).map((parts) => parts.flat())
    fc.assert(
      fc.property(args, result[signatures[name].result], (given, answer) => {
        const seen: unknown[] = []
        const { guest } = connect(
          kernelOf((called, got) => {
            seen.push(called, got)
            return answer
          }),
        )
        const back = (guest[name] as (...args: unknown[]) => unknown).apply(guest, given as unknown[])
        expect(seen).toEqual([name, given])
        expect(back).toEqual(answer)
      }),
      { numRuns: 60 },
    )
  })

  test('a poll without a deadline has none on the other side', () => {
    const { guest } = connect(
      kernelOf((_, args) => {
        expect(args).toEqual([[{ fd: 1, events: 4 }], undefined])
        return [4]
      }),
    )
    expect(guest.poll([{ fd: 1, events: 4 }], undefined)).toEqual([4])
  })

  test.each(['writev', 'pwritev'] as const)('%s hands over exactly the bytes that its ranges pick out', (name) => {
    fc.assert(
      fc.property(bytesAndRanges, fc.nat(), ([memory, ranges], offset) => {
        const seen: unknown[] = []
        const answer: Answer = (called, args) => {
          const [fd, bytes, picked, at] = args as [number, Uint8Array, number[], number?]
          seen.push(called, fd, gathered(bytes, picked), at)
          return gathered(bytes, picked).length
        }
        const { guest } = connect(kernelOf(answer))
        const bytes = gathered(memory, ranges)
        const at = name === 'pwritev' ? [offset] : []
        expect((guest[name] as (...args: unknown[]) => number).call(guest, 5, memory, ranges, ...at)).toBe(bytes.length)
        expect(seen).toEqual([name, 5, bytes, at[0]])
      }),
    )
  })

  test.each(['readv', 'preadv'] as const)('%s fills its ranges in their order and nothing else', (name) => {
    fc.assert(
      fc.property(bytesAndRanges, fc.double({ min: 0, max: 1, noNaN: true }), ([memory, ranges], share) => {
        const room = gathered(memory, ranges).length
        const given = Math.floor(room * share)
        const answer: Answer = (_, args) => {
          const [, bytes, [at, length]] = args as [number, Uint8Array, number[]]
          expect(length).toBe(room)
          for (let i = 0; i < given; i++) bytes[at! + i] = i + 1
          return given
        }
        const { guest } = connect(kernelOf(answer))
        const mine = memory.slice()
        const expected = memory.slice()
        let next = 0
        for (let i = 0; i < ranges.length; i += 2)
          for (let k = 0; k < ranges[i + 1]! && next < given; k++) expected[ranges[i]! + k] = ++next
        const at = name === 'preadv' ? [7] : []
        expect((guest[name] as (...args: unknown[]) => number).call(guest, 5, mine, ranges, ...at)).toBe(given)
        expect(mine).toEqual(expected)
      }),
    )
  })

  /** A kernel that moves all that it is asked for, or what `moves` says, and what it was asked. */
  const moving = (moves = (length: number): number => length, ready = POLLIN) => {
    const asked: [name: string, length: number, offset?: number][] = []
    const { guest } = connect(
      kernelOf((name, args) => {
        if (name === 'poll') return [ready]
        const [, bytes, [at, length], offset] = args as [number, Uint8Array, number[], number?]
        asked.push(offset === undefined ? [name, length!] : [name, length!, offset])
        if (name.endsWith('writev')) written.push(bytes[at!]!)
        else bytes[at!] = asked.length
        return moves(length!)
      }),
    )
    const written: number[] = []
    return { guest, asked, written }
  }
  const big = () => new Uint8Array(2 * DATA_SIZE + 5000)

  test('what exceeds its data area is moved in several calls', () => {
    const { guest, asked, written } = moving()
    const memory = big()
    memory[DATA_SIZE] = 7
    memory[2 * DATA_SIZE] = 8
    expect(guest.writev(1, memory, [0, memory.length])).toBe(memory.length)
    expect(guest.pwritev(1, memory, [0, 10, 10, DATA_SIZE - 10, DATA_SIZE, 100], 0)).toBe(DATA_SIZE + 100)
    expect(written).toEqual([0, 7, 8, 0, 7])
    expect(guest.preadv(1, memory, [5, DATA_SIZE, 5 + DATA_SIZE, 9], 4)).toBe(DATA_SIZE + 9)
    expect([memory[5], memory[5 + DATA_SIZE]]).toEqual([6, 7])
    expect(guest.readv(1, memory, [0, DATA_SIZE])).toBe(DATA_SIZE)
    expect(asked).toEqual([
      ['writev', DATA_SIZE],
      ['writev', DATA_SIZE],
      ['writev', 5000],
      ['pwritev', DATA_SIZE, 0],
      ['pwritev', 100, DATA_SIZE],
      ['preadv', DATA_SIZE, 4],
      ['preadv', 9, 4 + DATA_SIZE],
      ['readv', DATA_SIZE],
    ])
  })

  test('a call that moves less than it was asked for is the last', () => {
    const { guest, asked } = moving((length) => length - 1)
    expect(guest.readv(1, big(), [0, 2 * DATA_SIZE])).toBe(DATA_SIZE - 1)
    expect(guest.writev(1, big(), [0, 2 * DATA_SIZE])).toBe(DATA_SIZE - 1)
    expect(asked).toHaveLength(2)
  })

  test('a stream that has no more is not asked again, so that a read of what was there does not wait', () => {
    const { guest, asked } = moving(undefined, 0)
    expect(guest.readv(1, big(), [0, 2 * DATA_SIZE])).toBe(DATA_SIZE)
    expect(asked).toHaveLength(1)
  })

  test('an error after some bytes were moved is not told, as on Linux', () => {
    let calls = 0
    const { guest } = moving((length) => {
      if (++calls % 2 === 0) throw new ErrnoError('ENOSPC')
      return length
    })
    expect(guest.writev(1, big(), [0, 2 * DATA_SIZE])).toBe(DATA_SIZE)
    calls = 1
    expect(() => guest.writev(1, big(), [0, 2 * DATA_SIZE])).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
  })

  test('a listing larger than its data area is whole: a short one would mean that the directory ends', () => {
    const name = (i: number) => `${i}`.padStart(200, 'n')
    const all: DirectoryEntry[] = Array.from({ length: 9000 }, (_, i) => ({
      name: name(i),
      ino: i + 1,
      kind: 'file',
      cookie: i + 1,
    }))
    const answer: Answer = (_, args) => {
      const [, cookie, bytes] = args as [number, number, number]
      const some: DirectoryEntry[] = []
      for (let i = cookie, sum = 0; i < all.length && sum < bytes; i++, sum += 224) some.push(all[i]!)
      return some
    }
    const { guest } = connect(kernelOf(answer))
    expect(guest.getdents(3, 0, 8 << 20)).toEqual(all)
    expect(guest.getdents(3, 8998, 8 << 20)).toEqual(all.slice(8998))
    expect(guest.getdents(3, 0, 225)).toHaveLength(2)
    expect(guest.getdents(3, 0, 3 << 19)).toHaveLength(Math.ceil((3 << 19) / 224))
  })

  test('an error keeps its name', () => {
    const { guest } = connect(
      kernelOf((name) => {
        throw new ErrnoError(name === 'fstat' ? 'ENOTCAPABLE' : 'EUCLEAN')
      }),
    )
    expect(() => guest.fstat(3)).toThrow(expect.objectContaining({ code: 'ENOTCAPABLE' }))
    expect(() => guest.openat(3, 'a', 0, 0)).toThrow(expect.objectContaining({ code: 'EUCLEAN' }))
    expect(() => guest.openat(3, 'a'.repeat(DATA_SIZE + 1), 0, 0)).toThrow(
      expect.objectContaining({ code: 'ENAMETOOLONG' }),
    )
  })

  test('a call that cannot go on yet stays requested, and is served again with the same arguments', () => {
    const waits = { reason: 'nothing to read' }
    const seen: unknown[] = []
    const kernel = kernelOf((_, args) => {
      seen.push(args)
      if (seen.length < 3) throw waits
      return 'target'
    })
    const channel = createChannel()
    const served = new ServedChannel(channel)
    let blocked = 0
    const guest = new RemoteSyscalls(channel, createDoorbell(), () => {
      try {
        served.serve(kernel)
      } catch (error) {
        expect(error).toBe(waits)
        expect(served.requested).toBe(true)
        blocked++
      }
    })
    expect(guest.readlinkat(4, 'ü/b')).toBe('target')
    expect(blocked).toBe(2)
    expect(seen).toEqual([
      [4, 'ü/b'],
      [4, 'ü/b'],
      [4, 'ü/b'],
    ])
    expect(served.requested).toBe(false)
  })

  test('an answer may come another way than through the call, as after a reply from outside', () => {
    const channel = createChannel()
    const served = new ServedChannel(channel)
    const guest = new RemoteSyscalls(channel, createDoorbell(), () => served.finish(12))
    expect(guest.getfl(3)).toBe(12)
  })

  test('every call rings the doorbell once', () => {
    const { guest, doorbell } = connect(kernelOf(() => 3))
    guest.getfl(1)
    guest.getfl(1)
    expect(doorbell[0]).toBe(2)
  })

  test('a killed guest gets no answer, and what it asks later is no request', () => {
    const channel = createChannel()
    const served = new ServedChannel(channel)
    const rests = new Error('the thread rests')
    const waited: number[] = []
    const guest = new RemoteSyscalls(channel, createDoorbell(), (state, index, value) => {
      waited.push(value)
      if (Atomics.load(state, index) === value && waited.length > 1) throw rests
      served.kill()
      served.finish(1)
    })
    expect(() => guest.getfl(1)).toThrow(rests)
    expect(() => guest.getfl(1)).toThrow(rests)
    expect(served.requested).toBe(false)
  })

  test('a guest in a thread of its own is answered', async () => {
    const bundle = await build({
      configFile: false,
      logLevel: 'silent',
      build: {
        write: false,
        lib: { entry: new URL('./remote-syscalls.ts', import.meta.url).pathname, formats: ['cjs'] },
      },
    })
    const { code } = (bundle as { output: { code: string }[] }[])[0]!.output[0]!
    const channel = createChannel()
    const doorbell = createDoorbell()
    const program = `${code}
      const { parentPort, workerData } = require('node:worker_threads')
      const guest = new exports.RemoteSyscalls(workerData.channel, workerData.doorbell)
      const memory = new Uint8Array(100_000).fill(7)
      let sum = 0
      for (let i = 0; i < 300; i++) sum += guest.pwritev(i, memory, [0, i, 5000, 1000], i)
      parentPort.postMessage({ sum, stat: guest.fstatat(3, 'häh', 0) })`
    const worker = new Worker(program, { eval: true, workerData: { channel, doorbell } })
    const done = new Promise<unknown>((resolve, reject) => {
      worker.on('message', resolve)
      worker.on('error', reject)
    })

    const times = { atime: 1n, mtime: -2n, ctime: 3n, btime: 4n }
    const told: Stat = {
      dev: 1,
      ino: 2,
      mode: 3,
      nlink: 4,
      uid: 5,
      gid: 6,
      rdev: 7,
      size: 8,
      blksize: 9,
      blocks: 10,
      ...times,
    }
    const kernel = kernelOf((name, args) => {
      if (name === 'fstatat') return args[1] === 'häh' ? told : undefined
      const [fd, bytes, [at, length], offset] = args as [number, Uint8Array, number[], number]
      expect([fd, bytes[at! + length! - 1]]).toEqual([offset, 7])
      return length
    })
    const served = new ServedChannel(channel)
    const bell = new Int32Array(doorbell)
    for (let calls = 0; calls < 301; ) {
      const rung = Atomics.load(bell, 0)
      if (served.requested) {
        served.serve(kernel)
        calls++
      } else await (Atomics as unknown as WaitAsync).waitAsync(bell, 0, rung).value
    }
    expect(await done).toEqual({ sum: (299 * 300) / 2 + 300 * 1000, stat: told })
    await worker.terminate()
  })
})

interface WaitAsync {
  waitAsync(words: Int32Array, index: number, value: number): { value: Promise<string> | string }
}
