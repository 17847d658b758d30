/**
 * A FUSE server dies, whatever it is in the middle of: its callers hear of it at once, nothing hangs and nothing is left. The errors
 * are what Linux 6.18 answers in each of these states.
 */

import { describe, expect, test } from 'vitest'
import * as wire from '../../abi/fuse.ts'
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from '../../abi/linux.ts'
import { MNT_DETACH } from '../../abi/mount-flags.ts'
import { ASKING, type Asked, entry, FuseWorld, INIT, replyBytes } from '../../testing/fuse-world.ts'

const { Op } = wire
const ALL = Object.values(ASKING)
const NOT_CONNECTED = expect.objectContaining({ code: 'ENOTCONN' })

/** Whoever asks from now on is told so, and no other filesystem is harmed. */
function expectGone(w: FuseWorld): void {
  const { task } = w.client
  expect(() => task.mkdirat(AT_FDCWD, 'm/d', 0)).toThrow(NOT_CONNECTED)
  expect(() => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0)).toThrow(NOT_CONNECTED)
  expect(w.connection.active).toBe(0)
  task.mkdirat(AT_FDCWD, 'plain/d', 0o755)
}

describe('B194 E020 a server is killed', () => {
  const STATES: [when: string, before: (w: FuseWorld, opcode: wire.Opcode) => void][] = [
    ['before it reads', () => {}],
    ['after it has read', (w, opcode) => void w.until(opcode)],
    ['after it wrote less than a header in answer to', (w, opcode) => half(w, w.until(opcode)!)],
    [
      'when a further caller waits behind',
      (w, opcode) => {
        w.until(opcode)
        w.world.call(w.client.task, () => w.client.task.fstatat(AT_FDCWD, 'm/n2', 0))
      },
    ],
  ]
  /** The beginning of an answer, and one that is shorter than it says. */
  const half = (w: FuseWorld, { unique }: Asked) => {
    expect(w.say(replyBytes(unique).subarray(0, 8))).toBe('EINVAL')
    expect(w.say(replyBytes(unique, new Uint8Array(8), 0, 100))).toBe('EINVAL')
  }

  for (const [when, before] of STATES)
    test.each(ALL)(`${when} $name: ECONNABORTED, and ENOTCONN from then on`, ({ opcode, call, open }) => {
      const w = FuseWorld.ready()
      const waiting = w.begin(call, open)
      before(w, opcode)
      expect(waiting.state).toBe('waiting')
      w.kill()
      expect(waiting.outcome).toBe('ECONNABORTED')
      expectGone(w)
      w.end()
    })

  test.each(ALL)('after it has answered $name, before the caller goes on: that has its answer', (asking) => {
    const { opcode, call, open } = asking
    const w = FuseWorld.ready()
    const waiting = w.begin(call, open)
    const { unique, nodeid } = w.until(opcode)!
    w.connection.answer(replyBytes(unique, goodAnswer(opcode, nodeid)))
    expect(waiting.state).toBe('waiting')
    w.kill()
    // A walk that had still to go on finds nobody.
    expect(['done', 'ENOTCONN']).toContain(waiting.state === 'done' ? 'done' : waiting.outcome)
    expectGone(w)
    w.end()
  })

  test.each(ALL)('whose caller of $name was killed before', ({ opcode, call, open }) => {
    for (const readsInterrupt of [false, true]) {
      const w = FuseWorld.ready()
      const waiting = w.begin(call, open)
      w.until(opcode)
      waiting.kill()
      if (readsInterrupt) expect(w.next()?.opcode).toBe(Op.INTERRUPT)
      w.kill()
      expectGone(w)
      w.end()
    }
  })

  const BEFORE_INIT = ALL.filter(({ open }) => !open)
  test.each(BEFORE_INIT)('before INIT is over: whoever waits for $name hears ENOTCONN', ({ call }) => {
    for (const reads of [false, true]) {
      const w = new FuseWorld()
      w.mount()
      const waiting = w.begin(call)
      const given = w.begin(call)
      if (reads) w.next()
      given.kill()
      expect(waiting.state).toBe('waiting')
      w.kill()
      expect(waiting.outcome).toBe('ENOTCONN')
      expectGone(w)
      w.end()
    }
  })

  test('when INIT is half answered, or refused, or not even mounted', () => {
    const halfway = new FuseWorld()
    halfway.mount()
    const waiting = halfway.begin(ASKING.lookup.call)
    half(halfway, halfway.next()!)
    halfway.kill()
    expect(waiting.outcome).toBe('ENOTCONN')
    expectGone(halfway)
    halfway.end()

    const refused = new FuseWorld()
    refused.mount()
    const told = refused.begin(ASKING.lookup.call)
    refused.reply(refused.next()!.unique, INIT.slice(0, 4))
    expect(told.outcome).toBe('ECONNREFUSED')
    refused.kill()
    expectGone(refused)
    refused.end()

    const unmounted = new FuseWorld()
    unmounted.kill()
    unmounted.end()
  })
})

/** What an honest server says to it. */
function goodAnswer(opcode: wire.Opcode, nodeid: bigint): Uint8Array | undefined {
  if (opcode === Op.GETATTR || opcode === Op.SETATTR)
    return wire.attrOut.bytes({ attrValid: 60n, nlink: 1, mode: nodeid === 1n ? 0o40777 : 0o100600 })
  if (opcode === Op.OPEN || opcode === Op.OPENDIR) return wire.openOut.bytes({ fh: 7n })
  if (opcode === Op.CREATE) return wire.createOut.bytes({ nodeid: 7n, nlink: 1, mode: 0o100644, fh: 7n })
  if (opcode === Op.LOOKUP || opcode === Op.LINK) return entry(5n, 0o100666)
  if (opcode === Op.MKDIR) return entry(7n, 0o40755)
  if (opcode === Op.SYMLINK) return entry(7n, 0o120777)
  return opcode === Op.WRITE ? wire.writeOut.bytes({ size: 64 }) : undefined
}

