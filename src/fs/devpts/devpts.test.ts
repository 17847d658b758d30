/** What Linux 6.18 answered is what is expected here; its answers were asked for with Python. */

import { describe, expect, test } from 'vitest'
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CREAT,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from '../../abi/linux.ts'
import { IN_CREATE, IN_DELETE } from '../../abi/linux-waiting.ts'
import type { DeviceRegistry } from '../../devices/device-registry.ts'
import { terminalDevices } from '../../devices/terminal-devices.ts'
import { bootWorld } from '../../host/world.ts'
import { EventCalls } from '../../kernel/event-calls.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { Task } from '../../kernel/task.ts'
import { type Actor, inWorld, outcome, type World } from '../../testing/host-world.ts'
import { NOTHING_LEFT, World as WaitingWorld } from '../../testing/waiting.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { resolve } from '../../vfs/path-walk.ts'
import { devptsType, terminalPairs } from './devpts.ts'

const DEVICES = [...terminalDevices, ...terminalPairs]

function withDevpts(run: (world: World) => void): void {
  inWorld({ types: [devptsType] }, (world) => {
    for (const device of DEVICES) world.devices.register(device)
    mount(world, '/pts')
    run(world)
  })
}

function mount(world: World, path: string, data = 'ptmxmode=666'): void {
  const { vfs } = world
  world.mkdir(path)
  vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'devpts', data })), world.place(path))
}

