/** Pipes and FIFOs through a task's system calls. What Linux does was seen with python3's os, fcntl and select. */

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  AT_FDCWD,
  O_ACCMODE,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from '../abi/linux.ts'
import { F_GETPIPE_SZ, F_SETPIPE_SZ } from '../abi/linux-waiting.ts'
import { HostCalls } from '../kernel/host-calls.ts'
import { NOTHING_LEFT, World } from '../testing/waiting.ts'

type Process = ReturnType<World['process']>
let world: World
let a: Process
let b: Process

beforeEach(() => {
  world = new World()
  a = world.process()
  b = world.process()
})

afterEach(() => {
  world.end()
  expect(world.live).toEqual(NOTHING_LEFT)
})

const bytes = (length: number, first = 0) => Uint8Array.from({ length }, (_, i) => (first + i) % 251)
const read = ({ task }: Process, fd: number, length: number) => {
  const memory = new Uint8Array(length)
  return world.call(task, () => memory.slice(0, task.readv(fd, memory, [0, length])))
}
const write = ({ task }: Process, fd: number, data: Uint8Array, ranges = [0, data.length]) =>
  world.call(task, () => task.writev(fd, data, ranges))
const open = ({ task }: Process, flags: number, path = '/fifo') =>
  world.call(task, () => task.openat(AT_FDCWD, path, flags, 0))
const poll = ({ task }: Process, fd: number, events = POLLIN | POLLOUT) => task.poll([{ fd, events }], 0n)[0]
const mkfifo = (path = '/fifo') => a.task.mknodat(AT_FDCWD, path, 'fifo', 0o666)
const pipeOf = (process: Process, fd: number) => process.task.descriptors.get(fd).stream!

