import { describe, expect, test } from 'vitest'
import { O_NONBLOCK, O_RDWR } from '../abi/linux.ts'
import { inWorld, outcome } from '../testing/host-world.ts'
import type { Opening } from '../vfs/context.ts'
import { makeDevice } from '../vfs/kinds.ts'
import { WaitQueue } from '../vfs/waiting.ts'
import { type Device, DeviceRegistry } from './device-registry.ts'
import { memoryDevices } from './memory-devices.ts'

const device = (major: number, minor: number, more: Partial<Device> = {}): Device => ({
  kind: 'char',
  major,
  minor,
  open: () => ({ poll: () => 0, queue: new WaitQueue() }),
  ...more,
})

test('A012 a number of a kind is registered once, and the first registration stays', () => {
  const devices = new DeviceRegistry()
  const first = device(10, 1)
  devices.register(first)
  expect(() => devices.register(device(10, 1))).toThrow('registered already')
  expect([...devices.all()]).toEqual([first])
})

test('A013 A015 a node without a device is made, and fails when it is opened; char and block are two devices', () =>
  inWorld({}, (root) => {
    root.devices.register(device(10, 1))
    root.mknod('/char', 'char', 0o600, makeDevice(10, 1))
    root.mknod('/block', 'block', 0o600, makeDevice(10, 1))
    root.mknod('/other', 'char', 0o600, makeDevice(10, 2))
    expect(outcome(() => root.task.close(root.open('/char')))).toBe('ok')
    expect(outcome(() => root.open('/block'))).toBe('ENXIO')
    expect(outcome(() => root.open('/other'))).toBe('ENXIO')
  }))

test('A014 a device is told of the node and the flags it is opened by; metadata is that of the node', () =>
  inWorld({}, (root) => {
    const openings: Opening[] = []
    const remember: Device['open'] = (_, opening) => {
      openings.push(opening)
      return { poll: () => 0, queue: new WaitQueue() }
    }
    root.devices.register(device(10, 1, { open: remember }))
    root.mknod('/node', 'char', 0o640, makeDevice(10, 1))
    const fd = root.open('/node', O_RDWR | O_NONBLOCK)
    expect(openings.map(({ flags }) => flags)).toEqual([O_RDWR | O_NONBLOCK])
    expect(openings[0]!.place.equals(root.place('/node'))).toBe(true)
    root.host.fchmod(fd, 0o600)
    root.host.fsetxattr(fd, 'trusted.a', new Uint8Array(1), 0)
    expect(root.mode('/node')).toBe(0o600)
    expect(root.task.fstat(fd)).toEqual(root.stat('/node'))
    expect(root.host.getxattr('/node', 'trusted.a', new Uint8Array())).toBe(1)
    expect(root.host.fstatfs(fd).type).toBe(root.host.statfs('/').type)
    root.task.close(fd)
  }))

describe('dynamic majors', () => {
  test('A020 they are 254 down to 234, then 511 down to 384, then EBUSY', () => {
    const devices = new DeviceRegistry()
    const majors = Array.from({ length: 21 + 128 }, () => devices.takeMajor())
    expect(majors.slice(0, 22)).toEqual([...Array.from({ length: 21 }, (_, i) => 254 - i), 511])
    expect(majors.at(-1)).toBe(384)
    expect(outcome(() => devices.takeMajor())).toBe('EBUSY')
    expect(outcome(() => devices.sharedMajor('late'))).toBe('EBUSY')
    devices.giveMajor(240)
    expect(devices.takeMajor()).toBe(240)
  })

  test('A021 a key has one major for ever', () => {
    const devices = new DeviceRegistry()
    const major = devices.sharedMajor('tty')
    expect(devices.sharedMajor('tty')).toBe(major)
    expect(devices.sharedMajor('other')).not.toBe(major)
    expect([254, 253]).not.toContain(devices.takeMajor())
  })
})

test('A022 /proc/devices lists majors with their groups, those of one major by their lowest minor', () => {
  const devices = new DeviceRegistry()
  devices.register(device(136, 0, { group: 'pts' }))
  devices.register(device(5, 2, { group: 'ptmx' }))
  devices.register(device(5, 1, { group: 'console' }))
  devices.register(device(5, 0, { group: '/dev/tty' }))
  devices.register(device(5, 9, { group: 'console' }))
  devices.register(device(10, 200))
  devices.register(device(7, 0, { kind: 'block', group: 'loop' }))
  expect(devices.list()).toBe(
    'Character devices:\n  5 /dev/tty\n  5 console\n  5 ptmx\n136 pts\n\nBlock devices:\n  7 loop\n',
  )
})

test('A023 devices say path, kind, numbers and permissions for /dev', () => {
  const devices = new DeviceRegistry()
  for (const each of memoryDevices({ fill: () => {} })) devices.register(each)
  devices.register(device(10, 200))
  const nodes = [...devices.all()].map(({ path, kind, major, minor, mode }) => [path, kind, major, minor, mode])
  expect(nodes).toEqual([
    ['null', 'char', 1, 3, 0o666],
    ['zero', 'char', 1, 5, 0o666],
    ['full', 'char', 1, 7, 0o666],
    ['random', 'char', 1, 8, 0o666],
    ['urandom', 'char', 1, 9, 0o666],
    [undefined, 'char', 10, 200, undefined],
  ])
})

describe('device numbers of filesystems without a device', () => {
  test('A016 A018 A019 the kernel has the first; each filesystem has the lowest free one, until it is released', () =>
    inWorld({}, (root) => {
      const made = () => root.vfs.newMount(root.vfs.newFilesystem({ type: 'tmpfs' }))
      const devOf = (mount: ReturnType<typeof made>) => mount.superblock.filesystem.dev
      // 1 is the kernel's, 2 the tmpfs at the root.
      expect(root.stat('/').dev).toBe(2)
      const [a, b, c] = [made(), made(), made()]
      expect([a, b, c].map(devOf)).toEqual([3, 4, 5])
      root.vfs.discard(a!)
      root.vfs.discard(b!)
      const again = made()
      const next = made()
      expect([again, next].map(devOf)).toEqual([3, 4])
      expect(devOf(made())).toBe(6)
    }))

  test('A017 they end below 2^20-1', () =>
    inWorld({}, (root) => {
      const { anonymousDevices } = root.vfs
      for (let minor = 3; minor < 2 ** 20 - 1; minor++) anonymousDevices.take()
      expect(outcome(() => anonymousDevices.take())).toBe('EMFILE')
      expect(outcome(() => root.vfs.newFilesystem({ type: 'tmpfs' }))).toBe('EMFILE')
      anonymousDevices.give(77)
      expect(anonymousDevices.take()).toBe(77)
    }))
})
