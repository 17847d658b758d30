/** The kernel's end of FUSE, the server being honest and alive. */

import { describe, expect, test } from 'vitest'
import * as wire from '../../abi/fuse.ts'
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import type { DeviceRegistry } from '../../devices/device-registry.ts'
import { HostCalls } from '../../kernel/host-calls.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { Passthrough } from '../../testing/fuse-passthrough.ts'
import { ASKING, attr, entry, FuseWorld, fuseOptions, INIT } from '../../testing/fuse-world.ts'
import { World } from '../../testing/waiting.ts'
import { fuseDevice } from './device.ts'
import { fuseType } from './fuse.ts'
import { parseFuseOptions } from './options.ts'

const { Op } = wire

describe('B192 options', () => {
  test.each([
    ['fd=3', /must have it/],
    ['fd=x,rootmode=40755,user_id=0,group_id=0', /fd=x.*number/],
    ['fd=3,rootmode=9,user_id=0,group_id=0', /rootmode.*octal/],
    ['fd=3,rootmode=755,user_id=0,group_id=0', /no type/],
    ['fd=3,rootmode=40755,user_id=0,group_id=0,nonsense', /unknown/],
    ['fd=3,rootmode=40755,user_id=0,group_id=0,allow_other=1', /no value/],
    ['fd=3,rootmode=40755,user_id=-1,group_id=0', /number/],
  ])('%s is EINVAL', (data, message) => {
    expect(() => parseFuseOptions(data, false)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect(() => parseFuseOptions(data, false)).toThrow(message)
  })

  test('B195 max_read has a floor of 4096', () => {
    expect(parseFuseOptions(`${fuseOptions(3)},max_read=1`, false).maxRead).toBe(4096)
    expect(parseFuseOptions(`${fuseOptions(3)},max_read=8192`, false).maxRead).toBe(8192)
  })

  test('B192 fd must be an open /dev/fuse that is not mounted', () => {
    const w = new FuseWorld()
    expect(() => w.mount(fuseOptions(77))).toThrow(/no descriptor of an open/)
    const plain = w.server.task.openat(AT_FDCWD, 'f', O_CREAT | O_RDWR, 0o644)
    expect(() => w.mount(fuseOptions(plain))).toThrow(/no descriptor of an open/)
    w.mount()
    expect(() => w.mount()).toThrow(/mounted already/)
    w.end()
  })
})

describe('/dev/fuse', () => {
  test('E020 is EPERM before the mount, wants a buffer that any request fits in, and ENODEV after the last unmount', () => {
    const w = new FuseWorld()
    const { task } = w.server
    expect(() => w.next()).toThrow(expect.objectContaining({ code: 'EPERM' }))
    expect(w.say(new Uint8Array(16))).toBe('EPERM')
    w.mount()
    const short = new Uint8Array(8191)
    expect(() => task.readv(w.fd, short, [0, 8191])).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    w.init()
    task.setfl(w.fd, O_NONBLOCK)
    expect(() => w.next()).toThrow(expect.objectContaining({ code: 'EAGAIN' }))
    w.mounts.umount2('m')
    expect(w.next()?.opcode).toBe(Op.DESTROY)
    expect(() => w.next()).toThrow(expect.objectContaining({ code: 'ENODEV' }))
    w.end()
  })

  test('B194 E020 nothing is asked before INIT is answered; then all that waited goes out', () => {
    const w = new FuseWorld()
    w.mount()
    const calls = ['a', 'b'].map((name) =>
      w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, `m/${name}`, 0)),
    )
    const { opcode, unique } = w.next()!
    expect([opcode, w.next()]).toEqual([Op.INIT, undefined])
    w.reply(unique, INIT)
    expect([w.next()?.opcode, w.next()?.opcode, w.next()]).toEqual([Op.GETATTR, Op.GETATTR, undefined])
    for (const call of calls) call.kill()
    w.end()
  })

  test.each([
    ['another major', wire.initOut.bytes({ major: 8, minor: 0 }), 0],
    ['an ancient minor', wire.initOut.bytes({ major: 7, minor: 8 }), 0],
    ['nothing', new Uint8Array(0), 0],
    ['an error', new Uint8Array(0), -95],
  ])('B194 a server that answers INIT with %s is refused', (_, body, error) => {
    const w = new FuseWorld()
    w.mount()
    const before = w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/a', 0))
    w.reply(w.next()!.unique, body, error)
    expect(before.outcome).toBe('ECONNREFUSED')
    expect(() => w.client.task.fstatat(AT_FDCWD, 'm', 0)).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }))
    w.end()
  })
})

