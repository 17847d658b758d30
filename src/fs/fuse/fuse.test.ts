/** The kernel's end of FUSE: what a server that lies, dies, or is /dev/fuse's reader makes of it. */

import { describe, expect, test } from 'vitest'
import * as wire from '../../abi/fuse.ts'
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import type { DeviceRegistry } from '../../devices/device-registry.ts'
import { HostCalls } from '../../kernel/host-calls.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import type { Task } from '../../kernel/task.ts'
import { Passthrough } from '../../testing/fuse-passthrough.ts'
import { type Call, NOTHING_LEFT, World } from '../../testing/waiting.ts'
import { fuseDevice } from './device.ts'
import { fuseType } from './fuse.ts'
import { parseFuseOptions } from './options.ts'

const { Op } = wire
const OPTIONS = (fd: number) => `fd=${fd},rootmode=40755,user_id=0,group_id=0`

/** A world in which a process has mounted on /m what it serves at /dev/fuse. */
function served(options = 'default_permissions,allow_other') {
  const world = new World()
  world.vfs.types.register(fuseType)
  ;(world.vfs.devices as DeviceRegistry).register(fuseDevice)
  const server = world.process()
  server.task.mknodat(AT_FDCWD, 'fuse', 'char', 0o666, 10 * 0x100000 + 229)
  for (const name of ['m', 'plain']) server.task.mkdirat(AT_FDCWD, name, 0o755)
  const fd = server.task.openat(AT_FDCWD, 'fuse', O_RDWR, 0)
  const mounts = new MountCalls(world.vfs, server.task)
  const mount = (data = `${OPTIONS(fd)}${options && `,${options}`}`) =>
    mounts.mount('m', { source: 'x', type: 'fuse', flags: 0, data })
  const memory = new Uint8Array(1 << 21)
  /** The next request that the server reads. */
  const next = () => {
    const call = world.call(server.task, () => server.task.readv(fd, memory, [0, memory.length]))
    if (call.state === 'waiting') {
      call.kill()
      return undefined
    }
    if (call.state === 'failed') throw call.error
    const bytes = memory.slice(0, call.result)
    return { bytes, ...wire.inHeader.read(bytes), body: bytes.subarray(wire.inHeader.size) }
  }
  const say = (bytes: Uint8Array) => {
    const call = world.call(server.task, () => server.task.writev(fd, bytes, [0, bytes.length]))
    world.run()
    return call.outcome
  }
  const reply = (unique: bigint, body: Uint8Array = new Uint8Array(0), error = 0, len?: number) => {
    const bytes = new Uint8Array(wire.outHeader.size + body.length)
    wire.outHeader.put(bytes, 0, { len: len ?? bytes.length, error, unique })
    bytes.set(body, wire.outHeader.size)
    return say(bytes)
  }
  const init = () => reply(next()!.unique, INIT)
  return { world, server, fd, mount, mounts, next, say, reply, init, client: world.process() }
}
type Served = ReturnType<typeof served>

const INIT = wire.initOut.bytes({ major: 7, minor: 38, maxWrite: 1 << 17, maxPages: 32, flags: wire.FUSE_MAX_PAGES })
const attr = (mode: number, size = 0n) => ({ ino: 9n, mode, nlink: 1, size })
const entry = (nodeid: bigint, mode: number, more = {}) =>
  wire.entryOut.bytes({ nodeid, ...attr(mode), ...more, entryValid: 60n, attrValid: 60n })

/** Ends everything, and nothing is left. */
function end({ world, mounts, client }: Served) {
  world.exit(client)
  try {
    mounts.umount2('m', 2)
  } catch {}
  world.end()
  world.run()
  expect(world.live).toEqual(NOTHING_LEFT)
  expect(world.vfs.superblocks.size).toBe(1)
}

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
    expect(parseFuseOptions(`${OPTIONS(3)},max_read=1`, false).maxRead).toBe(4096)
    expect(parseFuseOptions(`${OPTIONS(3)},max_read=8192`, false).maxRead).toBe(8192)
  })

  test('B192 fd must be an open /dev/fuse that is not mounted', () => {
    const w = served()
    expect(() => w.mount(OPTIONS(77))).toThrow(/no descriptor of an open/)
    const plain = w.server.task.openat(AT_FDCWD, 'f', O_CREAT | O_RDWR, 0o644)
    expect(() => w.mount(OPTIONS(plain))).toThrow(/no descriptor of an open/)
    w.mount()
    expect(() => w.mount()).toThrow(/mounted already/)
    end(w)
  })
})

