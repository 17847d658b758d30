import { expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import { LOCK_EX, LOCK_NB } from '../../abi/linux-waiting.ts'
import { WINDOW } from '../../abi/terminal.ts'
import type { Device } from '../../devices/device-registry.ts'
import { memoryDevices } from '../../devices/memory-devices.ts'
import { PseudoTerminal } from '../../devices/pseudo-terminal.ts'
import { terminalDevices } from '../../devices/terminal-devices.ts'
import { bootWorld } from '../../host/world.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { Task } from '../../kernel/task.ts'
import { inWorld, outcome, type World } from '../../testing/host-world.ts'
import { credentialsOf } from '../../vfs/context.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { lockWhole } from '../../vfs/locks.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { devtmpfsTypes } from './devtmpfs.ts'

/** A world with the devices of a sandbox and these. */
function withDevices(further: readonly Device[], run: (world: World) => void): void {
  inWorld({}, (world) => {
    const { devices, vfs } = world
    for (const each of [...memoryDevices({ fill: () => {} }), ...terminalDevices, ...further]) devices.register(each)
    for (const type of devtmpfsTypes(devices)) vfs.types.register(type)
    run(world)
  })
}

function mount(world: World, path: string, type = 'devtmpfs', data = '', internal?: unknown): void {
  const { vfs } = world
  world.mkdir(path)
  vfs.attach(vfs.newMount(vfs.newFilesystem({ type, data, internal })), world.place(path))
}

/** What is below a directory: links with their targets, devices with their numbers. */
function listing({ task }: World, path: string): Record<string, string> {
  const found: Record<string, string> = {}
  const fd = task.openat(AT_FDCWD, path, O_RDONLY, 0)
  for (const { name, kind } of task.getdents(fd, 2, 1e6)) {
    const at = `${path}/${name}`
    const { mode, rdev } = task.fstatat(AT_FDCWD, at, 0x100)
    const bits = (mode & 0o7777).toString(8)
    found[name] =
      kind === 'symlink'
        ? task.readlinkat(AT_FDCWD, at)
        : kind === 'directory'
          ? `directory ${bits}`
          : `${kind} ${Math.floor(rdev / 0x100000)}:${rdev % 0x100000} ${bits}`
  }
  task.close(fd)
  return found
}

test('B155 B157 B159 B160 B164 C198 it has the devices, each with a link by its number, and the links and directories that programs expect; no tun', () =>
  withDevices([], (world) => {
    mount(world, '/dev')
    expect(world.mode('/dev')).toBe(0o755)
    expect(listing(world, '/dev')).toEqual({
      null: 'char 1:3 666',
      zero: 'char 1:5 666',
      full: 'char 1:7 666',
      random: 'char 1:8 666',
      urandom: 'char 1:9 666',
      tty: 'char 5:0 666',
      console: 'char 5:1 600',
      fd: '/proc/self/fd',
      stdin: '/proc/self/fd/0',
      stdout: '/proc/self/fd/1',
      stderr: '/proc/self/fd/2',
      ptmx: 'pts/ptmx',
      char: 'directory 755',
      shm: 'directory 755',
      pts: 'directory 755',
    })
    const links = listing(world, '/dev/char')
    expect(links).toMatchObject({ '1:3': '../null', '5:0': '../tty' })
    for (const name of Object.keys(links))
      expect(`${world.stat(`/dev/char/${name}`).rdev}`).toBe(
        String(makeDevice(...(name.split(':').map(Number) as [number, number]))),
      )
    world.mkdir('/dev/net')
    world.mknod('/dev/net/tun', 'char', 0o666, makeDevice(10, 200))
    expect(outcome(() => world.open('/dev/net/tun'))).toBe('ENXIO')
    world.write('/dev/null', 'gone')
    expect(world.read('/dev/null')).toBe('')
    expect(outcome(() => world.write('/dev/full', 'x'))).toBe('ENOSPC')
  }))

test('B155 all mounts of devtmpfs show one instance, which stays when none is left; B156 each dev is its own', () =>
  withDevices([], (world) => {
    const { vfs, task } = world
    mount(world, '/a')
    mount(world, '/b', 'devtmpfs', 'mode=700')
    world.write('/a/note', 'hello')
    expect(world.read('/b/note')).toBe('hello')
    expect(world.stat('/a')).toEqual(world.stat('/b'))
    expect(outcome(() => vfs.newFilesystem({ type: 'devtmpfs', data: 'color=red' }))).toBe('EINVAL')
    mount(world, '/c', 'dev')
    mount(world, '/d', 'dev', 'mode=711', { shmMode: 0o1777 })
    expect(outcome(() => world.read('/c/note'))).toBe('ENOENT')
    world.write('/c/other')
    expect(outcome(() => world.stat('/d/other'))).toBe('ENOENT')
    expect([world.mode('/c'), world.mode('/d'), world.mode('/c/shm'), world.mode('/d/shm')]).toEqual([
      0o755, 0o711, 0o755, 0o1777,
    ])
    expect(world.stat('/c').dev).not.toBe(world.stat('/d').dev)
    const before = vfs.anonymousDevices.inUse
    const mounts = new MountCalls(vfs, task)
    for (const path of ['/a', '/b', '/c', '/d']) mounts.umount2(path)
    expect(vfs.anonymousDevices.inUse).toBe(before - 2)
    expect(outcome(() => task.fstatat(AT_FDCWD, '/a/note', 0))).toBe('ENOENT')
    world.mkdir('/again')
    vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'devtmpfs' })), world.place('/again'))
    expect(world.read('/again/note')).toBe('hello')
    mounts.umount2('/again')
  }))