describe('a caller is killed', () => {
  test.each(Object.values(ASKING))(
    'that waits for $name: the server is told, and its answer harms nothing',
    ({ opcode, call, open }) => {
      const w = FuseWorld.ready()
      const waiting = w.begin(call, open)
      const request = w.until(opcode)!
      waiting.kill()
      const interrupt = w.next()!
      expect(interrupt.opcode).toBe(Op.INTERRUPT)
      expect(wire.interruptIn.read(interrupt.body).unique).toBe(request.unique)
      expect(w.reply(request.unique, undefined, -4)).toBe(16)
      // Another caller goes on.
      const other = w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/f', 0))
      w.until(-1)
      w.world.run()
      expect(other.state).toBe('done')
      w.end()
    },
  )

  test('before its request went out: it never does', () => {
    const w = FuseWorld.ready()
    w.begin((task) => task.fstatat(AT_FDCWD, 'm/f', 0)).kill()
    expect(w.next()).toBeUndefined()
    w.end()
  })

  test('what the server has made for it is forgotten', () => {
    const w = FuseWorld.ready()
    const waiting = w.begin((task) => task.openat(AT_FDCWD, 'm/n', O_CREAT | O_WRONLY, 0o644))
    const create = w.until(Op.CREATE)!
    waiting.kill()
    expect(w.next()?.opcode).toBe(Op.INTERRUPT)
    w.reply(create.unique, wire.createOut.bytes({ nodeid: 8n, ...attr(0o100644), fh: 6n }))
    const [release, forget] = [w.next()!, w.next()!]
    expect([release.opcode, release.nodeid, wire.releaseIn.read(release.body).fh]).toEqual([Op.RELEASE, 8n, 6n])
    expect([forget.opcode, forget.nodeid, wire.forgetIn.read(forget.body).nlookup]).toEqual([Op.FORGET, 8n, 1n])
    w.end()
  })
})

test('a change is sent once, others wait for what becomes of its name, and it goes on where it was', () => {
  const w = FuseWorld.ready()
  const { task } = w.client
  const made = w.begin(() => task.mkdirat(AT_FDCWD, 'm/n', 0o755))
  const mkdir = w.until(Op.MKDIR)!
  const other = w.world.process()
  const stat = w.world.call(other.task, () => other.task.fstatat(AT_FDCWD, 'm/n', 0))
  const again = w.world.call(other.task, () => other.task.mkdirat(AT_FDCWD, 'm/n', 0o755))
  expect(w.next()).toBeUndefined()
  w.reply(mkdir.unique, entry(7n, 0o40755))
  w.until(-1)
  w.world.run()
  expect([made.outcome, stat.state, again.outcome]).toEqual([undefined, 'done', 'EEXIST'])
  expect(stat.result).toMatchObject({ mode: 0o40755 })
  w.world.exit(other)
  w.end()
})

describe('B193 who may enter', () => {
  test('without allow_other only who mounted', () => {
    const w = FuseWorld.ready('default_permissions')
    const stranger = w.world.process(7)
    for (const call of [
      () => stranger.task.fstatat(AT_FDCWD, 'm', 0),
      () => stranger.task.fstatat(AT_FDCWD, 'm/f', 0),
      () => stranger.task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0),
      () => stranger.task.mkdirat(AT_FDCWD, 'm/d', 0o755),
    ])
      expect(call).toThrow(expect.objectContaining({ code: 'EACCES' }))
    const own = w.begin(ASKING.lookup.call)
    w.until(-1)
    expect(own.state).toBe('done')
    w.world.exit(stranger)
    w.end()
  })

  test('with default_permissions the bits decide, without it the server', () => {
    for (const [options, outcome] of [
      ['allow_other,default_permissions', 'EACCES'],
      ['allow_other', 0],
    ] as const) {
      const w = FuseWorld.ready(options)
      const stranger = w.world.process(7)
      const opening = w.world.call(stranger.task, () => stranger.task.openat(AT_FDCWD, 'm/f', O_RDONLY, 0))
      for (let request = w.next(); request; request = w.next()) {
        expect(request.uid).toBe(7)
        if (request.opcode === Op.LOOKUP) w.reply(request.unique, entry(5n, 0o100600))
        else if (request.opcode === Op.GETATTR)
          w.reply(request.unique, wire.attrOut.bytes({ attrValid: 60n, ...attr(0o40777) }))
        else if (request.opcode === Op.OPEN) w.reply(request.unique, wire.openOut.bytes({}))
      }
      expect(opening.outcome).toBe(outcome)
      w.world.exit(stranger)
      w.end()
    }
  })
})

test('a file that was made when no descriptor is left for it is closed: EMFILE', () => {
  const w = FuseWorld.ready()
  const { task } = w.world.process(0, 1)
  const making = w.world.call(task, () => task.openat(AT_FDCWD, 'm/n', O_CREAT | O_RDWR, 0o644))
  const { unique } = w.until(Op.CREATE)!
  expect(task.openat(AT_FDCWD, 'plain', O_RDONLY | O_DIRECTORY, 0)).toBe(0)
  w.reply(unique, wire.createOut.bytes({ nodeid: 8n, ...attr(0o100644), fh: 6n }))
  expect(making.outcome).toBe('EMFILE')
  const release = w.until(Op.RELEASE)!
  expect(wire.releaseIn.read(release.body).fh).toBe(6n)
  w.end()
})

