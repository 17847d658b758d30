/** epoll through a task's system calls. What Linux 6.18 does was seen with python3's select.epoll. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_NONBLOCK, O_RDWR, POLLERR, POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLONESHOT } from '../abi/linux-waiting.ts'
import { NOTHING_LEFT, World } from '../testing/waiting.ts'

let world: World
let task: ReturnType<World['process']>['task']
let events: ReturnType<World['process']>['events']

beforeEach(() => {
  world = new World()
  ;({ task, events } = world.process())
})

afterEach(() => {
  world.end()
  expect(world.live).toEqual(NOTHING_LEFT)
})

const outcome = (operation: () => unknown) => world.call(task, operation).outcome
const put = (fd: number, count = 1) => task.writev(fd, new Uint8Array(count), [0, count])
const take = (fd: number, count = 1) => task.readv(fd, new Uint8Array(count), [0, count])
const add = (epfd: number, fd: number, mask: number) =>
  outcome(() => events.epollCtl(epfd, EPOLL_CTL_ADD, fd, { events: mask, data: fd }))
const modify = (epfd: number, fd: number, mask: number) =>
  outcome(() => events.epollCtl(epfd, EPOLL_CTL_MOD, fd, { events: mask, data: fd }))
const remove = (epfd: number, fd: number) => outcome(() => events.epollCtl(epfd, EPOLL_CTL_DEL, fd))
/** What is ready now: descriptor and events. */
const ready = (epfd: number, limit = 10) =>
  events.epollWait(epfd, limit, 0n).map(({ data, events: told }) => [data, told])
const queueOf = (fd: number) => task.descriptors.get(fd).stream!.queue

test('A334 files and directories are always ready to poll, and are not for epoll', () => {
  const file = task.openat(AT_FDCWD, '/f', O_CREAT | O_RDWR, 0o600)
  const dir = task.openat(AT_FDCWD, '/', 0, 0)
  const both = POLLIN | POLLOUT
  expect(
    task.poll(
      [file, dir].map((fd) => ({ fd, events: both })),
      undefined,
    ),
  ).toEqual([both, both])
  const epfd = events.epollCreate1()
  expect([add(epfd, file, POLLIN), add(epfd, dir, POLLIN)]).toEqual(['EPERM', 'EPERM'])
})

test('A335 a pair is added once, and must be there to be changed; another number of the same file is another pair', () => {
  const epfd = events.epollCreate1()
  const [r] = events.pipe2()
  expect([modify(epfd, r, POLLIN), remove(epfd, r)]).toEqual(['ENOENT', 'ENOENT'])
  expect([add(epfd, r, POLLIN), add(epfd, r, POLLIN)]).toEqual([undefined, 'EEXIST'])
  expect(add(epfd, events.dup(r), POLLIN)).toBe(undefined)
  expect(add(epfd, 99, POLLIN)).toBe('EBADF')
  expect(outcome(() => events.epollCtl(r, EPOLL_CTL_ADD, epfd))).toBe('EINVAL')
  expect(outcome(() => events.epollCtl(epfd, 9, r))).toBe('EINVAL')
  expect(outcome(() => events.epollWait(epfd, 0, 0n))).toBe('EINVAL')
  expect(remove(epfd, r)).toBe(undefined)
})

test('A336 an instance does not watch itself, nor in a circle, nor more than five in a row from wherever it grows', () => {
  const make = () => events.epollCreate1()
  const [a, b] = [make(), make()]
  expect([add(a, a, POLLIN), add(a, b, POLLIN), add(b, a, POLLIN)]).toEqual(['EINVAL', undefined, 'ELOOP'])
  const up = Array.from({ length: 6 }, make)
  expect(up.slice(1).map((outer, i) => add(outer, up[i]!, POLLIN))).toEqual([...Array(4).fill(undefined), 'ELOOP'])
  const down = Array.from({ length: 6 }, make)
  expect(down.slice(1).map((inner, i) => add(down[i]!, inner, POLLIN))).toEqual([...Array(4).fill(undefined), 'ELOOP'])
})

test('A337 errors and hang-ups are told of unasked', () => {
  const epfd = events.epollCreate1()
  const [r, w] = events.pipe2()
  const [r2, w2] = events.pipe2()
  add(epfd, r, 0)
  add(epfd, w2, 0)
  expect(ready(epfd)).toEqual([])
  task.close(w)
  task.close(r2)
  expect(ready(epfd)).toEqual([
    [r, POLLHUP],
    [w2, POLLERR],
  ])
})

