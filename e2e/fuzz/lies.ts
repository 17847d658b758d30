/**
 * A FUSE server whose true answers are changed on the way to the kernel, at random: cut, mixed up, given twice or not at all, with
 * other numbers in them. After each call of a program: it has an answer or an errno, other filesystems are as before; after each
 * round, in some of which the server dies: nothing is left.
 */

import { ErrnoError } from '../../src/abi/errno.ts'
import * as wire from '../../src/abi/fuse.ts'
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_ACCMODE, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC } from '../../src/abi/linux.ts' // biome-ignore format: a list of names
import type { Connection } from '../../src/fs/fuse/connection.ts'
import { HostCalls } from '../../src/kernel/host-calls.ts'
import type { Task } from '../../src/kernel/task.ts'
import { type Line, Passthrough } from '../../src/testing/fuse-passthrough.ts'
import { FuseWorld } from '../../src/testing/fuse-world.ts'
import { type Call, World } from '../../src/testing/waiting.ts'
import { mulberry32 } from './random.ts'

export interface LiesReport {
  readonly calls: number
  readonly lies: number
  /** How often calls ended how: `ok`, an errno, or `given up` for one that had no answer. */
  readonly outcomes: ReadonlyMap<string, number>
}

/** Calls of one world. */
const ROUND = 40
/** Answers of which one is a lie, on the average. */
const HONEST = 3
/** Of a call that asks more often than this, something goes round in circles. */
const MOST_TURNS = 2000

type Random = (below: number) => number
const NUMBERS = [0n, 1n, 2n, 3n, 5n, 255n, 4096n, 1n << 31n, (1n << 32n) - 1n, 1n << 32n, (1n << 53n) - 1n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n] // biome-ignore format: edges
const NOTIFICATIONS = [wire.Notify.INVAL_INODE, wire.Notify.INVAL_ENTRY, wire.Notify.DELETE, 1, 99, -1]

/** Between the server and the kernel. */
class Liar implements Line {
  lies = 0
  readonly #kernel: Connection
  readonly #random: Random
  /** What was said before, to be said again. */
  readonly #past: Uint8Array[] = []
  readonly #late: Uint8Array[] = []

  constructor(kernel: Connection, random: Random) {
    this.#kernel = kernel
    this.#random = random
  }

  get hasNext(): boolean {
    return this.#kernel.hasNext
  }

  next(): Uint8Array | undefined {
    return this.#kernel.next()
  }