describe('a pipe', () => {
  test('B058 holds 65536 bytes; a capacity is a power of two from 4096 to 1 MiB, and never below what is in it', () => {
    const [r, w] = a.events.pipe2(O_NONBLOCK)
    expect(a.events.fcntl(r, F_GETPIPE_SZ)).toBe(65_536)
    expect(write(a, w, bytes(70_000)).outcome).toBe(65_536)
    expect(write(a, w, bytes(1)).outcome).toBe('EAGAIN')
    expect(world.call(a.task, () => a.events.fcntl(r, F_SETPIPE_SZ, 4096)).outcome).toBe('EBUSY')
    expect(a.events.fcntl(w, F_SETPIPE_SZ, 65_537)).toBe(131_072)
    expect(write(a, w, bytes(70_000)).outcome).toBe(65_536)
    expect(world.call(a.task, () => a.events.fcntl(r, F_SETPIPE_SZ, (1 << 20) + 1)).outcome).toBe('EPERM')
    expect(a.events.fcntl(w, F_SETPIPE_SZ, 1 << 20)).toBe(1 << 20)
    expect(read(a, r, 200_000).outcome).toHaveLength(131_072)
    expect(a.events.fcntl(r, F_SETPIPE_SZ, 100)).toBe(4096)
    expect(a.events.fcntl(r, F_SETPIPE_SZ, 5000)).toBe(8192)
  })

  test('B197 is a FIFO of mode 0600 and its maker’s, named by its number; all its times are when it was made. chmod and chown succeed, as on Linux', () => {
    const [r, w] = a.events.pipe2()
    const { mode, ino, atime, mtime, ctime, ...stat } = a.task.fstat(r)
    expect({ mode, uid: stat.uid, gid: stat.gid, size: stat.size }).toEqual({ mode: 0o10600, uid: 0, gid: 0, size: 0 })
    expect(a.task.fstat(w)).toEqual(a.task.fstat(r))
    expect([mtime, ctime]).toEqual([atime, atime])
    expect(a.task.descriptors.get(w).dentry.name).toBe(`pipe:[${ino}]`)
    const host = new HostCalls(a.task)
    host.fchmod(r, 0o644)
    host.fchown(r, 5, 6)
    expect(a.task.fstat(w)).toMatchObject({ mode: 0o10644, uid: 5, gid: 6 })
  })

  test('B060 a write without readers is EPIPE, of nothing it succeeds; one that waits for room fails when readers go', () => {
    const [r, w] = a.events.pipe2()
    expect(write(a, w, bytes(65_536)).outcome).toBe(65_536)
    const waiting = write(a, w, bytes(10))
    expect(waiting.outcome).toBe('waiting')
    a.task.close(r)
    world.run()
    expect(waiting.outcome).toBe('EPIPE')
    expect(write(a, w, bytes(1)).outcome).toBe('EPIPE')
    expect(write(a, w, bytes(0)).outcome).toBe(0)
  })

  test('B060 a write that has moved some bytes when the last reader goes gives how many', () => {
    const [r, w] = a.events.pipe2()
    const waiting = write(a, w, bytes(70_000))
    expect(waiting.outcome).toBe('waiting')
    a.task.close(r)
    world.run()
    expect(waiting.outcome).toBe(65_536)
  })

  test('B060 up to 4096 bytes go in whole or not at all, over all ranges of the call; more go in as far as there is room', () => {
    const [r, w] = a.events.pipe2(O_NONBLOCK)
    write(a, w, bytes(65_536 - 4000))
    expect(write(a, w, bytes(4096)).outcome).toBe('EAGAIN')
    expect(write(a, w, bytes(4096), [0, 3000, 3000, 1096]).outcome).toBe('EAGAIN')
    expect(write(a, w, bytes(4097)).outcome).toBe(4000)
    expect(read(a, r, 70_000).outcome).toHaveLength(65_536)
  })

  test('a write longer than the room goes on over restarts, with all its ranges, and repeats no byte', () => {
    const [r, w] = a.events.pipe2()
    const data = bytes(200_000)
    const writing = write(a, w, data, [0, 100_000, 100_000, 0, 100_000, 100_000])
    const got: number[] = []
    while (got.length < data.length) {
      got.push(...(read(a, r, 30_000).result as Uint8Array))
      world.run()
    }
    expect(writing.outcome).toBe(200_000)
    expect(Buffer.compare(Uint8Array.from(got), data)).toBe(0)
    expect(writing.tries).toBeGreaterThan(2)
  })

  test('B061 empty: a read waits for a writer or is EAGAIN, is the end without one, and of nothing never waits', () => {
    const [r, w] = a.events.pipe2()
    const reading = read(a, r, 10)
    expect(reading.outcome).toBe('waiting')
    expect(read(a, r, 0).outcome).toHaveLength(0)
    a.task.setfl(r, O_NONBLOCK)
    expect(read(a, r, 10).outcome).toBe('EAGAIN')
    a.task.close(w)
    world.run()
    expect(reading.outcome).toHaveLength(0)
    expect(read(a, r, 10).outcome).toHaveLength(0)
  })

  test('B062 is readable with data or at its end, writable with room, in error without a reader', () => {
    const [r, w] = a.events.pipe2(O_NONBLOCK)
    expect([poll(a, r), poll(a, w)]).toEqual([0, POLLOUT])
    write(a, w, bytes(65_536))
    expect([poll(a, r), poll(a, w)]).toEqual([POLLIN, 0])
    read(a, r, 4096)
    expect(poll(a, w)).toBe(POLLOUT)
    const [r2, w2] = a.events.pipe2()
    write(a, w2, bytes(1))
    a.task.close(w2)
    expect(poll(a, r2)).toBe(POLLIN | POLLHUP)
    read(a, r2, 1)
    expect(poll(a, r2)).toBe(POLLHUP)
    a.task.close(r)
    expect(poll(a, w, 0)).toBe(POLLERR)
  })

  test('A302 A301 has no position and no other direction; both ends are one inode', () => {
    const [r, w] = a.events.pipe2()
    const call = (operation: () => unknown) => world.call(a.task, operation).outcome
    expect(call(() => a.task.preadv(r, bytes(1), [0, 1], 0))).toBe('ESPIPE')
    expect(call(() => a.task.pwritev(r, bytes(1), [0, 1], 0))).toBe('ESPIPE')
    expect(call(() => a.task.writev(r, bytes(1), [0, 1]))).toBe('EBADF')
    expect(call(() => a.task.readv(w, bytes(1), [0, 1]))).toBe('EBADF')
    expect(a.task.fstat(r).ino).toBe(a.task.fstat(w).ino)
    write(a, w, bytes(5))
    expect(a.events.available(r)).toBe(5)
  })

  test('pipe2 leaves nothing behind when only one descriptor is free', () => {
    const small = world.process(0, 1)
    expect(world.call(small.task, () => small.events.pipe2()).outcome).toBe('EMFILE')
    expect(world.live.anonymous).toBe(0)
  })

  test('a waiting call that is killed leaves no queue behind', () => {
    const [r, w] = a.events.pipe2()
    const queue = pipeOf(a, r).queue
    const reading = read(a, r, 1)
    expect(queue.size).toBe(1)
    reading.kill()
    expect(queue.size).toBe(0)
    write(a, w, bytes(65_536))
    const writing = write(a, w, bytes(1))
    expect(pipeOf(a, w).queue.size).toBe(1)
    writing.kill()
    expect(pipeOf(a, w).queue.size).toBe(0)
  })

  test('bytes in are bytes out, over any interleaving of blocking readers and writers', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 100_000 }))
    const step = fc.record({ writes: fc.boolean(), size })
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
        const [r, w] = a.events.pipe2()
        let sent = 0
        let expected = 0
        let got = 0
        let writing: ReturnType<typeof write> | undefined
        let asked = 0
        const reading: ReturnType<typeof read>[] = []
        const collect = () => {
          world.run()
          // Readers are served in order, so what they got lines up.
          while (reading[0] && reading[0].state !== 'waiting') {
            const piece = reading.shift()!.result as Uint8Array
            if (Buffer.compare(piece, bytes(piece.length, got % 251)) !== 0) throw new Error(`wrong bytes at ${got}`)
            got += piece.length
          }
          if (writing && writing.state !== 'waiting') {
            expect(writing.outcome).toBe(asked)
            expected = sent
            writing = undefined
          }
        }
        for (const { writes, size: length } of steps) {
          if (writes && !writing) {
            asked = length
            writing = write(a, w, bytes(length, sent % 251))
            sent += length
          } else reading.push(read(a, r, length))
          collect()
        }
        // Whoever still waits to read is killed; the rest is read out.
        for (const call of reading) call.kill()
        reading.length = 0
        a.task.setfl(r, O_NONBLOCK)
        for (;;) {
          const last = read(a, r, 50_000)
          if (last.code === 'EAGAIN') break
          reading.push(last)
          collect()
        }
        expect(writing).toBeUndefined()
        expect([expected, got]).toEqual([sent, sent])
        expect([pipeOf(a, r).queue.size, pipeOf(a, w).queue.size]).toEqual([0, 0])
        a.task.close(r)
        a.task.close(w)
      }),
      { numRuns: 100 },
    )
  })
})

