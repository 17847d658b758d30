/**
 * Random calls of every preview1 import, with numbers and pointers from its edges, on a real kernel. After each: it was answered with
 * an error number or success; nothing but what it may write has changed in the guest's memory; on success all that it was pointed to
 * lies inside that memory. After each round: the kernel is as before.
 */

import { encodeUtf8 } from '../../src/abi/utf8.ts'
import { GuestExit } from '../../src/wasi/context.ts'
import { isAddress, isWide, nameOf } from '../../src/wasi/table.ts'
import { AbiWorld, type Way } from './abi-world.ts'

export interface AbiReport {
  readonly calls: number
  /** How often each import gave which answer. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<number, number>>
  /** The slowest call, in milliseconds. */
  readonly slowest: { readonly call: string; readonly ms: number }
}

/** A call that did what none may; the message has the call, and the seed finds it again. */
export class AbiFault extends Error {}

/** After so many calls the world is looked through and made anew. */
const ROUND = 500
/** Two pages, compared as a whole after every call. */
const SIZE = 2 * 65_536
/** Where paths, iovecs and subscriptions are put. */
const TEXTS = 4096
const IOVECS = 65_536
const SUBSCRIPTIONS = 80_000
/** The highest error number of preview1 (notcapable). */
const LAST_ERRNO = 76

/** What takes from the guest what the others need. */
const RARE = new Set(['proc_exit', 'proc_raise', 'fd_close', 'fd_renumber', 'fd_fdstat_set_rights'])

const plain = ['f', 'sub/f', 'sub', 'l', 'new', 'new1', 'new2', 'new3', 'moved/x', 'sub/y']

const paths = [
  'f', 'l', 'sub', 'sub/f', 'sub/deep/ä', 'fifo', 'abs', 'abs/f', 'loop', 'dev/zero', 'dev/full', 'dev/null', 'fixed/f', 'fixed',
  '.', '..', '../f', '/', '/f', '', 'f/', 'sub/', 'sub/../f', 'sub/out/etc', 'missing/x', 'new', 'new1', 'new2', 'moved/x', 'moved',
  'x'.repeat(255), 'x'.repeat(256), 'a/'.repeat(2040), 'nul\0inside', 'sub//f', './f',
] // biome-ignore format: a list of short texts

const edges32 = [0, 1, 2, 3, 7, 8, 24, 64, 255, 1023, 1024, 1025, 4096, 65_535, 65_536, SIZE - 64, SIZE - 8, SIZE - 4, SIZE - 1, SIZE, SIZE + 1, 0x7fff_f000, 0x7fff_ffff, -0x8000_0000, -0x7fff_ffff, -65_536, -8, -4, -1] // biome-ignore format: edges

const edges64 = [0n, 1n, 2n, 23n, 4095n, 4096n, 65_536n, 1n << 21n, (1n << 31n) - 1n, 1n << 31n, (1n << 32n) - 1n, 1n << 32n, (1n << 53n) - 1n, 1n << 53n, (1n << 62n), (1n << 63n) - 1n, -(1n << 63n), -(1n << 32n), -2n, -1n] // biome-ignore format: edges

/** All; all but writing, without which no directory is opened. */
const RIGHTS = [0x3fff_ffffn, 0x3fff_ffbfn]

/** Mulberry32: the same numbers for a seed, everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Throws AbiFault at the first call that does what none may. */
export function fuzzAbi({ calls, seed, way }: { calls: number; seed: number; way: Way }): AbiReport {
  const answers = new Map<string, Map<number, number>>()
  let slowest = { call: '', ms: 0 }
  let made = 0
  for (let round = 0; made < calls; round++) {
    const fuzzer = new Round(seed + round, way)
    const wanted = Math.min(ROUND, calls - made)
    for (let i = 0; i < wanted; i++) {
      const { name, answer, call, ms } = fuzzer.step()
      const counts = answers.get(name) ?? new Map<number, number>()
      answers.set(name, counts.set(answer, (counts.get(answer) ?? 0) + 1))
      if (ms > slowest.ms) slowest = { call, ms }
    }
    fuzzer.end()
    made += wanted
  }
  return { calls: made, answers, slowest }
}

class Round {
  readonly #seed: number
  readonly #way: Way
  readonly #random: () => number
  readonly #world: AbiWorld
  readonly #memory = { buffer: new ArrayBuffer(SIZE) }
  readonly #bytes = Buffer.from(this.#memory.buffer)
  readonly #view = new DataView(this.#memory.buffer)
  readonly #before = Buffer.alloc(SIZE)
  readonly #texts: (readonly [address: number, length: number])[] = []
  #guest
  #names
  #many = false