describe('/dev/fuse', () => {
  test('is EPERM before the mount, wants a buffer that any request fits in, and ENODEV after the last unmount', () => {
    const w = served()
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
    end(w)
  })

  test('B194 nothing is asked before INIT is answered; then all that waited goes out', () => {
    const w = served()
    w.mount()
    const calls = ['a', 'b'].map((name) =>
      w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, `m/${name}`, 0)),
    )
    const { opcode, unique } = w.next()!
    expect([opcode, w.next()]).toEqual([Op.INIT, undefined])
    w.reply(unique, INIT)
    expect([w.next()?.opcode, w.next()?.opcode, w.next()]).toEqual([Op.GETATTR, Op.GETATTR, undefined])
    for (const call of calls) call.kill()
    end(w)
  })

  test.each([
    ['another major', wire.initOut.bytes({ major: 8, minor: 0 }), 0],
    ['an ancient minor', wire.initOut.bytes({ major: 7, minor: 8 }), 0],
    ['nothing', new Uint8Array(0), 0],
    ['an error', new Uint8Array(0), -95],
  ])('B194 a server that answers INIT with %s is refused', (_, body, error) => {
    const w = served()
    w.mount()
    const before = w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/a', 0))
    w.reply(w.next()!.unique, body, error)
    expect(before.outcome).toBe('ECONNREFUSED')
    expect(() => w.client.task.fstatat(AT_FDCWD, 'm', 0)).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }))
    end(w)
  })
})

/** Answers as a good server does until a request of this opcode comes, which is given. */
function until(w: Served, opcode: number) {
  for (;;) {
    const request = w.next()
    if (!request || request.opcode === opcode) return request
    const answers: Record<number, Uint8Array> = {
      [Op.GETATTR]: wire.attrOut.bytes({ attrValid: 60n, ...attr(request.nodeid === 1n ? 0o40777 : 0o100666, 10n) }),
      [Op.LOOKUP]: request.body[0] === 110 ? entry(0n, 0) : entry(5n, 0o100666, { size: 10n }),
      [Op.OPEN]: wire.openOut.bytes({ fh: 3n }),
      [Op.OPENDIR]: wire.openOut.bytes({ fh: 4n }),
    }
    const body = answers[request.opcode]
    if (request.opcode !== Op.FORGET && request.opcode !== Op.INTERRUPT) w.reply(request.unique, body)
  }
}

const bytes = new Uint8Array(64)
/** A call in which each operation is asked. `n` is a new name, `f` a file. */
const CALLS: [name: string, opcode: number, call: (task: Task) => unknown][] = [
  ['a lookup', Op.LOOKUP, (task) => task.fstatat(AT_FDCWD, 'm/f', 0)],
  ['attributes', Op.GETATTR, (task) => task.fstatat(AT_FDCWD, 'm', 0)],
  ['an open', Op.OPEN, (task) => task.openat(AT_FDCWD, 'm/f', O_RDONLY, 0)],
  ['a creation', Op.CREATE, (task) => task.openat(AT_FDCWD, 'm/n', O_CREAT | O_WRONLY, 0o644)],
  ['a directory', Op.MKDIR, (task) => task.mkdirat(AT_FDCWD, 'm/n', 0o755)],
  ['a link', Op.SYMLINK, (task) => task.symlinkat('target', AT_FDCWD, 'm/n')],
  ['a further name', Op.LINK, (task) => task.linkat(AT_FDCWD, 'm/f', AT_FDCWD, 'm/n', 0)],
  ['a removal', Op.UNLINK, (task) => task.unlinkat(AT_FDCWD, 'm/f', 0)],
  ['a move', Op.RENAME, (task) => task.renameat2(AT_FDCWD, 'm/f', AT_FDCWD, 'm/n', 0)],
  ['a change', Op.SETATTR, (task) => task.fchmodat(AT_FDCWD, 'm/f', 0o600, 0)],
  ['a listing', Op.OPENDIR, (task) => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0)],
]

