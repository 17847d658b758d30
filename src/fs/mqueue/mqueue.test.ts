/** What Linux 6.18 answered is what is expected here, but for the number of queues, which it limits by their memory as well. */

import { expect, test } from 'vitest'
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  SEEK_END,
  SEEK_SET,
} from '../../abi/linux.ts'
import { bootWorld } from '../../host/world.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { endClean } from '../../oci/test-world.ts'
import { inWorld, outcome, type World } from '../../testing/host-world.ts'
import { mqueueType } from './mqueue.ts'

const STATUS = 'QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n'

function withQueues(run: (world: World) => void): void {
  inWorld({ types: [mqueueType()] }, (world) => {
    mount(world, '/mq')
    run(world)
  })
}

function mount(world: World, path: string, internal?: object): void {
  const { vfs } = world
  world.mkdir(path)
  vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'mqueue', internal })), world.place(path))
}

test('B183 a queue is a file that is made; it says how it stands, and cannot be written', () =>
  withQueues((world) => {
    const { task } = world
    expect(world.stat('/mq')).toMatchObject({ mode: 0o41777, nlink: 2, size: 40 })
    expect(world.host.statfs('/mq').type).toBe(0x19800202)
    const user = world.as(1000)
    const fd = user.open('/mq/q', O_CREAT | O_RDWR, 0o644)
    expect(world.stat('/mq').size).toBe(60)
    expect(world.stat('/mq/q')).toMatchObject({ mode: 0o100644, nlink: 1, size: 80, uid: 1000 })
    expect([user.get(fd), user.get(fd), outcome(() => user.put(fd, 'x'))]).toEqual([STATUS, '', 'EINVAL'])
    const memory = new Uint8Array(5)
    expect([user.task.preadv(fd, memory, [0, 5], 3), Buffer.from(memory).toString()]).toEqual([5, 'ZE:0 '])
    expect([user.task.lseek(fd, 0, SEEK_SET), user.task.lseek(fd, 0, SEEK_END)]).toEqual([0, 80])
    task.close(world.open('/mq/q', O_TRUNC | O_WRONLY))
    expect(world.read('/mq/q')).toBe(STATUS)
    user.task.close(fd)
  }))

test('B183 queues are removed, by their owner; nothing else is made, linked or renamed; modes and owners can be changed', () =>
  withQueues((world) => {
    const { task, host } = world
    for (const name of ['q', 'r', 's']) world.write(`/mq/${name}`)
    const calls: Record<string, () => unknown> = {
      mkdir: () => world.mkdir('/mq/d'),
      rename: () => task.renameat2(AT_FDCWD, '/mq/q', AT_FDCWD, '/mq/x', 0),
      link: () => task.linkat(AT_FDCWD, '/mq/q', AT_FDCWD, '/mq/x', 0),
      symlink: () => task.symlinkat('a', AT_FDCWD, '/mq/x'),
      fifo: () => world.mknod('/mq/x', 'fifo'),
      rmdir: () => task.unlinkat(AT_FDCWD, '/mq/q', AT_REMOVEDIR),
      attribute: () => host.setxattr('/mq/q', 'user.a', new Uint8Array(1), 0),
      chmod: () => world.chmod('/mq/q', 0o640),
      chown: () => world.chown('/mq/q', 7, 7),
      stranger: () => world.as(1000).task.unlinkat(AT_FDCWD, '/mq/q', 0),
    }
    expect(Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, outcome(call)]))).toEqual({
      ...{ mkdir: 'EPERM', rename: 'EPERM', link: 'EPERM', symlink: 'EPERM', fifo: 'EPERM', rmdir: 'ENOTDIR' },
      ...{ attribute: 'EOPNOTSUPP', chmod: 'ok', chown: 'ok', stranger: 'EPERM' },
    })
    const fd = world.open('/mq/q', O_RDONLY)
    task.unlinkat(AT_FDCWD, '/mq/q', 0)
    expect([outcome(() => world.stat('/mq/q')), world.get(fd), task.fstat(fd).nlink]).toEqual(['ENOENT', STATUS, 0])
    task.close(fd)
    const directory = world.open('/mq')
    expect(task.getdents(directory, 2, 1000).map(({ name }) => name)).toEqual(['r', 's'])
    task.close(directory)
  }))

test('B183 a namespace has one instance, which goes with its last mount; no options, and 256 queues', () =>
  withQueues((world) => {
    const one = {}
    mount(world, '/a', one)
    mount(world, '/b', one)
    mount(world, '/c', {})
    world.write('/a/q', '')
    expect(world.stat('/a').dev).toBe(world.stat('/b').dev)
    expect([world.read('/b/q'), outcome(() => world.stat('/c/q')), outcome(() => world.stat('/mq/q'))]).toEqual([
      STATUS,
      'ENOENT',
      'ENOENT',
    ])
    for (let i = 1; i < 256; i++) world.write(`/b/${i}`, '')
    expect(outcome(() => world.write('/a/more', ''))).toBe('ENOSPC')
    const mounts = new MountCalls(world.vfs, world.task)
    for (const path of ['/a', '/b', '/c']) mounts.umount2(path)
    mount(world, '/again', one)
    expect(world.stat('/again').size).toBe(40)
    expect(outcome(() => world.vfs.newFilesystem({ type: 'mqueue', data: 'color=red' }))).toBe('EINVAL')
  }))

test('B183 a container has its own queues, at every place where they are mounted', async () => {
  const world = bootWorld()
  const { runtime } = world
  const mounts = ['/dev/mqueue', '/queues'].map((destination) => ({ destination, type: 'mqueue' }))
  for (const id of ['a', 'b']) expect(await runtime.create(id, { mounts })).toEqual({ warnings: [] })
  await runtime.files('a').writeFile('/queues/q', new Uint8Array(0), O_CREAT | O_WRONLY, 0o600)
  expect(Buffer.from(await runtime.files('a').readFile('/dev/mqueue/q')).toString()).toBe(STATUS)
  expect(await runtime.files('b').readdir('/queues', false)).toEqual([])
  await endClean(world)
})