  /** The server says this. INIT, without which nothing happens, is rarely a lie. */
  answer(reply: Uint8Array): void {
    const random = this.#random
    this.#past.push(reply)
    if (this.#past.length > 30) this.#past.splice(random(30), 1)
    const isInit = reply.length === wire.outHeader.size + wire.initOut.size
    const honest = random(HONEST) > 0 || (isInit && random(8) > 0)
    for (const said of honest ? [reply] : this.#lie(reply)) this.#say(said)
  }

  /** What is said instead. */
  #lie(reply: Uint8Array): readonly Uint8Array[] {
    const random = this.#random
    const body = reply.subarray(wire.outHeader.size)
    const past = this.#past[random(this.#past.length)]!
    const { unique } = wire.outHeader.read(reply)
    this.lies++
    switch (random(12)) {
      case 0:
        return []
      case 1:
        this.#late.push(reply)
        return []
      case 2:
        return [reply, reply]
      case 3:
        return [this.#framed(past.subarray(wire.outHeader.size), unique)]
      case 4: {
        const others = [wire.outHeader.read(past).unique, unique + 1n, unique | 1n, NUMBERS[random(NUMBERS.length)]!]
        return [this.#framed(body, others[random(4)]!), reply]
      }
      case 5:
        return [this.#framed(random(2) ? body : new Uint8Array(0), unique, 100 - random(700))]
      case 6:
        return [this.#framed(body.subarray(0, random(body.length + 1)), unique)]
      case 7: {
        const longer = new Uint8Array(body.length + random(random(2) ? 16 : 100_000))
        longer.set(body)
        return [this.#framed(longer, unique)]
      }
      case 8: {
        const wrong = reply.slice()
        wire.outHeader.put(wrong, 0, { len: random(200) })
        return [random(2) ? wrong : reply.subarray(0, random(reply.length)), reply]
      }
      case 9:
        return [this.#framed(this.#changed(body), 0n, NOTIFICATIONS[random(NOTIFICATIONS.length)]), reply]
      default:
        return [this.#framed(this.#changed(body), unique)]
    }
  }

  /** What was kept back is said after all. */
  flush(): void {
    for (const reply of this.#late.splice(0)) this.#say(reply)
  }

  #framed(body: Uint8Array, unique: bigint, error = 0): Uint8Array {
    const reply = new Uint8Array(wire.outHeader.size + body.length)
    wire.outHeader.put(reply, 0, { len: reply.length, error, unique })
    reply.set(body, wire.outHeader.size)
    return reply
  }

  /** Some of its numbers are others. */
  #changed(body: Uint8Array): Uint8Array {
    const random = this.#random
    const changed = body.slice()
    if (changed.length === 0) return changed
    const view = new DataView(changed.buffer)
    for (let left = 1 + random(3); left > 0; left--) {
      const at = random(changed.length)
      const wide = at & ~7
      const number = NUMBERS[random(NUMBERS.length)]!
      if (random(3) === 0) changed[at] = [0, 47, 46, 255, changed[at]! ^ (1 << random(8))][random(5)]!
      else if (wide + 8 > changed.length) changed[at]! ^= 1 << random(8)
      else if (random(2)) view.setBigUint64(wide, number, true)
      else view.setUint32(at & ~3, Number(BigInt.asUintN(32, number)), true)
    }
    return changed
  }

  #say(reply: Uint8Array): void {
    try {
      this.#kernel.answer(reply.slice())
    } catch (failure) {
      // What its write(2) gives.
      if (!(failure instanceof ErrnoError)) throw failure
    }
  }
}

/** What programs read into and write from. */
const memory = new Uint8Array(300_000)
const NAMES = ['a', 'b', 'c', 'd']

/** What there is at first. */
function plant(task: Task): void {
  for (const dir of ['a', 'a/a', 'b']) task.mkdirat(AT_FDCWD, dir, 0o777)
  for (const file of ['c', 'a/b', 'a/a/c']) {
    const fd = task.openat(AT_FDCWD, file, O_CREAT | O_RDWR, 0o666)
    task.pwritev(fd, memory, [0, 200_000], 0)
    task.close(fd)
  }
  task.symlinkat('../c', AT_FDCWD, 'a/d')
}

/** A call of a program on what is served. */
function randomCall(task: Task, random: Random): () => unknown {
  const name = () => NAMES[random(NAMES.length)]!
  const path = () => ['m', ...Array.from({ length: 1 + random(2) }, name)].join('/')
  const fd = () => random(3)
  const length = () => [1, 100, 5000, memory.length][random(4)]!
  const [one, two, some, open, offset] = [path(), path(), length(), fd(), random(10_000)]
  const flags = [O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_CREAT | O_TRUNC, O_RDWR | O_APPEND, O_RDONLY | O_DIRECTORY, O_ACCMODE] // biome-ignore format: a list of flags
  const how = flags[random(flags.length)]!
  const calls: (() => unknown)[] = [
    () => task.fstatat(AT_FDCWD, one, 0),
    () => task.fstatat(AT_FDCWD, one, AT_SYMLINK_NOFOLLOW),
    () => task.openat(AT_FDCWD, one, how, 0o666),
    () => task.openat(AT_FDCWD, one, how, 0o666),
    () => task.openat(AT_FDCWD, one, O_RDWR | O_CREAT, 0o666),
    () => task.openat(AT_FDCWD, 'm/a', O_RDONLY | O_DIRECTORY, 0),
    () => task.openat(AT_FDCWD, 'm/c', O_RDWR, 0),
    () => task.openat(AT_FDCWD, 'm/a/b', O_RDWR, 0),
    () => task.close(open),
    () => task.mkdirat(AT_FDCWD, one, 0o777),
    () => task.mkdirat(AT_FDCWD, one, 0o777),
    () => task.unlinkat(AT_FDCWD, one, random(2) ? 0 : 0x200),
    () => task.renameat2(AT_FDCWD, one, AT_FDCWD, two, random(3)),
    () => task.renameat2(AT_FDCWD, one, AT_FDCWD, 'plain/x', 0),
    () => task.linkat(AT_FDCWD, one, AT_FDCWD, two, 0),
    () => task.symlinkat(NAMES[some & 3]!, AT_FDCWD, one),
    () => task.readlinkat(AT_FDCWD, one),
    () => task.fchmodat(AT_FDCWD, one, offset & 0o7777, 0),
    () => task.fchownat(AT_FDCWD, one, offset, some, 0),
    () => task.utimensat(AT_FDCWD, one, BigInt(offset), BigInt(some), 0),
    () => task.faccessat(AT_FDCWD, one, 4, 0),
    () => task.truncate(one, some),
    () => task.readv(open, memory, [0, some]),
    () => task.preadv(open, memory, [0, some], offset),
    () => task.writev(open, memory, [0, some]),
    () => task.pwritev(open, memory, [0, some], offset),
    () => task.lseek(open, offset, random(5)),
    () => task.getdents(open, offset & 1 ? 0 : offset & 7, some),
    () => task.fstat(open),
    () => task.ftruncate(open, some),
    () => task.fallocate(open, 0, offset, some),
    () => task.fsync(open),
    () => new HostCalls(task).statfs(one),
  ]
  return calls[random(calls.length)]!
}

/** What a call gives is what a program can be told. */
function expectTold(given: unknown): void {
  if (Array.isArray(given)) {
    for (const { name } of given)
      if (name === '' || /[/\0]/.test(name)) throw new Error(`a listing has the name ${JSON.stringify(name)}`)
  } else if (typeof given === 'object' && given !== null) {
    for (const [key, value] of Object.entries(given)) {
      if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${key} is ${value}`)
      if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) throw new Error(`${key} is ${value}`)
    }
  } else if (typeof given === 'number' && !(given >= 0 && Number.isSafeInteger(given))) {
    throw new Error(`a call gave ${given}`)
  }
}

export function fuzzLies({ calls, seed }: { readonly calls: number; readonly seed: number }): LiesReport {
  const outcomes = new Map<string, number>()
  let [made, lies] = [0, 0]
  for (let round = 0; made < calls; round++) {
    const numbers = mulberry32(seed + round)
    const wanted = Math.min(ROUND, calls - made)
    try {
      lies += playRound((below) => Math.floor(numbers() * below), wanted, outcomes)
    } catch (cause) {
      throw new Error(`after ${made} calls or more, with seed ${seed + round}`, { cause })
    }
    made += wanted
  }
  return { calls: made, lies, outcomes }
}

/** Gives how often the server lied. */
function playRound(random: Random, wanted: number, outcomes: Map<string, number>): number {
  const w = new FuseWorld(random(2) ? 'default_permissions,allow_other' : 'allow_other')
  const behind = new World()
  const liar = new Liar(w.connection, random)
  plant(behind.process().task)
  const mount = behind.vfs.newMount(behind.superblock)
  const server = new Passthrough(behind.vfs, mount, liar, { valid: BigInt(random(2)), changed: true })
  w.mount()
  const dies = random(3) === 0 ? random(wanted) : -1
  const { task } = w.client
  const keeper = w.world.process().task
  const own = keeper.openat(AT_FDCWD, 'plain/own', O_CREAT | O_RDWR, 0o644)
  const content = new Uint8Array([1, 2, 3, 4])
  keeper.pwritev(own, content, [0, 4], 0)
  const under: Call<unknown>[] = []

  const settle = (call: Call<unknown>) => {
    if (call.state === 'failed' && !(call.error instanceof ErrnoError)) throw call.error
    if (call.state === 'done') expectTold(call.result)
    const outcome = call.state === 'done' ? 'ok' : (call.code ?? 'given up')
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  const serve = () => {
    for (let turns = 0; w.connection.hasNext && !w.connection.isOver; turns++) {
      if (turns > MOST_TURNS) throw new Error('the kernel asks and asks')
      server.answer(w.connection.next()!)
      w.world.run()
      w.world.now += 10_000_000n
    }
    w.world.run()
  }
  for (let i = 0; i < wanted; i++) {
    under.push(w.world.call(task, randomCall(task, random)))
    if (i === dies) w.kill()
    else serve()
    // Some wait for a while, two or three at a time.
    if (under.length > 2 || random(3) > 0) {
      liar.flush()
      if (!w.connection.isOver) serve()
      for (const call of under.splice(0)) {
        call.kill()
        settle(call)
      }
    }
    const back = new Uint8Array(4)
    if (keeper.preadv(own, back, [0, 4], 0) !== 4 || back.some((byte, at) => byte !== content[at]))
      throw new Error('another filesystem was harmed')
  }
  for (const call of under) {
    call.kill()
    settle(call)
  }
  w.end()
  return liar.lies
}