/** With a file open, in the client's descriptor 0. */
const OPEN_CALLS: typeof CALLS = [
  ['a read', Op.READ, (task) => task.preadv(0, bytes, [0, 64], 0)],
  ['a write', Op.WRITE, (task) => task.pwritev(0, bytes, [0, 64], 0)],
  ['a sync', Op.FSYNC, (task) => task.fsync(0)],
  ['a close', Op.FLUSH, (task) => task.close(0)],
]

function begin(w: Served, call: (task: Task) => unknown, open = false): Call<unknown> {
  const { task } = w.client
  if (open) {
    const opening = w.world.call(task, () => task.openat(AT_FDCWD, 'm/f', O_RDWR, 0))
    until(w, -1)
    w.world.run()
    expect(opening.outcome).toBe(0)
  }
  return w.world.call(task, () => call(task))
}

const ALL = [
  ...CALLS.map(([name, opcode, call]) => ({ name, opcode, call, open: false })),
  ...OPEN_CALLS.map(([name, opcode, call]) => ({ name, opcode, call, open: true })),
]

describe('B194 a server is killed', () => {
  test.each(ALL)('before it reads $name: ECONNABORTED, and ENOTCONN from then on', ({ call, open }) => {
    const w = served()
    w.mount()
    w.init()
    const waiting = begin(w, call, open)
    expect(waiting.state).toBe('waiting')
    w.world.exit(w.server)
    w.world.run()
    expect(waiting.outcome).toBe('ECONNABORTED')
    expect(() => w.client.task.mkdirat(AT_FDCWD, 'm/d', 0)).toThrow(expect.objectContaining({ code: 'ENOTCONN' }))
    w.world.end()
    expect(w.world.live).toEqual(NOTHING_LEFT)
  })

  test.each(ALL)('after it has read $name: ECONNABORTED, and ENOTCONN from then on', ({ opcode, call, open }) => {
    const w = served()
    w.mount()
    w.init()
    const waiting = begin(w, call, open)
    expect(until(w, opcode)?.opcode).toBe(opcode)
    w.world.exit(w.server)
    w.world.run()
    expect(waiting.outcome).toBe('ECONNABORTED')
    expect(() => w.client.task.mkdirat(AT_FDCWD, 'm/d', 0)).toThrow(expect.objectContaining({ code: 'ENOTCONN' }))
    w.world.end()
    expect(w.world.live).toEqual(NOTHING_LEFT)
  })
})

describe('a caller is killed', () => {
  test.each(ALL)('that waits for $name: the server is told, and its answer harms nothing', ({ opcode, call, open }) => {
    const w = served()
    w.mount()
    w.init()
    const waiting = begin(w, call, open)
    const request = until(w, opcode)!
    waiting.kill()
    const interrupt = w.next()!
    expect(interrupt.opcode).toBe(Op.INTERRUPT)
    expect(wire.interruptIn.read(interrupt.body).unique).toBe(request.unique)
    expect(w.reply(request.unique, undefined, -4)).toBe(16)
    // Another caller goes on.
    const other = w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/f', 0))
    until(w, -1)
    w.world.run()
    expect(other.state).toBe('done')
    end(w)
  })

  test('before its request went out: it never does', () => {
    const w = served()
    w.mount()
    w.init()
    begin(w, (task) => task.fstatat(AT_FDCWD, 'm/f', 0)).kill()
    expect(w.next()).toBeUndefined()
    end(w)
  })

  test('what the server has made for it is forgotten', () => {
    const w = served()
    w.mount()
    w.init()
    const waiting = begin(w, (task) => task.openat(AT_FDCWD, 'm/n', O_CREAT | O_WRONLY, 0o644))
    const create = until(w, Op.CREATE)!
    waiting.kill()
    expect(w.next()?.opcode).toBe(Op.INTERRUPT)
    w.reply(create.unique, wire.createOut.bytes({ nodeid: 8n, ...attr(0o100644), fh: 6n }))
    const [release, forget] = [w.next()!, w.next()!]
    expect([release.opcode, release.nodeid, wire.releaseIn.read(release.body).fh]).toEqual([Op.RELEASE, 8n, 6n])
    expect([forget.opcode, forget.nodeid, wire.forgetIn.read(forget.body).nlookup]).toEqual([Op.FORGET, 8n, 1n])
    end(w)
  })
})