test('B194 a server that is slow with one answer delays nobody else', () => {
  const w = FuseWorld.ready()
  const slow = w.begin(ASKING.lookup.call)
  const late = w.until(Op.LOOKUP)!
  const others = [ASKING.attributes, ASKING.mkdir, ASKING.opendir].map(({ call }) => {
    const { task } = w.world.process()
    return w.world.call(task, () => call(task))
  })
  w.client.task.mkdirat(AT_FDCWD, 'plain/d', 0o755)
  for (let asked = w.until(Op.MKDIR); asked; asked = w.until(Op.MKDIR)) w.reply(asked.unique, entry(7n, 0o40755))
  w.world.run()
  expect(others.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
  expect(slow.state).toBe('waiting')
  w.reply(late.unique, entry(5n, 0o100644))
  expect(slow.state).toBe('done')
  w.end()
})

test('B195 of 10,000 requests under way a further one waits its turn', () => {
  const w = FuseWorld.ready()
  const calls = Array.from({ length: 10_001 }, (_, i) =>
    w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm', O_PATH & i)),
  )
  let asked = 0
  const first = w.next()!
  while (w.next()) asked++
  expect(asked + 1).toBe(10_000)
  w.reply(first.unique, wire.attrOut.bytes({ attrValid: 60n, ...attr(0o40755) }))
  expect(calls[0]!.state).toBe('done')
  expect(calls[10_000]!.state).toBe('done')
  for (const call of calls) call.kill()
  w.end()
})

test('what is kept is asked again when the server says that it changed', () => {
  const w = FuseWorld.ready()
  const stat = () => w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/f', 0))
  stat()
  w.until(-1)
  const asks = () => {
    const call = stat()
    const asked = w.next()
    call.kill()
    if (asked) w.next()
    return asked?.opcode
  }
  expect(asks()).toBeUndefined()
  const notify = (code: number, body: Uint8Array) => w.reply(0n, body, code)
  expect(notify(wire.Notify.INVAL_INODE, wire.notifyInvalInode.bytes({ ino: 5n }))).toBe(40)
  expect(asks()).toBe(Op.GETATTR)
  const name = new Uint8Array([...wire.notifyInvalEntry.bytes({ parent: 1n, namelen: 1 }), 102, 0])
  expect(notify(wire.Notify.INVAL_ENTRY, name)).toBe(34)
  expect(asks()).toBe(Op.LOOKUP)
  expect(notify(wire.Notify.INVAL_INODE, wire.notifyInvalInode.bytes({ ino: 77n }))).toBe('ENOENT')
  expect(notify(99, name)).toBe('EINVAL')
  w.end()
})

test('when all is closed and removed the server is told to forget it all', () => {
  const w = new World()
  w.vfs.types.register(fuseType)
  ;(w.vfs.devices as DeviceRegistry).register(fuseDevice)
  const { task } = w.process()
  task.mknodat(AT_FDCWD, 'fuse', 'char', 0o666, 10 * 0x100000 + 229)
  task.mkdirat(AT_FDCWD, 'm', 0o755)
  const fd = task.openat(AT_FDCWD, 'fuse', O_RDWR, 0)
  const { stream } = task.descriptors.get(fd)
  const { connection } = stream as unknown as { connection: ConstructorParameters<typeof Passthrough>[2] }
  const server = new Passthrough(w.vfs, w.vfs.newMount(w.vfs.newFilesystem({ type: 'tmpfs' })), connection)
  new MountCalls(w.vfs, task).mount('m', { type: 'fuse', flags: 0, data: `${fuseOptions(fd)},allow_other` })
  const done = <T>(operation: () => T): T => {
    const call = w.call(task, operation)
    while (call.state === 'waiting') {
      expect(server.serve()).toBeGreaterThan(0)
      w.run()
    }
    if (call.state === 'failed') throw call.error
    return call.result as T
  }
  done(() => task.mkdirat(AT_FDCWD, 'm/d', 0o755))
  const file = done(() => task.openat(AT_FDCWD, 'm/d/f', O_CREAT | O_RDWR, 0o644))
  const content = new Uint8Array(3_000_000).map((_, i) => i % 251)
  expect(done(() => task.writev(file, content, [0, content.length]))).toBe(content.length)
  const back = new Uint8Array(content.length)
  expect(done(() => task.preadv(file, back, [0, back.length], 0))).toBe(content.length)
  expect(Buffer.compare(back, content)).toBe(0)
  expect(server.held).toEqual({ files: 1, nodes: 3 })
  done(() => task.unlinkat(AT_FDCWD, 'm/d/f', 0))
  expect(done(() => task.preadv(file, back, [0, 10], 5))).toBe(10)
  done(() => task.close(file))
  done(() => task.unlinkat(AT_FDCWD, 'm/d', 0x200))
  server.serve()
  expect(server.held).toEqual({ files: 0, nodes: 1 })
  const { blocks } = done(() => new HostCalls(task).statfs('m'))
  expect(blocks).toBeGreaterThan(0)
  new MountCalls(w.vfs, task).umount2('m')
  server.serve()
  expect(server.held).toEqual({ files: 0, nodes: 0 })
  w.end()
})
