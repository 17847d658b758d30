/** File locks through a task's system calls. What Linux 6.18 does was seen with python3's fcntl. */

import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET } from '../abi/linux.ts'
import {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_RDLCK,
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
} from '../abi/linux-waiting.ts'
import { NOTHING_LEFT, World } from '../testing/waiting.ts'

type Process = ReturnType<World['process']>
let world: World
let a: Process
let b: Process
let c: Process

beforeEach(() => {
  world = new World()
  ;[a, b, c] = [world.process(), world.process(), world.process()]
})

afterEach(() => {
  world.end()
  expect(world.live).toEqual(NOTHING_LEFT)
})

const open = ({ task }: Process, flags = O_RDWR, path = '/f') => task.openat(AT_FDCWD, path, flags | O_CREAT, 0o666)
const range = (type: number, start: number, length: number, whence = SEEK_SET) => ({ type, whence, start, length })
const flock = ({ task, events }: Process, fd: number, operation: number) =>
  world.call(task, () => events.flock(fd, operation))
const lock = ({ task, events }: Process, fd: number, command: number, type: number, start = 0, length = 0) =>
  world.call(task, () => events.fcntl(fd, command, range(type, start, length)))
const inTheWay = ({ events }: Process, fd: number, type = F_WRLCK, start = 0, length = 0) =>
  events.fcntl(fd, F_GETLK, range(type, start, length))

test('A342 A036 flock belongs to the open file: copies share it, it converts, and goes with the last descriptor', () => {
  const fd = open(a)
  const copy = a.events.dup(fd)
  const other = open(b)
  expect(flock(a, fd, LOCK_EX).state).toBe('done')
  expect(flock(a, copy, LOCK_EX).state).toBe('done')
  expect(flock(b, other, LOCK_SH | LOCK_NB).outcome).toBe('EAGAIN')
  a.task.close(fd)
  expect(flock(b, other, LOCK_SH | LOCK_NB).outcome).toBe('EAGAIN')
  expect(flock(a, copy, LOCK_SH).state).toBe('done')
  expect(flock(b, other, LOCK_SH | LOCK_NB).state).toBe('done')
  const waiting = flock(b, other, LOCK_EX)
  expect(waiting.outcome).toBe('waiting')
  a.task.close(copy)
  world.run()
  expect(waiting.state).toBe('done')
  expect(flock(b, other, LOCK_UN).state).toBe('done')
  expect(world.live.locks).toBe(0)
})

test('A342 a conversion that fails has given up the old lock', () => {
  const [one, two] = [open(a), open(b)]
  flock(a, one, LOCK_SH)
  flock(b, two, LOCK_SH)
  expect(flock(a, one, LOCK_EX | LOCK_NB).outcome).toBe('EAGAIN')
  expect(flock(b, two, LOCK_EX | LOCK_NB).state).toBe('done')
})

test('A343 A352 flock works in whatever way the file is open, but O_PATH; other operations are EINVAL', () => {
  expect(flock(a, open(a, O_RDONLY), LOCK_EX).state).toBe('done')
  const fd = open(b, O_WRONLY)
  for (const operation of [0, LOCK_SH | LOCK_EX, LOCK_NB, 16]) expect(flock(b, fd, operation).outcome).toBe('EINVAL')
  expect(flock(b, b.task.openat(AT_FDCWD, '/f', O_PATH, 0), LOCK_SH).outcome).toBe('EBADF')
})

test('A344 A037 ranges belong to the process, and go when it closes any descriptor of the file', () => {
  const [one, two] = [open(a), open(a)]
  const other = open(b)
  expect(lock(a, one, F_SETLK, F_WRLCK, 0, 10).state).toBe('done')
  expect(lock(a, two, F_SETLK, F_RDLCK, 5, 10).state).toBe('done')
  expect(lock(b, other, F_SETLK, F_WRLCK, 12, 1).outcome).toBe('EAGAIN')
  const waiting = lock(b, other, F_SETLKW, F_WRLCK)
  a.task.close(two)
  world.run()
  expect(waiting.state).toBe('done')
  expect(inTheWay(a, one)).toMatchObject({ type: F_WRLCK, pid: b.task.descriptors.pid, start: 0, length: 0 })
})

test('A344 a descriptor that is renumbered over another closes that', () => {
  const fd = open(a)
  const pipe = a.events.pipe2()
  lock(a, fd, F_SETLK, F_WRLCK)
  a.task.renumber(pipe[0], fd)
  expect(world.live.locks).toBe(0)
})

