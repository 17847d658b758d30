/** What stat and readdir tell of a file, in the shape of node's fs.Stats, fs.BigIntStats and fs.Dirent. */

import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../abi/linux.ts'
import type { Stat } from '../abi/syscalls.ts'
import type { WireDirent } from '../abi/wire.ts'

class Typed {
  readonly #type: number
  constructor(type: number) {
    this.#type = type & S_IFMT
  }
  isFile(): boolean {
    return this.#type === S_IFREG
  }
  isDirectory(): boolean {
    return this.#type === S_IFDIR
  }
  isSymbolicLink(): boolean {
    return this.#type === S_IFLNK
  }
  isFIFO(): boolean {
    return this.#type === S_IFIFO
  }
  isSocket(): boolean {
    return this.#type === S_IFSOCK
  }
  isCharacterDevice(): boolean {
    return this.#type === S_IFCHR
  }
  isBlockDevice(): boolean {
    return this.#type === S_IFBLK
  }
}

interface Fields<N> {
  readonly dev: N
  readonly ino: N
  /** Type and permission bits. */
  readonly mode: N
  readonly nlink: N
  readonly uid: N
  readonly gid: N
  readonly rdev: N
  readonly size: N
  readonly blksize: N
  /** In units of 512 bytes. */
  readonly blocks: N
  readonly atimeMs: N
  readonly mtimeMs: N
  readonly ctimeMs: N
  readonly birthtimeMs: N
  readonly atime: Date
  readonly mtime: Date
  readonly ctime: Date
  readonly birthtime: Date
}

/** As fs.Stats: numbers, times in milliseconds with their fractions. */
export interface Stats extends Fields<number>, Typed {}

/** As fs.BigIntStats: bigints, times also in nanoseconds. */
export interface BigIntStats extends Fields<bigint>, Typed {
  readonly atimeNs: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly birthtimeNs: bigint
}

export interface StatOptions {
  /** Gives BigIntStats. */
  bigint?: boolean
}

const NS_PER_MS = 1_000_000n

class StatsOf extends Typed {
  constructor({ atime, mtime, ctime, btime: birthtime, ...numbers }: Stat, bigint: boolean) {
    super(numbers.mode)
    const fields: Record<string, unknown> = numbers
    if (bigint) for (const name in fields) fields[name] = BigInt(fields[name] as number)
    for (const [name, ns] of Object.entries({ atime, mtime, ctime, birthtime })) {
      const ms = bigint ? ns / NS_PER_MS : Number(ns / NS_PER_MS) + Number(ns % NS_PER_MS) / 1e6
      fields[`${name}Ms`] = ms
      if (bigint) fields[`${name}Ns`] = ns
      fields[name] = new Date(Math.round(Number(ms)))
    }
    Object.assign(this, fields)
  }
}

export const statsOf = (stat: Stat, options?: StatOptions): Stats & BigIntStats =>
  new StatsOf(stat, options?.bigint ?? false) as unknown as Stats & BigIntStats

const types = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  char: S_IFCHR,
  block: S_IFBLK,
}

/** As fs.Dirent: a name and what it is, without following symbolic links. */
export class Dirent extends Typed {
  readonly name: string
  /** The directory that holds it: the path that was listed, or one below it in a recursive listing. */
  readonly parentPath: string

  /** @internal */
  constructor(entry: WireDirent, parentPath: string) {
    super(types[entry.kind])
    this.name = entry.name
    this.parentPath = parentPath
  }
}