  constructor(seed: number, way: Way) {
    this.#seed = seed
    this.#way = way
    this.#random = randomOf(seed)
    this.#world = new AbiWorld(way, { fill: (bytes) => void bytes.fill(seed) })
    this.#guest = this.#world.guest(this.#memory)
    this.#names = Object.keys(this.#guest.table)
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)]!
  }

  step(): { name: string; answer: number; call: string; ms: number } {
    this.#prepare()
    let name = this.#one(this.#names)
    if (RARE.has(name) && this.#random() < 0.8) name = 'path_open'
    const { params } = this.#guest.table[name]!
    const args = this.#arguments(params)
    const call = `${name}(${args.join(', ')})`
    const may = writesOf(name, args, this.#view)
    this.#bytes.copy(this.#before)
    const started = performance.now()
    const answer = this.#call(name, args, call)
    const ms = performance.now() - started
    this.#check(call, answer, may)
    return { name, answer, call, ms }
  }

  /** Gives -1 for a guest that ended, of which another takes the place. */
  #call(name: string, args: readonly (number | bigint)[], call: string): number {
    let answer: unknown
    try {
      answer = this.#guest.wasiImport[name]!(...(args as number[]))
    } catch (error) {
      if (!(error instanceof GuestExit) || !name.startsWith('proc_')) throw this.#fault(call, `threw ${error}`, error)
      this.#guest = this.#world.guest(this.#memory)
      return -1
    }
    const [fault] = this.#world.faults
    if (fault !== undefined) throw this.#fault(call, `the kernel threw ${fault}`, fault)
    if (typeof answer !== 'number' || !(answer >= 0 && answer <= LAST_ERRNO))
      throw this.#fault(call, `answered ${answer}`)
    return answer
  }

  #check(call: string, answer: number, may: Ranges | undefined): void {
    if (answer === 0) {
      if (may === undefined) throw this.#fault(call, 'succeeded, though what it was pointed to lies outside')
      for (const [start, length] of may) this.#bytes.copy(this.#before, start, start, start + length)
    }
    if (this.#bytes.equals(this.#before)) return
    const at = this.#bytes.findIndex((byte, i) => byte !== this.#before[i])
    throw this.#fault(call, `answered ${answer} and changed the byte at ${at}, which it may not`)
  }

  #fault(call: string, what: string, cause?: unknown): AbiFault {
    return new AbiFault(`${call} ${what} (way ${this.#way}, seed ${this.#seed})`, { cause })
  }

  end(): void {
    try {
      this.#world.end()
    } catch (error) {
      throw this.#fault('the round', `left the kernel harmed: ${error}`, error)
    }
  }

  /** Puts paths, iovecs and subscriptions into the memory anew: calls before may have written over them. */
  #prepare(): void {
    let at = TEXTS
    this.#texts.length = 0
    for (let i = 0; i < 4; i++) {
      const bytes = encodeUtf8(this.#one(this.#random() < 0.6 ? plain : paths))
      if (this.#random() < 0.02) bytes[0] = 0xff // no UTF-8
      this.#bytes.set(bytes, at)
      this.#texts.push([at, bytes.length])
      at += bytes.length + 3
    }
    // Now and then as many as there may be and one more, each of nearly the whole memory.
    this.#many = this.#random() < 0.003
    if (this.#many) {
      for (let i = 0; i < 1025; i++) {
        this.#view.setUint32(IOVECS + i * 8, this.#below(64), true)
        this.#view.setUint32(IOVECS + i * 8 + 4, SIZE - 64, true)
      }
    }
    for (let i = 0; i < 8 && !this.#many; i++) {
      this.#view.setUint32(IOVECS + i * 8, this.#address(), true)
      this.#view.setUint32(IOVECS + i * 8 + 4, this.#random() < 0.8 ? this.#below(9000) : this.#one(edges32), true)
    }
    for (let i = 0; i < 3; i++) {
      const sub = SUBSCRIPTIONS + i * 48
      this.#view.setBigUint64(sub, this.#wide(), true)
      this.#view.setUint8(sub + 8, this.#random() < 0.95 ? this.#below(3) : this.#below(256))
      this.#view.setInt32(sub + 16, this.#random() < 0.8 ? this.#below(10) : this.#one(edges32), true)
      this.#view.setBigUint64(sub + 24, this.#wide(), true)
      this.#view.setUint16(sub + 40, this.#below(4), true)
    }
  }

  #address(): number {
    return this.#random() < 0.85 ? this.#below(SIZE - 8192) : this.#one(edges32) + this.#below(3) - 1
  }

  #wide(): bigint {
    return this.#random() < 0.5 ? BigInt(this.#below(10_000)) : this.#one(edges64)
  }

  #arguments(params: readonly string[]): (number | bigint)[] {
    let length = 0
    const value = (param: string): number | bigint => {
      const name = nameOf(param)
      const wild = this.#random() < 0.08
      if (isWide(param)) {
        if (/base|inheriting/.test(name) && !wild) return this.#random() < 0.9 ? this.#one(RIGHTS) : this.#wide()
        return this.#wide()
      }
      if (isAddress(param)) {
        if (wild) return this.#one(edges32) + this.#below(3) - 1
        if (name === 'iovs' || name === 'ri_data' || name === 'si_data') return IOVECS
        if (name === 'in') return SUBSCRIPTIONS
        if (!name.endsWith('path')) return this.#address()
        const [address, bytes] = this.#one(this.#texts)
        length = bytes
        return address
      }
      if (wild) return this.#one(edges32)
      if (/fd$|^to$/.test(name)) {
        return this.#random() < 0.5 ? (params.some((other) => other.endsWith('path:ptr')) ? 3 : 6) : this.#below(16)
      }
      if (name.endsWith('path_len')) return length
      if (name.endsWith('buf_len')) return this.#random() < 0.8 ? this.#below(5000) : this.#one(edges32)
      if (/iovs_len|data_len/.test(name) && this.#many) return 1023 + this.#below(3)
      if (/_len$|nsubscriptions/.test(name)) return 1 + this.#below(3)
      return this.#below(16)
    }
    return params.map(value)
  }
}