test('A345 an OFD lock belongs to the open file, conflicts with its own process, and its pid is -1', () => {
  const fd = open(a)
  const copy = a.events.dup(fd)
  const other = open(a)
  expect(lock(a, fd, F_OFD_SETLK, F_WRLCK, 10, 10).state).toBe('done')
  a.task.close(fd)
  expect(a.events.fcntl(other, F_OFD_GETLK, range(F_WRLCK, 0, 0))).toEqual({ ...range(F_WRLCK, 10, 10), pid: -1 })
  expect(lock(a, other, F_SETLK, F_WRLCK, 15, 1).outcome).toBe('EAGAIN')
  const withPid = () => a.events.fcntl(copy, F_OFD_SETLK, { ...range(F_WRLCK, 0, 0), pid: 5 })
  expect(world.call(a.task, withPid).outcome).toBe('EINVAL')
  const waiting = lock(a, other, F_OFD_SETLKW, F_RDLCK)
  expect(waiting.outcome).toBe('waiting')
  a.task.close(copy)
  world.run()
  expect(waiting.state).toBe('done')
})

test('A346 flock and ranges do not know each other', () => {
  expect(flock(a, open(a), LOCK_EX).state).toBe('done')
  expect(lock(b, open(b), F_SETLK, F_WRLCK).state).toBe('done')
})

test('A347 a read lock takes a file open for reading, a write lock one open for writing', () => {
  expect(lock(a, open(a, O_RDONLY), F_SETLK, F_WRLCK).outcome).toBe('EBADF')
  expect(lock(a, open(a, O_WRONLY), F_SETLK, F_RDLCK).outcome).toBe('EBADF')
})

test('A348 a length of 0 is to the end, a negative one what comes before; positions count from start, offset or end', () => {
  const [fd, other] = [open(a), open(b)]
  a.task.ftruncate(fd, 100)
  a.task.lseek(fd, 20, SEEK_SET)
  const found = (type: number, start: number, length: number, whence: number) => {
    a.events.fcntl(fd, F_SETLK, range(type, start, length, whence))
    const { start: from, length: count } = inTheWay(b, other)
    a.events.fcntl(fd, F_SETLK, range(F_UNLCK, 0, 0))
    return [from, count]
  }
  expect(found(F_WRLCK, 5, 0, SEEK_SET)).toEqual([5, 0])
  expect(found(F_WRLCK, 5, -5, SEEK_SET)).toEqual([0, 5])
  expect(found(F_WRLCK, 3, 4, SEEK_CUR)).toEqual([23, 4])
  expect(found(F_WRLCK, -10, 4, SEEK_END)).toEqual([90, 4])
  const outcome = (start: number, length: number, type = F_WRLCK, whence = SEEK_SET) =>
    world.call(a.task, () => a.events.fcntl(fd, F_SETLK, range(type, start, length, whence))).outcome
  expect([outcome(-1, 0), outcome(5, -6), outcome(0, 0, 7), outcome(0, 0, F_WRLCK, 9)]).toEqual(Array(4).fill('EINVAL'))
  expect(outcome(Number.MAX_SAFE_INTEGER, 2)).toBe('EOVERFLOW')
  expect(outcome(Number.MAX_SAFE_INTEGER, 1)).toBe(undefined)
})

test('A349 an upgrade takes that nobody else reads there', () => {
  const [one, two] = [open(a), open(b)]
  lock(a, one, F_SETLK, F_RDLCK, 0, 20)
  lock(b, two, F_SETLK, F_RDLCK, 10, 20)
  expect(lock(a, one, F_SETLK, F_WRLCK, 5, 10).outcome).toBe('EAGAIN')
  expect(lock(a, one, F_SETLK, F_WRLCK, 5, 5).state).toBe('done')
})

test('A350 unlocking what is not locked succeeds; those who wait try again in order, and who is killed is gone', () => {
  const [one, two, three] = [open(a), open(b), open(c)]
  expect(lock(a, one, F_SETLK, F_UNLCK).state).toBe('done')
  lock(a, one, F_SETLK, F_WRLCK)
  const killed = lock(b, two, F_SETLKW, F_WRLCK)
  const first = lock(c, three, F_SETLKW, F_WRLCK)
  const second = lock(b, two, F_SETLKW, F_WRLCK)
  const { queue } = [...world.superblock.locks!.values()][0]!
  expect([queue.size, world.live.rangeWaiters]).toEqual([3, 2])
  killed.kill()
  expect(queue.size).toBe(2)
  lock(a, one, F_SETLK, F_UNLCK)
  world.run()
  expect([first.state, second.state]).toEqual(['done', 'waiting'])
  second.kill()
  expect(world.live.rangeWaiters).toBe(0)
})

test('A351 F_GETLK tells of the first lock in the way, never of an own one', () => {
  const [one, two, three] = [open(a), open(b), open(c)]
  lock(a, one, F_SETLK, F_RDLCK, 50, 10)
  lock(b, two, F_SETLK, F_RDLCK, 20, 10)
  expect(inTheWay(c, three)).toEqual({ ...range(F_RDLCK, 20, 10), pid: b.task.descriptors.pid })
  expect(inTheWay(c, three, F_RDLCK).type).toBe(F_UNLCK)
  expect(inTheWay(b, two)).toMatchObject({ start: 50, pid: a.task.descriptors.pid })
  lock(a, one, F_SETLK, F_UNLCK)
  expect(inTheWay(b, two).type).toBe(F_UNLCK)
  expect(world.call(a.task, () => inTheWay(a, one, F_UNLCK)).outcome).toBe('EINVAL')
})

