/**
 * Real Linux as a subject: a child process makes the calls (server.py, where its side is told), on a fresh tmpfs of the machine,
 * in a mount namespace of its own. It takes root, and python3, which is what knows every call without a compiler.
 *
 * Invariant: requests and answers alternate; one arena is open at a time.
 */

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ErrnoError, errnoName } from '../../abi/errno.ts'
import type { DirectoryEntry, FileKind, Stat } from '../../abi/syscalls.ts'
import type {
  Ability,
  Arena,
  Credentials,
  FilesystemStat,
  MountOptions,
  Mounts,
  SpecTask,
  Subject,
} from '../conformance/spec.ts'

const SCRIPT = fileURLToPath(new URL('server.py', import.meta.url))

const ABILITIES: readonly Ability[] = [
  ...(['root', 'users', 'mounts', 'calls', 'nodes', 'quota', 'tmpfs', 'times', 'execute'] as const),
]

/** Real Linux, or why this machine does not let us ask it. */
export function linux(): (Subject & { stop(): void }) | string {
  const { stdout, stderr } = spawnSync('python3', [SCRIPT, 'check'], { encoding: 'utf8' })
  if (stdout?.trim() !== 'ready') return `no root, or no python3: ${stderr?.trim().split('\n').at(-1) ?? 'not found'}`
  const server = new Server()
  return {
    name: 'linux',
    abilities: new Set(ABILITIES),
    arena: (data = 'mode=755') => new LinuxArena(server, data),
    stop: () => server.stop(),
  }
}

class Server {
  readonly #directory = mkdtempSync(join(tmpdir(), 'runtab-linux-'))
  readonly #requests: number
  readonly #answers: number
  readonly #buffer = new Uint8Array(1 << 20)