test('B158 directories on the way to a device are made 0755; what is there already stays', () => {
  const open = () => {
    throw new Error('not opened')
  }
  const device = (minor: number, path: string): Device => ({ kind: 'block', major: 7, minor, path, open })
  withDevices([device(0, 'disk/by-id/one'), device(1, 'disk/by-id/one'), device(2, 'null')], (world) => {
    mount(world, '/dev')
    expect([world.mode('/dev/disk'), world.mode('/dev/disk/by-id')]).toEqual([0o755, 0o755])
    expect(listing(world, '/dev/disk/by-id')).toEqual({ one: 'block 7:0 600' })
    expect(listing(world, '/dev').null).toBe('char 1:3 666')
    expect(listing(world, '/dev/block')).toMatchObject({ '7:0': '../disk/by-id/one' })
  })
})

test('B163 tty and console are the terminal of the session, and ENXIO without one or when it was hung up', () =>
  withDevices([], (world) => {
    mount(world, '/dev')
    for (const name of ['tty', 'console']) expect(outcome(() => world.open(`/dev/${name}`, O_RDWR))).toBe('ENXIO')
    const { vfs } = world
    const shown: string[] = []
    const master = { shown: (bytes: Uint8Array) => void shown.push(Buffer.from(bytes).toString()) }
    const terminal = new PseudoTerminal(master, vfs.clock, WINDOW)
    const session = { terminal: undefined, hear() {} }
    const task = new Task({ vfs, credentials: credentialsOf(0, 0), root: world.task.root, session })
    terminal.control(session)
    for (const name of ['tty', 'console']) {
      const fd = task.openat(AT_FDCWD, `/dev/${name}`, O_RDWR, 0)
      task.writev(fd, Buffer.from(`${name}\n`), [0, name.length + 1])
      terminal.type(Buffer.from('typed\n'))
      const memory = new Uint8Array(10)
      expect(task.readv(fd, memory, [0, 10])).toBe(6)
      task.close(fd)
    }
    expect(shown.join('')).toBe('tty\r\ntyped\r\nconsole\r\ntyped\r\n')
    expect(terminal.opens).toBe(0)
    terminal.hangUp()
    expect(outcome(() => task.openat(AT_FDCWD, '/dev/tty', O_RDWR, 0))).toBe('ENXIO')
    task.release()
  }))

test('B162 the memory devices take locks, as on Linux 6.18', () =>
  withDevices([], (world) => {
    mount(world, '/dev')
    for (const name of ['null', 'zero', 'full', 'random', 'urandom']) {
      const [one, two] = [world.open(`/dev/${name}`, O_RDWR), world.open(`/dev/${name}`, O_RDWR)]
      const lock = (fd: number) => outcome(() => lockWhole(world.task.descriptors.get(fd), LOCK_EX | LOCK_NB))
      expect([lock(one), lock(two)]).toEqual(['ok', 'EAGAIN'])
      for (const fd of [one, two]) world.task.close(fd)
    }
  }))

test('A010 A011 devtmpfs is for all to mount and see, dev for the kernel alone', async () => {
  const { runtime, close } = bootWorld()
  const flags = ({ types }: Vfs, name: string) => {
    const type = types.lookup(name)
    return type && [type.userMountable, type.userListable]
  }
  expect(flags(runtime.vfs, 'devtmpfs')).toEqual([true, true])
  expect(flags(runtime.vfs, 'dev')).toEqual([false, false])
  await close()
})

test('B156 containers have a /dev each', async () => {
  const { runtime, close } = bootWorld()
  const mounts = [{ destination: '/dev', type: 'devtmpfs', options: ['nosuid', 'noexec', 'mode=0711'] }]
  for (const id of ['a', 'b']) expect(await runtime.create(id, { mounts })).toEqual({ warnings: [] })
  await runtime.files('a').writeFile('/dev/note', Buffer.from('x'), O_CREAT | O_WRONLY, 0o644)
  expect(await runtime.files('b').readdir('/dev', false)).not.toContain('note')
  expect((await runtime.files('b').stat('/dev')).mode & 0o7777).toBe(0o711)
  expect((await runtime.files('a').readFile('/dev/null')).length).toBe(0)
  await close()
})