describe('B194 a server is killed while files are open', () => {
  /** /m/f is descriptor 0, /m is 1, both by an honest server. */
  function opened(): FuseWorld {
    const w = FuseWorld.ready()
    const { task } = w.client
    w.begin(() => task.openat(AT_FDCWD, 'm/f', O_RDWR, 0))
    w.until(-1)
    w.begin(() => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0))
    w.until(-1)
    return w
  }

  test('every call on them is ENOTCONN, also close, which closes all the same', () => {
    const w = opened()
    const { task } = w.client
    w.kill()
    const memory = new Uint8Array(8)
    for (const call of [
      () => task.preadv(0, memory, [0, 8], 0),
      () => task.pwritev(0, memory, [0, 8], 0),
      () => task.fsync(0),
      () => task.ftruncate(0, 0),
      () => task.getdents(1, 0, 4096),
      () => task.openat(1, 'f', O_RDONLY, 0),
      () => task.close(0),
    ])
      expect(call).toThrow(NOT_CONNECTED)
    expect(() => task.close(0)).toThrow(expect.objectContaining({ code: 'EBADF' }))
    // What it said to hold for a minute still does.
    expect(task.fstat(1).mode).toBe(0o40777)
    task.close(1)
    expectGone(w)
    w.end()
  })

  test('their process ends after it, and before it', () => {
    const after = opened()
    after.kill()
    after.world.exit(after.client)
    expect(after.world.live.opens).toBe(0)
    after.world.end()

    const before = opened()
    before.world.exit(before.client)
    before.kill()
    before.world.end()
    for (const w of [after, before]) expect(w.connection.active).toBe(0)
  })

  test('what was transferred before is told: a short write, a short read', () => {
    const w = opened()
    const { task } = w.client
    const large = new Uint8Array(400_000)
    const writing = w.begin(() => task.pwritev(0, large, [0, large.length], 0))
    const first = w.until(Op.WRITE)!
    w.reply(first.unique, wire.writeOut.bytes({ size: wire.writeIn.read(first.body).size }))
    expect(w.next()?.opcode).toBe(Op.WRITE)
    const reading = w.begin(() => task.preadv(0, large, [0, large.length], 0))
    const asked = w.until(Op.READ)!
    const { size } = wire.readIn.read(asked.body)
    w.reply(asked.unique, new Uint8Array(size).fill(7))
    w.kill()
    expect(writing.outcome).toBe(1 << 17)
    expect(reading.outcome).toBe(size)
    expect(large.subarray(0, size)).toEqual(new Uint8Array(size).fill(7))
    expectGone(w)
    w.end()
  })

  test('one of two: the other server goes on', () => {
    const w = opened()
    const { task } = w.client
    const other = FuseWorld.ready()
    const waiting = other.begin(ASKING.lookup.call)
    w.kill()
    expect(() => task.fsync(0)).toThrow(NOT_CONNECTED)
    other.until(-1)
    expect(waiting.state).toBe('done')
    for (const each of [w, other]) each.end()
  })
})

describe('B194 a server is killed while its filesystem is unmounted', () => {
  test('before and after it reads that it is', () => {
    for (const reads of [false, true]) {
      const w = FuseWorld.ready()
      w.begin(ASKING.lookup.call)
      w.until(-1)
      w.mounts.umount2('m')
      if (reads) while (w.next()!.opcode !== Op.DESTROY);
      w.kill()
      expect(w.world.vfs.superblocks.size).toBe(1)
      w.end()
    }
  })

  test.each(ALL)('with $name on its way', ({ opcode, call, open }) => {
    for (const dies of [true, false]) {
      const w = FuseWorld.ready()
      const waiting = w.begin(call, open)
      w.until(opcode)
      w.mounts.umount2('m', MNT_DETACH)
      // A file that is open keeps it alive, and the call waiting; otherwise all is over, and a walk finds what was below.
      if (dies || open) {
        expect(waiting.state).toBe('waiting')
        w.kill()
      } else {
        expect(w.next()?.opcode).toBe(Op.DESTROY)
        w.world.run()
      }
      expect(['ECONNABORTED', 'ENOTCONN', 'ENOENT', undefined]).toContain(waiting.code)
      expect(waiting.state).not.toBe('waiting')
      w.end()
    }
  })

  test('when what is open in it outlives both', () => {
    const w = FuseWorld.ready()
    const { task } = w.client
    const opening = w.begin(() => task.openat(AT_FDCWD, 'm/f', O_RDWR, 0))
    w.until(-1)
    expect(opening.outcome).toBe(0)
    w.mounts.umount2('m', MNT_DETACH)
    expect(w.world.vfs.superblocks.size).toBe(2)
    w.kill()
    expect(() => task.fsync(0)).toThrow(NOT_CONNECTED)
    expect(() => task.close(0)).toThrow(NOT_CONNECTED)
    expect(w.world.vfs.superblocks.size).toBe(1)
    w.end()
  })

  test('with a creation on its way whose caller was killed', () => {
    const w = FuseWorld.ready()
    const making = w.begin(() => w.client.task.openat(AT_FDCWD, 'm/n', O_CREAT | O_RDWR, 0o644))
    const { unique } = w.until(Op.CREATE)!
    making.kill()
    w.mounts.umount2('m', MNT_DETACH)
    expect(w.reply(unique, goodAnswer(Op.CREATE, 1n))).toBe('ENOENT')
    w.kill()
    w.end()
  })
})