test('A338 what stays ready is told of again, each in its turn', () => {
  const epfd = events.epollCreate1()
  const pipes = [events.pipe2(), events.pipe2(), events.pipe2()]
  for (const [r] of pipes) add(epfd, r, POLLIN)
  for (const [, w] of pipes) put(w)
  const [a, b, c] = pipes.map(([r]) => [r, POLLIN])
  expect([1, 2, 3, 4].map(() => ready(epfd, 1))).toEqual([[a], [b], [c], [a]])
  take(pipes[1]![0])
  expect(ready(epfd)).toEqual([c, a])
})

test('A338 edge-triggered: told of once for each thing that happens, not for what a reader leaves', () => {
  const epfd = events.epollCreate1()
  const [r, w] = events.pipe2(O_NONBLOCK)
  add(epfd, r, POLLIN | EPOLLET)
  put(w)
  expect([ready(epfd), ready(epfd)]).toEqual([[[r, POLLIN]], []])
  put(w)
  expect(ready(epfd)).toEqual([[r, POLLIN]])
  take(r)
  expect(ready(epfd)).toEqual([])
  const writing = events.epollCreate1()
  add(writing, w, POLLOUT | EPOLLET)
  expect([ready(writing), ready(writing)]).toEqual([[[w, POLLOUT]], []])
  take(r)
  expect(ready(writing)).toEqual([])
  put(w, 65_536)
  take(r, 5000)
  expect(ready(writing)).toEqual([[w, POLLOUT]])
})

test('A338 one-shot: told of once, until it is modified', () => {
  const epfd = events.epollCreate1()
  const [r, w] = events.pipe2()
  add(epfd, r, POLLIN | EPOLLONESHOT)
  put(w)
  expect([ready(epfd), ready(epfd)]).toEqual([[[r, POLLIN]], []])
  put(w)
  expect(ready(epfd)).toEqual([])
  expect(queueOf(r).size).toBe(0)
  modify(epfd, r, POLLIN | EPOLLONESHOT)
  expect([ready(epfd), ready(epfd)]).toEqual([[[r, POLLIN]], []])
})

test('A339 A036 interest ends with the last descriptor of the file', () => {
  const epfd = events.epollCreate1()
  const [r, w] = events.pipe2()
  add(epfd, r, POLLIN)
  const copy = events.dup(r)
  put(w)
  task.close(r)
  expect(ready(epfd)).toEqual([[r, POLLIN]])
  const { queue } = task.descriptors.get(copy).stream!
  task.close(copy)
  expect(ready(epfd)).toEqual([])
  expect(queue.size).toBe(0)
})

test('A340 an instance in an instance is readable when a member is, and wakes who waits', () => {
  const [inner, middle, outer] = [events.epollCreate1(), events.epollCreate1(), events.epollCreate1()]
  const [r, w] = events.pipe2()
  add(inner, r, POLLIN)
  add(middle, inner, POLLIN)
  add(outer, middle, POLLIN)
  const waiting = world.call(task, () => events.epollWait(outer, 1, undefined))
  expect(waiting.outcome).toBe('waiting')
  put(w)
  world.run()
  expect(waiting.outcome).toEqual([{ data: middle, events: POLLIN }])
  take(r)
  expect([ready(outer), task.poll([{ fd: inner, events: POLLIN }], 0n)]).toEqual([[], [0]])
})

test('epoll_wait waits for its members or its deadline, and leaves no queue behind when it is killed', () => {
  const epfd = events.epollCreate1()
  const [r] = events.pipe2()
  add(epfd, r, POLLIN)
  const deadline = world.now + 10n
  const waiting = world.call(task, () => events.epollWait(epfd, 1, deadline))
  const killed = world.call(task, () => events.epollWait(epfd, 1, undefined))
  expect([waiting.deadline, queueOf(epfd).size]).toEqual([deadline, 2])
  killed.kill()
  world.now = deadline
  waiting.wake()
  world.run()
  expect([waiting.outcome, queueOf(epfd).size, queueOf(r).size]).toEqual([[], 0, 1])
  task.close(epfd)
  expect(queueOf(r).size).toBe(0)
})

test('A317 an instance is neither read nor written nor locked', () => {
  const epfd = events.epollCreate1()
  const memory = new Uint8Array(4)
  expect(outcome(() => task.readv(epfd, memory, [0, 4]))).toBe('EINVAL')
  expect(outcome(() => task.writev(epfd, memory, [0, 4]))).toBe('EINVAL')
  expect(outcome(() => task.preadv(epfd, memory, [0, 4], 0))).toBe('ESPIPE')
  expect(outcome(() => events.flock(epfd, 1))).toBe('ENOLCK')
})