  constructor() {
    const [requests, answers, root] = ['requests', 'answers', 'root'].map((name) => join(this.#directory, name))
    execFileSync('mkfifo', [requests!, answers!])
    mkdirSync(root!)
    spawn('python3', [SCRIPT, requests!, answers!, root!], { stdio: ['ignore', 'ignore', 'inherit'] }).unref()
    this.#requests = openSync(requests!, 'w')
    this.#answers = openSync(answers!, 'r')
  }

  /** Errors: the call's. */
  ask(task: number, call: string, ...args: readonly unknown[]): unknown {
    writeSync(this.#requests, `${JSON.stringify([task, call, args])}\n`)
    let length = 0
    do {
      const count = readSync(this.#answers, this.#buffer, length, this.#buffer.length - length, null)
      if (count === 0) throw new Error(`the server ended in ${call}`)
      length += count
    } while (this.#buffer[length - 1] !== 10)
    const answer = JSON.parse(new TextDecoder().decode(this.#buffer.subarray(0, length))) as {
      ok?: unknown
      errno?: number
    }
    if (answer.errno !== undefined) throw new ErrnoError(errnoName(answer.errno))
    return answer.ok
  }

  stop(): void {
    closeSync(this.#requests)
    closeSync(this.#answers)
    rmSync(this.#directory, { recursive: true })
  }
}

const MS_BIND = 4096
const MNT_DETACH = 2
const MS_REMOUNT = 32
const MS_RELATIME = 1 << 21
const FLAGS: readonly (readonly [keyof MountOptions, number])[] = [
  ['readonly', 1],
  ['nosuid', 2],
  ['nodev', 4],
  ['noexec', 8],
  ['noatime', 1024],
  ['strictatime', 1 << 24],
]

class LinuxArena implements Arena {
  readonly #server: Server
  readonly mounts: Mounts

  constructor(server: Server, data: string) {
    this.#server = server
    server.ask(0, 'start', data)
    const mount = (...args: readonly unknown[]) => server.ask(0, 'mount', ...args)
    this.mounts = {
      tmpfs: (at, data = '') => mount('tmpfs', at, 'tmpfs', 0, data),
      bind: (from, at) => mount(from, at, '', MS_BIND, ''),
      remount(at, options) {
        let flags = MS_BIND | MS_REMOUNT
        if (!options.noatime && !options.strictatime) flags |= MS_RELATIME
        for (const [name, bit] of FLAGS) if (options[name]) flags |= bit
        mount('', at, '', flags, '')
      },
      unmount: (at, { lazily } = {}) => server.ask(0, 'umount', at, lazily ? MNT_DETACH : 0),
    }
  }

  task({ uid, gid = uid, groups = [], capabilities, fileSize }: Credentials): SpecTask {
    const task = this.#server.ask(0, 'fork', uid, gid, groups, capabilities ?? null, fileSize ?? null)
    return new LinuxTask(this.#server, task as number)
  }

  /** The kernel's coarse clock steps each 1 to 10 ms. */
  tick(): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 21)
  }

  end(): void {
    this.#server.ask(0, 'end')
  }
}

type Wire = Record<'atime' | 'mtime' | 'ctime' | 'btime', string> & Omit<Stat, 'atime' | 'mtime' | 'ctime' | 'btime'>

const statOf = (value: unknown): Stat => {
  const { atime, mtime, ctime, btime, ...rest } = value as Wire
  return { ...rest, atime: BigInt(atime), mtime: BigInt(mtime), ctime: BigInt(ctime), btime: BigInt(btime) }
}

class LinuxTask implements SpecTask {
  readonly #ask: (call: string, ...args: readonly unknown[]) => unknown

  constructor(server: Server, task: number) {
    this.#ask = (call, ...args) => server.ask(task, call, ...args)
  }

  openat(...args: readonly [number, string, number, number]): number {
    return this.#ask('openat', ...args) as number
  }
  close(fd: number): void {
    this.#ask('close', fd)
  }
  dup(fd: number): number {
    return this.#ask('dup', fd) as number
  }

  #read(memory: Uint8Array, ranges: readonly number[], call: string, fd: number, ...offset: number[]): number {
    const lengths = ranges.filter((_, i) => i % 2 === 1)
    const [count, hex] = this.#ask(call, fd, lengths, ...offset) as [number, string]
    const bytes = Buffer.from(hex, 'hex')
    let done = 0
    for (let i = 0; i < ranges.length; i += 2) {
      memory.set(bytes.subarray(done, done + ranges[i + 1]!), ranges[i])
      done += ranges[i + 1]!
    }
    return count
  }
  readv(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.#read(memory, ranges, 'readv', fd)
  }
  preadv(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.#read(memory, ranges, 'preadv', fd, offset)
  }

  #write(memory: Uint8Array, ranges: readonly number[], call: string, fd: number, ...offset: number[]): number {
    const parts: string[] = []
    for (let i = 0; i < ranges.length; i += 2) {
      parts.push(Buffer.from(memory.subarray(ranges[i], ranges[i]! + ranges[i + 1]!)).toString('hex'))
    }
    return this.#ask(call, fd, parts, ...offset) as number
  }
  writev(fd: number, memory: Uint8Array, ranges: readonly number[]): number {
    return this.#write(memory, ranges, 'writev', fd)
  }
  pwritev(fd: number, memory: Uint8Array, ranges: readonly number[], offset: number): number {
    return this.#write(memory, ranges, 'pwritev', fd, offset)
  }

  lseek(...args: readonly [number, number, number]): number {
    return this.#ask('lseek', ...args) as number
  }
  fstat(fd: number): Stat {
    return statOf(this.#ask('fstat', fd))
  }
  fstatat(...args: readonly [number, string, number]): Stat {
    return statOf(this.#ask('fstatat', ...args))
  }
  getdents(...args: readonly [number, number, number]): readonly DirectoryEntry[] {
    return this.#ask('getdents', ...args) as DirectoryEntry[]
  }
  mkdirat(...args: readonly [number, string, number]): void {
    this.#ask('mkdirat', ...args)
  }
  mknodat(...args: readonly [number, string, FileKind, number, number]): void {
    this.#ask('mknodat', ...args)
  }
  unlinkat(...args: readonly [number, string, number]): void {
    this.#ask('unlinkat', ...args)
  }
  renameat2(...args: readonly [number, string, number, string, number]): void {
    this.#ask('renameat2', ...args)
  }
  linkat(...args: readonly [number, string, number, string, number]): void {
    this.#ask('linkat', ...args)
  }
  symlinkat(...args: readonly [string, number, string]): void {
    this.#ask('symlinkat', ...args)
  }
  readlinkat(...args: readonly [number, string]): string {
    return this.#ask('readlinkat', ...args) as string
  }
  truncate(...args: readonly [string, number]): void {
    this.#ask('truncate', ...args)
  }
  ftruncate(...args: readonly [number, number]): void {
    this.#ask('ftruncate', ...args)
  }
  fallocate(...args: readonly [number, number, number, number]): void {
    this.#ask('fallocate', ...args)
  }
  fsync(fd: number): void {
    this.#ask('fsync', fd)
  }
  fdatasync(fd: number): void {
    this.#ask('fdatasync', fd)
  }
  utimensat(dirfd: number, path: string, atime: bigint, mtime: bigint, flags: number): void {
    this.#ask('utimensat', dirfd, path, String(atime), String(mtime), flags)
  }
  fchmodat(...args: readonly [number, string, number, number]): void {
    this.#ask('fchmodat', ...args)
  }
  fchownat(...args: readonly [number, string, number, number, number]): void {
    this.#ask('fchownat', ...args)
  }
  faccessat(...args: readonly [number, string, number, number]): void {
    this.#ask('faccessat', ...args)
  }
  getfl(fd: number): number {
    return this.#ask('getfl', fd) as number
  }
  setfl(...args: readonly [number, number]): void {
    this.#ask('setfl', ...args)
  }
  chdir(path: string): void {
    this.#ask('chdir', path)
  }
  chroot(path: string): void {
    this.#ask('chroot', path)
  }
  umask(mask: number): void {
    this.#ask('umask', mask)
  }
  statfs(path: string): FilesystemStat {
    return this.#ask('statfs', path) as FilesystemStat
  }
  execute(path: string): void {
    this.#ask('execute', path)
  }

  /** WASI's own: not a call of Linux. */
  renumber(): never {
    throw new Error('Linux has no renumber')
  }
  poll(): never {
    throw new Error('not asked of Linux')
  }
}