test('a change is sent once, others wait for what becomes of its name, and it goes on where it was', () => {
  const w = served()
  w.mount()
  w.init()
  const { task } = w.client
  const made = begin(w, () => task.mkdirat(AT_FDCWD, 'm/n', 0o755))
  const mkdir = until(w, Op.MKDIR)!
  const other = w.world.process()
  const stat = w.world.call(other.task, () => other.task.fstatat(AT_FDCWD, 'm/n', 0))
  const again = w.world.call(other.task, () => other.task.mkdirat(AT_FDCWD, 'm/n', 0o755))
  expect(w.next()).toBeUndefined()
  w.reply(mkdir.unique, entry(7n, 0o40755))
  until(w, -1)
  w.world.run()
  expect([made.outcome, stat.state, again.outcome]).toEqual([undefined, 'done', 'EEXIST'])
  expect(stat.result).toMatchObject({ mode: 0o40755 })
  w.world.exit(other)
  end(w)
})

describe('a server that lies', () => {
  const LIES: [what: string, opcode: number, call: (task: Task) => unknown, body: Uint8Array, said: unknown][] = [
    ...[
      ['no type', entry(5n, 0o755)],
      ['more bits than a mode has', entry(5n, 0x1ffff | 0o100000)],
      ['a size beyond 2^63', entry(5n, 0o100644, { size: 2n ** 63n })],
      ['a size beyond what can be counted', entry(5n, 0o100644, { size: 2n ** 60n })],
      ['the root as a name', entry(1n, 0o40755)],
    ].map(([what, body]) => [`says ${what}`, Op.LOOKUP, CALLS[0]![2], body, 16 + 128] as never),
    ['sends too little', Op.LOOKUP, CALLS[0]![2], new Uint8Array(127), 'EINVAL'],
    ['sends too much', Op.LOOKUP, CALLS[0]![2], new Uint8Array(129), 'EINVAL'],
    ['makes another type', Op.MKDIR, CALLS[4]![2], entry(7n, 0o100644), 144],
    ['makes nothing', Op.MKDIR, CALLS[4]![2], entry(0n, 0), 144],
    ['makes a file without a node', Op.CREATE, CALLS[3]![2], wire.createOut.bytes({ fh: 1n }), 160],
    ['turns a directory into a file', Op.GETATTR, CALLS[1]![2], wire.attrOut.bytes(attr(0o100644)), 120],
  ]
  test.each(LIES)('%s: EIO', (_, opcode, call, body, said) => {
    const w = served()
    w.mount()
    w.init()
    const waiting = begin(w, call)
    expect(w.reply(until(w, opcode)!.unique, body)).toBe(said)
    expect(waiting.outcome).toBe('EIO')
    end(w)
  })

  test.each([
    ['reads more than was asked', Op.READ, OPEN_CALLS[0]![2], new Uint8Array(65)],
    ['wrote more than was sent', Op.WRITE, OPEN_CALLS[1]![2], wire.writeOut.bytes({ size: 65 })],
    ['wrote nothing', Op.WRITE, OPEN_CALLS[1]![2], wire.writeOut.bytes({ size: 0 })],
  ])('%s: EIO', (_, opcode, call, body) => {
    const w = served()
    w.mount()
    w.init()
    const waiting = begin(w, call, true)
    w.reply(until(w, opcode)!.unique, body)
    expect(waiting.outcome).toBe('EIO')
    end(w)
  })

  const dirent = (name: Uint8Array, namelen = name.length) => {
    const listed = new Uint8Array(wire.direntSize(name.length))
    wire.dirent.put(listed, 0, { ino: 1n, off: 1n, namelen, type: 8 })
    listed.set(name, wire.dirent.size)
    return listed
  }
  test.each([
    ['a slash', dirent(new TextEncoder().encode('a/b'))],
    ['a NUL', dirent(new TextEncoder().encode('a\0b'))],
    ['no name', dirent(new Uint8Array(0))],
    ['no UTF-8', dirent(new Uint8Array([0xff, 0xfe]))],
    ['a length beyond the reply', dirent(new Uint8Array(8), 900)],
    ['a huge length', dirent(new Uint8Array(8), 0xffff_ffff)],
  ])('lists a name with %s: EIO', (_, body) => {
    const w = served()
    w.mount()
    w.init()
    const { task } = w.client
    const opening = begin(w, () => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0))
    until(w, -1)
    expect(opening.outcome).toBe(0)
    const listing = w.world.call(task, () => task.getdents(0, 0, 4096))
    w.reply(until(w, Op.READDIR)!.unique, body)
    expect(listing.outcome).toBe('EIO')
    end(w)
  })

  test('that answers what nobody asked hears ENOENT, and bad headers are EINVAL', () => {
    const w = served()
    w.mount()
    w.init()
    expect(w.reply(999n)).toBe('ENOENT')
    expect(w.reply(0n)).toBe('EINVAL')
    const waiting = begin(w, CALLS[0]![2])
    const { unique } = until(w, Op.LOOKUP)!
    expect(w.reply(unique, undefined, 5)).toBe('EINVAL')
    expect(w.reply(unique, undefined, -512)).toBe('EINVAL')
    expect(w.reply(unique, undefined, 0, 5)).toBe('EINVAL')
    expect(w.say(new Uint8Array(15))).toBe('EINVAL')
    expect(waiting.state).toBe('waiting')
    expect(w.reply(unique, undefined, -1)).toBe(16)
    expect([waiting.outcome, w.reply(unique)]).toEqual(['EPERM', 'ENOENT'])
    end(w)
  })
})