const NOW = O_RDWR | O_NONBLOCK
const names = ({ task }: Actor, path = '/pts') => {
  const fd = task.openat(AT_FDCWD, path, O_RDONLY, 0)
  const found = task.getdents(fd, 2, 1e6).map(({ name }) => name)
  task.close(fd)
  return found
}
const polled = ({ task }: Actor, fd: number) => {
  const [events] = task.poll([{ fd, events: POLLIN | POLLOUT }], 0n)
  const all = { IN: POLLIN, OUT: POLLOUT, ERR: POLLERR, HUP: POLLHUP }
  return Object.entries(all).flatMap(([name, bit]) => (events! & bit ? name : []))
}
/** What a read gives, or its error. */
const got = (actor: Actor, fd: number, length = 100) => {
  try {
    return actor.get(fd, length)
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe('B166 options', () => {
  test.each([
    ['', 'mode=600,ptmxmode=000'],
    ['newinstance', 'mode=600,ptmxmode=000'],
    ['mode=620,gid=5', 'gid=5,mode=620,ptmxmode=000'],
    ['ptmxmode=0666,uid=5', 'uid=5,mode=600,ptmxmode=666'],
    ['max=2,mode=4755', 'mode=4755,ptmxmode=000,max=2'],
    ['max=0', 'mode=600,ptmxmode=000,max=0'],
  ])('"%s" is shown as %s', (data, shown) =>
    inWorld({ types: [devptsType] }, ({ vfs }) => {
      expect(vfs.newFilesystem({ type: 'devpts', data }).filesystem.options).toBe(shown)
    }),
  )

  test.each(['color=red', 'mode=8', 'mode', 'uid=-1', 'uid=x', 'gid=4294967295', 'max=2000000', 'newinstance=1'])(
    '"%s" is EINVAL',
    (data) =>
      inWorld({ types: [devptsType] }, ({ vfs }) => {
        expect(outcome(() => vfs.newFilesystem({ type: 'devpts', data }))).toBe('EINVAL')
        expect(() => vfs.newFilesystem({ type: 'devpts', data })).toThrow(`devpts option "${data}"`)
      }),
  )

  test('say who owns terminals, and how many there may be', () =>
    withDevpts((world) => {
      mount(world, '/few', 'max=1,uid=7,gid=5,mode=620,ptmxmode=666')
      const user = world.as(1000)
      const fd = user.open('/few/ptmx', O_RDWR)
      expect(world.stat('/few/0')).toMatchObject({ uid: 7, gid: 5, mode: 0o20620 })
      expect(outcome(() => user.open('/few/ptmx', O_RDWR))).toBe('ENOSPC')
      expect(outcome(() => user.open('/few/0', O_RDWR))).toBe('EACCES')
      user.task.close(fd)
      mount(world, '/private', '')
      expect(outcome(() => user.open('/private/ptmx', O_RDWR))).toBe('EACCES')
    }))
})

test('B167 every mount is an instance of its own, as on Linux since 4.7, with or without newinstance', () =>
  withDevpts((world) => {
    mount(world, '/b', 'newinstance,ptmxmode=666')
    mount(world, '/c')
    const fds = ['/pts', '/b', '/b'].map((at) => world.open(`${at}/ptmx`, O_RDWR))
    expect(['/pts', '/b', '/c'].map((at) => names(world, at))).toEqual([['ptmx', '0'], ['ptmx', '0', '1'], ['ptmx']])
    expect(world.stat('/pts').dev).not.toBe(world.stat('/b').dev)
    for (const fd of fds) world.task.close(fd)
    const mounts = new MountCalls(world.vfs, world.task)
    const before = world.vfs.anonymousDevices.inUse
    for (const at of ['/b', '/c']) mounts.umount2(at)
    expect(world.vfs.anonymousDevices.inUse).toBe(before - 2)
  }))

describe('B168 terminals', () => {
  test('have inode numbers from 3 on, mode 0600 and the owner of who opened ptmx', () =>
    withDevpts((world) => {
      expect([world.stat('/pts'), world.stat('/pts/ptmx')]).toMatchObject([
        { ino: 1, mode: 0o40755, nlink: 2 },
        { ino: 2, mode: 0o20666, rdev: makeDevice(5, 2) },
      ])
      expect(world.host.statfs('/pts').type).toBe(0x1cd1)
      const user = world.as(1000)
      // An open for reading alone makes one, too; one that only names the file does not.
      const fds = [user.open('/pts/ptmx', O_RDWR), world.open('/pts/ptmx', O_RDONLY), world.open('/pts/ptmx', O_PATH)]
      expect(names(world)).toEqual(['ptmx', '0', '1'])
      expect([world.stat('/pts/0'), world.stat('/pts/1')]).toMatchObject([
        { ino: 3, mode: 0o20600, uid: 1000, gid: 1000, rdev: makeDevice(136, 0), nlink: 1 },
        { ino: 4, mode: 0o20600, uid: 0, gid: 0, rdev: makeDevice(136, 1) },
      ])
      for (const name of ['00', '2', '-1', 'x']) expect(outcome(() => world.stat(`/pts/${name}`))).toBe('ENOENT')
      user.task.close(fds[0]!)
      for (const fd of fds.slice(1)) world.task.close(fd)
    }))

  test('go when the master is closed: ENOENT by the name, the end of input and EIO for who has one open; then the number is free', () =>
    withDevpts((world) => {
      const { task } = world
      mount(world, '/few', 'max=2,ptmxmode=666')
      const [master, other] = [world.open('/few/ptmx', NOW), world.open('/few/ptmx', NOW)]
      const slave = world.open('/few/0', NOW)
      world.put(master, 'typed\n')
      task.close(master)
      expect(names(world, '/few')).toEqual(['ptmx', '1'])
      expect(outcome(() => world.open('/few/0', NOW))).toBe('ENOENT')
      expect([polled(world, slave), got(world, slave), outcome(() => world.put(slave, 'x'))]).toEqual([
        ['IN', 'OUT', 'ERR', 'HUP'],
        '',
        'EIO',
      ])
      expect(task.fstat(slave).nlink).toBe(0)
      expect(outcome(() => world.open('/few/ptmx', NOW))).toBe('ENOSPC')
      task.close(slave)
      const again = world.open('/few/ptmx', NOW)
      expect(world.stat('/few/0').ino).toBe(3)
      for (const fd of [other, again]) task.close(fd)
      expect(names(world, '/few')).toEqual(['ptmx'])
    }))

  test('come and go before the eyes of who watches the directory', () =>
    withDevpts((world) => {
      const events = new EventCalls(world.task)
      const watcher = events.inotifyInit1(0)
      events.inotifyAddWatch(watcher, '/pts', IN_CREATE | IN_DELETE)
      world.task.close(world.open('/pts/ptmx', O_RDWR))
      const memory = new Uint8Array(100)
      const length = world.task.readv(watcher, memory, [0, 100])
      const masks = new Uint32Array(memory.slice(0, length).buffer)
      expect([masks[1], masks[9]]).toEqual([IN_CREATE, IN_DELETE])
      world.task.close(watcher)
    }))
})

test('B169 nothing can be made, removed or renamed in it; owners and modes can be changed', () =>
  withDevpts((world) => {
    const { task, host } = world
    const fd = world.open('/pts/ptmx', O_RDWR)
    const calls: Record<string, () => unknown> = {
      create: () => world.open('/pts/x', O_CREAT | O_WRONLY),
      mkdir: () => world.mkdir('/pts/x'),
      unlink: () => task.unlinkat(AT_FDCWD, '/pts/0', 0),
      'unlink of ptmx': () => task.unlinkat(AT_FDCWD, '/pts/ptmx', 0),
      rename: () => task.renameat2(AT_FDCWD, '/pts/0', AT_FDCWD, '/pts/9', 0),
      link: () => task.linkat(AT_FDCWD, '/pts/0', AT_FDCWD, '/pts/9', 0),
      symlink: () => task.symlinkat('a', AT_FDCWD, '/pts/9'),
      mknod: () => world.mknod('/pts/n', 'fifo'),
      rmdir: () => task.unlinkat(AT_FDCWD, '/pts/0', AT_REMOVEDIR),
      chmod: () => world.chmod('/pts/0', 0o644),
      chown: () => world.chown('/pts/0', 7, 7),
      truncate: () => task.truncate('/pts/0', 3),
      'user attribute': () => host.setxattr('/pts/0', 'user.a', new Uint8Array(1), 0),
      'trusted attribute': () => host.setxattr('/pts/0', 'trusted.a', new Uint8Array(1), 0),
    }
    expect(Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, outcome(call)]))).toEqual({
      ...{ create: 'EACCES', mkdir: 'EPERM', unlink: 'EPERM', 'unlink of ptmx': 'EPERM', rename: 'EPERM' },
      ...{ link: 'EPERM', symlink: 'EPERM', mknod: 'EPERM', rmdir: 'ENOTDIR', chmod: 'ok', chown: 'ok' },
      ...{ truncate: 'EINVAL', 'user attribute': 'EPERM', 'trusted attribute': 'EOPNOTSUPP' },
    })
    expect(world.stat('/pts/0')).toMatchObject({ mode: 0o20644, uid: 7, gid: 7 })
    task.close(fd)
  }))

