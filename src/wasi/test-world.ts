/**
 * A small world for the tests of this folder: a real kernel on tmpfs, one task for a guest and one for the test's own
 * hand, streams for stdio, and a clock that tests move by hand.
 */
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, POLLIN, POLLOUT } from '../abi/linux.ts'
import type { Clock, Entropy } from '../abi/platform.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { Task } from '../kernel/task.ts'
import { type Context, credentialsOf } from '../vfs/context.ts'
import type { SpecialInode, Stream } from '../vfs/inode.ts'
import { makeDevice } from '../vfs/kinds.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { resolve } from '../vfs/path-walk.ts'
import { Vfs } from '../vfs/vfs.ts'
import { WaitQueue, WouldBlock } from '../vfs/waiting.ts'
import type { Preopen } from './rights.ts'

/** Time stands still until somebody sleeps. */
export class HandClock implements Clock {
  now = 1_000_000_000n
  readonly sinceEpoch = 1_700_000_000_000_000_123n
  set(now: bigint): void {
    this.now = now
  }
  monotonic(): bigint {
    return this.now
  }
  realtime(): bigint {
    return this.sinceEpoch + this.now
  }
  coarse(): bigint {
    return this.realtime()
  }
}

/** Every byte differs from the one before it. */
export const countingEntropy: Entropy = {
  fill(bytes) {
    for (let i = 0; i < bytes.length; i++) bytes[i] = i + 1
  },
}

/** A terminal-like stream: what is put in can be read, what is written is kept. */
export class TestStream implements Stream {
  readonly queue = new WaitQueue()
  #input: number[] = []
  #output: number[] = []
  ended = false

  put(text: string): void {
    this.#input.push(...encodeUtf8(text))
    this.queue.wake()
  }

  get text(): string {
    return decodeUtf8(Uint8Array.from(this.#output)) ?? ''
  }

  read(memory: Uint8Array, at: number, length: number): number {
    if (this.#input.length === 0 && !this.ended) throw new WouldBlock([this.queue])
    const bytes = this.#input.splice(0, length)
    memory.set(bytes, at)
    return bytes.length
  }

  write(memory: Uint8Array, at: number, length: number): number {
    for (let i = 0; i < length; i++) this.#output.push(memory[at + i]!)
    return length
  }

  poll(): number {
    return (this.#input.length > 0 || this.ended ? POLLIN : 0) | POLLOUT
  }
}

export class TestWorld {
  readonly clock = new HandClock()
  readonly stdin = new TestStream()
  readonly stdout = new TestStream()
  readonly stderr = new TestStream()
  /** The test's own: not confined, paths from the root. */
  readonly host: Task
  readonly guest: Task
  readonly #vfs: Vfs
  /** Descriptor 3. */
  readonly preopens: readonly Preopen[]

  /** `preopen`: the directory that the guest gets, made if it is missing; `mounted`: a tmpfs of its own. */
  constructor(
    options: { preopen?: string; name?: string; asRoot?: boolean; readOnly?: boolean; mounted?: boolean } = {},
  ) {
    const { preopen = '/', name = '/', asRoot = preopen === '/', readOnly = false, mounted = false } = options
    const streams = [this.stdin, this.stdout, this.stderr]
    const devices = { open: (inode: SpecialInode, _context: Context) => streams[inode.rdev & 0xff]! }
    const vfs = new Vfs(this.clock, devices)
    this.#vfs = vfs
    vfs.types.register(tmpfsType)
    const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: '' }))
    vfs.newNamespace(mount)
    const root = new VirtualDentry(mount, mount.root)
    const credentials = credentialsOf(0, 0)
    this.host = new Task({ vfs, credentials, root })
    this.guest = new Task({ vfs, credentials, root, confined: true })

    this.host.mkdirat(-100, '/dev', 0o755)
    for (const minor of [0, 1, 2]) {
      this.host.mknodat(-100, `/dev/tty${minor}`, 'char', 0o666, makeDevice(4, minor))
      this.#give(`/dev/tty${minor}`, minor === 0 ? O_RDONLY : O_WRONLY)
    }
    if (preopen !== '/') this.host.mkdirat(-100, preopen, 0o755)
    if (mounted) this.mountAt(preopen)
    this.#give(preopen, O_RDONLY)
    this.preopens = [{ fd: 3, name, root: asRoot, readOnly }]
  }

  /** Mounts an empty tmpfs. */
  mountAt(path: string): void {
    const mount = this.#vfs.newMount(this.#vfs.newFilesystem({ type: 'tmpfs', data: '' }))
    this.#vfs.attach(mount, resolve(this.host, this.host.root, path, true))
  }

  /** Opens a path for the guest, from outside its confinement. */
  #give(path: string, flags: number): void {
    const fd = this.host.openat(-100, path, flags, 0)
    const file = this.host.descriptors.get(fd)
    file.refs++
    this.guest.descriptors.add(file)
    this.host.close(fd)
  }

  writeFile(path: string, text: string): void {
    const fd = this.host.openat(-100, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    const bytes = encodeUtf8(text)
    this.host.writev(fd, bytes, [0, bytes.length])
    this.host.close(fd)
  }

  readFile(path: string): string {
    const fd = this.host.openat(-100, path, O_RDWR, 0)
    const bytes = new Uint8Array(this.host.fstat(fd).size)
    const length = this.host.readv(fd, bytes, [0, bytes.length])
    this.host.close(fd)
    return decodeUtf8(bytes, 0, length) ?? ''
  }

  release(): void {
    this.guest.release()
    this.host.release()
  }
}