describe('B193 who may enter', () => {
  test('without allow_other only who mounted', () => {
    const w = served('default_permissions')
    w.mount()
    w.init()
    const stranger = w.world.process(7)
    for (const call of [
      () => stranger.task.fstatat(AT_FDCWD, 'm', 0),
      () => stranger.task.fstatat(AT_FDCWD, 'm/f', 0),
      () => stranger.task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0),
      () => stranger.task.mkdirat(AT_FDCWD, 'm/d', 0o755),
    ])
      expect(call).toThrow(expect.objectContaining({ code: 'EACCES' }))
    const own = begin(w, CALLS[0]![2])
    until(w, -1)
    expect(own.state).toBe('done')
    w.world.exit(stranger)
    end(w)
  })

  test('with default_permissions the bits decide, without it the server', () => {
    for (const [options, outcome] of [
      ['allow_other,default_permissions', 'EACCES'],
      ['allow_other', 0],
    ] as const) {
      const w = served(options)
      w.mount()
      w.init()
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
      end(w)
    }
  })
})

test('B195 of 10,000 requests under way a further one waits its turn', () => {
  const w = served()
  w.mount()
  w.init()
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
  end(w)
})

test('what is kept is asked again when the server says that it changed', () => {
  const w = served()
  w.mount()
  w.init()
  const stat = () => w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/f', 0))
  stat()
  until(w, -1)
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
  end(w)
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
  new MountCalls(w.vfs, task).mount('m', { type: 'fuse', flags: 0, data: `${OPTIONS(fd)},allow_other` })
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