describe('a FIFO', () => {
  beforeEach(() => mkfifo())

  test.each([
    ['reader', O_RDONLY, O_WRONLY],
    ['writer', O_WRONLY, O_RDONLY],
  ])('B059 the open of a %s waits for the other side, which finds it there', (_, first, second) => {
    const waiting = open(a, first)
    expect(waiting.outcome).toBe('waiting')
    const other = open(b, second)
    expect(other.state).toBe('done')
    world.run()
    expect(waiting.state).toBe('done')
    const [r, w] = first === O_RDONLY ? [a, b] : [b, a]
    expect(write(w, 0, bytes(3)).outcome).toBe(3)
    expect(read(r, 0, 10).outcome).toEqual(bytes(3))
  })

  test('B059 a partner that came and went at once is not missed, though it removed the name', () => {
    const reader = open(a, O_RDONLY)
    const writer = open(b, O_WRONLY)
    expect(write(b, 0, bytes(2)).outcome).toBe(2)
    b.task.close(writer.result as number)
    b.task.unlinkat(AT_FDCWD, '/fifo', 0)
    world.run()
    expect(reader.state).toBe('done')
    expect(read(a, 0, 10).outcome).toEqual(bytes(2))
    expect(read(a, 0, 10).outcome).toHaveLength(0)
  })

  test('B059 without waiting a reader opens and a writer is ENXIO; both ways at once nobody waits', () => {
    expect(open(a, O_WRONLY | O_NONBLOCK).outcome).toBe('ENXIO')
    expect(world.live.fifos).toBe(0)
    expect(open(a, O_RDONLY | O_NONBLOCK).outcome).toBe(0)
    expect(open(b, O_WRONLY | O_NONBLOCK).outcome).toBe(0)
    world.end()
    a = world.process()
    expect(open(a, O_RDWR).outcome).toBe(0)
    expect(write(a, 0, bytes(4)).outcome).toBe(4)
    expect(read(a, 0, 4).outcome).toEqual(bytes(4))
  })

  test('B059 an open that is killed while it waits is no partner any more', () => {
    const reader = open(a, O_RDONLY)
    expect(world.live.opens).toBe(1)
    reader.kill()
    expect(world.live).toMatchObject({ fifos: 0, opens: 0 })
    expect(open(b, O_WRONLY | O_NONBLOCK).outcome).toBe('ENXIO')
  })

  test('B059 several opens of one task wait at a time, each for its own partner', () => {
    mkfifo('/other')
    const one = open(a, O_RDONLY)
    const two = open(a, O_RDONLY, '/other')
    expect([one.outcome, two.outcome]).toEqual(['waiting', 'waiting'])
    open(b, O_WRONLY, '/other')
    world.run()
    expect([one.outcome, two.state]).toEqual(['waiting', 'done'])
    one.kill()
  })

  test('B061 B062 a reader without a writer so far sees the end but no hang-up; after one has gone it does', () => {
    open(a, O_RDONLY | O_NONBLOCK)
    expect(read(a, 0, 1).outcome).toHaveLength(0)
    expect(poll(a, 0)).toBe(0)
    open(b, O_WRONLY)
    expect(read(a, 0, 1).outcome).toBe('EAGAIN')
    b.task.close(0)
    expect(poll(a, 0)).toBe(POLLHUP)
  })

  test('B063 B064 O_TRUNC does nothing; an access mode that is neither is EINVAL', () => {
    expect(open(a, O_RDWR | O_TRUNC).outcome).toBe(0)
    expect(open(a, O_ACCMODE).outcome).toBe('EINVAL')
  })

  test('its bytes go when the last end is closed, and move its times', () => {
    open(a, O_RDWR)
    world.now += 5n
    write(a, 0, bytes(4))
    expect(a.task.fstat(0)).toMatchObject({ mtime: world.now, ctime: world.now, size: 0 })
    a.task.close(0)
    expect(world.live.fifos).toBe(0)
    open(a, O_RDWR | O_NONBLOCK)
    expect(read(a, 0, 1).outcome).toBe('EAGAIN')
  })
})
