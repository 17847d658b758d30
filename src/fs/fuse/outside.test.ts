/**
 * Files that somebody else changes: what gVisor's gofer does in its modes, exclusive and shared, is up to the server here, which says
 * for how long the kernel may keep what it was told: for ever or not at all.
 */

import { expect, test } from 'vitest'
import * as wire from '../../abi/fuse.ts'
import { AT_FDCWD, O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../abi/linux.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import type { DeviceRegistry } from '../../devices/device-registry.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { Task } from '../../kernel/task.ts'
import { Passthrough } from '../../testing/fuse-passthrough.ts'
import { fuseOptions } from '../../testing/fuse-world.ts'
import { World } from '../../testing/waiting.ts'
import { credentialsOf } from '../../vfs/context.ts'
import { VirtualDentry } from '../../vfs/mount.ts'
import { fuseDevice } from './device.ts'
import { fuseType } from './fuse.ts'

const { Op } = wire
const EVER = 1_000_000n

/** A tmpfs that is served at /m to one task, and to another directly: the outside. */
class Served {
  readonly world = new World()
  readonly task: Task
  readonly outside: Task
  readonly calls: MountCalls
  readonly server: Passthrough
  readonly #fd: number

  constructor(valid: bigint) {
    const { vfs } = this.world
    vfs.types.register(fuseType)
    ;(vfs.devices as DeviceRegistry).register(fuseDevice)
    this.task = this.world.process().task
    this.task.mknodat(AT_FDCWD, '/fuse', 'char', 0o666, 10 * 0x100000 + 229)
    this.task.mkdirat(AT_FDCWD, '/m', 0o755)
    this.#fd = this.task.openat(AT_FDCWD, '/fuse', O_RDWR, 0)
    const { stream } = this.task.descriptors.get(this.#fd)
    const { connection } = stream as unknown as { connection: ConstructorParameters<typeof Passthrough>[2] }
    const backing = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
    this.outside = new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(backing, backing.root) })
    this.server = new Passthrough(vfs, backing, connection, { valid })
    this.calls = new MountCalls(vfs, this.task)
    this.calls.mount('/m', { type: 'fuse', source: 'x', flags: 0, data: `${fuseOptions(this.#fd)},allow_other` })
  }

  /** Makes a call, which the server answers. */
  do<T>(operation: (task: Task) => T): T {
    const call = this.world.call(this.task, () => operation(this.task))
    while (call.state === 'waiting') {
      expect(this.server.serve()).toBeGreaterThan(0)
      this.world.run()
    }
    if (call.state === 'failed') throw call.error
    return call.result as T
  }

  /** What the server is asked for meanwhile, by opcode. */
  asked(operation: (task: Task) => unknown): number[] {
    const before = this.server.asked.length
    try {
      this.do(operation)
    } catch {}
    return this.server.asked.slice(before).filter((op) => op !== Op.FORGET)
  }

  size(path: string): number | string {
    try {
      return this.do((task) => task.fstatat(AT_FDCWD, path, 0)).size
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  read(fd: number): string {
    const bytes = new Uint8Array(100)
    return decodeUtf8(
      bytes,
      0,
      this.do((task) => task.preadv(fd, bytes, [0, 100], 0)),
    )!
  }

  /** Files as they are changed from outside. */
  write(path: string, text: string, flags = O_CREAT | O_TRUNC): void {
    const fd = this.outside.openat(AT_FDCWD, path, O_WRONLY | flags, 0o644)
    const bytes = encodeUtf8(text)
    this.outside.writev(fd, bytes, [0, bytes.length])
    this.outside.close(fd)
  }
}

const stat = (path: string) => (task: Task) => task.fstatat(AT_FDCWD, path, 0)

test('B140 B141 what the server lets the kernel keep is not asked again; changes are sent at once', () => {
  const s = new Served(EVER)
  s.outside.mkdirat(AT_FDCWD, '/d', 0o755)
  s.write('/d/f', 'text')
  expect(s.asked(stat('/m/d/f'))).not.toEqual([])
  expect(s.asked(stat('/m/d/f'))).toEqual([])
  const fd = s.do((task) => task.openat(AT_FDCWD, '/m/d/f', O_RDWR, 0))
  const bytes = encodeUtf8('more')
  expect(s.asked((task) => task.pwritev(fd, bytes, [0, 4], 4))).toContain(Op.WRITE)
  expect(s.outside.fstatat(AT_FDCWD, '/d/f', 0).size).toBe(8)
  expect(s.asked((task) => task.mkdirat(AT_FDCWD, '/m/new', 0o755))).toContain(Op.MKDIR)
  expect(s.outside.fstatat(AT_FDCWD, '/new', 0).mode >> 12).toBe(4)
  s.do((task) => task.close(fd))
})

test('B142 B143 what it may not keep is asked in each call at each step of a path, also that a name is not there, and never for dots and behind mount points; times are the server’s', () => {
  const s = new Served(0n)
  for (const path of ['/a', '/a/b', '/a/mnt']) s.outside.mkdirat(AT_FDCWD, path, 0o755)
  s.write('/a/b/f', 'text')
  s.outside.symlinkat('b/f', AT_FDCWD, '/a/link')
  const looks = (path: string) => s.asked(stat(path)).filter((op) => op === Op.LOOKUP).length
  for (let again = 0; again < 2; again++) {
    expect(looks('/m/a/b/f')).toBe(3)
    expect(looks('/m/a/b/../b/./f')).toBe(3)
    expect(looks('/m/a/link')).toBe(4)
    expect(looks('/m/a/none')).toBe(2)
  }
  s.do((task) =>
    new MountCalls(s.world.vfs, task).mount('/m/a/mnt', { type: 'tmpfs', source: 'x', flags: 0, data: '' }),
  )
  s.do((task) => task.mkdirat(AT_FDCWD, '/m/a/mnt/in', 0o755))
  expect(looks('/m/a/mnt/in')).toBeLessThanOrEqual(2)
  expect(s.do(stat('/m/a/b/f')).mtime).toBe(s.outside.fstatat(AT_FDCWD, '/a/b/f', 0).mtime)
})

test('B145 what somebody creates, renames, removes, appends and cuts off outside is seen at the next access', () => {
  const s = new Served(0n)
  expect(s.size('/m/f')).toBe('ENOENT')
  s.write('/f', 'text')
  expect(s.size('/m/f')).toBe(4)
  s.write('/f', ' and more', O_APPEND)
  expect(s.size('/m/f')).toBe(13)
  s.write('/f', 'x')
  expect(s.size('/m/f')).toBe(1)
  s.outside.renameat2(AT_FDCWD, '/f', AT_FDCWD, '/g', 0)
  expect([s.size('/m/f'), s.size('/m/g')]).toEqual(['ENOENT', 1])
  s.outside.unlinkat(AT_FDCWD, '/g', 0)
  expect(s.size('/m/g')).toBe('ENOENT')
})

test('B144 B146 a name that is another file by now is that one, what was mounted below the old one is gone, and what is open goes on', () => {
  const s = new Served(0n)
  for (const path of ['/d', '/d/mnt']) s.outside.mkdirat(AT_FDCWD, path, 0o755)
  s.write('/d/f', 'old')
  const fd = s.do((task) => task.openat(AT_FDCWD, '/m/d/f', O_RDONLY, 0))
  s.do((task) =>
    new MountCalls(s.world.vfs, task).mount('/m/d/mnt', { type: 'tmpfs', source: 'below', flags: 0, data: '' }),
  )
  expect(s.calls.mounts).toContain('below /m/d/mnt ')
  s.outside.renameat2(AT_FDCWD, '/d', AT_FDCWD, '/away', 0)
  s.outside.mkdirat(AT_FDCWD, '/d', 0o755)
  s.write('/d/f', 'the new one')
  expect(s.size('/m/d/f')).toBe(11)
  expect(s.size('/m/d/mnt')).toBe('ENOENT')
  expect(s.calls.mounts).not.toContain('/m/d/mnt ')
  expect(s.read(fd)).toBe('old')
  s.outside.unlinkat(AT_FDCWD, '/away/f', 0)
  expect(s.read(fd)).toBe('old')
  s.do((task) => task.close(fd))
})
