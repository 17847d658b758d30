/** A FUSE server that lies: its callers get EIO, nothing else is harmed. e2e/fuzz/lies.ts tells lies at random. */

import { describe, expect, test } from 'vitest'
import * as wire from '../../abi/fuse.ts'
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../abi/linux.ts'
import type { Task } from '../../kernel/task.ts'
import { ASKING, attr, entry, FuseWorld } from '../../testing/fuse-world.ts'

const { Op } = wire

describe('a server that lies', () => {
  const LIES: [what: string, opcode: number, call: (task: Task) => unknown, body: Uint8Array, said: unknown][] = [
    ...[
      ['no type', entry(5n, 0o755)],
      ['more bits than a mode has', entry(5n, 0x1ffff | 0o100000)],
      ['a size beyond 2^63', entry(5n, 0o100644, { size: 2n ** 63n })],
      ['a size beyond what can be counted', entry(5n, 0o100644, { size: 2n ** 60n })],
      ['the root as a name', entry(1n, 0o40755)],
    ].map(([what, body]) => [`says ${what}`, Op.LOOKUP, ASKING.lookup.call, body, 16 + 128] as never),
    ['sends too little', Op.LOOKUP, ASKING.lookup.call, new Uint8Array(127), 'EINVAL'],
    ['sends too much', Op.LOOKUP, ASKING.lookup.call, new Uint8Array(129), 'EINVAL'],
    ['makes another type', Op.MKDIR, ASKING.mkdir.call, entry(7n, 0o100644), 144],
    ['makes nothing', Op.MKDIR, ASKING.mkdir.call, entry(0n, 0), 144],
    ['makes a file without a node', Op.CREATE, ASKING.create.call, wire.createOut.bytes({ fh: 1n }), 160],
    ['turns a directory into a file', Op.GETATTR, ASKING.attributes.call, wire.attrOut.bytes(attr(0o100644)), 120],
  ]
  test.each(LIES)('%s: EIO', (_, opcode, call, body, said) => {
    const w = FuseWorld.ready()
    const waiting = w.begin(call)
    expect(w.reply(w.until(opcode)!.unique, body)).toBe(said)
    expect(waiting.outcome).toBe('EIO')
    w.end()
  })

  test.each([
    ['reads more than was asked', Op.READ, ASKING.read.call, new Uint8Array(65)],
    ['wrote more than was sent', Op.WRITE, ASKING.write.call, wire.writeOut.bytes({ size: 65 })],
    ['wrote nothing', Op.WRITE, ASKING.write.call, wire.writeOut.bytes({ size: 0 })],
  ])('%s: EIO', (_, opcode, call, body) => {
    const w = FuseWorld.ready()
    const waiting = w.begin(call, true)
    w.reply(w.until(opcode)!.unique, body)
    expect(waiting.outcome).toBe('EIO')
    w.end()
  })

  const dirent = (name: Uint8Array, namelen = name.length, off = 1n) => {
    const listed = new Uint8Array(wire.direntSize(name.length))
    wire.dirent.put(listed, 0, { ino: 1n, off, namelen, type: 8 })
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
    const w = FuseWorld.ready()
    const { task } = w.client
    const opening = w.begin(() => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0))
    w.until(-1)
    expect(opening.outcome).toBe(0)
    const listing = w.world.call(task, () => task.getdents(0, 0, 4096))
    w.reply(w.until(Op.READDIR)!.unique, body)
    expect(listing.outcome).toBe('EIO')
    w.end()
  })

  test('E020 that answers what nobody asked hears ENOENT, and bad headers are EINVAL', () => {
    const w = FuseWorld.ready()
    expect(w.reply(999n)).toBe('ENOENT')
    expect(w.reply(0n)).toBe('EINVAL')
    const waiting = w.begin(ASKING.lookup.call)
    const { unique } = w.until(Op.LOOKUP)!
    expect(w.reply(unique, undefined, 5)).toBe('EINVAL')
    expect(w.reply(unique, undefined, -512)).toBe('EINVAL')
    expect(w.reply(unique, undefined, 0, 5)).toBe('EINVAL')
    expect(w.say(new Uint8Array(15))).toBe('EINVAL')
    expect(waiting.state).toBe('waiting')
    expect(w.reply(unique, undefined, -1)).toBe(16)
    expect([waiting.outcome, w.reply(unique)]).toEqual(['EPERM', 'ENOENT'])
    w.end()
  })

  test('lists round in a circle: EIO', () => {
    for (const circle of [[0n], [1n], [5n, 6n, 5n]]) {
      const w = FuseWorld.ready()
      const { task } = w.client
      w.begin(() => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0))
      w.until(-1)
      const listing = w.world.call(task, () => task.getdents(0, 0, 4096))
      const name = new TextEncoder().encode('same')
      for (let asked = w.until(Op.READDIR), i = 0; asked; asked = w.until(Op.READDIR), i++)
        w.reply(asked.unique, dirent(name, name.length, circle[i % circle.length]!))
      expect(listing.outcome).toBe('EIO')
      w.end()
    }
  })

  test('lists without an end: EIO after a million entries', () => {
    const w = FuseWorld.ready()
    const { task } = w.client
    w.begin(() => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0))
    w.until(-1)
    const listing = w.world.call(task, () => task.getdents(0, 0, 4096))
    const one = dirent(new TextEncoder().encode('same'))
    const full = new Uint8Array((1 << 16) - ((1 << 16) % one.length))
    for (let at = 0; at < full.length; at += one.length) full.set(one, at)
    let replies = 0
    for (let asked = w.until(Op.READDIR); asked; asked = w.until(Op.READDIR)) {
      wire.dirent.put(full, full.length - one.length, { off: BigInt(++replies) })
      w.reply(asked.unique, full)
    }
    expect(listing.outcome).toBe('EIO')
    expect(replies * (full.length / one.length)).toBeLessThan(1_010_000)
    w.end()
  })

  test('puts a directory into itself: ELOOP, as on Linux', () => {
    const w = FuseWorld.ready()
    const { task } = w.client
    const walking = w.begin(() => task.fstatat(AT_FDCWD, 'm/a/b/c', 0))
    for (const node of [5n, 6n, 5n]) w.reply(w.until(Op.LOOKUP)!.unique, entry(node, 0o40755))
    expect(walking.outcome).toBe('ELOOP')
    const into = w.world.call(task, () => task.mkdirat(AT_FDCWD, 'm/a/b/new', 0o755))
    w.reply(w.until(Op.LOOKUP)!.unique, entry(0n, 0))
    w.reply(w.until(Op.MKDIR)!.unique, entry(6n, 0o40755))
    expect(into.outcome).toBe('ELOOP')
    w.end()
  })

  test('names a directory twice has moved it: the old name is asked for again', () => {
    const w = FuseWorld.ready()
    const { task } = w.client
    const stat = (path: string, ...nodes: bigint[]) => {
      const call = w.world.call(task, () => task.fstatat(AT_FDCWD, path, 0))
      for (const node of nodes) w.reply(w.until(Op.LOOKUP)!.unique, entry(node, node === 0n ? 0 : 0o40755))
      expect(w.next()).toBeUndefined()
      return call.code ?? call.state
    }
    w.begin(ASKING.attributes.call)
    w.until(-1)
    expect(stat('m/old', 5n)).toBe('done')
    expect(stat('m/old')).toBe('done')
    expect(stat('m/new', 5n)).toBe('done')
    expect(stat('m/old', 0n)).toBe('ENOENT')
    expect(stat('m/new')).toBe('done')
    w.end()
  })

  test('wants to be interrupted again and again is told once at a time, and not of what nobody gave up', () => {
    const w = FuseWorld.ready()
    const waiting = w.begin(ASKING.lookup.call)
    const { unique } = w.until(Op.LOOKUP)!
    expect(w.reply(unique | 1n, undefined, -11)).toBe('EINVAL')
    waiting.kill()
    for (let i = 0; i < 3; i++) expect(w.reply(unique | 1n, undefined, -11)).toBe(16)
    expect([w.next()?.opcode, w.next()]).toEqual([Op.INTERRUPT, undefined])
    expect(w.reply(unique | 1n, undefined, -11)).toBe(16)
    // What is answered need not be interrupted any more.
    expect(w.reply(unique, undefined, -4)).toBe(16)
    expect(w.next()).toBeUndefined()
    w.end()
  })

  test('says times that nobody can tell: they are the first or the last that there is', () => {
    const w = FuseWorld.ready()
    const stat = w.begin(() => w.client.task.fstatat(AT_FDCWD, 'm/f', 0))
    const times = { atime: 2n ** 62n, mtime: -(2n ** 62n), ctime: 1n, ctimensec: 0xffff_ffff }
    w.reply(w.until(Op.LOOKUP)!.unique, entry(5n, 0o100644, times))
    expect(stat.result).toMatchObject({ atime: 2n ** 63n - 1n, mtime: 1n - 2n ** 63n, ctime: 1_999_999_999n })
    w.end()
  })
})