type Ranges = [start: number, length: number][]

/** What a successful call may write; undefined if it must not succeed, because something lies outside of the memory. */
function writesOf(name: string, given: readonly (number | bigint)[], view: DataView): Ranges | undefined {
  const args = given.map((arg) => (typeof arg === 'number' ? arg >>> 0 : 0))
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args
  const ranges: Ranges = []
  const iovecs = (at: number, count: number, written: boolean) => {
    if (at + count * 8 > SIZE) return false
    for (let i = 0; i < count; i++) {
      const start = view.getUint32(at + i * 8, true)
      const length = view.getUint32(at + i * 8 + 4, true)
      if (start + length > SIZE) return false
      if (written) ranges.push([start, length])
    }
    return true
  }
  let inside = true
  switch (name) {
    case 'args_sizes_get':
    case 'environ_sizes_get':
      ranges.push([a, 4], [b, 4])
      break
    case 'args_get':
      ranges.push([a, 12], [b, 9])
      break
    case 'environ_get':
      ranges.push([a, 4], [b, 4])
      break
    case 'clock_res_get':
    case 'fd_tell':
    case 'fd_prestat_get':
      ranges.push([b, 8])
      break
    case 'clock_time_get':
      ranges.push([c, 8])
      break
    case 'random_get':
      ranges.push([a, b])
      break
    case 'fd_prestat_dir_name':
      ranges.push([b, c])
      break
    case 'fd_read':
    case 'fd_write':
      inside = iovecs(b, c, name === 'fd_read')
      ranges.push([d, 4])
      break
    case 'fd_pread':
    case 'fd_pwrite':
      inside = iovecs(b, c, name === 'fd_pread')
      ranges.push([e, 4])
      break
    case 'fd_seek':
      ranges.push([d, 8])
      break
    case 'fd_filestat_get':
      ranges.push([b, 64])
      break
    case 'fd_fdstat_get':
      ranges.push([b, 24])
      break
    case 'fd_readdir':
      ranges.push([b, c], [e, 4])
      break
    case 'path_filestat_get':
      ranges.push([e, 64])
      break
    case 'path_open':
      ranges.push([args[8]!, 4])
      break
    case 'path_readlink':
      ranges.push([d, e], [f, 4])
      break
    case 'poll_oneoff':
      inside = a + c * 48 <= SIZE
      ranges.push([b, c * 32], [d, 4])
  }
  return inside && ranges.every(([start, length]) => start + length <= SIZE) ? ranges : undefined
}