test('A353 A169 B057 locks follow the inode through a rename and are seen by every name', () => {
  const fd = open(a)
  lock(a, fd, F_SETLK, F_WRLCK)
  a.task.linkat(AT_FDCWD, '/f', AT_FDCWD, '/g', 0)
  a.task.renameat2(AT_FDCWD, '/f', AT_FDCWD, '/h', 0)
  for (const path of ['/g', '/h']) {
    expect(lock(b, open(b, O_RDWR, path), F_SETLK, F_WRLCK).outcome).toBe('EAGAIN')
  }
})

test('A391 who would wait in a circle of processes is refused, and may wait again when the circle is open', () => {
  const fds = [a, b, c].map((process) => open(process))
  ;[a, b, c].forEach((process, i) => {
    lock(process, fds[i]!, F_SETLK, F_WRLCK, i, 1)
  })
  const first = lock(a, fds[0]!, F_SETLKW, F_WRLCK, 1, 1)
  const second = lock(b, fds[1]!, F_SETLKW, F_WRLCK, 2, 1)
  expect([first.outcome, second.outcome]).toEqual(['waiting', 'waiting'])
  expect(lock(c, fds[2]!, F_SETLKW, F_RDLCK, 0, 1).outcome).toBe('EDEADLK')
  first.kill()
  const third = lock(c, fds[2]!, F_SETLKW, F_RDLCK, 0, 1)
  expect(third.outcome).toBe('waiting')
  a.task.close(fds[0]!)
  world.run()
  expect(third.state).toBe('done')
  c.task.close(fds[2]!)
  world.run()
  expect(second.state).toBe('done')
})

test('a process that ends while others wait for its locks lets them go on', () => {
  const fd = open(b)
  lock(a, open(a), F_SETLK, F_WRLCK)
  flock(c, open(c), LOCK_EX)
  const waiting = [lock(b, fd, F_SETLKW, F_WRLCK), flock(b, fd, LOCK_EX)]
  world.exit(a)
  world.exit(c)
  world.run()
  expect(waiting.map(({ state }) => state)).toEqual(['done', 'done'])
})

test('A344 A349 A351 ranges split and merge as a lock for each byte would', () => {
  const SIZE = 12
  const step = fc.record({
    who: fc.integer({ min: 0, max: 3 }),
    type: fc.constantFrom(F_RDLCK, F_WRLCK, F_UNLCK),
    start: fc.integer({ min: 0, max: SIZE - 1 }),
    length: fc.integer({ min: 0, max: SIZE }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const local = new World()
      const processes = [local.process(), local.process(), local.process()]
      // The last owner is an open file of the first process.
      const fds = [...processes.map((each) => open(each)), open(processes[0]!)]
      /** For each owner what it has of each byte; the last byte stands for all that follow. */
      const model = fds.map(() => new Array<number>(SIZE + 1).fill(F_UNLCK))
      for (const { who, type, start, length } of steps) {
        const process = processes[who % 3]!
        const fd = fds[who]!
        const end = length === 0 || start + length > SIZE ? SIZE + 1 : start + length
        const asked = range(type, start, end === SIZE + 1 ? 0 : end - start)
        const clash = (other: number, at: number) =>
          other !== who && (type === F_WRLCK ? model[other]![at] !== F_UNLCK : model[other]![at] === F_WRLCK)
        let allowed = true
        for (let at = start; at < end; at++)
          if (type !== F_UNLCK && fds.some((_, other) => clash(other, at))) allowed = false
        const ofFile = who === 3
        if (type !== F_UNLCK) {
          const told = process.events.fcntl(fd, ofFile ? F_OFD_GETLK : F_GETLK, asked)
          expect(told.type === F_UNLCK).toBe(allowed)
        }
        const command = ofFile ? F_OFD_SETLK : F_SETLK
        const call = local.call(process.task, () => process.events.fcntl(fd, command, asked))
        expect(call.outcome).toBe(allowed ? undefined : 'EAGAIN')
        if (allowed) model[who]!.fill(type, start, end)
        let runs = 0
        for (const bytes of model)
          for (let at = 0; at <= SIZE; at++) if (bytes[at] !== F_UNLCK && bytes[at] !== bytes[at - 1]) runs++
        const [locks] = local.superblock.locks?.values() ?? []
        expect(locks?.ranges.length ?? 0).toBe(runs)
      }
      local.end()
      expect(local.live).toEqual(NOTHING_LEFT)
    }),
    { numRuns: 300 },
  )
})