describe('the two ends', () => {
  test('what one writes the other reads, through the line discipline; EIO for the master while nobody has the slave', () =>
    withDevpts((world) => {
      const { task } = world
      const master = world.open('/pts/ptmx', NOW)
      expect([polled(world, master), got(world, master)]).toEqual([['OUT'], 'EAGAIN'])
      world.put(master, 'early\n')
      expect([got(world, master), polled(world, master)]).toEqual(['early\r\n', ['OUT']])
      let slave = world.open('/pts/0', NOW)
      expect([got(world, slave), polled(world, slave)]).toEqual(['early\n', ['OUT']])
      for (const text of ['o', 'ut\n']) world.put(slave, text)
      task.close(slave)
      expect(polled(world, master)).toEqual(['IN', 'OUT', 'HUP'])
      expect([got(world, master), got(world, master), polled(world, master)]).toEqual([
        'out\r\n',
        'EIO',
        ['OUT', 'HUP'],
      ])
      world.put(master, 'while closed\n')
      expect([got(world, master, 6), got(world, master), got(world, master)]).toEqual(['while ', 'closed\r\n', 'EIO'])
      slave = world.open('/pts/0', NOW)
      expect([polled(world, master), got(world, master)]).toEqual([['OUT'], 'EAGAIN'])
      expect(got(world, slave)).toBe('while closed\n')
      world.put(master, 'typed\n')
      expect(polled(world, slave)).toEqual(['IN', 'OUT'])
      for (const fd of [master, slave]) expect(outcome(() => task.lseek(fd, 0, 0))).toBe('ESPIPE')
      task.close(master)
      task.close(slave)
    }))

  test('who waits is woken by what the other end does', () => {
    const world = new WaitingWorld()
    world.vfs.types.register(devptsType)
    for (const device of DEVICES) (world.vfs.devices as DeviceRegistry).register(device)
    const [server, client] = [world.process(), world.process()]
    const { task } = server
    task.mkdirat(AT_FDCWD, '/pts', 0o755)
    const { vfs } = world
    vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'devpts' })), resolve(task, task.root, '/pts', true))
    const open = (by: typeof server, path: string) => by.task.openat(AT_FDCWD, path, O_RDWR, 0)
    const read = (by: typeof server, fd: number) =>
      world.call(by.task, () => {
        const memory = new Uint8Array(100)
        return Buffer.from(memory.subarray(0, by.task.readv(fd, memory, [0, 100]))).toString()
      })
    const write = (by: typeof server, fd: number, text: string) =>
      world.call(by.task, () => by.task.writev(fd, Buffer.from(text), [0, text.length]))
    const master = open(server, '/pts/ptmx')
    const first = read(server, master)
    const slave = open(client, '/pts/0')
    const line = read(client, slave)
    expect([first.outcome, line.outcome]).toEqual(['waiting', 'waiting'])
    write(client, slave, 'name? ')
    world.run()
    expect(first.outcome).toBe('name? ')
    write(server, master, 'Ada\n')
    world.run()
    expect(line.outcome).toBe('Ada\n')
    expect(read(server, master).outcome).toBe('Ada\r\n')
    // Neither end is written to without limit while the other does not read.
    const flood = [write(client, slave, 'x'.repeat(20_000)), write(client, slave, 'y')]
    expect(flood.map(({ outcome }) => outcome)).toEqual([20_000, 'waiting'])
    while (flood[1]!.state === 'waiting') {
      read(server, master)
      world.run()
    }
    expect(flood[1]!.outcome).toBe(1)
    const typed = [1, 2, 3].map(() => write(server, master, 'z\n'.repeat(6000)))
    expect(typed.map(({ outcome }) => outcome)).toEqual([12_000, 12_000, 'waiting'])
    expect(read(client, slave).outcome).toBe('z\n')
    for (let more = read(client, slave); more.state !== 'waiting'; ) more = read(client, slave)
    world.run()
    expect(typed[2]!.outcome).toBe(12_000)
    world.exit(server)
    world.run()
    expect(read(client, slave).outcome).toBe('')
    expect(write(client, slave, 'x').outcome).toBe('EIO')
    world.end()
    expect(world.live).toMatchObject({ ...NOTHING_LEFT, woken: expect.any(Number) })
  })
})

describe('a session', () => {
  const session = () => {
    const heard: string[] = []
    return { heard, terminal: undefined, hear: (signal: string) => void heard.push(signal) }
  }

  test('gets its terminal by opening one for reading that is nobody’s, and hears its signals; /dev/tty leads there', () =>
    withDevpts((world) => {
      world.mknod('/tty', 'char', 0o666, makeDevice(5, 0))
      const [one, two] = [session(), session()]
      const [a, b] = [one, two].map((each) => world.as(0, {}, { session: each })) as [Actor, Actor]
      const master = world.open('/pts/ptmx', NOW)
      a.task.close(a.open('/pts/0', O_WRONLY))
      expect(one.terminal).toBeUndefined()
      const fds = [a.open('/pts/0', NOW), b.open('/pts/0', NOW)]
      expect(one.terminal).toBeDefined()
      expect(two.terminal).toBeUndefined()
      expect(outcome(() => b.open('/tty'))).toBe('ENXIO')
      const tty = a.open('/tty', NOW)
      a.put(tty, 'hello\n')
      expect(world.get(master)).toBe('hello\r\n')
      world.put(master, '\x03')
      expect([one.heard, two.heard]).toEqual([['SIGINT'], []])
      world.task.close(master)
      expect(one.heard).toEqual(['SIGINT', 'SIGHUP'])
      expect(one.terminal).toBeUndefined()
      for (const fd of [fds[0]!, tty]) a.task.close(fd)
      b.task.close(fds[1]!)
    }))

  test('is not controlled by a terminal that it serves itself: nobody can say O_NOCTTY', () =>
    withDevpts((world) => {
      const own = session()
      const actor = world.as(0, {}, { session: own })
      const master = actor.open('/pts/ptmx', NOW)
      const slave = actor.open('/pts/0', NOW)
      actor.task.close(master)
      expect([own.terminal, own.heard, got(actor, slave)]).toEqual([undefined, [], ''])
      actor.task.close(slave)
    }))

  test('leaves its terminal to the next when it ends', () =>
    withDevpts((world) => {
      const [one, two] = [session(), session()]
      const master = world.open('/pts/ptmx', NOW)
      const { vfs, task } = world
      const first = new Task({ vfs, credentials: task.credentials, root: task.root, session: one })
      first.openat(AT_FDCWD, '/pts/0', NOW, 0)
      first.release()
      expect(one.terminal).toBeUndefined()
      const second = world.as(0, {}, { session: two })
      const fd = second.open('/pts/0', NOW)
      world.put(master, '\x1c')
      expect([one.heard, two.heard]).toEqual([[], ['SIGQUIT']])
      second.task.close(fd)
      world.task.close(master)
    }))
})

test('nodes elsewhere: ptmx means the devpts on the pts beside it; a terminal has none', () =>
  withDevpts((world) => {
    const { task } = world
    world.mknod('/ptmx', 'char', 0o666, makeDevice(5, 2))
    world.mkdir('/dev')
    world.mknod('/dev/ptmx', 'char', 0o666, makeDevice(5, 2))
    const fd = world.open('/ptmx', O_RDWR)
    expect(names(world)).toEqual(['ptmx', '0'])
    world.mknod('/terminal', 'char', 0o666, makeDevice(136, 0))
    expect(outcome(() => world.open('/terminal', O_RDWR))).toBe('EIO')
    task.close(fd)
    expect(outcome(() => world.open('/dev/ptmx', O_RDWR))).toBe('ENOENT')
    world.mkdir('/dev/pts')
    expect(outcome(() => world.open('/dev/ptmx', O_RDWR))).toBe('ENODEV')
  }))

test('A010 A011 all may mount devpts and see it', async () => {
  const { runtime, close } = bootWorld()
  const { userMountable, userListable } = runtime.vfs.types.lookup('devpts')!
  expect([userMountable, userListable]).toEqual([true, true])
  await close()
})
